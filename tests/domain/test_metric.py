"""A metric without its interval and number is none."""

import math
from dataclasses import replace

import pytest

from federation.domain.metric import Metric
from federation.errors.core import InvalidValueError

AUROC = Metric("auroc", value=0.87, low=0.81, high=0.92, n=140, method="patient bootstrap, B=2000")


def test_a_metric_keeps_what_it_takes_to_believe_it() -> None:
    assert (AUROC.value, AUROC.low, AUROC.high, AUROC.n) == (0.87, 0.81, 0.92, 140)


@pytest.mark.parametrize("field", ["value", "low", "high"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(field: str, number: float) -> None:
    with pytest.raises(InvalidValueError, match="auroc"):
        replace(AUROC, **{field: number})


def test_an_inverted_interval_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="low <= high"):
        replace(AUROC, low=0.95)


@pytest.mark.parametrize("n", [0, -3])
def test_a_metric_of_nobody_is_refused(n: int) -> None:
    with pytest.raises(InvalidValueError, match=r"auroc\.n"):
        replace(AUROC, n=n)
