"""What becomes of a version when images get worse or patients change."""

from federation.evaluation.sliced import EVERYONE
from federation.figures.canvas import filled
from federation.figures.numerals import NONE, number, p_value
from federation.wording import Text
from registry.reports import wording
from registry.reports.documents.evaluation import EvaluationDocument
from registry.reports.evaluation import figures as drawings
from registry.reports.layout import Block, Cell, Notice, Section, Table, Tone, Words


def robustness(document: EvaluationDocument) -> Section:
    """Return the AUROC by corruption and severity."""
    if not document.robustness:
        return Section("robustness", "", ())
    whole = document.assessment.slices.get(EVERYONE)
    plain = whole.auroc.value if whole else None
    severities = max(len(one.aurocs) for one in document.robustness)
    columns: tuple[Words, ...] = (
        Text(en="what gets worse", zh="劣化方式"),
        *(str(one) for one in range(severities + 1)),
        Text(en="lost of what is above chance", zh="優於隨機部分之損失"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            wording.corruption(one.corruption),
            number(plain),
            *(number(found.value) for found in one.aurocs),
            *([NONE] * (severities - len(one.aurocs))),
            f"{100 * sum(one.relative) / max(1, len(one.relative)):.0f} %",
        )
        for one in document.robustness
    ]
    caption = Text(
        en="AUROC by severity, 0 being the image as it is; the mean loss.",
        zh="各嚴重程度之 AUROC(0 為原始影像),以及平均損失。",
    )
    blocks: list[Block] = [
        drawings.robustness(document),
        Table(caption, columns, rows, frozenset(range(1, severities + 3))),
    ]
    odd = [wording.corruption(one.corruption) for one in document.robustness if not one.monotone]
    if odd:
        said = Text(
            en="It gets better at some severity: {names}. Look at these corruptions.",
            zh="部分嚴重程度反而較佳:{names}。請檢視該劣化方式。",
        )
        names = Text(en=", ".join(one.en for one in odd), zh="、".join(one.zh for one in odd))
        blocks.append(Notice(filled(said, names=names), Tone.WAITING))
    return Section(
        "robustness", Text(en="What if images get worse?", zh="影像劣化之穩健性"), blocks
    )


def drift(document: EvaluationDocument) -> Section:
    """Return how far the patients are from those it was trained on."""
    if not document.drift:
        return Section("drift", "", ())
    columns = (
        Text(en="variable", zh="變項"),
        "PSI",
        "KS",
        Text(en="Jensen-Shannon (bits)", zh="Jensen-Shannon(位元)"),
        Text(en="p (chi-square)", zh="p 值(卡方)"),
    )
    rows = [
        (
            wording.variable(one.variable),
            number(one.psi),
            number(one.ks),
            number(one.jensen_shannon, 4),
            p_value(one.p_value),
        )
        for one in document.drift
    ]
    caption = Text(
        en="Against the patients it was trained on. PSI bands are convention: below 0.1 little, "
        "above 0.25 much.",
        zh="與訓練病人相比。PSI 分級為慣例:低於 0.1 變動小,高於 0.25 變動大。",
    )
    shown = [drawings.drift(one) for one in document.drift if one.distribution]
    table = Table(caption, columns, rows, frozenset({1, 2, 3, 4}))
    return Section("drift", Text(en="Have the patients changed?", zh="資料漂移"), (*shown, table))
