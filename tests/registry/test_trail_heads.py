"""The audit trail's head lies in the evidence log, so a trail that was cut is named."""

import sqlite3
from datetime import timedelta
from enum import Enum
from pathlib import Path

import pytest

from federation.errors.signed import LogTamperedError
from federation.evidence.canonical import parse
from federation.evidence.signing import sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.trail import Head
from federation.flows.registry_timers import turn_clock
from federation.operations.embedded_registry import registrar as registrar_of
from federation.operations.enrolment import init_centre
from registry.audit.heads import log_head
from registry.audit.kinds import RegisterEvent
from registry.audit.service import record
from registry.auditing import audit_log
from registry.bundle import export
from registry.evidence.service import append, seal
from tests.registry.builders import NOW, Centre, candidate, make_centre
from tests.registry.bundles import ENTRY, statements


class Deed(Enum):
    LOOKED = "looked"


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    centre = make_centre(tmp_path / "centre")
    given = candidate(centre, statements=statements(centre))
    centre.registrar.register(given, actor="centre")
    return centre


def look(centre: Centre, *who: str) -> None:
    """Something that leaves an event in the trail and nothing in the log."""
    for one in who:
        event = RegisterEvent(Deed.LOOKED, one, "account/x", NOW)
        with centre.registrar.store.writing() as transaction:
            record(event, transaction.audit, signer=centre.signer)


def log_the_head(centre: Centre) -> int | None:
    return log_head(centre.registrar.store, signer=centre.signer, at=NOW)


def audit(centre: Centre) -> None:
    audit_log(centre.registrar.store, key=centre.signer.public_key)


def kept(centre: Centre) -> list[str]:
    with centre.registrar.store.reading() as transaction:
        return [str(parse(one.content)["kind"]) for one in transaction.audit.events()]  # type: ignore[index]


def cut(centre: Centre, *, keep: int) -> None:
    """Drop the newest events, as somebody would who holds the database."""
    database = sqlite3.connect(centre.database)
    found = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'registry_audit'"
    )
    for (trigger,) in found.fetchall():
        database.execute(f"DROP TRIGGER {trigger}")
    database.execute("DELETE FROM registry_audit WHERE sequence >= ?", (keep,))
    database.commit()
    database.close()


def test_the_head_says_how_many_events_there_were_and_which_was_the_last(centre: Centre) -> None:
    look(centre, "ann", "bob")
    place = log_the_head(centre)
    assert place is not None
    with centre.registrar.store.reading() as transaction:
        envelope = transaction.log.entry(place).envelope
        assert transaction.log.size() == place + 1
    head = Head.of(envelope, key=centre.signer.public_key)
    assert (head.events, head.at) == (3, "2026-09-01T08:00:00Z")
    assert kept(centre) == ["model-registered", "looked", "looked", "trail-logged"]
    audit(centre)


def test_nothing_is_logged_where_nothing_happened_since(centre: Centre, tmp_path: Path) -> None:
    assert log_the_head(centre) is not None
    assert log_the_head(centre) is None
    empty = make_centre(tmp_path / "empty")
    assert log_the_head(empty) is None


def test_events_after_the_last_growth_were_cut_unnoticed_before_and_are_named_now(
    centre: Centre,
) -> None:
    look(centre, "ann", "bob")
    cut(centre, keep=2)
    audit(centre)
    look(centre, "bob")
    log_the_head(centre)
    for keep, why in ((3, "not one event for every head"), (2, "the log shows 3 events, it has 2")):
        cut(centre, keep=keep)
        with pytest.raises(LogTamperedError, match=why):
            audit(centre)


def test_a_trail_written_anew_with_the_registers_key_is_named(centre: Centre) -> None:
    look(centre, "ann")
    log_the_head(centre)
    cut(centre, keep=1)
    look(centre, "eve", "eve")
    with pytest.raises(LogTamperedError, match="another event in place 1"):
        audit(centre)


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("audit-trail/1", {"events": 2, "at": "2026-09-01T08:00:00Z"}),
        ("audit-trail/0", {"events": 0, "at": "2026-09-01T08:00:00Z"}),
        ("audit-trail/1", {"events": 1}),
        ("audit-trail/1", {"events": 1, "at": "2026-09-01T08:00:00Z", "more": 1}),
    ],
)
def test_a_head_of_another_form_is_named(
    centre: Centre, subject: str, said: dict[str, object]
) -> None:
    digest = centre.signer.keyid
    statement = Statement((Subject(subject, digest),), PredicateType.AUDIT_TRAIL, said)
    with centre.registrar.store.writing() as transaction:
        append(transaction.log, [sign_dsse(statement, centre.signer)])
        seal(transaction.log, signer=centre.signer)
    with pytest.raises(LogTamperedError, match="malformed"):
        audit(centre)


def test_a_bundle_is_written_over_a_logged_trail_and_stays_the_same(
    centre: Centre, tmp_path: Path
) -> None:
    look(centre, "ann")
    first = export(centre.registrar, ENTRY, tmp_path / "first.zip").read_bytes()
    assert kept(centre)[-1] == "trail-logged"
    look(centre, "bob")
    assert export(centre.registrar, ENTRY, tmp_path / "again.zip").read_bytes() == first
    assert kept(centre)[-3:] == ["trail-logged", "looked", "trail-logged"]
    cut(centre, keep=3)
    with pytest.raises(LogTamperedError, match="audit trail"):
        audit(centre)


def test_the_registers_clock_logs_the_head_once_an_hour(tmp_path: Path) -> None:
    home = init_centre(tmp_path / "C", name="Centre", address="localhost:7443", now=NOW)
    keeper = registrar_of(home)
    event = RegisterEvent(Deed.LOOKED, "ann", "account/x", NOW)
    for hour in range(3):
        if hour < 2:
            with keeper.store.writing() as transaction:
                record(event, transaction.audit, signer=keeper.signer)
        turn_clock(tmp_path / "C", NOW + timedelta(hours=hour))
    with keeper.store.reading() as transaction:
        assert transaction.log.size() == 2
    audit_log(keeper.store, key=keeper.signer.public_key)
