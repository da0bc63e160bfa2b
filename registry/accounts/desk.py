"""What every service of accounts works with: the books, the clock, the key, the audit event."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Protocol, TypeVar

from federation.errors.access import AccountMissingError
from federation.evidence.signing import Signer
from registry.accounts.items import Account
from registry.accounts.sealing import Sealing
from registry.accounts.tables import Books
from registry.audit.kinds import RegisterEvent
from registry.audit.service import record as record_event
from registry.retrying import in_one_transaction

Value = TypeVar("Value")


class AccountStore(Protocol):
    """Where accounts are kept."""

    def changing(self) -> AbstractContextManager[Books]:
        """Open a transaction that commits on leaving; raises `WriteConflict`."""

    def looking(self) -> AbstractContextManager[Books]:
        """Open one consistent view."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything a service of accounts needs; `clock` returns the present time, UTC."""

    store: AccountStore
    signer: Signer
    clock: Callable[[], datetime]
    sealing: Sealing

    def now(self) -> datetime:
        """Return the present time in whole seconds."""
        return self.clock().astimezone(UTC).replace(microsecond=0)

    def change(self, work: Callable[[Books], Value]) -> Value:
        """Do `work` in one transaction, tried again where another writer was faster.

        Raises
        ------
        BusyRegisterError
            If other writers were always faster.
        """
        return in_one_transaction(self.store.changing, work)

    def note(self, books: Books, deed: Enum, *, by: str, about: str, **details: str) -> None:
        """Write an audit event with what it is about; it commits with the rest."""
        event = RegisterEvent(deed, by, f"account/{about}", self.now(), details)
        record_event(event, books.audit, signer=self.signer)


def account_there(books: Books, name: str) -> Account:
    """Return an account by its name.

    Raises
    ------
    AccountMissingError
        If there is none.
    """
    found = books.items.get(Account, name.casefold()[:120])
    if found is None:
        raise AccountMissingError(name=repr(name[:80]))
    return found


def changed(books: Books, account: Account, **values: object) -> Account:
    """Keep an account with some values changed, its revision one higher, and return it."""
    plain = dict(account) | values | {"revision": account.revision + 1}
    new = Account.model_validate(plain)
    books.items.put(new)
    return new
