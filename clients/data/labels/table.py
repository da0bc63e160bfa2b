"""Read the hospital's label file: which image or patient has which class.

``labels.csv`` is UTF-8 with a header. Key columns (any of them, the most exact
one that is filled wins): ``file`` (path below the folder, or a file name),
``sop_instance_uid``, ``patient_id``. Every other column whose filled cells are
classes (whole numbers 0 to 99, yes/no, true/false, positive/negative) is a
label of that name; other columns are not looked at and never stored. A column
``mask`` names a .npy file beside the label file (segmentation).
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from federation.errors.data import LabelFileError
from federation.wording import Text

NAME = "labels.csv"
MASK = "mask"
MOST_BYTES = 256 * 1024 * 1024
LONGEST_NAME = 64
HIGHEST_CLASS = 99

KEYS = {
    "file": ("file", "filename", "file_name", "path", "image"),
    "instance": ("sop_instance_uid", "sopinstanceuid", "instance_uid"),
    "patient": ("patient_id", "patientid", "patient"),
}
_WORDS = {"yes": 1, "true": 1, "positive": 1, "no": 0, "false": 0, "negative": 0}


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One row: what it points at, its classes by label name, its mask file or ''."""

    file: str
    instance: str
    patient: str
    classes: dict[str, int]
    mask: str


@dataclass(frozen=True, slots=True)
class LabelTable:
    """All rows, and how many cells of a label column were no class."""

    rows: tuple[LabelRow, ...]
    invalid: int


def read_labels(path: Path) -> LabelTable:
    """Return the table of a label file.

    Raises
    ------
    LabelFileError
        If it is not UTF-8 CSV with a header, a key column and a label column.
    """
    rows = _rows_of(path)
    header = [cell.strip() for cell in rows[0]]
    lowered = [name.casefold() for name in header]
    if len(set(lowered)) != len(lowered):
        raise LabelFileError(why=Text(en="a column name repeats", zh="欄位名稱重複"))
    places = {
        key: next((lowered.index(name) for name in names if name in lowered), None)
        for key, names in KEYS.items()
    }
    if all(place is None for place in places.values()):
        raise LabelFileError(
            why=Text(
                en="no column file, sop_instance_uid or patient_id",
                zh="沒有 file、sop_instance_uid 或 patient_id 欄位",
            )
        )
    body = [row for row in rows[1:] if any(cell.strip() for cell in row)]
    if any(len(row) != len(header) for row in body):
        raise LabelFileError(
            why=Text(
                en="a row has another number of cells than the header",
                zh="有一列的欄數與標題列不同",
            )
        )
    mask = lowered.index(MASK) if MASK in lowered else None
    columns = _label_columns(header, body, keys={*places.values(), mask})
    if any(len(name) > LONGEST_NAME or not name.isprintable() for name in columns):
        raise LabelFileError(why=f"a label's name is longer than {LONGEST_NAME} characters")
    if not columns and mask is None:
        raise LabelFileError(why=Text(en="no column with classes", zh="沒有標籤欄位"))
    made = [_row(row, places, columns, mask) for row in body]
    return LabelTable(rows=tuple(row for row, _ in made), invalid=sum(bad for _, bad in made))


def class_of(cell: str) -> int | None:
    """Return the class a cell means, None when it means none."""
    text = cell.strip().casefold()
    if text in _WORDS:
        return _WORDS[text]
    whole = text.removesuffix(".0")
    if whole.isascii() and whole.isdecimal() and int(whole[:6]) <= HIGHEST_CLASS:
        return int(whole) if len(whole) <= 6 else None
    return None


def _rows_of(path: Path) -> list[list[str]]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise LabelFileError(why=Text(en="it is larger than 256 MiB", zh="檔案大於 256 MiB"))
        text = path.read_text("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelFileError(why=type(error).__name__) from error
    if not rows or len(rows[0]) < 2:
        raise LabelFileError(
            why=Text(
                en="no header with two columns or more, separated by commas",
                zh="沒有以逗號分隔、至少兩欄的標題列",
            )
        )
    return rows


def _label_columns(
    header: list[str], body: list[list[str]], keys: set[int | None]
) -> dict[str, int]:
    """Return {label name: place} of the columns in which most filled cells are classes."""
    found: dict[str, int] = {}
    for place, name in enumerate(header):
        if place in keys or not name:
            continue
        filled = [row[place] for row in body if row[place].strip()]
        classes = sum(class_of(cell) is not None for cell in filled)
        if filled and classes * 2 > len(filled):
            found[name] = place
    return found


def _row(
    row: list[str], places: dict[str, int | None], columns: dict[str, int], mask: int | None
) -> tuple[LabelRow, int]:
    def cell(place: int | None) -> str:
        return "" if place is None else row[place].strip()

    filled = {name: cell(place) for name, place in columns.items() if cell(place)}
    classes = {name: class_of(text) for name, text in filled.items()}
    good = {name: value for name, value in classes.items() if value is not None}
    made = LabelRow(
        file=cell(places["file"]).replace("\\", "/"),
        instance=cell(places["instance"]),
        patient=cell(places["patient"]),
        classes=good,
        mask=cell(mask),
    )
    return made, len(classes) - len(good)
