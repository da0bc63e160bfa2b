"""How fine the numbers of an evaluation's documents are."""

from collections.abc import Mapping

from federation.evaluation.tails import Estimate, Interval

DECIMALS = 6
"""Figures are shown no finer; more digits would tell of single cases, not of the model."""

FEW_CASES = 100
COARSE_DECIMALS = 3
"""Of fewer cases figures of a ranking or of scores are shown no finer than this.

To six decimals AUROC and average precision of ten cases with the finding and ten without
tell the order of all twenty in nine of ten times.
"""


def coarse(value: float, cases: int) -> float:
    """Return a figure of so many cases as it may be shown."""
    return round(value, COARSE_DECIMALS) if cases < FEW_CASES else value


def coarse_estimate(found: Estimate, cases: int) -> Estimate:
    """Return an estimate of so many cases as it may be shown, its variance with three digits."""
    if cases >= FEW_CASES:
        return found
    return Estimate(coarse(found.value, cases), float(f"{found.variance:.2e}"))


def coarse_interval(found: Interval, cases: int) -> Interval:
    """Return an interval of a figure of so many cases as it may be shown."""
    return Interval(coarse(found.low, cases), coarse(found.high, cases))


def decimals_of(cases: int) -> int:
    """Return to how many decimals figures of so many cases are shown."""
    return COARSE_DECIMALS if cases < FEW_CASES else DECIMALS


def rounded(value: object, decimals: int = DECIMALS) -> object:
    """Return a JSON value with every float in it rounded."""
    match value:
        case Mapping():
            return {name: rounded(one, decimals) for name, one in value.items()}
        case list():
            return [rounded(one, decimals) for one in value]
        case float():
            return round(value, decimals)
    return value
