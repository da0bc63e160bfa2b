"""Every column of every row that the register signs for, changed by hand, is found and named."""

import shutil
import sqlite3
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import pytest

from federation.errors.signed import LogTamperedError
from federation.evidence.signing import Signer
from federation.evidence.witness import cosigned, with_cosignatures
from registry.auditing import audit_log
from registry.ledger.evidence import enter_statements
from registry.metadata import METADATA
from registry.records.service import Records
from registry.records.sign_offs import SIGN_OFF
from registry.records.statements import PersonKey, SignOff, moment, sign_off
from registry.roles import Author, Role
from registry.store import SqlStore
from registry.witnesses import WITNESS, Witnesses
from registry.witnesses.noun import WitnessKind
from tests.registry.builders import (
    NOW,
    Centre,
    candidate,
    candidate_of_study,
    make_centre,
    update,
)
from tests.registry.record_builders import DEV, HAC, LAMP, RAI_A, Lamp, new_signer

SEC = Author("sec-1", Role.SEC, "Centre One")
NOUNS = (LAMP, WITNESS, SIGN_OFF)
TABLES = (
    "evidence_entries",
    "evidence_nodes",
    "evidence_checkpoints",
    "evidence_cosignatures",
    "evidence_keys",
    "registered_models",
    "model_versions",
    "registry_audit",
    "registry_records",
    "registry_heads",
    "registry_facets",
    "registry_links",
)


@dataclass(frozen=True)
class Filled:
    """A register with something in every table, its triggers taken away, and its key."""

    database: Path
    signer: Signer

    def audit(self, database: Path) -> None:
        store = SqlStore(f"sqlite:///{database}")
        audit_log(store, key=self.signer.public_key, nouns=NOUNS)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    centre = make_centre(tmp_path_factory.mktemp("edits") / "centre")
    centre.registrar.register(candidate(centre), actor="centre")
    centre.registrar.register(candidate_of_study(centre, "ct-2026"), actor="centre")
    fill_records(centre)
    log_an_update(centre)
    cosign(centre)
    database = sqlite3.connect(centre.database)
    for (trigger,) in database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall():
        database.execute(f"DROP TRIGGER {trigger}")
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return Filled(centre.database, centre.signer)


def fill_records(centre: Centre) -> None:
    officer = new_signer()
    key = PersonKey(
        HAC.person, officer.public_key, frozenset({Role.HAC}), NOW, NOW.replace(year=2027)
    )
    records = Records(centre.registrar.store, centre.signer, lambda: NOW, keys=lambda person: [key])
    first = records.put(LAMP, "l-1", Lamp(colour="red"), author=DEV)
    records.put(LAMP, "l-2", Lamp(colour="blue"), author=DEV, supersedes="l-1")
    signed = sign_off(
        SignOff("lamp", "l-1", 1, first.digest, "light", Role.HAC, "bright", moment(NOW)), officer
    )
    records.move(LAMP, "l-1", "light", author=HAC, revision=1, reason="bright", signature=signed)
    records.move(LAMP, "l-1", "light", author=RAI_A, revision=1, reason="tested")


def log_an_update(centre: Centre) -> None:
    given = update(centre, "tainan-1", run="cxr-2026.9")
    enter_statements(
        centre.registrar.store,
        [given],
        keys=centre.keys(),
        signer=centre.signer,
        actor="centre",
        at=NOW,
    )


def cosign(centre: Centre) -> None:
    witness = new_signer()
    records = Records(centre.registrar.store, centre.signer, lambda: NOW)
    witnesses = Witnesses(records)
    kind = WitnessKind.CENTRE
    witnesses.enter("hualien-ai", witness.public_key, kind=kind, organisation="Hualien", author=SEC)
    asked = witnesses.request("hualien-ai")
    line = cosigned(
        asked,
        log=centre.signer.public_key,
        kept=None,
        witness="hualien-ai",
        signer=witness,
        at=NOW.astimezone(UTC),
    )
    assert witnesses.take(with_cosignatures(asked.note, [line]), actor="centre") == ("hualien-ai",)


def audit_edited(filled: Filled, folder: Path, change: str, values: tuple[object, ...]) -> None:
    """Audit a copy of the register in which one statement of SQL was done by hand."""
    path = folder / "copy.db"
    shutil.copyfile(filled.database, path)
    database = sqlite3.connect(path)
    try:
        assert database.execute(change, values).rowcount == 1
        database.commit()
    finally:
        database.close()
    filled.audit(path)


def test_the_register_of_these_tests_is_whole_and_fills_every_table(filled: Filled) -> None:
    filled.audit(filled.database)
    database = sqlite3.connect(filled.database)
    for table in TABLES:
        assert database.execute(f"SELECT count(*) FROM {table}").fetchone()[0], table
    database.close()


def other(value: object) -> object:
    """Return a value that is nearly the same: one more, one bit or one letter other."""
    match value:
        case int():
            return value + 1
        case bytes():
            return value[:-1] + bytes([value[-1] ^ 1])
        case str() if value:
            middle = len(value) // 2
            letter = "b" if value[middle] == "a" else "a"
            return value[:middle] + letter + value[middle + 1 :]
    return "x"


def rows_of(filled: Filled, table: str, column: str = "rowid") -> list[tuple[int, object]]:
    """Return row and value of the first, the middle and the last row."""
    database = sqlite3.connect(filled.database)
    found = database.execute(f"SELECT rowid, {column} FROM {table} ORDER BY rowid").fetchall()
    database.close()
    return sorted({found[place] for place in (0, len(found) // 2, -1)})


COLUMNS = [(table, column.name) for table in TABLES for column in METADATA.tables[table].columns]


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[".".join(one) for one in COLUMNS])
def test_an_edited_column_is_found(filled: Filled, tmp_path: Path, table: str, column: str) -> None:
    change = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
    found = 0
    for row, value in rows_of(filled, table, column):
        try:
            with pytest.raises(LogTamperedError):
                audit_edited(filled, tmp_path, change, (other(value), row))
        except sqlite3.IntegrityError:
            continue  # the database itself refuses it
        found += 1
    assert found


@pytest.mark.parametrize("table", TABLES)
def test_a_deleted_row_is_found(filled: Filled, tmp_path: Path, table: str) -> None:
    for row, _ in rows_of(filled, table):
        with pytest.raises(LogTamperedError):
            audit_edited(filled, tmp_path, f"DELETE FROM {table} WHERE rowid = ?", (row,))


def test_no_table_of_the_register_is_forgotten() -> None:
    mine = {name for name in METADATA.tables if name.startswith(("evidence_", "registered_"))}
    assert mine <= set(TABLES)
