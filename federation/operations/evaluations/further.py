"""What the families of their own come to: pairs of versions, uncertainty, explanations.

Each follows from a version's sum alone, but for pairs, which also need the first version's.
What may not be shown is a refusal, what cannot be computed a failure with its code; both
stand in the assessment with those of the other families.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from federation.domain.evaluation_plan import Conformal, EvaluationPlan
from federation.errors.base import PlatformError
from federation.evaluation.assessment import Assessment, Failure
from federation.evaluation.explained import ShownMoments, shown_checks
from federation.evaluation.sliced import EVERYONE, SlicedScores
from federation.evaluation.suppression import CellRule, Refusal
from federation.evaluation.uncertainty import (
    NAME,
    Parts,
    Uncertainty,
    assess_uncertainty,
    refusals_of,
)
from federation.evaluation.versions import VersionsCompared, compare_versions
from federation.operations.campaign.summing import SumFound

Result = TypeVar("Result")


@dataclass(slots=True)
class Further:
    """What was found, what may not be shown, what could not be computed."""

    paired: VersionsCompared | None = None
    uncertainty: Uncertainty | None = None
    explained: Mapping[str, ShownMoments] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def as_json(self, asked: EvaluationPlan, *, is_first: bool) -> dict[str, object]:
        """Return the document's parts; what the protocol did not ask for has no key."""
        said: dict[str, object] = {}
        if asked.paired is not None and not is_first:
            said["paired"] = [] if self.paired is None else [self.paired.as_json()]
        if asked.uncertainty is not None:
            said["uncertainty"] = None if self.uncertainty is None else self.uncertainty.as_json()
        if asked.explainability is not None:
            said["explainability"] = {
                "cases_per_site": asked.explainability.cases,
                "path_steps": asked.explainability.steps,
                "statistics": {name: one.as_json() for name, one in self.explained.items()},
            }
        return said


def further_of(
    found: SumFound,
    first: SumFound,
    asked: EvaluationPlan,
    assessment: Assessment,
    *,
    rule: CellRule,
    cuts: Sequence[float],
) -> Further:
    """Return what the families of their own come to.

    Parameters
    ----------
    first
        The sum of the plan's first version.
    assessment
        Of this version: only the slices that it shows are looked at.
    cuts
        Where its ROC curve is shown; empty where it is not.
    """
    further, total = Further(), found.total
    if EVERYONE not in assessment.slices:
        return further
    if total.joint is not None:
        further.paired = _pair(further, found, first, rule)
    if total.tested is not None and asked.uncertainty is not None:
        groups = [name for name in assessment.slices if name != EVERYONE]
        parts = total.scores, total.tested
        further.uncertainty = _uncertainty(further, parts, asked.uncertainty, rule, (groups, cuts))
    if total.explained:
        checks = shown_checks(total.explained, rule)
        further.explained = checks.shown
        further.refusals += checks.refusals
    return further


def _pair(
    further: Further, found: SumFound, first: SumFound, rule: CellRule
) -> VersionsCompared | None:
    joint, against = found.total.joint, first.version.entry
    assert joint is not None  # it was asked for
    return _shown(
        further,
        f"paired {against}",
        lambda: compare_versions(
            joint,
            own=found.total.scores.histogram(EVERYONE),
            first=first.total.scores.histogram(EVERYONE),
            against=against,
            rule=rule,
        ),
    )


def _uncertainty(
    further: Further,
    parts: tuple[SlicedScores, SlicedScores],
    asked: Conformal,
    rule: CellRule,
    shown: tuple[Sequence[str], Sequence[float]],
) -> Uncertainty | None:
    groups, cuts = shown
    found = _shown(
        further,
        NAME,
        lambda: assess_uncertainty(
            Parts(*parts), alpha=asked.alpha, rule=rule, groups=groups, cuts=cuts
        ),
    )
    further.refusals += [] if found is None else list(refusals_of(found))
    return found


def _shown(further: Further, name: str, work: Callable[[], Result | Refusal]) -> Result | None:
    """Return what `work` found; note why it may not be shown or cannot be computed."""
    try:
        found = work()
    except PlatformError as error:
        further.failures.append(Failure(name, error))
        return None
    if isinstance(found, Refusal):
        further.refusals.append(found)
        return None
    return found
