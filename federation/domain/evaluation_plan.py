"""What an evaluation over hospitals fixes before it runs: versions, figures, thresholds, slices.

It is part of the study that hospitals approve (`Study.evaluation`), so its digest is
within the study's, and nothing of it can change after the approval or after the run.
Every version takes two rounds: `prepare` (score, keep the predictions, give a key for
the sum) and `sum` (the masked statistics). All are prepared before the first is summed,
so that all sums are over the same sites.
"""

from dataclasses import dataclass
from enum import Enum

from federation.domain.ids import RunId, Sha256, SiteId

EDITION = 1


class Family(Enum):
    """A family of figures. The first two follow from the same histogram as all the others."""

    DISCRIMINATION = "discrimination"
    CALIBRATION = "calibration"
    OPERATING_POINT = "operating-point"
    FAIRNESS = "fairness"
    NET_BENEFIT = "net-benefit"
    ROBUSTNESS = "robustness"
    DRIFT = "drift"
    PRIVACY = "privacy"
    PAIRED = "paired"
    UNCERTAINTY = "uncertainty"
    EXPLAINABILITY = "explainability"


class Corruption(Enum):
    """How images are made worse before they are scored."""

    NOISE = "noise"
    BLUR = "blur"
    CONTRAST = "contrast"
    ROTATION = "rotation"
    DOWN_SAMPLING = "down-sampling"
    WINDOW_SHIFT = "window-shift"


SEVERITIES = 5
"""Each corruption has so many severities; 0 is the image as it is."""


class Comparison(Enum):
    """Whether group comparisons confirm what was claimed, or look for what nobody expected."""

    CONFIRMATORY = "confirmatory"
    SCREENING = "screening"


@dataclass(frozen=True, slots=True)
class EvaluatedVersion:
    """One registered version.

    Parameters
    ----------
    entry
        Its name in the register.
    weights, array
        Content ids of the safetensors file, and of the flat float32 bytes that sites get.
    run, trained_at
        The run that trained it and the sites that took part: their patients of that run
        are left out.
    claim
        The AUROC that its maker claims.
    """

    entry: str
    weights: Sha256
    array: Sha256
    run: RunId
    trained_at: tuple[SiteId, ...]
    claim: float


@dataclass(frozen=True, slots=True)
class Slices:
    """One family of slices with its values, for example sex with F and M.

    Cases of another or no value belong to no slice of it.
    """

    family: str
    values: tuple[str, ...]
    reference: str


@dataclass(frozen=True, slots=True)
class Pairing:
    """How every later version is compared with the first, on the same patients.

    Parameters
    ----------
    steps
        Both scores of a case are counted together on the grid 1/steps; a whole part of
        1000, so that the coarser score follows from the one on the grid 1/1000.
    """

    steps: int


@dataclass(frozen=True, slots=True)
class Conformal:
    """What split conformal prediction promises, and how patients are split for it.

    Parameters
    ----------
    alpha
        How many new cases may lie outside their prediction set.
    calibration
        The share of patients that finds the threshold; the others test it.
    """

    alpha: float
    calibration: float


@dataclass(frozen=True, slots=True)
class Explaining:
    """How much of its time a hospital spends on explanations.

    Parameters
    ----------
    cases
        Patients that are explained at each hospital, at most.
    steps
        Points of the path along which gradients are added up.
    """

    cases: int
    steps: int


@dataclass(frozen=True, slots=True)
class Peer:
    """A site that may be in the sum, and its node's key: Ed25519, 64 hexadecimal digits.

    Hospitals approve these keys with the study, so that a centre cannot later invent a
    hospital and learn a sum of one.
    """

    site: SiteId
    node_key: str


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """The protocol.

    Parameters
    ----------
    threshold, decision_thresholds
        The operating point, and the declared range of threshold probabilities.
    smallest_cell
        k of the cell rule, 10 to 20.
    risk, policy
        The risk class, and the SHA-256 (64 hex) of the thresholds that decide.
    paired, uncertainty, explainability
        What their families need; None where a family is not asked for.
    """

    versions: tuple[EvaluatedVersion, ...]
    families: tuple[Family, ...]
    threshold: float
    decision_thresholds: tuple[float, ...]
    slices: tuple[Slices, ...]
    comparison: Comparison
    smallest_cell: int
    corruptions: tuple[Corruption, ...]
    risk: str
    policy: str
    peers: tuple[Peer, ...]
    paired: Pairing | None = None
    uncertainty: Conformal | None = None
    explainability: Explaining | None = None

    def asks(self, family: Family) -> bool:
        """Say whether figures of this family are asked for."""
        return family in self.families

    @property
    def rounds(self) -> int:
        """Return how many rounds it takes."""
        return 2 * len(self.versions)

    def step(self, number: int) -> "Step":
        """Return what a round, counted from 1, asks; raises `IndexError` beyond the last."""
        if not 1 <= number <= self.rounds:
            raise IndexError(number)
        count = len(self.versions)
        prepared = number if number <= count else number - count
        return Step(number, self.versions[prepared - 1], prepared)


@dataclass(frozen=True, slots=True)
class Step:
    """One round of an evaluation: of which version, and the number of its `prepare` round."""

    number: int
    version: EvaluatedVersion
    prepared: int

    @property
    def is_sum(self) -> bool:
        """Say whether the sum is asked; else the version is prepared."""
        return self.number != self.prepared

    @property
    def key_for(self) -> int | None:
        """Return for which sum the reply brings a key, by the round that gives it."""
        return None if self.is_sum else self.number
