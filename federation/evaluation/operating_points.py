"""What a threshold does: four counts, five rates with intervals, and net benefit.

A case is called positive if its score on the grid is at the threshold or above.
Decision curves: Vickers and Elkin, Medical Decision Making 26:565 (2006).
"""

import math
from dataclasses import dataclass, field

from federation.errors.evaluation import EmptySliceError
from federation.evaluation.proportions import Proportion
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.sums import COUNTED, Sums
from federation.evaluation.tails import check_open_unit


@dataclass(frozen=True, eq=False)
class Confusion(Sums):
    """Cases by what was called and what was true."""

    kind = "confusion"
    true_positives: int = field(metadata=COUNTED)
    false_positives: int = field(metadata=COUNTED)
    true_negatives: int = field(metadata=COUNTED)
    false_negatives: int = field(metadata=COUNTED)

    @property
    def cases(self) -> int:
        """Return how many cases there are."""
        return (
            self.true_positives + self.false_positives + self.true_negatives + self.false_negatives
        )

    @property
    def sensitivity(self) -> Proportion:
        """Return the true positive rate."""
        return Proportion(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def specificity(self) -> Proportion:
        """Return the true negative rate."""
        return Proportion(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def false_positive_rate(self) -> Proportion:
        """Return one minus the specificity."""
        return Proportion(self.false_positives, self.true_negatives + self.false_positives)

    @property
    def positive_predictive_value(self) -> Proportion:
        """Return the precision."""
        return Proportion(self.true_positives, self.true_positives + self.false_positives)

    @property
    def negative_predictive_value(self) -> Proportion:
        """Return how many of those called negative are."""
        return Proportion(self.true_negatives, self.true_negatives + self.false_negatives)


@dataclass(frozen=True, slots=True)
class NetBenefit:
    """What a model is worth at one threshold probability, in true positives a case.

    `avoided` is the net number of interventions saved per 100 cases against treating all.
    """

    threshold: float
    model: float
    treat_all: float
    avoided: float

    @property
    def is_best(self) -> bool:
        """Return whether the model beats treating all and treating none."""
        return self.model > max(self.treat_all, 0.0)


def confusion(histogram: ScoreHistogram, threshold: float) -> Confusion:
    """Return the four counts at a threshold inside (0, 1), put on the grid upwards.

    Raises
    ------
    EmptySliceError
        If there is no case.
    """
    histogram.check_not_empty("threshold")
    first = first_bin(histogram, threshold)
    called, truths = int(histogram.positives[first:].sum()), int(histogram.positives.sum())
    wrong, others = int(histogram.negatives[first:].sum()), int(histogram.negatives.sum())
    return Confusion(called, wrong, others - wrong, truths - called)


def net_benefit(counts: Confusion, threshold: float) -> NetBenefit:
    """Return NB = TP/n - FP/n pt/(1-pt), with its two defaults.

    Raises
    ------
    EmptySliceError
        If there is no case.
    """
    check_open_unit("threshold", threshold)
    if counts.cases == 0:
        raise EmptySliceError(name="net benefit")
    odds, n = threshold / (1 - threshold), counts.cases
    prevalence = (counts.true_positives + counts.false_negatives) / n
    model = counts.true_positives / n - counts.false_positives / n * odds
    treat_all = prevalence - (1 - prevalence) * odds
    return NetBenefit(threshold, model, treat_all, 100 * (model - treat_all) / odds)


def first_bin(histogram: ScoreHistogram, threshold: float) -> int:
    """Return the lowest bin at or above the threshold, forgiving the last decimal."""
    check_open_unit("threshold", threshold)
    return math.ceil(threshold * (len(histogram.positives) - 1) - 1e-9)
