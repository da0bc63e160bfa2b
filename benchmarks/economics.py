"""Measure a probabilistic sensitivity analysis: 10,000 draws x 75 cycles, four states.

    OMP_NUM_THREADS=1 python benchmarks/economics.py [--json]

`psa_cpu_s` is the cohort model of four strategies alone, `analysis_cpu_s` everything a
report shows of the example model with two: draws, cohort, acceptability, value of
information, tornado, price, budget.
"""

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from report import report

import federation.economics
from federation.economics.analysis import analyse
from federation.economics.markov import Cohort, Horizon, Rewards, run_cohort
from federation.economics.model_file import read_model
from federation.economics.parameters import Accuracy

DRAWS, CYCLES, STRATEGIES = 10_000, 75, 4
STATES = ("healthy", "sick", "sicker", "dead")


def main() -> None:
    generator = np.random.default_rng(20261122)
    cohort, rewards = model(generator)
    horizon = Horizon(CYCLES)
    path = Path(federation.economics.__file__).parent / "example.toml"
    example = read_model(path.read_bytes(), lambda _, name: Accuracy(name, 90, 10, 850, 50))
    figures = {
        "psa_cpu_s": cpu_s(lambda: run_cohort(cohort, rewards, horizon)),
        "analysis_cpu_s": cpu_s(lambda: analyse(example, draws=DRAWS)),
        "psa_peak_mb": peak_mb(lambda: run_cohort(cohort, rewards, horizon)),
    }
    report(
        "economics", figures, {"psa_cpu_s": "s CPU", "analysis_cpu_s": "s CPU", "psa_peak_mb": "MB"}
    )


def model(generator: np.random.Generator) -> tuple[Cohort, Rewards]:
    """A cohort of (strategies, draws) with rows drawn at random."""
    rows = generator.dirichlet(np.ones(4), size=(STRATEGIES, DRAWS, 4))
    cost = generator.gamma(4.0, 1000.0, size=(STRATEGIES, DRAWS, 4))
    utility = generator.beta(8.0, 2.0, size=(STRATEGIES, DRAWS, 4))
    return Cohort(np.array([1.0, 0, 0, 0]), rows, STATES), Rewards(cost, utility)


def cpu_s(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(3):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return sorted(spent)[1]


def peak_mb(work: Callable[[], object]) -> float:
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


if __name__ == "__main__":
    main()
