"""Whether a version is better than another on the same patients."""

from federation.figures.canvas import filled
from federation.figures.numerals import estimate, number, p_value
from federation.wording import Text
from registry.reports.documents.evaluation import EvaluationDocument
from registry.reports.documents.families import Paired
from registry.reports.evaluation import figures as drawings
from registry.reports.layout import Block, Cell, Section, Table, Words

_TITLE = Text(en="Is it better than another version?", zh="與其他版本之配對比較")


def compared(document: EvaluationDocument) -> Section:
    """Return each paired comparison: the difference in a figure, its numbers in words."""
    if not document.paired:
        return Section("compared", "", ())
    entry = document.about.entry
    blocks: list[Block] = [drawings.paired(one, entry) for one in document.paired]
    blocks.append(_table(document.paired))
    blocks += [_said(one) for one in document.paired]
    return Section("compared", _TITLE, blocks)


def _table(pairs: tuple[Paired, ...]) -> Table:
    columns: tuple[Words, ...] = (
        Text(en="against", zh="比較版本"),
        Text(en="patients (with, without)", zh="病人數(有、無)"),
        Text(en="AUROC, this version", zh="本版本 AUROC"),
        Text(en="AUROC, the other", zh="另一版本 AUROC"),
        Text(en="difference (95 % interval)", zh="差異(95% 區間)"),
        "z",
        Text(en="p-value", zh="p 值"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            one.against,
            f"{one.cases:,} ({one.positives:,}, {one.negatives:,})",
            number(one.auroc),
            number(one.auroc_against),
            estimate(one.difference.value, *one.difference.ends),
            number(one.z, 2),
            p_value(one.p_value),
        )
        for one in pairs
    ]
    caption = filled(
        Text(
            en="Same patients, unseen by both; DeLong, scores rounded to 1/{steps}.",
            zh="相同病人,兩版本訓練時均未使用;DeLong 法,分數四捨五入至 1/{steps}。",
        ),
        steps=pairs[0].steps,
    )
    return Table(caption, columns, rows, frozenset(range(1, 7)))


def _said(pair: Paired) -> Text:
    low, high = pair.difference.ends
    if low > 0:
        return filled(_BETTER, other=pair.against)
    if high < 0:
        return filled(_WORSE, other=pair.against)
    return filled(_UNSURE, other=pair.against)


_BETTER = Text(
    en="It tells better than {other}: the whole interval lies above zero.",
    zh="鑑別力優於 {other}:區間完全大於零。",
)
_WORSE = Text(
    en="It tells worse than {other}: the whole interval lies below zero.",
    zh="鑑別力不如 {other}:區間完全小於零。",
)
_UNSURE = Text(
    en="No sure difference from {other}: the interval holds zero. That is no proof that both are "
    "alike.",
    zh="與 {other} 未能確認差異:區間包含零;此並不證明兩者相同。",
)
