"""Power and sample size: a published stepped wedge, textbook numbers, and simulation."""

import math

import numpy as np
import pytest

from federation.errors.impact import DesignValueError
from federation.impact.power import (
    Wedge,
    design_effect,
    power_of_means,
    power_of_proportions,
    power_of_wedge,
    smallest,
    wedge_variance,
)


def test_the_stepped_wedge_of_the_swcrtdesign_readme() -> None:
    # 24 clusters, 5 periods, 120 a cell, 5 % to 3.5 %, tau 0.01; the variance is taken at
    # the mean rate. EVALUATION.md D.1: 0.7861896.
    rate = (0.05 + 0.035) / 2
    found = power_of_wedge(
        Wedge.standard([6, 6, 6, 6]),
        0.05 - 0.035,
        deviation=math.sqrt(rate * (1 - rate)),
        per_cell=120,
        between=0.01,
    )
    assert found == pytest.approx(0.7861896, abs=5e-8)


def test_two_arms_as_in_textbooks() -> None:
    # Half a standard deviation with 80 % power: 63 an arm (normal approximation).
    assert smallest(lambda n: power_of_means(0.5, 1.0, n), 0.8) == 63
    # 50 % against 40 % with 90 % power: 515 an arm (unpooled normal approximation).
    assert smallest(lambda n: power_of_proportions(0.5, 0.4, n), 0.9) == 515
    assert power_of_means(0.0, 1.0, 50) == pytest.approx(0.05)


def test_clusters_need_so_many_times_more() -> None:
    assert design_effect(20, 0.05) == pytest.approx(1.95)
    assert design_effect(20, 0.05, variation=0.5) == pytest.approx(2.2)
    assert design_effect(1, 0.3) == 1
    alone = smallest(lambda n: power_of_means(0.5, 1.0, n), 0.8)
    together = smallest(lambda n: power_of_means(0.5, 1.0, n, inflation=1.95), 0.8)
    assert together == pytest.approx(1.95 * alone, abs=2)


def test_the_wedges_variance_is_that_of_weighted_least_squares() -> None:
    wedge, within, between = Wedge.standard([2, 1, 2]), 0.3, 0.7
    rows = np.array(wedge.rows)
    periods = rows.shape[1]
    design = [np.concatenate([np.eye(periods), row[:, None]], axis=1) for row in rows.astype(float)]
    inverse = np.linalg.inv(within * np.eye(periods) + between)
    information = sum(part.T @ inverse @ part for part in design)
    assert wedge_variance(wedge, within=within, between=between) == pytest.approx(
        float(np.linalg.inv(information)[-1, -1]), rel=1e-12
    )


@pytest.mark.parametrize(
    "rows", [((0, 1), (1, 0)), ((0, 1),), ((0, 1), (0, 1, 1)), ((0,), (1,)), ((0, 2), (0, 1))]
)
def test_what_is_no_wedge_is_refused(rows: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(DesignValueError):
        Wedge(rows)


def test_a_wedge_without_steps_and_numbers_out_of_range_are_refused() -> None:
    together = Wedge(((0, 1), (0, 1)))
    with pytest.raises(DesignValueError):
        wedge_variance(together, within=1.0, between=0.1)
    with pytest.raises(DesignValueError):
        wedge_variance(Wedge.standard([1, 1]), within=0.0, between=0.1)
    with pytest.raises(DesignValueError):
        power_of_proportions(1.2, 0.5, 10)
    with pytest.raises(DesignValueError):
        power_of_means(0.5, 0.0, 10)
    with pytest.raises(DesignValueError):
        power_of_means(0.5, 1.0, 10, alpha=5)
    with pytest.raises(DesignValueError):
        design_effect(20, 1.0)
    with pytest.raises(DesignValueError):
        smallest(lambda n: 0.5, 0.8)
