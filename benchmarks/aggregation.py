"""Measure what one round's aggregation costs: 10 updates of 30 MB, CPU time.

    OMP_NUM_THREADS=1 python benchmarks/aggregation.py [--json]

`mean10x30mb_cpu_ms` is `StreamingMean` over updates that were already checked;
`checked_mean10x30mb_cpu_ms` is the same with the check of every element (finite,
norm) inside. Beside them: the plain NumPy streaming sum, and the time it takes
to read the inputs once, below which nothing can go. All are interleaved and the
median of the repetitions is reported, so that a noisy neighbour hits all alike.
"""

import statistics
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
from report import report

from strategies.aggregation import CheckedUpdate, Flat, OrderFreeMean, StreamingMean, krum, median

UPDATES = 10
SIZE = 30 * 2**20 // 4
REPETITIONS = 9
WEIGHTS = [float(100 + 37 * site) for site in range(UPDATES)]


def main() -> None:
    generator = np.random.default_rng(20261121)
    updates = [generator.standard_normal(SIZE, dtype=np.float32) for _ in range(UPDATES)]
    checked = [CheckedUpdate(update) for update in updates]
    figures = {
        **interleaved(
            {
                "numpy_stream_cpu_ms": lambda: numpy_stream(updates),
                "mean10x30mb_cpu_ms": lambda: mean(checked),
                "checked_mean10x30mb_cpu_ms": lambda: mean(updates),
                "read_limit_cpu_ms": lambda: read_once(updates),
            },
            REPETITIONS,
        ),
        **interleaved(
            {
                "order_free_mean10x30mb_cpu_ms": lambda: order_free(checked),
                "median10x30mb_cpu_ms": lambda: median(updates),
                "krum10x30mb_cpu_ms": lambda: krum(updates, hostile=2),
            },
            3,
        ),
    }
    ratios = {
        "mean_to_numpy": figures["mean10x30mb_cpu_ms"] / figures["numpy_stream_cpu_ms"],
        "checked_mean_to_numpy": figures["checked_mean10x30mb_cpu_ms"]
        / figures["numpy_stream_cpu_ms"],
    }
    extra = {"extra_peak_mb": extra_peak_mb(lambda: mean(updates))}
    units = dict.fromkeys(figures, "ms CPU") | dict.fromkeys(ratios, "") | {"extra_peak_mb": "MB"}
    report("aggregation", figures | ratios | extra, units)


def numpy_stream(updates: list[Flat]) -> Flat:
    """Add up the way one writes it first."""
    total = np.zeros(SIZE, np.float32)
    for update, weight in zip(updates, WEIGHTS, strict=True):
        total += weight * update
    total /= sum(WEIGHTS)
    return total


def mean(updates: list[CheckedUpdate] | list[Flat]) -> Flat:
    aggregate = StreamingMean(SIZE)
    for update, weight in zip(updates, WEIGHTS, strict=True):
        aggregate.add(update, weight)
    return aggregate.result()


def order_free(updates: list[CheckedUpdate]) -> Flat:
    aggregate = OrderFreeMean(SIZE, ceiling=sum(WEIGHTS))
    for update, weight in zip(updates, WEIGHTS, strict=True):
        aggregate.add(update, weight)
    return aggregate.result()


def read_once(updates: list[Flat]) -> float:
    return sum(float(update.sum()) for update in updates)


def interleaved(measured: dict[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Return the median CPU milliseconds of each, taking turns."""
    seen: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(repetitions):
        for name, work in measured.items():
            begin = time.process_time()
            work()
            seen[name].append((time.process_time() - begin) * 1e3)
    return {name: round(statistics.median(times), 2) for name, times in seen.items()}


def extra_peak_mb(work: Callable[[], object]) -> float:
    """Return how much memory the work held at most, beyond its inputs, in units of 2^20 bytes."""
    tracemalloc.start()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return round(peak / 2**20, 1)


if __name__ == "__main__":
    main()
