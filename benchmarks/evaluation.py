"""Measure the centre's side of an evaluation: 100 hospitals of 1,000,000 cases each.

    OMP_NUM_THREADS=1 python benchmarks/evaluation.py [--json]

`assess_s` is everything of E1 to E8 and E16 on histograms that came as JSON and were
read: overall, nine slices and 100 sites, with DeLong, bootstrap (B=2000), calibration,
reliability, fairness with Holm, heterogeneity and suppression. `read_s` is parsing and
checking the 100 summaries. `paired_s` adds a comparison of two models over 100 joint
histograms of 201 by 201 steps. Memory is the process's own peak above what it held
with nothing but its imports, the sites' summaries included.
"""

import resource
import time
from functools import reduce
from operator import add

import numpy as np
from report import report

from federation.evaluation.assessment import Plan, assess
from federation.evaluation.fairness import Purpose
from federation.evaluation.paired import JointHistogram, compare
from federation.evaluation.scores import GRID
from federation.evaluation.sliced import SlicedScores
from federation.evaluation.suppression import CellRule

SITES = 100
CASES = 1_000_000
JOINT = 201
FAMILIES = {"sex": ("F", "M"), "age": ("0-39", "40-59", "60-74", "75+"), "scanner": ("a", "b", "c")}
PLAN = Plan(
    threshold=0.5,
    decision_thresholds=tuple(at / 20 for at in range(1, 11)),
    purpose=Purpose.CONFIRMATORY,
    rule=CellRule(),
    seed=20260101,
    references={},
)


def main() -> None:
    rng = np.random.default_rng(20261122)
    before = peak_mb()
    documents = {f"site-{at:03}": a_site(rng).as_json() for at in range(SITES)}
    begin = time.perf_counter()
    sites = {name: SlicedScores.read(one) for name, one in documents.items()}
    read_s = time.perf_counter() - begin
    begin, cpu = time.perf_counter(), time.process_time()
    found = assess(sites, PLAN)
    assess_s, assess_cpu_s = time.perf_counter() - begin, time.process_time() - cpu
    assert found.slices["all"].cases == SITES * CASES
    assert len(found.slices) == 10
    assert len(found.sites) == SITES
    joints = [a_joint(rng) for _ in range(SITES)]
    begin = time.perf_counter()
    compare(reduce(add, joints))
    paired_s = time.perf_counter() - begin
    figures = {
        "assess_s": round(assess_s, 3),
        "assess_cpu_s": round(assess_cpu_s, 3),
        "read_s": round(read_s, 3),
        "paired_s": round(paired_s, 3),
        "extra_peak_mb": round(peak_mb() - before, 1),
    }
    units = dict.fromkeys(figures, "s") | {"extra_peak_mb": "MB"}
    report("evaluation", figures, units)


def a_site(rng: np.random.Generator) -> SlicedScores:
    """Return the summary of a million cases, drawn as counts."""
    shares = [np.array([1.0])]
    shares += [rng.dirichlet(np.full(len(groups), 20.0)) for groups in FAMILIES.values()]
    score = np.arange(GRID + 1) / GRID
    mass = (score + 1e-3) ** 0.2 * (1.001 - score) ** 3
    cases = rng.multinomial(CASES, mass / mass.sum())
    positives = rng.binomial(cases, score)
    rows = [split(rng, counts, shares) for counts in (positives, cases - positives)]
    names = [f"{family}={group}" for family, groups in FAMILIES.items() for group in groups]
    sizes = (rows[0] + rows[1]).sum(axis=1)
    return SlicedScores(("all", *names), rows[0], rows[1], overlaps(sizes))


def split(rng: np.random.Generator, counts: np.ndarray, shares: list[np.ndarray]) -> np.ndarray:
    """Return counts by slice, shape (slices, bins); each family splits all cases."""
    return np.vstack([rng.multinomial(counts, share).T for share in shares])


def overlaps(sizes: np.ndarray) -> np.ndarray:
    """Return how many cases slices share, as if families were independent."""
    family = np.repeat(
        np.arange(len(FAMILIES) + 1), [1, *(len(groups) for groups in FAMILIES.values())]
    )
    shared = np.outer(sizes, sizes) // sizes[0]
    shared[family[:, None] == family] = 0
    np.fill_diagonal(shared, sizes)
    return shared


def a_joint(rng: np.random.Generator) -> JointHistogram:
    mass = rng.dirichlet(np.full(JOINT * JOINT, 0.5))
    cells = rng.multinomial(CASES, mass).reshape(JOINT, JOINT)
    lean = (np.arange(JOINT)[:, None] + np.arange(JOINT)) / (2 * JOINT)
    positives = rng.binomial(cells, lean)
    return JointHistogram(positives, cells - positives)


def peak_mb() -> float:
    """Return the process's peak resident memory, in units of 2^20 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
