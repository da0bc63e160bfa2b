"""What a hospital sends for an impact study: a small table of cells, as CSV.

    measure,cluster,period,arm,count,total,squares
    turnaround,ward-3,0,usual,42,2310.0,131876.0

`total` and `squares` are the sums of y and y². A measure that is adjusted for its baseline x
needs three columns more, ``baseline,baseline_squares,products``: sums of x, x² and xy. The
table is checked before anything is kept: fields, ranges, what sums of squares can be, and
that no cell is of a few people.
The same as a FHIR MeasureReport: `measure_report.py`. Made from cases: `tabulate.py`.
"""

import csv
import io
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from federation.errors.impact import TableInvalidError, TableTooSmallError
from federation.impact.plan import Plan
from federation.wording import Text

COLUMNS = ("measure", "cluster", "period", "arm", "count", "total", "squares")
BASELINE = ("baseline", "baseline_squares", "products")
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
    "total": Text(en="is no finite number", zh="不是有限數值"),
    "squares": Text(en="cannot be a sum of squares of these", zh="不可能是這些數值的平方和"),
    "baseline": Text(en="is no finite number", zh="不是有限數值"),
    "baseline_squares": Text(en="is no finite number", zh="不是有限數值"),
    "products": Text(en="cannot be sums of these", zh="不可能是這些數值的和"),
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

    @property
    def has_baseline(self) -> bool:
        """Say whether a baseline is told."""
        return (self.baseline, self.baseline_squares, self.products) != (0, 0, 0)


def read_table(content: bytes, site: str, plan: Plan) -> tuple[Row, ...]:
    """Return the rows of a hospital's table, all of them checked.

    Raises
    ------
    TableInvalidError
        Naming the first place that is wrong.
    TableTooSmallError
        If cells are of fewer people than the plan allows; none is told.
    """
    return checked(_lines(content, site), site, plan)


def checked(lines: Iterable[list[str]], site: str, plan: Plan) -> tuple[Row, ...]:
    """Return the rows of a table's lines below its header; raises as `read_table`."""
    rows = tuple(_row(line, site, plan, place) for place, line in enumerate(lines, start=2))
    if not rows:
        raise TableInvalidError(site=site, where=_FILE, why=_EMPTY)
    seen: set[tuple[str, str, int, str]] = set()
    for place, row in enumerate(rows, start=2):
        key = (row.measure, row.cluster, row.period, row.arm)
        if key in seen:
            raise TableInvalidError(site=site, where=_line(place), why=_TWICE)
        seen.add(key)
    small = sum(0 < row.count < plan.least_cell for row in rows)
    if small:
        raise TableTooSmallError(site=site, cells=small, least=plan.least_cell)
    return rows


def as_csv(rows: Iterable[Row]) -> bytes:
    """Return rows as the file that `read_table` reads."""
    listed = list(rows)
    names = (*COLUMNS, *BASELINE) if any(one.has_baseline for one in listed) else COLUMNS
    lines = [[getattr(one, name) for name in names] for one in listed]
    return "".join(",".join(map(str, line)) + "\n" for line in [names, *lines]).encode()


def _lines(content: bytes, site: str) -> list[list[str]]:
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
    if header not in (COLUMNS, (*COLUMNS, *BASELINE)):
        raise TableInvalidError(site=site, where=_FILE, why=_HEADER)
    if any(len(line) != len(header) for line in listed[1:]):
        raise TableInvalidError(site=site, where=_FILE, why=_HEADER)
    return listed[1:]


def _row(line: list[str], site: str, plan: Plan, place: int) -> Row:
    if len(line) not in (len(COLUMNS), len(COLUMNS) + len(BASELINE)):
        raise TableInvalidError(site=site, where=_line(place), why=_HEADER)
    said = dict.fromkeys(BASELINE, "0")
    said |= {name: value.strip() for name, value in zip((*COLUMNS, *BASELINE), line, strict=False)}
    good = {
        "measure": said["measure"] in {one.id for one in plan.measures},
        "cluster": _CLUSTER.fullmatch(said["cluster"]) is not None,
        "period": _is_count(said["period"]) and int(said["period"]) < plan.periods,
        "arm": said["arm"] in (plan.intervention, plan.comparator),
        "count": _is_count(said["count"]),
        "total": _is_number(said["total"]),
        "squares": _is_number(said["squares"]),
        **{name: _is_number(said[name]) for name in BASELINE},
    }
    for name, holds in good.items():
        if not holds:
            raise TableInvalidError(site=site, where=_line(place, name), why=_WRONG[name])
    row = Row(
        site,
        said["measure"],
        said["cluster"],
        int(said["period"]),
        said["arm"],
        int(said["count"]),
        float(said["total"]),
        float(said["squares"]),
        *(float(said[name]) for name in BASELINE),
    )
    if not _can_be(row):
        raise TableInvalidError(site=site, where=_line(place, "squares"), why=_WRONG["squares"])
    if not _baseline_can_be(row):
        raise TableInvalidError(site=site, where=_line(place, "products"), why=_WRONG["products"])
    return row


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
