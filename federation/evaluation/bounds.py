"""What a ranking, or a mean error, says of cells at a threshold that are not shown.

Of cases with the finding below the threshold (missed) and cases without it above (wrong),
each pair is out of order. So few pairs out of order, as an AUROC near 1 says, and many
wrong cases leave few missed ones possible. In the same way squared errors that add up to
little bound how many scores lie far off. Where such a bound rules out a count that a small
cell might have, something more must stay hidden.
"""

import math
from dataclasses import dataclass

from federation.evaluation.auroc import auroc
from federation.evaluation.calibration import brier
from federation.evaluation.discrimination import average_precision
from federation.evaluation.operating_points import Confusion, first_bin
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.suppression import CellRule

_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class _Class:
    """The cases of one class at the threshold: called wrongly and rightly, and how many may be.

    `least` and `most` bound the wrong ones by what else is known.
    """

    wrong: int
    right: int
    least: float
    most: float

    def is_narrowed(self, rule: CellRule) -> bool:
        """Say whether a small cell cannot be anything from 1 to k-1."""
        of = self.wrong + self.right
        least, most = max(0, math.ceil(self.least - _SLACK)), math.floor(self.most + _SLACK)
        ranges = ((self.wrong, least, most), (self.right, of - most, of - least))
        return any(
            rule.is_small(count) and (low > 1 or high < rule.k - 1) for count, low, high in ranges
        )


def ranking_narrows(histogram: ScoreHistogram, counts: Confusion, rule: CellRule) -> bool:
    """Say whether AUROC or average precision, with one class' cells, narrow the other's.

    Only where one class' cells may be shown: with all four hidden nothing follows.
    """
    small = [_has_small(counts, rule), _has_small(_swapped(counts), rule)]
    ranked = histogram.positives.any() and histogram.negatives.any()
    if not ranked or all(small) or not any(small):
        return False
    found = _missed(histogram, counts) if small[0] else _false(histogram, counts)
    return found.is_narrowed(rule)


def error_narrows(
    histogram: ScoreHistogram, counts: Confusion, threshold: float, rule: CellRule
) -> bool:
    """Say whether the Brier score narrows a small cell, whatever else is shown."""
    steps, first = len(histogram.positives) - 1, first_bin(histogram, threshold)
    below, above = (first - 1) / steps, first / steps
    total = brier(histogram) * histogram.patients
    missed, wrong = counts.false_negatives, counts.false_positives
    found, refused = counts.true_positives, counts.true_negatives
    far, near = (1 - below) ** 2, (1 - above) ** 2
    classes = (
        _Class(
            missed,
            found,
            _ratio(total - (missed + found) * near - wrong - refused * below**2, 1 - near, 0.0),
            (total - wrong * above**2) / far,
        ),
        _Class(
            wrong,
            refused,
            _ratio(total - (wrong + refused) * below**2 - missed - found * near, 1 - below**2, 0.0),
            _ratio(total - missed * far, above**2, math.inf),
        ),
    )
    return any(one.is_narrowed(rule) for one in classes)


def _has_small(counts: Confusion, rule: CellRule) -> bool:
    return rule.is_small(counts.true_positives) or rule.is_small(counts.false_negatives)


def _swapped(counts: Confusion) -> Confusion:
    """Return the counts with the classes' names exchanged."""
    return Confusion(
        counts.true_negatives,
        counts.false_negatives,
        counts.true_positives,
        counts.false_positives,
    )


def _missed(histogram: ScoreHistogram, counts: Confusion) -> _Class:
    """Return the missed cases that the ranking allows where the wrong ones are known."""
    disordered, lost = _disorder(histogram)
    m, wrong = counts.true_positives + counts.false_negatives, counts.false_positives
    most = min(m, _ratio(disordered, wrong, math.inf), _ratio(lost * (m + wrong), wrong, math.inf))
    least = _ratio(disordered - m * wrong, counts.true_negatives, 0.0)
    return _Class(counts.false_negatives, counts.true_positives, least, most)


def _false(histogram: ScoreHistogram, counts: Confusion) -> _Class:
    """Return the wrong cases that the ranking allows where the missed ones are known."""
    disordered, lost = _disorder(histogram)
    m, missed = counts.true_positives + counts.false_negatives, counts.false_negatives
    n = counts.true_negatives + counts.false_positives
    by_precision = _ratio(lost * m, missed - lost, math.inf) if missed > lost else math.inf
    most = min(n, _ratio(disordered, missed, math.inf), by_precision)
    least = _ratio(disordered - n * missed, counts.true_positives, 0.0)
    return _Class(counts.false_positives, counts.true_negatives, least, most)


def _disorder(histogram: ScoreHistogram) -> tuple[float, float]:
    """Return the pairs out of order, ties by half, and the precision lost over all cases."""
    m, n = int(histogram.positives.sum()), int(histogram.negatives.sum())
    return (1 - auroc(histogram)) * m * n, (1 - average_precision(histogram)) * m


def _ratio(above: float, below: float, otherwise: float) -> float:
    return above / below if below > 0 else otherwise
