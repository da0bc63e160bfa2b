"""An account put back, taken away or made by hand is found by the audit of the register."""

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from federation.errors.signed import LogTamperedError
from registry.accounts.items import Kind
from registry.accounts.ports import Scope
from registry.auditing import Audited, audit_log
from registry.roles import Author, Centre, Role
from tests.databases import own_schema
from tests.postgres import postgres  # noqa: F401
from tests.registry.access_builders import House, a_house

RAE = Author("rae", Role.RAI_R, "Centre One", Centre.RESPONSIBLE_AI)
ROB = Author("rob", Role.RAI_A, "Centre One", Centre.RESPONSIBLE_AI)

Rows = list[tuple[Any, ...]]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return filled(a_house(tmp_path / "house"))


def filled(house: House) -> House:
    """People in every state, with every way to come in."""
    people, tokens = house.accounts.people, house.accounts.tokens
    anna = house.person("anna", Role.HAC, organisation="Tainan Hospital")
    house.log_in(anna)
    house.person("ben", Role.AUD)
    house.invite("new", Role.DEV)
    house.invite("machine", Role.HAO, kind=Kind.SERVICE)
    tokens.make("ben", label="t", scopes=[Scope.READ], days=30)
    expires = house.clock.now + timedelta(days=300)
    tokens.add_certificate("machine", b"der", expires=expires)
    house.person("rae", Role.RAI_R, organisation="Centre One")
    people.propose(_wanted("prop"), by=RAE)
    people.propose(_wanted("conf"), by=RAE)
    people.confirm("conf", by=ROB)
    return house


def _wanted(name: str) -> Any:
    from registry.accounts.people import Wanted

    return Wanted(name, frozenset({Role.DEV}), "Lamp Works")


def audit(house: House) -> Audited:
    return audit_log(house.register.registrar.store, key=house.register.signer.public_key)


def sql(house: House, statement: str, *values: object) -> Rows:
    database = sqlite3.connect(house.register.database)
    try:
        found = database.execute(statement, values).fetchall()
        database.commit()
    finally:
        database.close()
    return found


def put_back(house: House, deed: Callable[[], object]) -> None:
    """Do a deed, then put the table of accounts back as it was before it, seals and all."""
    before = sql(house, "SELECT * FROM registry_access")
    deed()
    sql(house, "DELETE FROM registry_access")
    for row in before:
        sql(house, "INSERT INTO registry_access VALUES (?, ?, ?, ?, ?, ?)", *row)


def test_accounts_as_the_register_left_them_pass(house: House) -> None:
    assert audit(house).accounts == 7


def test_accounts_pass_on_postgresql_too(tmp_path: Path, postgres: str) -> None:  # noqa: F811
    assert audit(filled(a_house(tmp_path / "house", url=own_schema(postgres)))).accounts == 7


@pytest.mark.parametrize(
    "deed",
    [
        lambda house: house.accounts.people.shut("anna"),
        lambda house: house.accounts.people.change_roles("anna", frozenset({Role.CLI})),
        lambda house: house.accounts.people.invite_again("anna"),
        lambda house: house.enrol(house.accounts.people.invite_again("anna").secret or ""),
        lambda house: house.accounts.people.shut("machine"),
        lambda house: house.accounts.people.confirm("prop", by=ROB),
        lambda house: house.accounts.people.shut("prop"),
        lambda house: house.accounts.tokens.revoke(
            "ben", house.accounts.tokens.of("ben")[0].id, by="ben"
        ),
        lambda house: house.invite("later", Role.AUD),
    ],
    ids=["shut", "roles", "invited", "enrolled", "program", "confirmed", "refused", "token", "new"],
)
def test_accounts_put_back_as_they_were_are_found(
    house: House, deed: Callable[[House], object]
) -> None:
    put_back(house, lambda: deed(house))
    with pytest.raises(LogTamperedError, match="account"):
        audit(house)


@pytest.mark.parametrize("name", ["anna", "machine", "new", "prop"])
def test_an_account_taken_away_is_found(house: House, name: str) -> None:
    sql(house, "DELETE FROM registry_access WHERE kind = 'account' AND key = ?", name)
    with pytest.raises(LogTamperedError, match=f"account {name}"):
        audit(house)


@pytest.mark.parametrize(
    "change",
    [
        """content = replace(content, '"HAC"', '"IRB"')""",
        """content = replace(content, 'Tainan', 'Taipei')""",
        """content = replace(content, '"anna"', '"otto"')""",
        """content = 'x'""",
        """key = 'otto'""",
        """owner = 'otto'""",
    ],
)
def test_an_account_edited_by_hand_is_found_without_the_accounts_key(
    house: House, change: str
) -> None:
    sql(house, f"UPDATE registry_access SET {change} WHERE kind = 'account' AND key = 'anna'")
    with pytest.raises(LogTamperedError, match="account"):
        audit(house)


@pytest.mark.parametrize("kind", ["token", "certificate", "session"])
@pytest.mark.parametrize("owner", ["new", "nobody"])
def test_a_means_moved_to_another_account_is_found(house: House, kind: str, owner: str) -> None:
    sql(house, "UPDATE registry_access SET owner = ? WHERE kind = ?", owner, kind)
    with pytest.raises(LogTamperedError, match=f"{kind} of account {owner}"):
        audit(house)


@pytest.mark.parametrize("kind", ["passkey", "identity"])
def test_a_passkey_or_identity_that_nobody_added_is_found(house: House, kind: str) -> None:
    row = (kind, "0" * 64, "anna", "9999", "{}", b"")
    sql(house, "INSERT INTO registry_access VALUES (?, ?, ?, ?, ?, ?)", *row)
    with pytest.raises(LogTamperedError, match=f"{kind} of account anna"):
        audit(house)
