"""Keep tables of outcomes in a hospital, under pseudonyms, and give back who may be used.

    add_table(data, name, lines)           # data/outcomes/NAME.json, mode 0600
    rows = present_rows(data, name)        # without those who opted out

A line is named by its content id, over pseudonym and values, so that an approval covers
exactly the lines that staff could see. Tables stay as they were added when keys are
renewed: a pseudonym of any time is known by what it is called since.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clients.data.deidentification.deidentify import patient_source
from clients.data.layout import KEY_FILE
from clients.data.outcomes.reading import MOST_BYTES, ReadLine, Value
from clients.data.people.optout import load_optouts
from clients.data.people.pseudonyms import OUTCOMES, Pseudonyms
from federation.domain.ids import Sha256
from federation.errors.outcomes import OutcomeTableError, OutcomeTableMissingError
from federation.evidence.canonical import canonical, digest_of
from federation.storage import write_atomic
from federation.wording import Text

EDITION = 1
TWICE = Text(
    en="two ids, spelled differently, are of one patient", zh="兩個寫法不同的病歷號屬於同一病人"
)


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """One patient's outcomes: pseudonym, values by column."""

    patient: str
    values: Mapping[str, Value]

    @property
    def sha256(self) -> str:
        """Return the content id of the line, 64 hexadecimal digits."""
        return digest_of({"patient": self.patient, "values": dict(self.values)}).hex


@dataclass(frozen=True, slots=True)
class KeptTable:
    """A table as it is kept: its name, content id and how many lines it has."""

    name: str
    digest: Sha256
    rows: int


def add_table(data: Path, name: str, lines: Sequence[ReadLine]) -> KeptTable:
    """Keep a table in the place of one of its name; patients' own ids are not kept.

    Raises
    ------
    PseudonymKeyError
        If there is no key to name patients with.
    OutcomeTableError
        If two lines turn out to be of one patient.
    DiskFullError
        If there is no room.
    """
    names = Pseudonyms.open_or_create(data / KEY_FILE)
    rows = [OutcomeRow(names.patient(patient_source(one.patient)), one.values) for one in lines]
    if len({one.patient for one in rows}) != len(rows):
        raise OutcomeTableError(why=TWICE, lines="-")
    return _write(data, name, sorted(rows, key=lambda one: one.patient))


def read_table(data: Path, name: str) -> list[OutcomeRow]:
    """Return every line of a table.

    Raises
    ------
    OutcomeTableMissingError
        If there is none of this name, or it is damaged.
    """
    try:
        with _path(data, name).open("rb") as file:
            content = file.read(4 * MOST_BYTES)
        raw = json.loads(content)
        if raw["edition"] != EDITION or raw["name"] != name:
            raise ValueError("another table")
        return [OutcomeRow(str(one["patient"]), dict(one["values"])) for one in raw["rows"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutcomeTableMissingError(table=name) from error


def present_rows(data: Path, name: str) -> list[OutcomeRow]:
    """Return the lines of those who did not opt out, by pseudonym.

    Raises
    ------
    OutcomeTableMissingError
        As `read_table`.
    OptOutListError, OptOutStaleError, PseudonymKeyError
        If it is unknown who opted out.
    """
    listed = load_optouts(data).patients
    return _without(read_table(data, name), listed, data)


def tables(data: Path) -> list[KeptTable]:
    """Return every table that is kept, by name."""
    found = []
    for path in sorted((data / OUTCOMES).glob("*.json")):
        rows = read_table(data, path.stem)
        found.append(KeptTable(path.stem, Sha256.of(path.read_bytes()), len(rows)))
    return found


def delete_table(data: Path, name: str) -> bool:
    """Delete a table; say whether there was one."""
    path = _path(data, name)
    was_there = path.exists()
    path.unlink(missing_ok=True)
    return was_there


def purge_tables(data: Path, listed: Iterable[str]) -> int:
    """Delete the lines of people on the opt-out register from every table; return how many."""
    gone, people = 0, frozenset(listed)
    for one in tables(data):
        rows = read_table(data, one.name)
        left = _without(rows, people, data)
        if len(left) < len(rows):
            gone += len(rows) - len(left)
            _write(data, one.name, left)
    return gone


def _without(rows: Sequence[OutcomeRow], listed: frozenset[str], data: Path) -> list[OutcomeRow]:
    if not listed or not rows:
        return list(rows)
    names = Pseudonyms.open(data / KEY_FILE)
    return [one for one in rows if listed.isdisjoint(names.patient_since(one.patient))]


def _write(data: Path, name: str, rows: Sequence[OutcomeRow]) -> KeptTable:
    listed = [{"patient": one.patient, "values": dict(one.values)} for one in rows]
    content = canonical({"edition": EDITION, "name": name, "rows": listed})
    path = _path(data, name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(path, content, mode=0o600)
    return KeptTable(name, Sha256.of(content), len(rows))


def _path(data: Path, name: str) -> Path:
    if not name or not all(one.isalnum() or one in "-_." for one in name) or name[0] == ".":
        raise OutcomeTableMissingError(table=name[:40])
    return data / OUTCOMES / f"{name}.json"
