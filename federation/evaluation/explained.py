"""What of the explanations' sanity checks (E12) may be shown: means and joined histograms.

The formulas are in `explainability`; a hospital computes one number a case with them, cut
to the span given here, so that no single case moves a mean by more than the span allows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from federation.evaluation.explainability import STEPS, CaseMoments
from federation.evaluation.rounding import coarse, coarse_estimate
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.suppression import CellRule, Reason, Refusal
from federation.evaluation.tails import Estimate

SPANS: Mapping[str, tuple[float, float]] = {
    "completeness": (0.0, 0.1),
    "randomisation": (-1.0, 1.0),
    "structure": (-1.0, 1.0),
    "deletion": (0.0, 1.0),
    "deletion-gain": (-1.0, 1.0),
}
"""The statistics of a case in their order, and the span that their histogram covers.

`completeness`: how far the attributions' sum is off. `randomisation`, `structure`: Spearman's
correlation and the SSIM of the map with that of a network with random weights. `deletion`:
the area under the score while pixels go, strongest first; `deletion-gain`: how much lower
it is than with pixels in random order.
"""


@dataclass(frozen=True, slots=True)
class ShownMoments:
    """One statistic over all explained cases; `histogram` has low end, high end and share."""

    cases: int
    mean: Estimate
    deviation: float
    span: tuple[float, float]
    histogram: tuple[tuple[float, float, float], ...]

    def as_json(self) -> dict[str, object]:
        """Return the statistic as data."""
        return {
            "cases": self.cases,
            "mean": {"value": self.mean.value, "interval": self.mean.interval().as_json()},
            "deviation": self.deviation,
            "span": list(self.span),
            "histogram": [list(one) for one in self.histogram],
        }


@dataclass(frozen=True, slots=True)
class ShownChecks:
    """The statistics that may be shown, by name, and why others are not."""

    shown: Mapping[str, ShownMoments]
    refusals: tuple[Refusal, ...]


def shown_checks(found: Mapping[str, CaseMoments], rule: CellRule) -> ShownChecks:
    """Return the statistics that may be shown.

    A map that is constant has no correlation, so statistics may differ in their cases; one
    that differs from a shown one by few would tell of these.
    """
    shown: dict[str, ShownMoments] = {}
    refusals = []
    for name, moments in found.items():
        refused = _refused(f"explainability {name}", moments, shown, rule)
        if refused is None:
            shown[name] = _shown(moments, rule)
        else:
            refusals.append(refused)
    return ShownChecks(shown, tuple(refusals))


def _refused(
    name: str, moments: CaseMoments, shown: Mapping[str, ShownMoments], rule: CellRule
) -> Refusal | None:
    if moments.cases < rule.k:
        return rule.refuse(name, Reason.SMALL_TOTAL)
    return rule.difference(
        name, {other: abs(one.cases - moments.cases) for other, one in shown.items()}
    )


def _shown(moments: CaseMoments, rule: CellRule) -> ShownMoments:
    low, high = (float(one) for one in moments.span)
    return ShownMoments(
        moments.cases,
        coarse_estimate(moments.mean, moments.cases),
        coarse(float(np.sqrt(moments.variance)), moments.cases),
        (low, high),
        tuple(_bars(moments, (low, high), rule)),
    )


def _bars(
    moments: CaseMoments, span: tuple[float, float], rule: CellRule
) -> Iterator[tuple[float, float, float]]:
    """Yield the joined bins; a bin reaches half a step to either side of its value."""
    (low, high), nobody = span, np.zeros_like(moments.bins)
    joined = rule.bins(moments.statistic, ScoreHistogram(moments.bins, nobody))
    assert not isinstance(joined, Refusal)  # there are k cases
    step = (high - low) / STEPS
    for one in joined:
        if one.positives:
            left, right = low + (one.first - 0.5) * step, low + (one.last + 0.5) * step
            yield max(low, left), min(high, right), one.positives / moments.cases
