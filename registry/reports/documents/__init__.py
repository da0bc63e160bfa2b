"""What reports are made of, read strictly: every field known, every number finite, within limits.

    document = read_evaluation(content)        # federation/evaluation/report_document.py wrote it
    economics = read_economics(content)        # federation/economics/analysis.py wrote it
    outcomes = read_outcomes(content)          # federation/operations/outcomes wrote it

A document comes from elsewhere. One that cannot be read is refused with a list of what is
wrong; one that tells of fewer cases than its own rule allows is refused as a whole, before
anything of it is drawn.
"""

from registry.reports.documents.economics import EconomicDocument
from registry.reports.documents.evaluation import EvaluationDocument
from registry.reports.documents.outcomes import OutcomeDocument
from registry.reports.documents.reading import (
    MAX_BYTES,
    read_economics,
    read_evaluation,
    read_outcomes,
)

__all__ = [
    "MAX_BYTES",
    "EconomicDocument",
    "EvaluationDocument",
    "OutcomeDocument",
    "read_economics",
    "read_evaluation",
    "read_outcomes",
]
