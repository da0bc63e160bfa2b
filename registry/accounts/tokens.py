"""API tokens of people and programs, and the certificates that programs come with.

A token is shown once and stored as a digest; it has scopes and an end, and never more
rights than its account has at the time it is used. A certificate counts when the TLS
layer has checked it against the centre's authority and its digest is among an account's.
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from federation.errors.access import AccountMissingError, TokenAskedError
from federation.wording import Text
from registry.accounts.desk import Desk, account_there
from registry.accounts.items import (
    Account,
    AccountDeed,
    CertificateItem,
    Item,
    Kind,
    TokenItem,
)
from registry.accounts.people import OPERATOR
from registry.accounts.ports import NOBODY, Caller, Means, Scope
from registry.accounts.sealing import new_secret
from registry.accounts.tables import Books

PREFIX = "trifed_"
MAX_DAYS = 366
MAX_TOKENS = 20
_TOKEN = "token"  # noqa: S105
_MAX_SECRET = 200

_NO_SCOPE = Text(en="it has no scope", zh="未指定範圍")
_DAYS = Text(en="its days are not 1 to 366", zh="期限不在 1 至 366 天之間")
_MANY = Text(en="the account has 20 already", zh="此帳號已有 20 個")


@dataclass(frozen=True, slots=True)
class MadeToken:
    """A token just made; `secret` is shown this once."""

    token: TokenItem
    secret: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """What programs come in with."""

    desk: Desk

    def make(
        self, account: str, *, label: str, scopes: Iterable[Scope], days: int, by: str = OPERATOR
    ) -> MadeToken:
        """Make a token of an account.

        Raises
        ------
        TokenAskedError
            If scopes or days are out of range, or it has too many.
        AccountMissingError
            If there is no such account, or it is not in use.
        """
        given, secret = frozenset(scopes), PREFIX + new_secret()
        _check_asked(given, days)

        def work(books: Books) -> MadeToken:
            owner, now = _in_use(books, account), self.desk.now()
            standing = books.items.of(TokenItem, owner.key)
            if sum(one.expires > now for one in standing) >= MAX_TOKENS:
                raise TokenAskedError(why=_MANY)
            token = TokenItem(
                digest=self.desk.sealing.digest(_TOKEN, secret),
                account=owner.key,
                id=secrets.token_hex(6),
                label=label,
                scopes=given,
                created=now,
                expires=now + timedelta(days=days),
            )
            books.items.put(token)
            named = ", ".join(sorted(scope.value for scope in given))
            self.desk.note(
                books,
                AccountDeed.TOKEN_MADE,
                by=by,
                about=owner.name,
                token=token.id,
                scopes=named,
            )
            return MadeToken(token, secret)

        return self.desk.change(work)

    def of(self, account: str) -> list[TokenItem]:
        """Return an account's tokens, those out of date left out, oldest first."""
        now = self.desk.now()
        with self.desk.store.looking() as books:
            found = books.items.of(TokenItem, account.casefold())
        return sorted((one for one in found if one.expires > now), key=lambda one: one.created)

    def revoke(self, account: str, id: str, *, by: str) -> None:
        """End a token of an account; one that is not there is no error."""

        def work(books: Books) -> None:
            for token in books.items.of(TokenItem, account.casefold()):
                if token.id == id:
                    books.items.drop(token)
                    deed = AccountDeed.TOKEN_REVOKED
                    self.desk.note(books, deed, by=by, about=account, token=id)

        self.desk.change(work)

    def caller(self, secret: str) -> Caller:
        """Return who a token belongs to; nobody when it is unknown, revoked or out of date."""
        if not secret.startswith(PREFIX) or len(secret) > _MAX_SECRET:
            return NOBODY
        with self.desk.store.looking() as books:
            token = books.items.get(TokenItem, self.desk.sealing.digest(_TOKEN, secret))
            account = None if token is None else books.items.get(Account, token.account)
        if token is None or token.expires <= self.desk.now():
            return NOBODY
        return _caller(account, Means.TOKEN, token.scopes)

    def add_certificate(self, account: str, der: bytes, *, expires: datetime) -> str:
        """Let a program come in with a certificate; return its SHA-256 in hexadecimal.

        Raises
        ------
        AccountMissingError
            If there is no program's account of that name in use.
        """
        digest = hashlib.sha256(der).hexdigest()

        def work(books: Books) -> str:
            owner = _in_use(books, account)
            if owner.kind is not Kind.SERVICE:
                raise AccountMissingError(name=repr(account[:80]))
            item = CertificateItem(digest=digest, account=owner.key, expires=expires)
            books.items.put(item)
            deed = AccountDeed.CERTIFICATE_ADDED
            self.desk.note(books, deed, by=OPERATOR, about=owner.name, certificate=digest)
            return digest

        return self.desk.change(work)

    def caller_with(self, der: bytes) -> Caller:
        """Return whose a client certificate is; nobody when no account has it."""
        with self.desk.store.looking() as books:
            item: Item | None = books.items.get(CertificateItem, hashlib.sha256(der).hexdigest())
            account = None if item is None else books.items.get(Account, item.owner)
        if item is None or item.ends is None or item.ends <= self.desk.now():
            return NOBODY
        return _caller(account, Means.CERTIFICATE, frozenset(Scope))


def _caller(account: Account | None, means: Means, scopes: frozenset[Scope]) -> Caller:
    if account is None or not account.is_active:
        return NOBODY
    return Caller(means, account.name, account.roles, account.organisation, account.centre, scopes)


def _check_asked(scopes: frozenset[Scope], days: int) -> None:
    if not scopes:
        raise TokenAskedError(why=_NO_SCOPE)
    if not 1 <= days <= MAX_DAYS:
        raise TokenAskedError(why=_DAYS)


def _in_use(books: Books, name: str) -> Account:
    found = account_there(books, name)
    if not found.is_active:
        raise AccountMissingError(name=repr(name[:80]))
    return found
