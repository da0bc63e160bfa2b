"""Hand an evaluation in: the plan checked against the register, its records planned, kept.

    study = submit_plan(home, study, writer=..., approver=...)

The protocol's digest is in the register's log with the planned records, before the study
is even proposed; the run logs it once more, as the study that hospitals approve.
"""

from dataclasses import dataclass

from federation.coordinator.home import CentreHome
from federation.domain.study import Study
from federation.evaluation.policy import default_policy
from federation.operations.embedded_registry import Actor
from federation.operations.evaluations.planning import check_still
from federation.operations.evaluations.records import plan_records
from federation.operations.launch import submit


@dataclass(frozen=True, slots=True)
class People:
    """Who writes an evaluation's records, and who of the validation centre logs the plan."""

    writer: Actor
    approver: Actor | None = None


def submit_plan(home: CentreHome, study: Study, people: People) -> list[str]:
    """Keep the study of an evaluation at the centre; return the ids of its planned records.

    Raises
    ------
    EvaluationPlanError, ProtocolChangedError
        If the register or roster says otherwise, or it was planned with another protocol.
    PlatformError
        What the register or the centre refuses.
    """
    check_still(home, study)
    ids = plan_records(
        home, study, default_policy(), writer=people.writer, approver=people.approver
    )
    submit(home, study)
    return ids
