"""Reports of evaluations, impact studies, economic models and dossiers, in both languages.

    document = read_evaluation(content)                       # `documents`: refused if unsafe
    html = evaluation_report(document, Language.EN)           # whole, with its figures inside
    pdf = as_pdf(html)                                        # A4; needs weasyprint

Reading order: `documents` (what is read, with its limits), `layout` (a report is sections
of words, tables and figures), `evaluation`, `economics`, `outcomes`, `impact`, `dossier`
(pure: from a document to a layout), `rendering` (HTML), `pdf`. The same document gives the
same bytes.
"""

from registry.reports.dossier import dossier_report
from registry.reports.economics import economics_report
from registry.reports.evaluation import evaluation_report
from registry.reports.impact import impact_report
from registry.reports.outcomes import outcome_report
from registry.reports.pdf import as_pdf

__all__ = [
    "as_pdf",
    "dossier_report",
    "economics_report",
    "evaluation_report",
    "impact_report",
    "outcome_report",
]
