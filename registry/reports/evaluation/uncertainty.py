"""Whether a version knows when it does not know: coverage and what abstaining buys."""

from federation.figures.canvas import filled
from federation.figures.numerals import NONE, interval, number
from federation.wording import Text
from registry.reports import wording
from registry.reports.documents.evaluation import EvaluationDocument
from registry.reports.documents.families import Uncertainty
from registry.reports.documents.shapes import Rate
from registry.reports.evaluation import figures as drawings
from registry.reports.evaluation.cells import CASES, WHERE, everyone_first, rate_cell
from registry.reports.layout import Block, Cell, Facts, Notice, Section, Table

_TITLE = Text(en="Does it know when it does not know?", zh="不確定性")
_MOST_ROWS = 12


def uncertainty(document: EvaluationDocument) -> Section:
    """Return what is promised, the coverage found, and risk against answers."""
    found = document.uncertainty
    if found is None:
        return Section("uncertainty", "", ())
    blocks: list[Block] = [_promise(found)]
    if found.coverage:
        blocks += [drawings.coverage(found), _coverage_table(found)]
    short = [name for name, one in found.coverage.items() if _falls_short(one, found)]
    if short:
        blocks.append(Notice(filled(_SHORT, groups=_listed(short))))
    if found.selective:
        blocks += [drawings.selective(found), _selective_table(found)]
    return Section("uncertainty", _TITLE, blocks)


_SHORT = Text(
    en="Less often right than promised, by the whole interval: {groups}. The promise holds on "
    "average, not in every group.",
    zh="涵蓋率低於承諾值(整個區間均低於):{groups}。承諾僅就平均成立,非各組均成立。",
)


def _falls_short(rate: Rate, found: Uncertainty) -> bool:
    return rate.interval is not None and rate.interval[1] < 1 - found.alpha


def _listed(names: list[str]) -> Text:
    told = [wording.slice_named(name) for name in sorted(names)]
    return Text(en=", ".join(one.en for one in told), zh="、".join(one.zh for one in told))


def _promise(found: Uncertainty) -> Facts:
    split = filled(
        Text(en="{first} and {second}", zh="{first} 與 {second}"),
        first=f"{found.calibration_cases:,}",
        second=f"{found.test_cases:,}",
    )
    return Facts(
        (
            (
                Text(en="Promised coverage of a new patient", zh="對新病人承諾之涵蓋率"),
                interval(*found.promised),
            ),
            (Text(en="Patients to calibrate and to test", zh="校準與測試之病人數"), split),
            (
                Text(
                    en="An answer is given up to a non-conformity of", zh="納入答案之不符合度上限"
                ),
                number(found.threshold),
            ),
            (
                Text(en="Patients with exactly one answer", zh="僅有單一答案之病人"),
                rate_cell(found.certain),
            ),
        )
    )


def _coverage_table(found: Uncertainty) -> Table:
    columns = (WHERE, CASES, Text(en="coverage (95 % interval)", zh="涵蓋率(95% 區間)"))
    rows: list[tuple[Cell, ...]] = [
        (
            wording.slice_named(name),
            NONE if one.of is None else f"{one.of:,}",
            rate_cell(one),
        )
        for name, one in everyone_first(found.coverage)
    ]
    caption = filled(
        Text(
            en="Of the test part: how often the truth is among the answers given; {least} is "
            "promised on average.",
            zh="測試部分:答案包含真值之比例;平均承諾為 {least}。",
        ),
        least=number(1 - found.alpha, 2),
    )
    return Table(caption, columns, rows, frozenset({1, 2}))


def _selective_table(found: Uncertainty) -> Table:
    columns = (
        Text(en="least confidence", zh="最低信心"),
        Text(en="answered", zh="作答比例"),
        Text(en="of these wrong (95 % interval)", zh="其中錯誤(95% 區間)"),
    )
    points = found.selective
    step = max(1, -(-len(points) // _MOST_ROWS))
    rows = [
        (number(least, 2), f"{100 * answered:.0f} %", f"{number(wrong)} ({interval(low, high)})")
        for least, answered, wrong, low, high in points[::step]
    ]
    caption = Text(
        en="What is wrong when only patients of at least that confidence are answered.",
        zh="僅回答信心不低於該值之病人時的錯誤率。",
    )
    return Table(caption, columns, rows, frozenset({0, 1, 2}))
