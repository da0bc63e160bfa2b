"""Count predictions into what a protocol asks for: pure, no file, no clock, no torch."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from clients.evaluation_study.predictions import Predictions
from federation.domain.evaluation_plan import SEVERITIES, EvaluationPlan, Family
from federation.evaluation.drift import BinCounts
from federation.evaluation.membership import loss_histogram
from federation.evaluation.scores import GRID, ScoreHistogram
from federation.evaluation.sliced import SlicedScores
from federation.wire.statistics import BINS, DRIFT_EDGES, SiteStatistics

Mask = NDArray[np.bool_]


def statistics_of(found: Predictions, plan: EvaluationPlan) -> SiteStatistics:
    """Return the counts of a site for one version."""
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
