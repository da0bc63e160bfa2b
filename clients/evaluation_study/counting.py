"""Count predictions into what a protocol asks for: pure, no file, no clock, no torch."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from clients.evaluation_study.drawing import CALIBRATION, draw
from clients.evaluation_study.predictions import Predictions
from federation.domain.evaluation_plan import (
    SEVERITIES,
    Conformal,
    EvaluationPlan,
    Family,
    Pairing,
)
from federation.evaluation.drift import BinCounts
from federation.evaluation.membership import loss_histogram
from federation.evaluation.paired import JointHistogram
from federation.evaluation.scores import GRID, ScoreHistogram
from federation.evaluation.sliced import SlicedScores
from federation.wire.statistics import BINS, DRIFT_EDGES, SiteStatistics

Mask = NDArray[np.bool_]


def statistics_of(
    found: Predictions, plan: EvaluationPlan, *, seed: int, first: Predictions | None = None
) -> SiteStatistics:
    """Return the counts of a site for one version.

    Parameters
    ----------
    seed
        Of the study: it splits patients into those that calibrate and those that test.
    first
        What the first version said of the same cohort; None for the first itself.
    """
    unseen = ~found.members[found.scored.patient]
    return SiteStatistics(
        scores=_sliced(found, plan, unseen),
        corrupted={
            corruption: tuple(
                _histogram(found, 1 + place * SEVERITIES + step, unseen)
                for step in range(SEVERITIES)
            )
            for place, corruption in enumerate(plan.corruptions)
        },
        closeness=_closeness(found, unseen) if plan.asks(Family.PRIVACY) else None,
        drift=_drift(found, unseen) if plan.asks(Family.DRIFT) else {},
        tested=_tested(found, plan, unseen, plan.uncertainty, seed) if plan.uncertainty else None,
        joint=_joint(found, first, plan.paired) if plan.paired and first is not None else None,
        explained=found.explained.moments() if plan.explainability else {},
    )


def unseen_histogram(found: Predictions) -> ScoreHistogram:
    """Return the histogram of the cases that the version was not trained on."""
    return _histogram(found, 0, ~found.members[found.scored.patient])


def _sliced(found: Predictions, plan: EvaluationPlan, unseen: Mask) -> SlicedScores:
    one = found.scored
    values = found.traits.values[one.patient[unseen]]
    masks: dict[str, Mask] = {
        f"{family.family}={value}": values[:, at] == place
        for at, family in enumerate(plan.slices)
        for place, value in enumerate(family.values)
    }
    return SlicedScores.of(one.bins[unseen, 0], one.truths[unseen], masks, bin_count=BINS)


def _tested(
    found: Predictions, plan: EvaluationPlan, unseen: Mask, split: Conformal, seed: int
) -> SlicedScores:
    """Return the histograms of the cases that do not calibrate the threshold."""
    keys = found.keys.tolist()
    drawn = np.array([draw(seed, CALIBRATION, key) >= split.calibration for key in keys], bool)
    return _sliced(found, plan, unseen & drawn[found.scored.patient])


def _joint(found: Predictions, first: Predictions, grid: Pairing) -> JointHistogram:
    """Return this version's scores by those of the first, of cases that neither was trained on."""
    ours, theirs = _unseen(found), _unseen(first)
    _, one, two = np.intersect1d(_names(found)[ours], _names(first)[theirs], return_indices=True)
    mine, other = ours[one], theirs[two]
    return JointHistogram.of_bins(
        _coarser(found.scored.bins[mine, 0], grid.steps),
        _coarser(first.scored.bins[other, 0], grid.steps),
        found.scored.truths[mine],
        (grid.steps + 1, grid.steps + 1),
    )


def _unseen(found: Predictions) -> NDArray[np.int64]:
    return np.flatnonzero(~found.members[found.scored.patient])


def _names(found: Predictions) -> NDArray[np.str_]:
    """Return a name for every case: its patient, and whether it has the finding."""
    kinds = np.where(found.scored.truths, "+", "-")
    return np.char.add(kinds, found.keys[found.scored.patient])


def _coarser(bins: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
    """Return bins of 1/1000 on the grid 1/steps, halves to even."""
    return np.rint(bins * steps / GRID).astype(np.int64)


def _histogram(found: Predictions, column: int, cases: Mask) -> ScoreHistogram:
    one = found.scored
    return ScoreHistogram.of_bins(one.bins[cases, column], one.truths[cases], BINS)


def _closeness(found: Predictions, unseen: Mask) -> ScoreHistogram:
    """Return how close the version is to members and others; nothing where nobody is a member."""
    losses = found.scored.losses if not unseen.all() else np.zeros(0)
    return loss_histogram(losses, ~unseen[: len(losses)])


def _drift(found: Predictions, unseen: Mask) -> Mapping[str, tuple[BinCounts, BinCounts]]:
    """Return scores and ages of members, the reference, and of others; nothing without members."""
    one = found.scored
    values = {"score": one.bins[:, 0] / GRID, "age": found.traits.ages[one.patient]}
    none = unseen.all()
    return {
        name: (
            _bins(name, values[name], ~unseen),
            _bins(name, values[name], np.zeros_like(unseen) if none else unseen),
        )
        for name in DRIFT_EDGES
    }


def _bins(name: str, values: NDArray[np.float64], cases: Mask) -> BinCounts:
    """Count values by the fixed bins; what is unknown is in none."""
    known = values[cases & ~np.isnan(values)]
    return BinCounts.of(name, known, np.array(DRIFT_EDGES[name]))
