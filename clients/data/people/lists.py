"""Read the lists that say who opted out: text and CSV, signed lists, FHIR Consent.

`read_list(content, kind=…)` gives the `SourceList` or raises; it never gives half
of one. What a source says is an identity, held in memory only until it has become
a pseudonym; nothing of it is stored, logged or put into an error.
"""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from clients.data.people.consent import denied
from clients.data.people.register import Mode
from clients.data.people.signed_list import ENVELOPE_MARK, read_signed
from federation.errors.data import OptOutListError
from federation.errors.people import OptOutSourceError
from federation.evidence.verification import Trusted

LARGEST_BYTES = 64 * 1024 * 1024
LONGEST_ID = 256
COLUMNS = ("patient_id", "patientid", "patient", "id")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


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
        raise OptOutListError(why=type(error).__name__) from error
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
        raise OptOutSourceError(why=f"more than {LARGEST_BYTES >> 20} MB")
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
        raise OptOutSourceError(why="an entry is too long or holds control characters")
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
        raise OptOutSourceError(why="the kind is none of auto, csv, fhir, signed") from error


def lines_of_text(content: bytes) -> list[str]:
    """Return the lines of a text as they are, without the last empty one.

    Raises
    ------
    OptOutListError
        If it is not UTF-8 or too large.
    """
    if len(content) > LARGEST_BYTES:
        raise OptOutListError(why=f"more than {LARGEST_BYTES >> 20} MB")
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise OptOutListError(why=type(error).__name__) from error


def is_patient_id(text: str) -> bool:
    """Say whether a text can be a Patient ID: not empty, printable, of sane length."""
    return 0 < len(text) <= LONGEST_ID and not _UNPRINTABLE.search(text)


def ids_of_text(content: bytes) -> list[str]:
    """Return the Patient IDs of a text (one a line) or of a CSV with a patient_id column.

    Raises
    ------
    OptOutListError
        If it is not UTF-8, or a CSV without that column.
    """
    try:
        text = content.decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text)) if any(map(str.strip, row))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise OptOutListError(why=type(error).__name__) from error
    if not rows:
        return []
    column = _column(rows[0])
    if column is None and len(rows[0]) > 1:
        raise OptOutListError(why="no column patient_id")
    body, place = (rows, 0) if column is None else (rows[1:], column)
    if any(len(row) <= place for row in body):
        raise OptOutListError(why="a row without patient_id")
    return [row[place].strip() for row in body if row[place].strip()]


def _column(header: list[str]) -> int | None:
    names: Mapping[str, int] = {cell.strip().casefold(): n for n, cell in enumerate(header)}
    return next((names[name] for name in COLUMNS if name in names), None)
