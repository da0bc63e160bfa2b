"""What a hospital counts of a reader study, and the file in which it leaves.

    case,reader,arm,truth,rating           # a line for each case, reader and arm
    c-1,reader-1,ai,1,5
    c-1,reader-1,usual,1,3

    readings = tabulate_readings(content, "tainan-1", plan)
    content = as_json(readings, plan)
    readings = read_readings(content, "tainan-1", plan)

Names of cases stay here. The counts of pairs of ratings are close to the cases themselves:
with three hospitals or more a plan says ``sealed = true`` (`sealed.py`), and this file is
not sent.
"""

from collections.abc import Iterable

import numpy as np

from federation.errors.evaluation import SummaryInvalidError
from federation.errors.impact import TableInvalidError, TableTooSmallError
from federation.errors.impact_designs import NotCrossedError
from federation.errors.signed import NotCanonicalError
from federation.evidence.canonical import canonical, parse
from federation.impact.plan import Plan, ReaderPlan
from federation.impact.readers import ARMS, Readings
from federation.impact.tabulate import lines_of
from federation.wording import Text

COLUMNS = ("case", "reader", "arm", "truth", "rating")
KIND = "trifed.readings/1"
MAX_BYTES = 32 * 2**20

_FILE = Text(en="the file", zh="檔案")
_LARGE = Text(en="is larger than 32 MiB", zh="大於 32 MiB")
_NONE = Text(en="is no table of readings of this plan", zh="不是此計畫的判讀資料表")
_HEADER = Text(
    en="needs the columns case, reader, arm, truth, rating",
    zh="須有 case、reader、arm、truth、rating 欄位",
)
_LINE = Text(
    en="has another reader, arm, truth (0 or 1) or rating than the plan allows",
    zh="判讀者、組別、真值(0 或 1)或評分不符計畫",
)
_TRUTHS = Text(en="has a case that is with and without the finding", zh="同一個案真值不一致")


def tabulate_readings(content: bytes, site: str, plan: Plan) -> Readings:
    """Return the counts of a file of readings; equal for any order of its lines.

    Raises
    ------
    TableInvalidError
        Naming the line, never its content.
    NotCrossedError
        If a reading is missing or there twice.
    TableTooSmallError
        If there are fewer cases with, or without, the finding than the plan's smallest cell.
    """
    asked = _asked(plan)
    lines = lines_of(content, site)
    if not lines or tuple(lines[0][1]) != COLUMNS:
        raise TableInvalidError(site=site, where=_FILE, why=_HEADER)
    found: dict[tuple[str, int, int], int] = {}
    truths: dict[str, bool] = {}
    twice = 0
    for place, line in lines[1:]:
        case, reader, arm, truth, rating = _reading(line, site, plan, place)
        if truths.setdefault(case, truth) != truth:
            raise TableInvalidError(site=site, where=_line(place), why=_TRUTHS)
        twice += (case, arm, reader) in found
        found[case, arm, reader] = rating
    expected = len(truths) * ARMS * len(asked.names)
    if twice or len(found) != expected or not truths:
        raise NotCrossedError(site=site, found=len(found) - twice, expected=expected)
    ratings = np.zeros((len(truths), ARMS, len(asked.names)), dtype=np.int64)
    places = {case: place for place, case in enumerate(truths)}
    for (case, arm, reader), rating in found.items():
        ratings[places[case], arm, reader] = rating
    readings = Readings.of(
        ratings, np.array(list(truths.values()), bool), asked.names, asked.ratings
    )
    return _large_enough(readings, site, plan)


def as_json(readings: Readings, plan: Plan) -> bytes:
    """Return readings as the file that `read_readings` reads."""
    return canonical({"kind": KIND, "plan": plan.digest, "readings": readings.as_json()})


def read_readings(content: bytes, site: str, plan: Plan) -> Readings:
    """Return the counts in a hospital's file, checked against the plan.

    Raises
    ------
    TableInvalidError, TableTooSmallError
        If it is no such file, of another plan, or of too few cases.
    """
    if len(content) > MAX_BYTES:
        raise TableInvalidError(site=site, where=_FILE, why=_LARGE)
    asked = _asked(plan)
    try:
        raw = parse(content)
        said = raw if isinstance(raw, dict) else {}
        if set(said) != {"kind", "plan", "readings"} or said["kind"] != KIND:
            raise TableInvalidError(site=site, where=_FILE, why=_NONE)
        readings = Readings.read(said["readings"])
    except (NotCanonicalError, SummaryInvalidError) as error:
        raise TableInvalidError(site=site, where=_FILE, why=_NONE) from error
    shape = (asked.ratings, asked.ratings)
    if (said["plan"], readings.readers) != (plan.digest, asked.names):
        raise TableInvalidError(site=site, where=_FILE, why=_NONE)
    if readings.positives.shape[1:] != shape:
        raise TableInvalidError(site=site, where=_FILE, why=_NONE)
    return _large_enough(readings, site, plan)


def _asked(plan: Plan) -> ReaderPlan:
    assert plan.readers is not None  # the caller asked for a reader study's table
    return plan.readers


def _reading(line: list[str], site: str, plan: Plan, place: int) -> tuple[str, int, int, bool, int]:
    """Return case, reader, arm, truth and rating (from 0) of a line."""
    asked, arms = _asked(plan), (plan.intervention, plan.comparator)
    case, reader, arm, truth, rating = line if len(line) == len(COLUMNS) else ("",) * 5
    allowed = {str(one) for one in range(1, asked.ratings + 1)}
    known = reader in asked.names and arm in arms and truth in ("0", "1") and rating in allowed
    if not (case and known):
        raise TableInvalidError(site=site, where=_line(place), why=_LINE)
    return case, asked.names.index(reader), arms.index(arm), truth == "1", int(rating) - 1


def _large_enough(readings: Readings, site: str, plan: Plan) -> Readings:
    small: Iterable[int] = (one for one in readings.cases if one < plan.least_cell)
    cells = len(list(small))
    if cells:
        raise TableTooSmallError(site=site, cells=cells, least=plan.least_cell)
    return readings


def _line(place: int) -> Text:
    return Text(en=f"line {place}", zh=f"第 {place} 列")
