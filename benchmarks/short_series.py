"""Measure how often each test of a monthly series finds a change that is not there.

    OMP_NUM_THREADS=1 python benchmarks/short_series.py [--json]

1,000 simulated series for each length and correlation of months, seeded; 5 % is right.
Names say the test (`newey_west`: interrupted-series, `ar1`: autoregressive-series), the
months a side and the correlation of neighbouring months in percent.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from report import report

from federation.impact.series import interrupted_series
from federation.impact.series_errors import autoregressive_series

SERIES, SEED, ALPHA, DEVIATION = 1000, 11, 0.05, 4.0
MONTHS, CORRELATIONS = (12, 24, 48), (0.0, 0.2, 0.4)
Test = Callable[[NDArray[np.float64], int], float]
TESTS: dict[str, Test] = {
    "newey_west": lambda series, change: interrupted_series(series, change).level.p_value(),
    "ar1": lambda series, change: autoregressive_series(series, change).p_value(),
}


def main() -> None:
    generator = np.random.default_rng(SEED)
    figures: dict[str, float] = {}
    for months in MONTHS:
        for correlation in CORRELATIONS:
            drawn = [series(generator, 2 * months, correlation) for _ in range(SERIES)]
            for name, test in TESTS.items():
                found = sum(test(one, months) < ALPHA for one in drawn)
                figures[f"{name}_{months}_{correlation * 100:.0f}"] = 100 * found / SERIES
    report("short_series", figures, dict.fromkeys(figures, "% found changed"))


def series(generator: np.random.Generator, months: int, correlation: float) -> NDArray[np.float64]:
    """Return a stationary AR(1) series without any change, shape (months,)."""
    noise = generator.normal(size=months) * DEVIATION
    values = noise.copy()
    for month in range(1, months):
        fresh = np.sqrt(1 - correlation**2) * noise[month]
        values[month] = correlation * values[month - 1] + fresh
    return values


if __name__ == "__main__":
    main()
