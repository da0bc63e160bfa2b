"""Read the lists that say who opted out: text and CSV, signed lists, FHIR Consent.

`read_list(content, kind=…)` gives the `SourceList` or raises; it never gives half
of one. What a source says is an identity, held in memory only until it has become
a pseudonym; nothing of it is stored, logged or put into an error.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from clients.data.people.consent import denied
from clients.data.people.register import Mode
from clients.data.people.signed_list import ENVELOPE_MARK, read_signed
from federation.errors.data import OptOutListError
from federation.errors.people import OptOutSourceError
from federation.evidence.verification import Trusted
from federation.wording import Text

LARGEST_BYTES = 64 * 1024 * 1024
TOO_LARGE = Text(en=f"more than {LARGEST_BYTES >> 20} MB", zh=f"超過 {LARGEST_BYTES >> 20} MB")
LONGEST_ID = 256
COLUMNS = ("patient_id", "patientid", "patient", "病歷號碼", "病歷號", "id")
DELIMITERS = ",;\t|"
BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_MARKUP = re.compile(r"\s*<(?:!doctype|\?xml|html|head|body)\b", re.IGNORECASE)


class Kind(Enum):
    """What a list is written in."""

    AUTO = "auto"
    CSV = "csv"
    FHIR = "fhir"
    SIGNED = "signed"


@dataclass(frozen=True, slots=True)
class SourceList:
    """The identities of a source, not shown by `repr`, and what it says of itself.

    `mode` is None where the source leaves it to whoever imports it; `serial` and
    `issuer` (a key id) are those of a signed list.
    """

    kind: Kind
    patient_ids: tuple[str, ...] = field(repr=False)
    mode: Mode | None = None
    serial: int | None = None
    issuer: str | None = None


def read_file(
    path: Path, *, kind: Kind, trusted: Trusted, identifier_system: str | None = None
) -> SourceList:
    """Return the list in a file; arguments and errors as `read_list`.

    Raises
    ------
    OptOutListError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise OptOutListError(why=error.strerror or type(error).__name__) from error
    return read_list(content, kind=kind, trusted=trusted, identifier_system=identifier_system)


def read_list(
    content: bytes, *, kind: Kind, trusted: Trusted, identifier_system: str | None = None
) -> SourceList:
    """Return the list in `content`.

    Parameters
    ----------
    trusted
        The public keys of issuers whose signed lists are believed.
    identifier_system
        The system (a URI) of those FHIR identifiers that are Patient IDs here;
        every identifier counts when None.

    Raises
    ------
    OptOutListError
        If it is no text, or a CSV without a patient_id column.
    OptOutSourceError
        If it is too large or not of its kind.
    OptOutSignatureError
        If a signed list is not signed by an issuer.
    ConsentUnclearError
        If a consent denies and does not say for whom.
    """
    if len(content) > LARGEST_BYTES:
        raise OptOutSourceError(why=TOO_LARGE)
    kind = kind_of(content) if kind is Kind.AUTO else kind
    if kind is Kind.SIGNED:
        signed = read_signed(content, trusted=trusted)
        ids = tuple(filter(None, map(str.strip, signed.patient_ids)))
        found = SourceList(kind, ids, signed.mode, signed.serial, signed.issuer)
    elif kind is Kind.FHIR:
        found = SourceList(kind, denied(content, identifier_system=identifier_system))
    else:
        found = SourceList(kind, tuple(ids_of_text(content)))
    if any(not is_patient_id(one) for one in found.patient_ids):
        raise OptOutSourceError(
            why=Text(
                en="an entry is too long or holds control characters", zh="有病歷號過長或含控制字元"
            )
        )
    return found


def kind_of(content: bytes) -> Kind:
    """Return what a list is written in, by its first bytes: JSON with or without a signature."""
    start = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start not in (b"{", b"["):
        return Kind.CSV
    return Kind.SIGNED if ENVELOPE_MARK in content[-4096:] + content[:4096] else Kind.FHIR


def kind_named(name: str) -> Kind:
    """Return the kind of that name; raises `OptOutSourceError` when there is none."""
    try:
        return Kind(name)
    except ValueError as error:
        raise OptOutSourceError(
            why=Text(
                en="the kind is none of auto, csv, fhir, signed",
                zh="種類須為 auto、csv、fhir 或 signed",
            )
        ) from error


def lines_of_text(content: bytes) -> list[str]:
    """Return the lines of a text as they are, without the last empty one.

    Raises
    ------
    OptOutListError
        If it is no text (`text_of`) or too large.
    """
    if len(content) > LARGEST_BYTES:
        raise OptOutListError(why=TOO_LARGE)
    lines = text_of(content).splitlines()
    check_spelling(content, lines)
    return lines


def text_of(content: bytes) -> str:
    """Return a text in UTF-8, in UTF-16 with its mark, or in the Big5 of a Taiwanese Excel.

    Raises
    ------
    OptOutListError
        If it is none of these, or ends half-way through a character.
    """
    try:
        if content.startswith(BYTE_ORDER_MARKS):
            return content.decode("utf-16")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        return content.decode("cp950")
    except UnicodeDecodeError as error:
        raise OptOutListError(
            why=Text(
                en="it is neither UTF-8, UTF-16 nor Big5", zh="文字編碼不是 UTF-8、UTF-16 或 Big5"
            )
        ) from error


def is_patient_id(text: str) -> bool:
    """Say whether a text can be a Patient ID: not empty, printable, of sane length."""
    return 0 < len(text) <= LONGEST_ID and not _UNPRINTABLE.search(text)


def ids_of_text(content: bytes) -> list[str]:
    """Return the Patient IDs of a text (one a line) or of a CSV with a patient_id column.

    Nobody is left out in silence: a row that says no ID, a quotation mark that swallows
    the next rows, and a page of a web server are refused.

    Raises
    ------
    OptOutListError
        If it is no text, or a CSV without that column in every row.
    """
    text = text_of(content)
    if _MARKUP.match(text):
        raise OptOutListError(why=Text(en="it is a web page, not a list", zh="內容是網頁,不是名單"))
    rows = _rows(text)
    if not rows:
        return []
    column = _column(rows[0])
    if column is None and len(rows[0]) > 1:
        raise OptOutListError(why=Text(en="no column patient_id", zh="沒有 patient_id(病歷號)欄位"))
    body, place = (rows, 0) if column is None else (rows[1:], column)
    found = [row[place].strip() if len(row) > place else "" for row in body]
    if not all(found):
        raise OptOutListError(why=Text(en="a row without patient_id", zh="有一列沒有病歷號"))
    if column is None and any(mark in name for name in found for mark in DELIMITERS):
        raise OptOutListError(
            why=Text(
                en="several columns, and none is called patient_id",
                zh="有多個欄位,但沒有名為 patient_id(病歷號)的欄位",
            )
        )
    check_spelling(content, found)
    return found


def _rows(text: str) -> list[list[str]]:
    """Return the cells of every line that is not empty, by the delimiter of the first one."""
    head = next((line for line in text.split("\n") if line.strip()), "")
    names = re.split(f"[{re.escape(DELIMITERS)}]", head)
    used = [mark for mark in DELIMITERS if mark in head]
    known = _column([name.strip(' "\r') for name in names]) is not None
    delimiter = used[0] if known and len(used) == 1 else ","
    try:
        cells = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
        rows = [row for row in cells if any(map(str.strip, row))]
    except csv.Error as error:
        raise OptOutListError(
            why=Text(en="its quotation marks or line ends do not fit", zh="引號或換行不成對")
        ) from error
    if any("\n" in cell for row in rows for cell in row):
        raise OptOutListError(why=Text(en="a cell goes over several lines", zh="有儲存格跨越多列"))
    return rows


def check_spelling(content: bytes, names: Sequence[str]) -> None:
    """Refuse Patient IDs beyond ASCII in a text that may be of another character set than Big5.

    Raises
    ------
    OptOutListError
        If there is one and the text is neither UTF-8 nor UTF-16.
    """
    if all(map(str.isascii, names)) or content.startswith(BYTE_ORDER_MARKS):
        return
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise OptOutListError(
            why=Text(
                en="Patient IDs beyond ASCII need UTF-8", zh="含中文等字元的病歷號須以 UTF-8 儲存"
            )
        ) from error


def _column(header: list[str]) -> int | None:
    names: Mapping[str, int] = {cell.strip().casefold(): n for n, cell in enumerate(header)}
    return next((names[name] for name in COLUMNS if name in names), None)
