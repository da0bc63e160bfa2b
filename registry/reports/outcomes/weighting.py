"""What a treatment changes once groups are weighted alike."""

from collections.abc import Sequence

from federation.figures.canvas import filled
from federation.figures.forests import Estimated, Scale, forest
from federation.figures.numerals import NONE, decimals_for, estimate, number, p_value
from federation.wording import Text
from registry.reports.documents.outcomes import Mean, Weighted
from registry.reports.layout import Block, Cell, Facts, Figure, Notice, Table, Tone, named

_WEIGHTS = {
    "inverse": Text(en="inverse of the probability", zh="機率倒數"),
    "stabilised": Text(en="inverse of the probability, stabilised", zh="機率倒數(穩定化)"),
    "overlap": Text(en="overlap", zh="重疊權重"),
}
_UNTREATED = Text(en="without {treatment}", zh="無 {treatment}")
_TREATED = Text(en="with {treatment}", zh="有 {treatment}")
_EFFECT = Text(en="difference", zh="差異")
_NOTHING = Text(en="There is no result.", zh="無結果。")


def blocks(place: str, one: Weighted) -> Sequence[Block]:
    """Return both means in a figure, the difference with its test, and the weights."""
    if one.effect is None or one.treated is None or one.untreated is None:
        return (Notice(_NOTHING, Tone.WAITING),)
    arms = ((_UNTREATED, "untreated", one.untreated), (_TREATED, "treated", one.treated))
    return (_figure(place, one, arms), _table(one, arms), _fit(one))


Arms = Sequence[tuple[Text, str, Mean]]


def _figure(place: str, one: Weighted, arms: Arms) -> Figure:
    rows = [
        Estimated(
            filled(name, treatment=named(one.treatment)), mean.value, mean.low, mean.high,
            cases=_patients(one, arm),
        )
        for name, arm, mean in arms
    ]  # fmt: skip
    decimals = max(decimals_for(mean.low, mean.high) for _, _, mean in arms)
    axis = filled(_AXIS, outcome=named(one.outcome))
    data = [(arm, _patients(one, arm), mean.value, mean.low, mean.high) for _, arm, mean in arms]
    return Figure(
        f"weighted-{place}",
        lambda language: forest(_TITLE, axis, rows, language, Scale(decimals=decimals)),
        ("arm", "patients", "mean", "low", "high"),
        data,
    )


_TITLE = Text(en="Weighted means", zh="加權平均")
_AXIS = Text(en="{outcome} (95 % interval)", zh="{outcome}(95% 區間)")


def _patients(one: Weighted, arm: str) -> int | None:
    return None if one.patients is None else int(getattr(one.patients, arm))


def _table(one: Weighted, arms: Arms) -> Table:
    columns = (
        Text(en="arm", zh="組別"),
        filled(Text(en="{outcome} (95 % interval)", zh="{outcome}(95% 區間)"),
               outcome=named(one.outcome)),
        Text(en="p-value", zh="p 值"),
    )  # fmt: skip
    assert one.effect is not None  # the caller saw to it
    decimals = max(
        decimals_for(mean.low, mean.high) for mean in (one.effect, *(mean for _, _, mean in arms))
    )
    rows: list[tuple[Cell, ...]] = [
        (filled(name, treatment=named(one.treatment)), _estimated(mean, decimals), NONE)
        for name, _, mean in arms
    ]
    rows.append((_EFFECT, _estimated(one.effect, decimals), p_value(one.effect.p)))
    caption = Text(
        en="Weighted so that both arms are alike in the covariates of the plan; robust "
        "(sandwich) intervals.",
        zh="加權後兩組於計畫所列共變項相當;區間採穩健(三明治)變異。",
    )
    return Table(caption, columns, rows, frozenset({1, 2}))


def _estimated(mean: Mean, decimals: int) -> str:
    return estimate(mean.value, mean.low, mean.high, decimals)


def _fit(one: Weighted) -> Facts:
    rows: list[tuple[Text, Cell]] = [(Text(en="Weights", zh="權重"), _WEIGHTS[one.weights])]
    both = Text(en="{without} without, {given} with", zh="無 {without},有 {given}")
    if one.patients is not None:
        told = filled(
            both, without=f"{one.patients.untreated:,.0f}", given=f"{one.patients.treated:,.0f}"
        )
        rows.append((Text(en="Patients", zh="病人數"), told))
    if one.effective is not None:
        told = filled(
            both,
            without=number(one.effective.untreated, 1),
            given=number(one.effective.treated, 1),
        )
        rows.append((Text(en="Worth as many unweighted patients", zh="等效未加權人數"), told))
    return Facts(tuple(rows))
