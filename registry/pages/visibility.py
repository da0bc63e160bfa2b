"""Which entries the public may know of: those that were ever on the register.

A candidate is no entry of the public register until the registrar registered it (T2) or a
change under an approved plan was (T12). What is suspended, rejected or retired after that
stays visible with its status; a draft that was rejected, suspended or retired never was.
For the public a hidden entry does not exist: the answer is the same as for a wrong number.
"""

from collections.abc import Sequence

from federation.evidence.model_version import ModelVersionState as State
from registry.records.ports import StoredRecord

ENTERED = frozenset(
    {
        State.REGISTERED.value,
        State.INTERNAL_EVAL.value,
        State.EXTERNAL_EVAL.value,
        State.RAI_APPROVED.value,
        State.SILENT.value,
        State.PILOT.value,
        State.LIVE.value,
        State.RESTRICTED.value,
    }
)
"""States that only a registered version reaches."""

LEFT = frozenset({State.SUSPENDED.value, State.RETIRED.value, State.REJECTED.value})
"""States that a draft may reach too."""


SHOWN_MODES = frozenset({"silent", "pilot", "live", "restricted", "suspended", "withdrawn"})
"""States of a deployment that the public is told; a plan is the hospital's own."""

TOLD_EVALUATIONS = frozenset({"logged", "judged", "accepted"})
"""States of an evaluation that the public is told of."""

TOLD_FIGURES = frozenset({"judged", "accepted"})
"""States of an evaluation whose figures the public is shown: those somebody judged."""

TOLD_STUDIES = frozenset({"reported"})
"""States of an impact study that the public is told of, with its report."""


def is_public(history: Sequence[StoredRecord]) -> bool:
    """Say whether an entry with this history is on the public register."""
    return any(record.state in ENTERED for record in history)
