"""At the hospital: from one line a case to the small table that may leave.

    cluster,period,arm,turnaround,cost
    ward-3,0,usual,47,1200
    ward-3,0,usual,39,

    rows = tabulate(content, "tainan-1", plan)

Columns after the first three are the plan's measures; an empty field is a missing value. A
measure that is adjusted for its baseline has a second column, ``turnaround@baseline``; a case
without one of both is left out of that measure.
Only counts and sums leave. A cell of fewer people than the plan allows is refused, not
dropped: dropping it would change the result without a word.
"""

import csv
import io
import math
from collections import defaultdict

from federation.errors.impact import TableInvalidError
from federation.impact.plan import Analysis, Plan
from federation.impact.site_table import Row, checked
from federation.wording import Text

MAX_BYTES = 256 * 2**20
KEYS = ("cluster", "period", "arm")
AT_BASELINE = "@baseline"

_FILE = Text(en="the file", zh="檔案")
_TEXT = Text(en="is not CSV in UTF-8", zh="不是 UTF-8 編碼的 CSV")
_LARGE = Text(en="is larger than 256 MiB", zh="大於 256 MiB")
_HEADER = Text(
    en="needs the columns cluster, period, arm, the plan's measures and their baselines",
    zh="須有 cluster、period、arm 與計畫中各指標及其基線值的欄位",
)
_WIDTH = Text(en="has another number of fields", zh="欄位數不符")
_NUMBER = Text(en="has a value that is no finite number", zh="含有非有限數值")

_Key = tuple[str, str, str, str]
_Pair = tuple[float, float]


def tabulate(content: bytes, site: str, plan: Plan) -> tuple[Row, ...]:
    """Return the table of a file of cases; equal for any order of its lines.

    Raises
    ------
    TableInvalidError
        Naming the line, never its content.
    TableTooSmallError
        If cells are of fewer people than the plan allows.
    """
    if len(content) > MAX_BYTES:
        raise TableInvalidError(site=site, where=_FILE, why=_LARGE)
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        cases = [(lines.line_num, line) for line in lines if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableInvalidError(site=site, where=_FILE, why=_TEXT) from error
    names = _columns(cases[0][1] if cases else [], site, plan)
    values: defaultdict[_Key, list[_Pair]] = defaultdict(list)
    for place, line in cases[1:]:
        if len(line) != len(KEYS) + len(names):
            raise TableInvalidError(site=site, where=_line(place), why=_WIDTH)
        keys, said = [one.strip() for one in line[:3]], dict(zip(names, line[3:], strict=True))
        for measure in plan.measures:
            pair = _pair(said, measure.id, site, place)
            if pair is not None:
                values[measure.id, keys[0], keys[1], keys[2]].append(pair)
    return checked((_cell(key, found) for key, found in sorted(values.items())), site, plan)


def _columns(header: list[str], site: str, plan: Plan) -> list[str]:
    names = [name.strip() for name in header]
    adjusted = [one.id for one in plan.measures if one.analysis is Analysis.ADJUSTED]
    wanted = [*(one.id for one in plan.measures), *(f"{name}{AT_BASELINE}" for name in adjusted)]
    if tuple(names[:3]) != KEYS or sorted(names[3:]) != sorted(wanted):
        raise TableInvalidError(site=site, where=_FILE, why=_HEADER)
    return names[3:]


def _pair(said: dict[str, str], measure: str, site: str, place: int) -> _Pair | None:
    """Return outcome and baseline of a case (0 without one), None if one of both is missing."""
    told = [said[measure], said.get(f"{measure}{AT_BASELINE}", "0")]
    if not all(one.strip() for one in told):
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


def _cell(key: _Key, pairs: list[_Pair]) -> list[str]:
    sums = [math.fsum(y for y, _ in pairs), math.fsum(y * y for y, _ in pairs)]
    sums += [math.fsum(x for _, x in pairs), math.fsum(x * x for _, x in pairs)]
    sums.append(math.fsum(x * y for y, x in pairs))
    return [*key, str(len(pairs)), *map(repr, sums)]


def _line(place: int) -> Text:
    return Text(en=f"line {place}", zh=f"第 {place} 列")
