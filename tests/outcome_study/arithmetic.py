"""An outcome study's sums over hospitals that are only tables: no keys, no masks, no processes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from clients.data.outcomes.reading import read_outcomes
from clients.data.outcomes.store import OutcomeRow
from clients.outcome_study.columns import Columns, columns_for
from clients.outcome_study.summing import summaries_of
from federation.domain.outcome_plan import OutcomePlan
from federation.domain.study import Study
from federation.operations.outcomes.concluding import Ran, conclude
from federation.operations.outcomes.fitting import Course, Sums, start_of
from federation.wire.outcome_sums import layout_of
from tests.builders import a_study
from tests.outcome_study.published import Data

SITES = 3


@dataclass(frozen=True)
class Summed:
    """Where the fits of some data stand after all sums, and the sums."""

    study: Study
    plan: OutcomePlan
    course: Course
    sums: Sequence[Sums]

    def analysis(self, name: str) -> dict[str, Any]:
        """Return what one analysis came to."""
        ran = Ran(self.study, "run-1", "sha256:0", 1, ["a", "b", "c"])
        said = conclude(ran, self.sums)["analyses"]
        found: dict[str, Any] = next(one for one in said if one["name"] == name)
        return found


def plan_of(data: Data) -> OutcomePlan:
    """Return the protocol of some data."""
    return OutcomePlan(data.variables, data.clock, data.analyses, data.limits, None, ())


def summed(data: Data) -> Summed:
    """Return what all sums of some data say, added up as rows of whole numbers."""
    plan = plan_of(data)
    sites = [_columns(data, plan, at) for at in range(SITES)]
    course, found = start_of(plan), list[Sums]()
    for number in range(1, plan.sums + 1):
        state = course.state
        layout = layout_of(plan, number, state)
        rows = [layout.row(summaries_of(plan, number, state, one)) for one in sites]
        found.append(layout.summaries(rows[0] + rows[1] + rows[2]))
        course = course.after(number, found[-1])
    return Summed(replace(a_study(), outcomes=plan), plan, course, found)


def _columns(data: Data, plan: OutcomePlan, at: int) -> Columns:
    lines = read_outcomes(data.csv_of(at, SITES), plan)
    return columns_for([OutcomeRow(one.patient, one.values) for one in lines], plan)
