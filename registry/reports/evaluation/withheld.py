"""What a report does not show, and what could not be computed."""

import re
from collections.abc import Callable, Iterator, Mapping

from federation.errors import error_of_code
from federation.evaluation.sliced import EVERYONE
from federation.evaluation.suppression import REASONS, Reason
from federation.figures.canvas import filled
from federation.figures.numerals import NONE
from federation.wording import Language, Text, without_fields
from registry.reports import wording
from registry.reports.documents.evaluation import EvaluationDocument, Refused
from registry.reports.layout import Block, Cell, Section, Table


def withheld(document: EvaluationDocument) -> Section:
    """Return what is not shown with its reason, and what could not be computed."""
    found, blocks = document.assessment, list[Block]()
    rule = Text(
        en="No number here counts 1 to {most} patients, and none can be had by subtraction. "
        "Not shown never means zero.",
        zh="本報告不呈現 1 至 {most} 位病人的數值,亦無法由相減推得。不予顯示不代表為零。",
    )
    blocks.append(filled(rule, most=document.plan.smallest_cell - 1))
    if found.refusals:
        columns = (
            Text(en="of", zh="對象"),
            Text(en="not shown", zh="不予顯示者"),
            Text(en="because", zh="原因"),
        )
        rows = list(_refusals(found.refusals))
        blocks.append(Table(Text(en="Not shown", zh="不予顯示"), columns, rows))
    if found.failures:
        named_by = (
            Text(en="not computed", zh="未能計算者"),
            Text(en="because", zh="原因"),
            Text(en="code", zh="代碼"),
        )
        failed = [(_failed(one.name), _why(one.code), one.code) for one in found.failures]
        blocks.append(Table(Text(en="Could not be computed", zh="未能計算"), named_by, failed))
    return Section("withheld", Text(en="What is not shown", zh="不予顯示之內容"), blocks)


def _why(code: str) -> Text:
    """Return what an error says in general; a dash for a code that is not known here."""
    error = error_of_code(code)
    if error is None:
        return Text(en=NONE, zh=NONE)
    en, zh = (without_fields(error.what.in_general(one)) for one in Language)
    return Text(en=_OPEN.sub(".", en), zh=_OPEN.sub("。", zh))


_OPEN = re.compile("[:\uff1a] ?…[.。]$")
"""How a sentence ends whose reason is only known of a single case."""


def _failed(name: str) -> Text:
    """Return what could not be computed, in words where they are known."""
    group, _, last = name.rpartition(" ")
    if group and last == "calibration":
        return filled(_CALIBRATION_OF, group=wording.slice_named(group))
    first, _, rest = name.partition(" ")
    if first == "paired":
        return filled(_COMPARISON, other=rest)
    return _COMPUTED.get(first) or wording.slice_named(name)


def _refusals(refusals: tuple[Refused, ...]) -> Iterator[tuple[Cell, ...]]:
    """Yield a row for each group and reason, with all that is not shown of it."""
    rows: dict[tuple[str, Reason, int], list[Text]] = {}
    for one in refusals:
        group, what = _parted(one.name)
        told = rows.setdefault((group, one.refused, one.k), [])
        if what not in told:
            told.append(what)
    for (group, reason, k), told in rows.items():
        what = Text(en=", ".join(one.en for one in told), zh="、".join(one.zh for one in told))
        yield wording.slice_named(group), what, filled(REASONS[reason], k=k)


def _parted(name: str) -> tuple[str, Text]:
    """Return the group a refusal is of, and which of its figures."""
    group, _, last = name.rpartition(" ")
    if group and last in wording.RATES:
        return group, wording.RATES[last]
    if name.startswith(_NET):
        return EVERYONE, filled(_NET_BENEFIT, threshold=name.removeprefix(_NET))
    first, _, rest = name.partition(" ")
    if first in _GAPS:
        return rest, _GAPS[first]
    if first == "uncertainty":
        return rest or EVERYONE, _UNCERTAINTY
    if first in _OF_EVERYONE:
        return EVERYONE, _OF_EVERYONE[first](rest)
    return name, _ALL_OF_IT


_NET = "net benefit "
_ALL_OF_IT = Text(en="everything", zh="所有數值")
_NET_BENEFIT = Text(en="net benefit at {threshold}", zh="閾值 {threshold} 之淨效益")
_ROBUSTNESS = Text(en="robustness to {corruption}", zh="{corruption}之穩健性")
_DISTRIBUTION = Text(en="distribution of {variable}", zh="{variable}分布")
_COMPARISON = Text(en="comparison with {other}", zh="與 {other} 之比較")
_UNCERTAINTY = Text(en="uncertainty", zh="不確定性")
_EXPLANATIONS = Text(en="checks of explanations", zh="解釋之檢核")
_EXPLANATION = Text(en="check of explanations: {check}", zh="解釋之檢核:{check}")
_CALIBRATION_OF = Text(en="calibration of {group}", zh="{group}之校準")
_COMPUTED: Mapping[str, Text] = {
    "fairness": Text(en="a comparison of groups", zh="組間比較"),
    "heterogeneity": Text(en="differences between hospitals", zh="跨院差異"),
    "uncertainty": _UNCERTAINTY,
    "explainability": _EXPLANATIONS,
}
_GAPS: Mapping[str, Text] = {
    one.value: Text(en=f"gap in {name.en.lower()}", zh=f"{name.zh}差距")
    for one, name in wording.GAPS.items()
}


def _explanation(check: str) -> Text:
    if not check:
        return _EXPLANATIONS
    return filled(_EXPLANATION, check=wording.statistic(check).title)


_OF_EVERYONE: Mapping[str, Callable[[str], Text]] = {
    "drift": lambda rest: filled(_DISTRIBUTION, variable=wording.variable(rest)),
    "robustness": lambda rest: filled(_ROBUSTNESS, corruption=wording.corruption(rest)),
    "membership": lambda _: wording.RULES["membership"],
    "paired": lambda rest: filled(_COMPARISON, other=rest),
    "explainability": _explanation,
}
"""What a refusal hides of everyone, by the first word of its name and the rest."""
