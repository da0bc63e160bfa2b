"""AUROC from counts of quantised scores: exact, mergeable, with two intervals.

Every score is put on a grid of 1/1000 at the site. From then on a histogram of
patients with and without the finding says all there is to say: the AUROC of the
histogram is the AUROC of those scores, bit for bit, at a site or at the centre.

A federation's figure is the mean of the within-site AUROCs. A pooled one would
credit the model for telling sites apart.

Pure numpy.
"""

import math
from collections.abc import Sequence

import numpy as np

from federation.domain.metric import Metric
from federation.errors.privacy import SingleClassError
from federation.evaluation.scores import GRID, ScoreHistogram
from federation.evaluation.sums import Counts, Floats

REPLICATES = 2000
NORMAL_975 = 1.959963984540054
LOGIT_FROM = 0.95
"""Above this AUROC the DeLong interval is made on the logit scale and stays below 1."""

__all__ = [
    "GRID",
    "NORMAL_975",
    "REPLICATES",
    "ScoreHistogram",
    "auroc",
    "bootstrap",
    "delong",
    "delong_variance",
    "placements",
    "pooled_within_site",
]


def auroc(histogram: ScoreHistogram) -> float:
    """Return the chance that a patient with the finding scores higher, ties by half.

    Raises
    ------
    SingleClassError
        If one class has no patient.
    """
    histogram.check_both_classes()
    return float(_aurocs(histogram.positives[None], histogram.negatives[None])[0])


def delong(histogram: ScoreHistogram) -> Metric:
    """Return the AUROC with the 95 % interval of DeLong et al. 1988.

    Raises
    ------
    SingleClassError
        If one class has no patient.
    """
    value = auroc(histogram)
    low, high = _normal_interval(value, delong_variance(histogram))
    return Metric("auroc", value, low, high, histogram.patients, "DeLong, 95 %")


def delong_variance(histogram: ScoreHistogram) -> float:
    """Return DeLong's variance of the AUROC; infinite where a class has one patient.

    Raises
    ------
    SingleClassError
        If one class has no patient.
    """
    histogram.check_both_classes()
    with_it, without = histogram.positives, histogram.negatives
    m, n = with_it.sum(), without.sum()
    if m < 2 or n < 2:
        return math.inf
    of_positives, of_negatives = placements(histogram)
    value = (with_it * of_positives).sum() / m
    first = (with_it * (of_positives - value) ** 2).sum() / (m - 1)
    second = (without * (of_negatives - value) ** 2).sum() / (n - 1)
    return float(first / m + second / n)


def placements(histogram: ScoreHistogram) -> tuple[Floats, Floats]:
    """Return for each bin the share of the other class that a case in it beats.

    First that of a case with the finding (negatives below, ties by half), then that of
    a case without (positives above). Shape (bins,) each; both classes must be there.
    """
    with_it, without = histogram.positives, histogram.negatives
    below = np.cumsum(without) - without
    above = with_it.sum() - np.cumsum(with_it)
    return (below + without / 2) / without.sum(), (above + with_it / 2) / with_it.sum()


def bootstrap(histogram: ScoreHistogram, *, seed: int, replicates: int = REPLICATES) -> Metric:
    """Return the AUROC with a 95 % percentile interval of a stratified patient bootstrap.

    Patients are drawn again within each class: as counts, one multinomial a
    class, which is the same law.

    Raises
    ------
    SingleClassError
        If one class has no patient.
    """
    value = auroc(histogram)
    drawn = _replicates(histogram, np.random.default_rng(seed), replicates)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return _metric(value, low, high, histogram.patients, f"patient bootstrap, B={replicates}")


def pooled_within_site(
    histograms: Sequence[ScoreHistogram], *, seed: int, replicates: int = REPLICATES
) -> Metric:
    """Return the mean of within-site AUROCs, every site with the same weight.

    Sites with one class are left out; `n` counts the patients of the others.
    The interval draws patients again within site and class.

    Raises
    ------
    SingleClassError
        If no site has both classes.
    """
    usable = [h for h in histograms if h.positives.sum() and h.negatives.sum()]
    if not usable:
        with_it = sum(int(h.positives.sum()) for h in histograms)
        without = sum(int(h.negatives.sum()) for h in histograms)
        raise SingleClassError(positives=with_it, negatives=without)
    rng = np.random.default_rng(seed)
    value = float(np.mean([auroc(h) for h in usable]))
    drawn = np.mean([_replicates(h, rng, replicates) for h in usable], axis=0)
    low, high = np.quantile(drawn, [0.025, 0.975])
    method = f"mean of {len(usable)} sites, patient bootstrap, B={replicates}"
    return _metric(value, low, high, sum(h.patients for h in usable), method)


def _replicates(histogram: ScoreHistogram, rng: np.random.Generator, replicates: int) -> Floats:
    """Return AUROCs of resampled patients, shape (replicates,)."""
    used = np.flatnonzero(histogram.positives + histogram.negatives)
    with_it, without = histogram.positives[used], histogram.negatives[used]
    m, n = int(with_it.sum()), int(without.sum())
    return _aurocs(
        rng.multinomial(m, with_it / m, size=replicates),
        rng.multinomial(n, without / n, size=replicates),
    )


def _aurocs(positives: Counts, negatives: Counts) -> Floats:
    """Return the AUROC of every row of counts, shape (rows,)."""
    below = np.cumsum(negatives, axis=1) - negatives
    won = (positives * (below + negatives / 2)).sum(axis=1)
    pairs = positives.sum(axis=1).astype(np.float64) * negatives.sum(axis=1)  # beyond 63 bits
    result: Floats = won / pairs
    return result


def _normal_interval(value: float, variance: float) -> tuple[float, float]:
    if not math.isfinite(variance):
        return 0.0, 1.0
    reach = NORMAL_975 * math.sqrt(variance)
    if LOGIT_FROM < value < 1:
        middle, scaled = math.log(value / (1 - value)), reach / (value * (1 - value))
        return _expit(middle - scaled), _expit(middle + scaled)
    return max(0.0, value - reach), min(1.0, value + reach)


def _expit(value: float) -> float:
    if value < 0:
        return math.exp(value) / (1 + math.exp(value))
    return 1 / (1 + math.exp(-value))


def _metric(value: float, low: float, high: float, n: int, method: str) -> Metric:
    return Metric("auroc", value, min(float(low), value), max(float(high), value), n, method)
