"""Read a table of outcomes against the variables of a protocol, refusing it whole or taking it.

CSV, UTF-8 or Big5, one line for each patient: ``patient_id``, ``time`` and ``event`` where
something is timed, and one column for each variable. Other columns are not looked at and
never kept. A problem is told with its line numbers, never with a value.
"""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from clients.data.people.lists import check_spelling, is_patient_id, text_of
from federation.domain.outcome_plan import Binary, Category, Numeric, OutcomePlan, Variable
from federation.errors.base import PlatformError, ProblemsFound
from federation.errors.data import OptOutListError
from federation.errors.outcomes import OutcomeTableError
from federation.wording import Text

PATIENT = ("patient_id", "patientid", "patient", "病歷號")
TIME, EVENT = "time", "event"
MOST_BYTES = 256 * 2**20
MOST_SHOWN = 8
"""Lines named of each problem; the first ones are enough to find the cause."""

HEADING = Text(
    en="the heading has no column patient_id, or not all of: {columns}",
    zh="標題列沒有 patient_id 欄位,或缺少下列欄位:{columns}",
)
NOT_A_TABLE = Text(
    en="it is no CSV with a heading and lines of as many cells",
    zh="不是含標題列且各列欄數一致的 CSV",
)
NO_LINES = Text(en="it has no lines", zh="沒有資料列")
NO_PATIENT = Text(en="no patient is named", zh="未填病歷號")
SPELLING = Text(en="patient ids beyond ASCII need UTF-8", zh="含中文等字元的病歷號須以 UTF-8 儲存")
TWICE = Text(en="a patient has two lines", zh="同一病人有兩列")
MISSING = Text(en="{column} is missing", zh="{column} 缺漏")
NOT_A_NUMBER = Text(en="{column} is no finite number", zh="{column} 不是有限數值")
NEGATIVE = Text(en="{column} is negative", zh="{column} 為負值")
OUTSIDE = Text(en="{column} is outside its declared bounds", zh="{column} 超出宣告範圍")
NOT_BINARY = Text(en="{column} is neither 0 nor 1", zh="{column} 不是 0 或 1")
NOT_A_LEVEL = Text(en="{column} is none of its declared levels", zh="{column} 不屬於宣告之類別")

Value = float | str


class _Wrong(Exception):
    def __init__(self, why: Text, column: str) -> None:
        super().__init__(column)
        self.why = Text(en=why.en.format(column=column), zh=why.zh.format(column=column))


@dataclass(frozen=True, slots=True)
class ReadLine:
    """One line: the patient's own id, which is not kept, and the values by column."""

    patient: str
    values: Mapping[str, Value]


def read_outcomes(content: bytes, plan: OutcomePlan) -> tuple[ReadLine, ...]:
    """Return the lines of a table.

    Raises
    ------
    ProblemsFound
        With an OutcomeTableError for each thing that is wrong, all of them at once.
    OutcomeTableError
        If it is no table with the columns of the protocol.
    """
    rows = _rows(content)
    places = _places([cell.lstrip("\ufeff") for cell in rows[0][1]], columns_of(plan))
    readers = {column: _reader(plan, column) for column in columns_of(plan)}
    body = rows[1:]
    if not body:
        raise _refused(NO_LINES, [])
    _check_ids(content, [row[places[PATIENT[0]]] for _, row in body])
    wrong: dict[tuple[str, str], list[int]] = defaultdict(list)
    lines = [_line(number, row, places, readers, wrong) for number, row in body]
    for number in _doubles(
        [(number, one.patient) for (number, _), one in zip(body, lines, strict=True)]
    ):
        wrong[TWICE.en, TWICE.zh].append(number)
    if wrong:
        found = (_refused(Text(en=en, zh=zh), at) for (en, zh), at in wrong.items())
        raise ProblemsFound(list[PlatformError](found))
    return tuple(lines)


def columns_of(plan: OutcomePlan) -> tuple[str, ...]:
    """Return the columns that a protocol needs, besides the patient's."""
    timed = () if plan.clock is None else (TIME, EVENT)
    return (*timed, *(one.name for one in plan.variables))


def check_values(plan: OutcomePlan, column: str, values: Iterable[Value]) -> None:
    """Raise ValueError unless all kept values are what a protocol's column may hold."""
    read = _reader(plan, column)
    try:
        for value in values:
            read(str(value))
    except _Wrong as error:
        raise ValueError(column) from error


def _rows(content: bytes) -> list[tuple[int, list[str]]]:
    """Return heading and lines that are not empty, each with the number that it ends on."""
    if len(content) > MOST_BYTES:
        raise _refused(NOT_A_TABLE, [])
    try:
        text = text_of(content)
        cells = csv.reader(io.StringIO(text), strict=True)
        rows = [(cells.line_num, [cell.strip() for cell in row]) for row in cells]
    except (OptOutListError, csv.Error) as error:
        raise _refused(NOT_A_TABLE, []) from error
    rows = [(number, row) for number, row in rows if any(row)]
    uneven = [number for number, row in rows if len(row) != len(rows[0][1])]
    if not rows or uneven:
        raise _refused(NOT_A_TABLE, uneven)
    return rows


def _check_ids(content: bytes, patients: Sequence[str]) -> None:
    """Refuse ids that may be misread: who opted out would not be found under them."""
    try:
        check_spelling(content, patients)
    except OptOutListError as error:
        raise _refused(SPELLING, []) from error


def _places(heading: Sequence[str], columns: Sequence[str]) -> dict[str, int]:
    there = {name.casefold(): place for place, name in enumerate(heading)}
    patient = next((there[name] for name in PATIENT if name in there), None)
    found = {name: there[name.casefold()] for name in columns if name.casefold() in there}
    if patient is None or len(found) < len(columns) or len(there) < len(heading):
        listed = ", ".join(columns)
        raise _refused(Text(en=HEADING.en.format(columns=listed),
                            zh=HEADING.zh.format(columns=listed)), [1])  # fmt: skip
    return {PATIENT[0]: patient, **found}


def _line(
    number: int, row: Sequence[str], places: Mapping[str, int],
    readers: Mapping[str, Callable[[str], Value]],
    wrong: dict[tuple[str, str], list[int]],
) -> ReadLine:  # fmt: skip
    """Return one line; what is wrong with it is noted by reason."""
    values: dict[str, Value] = {}
    patient = row[places[PATIENT[0]]]
    if not is_patient_id(patient):
        wrong[NO_PATIENT.en, NO_PATIENT.zh].append(number)
    for column, read in readers.items():
        try:
            values[column] = read(row[places[column]])
        except _Wrong as error:
            wrong[error.why.en, error.why.zh].append(number)
    return ReadLine(patient, values)


def _reader(plan: OutcomePlan, column: str) -> Callable[[str], Value]:
    if column == TIME:
        return _time
    one: Variable = Binary(EVENT) if column == EVENT else plan.variable(column)
    match one:
        case Numeric():
            return lambda cell: _within(one, cell)
        case Category():
            return lambda cell: _level(one, cell)
        case Binary():
            return lambda cell: _zero_or_one(one, cell)


def _number(column: str, cell: str) -> float:
    if not cell:
        raise _Wrong(MISSING, column)
    try:
        value = math.nan if "_" in cell else float(cell)  # Python takes 1_000 for a number
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _Wrong(NOT_A_NUMBER, column)
    return value


def _time(cell: str) -> float:
    value = _number(TIME, cell)
    if value < 0:
        raise _Wrong(NEGATIVE, TIME)
    return value


def _within(one: Numeric, cell: str) -> float:
    value = _number(one.name, cell)
    if not one.low <= value <= one.high:
        raise _Wrong(OUTSIDE, one.name)
    return value


def _zero_or_one(one: Binary, cell: str) -> float:
    value = _number(one.name, cell)
    if value not in (0.0, 1.0):
        raise _Wrong(NOT_BINARY, one.name)
    return value


def _level(one: Category, cell: str) -> str:
    if not cell:
        raise _Wrong(MISSING, one.name)
    if cell not in one.levels:
        raise _Wrong(NOT_A_LEVEL, one.name)
    return cell


def _doubles(patients: Sequence[tuple[int, str]]) -> list[int]:
    seen: set[str] = set()
    doubled = []
    for number, patient in patients:
        if patient in seen and patient:
            doubled.append(number)
        seen.add(patient)
    return doubled


def _refused(why: Text, lines: Sequence[int]) -> OutcomeTableError:
    shown = ", ".join(map(str, lines[:MOST_SHOWN])) + (" ..." if len(lines) > MOST_SHOWN else "")
    return OutcomeTableError(why=why, lines=shown or "-")
