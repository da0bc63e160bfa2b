"""Power of reader studies, series, changes and floors: published numbers and simulation."""

import numpy as np
import pytest

from federation.errors.impact import DesignValueError, ProtocolFileError
from federation.impact.design import power_table, read_design
from federation.impact.power import power_above_floor, power_of_auroc, power_of_changes, smallest
from federation.impact.reader_power import Pilot, power_of_readers
from federation.impact.readers import Components, Inference
from federation.impact.series import model_matrix
from federation.impact.series_errors import autoregressive_series
from federation.impact.series_power import level_variance, power_of_series

# Van Dyke, jackknife, 114 cases and 5 readers: as in test_readers.py, to all digits that the
# ratings give; the mean square of arm by reader is 0.00055103 in print.
COMPONENTS = Components(
    error=0.0008022882655720663,
    same_reader=0.0003466137094407322,
    same_arm=0.0003440748288608893,
    neither=0.00023902837089215424,
    interaction=0.0005510306217440587,
    readers=0.0038361999891090488,
)
PILOT = Pilot.of(COMPONENTS, cases=114, readers=5)


@pytest.mark.parametrize(
    ("cases", "inference", "published"),
    [
        (165, Inference.RANDOM, 0.80541995),
        (131, Inference.FIXED_READERS, 0.80091813),
        (53, Inference.FIXED_CASES, 0.80496663),
    ],
)
def test_the_power_of_readers_is_that_of_rjafroc(
    cases: int, inference: Inference, published: float
) -> None:
    # RJafroc, tests/testthat/test-SsSampleSizeRoc.R: Van Dyke as the pilot, 10 readers,
    # effect -0.043800322, by Hillis, Obuchowski and Berbaum 2011 and Hillis and Schartz 2018.
    found = power_of_readers(PILOT, -0.043800322, readers=10, cases=cases, inference=inference)
    assert found == pytest.approx(published, abs=5e-9)


def test_the_pilots_interaction_is_the_printed_one() -> None:
    assert PILOT.interaction == pytest.approx(0.00020040, abs=5e-9)  # OR-DBM MRMC: Var(T*R)


READERS = """
kind = "reader-study"
sizes = [165]
[effect]
difference = -0.043800322
[readers]
count = 10
pilot_cases = 114
error = 0.0008022882655720663
same_reader = 0.0003466137094407322
same_arm = 0.0003440748288608893
neither = 0.00023902837089215424
interaction = 0.00020040252358145968
"""
SERIES = """
kind = "interrupted-series"
[effect]
difference = -5
deviation = 4
[series]
correlation = 0.2
"""
CHANGES = """
kind = "difference-in-differences"
[effect]
difference = -5
deviation = 18
[change]
correlation = 0.5
"""
SENSITIVITY = """
kind = "sensitivity"
[effect]
one = 0.9
other = 0.8
"""
AUROC = """
kind = "auroc"
[effect]
one = 0.85
other = 0.75
[cases]
share = 0.1
"""


def test_a_reader_study_as_a_file_has_its_power() -> None:
    found = power_table(read_design(READERS.encode()))
    ((size, power),) = found.rows
    assert size == 165 and power == pytest.approx(0.80541995, abs=5e-9)
    assert found.needed is not None and found.needed <= 165 and found.people == found.needed


def test_few_readers_may_never_reach_it_however_many_cases() -> None:
    text = READERS.replace("count = 10", "count = 2").replace("0.00020040252358145968", "0.002")
    assert power_table(read_design(text.encode())).needed is None


@pytest.mark.parametrize("text", [SERIES, CHANGES, SENSITIVITY, AUROC, READERS])
def test_the_needed_size_is_the_first_that_reaches_the_power(text: str) -> None:
    found = power_table(read_design(text.encode()))
    assert found.needed is not None
    power = found.design.power
    assert power(found.needed) >= 0.8 > power(found.needed - 1)


def test_people_are_told_where_a_size_says_how_many() -> None:
    assert power_table(read_design(SERIES.encode())).people is None
    panel = power_table(read_design(CHANGES.encode()))
    others = power_table(read_design(CHANGES.replace("0.5", "0").encode()))
    assert panel.needed is not None and panel.people == 2 * panel.needed
    assert others.needed is not None and others.people == 4 * others.needed


def test_floors_are_as_in_textbooks() -> None:
    # (1.96 sqrt(.8 .2) + 0.8416 sqrt(.9 .1))^2 / .1^2 = 107.4, by hand
    assert smallest(lambda n: power_above_floor(0.9, 0.8, n), 0.8) == 108
    # a change needs twice what a difference does: 4 ((1.96 + 0.8416) / 0.5)^2 = 125.6
    assert smallest(lambda n: power_of_changes(0.5, 1.0, n), 0.8) == 126
    assert power_of_changes(0.5, 1.0, 63, correlation=0.5) == pytest.approx(0.80, abs=0.005)


def test_the_power_of_an_auroc_is_what_simulation_finds() -> None:
    # exponential scores, as Hanley and McNeil assume: AUROC 0.85 if one scale is 17/3 of the other
    chance, runs, hits = np.random.default_rng(4), 3000, 0
    for _ in range(runs):
        with_it = chance.exponential(0.85 / 0.15, 50)
        without = chance.exponential(1.0, 50)
        above = (with_it[:, None] > without).astype(float)
        variance = above.mean(1).var(ddof=1) / 50 + above.mean(0).var(ddof=1) / 50
        hits += above.mean() - 1.959964 * variance**0.5 > 0.75
    assert hits / runs == pytest.approx(power_of_auroc(0.85, 0.75, 100, share=0.5), abs=0.06)


def errors(chance: np.random.Generator, months: int, correlation: float) -> np.ndarray:
    free = chance.normal(size=months)
    made = free.copy()
    for month in range(1, months):
        made[month] = correlation * made[month - 1] + (1 - correlation**2) ** 0.5 * free[month]
    return made


def test_the_variance_of_a_level_is_that_of_least_squares_by_the_matrix() -> None:
    design = model_matrix(40, 20, 1)
    apart = np.abs(np.subtract.outer(np.arange(40), np.arange(40)))
    covariance = 9.0 * 0.3**apart
    by_matrix = np.linalg.inv(design.T @ np.linalg.inv(covariance) @ design)[2, 2]
    assert level_variance(3.0, 20, 0.3, seasons=1) == pytest.approx(by_matrix)


def test_the_power_of_a_series_is_what_its_analysis_reaches() -> None:
    chance, runs, hits, false = np.random.default_rng(8), 250, 0, 0
    for _ in range(runs):
        months = 4 * errors(chance, 96, 0.2)
        false += autoregressive_series(months.tolist(), 48).p_value() < 0.05
        months[48:] -= 6
        hits += autoregressive_series(months.tolist(), 48).p_value() < 0.05
    assert hits / runs == pytest.approx(power_of_series(-6, 4, 48, correlation=0.2), abs=0.07)
    assert false / runs < 0.09


@pytest.mark.parametrize(
    "text",
    [
        READERS.replace("count = 10", "count = 0"),
        READERS.replace("error = 0.0008022882655720663", "error = nan"),
        READERS.replace("[readers]", "[series]"),
        READERS.replace("difference = -0.043800322", "one = 0.8\nother = 0.9"),
        SERIES.replace("0.2", "1.0"),
        SERIES.replace("deviation = 4", ""),
        SERIES.replace("[series]\ncorrelation = 0.2", ""),
        SERIES + "[clusters]\nsize = 20\ncorrelation = 0.1\n",
        CHANGES.replace("0.5", "-0.5"),
        SENSITIVITY.replace("other = 0.8", ""),
        AUROC.replace("0.1", "0"),
    ],
)
def test_a_file_that_is_no_design_is_refused(text: str) -> None:
    with pytest.raises(ProtocolFileError):
        read_design(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        READERS.replace("same_reader = 0.0003466137094407322", "same_reader = 0.5"),
        READERS.replace("count = 10", "count = 1"),
        SERIES.replace("kind", "sizes = [5]\nkind"),
        SENSITIVITY.replace("0.9", "1.0"),
    ],
)
def test_numbers_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(DesignValueError):
        power_table(read_design(text.encode()))
