"""Analyse a study by its logged plan, and by nothing else.

    results = analyse(plan, rows)          # rows of all hospitals, from site_table.py

Measures stand in the plan's order; a secondary one is confirmed only if all before it
are (gate-keeping), and told in any case.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from federation.errors.impact import DesignValueError, NotEstimableError
from federation.evaluation.tails import Estimate, Interval
from federation.impact.arms import ArmSums, adjusted_difference, difference_of_means
from federation.impact.clusters import Cell, Cluster, cluster_robust, random_intercept
from federation.impact.plan import RANDOMISED, Analysis, Measure, Plan
from federation.impact.sensitivity import e_value, passed_gates
from federation.impact.series import interrupted_series
from federation.impact.site_table import Row
from federation.impact.skewed import ratio_of_means
from federation.wording import Text

_MONTH = Text(en="a month without people", zh="無人月份")

METHODS = {
    Analysis.DIFFERENCE: "difference of means, Welch",
    Analysis.ADJUSTED: "difference of means given the baseline (ANCOVA)",
    Analysis.RATIO: "ratio of means, gamma with log link",
    Analysis.CLUSTER_ROBUST: "OLS with period effects, cluster-robust (Kauermann-Carroll)",
    Analysis.RANDOM_INTERCEPT: "mixed model with period effects, REML",
    Analysis.SERIES: "segmented regression, Newey-West; level change",
}


_COMPARES: Mapping[Analysis, Callable[[ArmSums, ArmSums], Estimate]] = {
    Analysis.DIFFERENCE: difference_of_means,
    Analysis.ADJUSTED: adjusted_difference,
    Analysis.RATIO: ratio_of_means,
}


@dataclass(frozen=True, slots=True)
class Result:
    """One measure: effect with interval, people, p-value, and whether it is confirmed.

    `withstands` is the E-value of a ratio's interval where nobody was randomised: so strong
    must an unmeasured confounder be to explain it away.
    """

    measure: str
    estimate: float
    low: float
    high: float
    p_value: float
    method: str
    people: int
    confirmed: bool
    withstands: float | None = None

    def as_json(self) -> dict[str, object]:
        """Return the result as JSON."""
        return {
            "measure": self.measure,
            "estimate": self.estimate,
            "low": self.low,
            "high": self.high,
            "p_value": self.p_value,
            "method": self.method,
            "n": self.people,
            "confirmed": self.confirmed,
            "e_value": self.withstands,
        }


def analyse(plan: Plan, rows: Sequence[Row]) -> tuple[Result, ...]:
    """Return the results of all measures, in the plan's order; bits do not depend on the rows'.

    Raises
    ------
    TooFewClustersError, NotEstimableError, DesignValueError
        If the tables are not enough for the analysis that was planned.
    """
    listed = sorted(rows, key=lambda row: (row.measure, row.site, row.cluster, row.period, row.arm))
    estimates = [_estimate(plan, one, listed) for one in plan.measures]
    gates = passed_gates([one.p_value() for one in estimates], alpha=plan.alpha)
    return tuple(
        _result(plan, measure, estimate, rows, confirmed=passed)
        for measure, estimate, passed in zip(plan.measures, estimates, gates, strict=True)
    )


def _estimate(plan: Plan, measure: Measure, rows: Sequence[Row]) -> Estimate:
    own = [row for row in rows if row.measure == measure.id]
    match measure.analysis:
        case Analysis.CLUSTER_ROBUST:
            return cluster_robust(_clusters(plan, own))
        case Analysis.RANDOM_INTERCEPT:
            return random_intercept(_clusters(plan, own)).effect
        case Analysis.SERIES:
            return _series(plan, own)
    arms = [_arm(arm, measure.id, own) for arm in (plan.intervention, plan.comparator)]
    return _COMPARES[measure.analysis](*arms)


def _clusters(plan: Plan, rows: Iterable[Row]) -> list[Cluster]:
    cells: dict[str, list[Cell]] = {}
    for row in rows:
        cell = Cell(row.period, row.arm == plan.intervention, row.count, row.total, row.squares)
        cells.setdefault(f"{row.site}/{row.cluster}", []).append(cell)
    return [Cluster(name, tuple(found)) for name, found in sorted(cells.items())]


def _arm(arm: str, measure: str, rows: Iterable[Row]) -> ArmSums:
    own = [row for row in rows if row.arm == arm]
    names = ("total", "squares", "baseline", "baseline_squares", "products")
    moments = np.array([math.fsum(getattr(row, name) for row in own) for name in names])
    return ArmSums(arm, measure, sum(row.count for row in own), moments)


def _series(plan: Plan, rows: Sequence[Row]) -> Estimate:
    assert plan.series is not None  # the plan's own check
    means = []
    for period in range(plan.periods):
        own = [row for row in rows if row.period == period]
        people = sum(row.count for row in own)
        if people == 0:
            raise NotEstimableError(confounder=_MONTH)
        arm = plan.intervention if period >= plan.series.began else plan.comparator
        if any(row.count and row.arm != arm for row in own):
            raise DesignValueError(name=f"arm of period {period}", actual="another", expected=arm)
        means.append(math.fsum(row.total for row in own) / people)
    given = plan.series
    return interrupted_series(means, given.began, seasons=given.seasons, lags=given.lags).level


def _result(
    plan: Plan, measure: Measure, estimate: Estimate, rows: Iterable[Row], *, confirmed: bool
) -> Result:
    is_ratio = measure.analysis is Analysis.RATIO
    scale = math.exp if is_ratio else float
    ends = estimate.interval(1 - plan.alpha)
    interval = Interval(scale(ends.low), scale(ends.high))
    return Result(
        measure=measure.id,
        estimate=scale(estimate.value),
        low=interval.low,
        high=interval.high,
        p_value=estimate.p_value(),
        method=METHODS[measure.analysis],
        people=sum(row.count for row in rows if row.measure == measure.id),
        confirmed=confirmed,
        withstands=(
            e_value(scale(estimate.value), interval)[1]
            if is_ratio and plan.design not in RANDOMISED
            else None
        ),
    )
