"""Who acts in the register during the demo: one person for each seat, all of them invented.

Nobody signs what they or, for a national centre, their house wrote, so the people are of
different houses. A person has one role and keeps it over every record.
"""

from federation.operations.embedded_registry import Actor

HOSPITAL = "Demo hospital"
VALIDATION = "Clinical AI validation centre (demo)"
RESPONSIBLE_AI = "Responsible AI centre (demo)"
IMPACT = "AI impact research centre (demo)"
DATA_HOUSE = "Data review council (demo, invented)"
BOARD = "Joint ethics board (demo)"

OWNER = Actor("demo-ai-owner", HOSPITAL, "HAO")
"""Answers for the model at the hospital: plans evaluations, opens the dossier."""

COMMITTEE = Actor("demo-committee", HOSPITAL, "HAC")
"""The hospital's AI committee: lets a study start."""

APPROVER = Actor("demo-approver", VALIDATION, "VAL-A")
"""Logs evaluation plans and judges their results."""

EVALUATOR = Actor("demo-evaluator", VALIDATION, "VAL-E")
"""Checks documents, and verifies the record of the training run."""

REVIEWER = Actor("demo-reviewer", RESPONSIBLE_AI, "RAI-A")
"""Accepts a missed threshold, together with the approver."""

REGISTRAR = Actor("demo-registrar", RESPONSIBLE_AI, "RAI-R")
"""Takes a version with a complete card into the register."""

DATA_STAFF = Actor("demo-data-staff", DATA_HOUSE, "NHI-S")
"""Looks whether a data application is whole."""

DATA_COUNCIL = Actor("demo-data-council", DATA_HOUSE, "NHI-C")
"""Decides on data applications."""

ETHICS = Actor("demo-ethics", BOARD, "IRB")
"""Lets a study be registered."""

LEAD = Actor("demo-study-lead", IMPACT, "IMP-P")
"""Writes the protocol, logs the analysis plan, locks the data."""

STATISTICIAN = Actor("demo-statistician", IMPACT, "IMP-S")
"""Sees no outcome before the data are locked."""
