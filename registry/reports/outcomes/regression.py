"""Hazard and odds ratios: a forest on a logarithmic axis, and every coefficient."""

from collections.abc import Sequence

from federation.figures.canvas import filled
from federation.figures.forests import Estimated, Scale, forest
from federation.figures.numerals import NONE, decimals_for, estimate, number, p_value
from federation.wording import Text
from registry.reports.documents.outcomes import Ratio, Regression, Term
from registry.reports.layout import Block, Cell, Facts, Figure, Table, named
from registry.reports.outcomes.cells import term_named

_RATIOS = {
    "hazard": Text(en="hazard ratio", zh="風險比"),
    "odds": Text(en="odds ratio", zh="勝算比"),
}
_TIES = {
    "efron": Text(en="Efron", zh="Efron 法"),
    "breslow": Text(en="Breslow", zh="Breslow 法"),
}
_BASELINES = {
    "shared": Text(en="one for all hospitals", zh="各院共用"),
    "by-hospital": Text(en="one for each hospital", zh="各院分層"),
}


def blocks(place: str, one: Regression) -> Sequence[Block]:
    """Return the forest of ratios, the coefficients, and how it was fitted."""
    ratios = [(term, term.ratio) for term in one.terms if term.ratio is not None]
    shown: list[Block] = [figure(place, one, ratios)] if ratios else []
    return (*shown, _table(one), _fit(one))


def figure(place: str, one: Regression, ratios: Sequence[tuple[Term, Ratio]]) -> Figure:
    """Return every ratio with its interval about 1."""
    rows = [
        Estimated(term_named(term.term, term.reference), ratio.value, ratio.low, ratio.high)
        for term, ratio in ratios
    ]
    title = _RATIOS[one.ratio]
    titled = Text(en=f"{title.en.capitalize()}s", zh=title.zh)
    axis = filled(_AXIS, ratio=title)
    data: list[Sequence[str | float | None]] = [
        (term.term, term.reference, ratio.value, ratio.low, ratio.high, term.p)
        for term, ratio in ratios
    ]
    return Figure(
        f"ratios-{place}",
        lambda language: forest(
            titled, axis, rows, language, Scale(line=1.0, decimals=None, is_ratio=True),
            cases=one.patients,
        ),
        ("term", "reference", "ratio", "low", "high", "p"),
        data,
    )  # fmt: skip


_AXIS = Text(en="{ratio} (95 % interval), logarithmic", zh="{ratio}(95% 區間),對數軸")


def _table(one: Regression) -> Table:
    columns = (
        Text(en="term", zh="變項"),
        Text(en="coefficient (95 % interval)", zh="係數(95% 區間)"),
        Text(en="standard error", zh="標準誤"),
        _RATIOS[one.ratio],
        "z",
        Text(en="p-value", zh="p 值"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            term_named(term.term, term.reference),
            estimate(term.value, term.low, term.high, decimals_for(term.low, term.high)),
            number(term.error, decimals_for(term.low, term.high)),
            NONE if term.ratio is None else _ratio(term.ratio),
            number(term.z, 2),
            p_value(term.p),
        )
        for term in one.terms
    ]
    caption = filled(
        Text(en="Every coefficient of {name}.", zh="{name} 之所有係數。"), name=named(one.name)
    )
    return Table(caption, columns, rows, frozenset(range(1, 6)))


def _ratio(ratio: Ratio) -> str:
    decimals = min(3, decimals_for(ratio.low, ratio.high))
    return estimate(ratio.value, ratio.low, ratio.high, decimals)


def _fit(one: Regression) -> Facts:
    rows: list[tuple[Text, Cell]] = []
    if one.outcome is not None:
        rows.append((Text(en="Outcome", zh="結果"), one.outcome))
    if one.patients is not None:
        rows.append((Text(en="Patients", zh="病人數"), f"{one.patients:,}"))
    if one.events is not None:
        rows.append((Text(en="Events", zh="事件數"), f"{one.events:,}"))
    if one.ties is not None:
        rows.append((Text(en="Ties", zh="同時事件之處理"), _TIES.get(one.ties) or one.ties))
    if one.baseline is not None:
        told = _BASELINES.get(one.baseline) or one.baseline
        rows.append((Text(en="Baseline hazard", zh="基準風險"), told))
    if one.rounds is not None:
        rows.append((Text(en="Rounds of Newton's method", zh="牛頓法輪數"), _rounds(one)))
    if one.log_likelihood is not None:
        rows.append((Text(en="Log-likelihood", zh="對數概似值"), number(one.log_likelihood, 3)))
    return Facts(tuple(rows))


def _rounds(one: Regression) -> Text:
    said = Text(
        en="{rounds}; last step {step}, allowed {allowed}",
        zh="{rounds} 輪;最後一步 {step},容許 {allowed}",
    )
    step, allowed = (
        NONE if value is None else f"{value:.1g}" for value in (one.last_step, one.tolerance)
    )
    return filled(said, rounds=one.rounds, step=step, allowed=allowed)
