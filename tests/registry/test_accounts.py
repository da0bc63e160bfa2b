"""Accounts: who gets in, what is stored of it, and what an edit behind the back comes to."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest

from federation.errors.access import (
    AccountKeyError,
    AccountMissingError,
    AccountTakenError,
    AccountTamperedError,
    EnrolmentRefusedError,
    LogInRefusedError,
    LogInThrottledError,
    PasswordRefusedError,
    RolesRefusedError,
    TokenAskedError,
)
from registry.accounts.items import Account, AccountState, FailureItem, Kind
from registry.accounts.passwords import Passwords, check_password
from registry.accounts.people import Wanted
from registry.accounts.ports import NOBODY, Means, Scope
from registry.accounts.sealing import Sealing, new_key
from registry.accounts.tables import ITEMS
from registry.accounts.throttle import FREE_FOR_ACCOUNT, LONGEST_WAIT_S, wait_s
from registry.auditing import audit_log
from registry.roles import Author, Centre, Role
from tests.databases import own_schema
from tests.postgres import postgres  # noqa: F401
from tests.registry.access_builders import FAST, PASSWORD, House, Person, a_house
from tests.registry.record_builders import NOW

RAI = {"organisation": "Centre One"}
REGISTRAR = Author("rae", Role.RAI_R, "Centre One", Centre.RESPONSIBLE_AI)
REVIEWER = Author("rob", Role.RAI_A, "Centre One", Centre.RESPONSIBLE_AI)


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    if request.param == "sqlite":
        return a_house(tmp_path / "house")
    return a_house(tmp_path / "house", url=own_schema(str(request.getfixturevalue("postgres"))))


@pytest.fixture
def local(tmp_path: Path) -> House:
    return a_house(tmp_path / "house")


@pytest.fixture
def anna(local: House) -> Person:
    return local.person("anna", Role.RAI_R, **RAI)


def stored(house: House) -> str:
    database = sqlite3.connect(house.register.database)
    rows = database.execute("SELECT * FROM registry_access").fetchall()
    events = database.execute("SELECT content FROM registry_audit").fetchall()
    database.close()
    return repr(rows) + repr(events)


def edit(house: House, statement: str) -> None:
    database = sqlite3.connect(house.register.database)
    database.execute(statement)
    database.commit()
    database.close()


def test_an_invited_person_enrols_and_logs_in(house: House) -> None:
    person = house.person("anna", Role.RAI_R, **RAI)
    opened = house.log_in(person)
    caller = house.accounts.of_session(opened.secret)
    assert (caller.account, caller.roles) == ("anna", {Role.RAI_R})
    assert caller.author(Role.RAI_R).centre is Centre.RESPONSIBLE_AI
    assert opened.session.csrf == caller.csrf
    audit_log(house.register.registrar.store, key=house.register.signer.public_key)


def test_nothing_secret_is_stored_readable(local: House, anna: Person) -> None:
    opened = local.log_in(anna)
    made = local.accounts.tokens.make("anna", label="t", scopes=[Scope.READ], days=1)
    kept = stored(local)
    for secret in (PASSWORD, anna.seed, opened.secret, made.secret, *anna.recovery):
        assert secret not in kept
    assert "$argon2id$" in kept


def test_the_costs_of_a_password_are_those_of_rfc_9106() -> None:
    hashed = Passwords().hash(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert Passwords().fits(PASSWORD, hashed)
    assert not Passwords().fits(PASSWORD, None) and not FAST.fits("other", hashed)


@pytest.mark.parametrize(
    "password",
    ["short", "password1234", "passwordpassword", "aaaaaaaaaaaaaa", "anna" * 4, "x" * 300],
)
def test_a_weak_password_is_refused(password: str) -> None:
    with pytest.raises(PasswordRefusedError):
        check_password(password, name="anna")


def test_a_sentence_is_a_password() -> None:
    check_password("正確的馬電池釘書針一二三四", name="anna")
    check_password("correct horse battery", name="anna")


@pytest.mark.parametrize("part", ["name", "password", "code", "old code"])
def test_one_wrong_part_is_refused_without_saying_which(
    local: House, anna: Person, part: str
) -> None:
    given = {"name": "anna", "password": PASSWORD, "code": anna.code()}
    old = anna.code()
    given |= {"code": anna.code()} | {
        "name": {"name": "nobody"},
        "password": {"password": "another sentence"},
        "code": {"code": "000000"},
        "old code": {"code": pyotp.TOTP(anna.seed).at(NOW - timedelta(minutes=5))},
    }[part]
    assert old != given["code"]
    with pytest.raises(LogInRefusedError) as caught:
        local.accounts.log_ins.log_in(**given, address="192.0.2.1")  # type: ignore[arg-type]
    assert caught.value.values == {}


def test_a_code_counts_once(local: House, anna: Person) -> None:
    code = anna.code()
    local.accounts.log_ins.log_in("anna", PASSWORD, code, address="192.0.2.1")
    with pytest.raises(LogInRefusedError):
        local.accounts.log_ins.log_in("anna", PASSWORD, code, address="192.0.2.1")


def test_a_recovery_code_counts_once_and_only_with_the_password(local: House, anna: Person) -> None:
    log_in, code = local.accounts.log_ins.log_in, anna.recovery[0].lower().replace("-", " ")
    with pytest.raises(LogInRefusedError):
        log_in("anna", "another sentence", code, address="192.0.2.1")
    assert log_in("anna", PASSWORD, code, address="192.0.2.1")
    with pytest.raises(LogInRefusedError):
        log_in("anna", PASSWORD, code, address="192.0.2.1")
    local.person("ben", Role.HAC)
    with pytest.raises(LogInRefusedError):
        log_in("ben", PASSWORD, anna.recovery[1], address="192.0.2.1")


@pytest.mark.parametrize("name", ["anna", "nobody"])
def test_guessing_waits_longer_and_longer_whether_the_account_is_there_or_not(
    local: House, anna: Person, name: str
) -> None:
    waits = []
    for attempt in range(FREE_FOR_ACCOUNT + 4):
        while True:
            try:
                local.accounts.log_ins.log_in(name, "x" * 12, "000000", address=f"10.0.0.{attempt}")
            except LogInThrottledError as error:
                waits.append(int(str(error.values["seconds"])))
                local.clock.turn(seconds=waits[-1])
            except LogInRefusedError:
                break
    assert waits == [5, 10, 20, 40]


def test_a_throttled_account_is_closed_to_the_right_password_too(
    local: House, anna: Person
) -> None:
    for _ in range(FREE_FOR_ACCOUNT):
        with pytest.raises(LogInRefusedError):
            local.accounts.log_ins.log_in("anna", "x" * 12, "0", address="192.0.2.9")
    with pytest.raises(LogInThrottledError):
        local.accounts.log_ins.log_in(
            "anna", PASSWORD, pyotp.TOTP(anna.seed).at(local.clock.now), address="192.0.2.1"
        )
    assert "account-throttled" in stored(local)
    local.clock.turn(seconds=5)
    assert local.log_in(anna)
    assert local.log_in(anna)  # the count began anew


def test_one_address_cannot_try_many_names(local: House) -> None:
    for number in range(30):
        with pytest.raises(LogInRefusedError):
            local.accounts.log_ins.log_in(f"n{number}", "x" * 12, "0", address="192.0.2.9")
    with pytest.raises(LogInThrottledError):
        local.accounts.log_ins.log_in("other", "x" * 12, "0", address="192.0.2.9")


def test_no_wait_is_longer_than_fifteen_minutes() -> None:
    many = FailureItem(digest="0" * 64, account="-", count=10**6, last=NOW, expires=NOW)
    assert wait_s(many, free=5, now=NOW) == LONGEST_WAIT_S


def test_an_enrolment_is_good_once_and_for_72_hours(local: House) -> None:
    secret = local.invite("anna", Role.RAI_R)
    local.enrol(secret)
    late = local.invite("ben", Role.HAC)
    local.clock.turn(hours=72)
    for given in (secret, late, "guess"):
        with pytest.raises(EnrolmentRefusedError):
            local.accounts.people.start_enrolment(given)


def test_enrolling_needs_the_apps_code(local: House) -> None:
    secret = local.invite("anna", Role.RAI_R)
    people = local.accounts.people
    with pytest.raises(EnrolmentRefusedError):
        people.enrol(secret, password=PASSWORD, code="000000")  # the seed was never shown
    started = people.start_enrolment(secret)
    assert people.start_enrolment(secret).seed == started.seed
    with pytest.raises(EnrolmentRefusedError):
        people.enrol(secret, password=PASSWORD, code="000000")


def test_a_proposed_account_waits_for_another_person(local: House) -> None:
    people = local.accounts.people
    made = people.propose(Wanted("anna", frozenset({Role.HAC}), "House"), by=REGISTRAR)
    assert made.secret is not None
    with pytest.raises(EnrolmentRefusedError):
        people.start_enrolment(made.secret)
    with pytest.raises(AccountMissingError):
        people.confirm("anna", by=REGISTRAR)
    assert people.confirm("anna", by=REVIEWER).state is AccountState.INVITED
    assert local.enrol(made.secret)
    with pytest.raises(AccountMissingError):
        people.confirm("anna", by=REVIEWER)


@pytest.mark.parametrize(
    ("roles", "more"),
    [
        ((), {}),
        ((Role.CLOCK,), {}),
        ((Role.PUB,), {}),
        ((Role.RAI_R,), {"centre": None}),
        ((Role.RAI_R, Role.VAL_A), {"centre": Centre.VALIDATION}),
        ((Role.DEV, Role.HAC), {}),
        ((Role.DEV, Role.RAI_A), {"centre": Centre.RESPONSIBLE_AI}),
        ((Role.RAI_A,), {"centre": Centre.RESPONSIBLE_AI, "kind": Kind.SERVICE}),
    ],
)
def test_roles_that_must_be_apart_are_refused(
    local: House, roles: tuple[Role, ...], more: dict[str, object]
) -> None:
    wanted = Wanted("anna", frozenset(roles), "House", **more)  # type: ignore[arg-type]
    with pytest.raises(RolesRefusedError):
        local.accounts.people.invite(wanted)


def test_a_name_is_never_given_out_again(local: House, anna: Person) -> None:
    local.accounts.people.shut("anna")
    for name in ("anna", "ANNA"):
        with pytest.raises(AccountTakenError):
            local.invite(name, Role.HAC)


def test_shutting_an_account_ends_everything_at_once(local: House, anna: Person) -> None:
    opened = local.log_in(anna)
    token = local.accounts.tokens.make("anna", label="t", scopes=[Scope.READ], days=1)
    local.accounts.people.shut("anna")
    assert local.accounts.of_session(opened.secret) == NOBODY
    assert local.accounts.of_token(token.secret) == NOBODY
    with pytest.raises(LogInRefusedError):
        local.log_in(anna)


def test_changed_roles_count_for_open_sessions(local: House, anna: Person) -> None:
    opened = local.log_in(anna)
    local.accounts.people.change_roles("anna", frozenset({Role.RAI_A}))
    assert local.accounts.of_session(opened.secret).roles == {Role.RAI_A}


def test_inviting_again_voids_what_was_before(local: House, anna: Person) -> None:
    opened = local.log_in(anna)
    again = local.accounts.people.invite_again("anna").secret
    assert local.accounts.of_session(opened.secret) == NOBODY
    with pytest.raises(LogInRefusedError):
        local.log_in(anna)
    assert local.log_in(local.enrol(again or ""))


def test_a_token_has_scopes_and_an_end(local: House, anna: Person) -> None:
    made = local.accounts.tokens.make("anna", label="t", scopes=[Scope.READ], days=2)
    caller = local.accounts.of_token(made.secret)
    assert (caller.means, caller.scopes) == (Means.TOKEN, {Scope.READ})
    assert local.accounts.of_token(made.secret[:-1]) == NOBODY
    local.clock.turn(days=2)
    assert local.accounts.of_token(made.secret) == NOBODY


def test_a_revoked_token_is_nobodys_and_anothers_cannot_be_revoked(
    local: House, anna: Person
) -> None:
    local.person("ben", Role.HAC)
    made = local.accounts.tokens.make("anna", label="t", scopes=[Scope.READ], days=2)
    local.accounts.tokens.revoke("ben", made.token.id, by="ben")
    assert local.accounts.of_token(made.secret).account == "anna"
    local.accounts.tokens.revoke("anna", made.token.id, by="anna")
    assert local.accounts.of_token(made.secret) == NOBODY


@pytest.mark.parametrize(("scopes", "days"), [((), 1), ((Scope.READ,), 0), ((Scope.READ,), 400)])
def test_a_token_without_scope_or_end_is_refused(
    local: House, anna: Person, scopes: tuple[Scope, ...], days: int
) -> None:
    with pytest.raises(TokenAskedError):
        local.accounts.tokens.make("anna", label="t", scopes=scopes, days=days)


def test_a_certificate_counts_for_the_program_it_was_added_to(local: House, anna: Person) -> None:
    local.invite("robot", Role.DEV, kind=Kind.SERVICE)
    ends = local.clock.now + timedelta(days=1)
    local.accounts.tokens.add_certificate("robot", b"der", expires=ends)
    assert local.accounts.of_certificate(b"der").account == "robot"
    assert local.accounts.of_certificate(b"another") == NOBODY
    with pytest.raises(AccountMissingError):
        local.accounts.tokens.add_certificate("anna", b"der", expires=ends)
    local.clock.turn(days=1)
    assert local.accounts.of_certificate(b"der") == NOBODY


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE registry_access SET content = replace(content, 'HAC', 'IRB') WHERE kind='account'",
        "UPDATE registry_access SET key = 'ben' WHERE kind = 'account' AND key = 'anna'",
        "UPDATE registry_access SET content = replace(content, 'invited', 'active')",
    ],
)
def test_an_account_edited_in_the_database_is_refused(local: House, statement: str) -> None:
    local.invite("anna", Role.HAC)
    edit(local, statement)
    with pytest.raises(AccountTamperedError):
        local.accounts.people.page()


def test_a_session_moved_to_another_account_is_refused(local: House, anna: Person) -> None:
    local.person("zoe", Role.CLI)
    secret = local.log_in(local.people["zoe"]).secret
    edit(
        local,
        "UPDATE registry_access SET owner = 'anna', content = replace(content, 'zoe', 'anna') "
        "WHERE kind = 'session'",
    )
    with pytest.raises(AccountTamperedError):
        local.accounts.of_session(secret)


def test_a_database_under_another_key_opens_no_account(local: House, anna: Person) -> None:
    other = a_house(local.register.folder.parent / "other", url=local.url)
    with pytest.raises(AccountTamperedError):
        other.accounts.people.get("anna")


@pytest.mark.parametrize("content", [b"", b"zz", b"00" * 31, b"\xff" * 64])
def test_a_key_file_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(AccountKeyError):
        Sealing.of_file(content)


def test_a_key_does_not_show_itself() -> None:
    key = new_key()
    assert key.decode() not in repr(Sealing.of_file(key))


def test_a_seed_is_readable_for_its_own_account_only() -> None:
    sealing = Sealing.of_file(new_key())
    with pytest.raises(AccountTamperedError):
        sealing.decrypt(sealing.encrypt("seed", name="anna"), name="ben")


def test_two_changes_at_once_lose_nothing(house: House) -> None:
    import threading

    house.person("anna", Role.RAI_R, **RAI)
    made: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: made.append(
                house.accounts.tokens.make("anna", label="t", scopes=[Scope.READ], days=1).token.id
            )
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == sorted(one.id for one in house.accounts.tokens.of("anna"))
    audit_log(house.register.registrar.store, key=house.register.signer.public_key)


def test_the_table_is_the_one_that_the_migration_makes(local: House) -> None:
    from sqlalchemy import create_engine, inspect

    engine = create_engine(local.url)
    found = {column["name"] for column in inspect(engine).get_columns(ITEMS.name)}
    indexes = {index["name"] for index in inspect(engine).get_indexes(ITEMS.name)}
    engine.dispose()
    assert found == set(ITEMS.c.keys())
    assert indexes == {index.name for index in ITEMS.indexes}


def test_an_account_shows_nothing_secret(local: House, anna: Person) -> None:
    with local.accounts.people.desk.store.looking() as books:
        account = books.items.get(Account, "anna")
    assert account is not None and account.seed is not None and account.password is not None
    shown = repr(account.as_json())
    assert account.seed not in shown and account.password not in shown
