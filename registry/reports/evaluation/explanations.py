"""Whether its explanations explain: sanity checks of attributions, case by case."""

from federation.figures.canvas import filled
from federation.figures.numerals import estimate, number
from federation.wording import Text
from registry.reports import wording
from registry.reports.documents.evaluation import EvaluationDocument
from registry.reports.documents.families import CaseStatistic, Explainability
from registry.reports.evaluation import figures as drawings
from registry.reports.layout import Block, Cell, Section, Table

_TITLE = Text(en="Do its explanations explain?", zh="解釋之合理性")
_PLACES = 4


def explanations(document: EvaluationDocument) -> Section:
    """Return what each check found and how it is distributed."""
    found = document.explainability
    if found is None:
        return Section("explanations", "", ())
    if not found.statistics:
        return Section("explanations", _TITLE, (_NOTHING,))
    blocks: list[Block] = [_table(found)]
    blocks += [
        drawings.explanation(name, one)
        for name, one in found.statistics.items()
        if len(one.histogram) > 1
    ]
    return Section("explanations", _TITLE, blocks)


_NOTHING = Text(
    en="Nothing of the checks of explanations may be shown: too few cases.",
    zh="個案過少,解釋之檢核結果均不得顯示。",
)


def _table(found: Explainability) -> Table:
    columns = (
        Text(en="check", zh="檢核"),
        Text(en="cases", zh="個案數"),
        Text(en="mean (95 % interval)", zh="平均(95% 區間)"),
        Text(en="standard deviation", zh="標準差"),
        Text(en="what is right", zh="正確情形"),
    )
    rows = [_row(name, one) for name, one in found.statistics.items()]
    caption = filled(
        Text(
            en="Integrated gradients in {steps} steps, at most {cases} patients a hospital.",
            zh="積分梯度法 {steps} 步,每院至多 {cases} 位病人。",
        ),
        steps=found.path_steps,
        cases=found.cases_per_site,
    )
    return Table(caption, columns, rows, frozenset({1, 2, 3}))


def _row(name: str, one: CaseStatistic) -> tuple[Cell, ...]:
    told, decimals = wording.statistic(name), _decimals(one)
    return (
        told.title,
        f"{one.cases:,}",
        estimate(one.mean.value, *one.mean.ends, decimals),
        number(one.deviation, decimals),
        told.right,
    )


def _decimals(one: CaseStatistic) -> int:
    return 3 if one.span[1] - one.span[0] > 0.5 else _PLACES
