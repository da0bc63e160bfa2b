"""Make the study of an outcome study: the protocol that people edit, over the enrolled hospitals.

`plan_study` gives a valid one to begin with; `check_still` asks the roster again when it is
submitted, so that an edited plan cannot name a hospital with another key.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from federation.coordinator.home import CentreHome
from federation.domain.ids import Sha256, SiteId, StudyId
from federation.domain.outcome_plan import (
    Analysis,
    Baseline,
    Binary,
    Category,
    Clock,
    Cox,
    Limits,
    Logistic,
    Numeric,
    OutcomePlan,
    Survival,
    TiesBy,
    Unit,
    Variable,
    Weighted,
    Weights,
)
from federation.domain.study import Purpose, Study, no_training
from federation.errors.outcomes import OutcomePlanError
from federation.operations.evaluations.planning import peers_of
from federation.recipes.catalogue import OUTCOME_TABLE, recipe
from federation.wire.outcome_plan import FEWEST_PEERS, MOST_CELLS
from federation.wire.outcome_sums import largest_row
from federation.wire.study import digest_of_study
from federation.wording import Text

EXAMPLE_VARIABLES: tuple[Variable, ...] = (
    Binary("ai"),
    Numeric("age", 18.0, 100.0),
    Category("sex", ("F", "M")),
    Binary("readmitted"),
)
EXAMPLE_ANALYSES: tuple[Analysis, ...] = (
    Survival("survival", "ai", 12.0),
    Cox("hazard", ("ai", "age", "sex"), TiesBy.EFRON, Baseline.BY_HOSPITAL),
    Logistic("readmission", "readmitted", ("ai", "age", "sex")),
    Weighted("effect", "ai", "readmitted", ("age", "age^2", "sex"), Weights.STABILISED),
)
EXAMPLE_CLOCK = Clock(Unit.MONTH, 1.0, 24.0)
DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks for; the rest has a default or follows from the roster.

    `table` is the name under which hospitals add their tables.
    """

    study: StudyId
    table: str
    expires: datetime
    sites: Sequence[SiteId] = ()
    quorum: int = FEWEST_PEERS
    title: str = ""
    impact_study: str | None = None
    purpose: Purpose = Purpose.MEDICAL_CARE
    variables: tuple[Variable, ...] = EXAMPLE_VARIABLES
    analyses: tuple[Analysis, ...] = EXAMPLE_ANALYSES
    clock: Clock | None = EXAMPLE_CLOCK
    limits: Limits = DEFAULT_LIMITS


def plan_study(home: CentreHome, wanted: Wanted) -> Study:
    """Return an outcome study.

    Raises
    ------
    EvaluationPlanError
        If a site is not enrolled, or they are fewer than three.
    OutcomePlanError
        If its sums would be larger than a reply may carry.
    """
    plan = OutcomePlan(
        variables=wanted.variables,
        clock=wanted.clock,
        analyses=wanted.analyses,
        limits=wanted.limits,
        impact_study=wanted.impact_study,
        peers=peers_of(home, wanted.sites),
    )
    check_size(plan)
    study = Study(
        id=wanted.study,
        title=wanted.title or f"Outcomes of {wanted.table}",
        purpose=wanted.purpose,
        recipe=OUTCOME_TABLE,
        recipe_digest=recipe(OUTCOME_TABLE).digest,
        cohort=wanted.table,
        sites=tuple(peer.site for peer in plan.peers),
        quorum=wanted.quorum,
        training=no_training(plan.rounds),
        privacy=None,
        heldout_fraction=1.0,
        seed=0,
        expires=wanted.expires.isoformat(),
        digest=Sha256.of(b""),
        outcomes=plan,
    )
    return replace(study, digest=digest_of_study(study))


def check_still(home: CentreHome, study: Study) -> OutcomePlan:
    """Return the protocol of a study if the roster still says the same.

    Raises
    ------
    OutcomePlanError
        If it is another kind of study, a site is not as enrolled, or it is too large.
    EvaluationPlanError
        If a site is not enrolled.
    """
    plan = study.outcomes
    if plan is None or study.recipe_digest != recipe(OUTCOME_TABLE).digest:
        raise OutcomePlanError(why=_OTHER_KIND)
    if peers_of(home, study.sites) != plan.peers:
        raise OutcomePlanError(why=_OTHER_KEYS)
    check_size(plan)
    return plan


def check_size(plan: OutcomePlan) -> None:
    """Raise OutcomePlanError where a sum would be larger than a reply may carry."""
    if largest_row(plan) > MOST_CELLS:
        raise OutcomePlanError(why=_TOO_LARGE)


_OTHER_KIND = Text(en="the study is of another kind", zh="此研究並非結果研究")
_OTHER_KEYS = Text(
    en="a hospital's node key is not the one that is enrolled now; plan again",
    zh="有醫院的節點金鑰與目前註冊者不同;請重新規劃",
)
_TOO_LARGE = Text(
    en="times and covariates make too many numbers for one sum; take a coarser clock",
    zh="時點與共變數之數值量超出單次加總上限;請採較粗的時間網格",
)
