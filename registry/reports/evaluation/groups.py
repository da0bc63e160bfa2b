"""Whether a version is as good for everyone: every group, and the gaps between them."""

from federation.figures.numerals import NONE, estimate, number, p_value
from federation.wording import Text
from registry.reports import wording
from registry.reports.documents.evaluation import EvaluationDocument, Gap
from registry.reports.evaluation import figures as drawings
from registry.reports.evaluation.cells import MEASURE, WHERE, parts_table
from registry.reports.layout import Block, Section, Table


def groups(document: EvaluationDocument) -> Section:
    """Return the groups and the gaps between them."""
    found, blocks = document.assessment, list[Block]()
    if len(found.slices) > 1:
        blocks += [drawings.by_group(found), parts_table(found.slices)]
    if found.fairness is not None and found.fairness.gaps:
        if drawings.has_gaps_to_draw(found.fairness):
            blocks.append(drawings.gaps(found.fairness))
        blocks.append(_gaps_table(found.fairness.gaps, found.fairness.purpose))
        blocks.append(_DETECTABLE)
    return Section("groups", Text(en="Is it as good for everyone?", zh="各族群之公平性"), blocks)


_DETECTABLE = Text(
    en="The smallest gap that could be found (power 0.8) stands beside each gap of rates: where "
    "it is wide, finding nothing proves nothing.",
    zh="各比率差距旁列出可偵測的最小差距(檢定力 0.8);若此值偏大,未發現差距並不表示沒有差距。",
)


def _gaps_table(gaps: tuple[Gap, ...], purpose: object) -> Table:
    columns = (
        MEASURE,
        WHERE,
        Text(en="against", zh="參考組"),
        Text(en="gap (interval)", zh="差距(區間)"),
        Text(en="adjusted p", zh="校正後 p 值"),
        Text(en="detectable gap", zh="可偵測之最小差距"),
    )
    rows = [
        (
            wording.GAPS[one.figure],
            wording.slice_named(one.group),
            wording.slice_named(one.reference),
            estimate(one.gap, *one.interval),
            p_value(one.adjusted_p),
            number(one.detectable) if one.detectable is not None else NONE,
        )
        for one in gaps
    ]
    caption = next(said for one, said in wording.PURPOSES.items() if one is purpose)
    return Table(caption, columns, rows, frozenset({3, 4, 5}))
