"""The report of one version's evaluation: what the policy says, then every figure.

    html = evaluation_report(read_evaluation(content), Language.EN)

Pure but for the drawing: the layout follows from the document alone.
"""

from federation.evaluation.sliced import EVERYONE
from federation.figures.canvas import filled
from federation.figures.numerals import estimate, number
from federation.wording import Language, Text
from registry.reports import wording
from registry.reports.documents.evaluation import EvaluationDocument
from registry.reports.evaluation.cells import rate_cell
from registry.reports.evaluation.compared import compared
from registry.reports.evaluation.explanations import explanations
from registry.reports.evaluation.groups import groups
from registry.reports.evaluation.performance import benefit, calibration, discrimination
from registry.reports.evaluation.privacy import privacy
from registry.reports.evaluation.provenance import provenance
from registry.reports.evaluation.sites import sites
from registry.reports.evaluation.strain import drift, robustness
from registry.reports.evaluation.uncertainty import uncertainty
from registry.reports.evaluation.verdict import findings
from registry.reports.evaluation.withheld import withheld
from registry.reports.layout import Facts, Report
from registry.reports.rendering import render

KIND = Text(en="Evaluation report", zh="評估報告")


def evaluation_report(document: EvaluationDocument, language: Language) -> str:
    """Return the report as one HTML page with its figures inside."""
    return render(layout(document), language)


def layout(document: EvaluationDocument, digest: str | None = None) -> Report:
    """Return the report of an evaluation; `digest` is the document's where a part is left out."""
    source = digest or document.digest
    decision = document.decision
    said = filled(wording.VERDICT_SAID[decision.verdict], risk=wording.RISKS[decision.risk])
    sections = (
        findings(document),
        discrimination(document),
        compared(document),
        calibration(document),
        groups(document),
        sites(document),
        benefit(document),
        uncertainty(document),
        explanations(document),
        robustness(document),
        drift(document),
        privacy(document),
        withheld(document),
        provenance(document, source),
    )
    return Report(
        kind=KIND,
        title=document.about.entry,
        under=document.about.study,
        source=source,
        sections=[one for one in sections if one.blocks],
        verdict=(wording.VERDICTS[decision.verdict], said),
        facts=_overview(document),
    )


def _overview(document: EvaluationDocument) -> Facts | None:
    whole = document.assessment.slices.get(EVERYONE)
    if whole is None:
        return None
    threshold = filled(
        Text(en="at the threshold {threshold}", zh="於閾值 {threshold}"),
        threshold=number(document.plan.threshold, 2),
    )
    rates = [
        (_beside(wording.RATES[name], threshold), rate_cell(whole.rates[name]))
        for name in ("sensitivity", "specificity")
        if name in whole.rates
    ]
    seen = filled(
        Text(en="{cases} at {sites} hospitals", zh="{cases} 位,{sites} 家院所"),
        cases=f"{whole.cases:,}",
        sites=len(document.about.sites),
    )
    return Facts(
        (
            (Text(en="AUROC", zh="AUROC"), estimate(whole.auroc.value, *whole.auroc.ends)),
            *rates,
            (Text(en="Patients evaluated", zh="評估病人數"), seen),
        )
    )


def _beside(name: Text, more: Text) -> Text:
    return Text(en=f"{name.en} {more.en}", zh=f"{name.zh}({more.zh})")
