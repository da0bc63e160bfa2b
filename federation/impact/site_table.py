"""What a hospital sends for an impact study: a small table of cells, as CSV.

    measure,cluster,period,arm,count,total,squares
    turnaround,ward-3,0,usual,42,2310.0,131876.0

`total` and `squares` are the sums of y and y². Columns that follow where the plan needs them:

- ``imputation``: 1 to the plan's number of imputations;
- ``value``: of a measure whose median is asked for, the grid value that these people had;
- ``baseline,baseline_squares,products``: sums of x, x² and xy of a baseline x;
- ``weight,weight_squares,weighted,weighted_twice,weighted_squares``: sums of w, w², wy, w²y
  and w²y² of overlap weights w.

The table is checked before anything is kept: fields, ranges, what sums of squares can be, and
that no cell is of a few people.
The same as a FHIR MeasureReport: `measure_report.py`. Made from cases: `tabulate.py`.
"""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from federation.errors.impact import TableInvalidError, TableTooSmallError
from federation.errors.impact_designs import ImputationsDifferError
from federation.impact.plan import Grid, Measure, Plan
from federation.wording import Text

COLUMNS = ("measure", "cluster", "period", "arm", "count", "total", "squares")
IMPUTATION = "imputation"
VALUE = "value"
BASELINE = ("baseline", "baseline_squares", "products")
WEIGHTS = ("weight", "weight_squares", "weighted", "weighted_twice", "weighted_squares")
MAX_BYTES = 4 * 2**20
MAX_ROWS = 50_000
LARGEST = 1e15

_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_NUMBER = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,16})?([eE][+-]?[0-9]{1,2})?")

_FILE = Text(en="the file", zh="檔案")
_LARGE = Text(en="is larger than 4 MiB or 50,000 rows", zh="大於 4 MiB 或 50,000 列")
_TEXT = Text(en="is not CSV in UTF-8", zh="不是 UTF-8 編碼的 CSV")
_HEADER = Text(en="has other columns than the template", zh="欄位與範本不同")
_TWICE = Text(en="is there twice", zh="重複出現")
_EMPTY = Text(en="has no row", zh="沒有任何資料列")
_WRONG = {
    "measure": Text(en="is not of the plan", zh="不在計畫中"),
    "cluster": Text(en="is no short name", zh="不是簡短名稱"),
    "period": Text(en="is no period of the plan", zh="不是計畫中的期別"),
    "arm": Text(en="is no arm of the plan", zh="不是計畫中的組別"),
    "count": Text(en="is no count", zh="不是人數"),
    "total": Text(en="is no possible sum", zh="不是可能的總和"),
    "squares": Text(en="cannot be a sum of squares of these", zh="不可能是這些數值的平方和"),
    "baseline": Text(en="is no finite number", zh="不是有限數值"),
    "baseline_squares": Text(en="is no finite number", zh="不是有限數值"),
    "products": Text(en="cannot be sums of these", zh="不可能是這些數值的和"),
    IMPUTATION: Text(en="is no imputation of the plan", zh="不是計畫中的插補編號"),
    VALUE: Text(en="is no value of the plan's grid", zh="不是計畫格網中的數值"),
    **{name: Text(en="cannot be a sum of weights", zh="不可能是權重的和") for name in WEIGHTS},
}


@dataclass(frozen=True, slots=True)
class Row:
    """One cell of one measure at one site."""

    site: str
    measure: str
    cluster: str
    period: int
    arm: str
    count: int
    total: float
    squares: float
    baseline: float = 0.0
    baseline_squares: float = 0.0
    products: float = 0.0
    weight: float = 0.0
    weight_squares: float = 0.0
    weighted: float = 0.0
    weighted_twice: float = 0.0
    weighted_squares: float = 0.0
    imputation: int = 0
    value: float | None = None

    @property
    def key(self) -> tuple[str, str, str, int, str, int, float]:
        """Return what no two rows of a study share, in the order in which rows are added."""
        value = -1.0 if self.value is None else self.value
        cell = (self.measure, self.site, self.cluster, self.period, self.arm)
        return (*cell, self.imputation, value)

    @property
    def has_baseline(self) -> bool:
        """Say whether a baseline is told."""
        return (self.baseline, self.baseline_squares, self.products) != (0, 0, 0)


def columns(plan: Plan, *, baseline: bool) -> tuple[str, ...]:
    """Return the columns of a table of a plan, with those of a baseline or without."""
    return (
        *COLUMNS,
        *((IMPUTATION,) if plan.imputations else ()),
        *((VALUE,) if any(one.grid for one in plan.measures) else ()),
        *(BASELINE if baseline else ()),
        *(WEIGHTS if plan.cohort is not None and plan.cohort.method == "overlap" else ()),
    )


def read_table(content: bytes, site: str, plan: Plan) -> tuple[Row, ...]:
    """Return the rows of a hospital's table, all of them checked.

    Raises
    ------
    TableInvalidError
        Naming the first place that is wrong.
    TableTooSmallError
        If cells are of fewer people than the plan allows; none is told.
    ImputationsDifferError
        If imputed tables are of different people.
    """
    return checked(_lines(content, site, plan), site, plan)


def checked(lines: Iterable[Mapping[str, str]], site: str, plan: Plan) -> tuple[Row, ...]:
    """Return the rows of a table's lines below its header; raises as `read_table`."""
    rows = tuple(_row(line, site, plan, place) for place, line in enumerate(lines, start=2))
    if not rows:
        raise TableInvalidError(site=site, where=_FILE, why=_EMPTY)
    seen: set[object] = set()
    for place, row in enumerate(rows, start=2):
        if row.key in seen:
            raise TableInvalidError(site=site, where=_line(place), why=_TWICE)
        seen.add(row.key)
    people = _arms(rows) if plan.sealed else [row.count for row in rows]
    small = sum(0 < count < plan.least_cell for count in people)
    if small:
        raise TableTooSmallError(site=site, cells=small, least=plan.least_cell)
    if plan.imputations:
        _check_same_people(rows, site, plan.imputations)
    return rows


def _arms(rows: Iterable[Row]) -> list[int]:
    """Return the people of each measure's arms: what is sealed is seen as a sum alone."""
    people: Counter[tuple[str, str]] = Counter()
    for row in rows:
        people[row.measure, row.arm] += row.count
    return list(people.values())


def as_csv(rows: Iterable[Row]) -> bytes:
    """Return rows as the file that `read_table` reads."""
    listed = list(rows)
    names = (
        *COLUMNS,
        *((IMPUTATION,) if any(one.imputation for one in listed) else ()),
        *((VALUE,) if any(one.value is not None for one in listed) else ()),
        *(BASELINE if any(one.has_baseline for one in listed) else ()),
        *(WEIGHTS if any(one.weight for one in listed) else ()),
    )
    lines = [[_said(getattr(one, name)) for name in names] for one in listed]
    return "".join(",".join(line) + "\n" for line in [list(names), *lines]).encode()


def _said(value: object) -> str:
    return "" if value is None else str(value)


def _lines(content: bytes, site: str, plan: Plan) -> list[dict[str, str]]:
    if len(content) > MAX_BYTES:
        raise TableInvalidError(site=site, where=_FILE, why=_LARGE)
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        listed = [line for line in lines if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableInvalidError(site=site, where=_FILE, why=_TEXT) from error
    if len(listed) > MAX_ROWS + 1:
        raise TableInvalidError(site=site, where=_FILE, why=_LARGE)
    header = tuple(name.strip() for name in listed[0]) if listed else ()
    if header not in (columns(plan, baseline=False), columns(plan, baseline=True)):
        raise TableInvalidError(site=site, where=_FILE, why=_HEADER)
    if any(len(line) != len(header) for line in listed[1:]):
        raise TableInvalidError(site=site, where=_FILE, why=_HEADER)
    return [dict(zip(header, line, strict=True)) for line in listed[1:]]


def _row(line: Mapping[str, str], site: str, plan: Plan, place: int) -> Row:
    if line.keys() not in (
        set(columns(plan, baseline=False)),
        set(columns(plan, baseline=True)),
    ):
        raise TableInvalidError(site=site, where=_line(place), why=_HEADER)
    said = dict.fromkeys((*BASELINE, *WEIGHTS), "0") | {IMPUTATION: "0", VALUE: ""}
    said |= {name: value.strip() for name, value in line.items()}
    measures = {one.id: one for one in plan.measures}
    good = {
        "measure": said["measure"] in measures,
        "cluster": _CLUSTER.fullmatch(said["cluster"]) is not None,
        "period": _is_count(said["period"]) and int(said["period"]) < plan.periods,
        "arm": said["arm"] in (plan.intervention, plan.comparator),
        "count": _is_count(said["count"]),
        "total": _is_number(said["total"]),
        "squares": _is_number(said["squares"]),
        IMPUTATION: _is_imputation(said[IMPUTATION], plan),
        **{name: _is_number(said[name]) for name in (*BASELINE, *WEIGHTS)},
    }
    for name, holds in good.items():
        if not holds:
            raise TableInvalidError(site=site, where=_line(place, name), why=_WRONG[name])
    row = _parsed(said, site)
    for name, fits in (
        ("squares", _can_be),
        ("products", _baseline_can_be),
        ("weight", _weights_can_be),
        ("total", partial(_mean_can_be, measures[row.measure])),
    ):
        if not fits(row):
            raise TableInvalidError(site=site, where=_line(place, name), why=_WRONG[name])
    if not _is_on_grid(row, measures[row.measure]):
        raise TableInvalidError(site=site, where=_line(place, VALUE), why=_WRONG[VALUE])
    return row


def _parsed(said: Mapping[str, str], site: str) -> Row:
    sums = {name: float(said[name]) for name in ("total", "squares", *BASELINE, *WEIGHTS)}
    return Row(
        site=site,
        measure=said["measure"],
        cluster=said["cluster"],
        period=int(said["period"]),
        arm=said["arm"],
        count=int(said["count"]),
        imputation=int(said[IMPUTATION]),
        value=float(said[VALUE]) if _is_number(said[VALUE]) else None,
        **sums,
    )


def _is_imputation(said: str, plan: Plan) -> bool:
    if not plan.imputations:
        return said == "0"
    return _is_count(said) and 1 <= int(said) <= plan.imputations


def _is_on_grid(row: Row, measure: Measure) -> bool:
    """Say whether a row of a median is of one value of the grid, and any other of none."""
    grid: Grid | None = measure.grid
    if grid is None or row.value is None:
        return grid is None and row.value is None
    place = grid.bin_of(row.value)
    slack = 1e-9 * max(row.squares, 1.0)
    return (
        place is not None
        and abs(place * grid.step - row.value) <= 1e-9 * max(grid.top, 1.0)
        and abs(row.count * row.value - row.total) <= slack
        and abs(row.count * row.value**2 - row.squares) <= slack
    )


def _check_same_people(rows: Iterable[Row], site: str, wanted: int) -> None:
    """Raise ImputationsDifferError unless each cell has as many people in each imputation."""
    people: Counter[tuple[object, ...]] = Counter()
    for row in rows:
        people[row.measure, row.cluster, row.period, row.arm, row.imputation] += row.count
    cells = {key[:-1] for key in people}
    differ = [
        cell for cell in cells if len({people[*cell, one] for one in range(1, wanted + 1)}) > 1
    ]
    if differ:
        raise ImputationsDifferError(site=site, cells=len(differ), wanted=wanted)


def _can_be(row: Row) -> bool:
    """Say whether some values have these sums: n * sum(y²) >= (sum y)²."""
    if row.count == 0:
        return row.total == 0 and row.squares == 0
    least = row.total**2 / row.count
    return row.squares >= least - 1e-9 * max(least, 1.0)


def _baseline_can_be(row: Row) -> bool:
    """Say whether values of x beside y have these sums: as y's, and by Cauchy and Schwarz."""
    if row.count == 0:
        return not row.has_baseline
    least = row.baseline**2 / row.count
    if row.baseline_squares < least - 1e-9 * max(least, 1.0):
        return False
    spread_x, spread_y = row.baseline_squares - least, row.squares - row.total**2 / row.count
    joint = row.products - row.baseline * row.total / row.count
    slack = 1e-9 * max(abs(row.products), row.baseline_squares, row.squares, 1.0)
    return abs(joint) <= math.sqrt(max(spread_x, 0.0) * max(spread_y, 0.0)) + slack


def _mean_can_be(measure: Measure, row: Row) -> bool:
    """Say whether the mean of a cell lies in the measure's range."""
    if measure.range is None or not row.count:
        return True
    low, high = measure.range
    return low - 1e-9 <= row.total / row.count <= high + 1e-9


def _weights_can_be(row: Row) -> bool:
    """Say whether overlap weights from 0 to 1 of so many people have these sums."""
    if not any(getattr(row, name) for name in WEIGHTS):
        return True
    slack = 1e-9 * max(row.count, row.weighted_squares, 1.0)
    return (
        0 <= row.weight_squares <= row.weight + slack
        and row.weight <= row.count + slack
        and row.weight**2 <= row.count * row.weight_squares * (1 + 1e-9) + slack
        and row.weighted_twice**2 <= row.weight_squares * row.weighted_squares * (1 + 1e-9) + slack
    )


def _is_count(said: str) -> bool:
    return said.isascii() and said.isdigit() and len(said) <= 9


def _is_number(said: str) -> bool:
    return (
        _NUMBER.fullmatch(said) is not None
        and math.isfinite(float(said))
        and abs(float(said)) <= LARGEST
    )


def _line(place: int, column: str = "") -> Text:
    return Text(en=f"line {place} {column}".strip(), zh=f"第 {place} 列 {column}".strip())
