"""Compare the accounts with the audit trail: none may be as it once was, or never was.

A row's seal shows that the register wrote it, not that it still holds: a row put back as
it once was, or taken away, keeps every seal whole. The trail is signed, event by event, so
it says which accounts there are, in which state, with which roles, and which tokens,
passkeys, certificates and identities they may come in with. `registry.auditing` calls
this. Not told by the trail: how often somebody logged in, and whose sessions are open.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from federation.errors.signed import LogTamperedError, NotCanonicalError
from federation.evidence.canonical import parse
from registry.accounts.items import (
    Account,
    AccountDeed,
    AccountState,
    CertificateItem,
    IdentityItem,
    Kind,
    PasskeyItem,
    SessionItem,
    SignatureKeyItem,
    TokenItem,
)
from registry.ports import AccountRow, AccountRows

MEANS = (
    TokenItem.table,
    CertificateItem.table,
    IdentityItem.table,
    PasskeyItem.table,
    SessionItem.table,
    SignatureKeyItem.table,
)
_SUBJECT = "account/"
_OF_KEYS = frozenset({AccountDeed.SIGNATURE_KEY_ADDED, AccountDeed.SIGNATURE_KEY_REVOKED})
_ANEW = frozenset({AccountDeed.INVITED, AccountDeed.SHUT})
"""Deeds after which nothing of before lets anybody in."""


@dataclass
class _Told:
    """What the trail says of one account."""

    name: str
    roles: str = ""
    organisation: str = ""
    state: AccountState = AccountState.PROPOSED
    revision: int = 1
    tokens: set[str] = field(default_factory=set)
    certificates: set[str] = field(default_factory=set)
    passkeys: int = 0
    keys: dict[str, bool] = field(default_factory=dict)
    is_linked: bool = False

    def take(self, deed: AccountDeed, details: Mapping[str, str]) -> None:
        """Take the next event."""
        self.roles = details.get("roles", self.roles)
        self.organisation = details.get("organisation", self.organisation)
        self.revision = int(details.get("revision", self.revision))
        self.state = _AFTER.get(deed, self.state)
        if deed in _ANEW:
            self.tokens, self.passkeys, self.is_linked = set(), 0, False
            self.keys = dict.fromkeys(self.keys, False)
        if deed is AccountDeed.SHUT:
            self.certificates = set()
        if deed in _OF_KEYS:
            self.keys[details["key"]] = deed is AccountDeed.SIGNATURE_KEY_ADDED
        self.tokens |= {details["token"]} if deed is AccountDeed.TOKEN_MADE else set()
        self.tokens -= {details["token"]} if deed is AccountDeed.TOKEN_REVOKED else set()
        added = deed is AccountDeed.CERTIFICATE_ADDED
        self.certificates |= {details["certificate"]} if added else set()
        self.passkeys += deed is AccountDeed.PASSKEY_ADDED
        self.is_linked = self.is_linked or deed is AccountDeed.IDENTITY_LINKED


_AFTER = {
    AccountDeed.PROPOSED: AccountState.PROPOSED,
    AccountDeed.CONFIRMED: AccountState.INVITED,
    AccountDeed.INVITED: AccountState.INVITED,
    AccountDeed.ENROLLED: AccountState.ACTIVE,
    AccountDeed.SHUT: AccountState.SHUT,
}


def verify_accounts(rows: AccountRows, events: Iterable[Mapping[str, object]]) -> int:
    """Return how many accounts there are, if each is as the audit trail says.

    Raises
    ------
    LogTamperedError
        Naming the first account that is missing, was never made, or is as it once was.
    """
    told = _told(events)
    stored = {row.key: row for row in rows.rows(Account.table)}
    for key in sorted(told.keys() | stored.keys()):
        item = f"account {(told[key].name if key in told else key)[:80]}"
        if key not in stored:
            raise LogTamperedError(item=item, why="it is missing")
        if key not in told:
            raise LogTamperedError(item=item, why="the audit trail knows of no such account")
        for why in _unlike(told[key], stored[key]):
            raise LogTamperedError(item=item, why=why)
    _verify_means(told, rows.rows(*MEANS))
    return len(stored)


def _told(events: Iterable[Mapping[str, object]]) -> dict[str, _Told]:
    deeds = {deed.value: deed for deed in AccountDeed}
    told: dict[str, _Told] = {}
    for event in events:
        subject, deed = str(event["subject"]), deeds.get(str(event["kind"]))
        if deed is None or not subject.startswith(_SUBJECT):
            continue
        name, details = subject.removeprefix(_SUBJECT), event.get("details")
        said = details if isinstance(details, dict) else {}
        told.setdefault(name.casefold(), _Told(name)).take(deed, said)
    return told


def _unlike(told: _Told, row: AccountRow) -> Iterator[str]:
    """Yield what of an account is not as the trail says."""
    account = _read(row)
    roles = ", ".join(sorted(role.value for role in account.roles))
    if row.owner != row.key or account.key != row.key or account.name != told.name:
        yield "it is under another's name"
    if (roles, account.organisation) != (told.roles, told.organisation):
        yield "its roles or organisation are others"
    may_enter = account.kind is Kind.SERVICE and told.state is AccountState.INVITED
    state = AccountState.ACTIVE if may_enter else told.state
    if account.state is not state or account.revision < told.revision:
        yield "it is as it once was"


def _verify_means(told: Mapping[str, _Told], rows: Iterable[AccountRow]) -> None:
    counted: dict[tuple[str, str], int] = {}
    for row in rows:
        item, mine = f"{row.kind} of account {row.owner[:80]}", told.get(row.owner)
        counted[row.kind, row.owner] = counted.get((row.kind, row.owner), 0) + 1
        if mine is None or not _allows(mine, row, counted[row.kind, row.owner]):
            raise LogTamperedError(item=item, why="the audit trail knows of none that counts")
    for owner, one in told.items():
        if counted.get((SignatureKeyItem.table, owner), 0) != len(one.keys):
            item = f"{SignatureKeyItem.table} of account {owner[:80]}"
            raise LogTamperedError(item=item, why="one that the audit trail knows of is missing")


def _allows(told: _Told, row: AccountRow, count: int) -> bool:
    """Say whether the trail knows of a means by which an account comes in."""
    if row.kind == TokenItem.table:
        return _field(row, "id") in told.tokens
    if row.kind == CertificateItem.table:
        return row.key in told.certificates
    if row.kind == SignatureKeyItem.table:
        return told.keys.get(row.key) is (_field(row, "revoked") is None)
    if row.kind == PasskeyItem.table:
        return count <= told.passkeys
    if row.kind == IdentityItem.table:
        return told.is_linked and count == 1
    return told.state is AccountState.ACTIVE


def _read(row: AccountRow) -> Account:
    try:
        return Account.model_validate_json(row.content)
    except ValueError as error:
        item = f"account {row.key[:80]}"
        raise LogTamperedError(item=item, why="it cannot be read") from error


def _field(row: AccountRow, name: str) -> object:
    try:
        value = parse(row.content)
    except NotCanonicalError:
        return None
    return value.get(name) if isinstance(value, dict) else None
