"""Cluster designs from cells: the same as from cases, and as from statsmodels."""

import numpy as np
import pytest

from federation.errors.impact import NotEstimableError, TooFewClustersError
from federation.impact.clusters import (
    Cell,
    Cluster,
    Correction,
    cluster_robust,
    random_intercept,
)

PERIODS = 5


class Cases:
    """A stepped wedge of ten hospitals with 8 to 25 people a cell."""

    def __init__(self, seed: int = 1, effect: float = -2.0) -> None:
        generator = np.random.default_rng(seed)
        rows = []
        for cluster in range(10):
            level, begins = generator.normal(0, 1.5), 1 + cluster % (PERIODS - 1)
            for period in range(PERIODS):
                on = period >= begins
                people = int(generator.integers(8, 26))
                values = 50 + 0.5 * period + level + effect * on + generator.normal(0, 4, people)
                rows += [(cluster, period, on, value) for value in values]
        columns = list(zip(*rows, strict=True))
        self.cluster, self.period = np.array(columns[0]), np.array(columns[1])
        self.on, self.value = np.array(columns[2], float), np.array(columns[3])

    @property
    def design(self) -> np.ndarray:
        return np.column_stack([*(self.period == one for one in range(PERIODS)), self.on]).astype(
            float
        )

    def tables(self) -> list[Cluster]:
        return [
            Cluster(
                f"hospital {cluster}",
                tuple(self.cell(cluster, period) for period in range(PERIODS)),
            )
            for cluster in range(10)
        ]

    def cell(self, cluster: int, period: int) -> Cell:
        there = (self.cluster == cluster) & (self.period == period)
        values = self.value[there]
        on = bool(self.on[there][0])
        return Cell(period, on, len(values), float(values.sum()), float((values**2).sum()))


def test_the_sandwich_is_that_of_the_cases() -> None:
    cases = Cases()
    design, value = cases.design, cases.value
    bread = np.linalg.inv(design.T @ design)
    left = value - design @ (bread @ design.T @ value)
    for correction, power in (
        (Correction.NONE, 0.0),
        (Correction.KAUERMANN_CARROLL, -0.5),
        (Correction.MANCL_DEROUEN, -1.0),
    ):
        filling = np.zeros((PERIODS + 1,) * 2)
        for cluster in range(10):
            part = design[cases.cluster == cluster]
            shrunk = np.eye(len(part)) - part @ bread @ part.T
            values, vectors = np.linalg.eigh(shrunk)
            root = vectors @ np.diag(values**power) @ vectors.T
            score = part.T @ root @ left[cases.cluster == cluster]
            filling += np.outer(score, score)
        wanted = (bread @ filling @ bread)[-1, -1]
        found = cluster_robust(cases.tables(), correction=correction)
        assert found.variance == pytest.approx(wanted, rel=1e-9)
        assert found.value == pytest.approx((bread @ design.T @ value)[-1], rel=1e-9)


def test_it_is_the_bias_reduced_gee_of_statsmodels() -> None:
    statsmodels = pytest.importorskip("statsmodels.api")
    cases = Cases(seed=7)
    fitted = statsmodels.GEE(cases.value, cases.design, groups=cases.cluster).fit(
        cov_type="bias_reduced"
    )
    found = cluster_robust(cases.tables(), correction=Correction.MANCL_DEROUEN)
    assert found.value == pytest.approx(fitted.params[-1], rel=1e-9)
    assert found.error == pytest.approx(fitted.bse[-1], rel=1e-9)


def test_the_mixed_model_is_that_of_statsmodels() -> None:
    mixed = pytest.importorskip("statsmodels.regression.mixed_linear_model")
    cases = Cases(seed=3)
    fitted = mixed.MixedLM(cases.value, cases.design, groups=cases.cluster).fit(reml=True)
    found = random_intercept(cases.tables())
    assert found.effect.value == pytest.approx(fitted.fe_params[-1], rel=1e-5)
    assert found.effect.error == pytest.approx(fitted.bse_fe[-1], rel=1e-4)
    assert found.between == pytest.approx(float(fitted.cov_re[0, 0]), rel=1e-3)
    assert found.within == pytest.approx(fitted.scale, rel=1e-4)
    assert 0 < found.correlation < 1


def test_clusters_that_do_not_differ_have_no_variance_between() -> None:
    generator = np.random.default_rng(4)
    cells = [
        [generator.normal(0, 1, 30) - (period >= 1 + cluster % 2) for period in range(3)]
        for cluster in range(6)
    ]
    same = [
        Cluster(
            str(cluster),
            tuple(
                Cell(
                    period,
                    period >= 1 + cluster % 2,
                    30,
                    float((values - values.mean() - (period >= 1 + cluster % 2)).sum()),
                    float(((values - values.mean() - (period >= 1 + cluster % 2)) ** 2).sum()),
                )
                for period, values in enumerate(row)
            ),
        )
        for cluster, row in enumerate(cells)
    ]
    found = random_intercept(same)
    assert found.between == pytest.approx(0, abs=1e-6)
    assert found.effect.value == pytest.approx(-1, abs=1e-9)


@pytest.mark.slow
def test_the_interval_holds_as_often_as_it_says_with_few_clusters() -> None:
    held = 0
    for seed in range(120):
        low_high = cluster_robust(Cases(seed=seed).tables()).interval()
        held += low_high.contains(-2.0)
    assert held >= 0.86 * 120


def test_too_few_clusters_and_one_step_for_all_are_refused() -> None:
    tables = Cases().tables()
    with pytest.raises(TooFewClustersError):
        cluster_robust(tables[:3])
    empty = Cluster("empty", (Cell(0, False, 0, 0.0, 0.0),))
    with pytest.raises(TooFewClustersError):
        cluster_robust([*tables[:3], empty])
    together = [
        Cluster(one.name, tuple(Cell(c.period, c.period > 1, 10, 5.0, 9.0) for c in one.cells))
        for one in tables
    ]
    for analyse in (cluster_robust, random_intercept):
        with pytest.raises(NotEstimableError):
            analyse(together)
