"""The card of an entry comes from signed records only; an edited one is refused."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from federation.errors.registry import RecordInconsistentError
from federation.errors.signed import LogTamperedError
from federation.evidence.model_version import Record
from federation.wording import Language
from registry.exchange.service import card_in
from registry.models.cards import version_noun
from registry.models.version_card import VersionCard
from registry.records.service import Records
from registry.records.tables import RECORDS
from registry.roles import Author, Role
from tests.registry.builders import NOW, Centre, candidate, make_centre
from tests.registry.exchange.builders import said

_TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
AUTHOR = Author("developer-1", Role.DEV, "Hospital A")


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    return make_centre(tmp_path / "centre")


def register(centre: Centre) -> Record:
    stored, _ = centre.registrar.register(candidate(centre), actor="test")
    return Record.from_json(stored.record.encode())


def describe(centre: Centre, card: VersionCard) -> None:
    noun = version_noun(artefacts=centre.registrar.artefacts, key=centre.signer.public_key)
    records = Records(centre.registrar.store, centre.signer, lambda: NOW)
    records.put(noun, card.entry, card, author=AUTHOR)


def card_for(record: Record, *, digest: str | None = None) -> VersionCard:
    return said(entry=record.entry, record=digest or record.digest, model=record.model.sha256)


def test_an_entry_that_nobody_described_has_its_bare_card(centre: Centre) -> None:
    record = register(centre)

    card = card_in(centre.registrar.store, record, key=centre.signer.public_key)

    assert card.entry == record.entry and card.attributes == {}


def test_what_people_said_is_on_the_card(centre: Centre) -> None:
    record = register(centre)
    describe(centre, card_for(record))

    card = card_in(centre.registrar.store, record, key=centre.signer.public_key)

    assert card.called(Language.EN) == "Chest X"
    assert card.state == "draft" and len(card.attributes) == 31


def test_a_card_of_another_record_is_refused(centre: Centre) -> None:
    record = register(centre)
    describe(centre, card_for(record, digest="sha256:" + "0" * 64))

    with pytest.raises(RecordInconsistentError, match="another record"):
        card_in(centre.registrar.store, record, key=centre.signer.public_key)


def test_a_card_that_was_edited_in_the_database_is_refused(centre: Centre) -> None:
    record = register(centre)
    describe(centre, card_for(record))
    _edit(centre.database, "Chest X", "Chest Y")

    with pytest.raises(LogTamperedError, match="not the one that was signed"):
        card_in(centre.registrar.store, record, key=centre.signer.public_key)


def _edit(database: Path, old: str, new: str) -> None:
    """Replace text in the bodies of records, as somebody with the database could."""
    with closing(sqlite3.connect(database)) as connection:
        for (name,) in connection.execute(_TRIGGERS).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        changed = connection.execute(
            f"UPDATE {RECORDS.name} SET body = replace(body, ?, ?)", (old, new)
        )
        assert changed.rowcount == 1
        connection.commit()
