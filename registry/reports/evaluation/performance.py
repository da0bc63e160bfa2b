"""How well a version tells, whether its probabilities hold, and what acting on them gains."""

from collections.abc import Mapping

from federation.evaluation.sliced import EVERYONE
from federation.figures.canvas import filled
from federation.figures.numerals import estimate, interval, number
from federation.wording import Text
from registry.reports import wording
from registry.reports.documents.evaluation import EvaluationDocument, SliceFigures
from registry.reports.evaluation import figures as drawings
from registry.reports.evaluation.cells import (
    MEASURE,
    NOT_COMPUTED,
    VALUE,
    WHERE,
    estimated,
    everyone_first,
    known_rates,
    rate_cell,
)
from registry.reports.layout import Block, Cell, Notice, Section, Table


def discrimination(document: EvaluationDocument) -> Section:
    """Return the ROC curve with its numbers."""
    found = document.assessment
    blocks: list[Block] = []
    if document.curves and document.curves.roc and EVERYONE in found.slices:
        blocks.append(drawings.roc(document.curves, found.slices[EVERYONE]))
    if EVERYONE in found.slices:
        blocks.append(_whole_table(document, found.slices[EVERYONE]))
    else:
        blocks.append(Notice(_NOTHING))
    title = Text(en="Can it tell who has the finding?", zh="鑑別力")
    return Section("discrimination", title, blocks)


_NOTHING = Text(
    en="Nothing of this evaluation may be shown: one class has too few cases.",
    zh="本評估無法顯示任何數值:其中一類個案過少。",
)


def _whole_table(document: EvaluationDocument, whole: SliceFigures) -> Table:
    bootstrap = document.assessment.bootstrap
    rows: list[tuple[Cell, ...]] = [
        (Text(en="AUROC (DeLong)", zh="AUROC(DeLong 法)"), estimated(whole)),
        (
            Text(en="AUROC, bootstrap interval", zh="AUROC 之拔靴區間"),
            interval(*bootstrap) if bootstrap else NOT_COMPUTED,
        ),
        (Text(en="Average precision", zh="平均精確度"), number(whole.average_precision)),
        *((name, rate_cell(whole.rates[rate])) for rate, name in known_rates(whole)),
    ]
    caption = filled(
        Text(
            en="Everyone, {cases} patients{found}; rates at the threshold {threshold}.",
            zh="全部個案,共 {cases} 位病人{found};比率於閾值 {threshold} 計算。",
        ),
        cases=f"{whole.cases:,}",
        found=_with_finding(whole),
        threshold=number(document.plan.threshold, 2),
    )
    return Table(caption, (MEASURE, VALUE), rows, frozenset({1}))


def _with_finding(whole: SliceFigures) -> Text | str:
    """Return how many have the finding, where the sensitivity tells it."""
    rate = whole.rates.get("sensitivity")
    if rate is None or rate.of is None:
        return ""
    said = Text(en=", {count} of them with the finding", zh="(其中 {count} 位有所見)")
    return filled(said, count=f"{rate.of:,}")


def calibration(document: EvaluationDocument) -> Section:
    """Return the reliability curve with its numbers."""
    found, blocks = document.assessment, list[Block]()
    if document.curves and document.curves.reliability:
        blocks.append(drawings.reliability(document.curves))
    whole = found.slices.get(EVERYONE)
    if whole is not None:
        blocks.append(_calibration_table(found.slices))
    title = Text(en="Do its probabilities mean what they say?", zh="校準度")
    return Section("calibration", title, blocks)


def _calibration_table(slices: Mapping[str, SliceFigures]) -> Table:
    columns = (
        WHERE,
        Text(en="slope", zh="斜率"),
        Text(en="in the large", zh="整體校準"),
        Text(en="calibration error", zh="校準誤差(ECE)"),
        Text(en="Brier", zh="Brier 分數"),
    )
    rows = [
        (
            wording.slice_named(name),
            estimate(one.slope.value, *one.slope.ends, 2) if one.slope else NOT_COMPUTED,
            estimate(one.in_the_large.value, *one.in_the_large.ends, 2)
            if one.in_the_large
            else NOT_COMPUTED,
            number(one.ece),
            number(one.brier),
        )
        for name, one in everyone_first(slices)
    ]
    caption = Text(
        en="A slope of 1 and 0 in the large are ideal. Calibration error: ten groups of equal "
        "width, those of few cases joined with a neighbour.",
        zh="斜率 1、整體校準 0 為理想值。校準誤差以十個等寬組計算,個案過少者併入鄰組。",
    )
    return Table(caption, columns, rows, frozenset({1, 2, 3, 4}))


def benefit(document: EvaluationDocument) -> Section:
    """Return the decision curve with its numbers."""
    curve, blocks = document.assessment.net_benefit, list[Block]()
    whole = document.assessment.slices.get(EVERYONE)
    if curve:
        blocks.append(drawings.decision(curve, whole.cases if whole else None))
        columns = (
            Text(en="threshold", zh="閾值機率"),
            Text(en="model", zh="模型"),
            Text(en="treat all", zh="全部處置"),
            Text(en="best", zh="最佳者"),
        )
        rows = [
            (
                number(one.threshold, 2),
                number(one.model),
                number(one.treat_all),
                _best(one.model, one.treat_all),
            )
            for one in curve
        ]
        caption = Text(
            en="Net benefit, in true positives a patient; treating none is 0.",
            zh="淨效益,以每位病人之真陽性計;全部不處置為 0。",
        )
        blocks.append(Table(caption, columns, rows, frozenset({0, 1, 2})))
    return Section("benefit", Text(en="Is acting on it worth it?", zh="臨床淨效益"), blocks)


_SHOWN = 0.0005
"""Net benefits closer than this look alike in the table."""


def _best(model: float, treat_all: float) -> Text:
    if abs(model - max(treat_all, 0.0)) < _SHOWN:
        return Text(en="no difference", zh="無差異")
    if model > max(treat_all, 0.0):
        return Text(en="model", zh="模型")
    if treat_all > 0:
        return Text(en="treat all", zh="全部處置")
    return Text(en="treat none", zh="全部不處置")
