"""What does a model lose when images get worse? Degradation by corruption and severity.

The site corrupts its images and scores them; the histograms are those of `scores`.
Severity 0 is no corruption and equals the plain evaluation bit for bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import stats

from federation.errors.evaluation import AllTiedError, GroupsError, NoBaselineError
from federation.evaluation.auroc import auroc
from federation.evaluation.discrimination import ranking
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.tails import Estimate
from federation.wording import Text

CHANCE = 0.5
_TWO_MODELS = Text(
    en="a ranking needs the same two models or more", zh="排序需要相同的兩個以上模型"
)


@dataclass(frozen=True, slots=True)
class Degradation:
    """One corruption's effect by severity, mildest first.

    Parameters
    ----------
    corruption
        Its name in the protocol.
    aurocs
        One for each severity from 1 up.
    relative
        (A0-A)/(A0-0.5): 0 is nothing lost, 1 is down to chance.
    is_monotone
        Whether it never gets better as severity grows. If it does, look at the
        corruption; it is a warning, not a failure.
    """

    corruption: str
    aurocs: tuple[Estimate, ...]
    relative: tuple[float, ...]
    is_monotone: bool

    @property
    def mean(self) -> float:
        """Return the mean relative degradation over severities."""
        return float(np.mean(self.relative))


def degradation(
    corruption: str, plain: ScoreHistogram, by_severity: Sequence[ScoreHistogram]
) -> Degradation:
    """Return what a corruption does to the AUROC.

    Raises
    ------
    NoBaselineError
        If the model is no better than chance without it.
    """
    baseline = auroc(plain)
    if baseline <= CHANCE:
        raise NoBaselineError
    found = tuple(ranking(histogram) for histogram in by_severity)
    relative = tuple((baseline - one.value) / (baseline - CHANCE) for one in found)
    ordered = (0.0, *relative)
    monotone = all(one <= other for one, other in pairwise(ordered))
    return Degradation(corruption, found, relative, monotone)


def rank_stability(plain: Mapping[str, float], corrupted: Mapping[str, float]) -> float:
    """Return Kendall's tau-b of the models' order without and with a corruption.

    Raises
    ------
    GroupsError
        If there are fewer than two models, or not the same ones.
    AllTiedError
        If all models are equally good, so that they have no order.
    """
    if plain.keys() != corrupted.keys() or len(plain) < 2:
        raise GroupsError(why=_TWO_MODELS)
    names = sorted(plain)
    one, other = [plain[name] for name in names], [corrupted[name] for name in names]
    if len(set(one)) == 1 or len(set(other)) == 1:
        raise AllTiedError(figure="rank stability")
    return float(stats.kendalltau(one, other).statistic)
