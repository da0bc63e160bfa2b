"""Where a report comes from, so that others can check it."""

from federation.wording import Text
from registry.reports import wording
from registry.reports.documents.evaluation import EvaluationDocument
from registry.reports.layout import Cell, Chip, Facts, Section, Tone


def provenance(document: EvaluationDocument, source: str) -> Section:
    """Return what was evaluated, under which protocol, and how exactly."""
    about = document.about
    logged: Cell = _NOT_LOGGED if about.log_index is None else f"{about.log_index:,}"
    facts = Facts(
        (
            (Text(en="Version", zh="版本"), about.entry),
            (Text(en="Model file", zh="模型檔"), about.weights),
            (Text(en="Protocol, logged before the run", zh="方案(執行前登錄)"), about.protocol),
            (Text(en="Place in the evidence log", zh="證據紀錄之位置"), logged),
            (Text(en="Study and run", zh="研究與執行"), f"{about.study} · {about.run}"),
            (Text(en="Hospitals", zh="院所"), ", ".join(about.sites)),
            (Text(en="How exact", zh="精確程度"), wording.EXACTNESS[about.exactness]),
            (Text(en="How counts were added", zh="加總方式"), wording.MASKED[about.masked]),
            (Text(en="Policy", zh="政策"), f"sha256:{document.decision.policy_sha256}"),
            (Text(en="This report was made from", zh="本報告之來源文件"), source),
        )
    )
    return Section("provenance", Text(en="Where it comes from", zh="來源與可驗證性"), (facts,))


_NOT_LOGGED = Chip(Text(en="not in the log", zh="未登錄"), Tone.STOP)
