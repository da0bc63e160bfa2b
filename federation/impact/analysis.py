"""Analyse a study by its logged plan, and by nothing else.

    found = gather(tables, plan)                       # tables of all hospitals
    results = analyse(plan, found.rows, found.readings)

Measures stand in the plan's order; a secondary one is confirmed only if all before it
are (gate-keeping), and told in any case.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from federation.errors.impact import DesignValueError, NotEstimableError
from federation.errors.impact_designs import GridTooCoarseError
from federation.evaluation.tails import Estimate, Interval
from federation.impact.arms import ArmSums, adjusted_difference, difference_of_means
from federation.impact.clusters import (
    Cell,
    Cluster,
    cluster_robust,
    difference_in_differences,
    random_intercept,
)
from federation.impact.gathering import Gathered
from federation.impact.inference import Inferred
from federation.impact.plan import RANDOMISED, Analysis, Cohort, Grid, Measure, Plan
from federation.impact.reader_power import Pilot
from federation.impact.readers import Inference, ReaderComparison, Readings, compare_readers
from federation.impact.sensitivity import e_value, passed_gates, pooled_by_rubin
from federation.impact.series import interrupted_series
from federation.impact.series_errors import autoregressive_series
from federation.impact.site_table import Row
from federation.impact.skewed import median_estimate, median_interval, ratio_of_means
from federation.impact.weighted import weighted_difference
from federation.wording import Text

_MONTH = Text(en="a month without people", zh="無人月份")
_BEFORE = Text(en="a ward that has both arms", zh="同時含兩組的病房")

METHODS = {
    Analysis.DIFFERENCE: "difference of means, Welch",
    Analysis.ADJUSTED: "difference of means given the baseline (ANCOVA)",
    Analysis.RATIO: "ratio of means, gamma with log link",
    Analysis.CLUSTER_ROBUST: "OLS with period effects, cluster-robust (Kauermann-Carroll)",
    Analysis.RANDOM_INTERCEPT: "mixed model with period effects, REML",
    Analysis.SERIES: "segmented regression, Newey-West; level change",
    Analysis.AUTOREGRESSIVE: "segmented regression, AR(1) errors by REML; level change",
    Analysis.MEDIAN: "difference of medians from grid counts (Price-Bonett)",
    Analysis.CHANGES: "difference in differences, cluster-robust (Kauermann-Carroll)",
    Analysis.ADJUSTED_CLUSTERS: "OLS given baseline and period, cluster-robust (Kauermann-Carroll)",
    Analysis.WEIGHTED: "difference of means, overlap weights of each hospital",
    Analysis.READERS: "Obuchowski-Rockette",
}

APPLIES = {
    Inference.RANDOM: "random readers and cases",
    Inference.FIXED_READERS: "these readers, random cases",
    Inference.FIXED_CASES: "random readers, these cases",
}


_COMPARES: Mapping[Analysis, Callable[[ArmSums, ArmSums], Estimate]] = {
    Analysis.DIFFERENCE: difference_of_means,
    Analysis.ADJUSTED: adjusted_difference,
    Analysis.RATIO: ratio_of_means,
}


@dataclass(frozen=True, slots=True)
class ArmFigure:
    """A figure of one arm with its interval: a median, or the readers' mean and each reader's."""

    arm: str
    value: float
    low: float
    high: float
    readers: tuple[tuple[str, float], ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return it as JSON."""
        readers = [{"reader": name, "value": value} for name, value in self.readers]
        told = {"arm": self.arm, "value": self.value, "low": self.low, "high": self.high}
        return {**told, "readers": readers} if readers else told


@dataclass(frozen=True, slots=True)
class Series:
    """The mean of each month, to three decimals, and the first one with the intervention."""

    began: int
    months: tuple[float, ...]

    def as_json(self) -> dict[str, object]:
        """Return it as JSON."""
        return {"began": self.began, "months": list(self.months)}


@dataclass(frozen=True, slots=True)
class Result:
    """One measure: effect with interval, people, p-value, and whether it is confirmed.

    `withstands` is the E-value of a ratio's interval where nobody was randomised: so strong
    must an unmeasured confounder be to explain it away. `arms` are the figures of both arms
    where they are medians or readers'; `freedom` is of t, where the law is not the normal;
    `series` are the months of an interrupted series; `pilot` is what a next reader study is
    planned with.
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
    freedom: float | None = None
    arms: tuple[ArmFigure, ...] = ()
    series: Series | None = None
    pilot: Pilot | None = None

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
            "df": self.freedom,
            "arms": [one.as_json() for one in self.arms],
            "pilot": None if self.pilot is None else asdict(self.pilot),
            "series": self.series and self.series.as_json(),
        }


@dataclass(frozen=True, slots=True)
class _Found:
    effect: Inferred
    arms: tuple[ArmFigure, ...] = ()
    series: Series | None = None
    pilot: Pilot | None = None


def analyse(
    plan: Plan, rows: Sequence[Row], readings: Readings | None = None
) -> tuple[Result, ...]:
    """Return the results of all measures, in the plan's order; bits do not depend on the rows'.

    Raises
    ------
    TooFewClustersError, NotEstimableError, DesignValueError, GridTooCoarseError,
    WeightsError, SingleClassError, AllTiedError
        If the tables are not enough for the analysis that was planned.
    """
    listed = sorted(rows, key=lambda row: row.key)
    gathered = Gathered(tuple(listed), readings)
    found = [
        _pooled(plan, one, listed) if readings is None else _of_readers(plan, one, readings)
        for one in plan.measures
    ]
    gates = passed_gates([one.effect.p_value() for one in found], alpha=plan.alpha)
    return tuple(
        _result(plan, measure, one, gathered.people(measure.id), confirmed=passed)
        for measure, one, passed in zip(plan.measures, found, gates, strict=True)
    )


def _of_readers(plan: Plan, measure: Measure, readings: Readings) -> _Found:
    assert plan.readers is not None and measure.figure is not None  # the plan's own check
    compared = compare_readers(
        readings,
        figure=measure.figure,
        threshold=None if measure.threshold is None else measure.threshold - 1,
        covariance=plan.readers.covariance,
        inference=plan.readers.inference,
    )
    names = plan.readers.names
    pilot = Pilot.of(compared.components, sum(readings.cases), len(names))
    return _Found(compared.difference, _reader_arms(plan, compared, names), pilot=pilot)


def _reader_arms(
    plan: Plan, compared: ReaderComparison, names: Sequence[str]
) -> tuple[ArmFigure, ...]:
    told = []
    for arm, mean, figures in zip(
        (plan.intervention, plan.comparator), compared.arms, compared.figures, strict=True
    ):
        ends = mean.interval(1 - plan.alpha)
        each = tuple(zip(names, figures, strict=True))
        told.append(ArmFigure(arm, mean.value, ends.low, ends.high, each))
    return tuple(told)


def _pooled(plan: Plan, measure: Measure, rows: Sequence[Row]) -> _Found:
    """Return a measure's estimate, over the imputations where there are any."""
    own = [row for row in rows if row.measure == measure.id]
    if not plan.imputations:
        return _estimate(plan, measure, own)
    each = [
        _estimate(plan, measure, [row for row in own if row.imputation == one])
        for one in range(1, plan.imputations + 1)
    ]
    return _Found(pooled_by_rubin([one.effect.estimate for one in each]))


def _estimate(plan: Plan, measure: Measure, rows: Sequence[Row]) -> _Found:
    match measure.analysis:
        case Analysis.MEDIAN:
            return _medians(plan, measure, rows)
        case Analysis.CLUSTER_ROBUST:
            found = cluster_robust(_clusters(plan, rows))
        case Analysis.ADJUSTED_CLUSTERS:
            found = cluster_robust(_clusters(plan, rows), adjusted=True)
        case Analysis.RANDOM_INTERCEPT:
            found = random_intercept(_clusters(plan, rows)).effect
        case Analysis.CHANGES:
            found = difference_in_differences(_changing(plan, rows))
        case Analysis.SERIES | Analysis.AUTOREGRESSIVE:
            return _series(plan, measure, rows)
        case Analysis.WEIGHTED:
            found = weighted_difference(*_by_arm(plan, rows))
        case _:
            arms = [_arm(arm, measure.id, rows) for arm in (plan.intervention, plan.comparator)]
            found = _COMPARES[measure.analysis](*arms)
    return _Found(Inferred(found))


def _medians(plan: Plan, measure: Measure, rows: Sequence[Row]) -> _Found:
    grid = measure.grid
    assert grid is not None  # the plan's own check
    arms, estimates = [], []
    for arm, own in zip((plan.intervention, plan.comparator), _by_arm(plan, rows), strict=True):
        counts = _grid_counts(grid, own)
        estimates.append(median_estimate(counts, grid.step, least_rank=plan.least_cell))
        told = median_interval(counts, grid.step, wanted=1 - plan.alpha)
        arms.append(ArmFigure(arm, told.median, told.interval.low, told.interval.high))
    difference = estimates[0].minus(estimates[1])
    if not difference.variance > 0:
        raise GridTooCoarseError(measure=measure.id, step=grid.step)
    return _Found(Inferred(difference), tuple(arms))


def _grid_counts(grid: Grid, rows: Iterable[Row]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    counts = np.zeros(grid.bins, dtype=np.int64)
    for row in rows:
        place = grid.bin_of(row.value or 0.0)
        assert place is not None  # the table was checked
        counts[place] += row.count
    return counts


def _by_arm(plan: Plan, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    one = [row for row in rows if row.arm == plan.intervention]
    return one, [row for row in rows if row.arm == plan.comparator]


def _cell(plan: Plan, row: Row, *, began: int = 0) -> Cell:
    treated = row.arm == plan.intervention and row.period >= began
    sums = (row.total, row.squares, row.baseline, row.baseline_squares, row.products)
    return Cell(row.period, treated, row.count, *sums)


def _clusters(plan: Plan, rows: Iterable[Row]) -> list[Cluster]:
    cells: dict[str, list[Cell]] = {}
    for row in rows:
        cells.setdefault(f"{row.site}/{row.cluster}", []).append(_cell(plan, row))
    return [Cluster(name, tuple(found)) for name, found in sorted(cells.items())]


def _changing(plan: Plan, rows: Iterable[Row]) -> list[Cluster]:
    """Return the clusters of a difference in differences; a cluster of pairs is two, one an arm."""
    assert plan.change is not None  # the plan's own check
    whole = plan.cohort is None
    cells: dict[tuple[str, str], list[Cell]] = {}
    for row in rows:
        name = (f"{row.site}/{row.cluster}", row.arm)
        cells.setdefault(name, []).append(_cell(plan, row, began=plan.change.began))
    names = [name for name, _ in cells]
    if whole and len(set(names)) < len(names):
        raise NotEstimableError(confounder=_BEFORE)
    return [
        Cluster("/".join(name), tuple(found), group=name[1] == plan.intervention)
        for name, found in sorted(cells.items())
    ]


def _arm(arm: str, measure: str, rows: Iterable[Row]) -> ArmSums:
    own = [row for row in rows if row.arm == arm]
    names = ("total", "squares", "baseline", "baseline_squares", "products")
    moments = np.array([math.fsum(getattr(row, name) for row in own) for name in names])
    return ArmSums(arm, measure, sum(row.count for row in own), moments)


def _series(plan: Plan, measure: Measure, rows: Sequence[Row]) -> _Found:
    given = plan.series
    assert given is not None  # the plan's own check
    means = _monthly(plan, rows, given.began)
    shown = Series(given.began, tuple(round(mean, 3) for mean in means))
    if measure.analysis is Analysis.AUTOREGRESSIVE:
        changed = autoregressive_series(means, given.began, seasons=given.seasons)
        return _Found(changed, series=shown)
    found = interrupted_series(means, given.began, seasons=given.seasons, lags=given.lags)
    return _Found(Inferred(found.level), series=shown)


def _monthly(plan: Plan, rows: Sequence[Row], began: int) -> list[float]:
    """Return the mean of each month, over hospitals and wards."""
    means = []
    for period in range(plan.periods):
        own = [row for row in rows if row.period == period]
        people = sum(row.count for row in own)
        if people == 0:
            raise NotEstimableError(confounder=_MONTH)
        arm = plan.intervention if period >= began else plan.comparator
        if any(row.count and row.arm != arm for row in own):
            raise DesignValueError(name=f"arm of period {period}", actual="another", expected=arm)
        means.append(math.fsum(row.total for row in own) / people)
    return means


def _result(plan: Plan, measure: Measure, found: _Found, people: int, *, confirmed: bool) -> Result:
    is_ratio = measure.analysis is Analysis.RATIO
    scale = math.exp if is_ratio else float
    ends = found.effect.interval(1 - plan.alpha)
    value, interval = scale(found.effect.value), Interval(scale(ends.low), scale(ends.high))
    freedom = found.effect.freedom
    alone = is_ratio and plan.design not in RANDOMISED
    return Result(
        measure=measure.id,
        estimate=value,
        low=interval.low,
        high=interval.high,
        p_value=found.effect.p_value(),
        method=_method(plan, measure),
        people=people,
        confirmed=confirmed,
        withstands=e_value(value, interval)[1] if alone else None,
        freedom=None if math.isinf(freedom) else freedom,
        arms=found.arms,
        series=found.series,
        pilot=found.pilot,
    )


def _method(plan: Plan, measure: Measure) -> str:
    """Return what was done, in a line of at most 120 signs."""
    if plan.readers is not None and measure.figure is not None:
        covariance, applies = plan.readers.covariance.value, APPLIES[plan.readers.inference]
        return f"{METHODS[measure.analysis]}, {measure.figure.value}, {covariance}; {applies}"
    said = METHODS[measure.analysis]
    if plan.cohort is not None and plan.cohort.method == "caliper":
        return f"{said}; {_matching(plan.cohort)}"
    return f"{said}; {plan.imputations} imputations (Rubin)" if plan.imputations else said


def _matching(cohort: Cohort) -> str:
    return f"matched 1:1, caliper {cohort.caliper:g} SD"
