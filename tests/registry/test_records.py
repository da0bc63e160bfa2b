"""Records of any noun, on both databases: immutable, signed, logged, audited, or not there."""

import dataclasses
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from federation.errors import PlatformError
from federation.errors.core import InvalidIdError
from federation.errors.guards import SafetyGuardError
from federation.errors.moves import (
    MoveNotListedError,
    PersonKeyError,
    ReasonMissingError,
    RecordNotFoundError,
    RecordShapeError,
    SeparationError,
    SignatureRefusedError,
    StaleRecordError,
)
from federation.errors.signed import BadSignatureError, LogTamperedError
from registry.auditing import audit_log
from registry.records.service import Records
from registry.records.statements import SignOff, moment, sign_off, verify_record
from registry.roles import Author, Centre, Role
from registry.store import SqlStore
from tests.databases import own_schema
from tests.postgres import postgres  # noqa: F401
from tests.registry.record_builders import (
    DEV,
    HAC,
    HAO,
    LAMP,
    NOW,
    OTHER_DEV,
    RAI_A,
    RAI_R,
    TFD,
    Desk,
    Lamp,
    a_desk,
    new_signer,
    sqlite_url,
)

RED, BLUE = Lamp(colour="red"), Lamp(colour="blue")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    return own_schema(str(request.getfixturevalue("postgres")))


@pytest.fixture
def desk(url: str) -> Desk:
    return a_desk(url)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Desk]:
    """A desk on SQLite alone, for rules that no database has a say in."""
    yield a_desk(sqlite_url(tmp_path))


def audited(desk: Desk) -> None:
    audit_log(desk.records.store, key=desk.signer.public_key)


def test_a_record_has_revisions_and_each_stays_as_it_was(desk: Desk) -> None:
    first = desk.records.put(LAMP, "l-1", RED, author=DEV)
    second = desk.records.put(LAMP, "l-1", BLUE, author=DEV, revision=1, reason="repainted")
    assert (first.revision, second.revision, second.previous) == (1, 2, first.digest)
    assert desk.records.get("lamp", "l-1") == second
    assert desk.records.get("lamp", "l-1", 1) == first
    assert list(desk.records.history("lamp", "l-1")) == [first, second]
    assert LAMP.of(first) == RED and LAMP.of(second) == BLUE
    audited(desk)


def test_record_log_leaf_checkpoint_and_event_come_together(desk: Desk) -> None:
    record = desk.records.put(LAMP, "l-1", RED, author=DEV)
    with desk.records.store.reading() as transaction:
        envelope = transaction.log.entry(record.log_index).envelope
        said = verify_record(envelope, key=desk.signer.public_key)
        assert said == record.as_json()
        assert said["author"] == DEV.as_json()
        assert transaction.log.checkpoint(record.log_size) is not None
        (event,) = transaction.audit.events()
        assert event.subject == "lamp/l-1/1"


def test_a_failure_leaves_nothing_of_a_record(desk: Desk) -> None:
    def work(writing: object) -> None:
        writing.put(LAMP, "l-1", RED, author=DEV)  # type: ignore[attr-defined]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        desk.records.write(work)
    with desk.records.store.reading() as transaction:
        assert transaction.log.size() == transaction.records.count("lamp") == 0
        assert transaction.audit.last() is None


def test_a_write_that_saw_an_older_revision_is_told_what_changed(desk: Desk) -> None:
    desk.records.put(LAMP, "l-1", RED, author=DEV)
    desk.records.put(LAMP, "l-1", BLUE, author=DEV, revision=1)
    with pytest.raises(StaleRecordError) as refused:
        desk.records.put(LAMP, "l-1", RED, author=DEV, revision=1)
    assert refused.value.values["changed"] == "colour"
    with pytest.raises(StaleRecordError):
        desk.records.put(LAMP, "l-1", RED, author=DEV)
    with pytest.raises(StaleRecordError):
        desk.records.put(LAMP, "l-1", RED, author=DEV, revision=7)


def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    for id in ("l-1", "", "../x", "x" * 200):
        with pytest.raises(RecordNotFoundError):
            desk.records.get("lamp", id)
    with pytest.raises(RecordNotFoundError):
        desk.records.history("lamp", "l-1")
    with pytest.raises(RecordNotFoundError):
        desk.records.put(LAMP, "l-1", RED, author=DEV, revision=1)
    with pytest.raises(RecordNotFoundError):
        desk.records.put(LAMP, "l-1", RED, author=DEV, supersedes="l-0")


@pytest.mark.parametrize("id", ["", "a/b", "../x", "a b", "x" * 121, "<b>", "a'--"])
def test_a_record_is_called_plainly(small: Desk, id: str) -> None:
    with pytest.raises(InvalidIdError):
        small.records.put(LAMP, id, RED, author=DEV)


def test_content_must_fit_its_shape_and_size(small: Desk) -> None:
    with pytest.raises(RecordShapeError):
        LAMP.read(b'{"colour": "red", "secret": 1}')
    with pytest.raises(RecordShapeError):
        LAMP.read(b'{"colour": 7}')
    with pytest.raises(PlatformError):
        LAMP.read(b'{"colour": "red", "colour": "blue"}')
    with pytest.raises(RecordShapeError):
        small.records.put(LAMP, "l-1", Lamp(colour="x" * 600_000), author=DEV)


def test_only_the_nouns_authors_write_and_only_while_it_may_be_edited(small: Desk) -> None:
    with pytest.raises(MoveNotListedError):
        small.records.put(LAMP, "l-1", RED, author=HAC)
    small.records.put(LAMP, "l-1", RED, author=DEV)
    small.records.move(LAMP, "l-1", "break", author=HAC, revision=1, reason="fell")
    with pytest.raises(MoveNotListedError):
        small.records.put(LAMP, "l-1", BLUE, author=DEV, revision=2)


def test_a_record_supersedes_another_and_both_stay(desk: Desk) -> None:
    desk.records.put(LAMP, "l-1", RED, author=DEV)
    later = desk.records.put(LAMP, "l-2", BLUE, author=DEV, supersedes="l-1")
    assert later.supersedes == "l-1"
    again = desk.records.put(LAMP, "l-2", RED, author=DEV, revision=1)
    assert again.supersedes == "l-1"
    assert desk.records.get("lamp", "l-1").revision == 1


def test_pages_go_on_where_they_ended_though_records_are_added(desk: Desk) -> None:
    for number in range(7):
        desk.records.put(LAMP, f"l-{number}", RED, author=DEV)
    page = desk.records.page("lamp", limit=3)
    assert [item.id for item in page.items] == ["l-6", "l-5", "l-4"]
    desk.records.put(LAMP, "l-new", RED, author=DEV)
    following = desk.records.page("lamp", before=page.next, limit=3)
    assert [item.id for item in following.items] == ["l-3", "l-2", "l-1"]
    last = desk.records.page("lamp", before=following.next, limit=3)
    assert [item.id for item in last.items] == ["l-0"] and last.next is None


def test_records_are_found_by_word_facet_state_and_link(desk: Desk) -> None:
    desk.records.put(LAMP, "l-1", RED, author=DEV)
    desk.records.put(LAMP, "l-2", Lamp(colour="Ruby_100%", house="ward-2"), author=DEV)
    desk.records.move(LAMP, "l-1", "break", author=HAC, revision=1, reason="fell")

    def ids(**asked: str) -> list[str]:
        return [one.id for one in desk.records.search("lamp", **asked).items]

    assert ids(text="lamp") == ["l-1", "l-2"]
    assert ids(text="RUBY lamp") == ["l-2"]
    assert ids(text="100%") == ["l-2"] and ids(text="10_%") == [] and ids(text="r%d") == []
    assert ids(colour="red") == ["l-1"] and ids(colour="x' OR 1=1") == []
    assert [one.id for one in desk.records.page("lamp", state="broken").items] == ["l-1"]
    assert [one.id for one in desk.records.linking("house", "ward-2")] == ["l-2"]
    assert not desk.records.linking("house", "ward-2", relation="heats")
    desk.records.put(LAMP, "l-2", BLUE, author=DEV, revision=1)
    assert ids(text="ruby") == ids(colour="Ruby_100%") == []
    assert not desk.records.linking("house", "ward-2")


@pytest.mark.parametrize(
    "deed",
    ["DELETE FROM registry_records", "UPDATE registry_records SET state = 'lit'"],
)
def test_the_database_itself_refuses_to_change_or_delete_a_record(
    desk: Desk, url: str, deed: str
) -> None:
    desk.records.put(LAMP, "l-1", RED, author=DEV)
    engine = create_engine(url)
    with pytest.raises(DBAPIError, match="never changed or deleted"), engine.begin() as connection:
        connection.execute(text(deed))
    engine.dispose()
    assert desk.records.get("lamp", "l-1").state == "new"


def test_a_move_of_two_people_is_made_when_the_second_has_signed(desk: Desk) -> None:
    desk.records.put(LAMP, "l-1", RED, author=DEV)
    first = desk.records.move(LAMP, "l-1", "light", author=RAI_A, revision=1, reason="it works")
    assert not first.is_done and first.record.state == "new"
    assert first.missing == (frozenset({Role.HAC}),)
    second = desk.records.move(LAMP, "l-1", "light", author=HAC, revision=1, reason="agreed")
    assert second.is_done and second.record.state == "lit"
    people = [one.author.person for one in second.record.signatures]
    assert people == ["rai-1", "hac-1"]
    audited(desk)


def test_nobody_signs_twice_or_for_a_seat_that_is_taken(small: Desk) -> None:
    small.records.put(LAMP, "l-1", RED, author=DEV)
    small.records.move(LAMP, "l-1", "light", author=RAI_A, revision=1, reason="ok")
    other = Author("rai-9", Role.RAI_A, "Centre One", Centre.RESPONSIBLE_AI)
    for author in (RAI_A, other):
        with pytest.raises(SignatureRefusedError):
            small.records.move(LAMP, "l-1", "light", author=author, revision=1, reason="ok")


def test_a_sign_off_counts_for_one_revision_only(small: Desk) -> None:
    small.records.put(LAMP, "l-1", RED, author=DEV)
    small.records.move(LAMP, "l-1", "light", author=RAI_A, revision=1, reason="ok")
    small.records.put(LAMP, "l-1", BLUE, author=DEV, revision=1)
    with pytest.raises(StaleRecordError):
        small.records.move(LAMP, "l-1", "light", author=HAC, revision=1, reason="ok")
    moved = small.records.move(LAMP, "l-1", "light", author=HAC, revision=2, reason="ok")
    assert moved.missing == (frozenset({Role.RAI_A}),)


def test_a_sign_off_no_longer_counts_after_thirty_days(small: Desk) -> None:
    small.records.put(LAMP, "l-1", RED, author=DEV)
    small.records.move(LAMP, "l-1", "light", author=RAI_A, revision=1, reason="ok")
    small.clock.turn(days=30)
    moved = small.records.move(LAMP, "l-1", "light", author=HAC, revision=1, reason="ok")
    assert moved.missing == (frozenset({Role.RAI_A}),)


def test_a_move_needs_a_reason_and_a_guard_holds_it_back(small: Desk) -> None:
    small.records.put(LAMP, "l-1", Lamp(colour="red", watts=200), author=DEV)
    for reason in ("", "   ", "x" * 2001):
        with pytest.raises(ReasonMissingError):
            small.records.move(LAMP, "l-1", "break", author=HAC, revision=1, reason=reason)
    with pytest.raises(SafetyGuardError):
        small.records.move(LAMP, "l-1", "light", author=HAC, revision=1, reason="ok")
    (problem,) = small.records.held_back(LAMP, "l-1", "light", author=HAC)
    assert problem.code == SafetyGuardError.code


@pytest.mark.parametrize(
    "signer",
    [
        Author("dev-1", Role.HAC, "Tainan Hospital"),
        Author("rai-1", Role.RAI_A, "Centre One"),
        Author("rai-1", Role.RAI_A, "Centre One", Centre.VALIDATION),
        Author("rai-1", Role.RAI_A, "Lamp Works", Centre.RESPONSIBLE_AI),
    ],
    ids=["author-in-another-role", "no-centre", "another-centre", "the-authors-house"],
)
def test_what_must_be_apart_is_apart(small: Desk, signer: Author) -> None:
    small.records.put(LAMP, "l-1", RED, author=DEV)
    with pytest.raises(SeparationError):
        small.records.move(LAMP, "l-1", "light", author=signer, revision=1, reason="ok")


def test_the_signer_is_never_an_author_even_in_the_same_role(small: Desk) -> None:
    from dataclasses import replace

    noun = replace(LAMP, authors=frozenset({Role.HAC}))
    small.records.put(noun, "l-1", RED, author=HAC)
    with pytest.raises(SeparationError):
        small.records.move(noun, "l-1", "break", author=HAC, revision=1, reason="mine")


def test_a_person_keeps_one_role_on_a_record(small: Desk) -> None:
    small.records.put(LAMP, "l-1", RED, author=DEV)
    small.records.move(LAMP, "l-1", "light", author=HAC, revision=1, reason="ok")
    same = Author("hac-1", Role.TFD, "TFDA")
    with pytest.raises(SeparationError):
        small.records.move(LAMP, "l-1", "break", author=same, revision=1, reason="now so")
    twice = Author("dev-1", Role.HAO, "Lamp Works")
    with pytest.raises(SeparationError):
        small.records.put(LAMP, "l-1", BLUE, author=twice, revision=1)


def test_both_people_of_a_move_may_sign_with_keys_of_their_own(small: Desk) -> None:
    small.records.put(LAMP, "l-1", RED, author=DEV)
    for author in (RAI_A, HAC):
        given = the_sign_off(small, author, move="light", reason="ok")
        envelope = sign_off(given, small.key_of(author))
        done = small.records.move(
            LAMP, "l-1", "light", author=author, revision=1, reason="ok", signature=envelope
        )
    assert [one.key is not None for one in done.record.signatures] == [True, True]
    audited(small)


def the_sign_off(desk: Desk, signer: Author, **changes: object) -> SignOff:
    record = desk.records.get("lamp", "l-1")
    fields: dict[str, object] = {
        "noun": "lamp",
        "id": "l-1",
        "revision": record.revision,
        "digest": record.digest,
        "move": "break",
        "role": signer.role,
        "reason": "fell",
        "at": moment(desk.clock.now),
    }
    return SignOff(**(fields | changes))  # type: ignore[arg-type]


def break_it(desk: Desk, envelope: str) -> Author:
    moved = desk.records.move(
        LAMP, "l-1", "break", author=HAC, revision=1, reason="fell", signature=envelope
    )
    return moved.record.signatures[0].author


def test_a_personal_signature_is_logged_and_named(small: Desk) -> None:
    small.records.put(LAMP, "l-1", RED, author=DEV)
    envelope = sign_off(the_sign_off(small, HAC), small.key_of(HAC))
    assert break_it(small, envelope) == HAC
    signed = small.records.get("lamp", "l-1").signatures[0]
    assert signed.envelope_digest is not None
    with small.records.store.reading() as transaction:
        assert transaction.log.index_of(signed.envelope_digest) is not None
    audited(small)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "l-2"},
        {"revision": 2},
        {"move": "light"},
        {"role": Role.TFD},
        {"reason": "another"},
        {"at": "2026-09-01T07:00:00Z"},
        {"at": "yesterday"},
        {"digest": "sha256:" + "0" * 64},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_personal_signature_over_anything_else_is_refused(
    small: Desk, changes: dict[str, object]
) -> None:
    from federation.domain.ids import Sha256

    small.records.put(LAMP, "l-1", RED, author=DEV)
    if "digest" in changes:
        changes = {"digest": Sha256(str(changes["digest"]))}
    envelope = sign_off(the_sign_off(small, HAC, **changes), small.key_of(HAC))
    with pytest.raises(PersonKeyError):
        break_it(small, envelope)
    assert small.records.get("lamp", "l-1").state == "new"


@pytest.mark.parametrize(
    "changes",
    [
        {"revoked_at": NOW},
        {"valid_until": NOW},
        {"valid_from": NOW.replace(year=2027)},
        {"roles": frozenset({Role.TFD})},
    ],
    ids=["revoked", "expired", "not-yet", "another-role"],
)
def test_a_key_that_may_not_sign_now_is_refused(small: Desk, changes: dict[str, object]) -> None:
    small.records.put(LAMP, "l-1", RED, author=DEV)
    signer = small.key_of(HAC, **changes)
    with pytest.raises(PersonKeyError):
        break_it(small, sign_off(the_sign_off(small, HAC), signer))


def test_a_key_revoked_later_undoes_nothing(small: Desk) -> None:
    small.records.put(LAMP, "l-1", RED, author=DEV)
    signer = small.key_of(HAC)
    assert break_it(small, sign_off(the_sign_off(small, HAC), signer)) == HAC
    (key,) = small.people[HAC.person]
    small.people[HAC.person] = [dataclasses.replace(key, revoked_at=NOW.replace(day=2))]
    audit_log(small.records.store, key=small.signer.public_key)


def test_a_revoked_key_signs_nothing_also_where_the_clock_was_set_back(small: Desk) -> None:
    small.records.put(LAMP, "l-1", RED, author=DEV)
    signer = small.key_of(HAC, revoked_at=NOW.replace(day=2))
    with pytest.raises(PersonKeyError):
        break_it(small, sign_off(the_sign_off(small, HAC), signer))


def test_somebody_elses_key_and_a_forged_signature_are_refused(small: Desk) -> None:
    small.records.put(LAMP, "l-1", RED, author=DEV)
    good = small.key_of(HAC)
    with pytest.raises(PersonKeyError):
        break_it(small, sign_off(the_sign_off(small, HAC), small.key_of(TFD)))
    with pytest.raises(PersonKeyError):
        break_it(small, sign_off(the_sign_off(small, HAC), new_signer()))
    forged = new_signer()
    forged.public_key = good.public_key
    with pytest.raises(BadSignatureError):
        break_it(small, sign_off(the_sign_off(small, HAC), forged))


TAMPERING = [
    "UPDATE registry_records SET body = replace(body, 'red', 'rod')",
    "UPDATE registry_records SET state = 'lit' WHERE revision = 1",
    "UPDATE registry_records SET author = replace(author, 'dev-1', 'dev-7')",
    "UPDATE registry_records SET reason = 'another'",
    "UPDATE registry_records SET log_index = 77 WHERE revision = 2",
    "DELETE FROM registry_records WHERE revision = 2",
    "UPDATE registry_heads SET revision = 1",
    "UPDATE registry_heads SET state = 'lit'",
    "DELETE FROM registry_heads",
    "INSERT INTO registry_heads VALUES ('lamp', 'l-9', 1, 'new', 99, '')",
]


@pytest.mark.parametrize("deed", TAMPERING)
def test_a_record_edited_behind_the_register_is_found(tmp_path: Path, deed: str) -> None:
    desk = a_desk(sqlite_url(tmp_path))
    desk.records.put(LAMP, "l-1", RED, author=DEV)
    desk.records.put(LAMP, "l-1", Lamp(colour="red", watts=7), author=DEV, revision=1)
    audited(desk)
    engine = create_engine(sqlite_url(tmp_path))
    with engine.begin() as connection:
        for kind in ("update", "delete"):
            connection.execute(text(f"DROP TRIGGER registry_records_no_{kind}"))
        connection.execute(text(deed))
    engine.dispose()
    with pytest.raises(LogTamperedError):
        audited(desk)


WRITERS = 32
EACH = 4


def _write_elsewhere(url: str, key: bytes, number: int) -> int:
    """Write records in a process of its own; takes only plain values."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from federation.evidence.signing import Signer

    signer = Signer(Ed25519PrivateKey.from_private_bytes(key))
    records = Records(SqlStore(url), signer, lambda: NOW)
    for part in range(EACH):
        records.put(LAMP, f"l-{number}-{part}", RED, author=DEV)
    seen = 0
    while True:  # all of them also write to the same record
        try:
            return records.put(LAMP, "shared", RED, author=OTHER_DEV, revision=seen).revision
        except StaleRecordError as stale:
            seen = int(str(stale.values["current"]))


def test_thirty_two_writers_on_postgresql_lose_nothing(request: pytest.FixtureRequest) -> None:
    from concurrent.futures import ThreadPoolExecutor

    url = own_schema(str(request.getfixturevalue("postgres")))
    desk = a_desk(url)
    key = desk.signer._key.private_bytes_raw()
    with ThreadPoolExecutor(WRITERS) as pool:
        last = list(pool.map(lambda number: _write_elsewhere(url, key, number), range(WRITERS)))
    _nothing_is_lost(desk, last, WRITERS)


@pytest.mark.slow
def test_processes_on_postgresql_lose_nothing(request: pytest.FixtureRequest) -> None:
    url = own_schema(str(request.getfixturevalue("postgres")))
    desk = a_desk(url)
    key = desk.signer._key.private_bytes_raw()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        tasks = [pool.submit(_write_elsewhere, url, key, number) for number in range(WRITERS)]
        last = [task.result() for task in tasks]
    _nothing_is_lost(desk, last, WRITERS)


def _nothing_is_lost(desk: Desk, last: list[int], writers: int) -> None:
    assert sorted(last) == list(range(1, writers + 1))
    expected = writers * EACH + writers
    with desk.records.store.reading() as transaction:
        assert transaction.log.size() == expected
        assert [entry.index for entry in transaction.log.entries()] == list(range(expected))
        assert transaction.records.count("lamp") == writers * EACH + 1
    assert audit_log(desk.records.store, key=desk.signer.public_key).entries == expected


def test_roles_that_are_no_person_are_never_granted() -> None:
    from registry.roles import GRANTABLE

    assert Role.CLOCK not in GRANTABLE and Role.PUB not in GRANTABLE
    assert HAO.role in GRANTABLE and RAI_R.role in GRANTABLE
