"""At the hospital: from one line a case to the small table that may leave.

    cluster,period,arm,turnaround,cost
    ward-3,0,usual,47,1200
    ward-3,0,usual,39,

    rows = tabulate(content, "tainan-1", plan)

Columns after the first three are the plan's measures; an empty field is a missing value. A
measure that is adjusted for its baseline has a second column, ``turnaround@baseline``; a case
without one of both is left out of that measure. Where the plan asks for them: ``imputation``
(each case once in each), and a column for each covariate of the cohort, whose cases are chosen
or weighted here (`cohort.py`); a case without a covariate is left out. A measure whose median
is asked for is rounded to the plan's grid, and counted over wards and periods.
Only counts and sums leave. A cell of fewer people than the plan allows is refused, not
dropped: dropping it would change the result without a word.
"""

import csv
import io
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from federation.errors.impact import TableInvalidError
from federation.errors.impact_designs import BeyondGridError, BeyondRangeError
from federation.impact.cohort import choose
from federation.impact.plan import BASELINE as BASELINE_ANALYSES
from federation.impact.plan import Grid, Measure, Plan
from federation.impact.site_table import BASELINE, IMPUTATION, VALUE, WEIGHTS, Row, checked
from federation.wording import Text

MAX_BYTES = 256 * 2**20
KEYS = ("cluster", "period", "arm")
AT_BASELINE = "@baseline"
EVERYWHERE = "all"
"""The ward of a median's counts, which are over all wards of a hospital."""

_FILE = Text(en="the file", zh="檔案")
_TEXT = Text(en="is not CSV in UTF-8", zh="不是 UTF-8 編碼的 CSV")
_LARGE = Text(en="is larger than 256 MiB", zh="大於 256 MiB")
_HEADER = Text(
    en="needs the columns cluster, period, arm, and what the plan asks for: measures, their "
    "baselines, imputation, covariates",
    zh="須有 cluster、period、arm,以及計畫所需之指標、基線值、imputation 與共變項欄位",
)
_WIDTH = Text(en="has another number of fields", zh="欄位數不符")
_NUMBER = Text(en="has a value that is no finite number", zh="含有非有限數值")
_KEY = Text(en="has another arm or no period", zh="組別不符或沒有期別")


@dataclass(frozen=True, slots=True)
class Case:
    """One line: its cell, and outcome and baseline (0 without one) by measure."""

    place: int
    cluster: str
    period: str
    arm: str
    imputation: str
    values: Mapping[str, tuple[float, float]]
    covariates: tuple[float, ...] | None
    weight: float = 1.0


def tabulate(content: bytes, site: str, plan: Plan) -> tuple[Row, ...]:
    """Return the table of a file of cases; equal for any order of its lines.

    Raises
    ------
    TableInvalidError
        Naming the line, never its content.
    TableTooSmallError
        If cells are of fewer people than the plan allows.
    BeyondGridError, BeyondRangeError, CohortEmptyError, CohortUnbalancedError,
    ImputationsDifferError
        If the plan's grid, ranges, cohort or imputations do not fit the cases.
    """
    cases = _compared(_cases(content, site, plan), site, plan)
    lines = [line for measure in plan.measures for line in _cells(cases, measure, site, plan)]
    return checked(lines, site, plan)


def lines_of(content: bytes, site: str) -> list[tuple[int, list[str]]]:
    """Return the lines of a CSV file with their numbers, the header among them.

    Raises
    ------
    TableInvalidError
        If it is too large, or no CSV.
    """
    if len(content) > MAX_BYTES:
        raise TableInvalidError(site=site, where=_FILE, why=_LARGE)
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        return [(lines.line_num, [one.strip() for one in line]) for line in lines if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableInvalidError(site=site, where=_FILE, why=_TEXT) from error


def _cases(content: bytes, site: str, plan: Plan) -> list[Case]:
    lines = lines_of(content, site)
    names = lines[0][1] if lines else []
    if tuple(names[:3]) != KEYS or sorted(names[3:]) != sorted(_wanted(plan)):
        raise TableInvalidError(site=site, where=_FILE, why=_HEADER)
    found = []
    for place, line in lines[1:]:
        if len(line) != len(names):
            raise TableInvalidError(site=site, where=_line(place), why=_WIDTH)
        found.append(_case(dict(zip(names, line, strict=True)), site, plan, place))
    return found


def _wanted(plan: Plan) -> list[str]:
    adjusted = [one.id for one in plan.measures if one.analysis in BASELINE_ANALYSES]
    return [
        *(one.id for one in plan.measures),
        *(f"{name}{AT_BASELINE}" for name in adjusted),
        *([IMPUTATION] if plan.imputations else []),
        *(plan.cohort.covariates if plan.cohort else ()),
    ]


def _case(said: dict[str, str], site: str, plan: Plan, place: int) -> Case:
    pairs = {one.id: _pair(said, one.id, site, place) for one in plan.measures}
    told = [said[name] for name in (plan.cohort.covariates if plan.cohort else ())]
    return Case(
        place,
        said["cluster"],
        said["period"],
        said["arm"],
        said.get(IMPUTATION, ""),
        {name: pair for name, pair in pairs.items() if pair is not None},
        tuple(_value(one, site, place) for one in told) if all(told) else None,
    )


def _pair(said: dict[str, str], measure: str, site: str, place: int) -> tuple[float, float] | None:
    """Return outcome and baseline of a case (0 without one), None if one of both is missing."""
    told = [said[measure], said.get(f"{measure}{AT_BASELINE}", "0")]
    if not all(told):
        return None
    outcome, before = (_value(one, site, place) for one in told)
    return outcome, before


def _value(said: str, site: str, place: int) -> float:
    try:
        value = float(said)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in said:
        raise TableInvalidError(site=site, where=_line(place), why=_NUMBER)
    return value


def _compared(cases: Sequence[Case], site: str, plan: Plan) -> list[Case]:
    """Return the cases of the plan's cohort with their weights; all of them without one."""
    if plan.cohort is None:
        return list(cases)
    told = sorted((one for one in cases if one.covariates is not None), key=_content)
    for one in told:
        known = one.arm in (plan.intervention, plan.comparator)
        if not known or not (one.period.isascii() and one.period.isdigit()):
            raise TableInvalidError(site=site, where=_line(one.place), why=_KEY)
    treated = np.array([one.arm == plan.intervention for one in told], bool)
    width = len(plan.cohort.covariates)
    covariates = np.array([one.covariates for one in told], dtype=float).reshape(-1, width)
    began = plan.change.began if plan.change else 0
    strata = [int(one.period) >= began for one in told]
    chosen = choose(plan.cohort, treated, covariates, strata, site=site)
    return [
        replace(one, weight=float(weight))
        for one, weight, kept in zip(told, chosen.weights, chosen.kept, strict=True)
        if kept
    ]


def _content(case: Case) -> tuple[object, ...]:
    return (case.covariates, case.arm, case.cluster, case.period, sorted(case.values.items()))


def _cells(
    cases: Iterable[Case], measure: Measure, site: str, plan: Plan
) -> Iterator[dict[str, str]]:
    told = [one for one in cases if measure.id in one.values]
    _check_range(told, measure, site)
    if measure.grid is not None:
        yield from _grid_cells(told, measure, measure.grid, site)
        return
    cells: defaultdict[tuple[str, str, str, str], list[Case]] = defaultdict(list)
    for one in told:
        cells[one.cluster, one.period, one.arm, one.imputation].append(one)
    for key, found in sorted(cells.items()):
        line = dict(zip((*KEYS, IMPUTATION), key, strict=True))
        line |= {"measure": measure.id, "count": str(len(found))}
        line |= _sums(found, measure)
        line |= _weighted_sums(found, measure) if _is_weighted(plan) else {}
        yield _only(line, plan)


def _check_range(cases: Sequence[Case], measure: Measure, site: str) -> None:
    """Raise BeyondRangeError if somebody has a value that the measure cannot have."""
    if measure.range is None:
        return
    low, high = measure.range
    count = sum(not low <= one.values[measure.id][0] <= high for one in cases)
    if count:
        told = {"measure": measure.id, "low": low, "high": high}
        raise BeyondRangeError(site=site, count=count, **told)


def _grid_cells(
    cases: Iterable[Case], measure: Measure, grid: Grid, site: str
) -> Iterator[dict[str, str]]:
    """Yield one line a value of the grid, over all wards and periods."""
    people: Counter[tuple[str, str, int]] = Counter()
    beyond = 0
    for one in cases:
        place = grid.bin_of(one.values[measure.id][0])
        if place is None:
            beyond += 1
        else:
            people[one.arm, one.imputation, place] += 1
    if beyond:
        raise BeyondGridError(site=site, count=beyond, measure=measure.id, top=grid.top)
    for (arm, imputation, place), count in sorted(people.items()):
        value = place * grid.step
        line = {"measure": measure.id, "cluster": EVERYWHERE, "period": "0", "arm": arm}
        line |= {"count": str(count), "total": repr(count * value), VALUE: repr(value)}
        line |= {"squares": repr(count * value**2)}
        yield line | ({IMPUTATION: imputation} if imputation else {})


def _only(line: dict[str, str], plan: Plan) -> dict[str, str]:
    """Return a line with the columns of its plan."""
    line = line if plan.imputations else {k: v for k, v in line.items() if k != IMPUTATION}
    return line | ({VALUE: ""} if any(one.grid for one in plan.measures) else {})


def _is_weighted(plan: Plan) -> bool:
    return plan.cohort is not None and plan.cohort.method == "overlap"


def _sums(cases: Sequence[Case], measure: Measure) -> dict[str, str]:
    pairs = [one.values[measure.id] for one in cases]
    told = {
        "total": math.fsum(y for y, _ in pairs),
        "squares": math.fsum(y * y for y, _ in pairs),
    }
    if measure.analysis in BASELINE_ANALYSES:
        told |= dict(
            zip(
                BASELINE,
                (
                    math.fsum(x for _, x in pairs),
                    math.fsum(x * x for _, x in pairs),
                    math.fsum(x * y for y, x in pairs),
                ),
                strict=True,
            )
        )
    return {name: repr(value) for name, value in told.items()}


def _weighted_sums(cases: Sequence[Case], measure: Measure) -> dict[str, str]:
    pairs = [(one.weight, one.values[measure.id][0]) for one in cases]
    told = (
        math.fsum(w for w, _ in pairs),
        math.fsum(w * w for w, _ in pairs),
        math.fsum(w * y for w, y in pairs),
        math.fsum(w * w * y for w, y in pairs),
        math.fsum((w * y) ** 2 for w, y in pairs),
    )
    return dict(zip(WEIGHTS, map(repr, told), strict=True))


def _line(place: int) -> Text:
    return Text(en=f"line {place}", zh=f"第 {place} 列")
