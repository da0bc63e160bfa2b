"""Have the cases changed? Distances between a frozen reference and now.

Counts on a grid that was fixed with the reference give PSI, KS, Jensen-Shannon and
chi-square exactly. For images or many features: the maximum mean discrepancy, by random
Fourier features (Rahimi and Recht 2007) approximately, for a quadratic kernel exactly.
"""

from dataclasses import dataclass, field

import numpy as np

from federation.errors.evaluation import (
    EmptySliceError,
    OutOfRangeError,
    ScoreInvalidError,
    SummariesDifferError,
)
from federation.evaluation.sums import (
    AGREED,
    COUNTED,
    SUMMED,
    Counts,
    Floats,
    Sums,
    refuse_shape,
)
from federation.evaluation.tails import chi_square_tail

FEATURES = 512
FLOOR = 0.5
"""What an empty bin counts as in PSI, in cases."""


@dataclass(frozen=True, eq=False)
class BinCounts(Sums):
    """Cases by bin of one variable; the edges were agreed with the reference.

    Parameters
    ----------
    variable
        Its name in the protocol.
    edges
        The inner edges, ascending, shape (bins - 1,).
    cases
        Shape (bins,).
    """

    kind = "bins"
    variable: str = field(metadata=AGREED)
    edges: Floats = field(metadata=AGREED)
    cases: Counts = field(metadata=COUNTED)

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError unless edges ascend and there is one bin more than they are."""
        if np.ndim(self.edges) != 1 or not (np.diff(self.edges) > 0).all():
            raise refuse_shape("edges", "ascending numbers")
        if np.shape(self.cases) != (len(self.edges) + 1,):
            raise refuse_shape("cases", f"{len(self.edges) + 1} counts")

    @classmethod
    def of(cls, variable: str, values: Floats, edges: Floats) -> "BinCounts":
        """Return the counts of values; a value on an edge belongs above it.

        Raises
        ------
        ScoreInvalidError
            If a value is not a number.
        """
        if np.isnan(values).any():
            raise ScoreInvalidError(field=variable, actual="not numbers", expected="numbers")
        inside = np.searchsorted(edges, values, side="right")
        return cls(variable, edges, np.bincount(inside, minlength=len(edges) + 1))


@dataclass(frozen=True, slots=True)
class Drift:
    """Four distances between the reference and now; 0 means none."""

    psi: float
    ks: float
    jensen_shannon: float
    chi_square: float
    p_value: float


def drift(reference: BinCounts, now: BinCounts) -> Drift:
    """Return the distances of two counts on the same bins.

    Raises
    ------
    SummariesDifferError
        If variable or bins differ.
    EmptySliceError
        If either has no case.
    """
    if reference.variable != now.variable or not np.array_equal(reference.edges, now.edges):
        raise SummariesDifferError(field="edges")
    old, new = reference.cases, now.cases
    if not old.sum() or not new.sum():
        raise EmptySliceError(name=reference.variable)
    statistic, p_value = chi_square(old, new)
    return Drift(psi(old, new), ks(old, new), jensen_shannon(old, new), statistic, p_value)


def psi(old: Counts, new: Counts) -> float:
    """Return the population stability index, sum of (p-q) ln(p/q); empty bins count 0.5."""
    p = np.maximum(old, FLOOR) / old.sum()
    q = np.maximum(new, FLOOR) / new.sum()
    return float(((p - q) * np.log(p / q)).sum())


def ks(old: Counts, new: Counts) -> float:
    """Return the largest distance of the two distribution functions on the grid."""
    return float(np.abs(np.cumsum(old) / old.sum() - np.cumsum(new) / new.sum()).max())


def jensen_shannon(old: Counts, new: Counts) -> float:
    """Return the Jensen-Shannon divergence in bits, 0 to 1."""
    p, q = old / old.sum(), new / new.sum()
    middle = (p + q) / 2
    return (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2


def chi_square(old: Counts, new: Counts) -> tuple[float, float]:
    """Return Pearson's statistic of the two rows and its p-value; empty bins are left out."""
    table = np.array([old, new], dtype=np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 0.0, 1.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, chi_square_tail(statistic, table.shape[1] - 1)


@dataclass(frozen=True, eq=False)
class FeatureSums(Sums):
    """Sums of a feature map over cases, for the maximum mean discrepancy."""

    kind = "features"
    map_name: str = field(metadata=AGREED)
    totals: Floats = field(metadata=SUMMED)
    cases: int = field(metadata=COUNTED)

    @property
    def mean(self) -> Floats:
        """Return the mean feature; EmptySliceError without cases."""
        if self.cases == 0:
            raise EmptySliceError(name=self.map_name)
        return self.totals / self.cases


@dataclass(frozen=True, slots=True)
class FourierMap:
    """Random features of a Gaussian kernel; the seed is shared, so all draw the same.

    Parameters
    ----------
    inputs
        Features of a case, p.
    bandwidth
        Of exp(-|x-y|²/(2 bandwidth²)), above zero.
    """

    inputs: int
    bandwidth: float
    seed: int
    features: int = FEATURES

    def __post_init__(self) -> None:
        if not self.bandwidth > 0:
            raise OutOfRangeError(field="bandwidth", actual=self.bandwidth, expected="above 0")

    def sums(self, cases: Floats) -> FeatureSums:
        """Return the summed features of cases of shape (n, p)."""
        rng = np.random.default_rng(self.seed)
        directions = rng.standard_normal((self.inputs, self.features)) / self.bandwidth
        phases = rng.uniform(0, 2 * np.pi, self.features)
        mapped = np.sqrt(2 / self.features) * np.cos(cases @ directions + phases)
        name = f"fourier-{self.seed}-{self.features}-{self.bandwidth!r}"
        return FeatureSums(name, mapped.sum(axis=0), len(cases))


def quadratic_sums(cases: Floats) -> FeatureSums:
    """Return the summed features of (xᵀy + 1)²: 1, √2 x and all products."""
    n, p = cases.shape
    products = (cases.T @ cases).ravel()
    totals = np.concatenate([[float(n)], np.sqrt(2) * cases.sum(axis=0), products])
    return FeatureSums(f"quadratic-{p}", totals, n)


def squared_discrepancy(reference: FeatureSums, now: FeatureSums) -> float:
    """Return MMD², the squared distance of the mean features (the biased estimate).

    Raises
    ------
    SummariesDifferError
        If the feature maps differ.
    """
    if reference.map_name != now.map_name:
        raise SummariesDifferError(field="map_name")
    return float(((reference.mean - now.mean) ** 2).sum())


def _relative_entropy(p: Floats, q: Floats) -> float:
    seen = p > 0
    return float((p[seen] * np.log2(p[seen] / q[seen])).sum())
