"""Whether a version remembers its patients."""

from federation.figures.canvas import filled
from federation.figures.numerals import estimate, interval, number
from federation.wording import Text
from registry.reports.documents.evaluation import EvaluationDocument
from registry.reports.evaluation.cells import HIDDEN
from registry.reports.layout import Facts, Section


def privacy(document: EvaluationDocument) -> Section:
    """Return what a membership attack achieves."""
    found = document.attack
    if found is None:
        return Section("privacy", "", ())
    points = [
        (
            filled(
                Text(
                    en="Members found at a false positive rate of {rate} (95 % interval)",
                    zh="偽陽性率 {rate} 時可辨識之訓練個案比例(95% 區間)",
                ),
                rate=f"{100 * one.allowed:g} %",
            ),
            interval(*one.interval) if one.interval else HIDDEN,
        )
        for one in found.points
    ]
    facts = Facts(
        (
            (
                Text(en="AUROC of the attack (0.5 is a guess)", zh="攻擊之 AUROC(0.5 等於猜測)"),
                estimate(found.auroc.value, *found.auroc.ends),
            ),
            (
                Text(en="Advantage over guessing", zh="相對於猜測之優勢"),
                number(found.advantage),
            ),
            *points,
        )
    )
    title = Text(en="Does it remember its patients?", zh="是否記住訓練病人")
    return Section("privacy", title, (facts,))
