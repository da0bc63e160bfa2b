"""What users think of a model's answers, as counts only.

A single answer, its case and its words stay at the site (REGISTRY.md B.3); what comes
here is how many users of a role agreed in a period. A record counts when the site's data
steward has confirmed that it shows nobody.
"""

from registry.feedback.noun import NOUN

__all__ = ["NOUN"]
