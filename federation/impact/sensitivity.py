"""What a result withstands: confounding, missing values, several endpoints."""

import math
from collections.abc import Sequence

from federation.errors.impact import DesignValueError, TooFewClustersError
from federation.evaluation.tails import Estimate, Interval
from federation.impact.inference import Inferred
from federation.wording import Text

_IMPUTATIONS = Text(en="imputations", zh="插補次數")


def e_value(ratio: float, interval: Interval | None = None) -> tuple[float, float | None]:
    """Return how strong an unmeasured confounder must be: of the estimate, and of its interval.

    VanderWeele and Ding, Ann Intern Med 2017; 167:268. On the risk-ratio scale.

    Raises
    ------
    DesignValueError
        If the ratio or an end of the interval is not above zero.
    """
    nearest = None
    if interval is not None:
        nearest = 1.0 if interval.contains(1.0) else interval.low if ratio > 1 else interval.high
    return _e_value(ratio), None if nearest is None else _e_value(nearest)


def _e_value(ratio: float) -> float:
    if not (math.isfinite(ratio) and ratio > 0):
        raise DesignValueError(name="risk ratio", actual=ratio, expected="above zero")
    above = ratio if ratio >= 1 else 1 / ratio
    return above + math.sqrt(above * (above - 1))


def pooled_by_rubin(estimates: Sequence[Estimate]) -> Inferred:
    """Return the estimate over several imputations (Rubin 1987, eq. 3.1.5 to 3.1.8).

    Raises
    ------
    TooFewClustersError
        If there are fewer than two.
    """
    count = len(estimates)
    if count < 2:
        raise TooFewClustersError(found=count, units=_IMPUTATIONS, needed=2)
    mean = math.fsum(one.value for one in estimates) / count
    within = math.fsum(one.variance for one in estimates) / count
    between = math.fsum((one.value - mean) ** 2 for one in estimates) / (count - 1)
    extra = (1 + 1 / count) * between
    freedom = math.inf if extra == 0 else (count - 1) * (1 + within / extra) ** 2
    return Inferred(Estimate(mean, within + extra), freedom)


def passed_gates(p_values: Sequence[float], *, alpha: float = 0.05) -> list[bool]:
    """Return which endpoints, in their order, are shown: each only if all before it are.

    Raises
    ------
    DesignValueError
        If one is no p-value.
    """
    shown: list[bool] = []
    for p_value in p_values:
        if not 0 <= p_value <= 1:
            raise DesignValueError(name="p-value", actual=p_value, expected="0 to 1")
        shown.append(all(shown) and p_value < alpha)
    return shown
