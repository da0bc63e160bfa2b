"""Look through a file that is to leave for what may not: raw data, records, small cells.

    findings = look_through(path, kind)          # empty: nothing was found
    results = as_results(findings, kind)         # for an `export-scan` record

The file is read in pieces of 4 MiB, so its size does not matter. A finding has a rule and
a place, never what stands there. What cannot be looked into (archives, compressed or
pickled files) counts as found: unknown means no. Not looked for: data hidden on purpose,
by encryption or in the low bits of weights; and whether a model remembers its patients,
which a test of the model must show (`Check.MEMORISATION`).
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from federation.domain.cells import SMALL_CELL
from federation.domain.ids import Sha256
from federation.errors.core import FileMissingError
from federation.evidence.canonical import canonical
from registry.disclosure import identifies
from registry.exports.guards import NEEDED
from registry.exports.scans import Check, CheckResult, Outcome
from registry.exports.shape import Kind

TOOL = "trifed export scan"
TOOL_VERSION = "1"
PIECE_BYTES = 4 * 2**20
OVERLAP_BYTES = 512
MAX_TABLE_BYTES = 64 * 2**20
MAX_FINDINGS = 100

_ANYWHERE = {
    "dicom": rb"DICM\x02\x00",
    "dicom-json": rb'"00100020"',
    "png": rb"\x89PNG\r\n\x1a\n",
    "jpeg": rb"\xff\xd8\xff[\xe0\xe1]..(?:JFIF|Exif)\x00",
    "jpeg-2000": rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51\x00",
    "sqlite": rb"SQLite format 3\x00",
    "hdf5": rb"\x89HDF\r\n\x1a\n",
    "archive": rb"PK\x03\x04[\x0a\x14\x2d]\x00",
}
_AT_START = {
    "compressed": rb"\x1f\x8b\x08|\x28\xb5\x2f\xfd|\xfd7zXZ\x00|BZh[1-9]|7z\xbc\xaf\x27\x1c|Rar!",
    "parquet": rb"PAR1",
    "pickle": rb"\x80[\x02-\x05]",
    "tiff": rb"II\*\x00|MM\x00\*",
    "nifti": rb".{344}(?:n\+1|ni1)\x00",
}
_RECORDS = {
    "fhir": rb'"resourceType"\s*:\s*"',
    "hl7-v2": rb"MSH\|\^~\\&",
}


def _compiled(patterns: dict[str, bytes]) -> dict[str, re.Pattern[bytes]]:
    return {name: re.compile(pattern, re.DOTALL) for name, pattern in patterns.items()}


_RAW_ANYWHERE, _RAW_START = _compiled(_ANYWHERE), _compiled(_AT_START)
_RECORD_FORMS = _compiled(_RECORDS)
_NUMBER = re.compile(rb"[0-9][0-9.-]{3,}|Patient/")
_AROUND = 64
_COUNTS = re.compile(
    r"(?:^|[_ .-])(?:n|counts?|cases|patients|subjects|people|events|support|total|tp|fp|tn|fn)$"
    r"|人數$|件數$|例數$|次數$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found by which rule, and at which byte; 0 for a table as a whole."""

    check: Check
    rule: str
    at: int

    def as_json(self) -> dict[str, object]:
        """Return the finding for a report."""
        return {"check": self.check.value, "rule": self.rule, "at": self.at}


def look_through(path: Path, kind: Kind) -> list[Finding]:
    """Return what was found, at most 100 things, in the order of the file.

    Raises
    ------
    FileMissingError
        If the file cannot be read.
    """
    try:
        found = [*_in_pieces(path)]
        if Check.CELL_RULE in NEEDED[kind]:
            found += _small_cells(path)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise FileMissingError(file=path.name, why=why) from error
    return sorted(dict.fromkeys(found), key=lambda one: one.at)[:MAX_FINDINGS]


def report(findings: list[Finding], sha256: str) -> bytes:
    """Return the report whose digest the results name, as canonical JSON."""
    listed = [finding.as_json() for finding in findings]
    return canonical({"tool": TOOL, "version": TOOL_VERSION, "sha256": sha256, "findings": listed})


def as_results(findings: list[Finding], kind: Kind, *, report_digest: str) -> list[CheckResult]:
    """Return one result for each check that was made; memorisation is not among them."""
    hit = {finding.check for finding in findings}
    made = [check for check in Check if check in NEEDED[kind] and check is not Check.MEMORISATION]
    return [
        CheckResult(
            check=check,
            outcome=Outcome.FOUND if check in hit else Outcome.CLEAN,
            tool=TOOL,
            version=TOOL_VERSION,
            report=report_digest,
        )
        for check in made
    ]


def digest_of(path: Path) -> Sha256:
    """Return the content id of a file; raises `FileMissingError`."""
    try:
        with path.open("rb") as file:
            return Sha256(f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}")
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise FileMissingError(file=path.name, why=why) from error


def _in_pieces(path: Path) -> Iterator[Finding]:
    with path.open("rb") as file:
        kept, at = b"", 0
        while piece := file.read(PIECE_BYTES):
            window = kept + piece
            start = at - len(kept)
            if at == 0:
                yield from _at_start(window)
            yield from _in_window(window, start)
            kept, at = window[-OVERLAP_BYTES:], at + len(piece)


def _at_start(window: bytes) -> Iterator[Finding]:
    for name, pattern in _RAW_START.items():
        if pattern.match(window):
            yield Finding(Check.RAW_DATA, name, 0)


def _in_window(window: bytes, start: int) -> Iterator[Finding]:
    forms = ((Check.RAW_DATA, _RAW_ANYWHERE), (Check.EMBEDDED_RECORDS, _RECORD_FORMS))
    for check, patterns in forms:
        for name, pattern in patterns.items():
            found = pattern.search(window)
            if found is not None:
                yield Finding(check, name, start + found.start())
    for encoding in _utf_16(window):
        if identifies(window.decode(encoding, "replace")):
            yield Finding(Check.EMBEDDED_RECORDS, "identifier", start)
            return
    for place, near in _near_numbers(window):
        if identifies(near.decode("utf-8", "replace")):
            yield Finding(Check.EMBEDDED_RECORDS, "identifier", start + place)
            return


def _near_numbers(window: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the parts around numbers, with their place: no identifier is without one."""
    begins = ends = 0
    for found in _NUMBER.finditer(window):
        if found.start() - _AROUND > ends:
            yield begins, window[begins:ends]
            begins = found.start() - _AROUND
        ends = found.end() + _AROUND
    yield begins, window[begins:ends]


def _utf_16(window: bytes) -> Iterator[str]:
    """Yield the UTF-16 encodings where a piece may be such text: by its mark, or many zeros."""
    start = window[:4096]
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or start.count(0) > len(start) // 4:
        yield from ("utf-16-le", "utf-16-be")


def _small_cells(path: Path) -> list[Finding]:
    """Return a finding where a count from 1 to 9 stands, or where no table can be read."""
    if path.stat().st_size > MAX_TABLE_BYTES:
        return [Finding(Check.CELL_RULE, "too-large", 0)]
    try:
        text = path.read_bytes().decode("utf-8-sig")
        counts = list(_counts_in(text))
    except (UnicodeDecodeError, csv.Error, ValueError, RecursionError):
        return [Finding(Check.CELL_RULE, "no-table", 0)]
    small = any(0 < abs(count) < SMALL_CELL for count in counts)
    return [Finding(Check.CELL_RULE, "small-count", 0)] if small else []


def _counts_in(text: str) -> Iterator[float]:
    if text.lstrip()[:1] in ("{", "["):
        yield from _in_json(json.loads(text))
        return
    rows = list(csv.reader(io.StringIO(text), strict=True))
    if len(rows) < 2 or len({len(row) for row in rows if row}) != 1:
        raise ValueError("not a table with a header")
    counted = [place for place, name in enumerate(rows[0]) if _COUNTS.search(name.strip())]
    for row in rows[1:]:
        yield from (_number(row[place]) for place in counted if row and row[place].strip())


def _in_json(value: object, name: str = "") -> Iterator[float]:
    match value:
        case dict():
            for key, part in value.items():
                yield from _in_json(part, str(key))
        case list():
            for part in value:
                yield from _in_json(part, name)
        case bool():
            return
        case int() | float() if _COUNTS.search(name):
            yield float(value)


def _number(cell: str) -> float:
    """Return the number in a cell; words such as ``<10`` count as hidden."""
    try:
        return float(cell.replace(",", ""))
    except ValueError:
        return 0.0
