"""What the policy says of a version, rule by rule, the worst first."""

from federation.evaluation.policy import Verdict
from federation.figures.canvas import filled
from federation.wording import Language, Text, without_fields
from registry.reports import wording
from registry.reports.documents.evaluation import EvaluationDocument, Finding
from registry.reports.layout import Cell, Section, Table, named


def findings(document: EvaluationDocument) -> Section:
    """Return the policy's findings, each with what to do next."""
    columns = (
        Text(en="rule", zh="規則"),
        Text(en="result", zh="結果"),
        Text(en="why", zh="說明"),
        Text(en="what to do next", zh="後續處理"),
    )
    caption = filled(
        Text(
            en="Policy {digest}, thresholds for {risk}.",
            zh="政策 {digest},適用{risk}之門檻。",
        ),
        digest=document.decision.policy_sha256[:12],
        risk=wording.RISKS[document.decision.risk],
    )
    rows = [_finding(one, document) for one in _worst_first(document)]
    table = Table(caption, columns, rows)
    return Section("decision", Text(en="What the policy says", zh="政策判定"), (table,))


def _worst_first(document: EvaluationDocument) -> list[Finding]:
    order = list(Verdict)[::-1]
    return sorted(document.decision.findings, key=lambda one: order.index(one.verdict))


def _finding(one: Finding, document: EvaluationDocument) -> tuple[Cell, ...]:
    reason = Text(
        en=_in_words(without_fields(one.reason["en"]), document, Language.EN),
        zh=_in_words(without_fields(one.reason["zh-Hant-TW"]), document, Language.ZH_HANT_TW),
    )
    title = wording.RULES.get(one.rule, named(one.rule))
    return title, wording.FINDINGS[one.verdict], reason, wording.NEXT[one.verdict]


def _in_words(reason: str, document: EvaluationDocument, language: Language) -> str:
    """Return a reason in which groups and variables have their names for people."""
    for name in sorted(document.assessment.slices, key=len, reverse=True):
        if "=" in name:
            reason = reason.replace(name, wording.slice_named(name).say(language))
    for one in document.drift:
        if reason.startswith(f"{one.variable} "):
            rest = reason.removeprefix(f"{one.variable} ")
            return f"{wording.variable(one.variable).say(language)} {rest}"
    return reason
