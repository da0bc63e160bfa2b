"""Who opted out of secondary use: asked at intake and before every cohort is loaded.

The hospital imports its list of Patient IDs; what is kept in
``data/optout.csv`` are keyed pseudonyms only, so the file names nobody. An
unreadable list stops the work: unknown means no.
"""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.data.catalogue.store import Catalogue, suppressed
from clients.data.deidentification.deidentify import patient_source
from clients.data.layout import KEY_FILE
from clients.data.people.pseudonyms import Pseudonyms
from federation.domain.ids import Sha256
from federation.errors.data import OptOutListError
from federation.storage import write_atomic

FILE = "optout.csv"
_HEADER = "pseudonym"
_PSEUDONYM = re.compile(r"P[0-9a-f]{32}")
_COLUMNS = ("patient_id", "patientid", "patient", "id")


@dataclass(frozen=True, slots=True)
class OptOuts:
    """The opted-out pseudonyms and the content id of the list they came from."""

    patients: frozenset[str]
    version: Sha256


def load_optouts(data: Path) -> OptOuts:
    """Return the list of a data folder; empty when none was ever imported.

    Raises
    ------
    OptOutListError
        If the file is there but is not what `import_optouts` writes.
    """
    path = data / FILE
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise OptOutListError(why=type(error).__name__) from error
    lines = content.decode("ascii", "replace").splitlines()
    if lines and (lines[0] != _HEADER or not all(map(_PSEUDONYM.fullmatch, lines[1:]))):
        raise OptOutListError(why="a line is not a pseudonym")
    return OptOuts(patients=frozenset(lines[1:]), version=Sha256.of(content))


def import_optouts(data: Path, source: Path) -> dict[str, Any]:
    """Add the Patient IDs of a text or CSV file to the list; return `optout_report`.

    Nobody is taken off the list by an import. The source file is not kept.

    Raises
    ------
    OptOutListError
        If the source is not UTF-8 text, or a CSV without a patient_id column.
    """
    pseudonyms = Pseudonyms.open_or_create(data / KEY_FILE)
    added = {pseudonyms.patient(patient_source(name)) for name in _source_ids(source)}
    listed = sorted(load_optouts(data).patients | added)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(data / FILE, ("\n".join([_HEADER, *listed]) + "\n").encode())
    return optout_report(data)


def optout_report(data: Path) -> dict[str, Any]:
    """Return how many are listed and how many of them have images here, suppressed below ten."""
    optouts = load_optouts(data)
    with Catalogue(data) as catalogue:
        found = catalogue.instances_of_patients()
    instances = {item for name in optouts.patients for item in found.get(name, ())}
    present = sum(name in found for name in optouts.patients)
    return {
        "version": str(optouts.version),
        "listed": suppressed(len(optouts.patients)),
        "patients_in_catalogue": suppressed(present),
        "images_in_catalogue": suppressed(len(instances)),
    }


def _source_ids(source: Path) -> list[str]:
    try:
        text = source.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise OptOutListError(why=type(error).__name__) from error
    rows = [row for row in csv.reader(io.StringIO(text)) if row and any(map(str.strip, row))]
    if not rows:
        return []
    header = [cell.strip().casefold() for cell in rows[0]]
    column = next((header.index(name) for name in _COLUMNS if name in header), None)
    if column is None and len(rows[0]) > 1:
        raise OptOutListError(why="no column patient_id")
    body = rows if column is None else rows[1:]
    place = column or 0
    if any(len(row) <= place for row in body):
        raise OptOutListError(why="a row without patient_id")
    return [row[place].strip() for row in body if row[place].strip()]
