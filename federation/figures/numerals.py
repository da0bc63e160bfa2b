"""Numbers as pages and figures set them: fixed decimals, a true minus, no more digits than known.

decimals = decimals_for(-14.03, -5.44)             # 1
estimate(-9.74, -14.03, -5.44, decimals)           # "−9.7 (−14.0, −5.4)"
"""

import math

NONE = "–"
MOST = 4


def decimals_for(low: float, high: float) -> int:
    """Return how many decimals show an interval's width to two digits, at most four."""
    width = abs(high - low)
    if not width > 0:
        return MOST
    return min(MOST, max(0, 1 - math.floor(math.log10(width))))


def number(value: float | None, decimals: int = 3) -> str:
    """Return a number with fixed decimals, the minus as typeset."""
    if value is None:
        return NONE
    shown = f"{value:,.{decimals}f}"
    is_zero = not shown.strip("-0.,")
    return shown.lstrip("-") if is_zero else shown.replace("-", "\u2212")


def interval(low: float, high: float, decimals: int = 3) -> str:
    """Return both ends, with a dash between them where neither is negative."""
    dash = ", " if low < 0 or high < 0 else "\u2013"
    return f"{number(low, decimals)}{dash}{number(high, decimals)}"


def estimate(value: float, low: float, high: float, decimals: int = 3) -> str:
    """Return an estimate with its interval."""
    return f"{number(value, decimals)} ({interval(low, high, decimals)})"


def p_value(value: float) -> str:
    """Return a p-value; below 0.001 only that it is."""
    return "< 0.001" if value < 0.001 else number(value)
