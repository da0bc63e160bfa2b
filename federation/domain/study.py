"""A study: what is to be trained, where, why, and at what privacy price.

A study is what a hospital approves. Its digest covers every field, so nothing
of it can change after the approval without a new one.
"""

from dataclasses import dataclass
from enum import Enum

from federation.domain.evaluation_plan import EvaluationPlan
from federation.domain.ids import Sha256, SiteId, StudyId
from federation.domain.outcome_plan import OutcomePlan
from federation.domain.transitions import Transitions


class StudyState(Enum):
    """Where a study stands at the centre."""

    DRAFT = "draft"
    PROPOSED = "proposed"
    APPROVED = "approved"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


STUDY = Transitions(
    start=StudyState.DRAFT,
    table={
        StudyState.DRAFT: frozenset({StudyState.PROPOSED, StudyState.STOPPED}),
        StudyState.PROPOSED: frozenset(
            {StudyState.APPROVED, StudyState.FAILED, StudyState.STOPPED}
        ),
        StudyState.APPROVED: frozenset({StudyState.RUNNING, StudyState.FAILED, StudyState.STOPPED}),
        StudyState.RUNNING: frozenset(
            {StudyState.COMPLETED, StudyState.FAILED, StudyState.STOPPED}
        ),
        StudyState.COMPLETED: frozenset(),
        StudyState.FAILED: frozenset({StudyState.PROPOSED}),
        StudyState.STOPPED: frozenset({StudyState.PROPOSED}),
    },
)


class Purpose(Enum):
    """The lawful purposes of NHI data for AI (source 002, point 7)."""

    PUBLIC_HEALTH = "public-health"
    MEDICAL_CARE = "medical-care"


class PrivacyLevel(Enum):
    """Who cannot be told from what a study publishes."""

    PATIENT = "patient"
    HOSPITAL = "hospital"


@dataclass(frozen=True, slots=True)
class CentralPlan:
    """The noise with which the centre hides one hospital among the others, every round.

    On top of what each hospital does for its patients, and only as good as the centre
    is honest: it sees each update before it adds the noise.

    Parameters
    ----------
    clip_norm
        L2 bound of one hospital's update.
    noise_multiplier
        Standard deviation of the noise on the sum divided by `clip_norm`. The sum is
        divided by the number of the study's sites, whoever answered.
    """

    clip_norm: float
    noise_multiplier: float


@dataclass(frozen=True, slots=True)
class CountsPlan:
    """Noisy counts on the dataset card, instead of suppressed exact ones.

    Parameters
    ----------
    sigma
        The noise's parameter in patients. What it costs is within the study's epsilon.
    """

    sigma: float


@dataclass(frozen=True, slots=True)
class PrivacyPlan:
    """The patient-level guarantee a study asks for, at every site.

    Parameters
    ----------
    epsilon, delta
        What each site may spend at most over the whole study, add/remove one
        patient.
    clip_norm
        L2 bound of one patient's gradient.
    noise_multiplier
        Standard deviation of the noise divided by `clip_norm`; None lets each
        site compute the smallest one that keeps the plan within epsilon.
    central
        Besides, the noise of the centre; None for the patient level alone.
    counts
        Noisy counts that each site releases once; None where the card holds
        suppressed ones.
    """

    epsilon: float
    delta: float
    clip_norm: float
    noise_multiplier: float | None = None
    central: CentralPlan | None = None
    counts: CountsPlan | None = None

    @property
    def level(self) -> PrivacyLevel:
        """Return who is protected: always the patients, and the hospital where asked."""
        return PrivacyLevel.PATIENT if self.central is None else PrivacyLevel.HOSPITAL


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How each site trains in a round. `batch_size` counts patients.

    A study that evaluates, or looks at outcomes, has `rounds` alone (`no_training`).
    """

    rounds: int
    local_epochs: float
    learning_rate: float
    batch_size: int
    optimizer: str
    momentum: float = 0.0


def no_training(rounds: int) -> TrainingPlan:
    """Return the plan of a study that only evaluates, in so many rounds."""
    return TrainingPlan(
        rounds=rounds, local_epochs=0.0, learning_rate=0.0, batch_size=0, optimizer="none"
    )


@dataclass(frozen=True, slots=True)
class Study:
    """What hospitals approve or refuse.

    `privacy` is None for a study without differential privacy, which a site's
    policy must explicitly allow. `quorum` is the fewest sites whose updates
    make a round. `evaluation` is the protocol of a study that trains nothing and
    evaluates registered versions, `outcomes` that of one that looks at tables of
    outcomes; at most one of them is there, and neither for training. `digest` covers
    every other field and the recipe's digest.
    """

    id: StudyId
    title: str
    purpose: Purpose
    recipe: str
    recipe_digest: Sha256
    cohort: str
    sites: tuple[SiteId, ...]
    quorum: int
    training: TrainingPlan
    privacy: PrivacyPlan | None
    heldout_fraction: float
    seed: int
    expires: str
    digest: Sha256
    evaluation: EvaluationPlan | None = None
    outcomes: OutcomePlan | None = None

    @property
    def protocol(self) -> EvaluationPlan | OutcomePlan | None:
        """Return what a study fixes that trains nothing; None for training."""
        return self.evaluation if self.outcomes is None else self.outcomes
