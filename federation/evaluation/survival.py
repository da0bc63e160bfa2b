"""Time until an event: Kaplan-Meier, log-rank, restricted mean, from counts by time.

Times are on an agreed grid (months in a shown curve of one site). A site sends, for each
group and time, how many had the event and how many were lost to follow-up; who is at
risk follows. A case lost at the time of an event was still at risk for it.

Kaplan and Meier 1958; Greenwood 1926; Mantel 1966; Royston and Parmar 2013 (RMST).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from federation.errors.evaluation import AllTiedError, GroupsError, TimesInvalidError
from federation.evaluation.scores import binary
from federation.evaluation.sums import AGREED, COUNTED, Counts, Floats, Sums, refuse_shape
from federation.evaluation.suppression import CellRule, Reason, Refusal
from federation.evaluation.tails import Estimate, chi_square_tail, normal_reach
from federation.wording import Text

_NOT_TIMES = Text(en="one is missing or negative", zh="有缺漏或負值")
_OFF_GRID = Text(en="one is not on the agreed grid", zh="有時間不在約定網格上")
_BEYOND = Text(en="the horizon lies beyond the last time", zh="分析期限超過最後時間")
_NOT_ASCENDING = Text(en="it is empty or does not ascend", zh="為空或未遞增")
_UNKNOWN_GROUP = Text(en="a case is in none of them", zh="有個案不屬於任何一組")
_ONE_GROUP = Text(en="there is only one", zh="僅有一組")


@dataclass(frozen=True, eq=False)
class SurvivalTable(Sums):
    """Events and losses by group and time.

    Parameters
    ----------
    groups
        Their names.
    times
        The grid, ascending, shape (times,).
    events, losses
        Shape (groups, times).
    """

    kind = "survival"
    groups: tuple[str, ...] = field(metadata=AGREED)
    times: Floats = field(metadata=AGREED)
    events: Counts = field(metadata=COUNTED)
    losses: Counts = field(metadata=COUNTED)

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError unless both are groups by times, which ascend."""
        if len(set(self.groups)) != len(self.groups):
            raise refuse_shape("groups", "different names")
        if not len(self.times) or not (np.diff(self.times) > 0).all():
            raise refuse_shape("times", "ascending numbers")
        wanted = (len(self.groups), len(self.times))
        if np.shape(self.events) != wanted or np.shape(self.losses) != wanted:
            raise refuse_shape("events", f"{wanted[0]} rows of {wanted[1]}")

    @property
    def at_risk(self) -> Counts:
        """Return how many are still followed just before each time, as `events`."""
        leaving = self.events + self.losses
        counted: Counts = np.cumsum(leaving[:, ::-1], axis=1)[:, ::-1]
        return counted

    def pooled(self) -> "SurvivalTable":
        """Return the table of all groups together."""
        return SurvivalTable(
            ("all",), self.times, self.events.sum(axis=0)[None], self.losses.sum(axis=0)[None]
        )


@dataclass(frozen=True, slots=True)
class SurvivalCurve:
    """One group's curve: survival just after each time, with Greenwood's variance."""

    group: str
    times: Floats
    at_risk: Counts
    events: Counts
    survival: Floats
    variance: Floats

    def bands(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Return the log(-log) band; survival 0 or 1 has none and stays itself."""
        s = self.survival
        inside = (s > 0) & (s < 1)
        log = np.log(np.where(inside, s, 0.5))
        error = np.sqrt(self.variance) / np.abs(np.where(inside, s, 1.0) * log)
        reach = normal_reach(level) * error
        low, high = s ** np.exp(reach), s ** np.exp(-reach)
        return np.where(inside, low, s), np.where(inside, high, s)


@dataclass(frozen=True, slots=True)
class LogRank:
    """The test that all groups have the same hazard."""

    statistic: float
    freedom: int
    p_value: float


def survival_table(
    time_on_grid: Floats, event: NDArray[np.generic], group: Counts, *,
    groups: tuple[str, ...], times: Floats,
) -> SurvivalTable:  # fmt: skip
    """Return one site's table; `group` is an index into `groups`, shape (n,) as the others.

    Raises
    ------
    TimesInvalidError
        If a time is missing, negative or not on the grid.
    NotBinaryError
        If an event is neither 0 nor 1.
    GroupsError
        If a case is in none of the groups.
    """
    place = time_places(time_on_grid, times)
    happened = binary("event", event)
    if group.size and not 0 <= int(group.min()) <= int(group.max()) < len(groups):
        raise GroupsError(why=_UNKNOWN_GROUP)
    cells = group * len(times) + place
    size = (len(groups), len(times))
    return SurvivalTable(
        groups,
        np.asarray(times, dtype=np.float64),
        np.bincount(cells[happened], minlength=size[0] * size[1]).reshape(size),
        np.bincount(cells[~happened], minlength=size[0] * size[1]).reshape(size),
    )


def time_places(time_on_grid: Floats, times: Floats) -> Counts:
    """Return the index of each time on the grid; TimesInvalidError if it has none."""
    values = np.asarray(time_on_grid, dtype=np.float64)
    if not np.isfinite(values).all() or (values < 0).any():
        raise TimesInvalidError(name="follow-up", why=_NOT_TIMES)
    if not len(times) or not (np.diff(times) > 0).all():
        raise TimesInvalidError(name="grid", why=_NOT_ASCENDING)
    place = np.minimum(np.searchsorted(times, values), len(times) - 1)
    if not (np.asarray(times)[place] == values).all():
        raise TimesInvalidError(name="follow-up", why=_OFF_GRID)
    return place.astype(np.int64)


def kaplan_meier(table: SurvivalTable, group: str) -> SurvivalCurve:
    """Return the curve of one group; GroupsError if there is no such group."""
    if group not in table.groups:
        raise GroupsError(why=Text(en="one is not in the table", zh="其中一組不在表內"))
    at = table.groups.index(group)
    n, d = table.at_risk[at], table.events[at]
    survival = np.cumprod(1 - d / np.maximum(n, 1))
    left = np.maximum(n * (n - d), 1)
    greenwood = survival**2 * np.cumsum(np.where(n > d, d / left, 0.0))
    return SurvivalCurve(group, table.times, n, d, survival, greenwood)


def shown_curve(
    curve: SurvivalCurve, rule: CellRule, *, step_days: float, is_one_site: bool
) -> SurvivalCurve | Refusal:
    """Return the curve up to where too few are followed, or why it is not shown (C.0 f)."""
    refused = rule.time_step(curve.group, step_days=step_days, is_one_site=is_one_site)
    if refused is not None:
        return refused
    end = rule.curve_length(curve.at_risk)
    if end == 0:
        return rule.refuse(curve.group, Reason.AT_RISK)
    return SurvivalCurve(
        curve.group,
        curve.times[:end],
        curve.at_risk[:end],
        curve.events[:end],
        curve.survival[:end],
        curve.variance[:end],
    )


def log_rank(table: SurvivalTable) -> LogRank:
    """Return the log-rank test with the hypergeometric covariance.

    Raises
    ------
    GroupsError
        If there is one group only.
    AllTiedError
        If there is no time at which groups could differ.
    """
    if len(table.groups) < 2:
        raise GroupsError(why=_ONE_GROUP)
    n, d = table.at_risk.astype(float), table.events.astype(float)
    total, deaths = n.sum(axis=0), d.sum(axis=0)
    used = (total > 1) & (deaths > 0)
    n, d, total, deaths = n[:, used], d[:, used], total[used], deaths[used]
    gaps = (d - n * deaths / total).sum(axis=1)[:-1]
    scale = deaths * (total - deaths) / (total - 1)
    shares = n / total
    covariance = np.diag((shares * scale).sum(axis=1)) - (shares * scale) @ shares.T
    covariance = covariance[:-1, :-1]
    if not covariance.any():
        raise AllTiedError(figure="log-rank test")
    statistic = float(gaps @ np.linalg.pinv(covariance, hermitian=True) @ gaps)
    freedom = int(np.linalg.matrix_rank(covariance, hermitian=True))
    return LogRank(statistic, freedom, chi_square_tail(statistic, freedom))


def restricted_mean(curve: SurvivalCurve, horizon: float) -> Estimate:
    """Return the mean time without event up to the horizon, with its variance.

    Raises
    ------
    TimesInvalidError
        If the horizon lies beyond the grid.
    """
    if not 0 < horizon <= float(curve.times[-1]):
        raise TimesInvalidError(name="RMST", why=_BEYOND)
    used = curve.times < horizon
    ends = np.append(curve.times[used], horizon)
    widths = np.diff(np.concatenate([[0.0], ends]))
    areas = widths * np.concatenate([[1.0], curve.survival[used]])
    after = areas.sum() - np.cumsum(areas)[:-1]
    n, d = curve.at_risk[used], curve.events[used]
    terms = np.where(n > d, d / np.maximum(n * (n - d), 1), 0.0)
    return Estimate(float(areas.sum()), float((after**2 * terms).sum()))
