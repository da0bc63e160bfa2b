"""Reader studies: every reader rates every case with and without the AI (E20).

    total = functools.reduce(operator.add, sent)       # `Readings` of all hospitals
    found = compare_readers(total, figure=Figure.AUROC, inference=Inference.RANDOM)

The analysis of variance of Obuchowski and Rockette (Commun Stat Simul Comput 1995; 24:285)
with the degrees of freedom of Hillis (Stat Med 2007; 26:596), for two arms, fully crossed.

A hospital sends, for each pair of conditions (a reader with one arm), how many cases with
and without the finding had each pair of ratings. Placement values need the counts of all
hospitals together and nothing else, so the result is that of all cases in one place.
"""

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from federation.errors.evaluation import AllTiedError, SummaryInvalidError
from federation.errors.impact import TooFewClustersError
from federation.errors.privacy import SingleClassError
from federation.evaluation.sums import AGREED, COUNTED, LARGEST_SIZE, Counts, Floats, Sums
from federation.evaluation.tails import Estimate
from federation.impact.inference import Inferred
from federation.wording import Text

ARMS = 2
"""With the AI and without it."""

NOTHING = 1e-15
"""A variance of figures from 0 to 1 that is rounding."""

_READERS = Text(en="readers", zh="判讀者")


class Covariance(Enum):
    """How the covariance of two readers' figures is estimated; all are exact on the counts."""

    DELONG = "delong"
    JACKKNIFE = "jackknife"
    UNBIASED = "unbiased"


class Inference(Enum):
    """To whom the result applies: which of readers and cases are a sample of others."""

    RANDOM = "random"
    FIXED_READERS = "fixed-readers"
    FIXED_CASES = "fixed-cases"


class Figure(Enum):
    """What is computed for a reader."""

    AUROC = "auroc"
    SENSITIVITY = "sensitivity"
    SPECIFICITY = "specificity"


@dataclass(frozen=True, eq=False)
class Readings(Sums):
    """Pairs of ratings of the same cases, for every pair of conditions.

    Condition ``arm * R + reader``: first the R readers with the intervention, then without.
    Pair p of conditions i < j in the order of ``numpy.triu_indices(2 R, 1)``.

    Parameters
    ----------
    readers
        The R names, the same at all hospitals.
    positives, negatives
        Cases with and without the finding, int64, shape (pairs, ratings, ratings).
    """

    kind = "readings"
    readers: tuple[str, ...] = field(metadata=AGREED)
    positives: Counts = field(metadata=COUNTED)
    negatives: Counts = field(metadata=COUNTED)

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError unless there is a square table for each pair."""
        shape = np.shape(self.positives)
        square = len(shape) == 3 and shape[1] == shape[2] and shape[1] >= 2
        if not square or shape != np.shape(self.negatives) or shape[0] != self.pairs:
            raise _refused("of another shape", "a square table for each pair of conditions")
        for counts in (self.positives, self.negatives):
            if not _one_margin_each(counts, self.conditions):
                raise _refused("contradictory", "the same ratings of a reader in each pair")

    @classmethod
    def of(cls, ratings: Counts, truths: NDArray[np.bool_], readers: tuple[str, ...],
           levels: int) -> Self:  # fmt: skip
        """Return the counts of cases.

        Parameters
        ----------
        ratings
            0 to levels - 1, shape (cases, 2, R): first with the intervention.
        truths
            Whether a case has the finding, shape (cases,).
        """
        flat = ratings.reshape(len(truths), ARMS * len(readers))
        first, second = np.triu_indices(flat.shape[1], 1)
        return cls(
            readers,
            _pairs(flat[truths], first, second, levels),
            _pairs(flat[~truths], first, second, levels),
        )

    @property
    def conditions(self) -> int:
        """Return how many readers with an arm there are."""
        return ARMS * len(self.readers)

    @property
    def pairs(self) -> int:
        """Return how many pairs of conditions there are."""
        return self.conditions * (self.conditions - 1) // 2

    @property
    def cases(self) -> tuple[int, int]:
        """Return how many cases have the finding, and how many have not."""
        return int(self.positives[0].sum()), int(self.negatives[0].sum())


@dataclass(frozen=True, slots=True)
class Components:
    """The model's variances: of an error, and the covariances of two figures.

    `same_reader` is Cov1 (one reader, two arms), `same_arm` Cov2 (two readers, one arm),
    `neither` Cov3; `interaction` is the mean square of arm by reader.
    """

    error: float
    same_reader: float
    same_arm: float
    neither: float
    interaction: float
    readers: float

    @property
    def shared(self) -> float:
        """Return what readers' errors share within an arm and not across, zero at least."""
        return max(self.same_arm - self.neither, 0.0)


@dataclass(frozen=True, slots=True)
class ReaderComparison:
    """With the intervention less without it.

    Parameters
    ----------
    figures
        Of each reader, shape (2, R): first with the intervention.
    """

    figures: tuple[tuple[float, ...], ...]
    difference: Inferred
    arms: tuple[Inferred, Inferred]
    components: Components


def compare_readers(
    readings: Readings,
    *,
    figure: Figure = Figure.AUROC,
    threshold: int | None = None,
    covariance: Covariance = Covariance.DELONG,
    inference: Inference = Inference.RANDOM,
) -> ReaderComparison:
    """Return how readers do with the intervention and without it.

    Parameters
    ----------
    threshold
        Of sensitivity and specificity: the lowest rating that calls a case positive.

    Raises
    ------
    SingleClassError
        If there are fewer than two cases with, or without, the finding.
    TooFewClustersError
        If readers are a sample and there is one.
    AllTiedError
        If no two readings differ, so that there is nothing to test.
    """
    positives, negatives = readings.cases
    if positives < 2 or negatives < 2:
        raise SingleClassError(positives=positives, negatives=negatives)
    count = len(readings.readers)
    if count < 2 and inference is not Inference.FIXED_READERS:
        raise TooFewClustersError(found=count, units=_READERS, needed=2)
    scored = _Scored.of(readings, figure, threshold)
    matrix = scored.covariance(covariance)
    return compare_figures(scored.means.reshape(ARMS, count), matrix, inference)


def compare_figures(figures: Floats, matrix: Floats, inference: Inference) -> ReaderComparison:
    """Return how readers do, from their figures and the covariance of these.

    Parameters
    ----------
    figures
        Shape (2, R): first with the intervention.
    matrix
        Covariance over cases, shape (2 R, 2 R), in the order of `Readings`.

    Raises
    ------
    AllTiedError
        If there is no variance, so that there is nothing to test.
    """
    count = figures.shape[1]
    parts = _components(figures, matrix)
    difference = _difference(float(figures[0].mean() - figures[1].mean()), parts, count, inference)
    if not difference.estimate.variance > NOTHING:
        raise AllTiedError(figure="difference of readers")
    arms = [_arm(figures, matrix, arm, inference) for arm in range(ARMS)]
    told = tuple(tuple(map(float, row)) for row in figures)
    return ReaderComparison(told, difference, (arms[0], arms[1]), parts)


@dataclass(frozen=True, slots=True)
class _Scored:
    """Each rating's score: of a case with the finding (C, L) and without it (C, L)."""

    readings: Readings
    with_it: Floats
    without: Floats
    means: Floats
    kernel: Floats | None

    @classmethod
    def of(cls, readings: Readings, figure: Figure, threshold: int | None) -> "_Scored":
        with_it = _margins(readings.positives, readings.conditions)
        without = _margins(readings.negatives, readings.conditions)
        if figure is Figure.AUROC:
            kernel = _beats(with_it.shape[1])
            first, second = without @ kernel.T, with_it @ kernel
            first, second = first / without.sum(1)[:, None], second / with_it.sum(1)[:, None]
            means = (with_it * first).sum(1) / with_it.sum(1)
            return cls(readings, first, second, means, kernel)
        called = (np.arange(with_it.shape[1]) >= (threshold or 0)).astype(float)
        called = np.tile(called, (readings.conditions, 1))
        none = np.zeros_like(called)
        if figure is Figure.SENSITIVITY:
            means = (with_it * called).sum(1) / with_it.sum(1)
            return cls(readings, called, means[:, None] + none, means, None)
        means = (without * (1 - called)).sum(1) / without.sum(1)
        return cls(readings, means[:, None] + none, 1 - called, means, None)

    def covariance(self, method: Covariance) -> Floats:
        """Return the covariance of all figures, shape (C, C)."""
        (m, n), count = self.readings.cases, self.readings.conditions
        matrix = np.zeros((count, count))
        for one, other, found, lost in _tables(self.readings):
            above = _cross(found, self._off(self.with_it, one), self._off(self.with_it, other))
            below = _cross(lost, self._off(self.without, one), self._off(self.without, other))
            match method:
                case Covariance.DELONG:
                    value = above / (m - 1) / m + below / (n - 1) / n
                case Covariance.JACKKNIFE:
                    all_ = m + n
                    value = (all_ - 1) / all_ * (above / (m - 1) ** 2 + below / (n - 1) ** 2)
                case Covariance.UNBIASED:
                    value = self._unbiased(found, lost, one, other, above, below)
            matrix[one, other] = matrix[other, one] = value
        return matrix

    def _off(self, scores: Floats, condition: int) -> Floats:
        off: Floats = scores[condition] - self.means[condition]
        return off

    def _unbiased(self, found: Counts, lost: Counts, one: int, other: int, above: float,
                  below: float) -> float:  # fmt: skip
        """Return the unbiased covariance of two U-statistics (Gallas, Acad Radiol 2006; 13:353).

        With d = a case's score less its mean, the three sums of products of d are those over
        cases with the finding, cases without it, and pairs of both.
        """
        m, n = self.readings.cases
        if self.kernel is None:
            return above / (m - 1) / m + below / (n - 1) / n
        gaps = (self.kernel - self.means[one], self.kernel - self.means[other])
        both = float((found * (gaps[0] @ lost @ gaps[1].T)).sum())
        return (n * n * above + m * m * below - both) / (m * n * (m - 1) * (n - 1))


def _components(figures: Floats, matrix: Floats) -> Components:
    """Return the model's parts from figures (2, R) and their covariance (2 R, 2 R)."""
    count = figures.shape[1]
    apart = ~np.eye(count, dtype=bool)
    block = matrix.reshape(ARMS, count, ARMS, count)
    of_arms = [block[0, :, 0, :], block[1, :, 1, :]]
    across = block[0, :, 1, :]
    gaps = figures[0] - figures[1]
    middle = figures.mean(axis=0)
    free = max(count - 1, 1)
    return Components(
        error=float(np.mean([np.diag(one).mean() for one in of_arms])),
        same_reader=float(np.diag(across).mean()),
        same_arm=float(np.mean([one[apart].mean() for one in of_arms])) if count > 1 else 0.0,
        neither=float(across[apart].mean()) if count > 1 else 0.0,
        interaction=float(((gaps - gaps.mean()) ** 2).sum() / 2 / free),
        readers=float(2 * ((middle - middle.mean()) ** 2).sum() / free),
    )


def _difference(value: float, parts: Components, count: int, inference: Inference) -> Inferred:
    match inference:
        case Inference.RANDOM:
            denominator = parts.interaction + count * parts.shared
            freedom = _freedom(denominator, parts.interaction, count)
        case Inference.FIXED_CASES:
            denominator, freedom = parts.interaction, float(count - 1)
        case Inference.FIXED_READERS:
            denominator = parts.error - parts.same_reader + (count - 1) * parts.shared
            freedom = math.inf
    return Inferred(Estimate(value, max(2 / count * denominator, 0.0)), freedom)


def _arm(figures: Floats, matrix: Floats, arm: int, inference: Inference) -> Inferred:
    """Return the mean of an arm, from that arm's readings alone."""
    own = figures[arm]
    count = len(own)
    block = matrix.reshape(ARMS, count, ARMS, count)[arm, :, arm, :]
    error = float(np.diag(block).mean())
    shared = max(float(block[~np.eye(count, dtype=bool)].mean()), 0.0) if count > 1 else 0.0
    spread = float(own.var(ddof=1)) if count > 1 else 0.0
    match inference:
        case Inference.RANDOM:
            variance = spread + count * shared
            freedom = _freedom(variance, spread, count)
        case Inference.FIXED_CASES:
            variance, freedom = spread, float(count - 1)
        case Inference.FIXED_READERS:
            variance, freedom = error + (count - 1) * shared, math.inf
    return Inferred(Estimate(float(own.mean()), variance / count), freedom)


def _freedom(denominator: float, square: float, count: int) -> float:
    """Return Hillis's degrees of freedom; without variance among readers there are infinite."""
    return math.inf if square == 0 else denominator**2 / (square**2 / (count - 1))


def _tables(readings: Readings) -> list[tuple[int, int, Counts, Counts]]:
    """Return the tables of all pairs, and of each condition with itself (diagonal)."""
    count = readings.conditions
    first, second = np.triu_indices(count, 1)
    with_it = _margins(readings.positives, count)
    without = _margins(readings.negatives, count)
    alone = [(i, i, np.diag(with_it[i]), np.diag(without[i])) for i in range(count)]
    pairs = zip(first, second, readings.positives, readings.negatives, strict=True)
    return [*alone, *((int(i), int(j), found, lost) for i, j, found, lost in pairs)]


def _margins(counts: Counts, conditions: int) -> Counts:
    """Return how often each rating was given in each condition, shape (conditions, ratings)."""
    first = counts[: conditions - 1]  # the pairs of condition 0
    others = [one.sum(axis=0) for one in first]
    return np.stack([first[0].sum(axis=1), *others])


def _one_margin_each(counts: Counts, conditions: int) -> bool:
    margins = _margins(counts, conditions)
    first, second = np.triu_indices(conditions, 1)
    rows, columns = counts.sum(axis=2), counts.sum(axis=1)
    same = np.array_equal(rows, margins[first]) and np.array_equal(columns, margins[second])
    return bool(same)


def _pairs(flat: Counts, first: Counts, second: Counts, levels: int) -> Counts:
    if len(first) * levels * levels > LARGEST_SIZE:
        raise _refused("too large", f"at most {LARGEST_SIZE} numbers")
    cells = flat[:, first] * levels + flat[:, second]
    counted = [np.bincount(one, minlength=levels * levels) for one in cells.T]
    return np.stack(counted).reshape(len(first), levels, levels)


def _beats(levels: int) -> Floats:
    """Return 1 where rating a is above rating c, one half where they are the same."""
    above = np.tri(levels, levels, -1)
    return above + np.eye(levels) / 2


def _cross(counts: Counts, one: Floats, other: Floats) -> float:
    return float(one @ counts @ other)


def _refused(actual: str, expected: str) -> SummaryInvalidError:
    return SummaryInvalidError(field="readings", actual=actual, expected=expected)
