"""Keys with which people sign moves on machines of their own.

The private half never comes here. A key is added in a person's session by a claim that it
signed itself, so it is theirs and nobody else's, and it belongs to one account for ever. It
signs in the roles that the account holds at that moment, until it ends or is revoked;
what it signed before stays good. A key that was ever added is kept, because bundles
say until when each counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.upkeep import KeyClaimRefusedError
from federation.evidence.canonical import parse
from federation.evidence.person_key import Claim, verify_claim
from federation.evidence.verification import PublicKey
from federation.wording import Text
from registry.accounts.desk import Desk, account_there
from registry.accounts.items import Account, AccountDeed, Kind, SignatureKeyItem
from registry.accounts.tables import Books
from registry.records.statements import MAX_CLOCK_DIFFERENCE, PersonKey, time_of

MAX_KEYS = 5
MAX_DAYS = 731

_FORM = Text(en="it is no claim that its own key signed", zh="不是由該金鑰自行簽署的聲明")
_ANOTHER = Text(en="it names another account or register", zh="所指的帳號或登錄系統不同")
_TIME = Text(
    en="its time differs from the register's by over 15 minutes",
    zh="時間與登錄系統相差超過 15 分鐘",
)
_KNOWN = Text(en="the key was added before", zh="該金鑰先前已登錄")
_MANY = Text(en="the account has 5 keys in use already", zh="此帳號已有 5 把使用中的金鑰")
_DAYS = Text(en="its days are not 1 to 731", zh="期限不在 1 至 731 天之間")
_NOT_ACTIVE = Text(en="the account was shut or is not enrolled", zh="帳號已停用或尚未完成啟用")
_PROGRAM = Text(en="a program signs nothing of its own", zh="程式帳號不得自行簽署")


@dataclass(frozen=True, slots=True)
class SignatureKeys:
    """The keys of people; `register` is the fingerprint that claims must name."""

    desk: Desk
    register: Sha256

    def add(self, account: str, envelope: str, *, days: int) -> SignatureKeyItem:
        """Add the key that a claim names to the account that it names.

        Raises
        ------
        KeyClaimRefusedError
            If it is no such claim, is of another time, account or register, or the key
            was ever added before.
        AccountMissingError
            If there is no such account.
        """
        claim = _claim(envelope)
        if not 1 <= days <= MAX_DAYS:
            raise KeyClaimRefusedError(why=_DAYS)

        def work(books: Books) -> SignatureKeyItem:
            owner, now = account_there(books, account), self.desk.now()
            self._check(books, owner, claim, now)
            item = SignatureKeyItem(
                digest=claim.key.keyid.hex,
                account=owner.key,
                public=claim.key.raw.hex(),
                created=now,
                until=now + timedelta(days=days),
            )
            books.items.put(item)
            deed = AccountDeed.SIGNATURE_KEY_ADDED
            until = item.until.isoformat()
            self.desk.note(
                books, deed, by=owner.name, about=owner.name, key=item.digest, until=until
            )
            return item

        return self.desk.change(work)

    def revoke(self, account: str, digest: str, *, by: str) -> None:
        """Let a key of an account sign nothing more; one that is not there is no error."""

        def work(books: Books) -> None:
            at = _not_before_the_last_event(books, self.desk.now())
            for item in books.items.of(SignatureKeyItem, account.casefold()):
                if item.digest == digest and item.revoked is None:
                    books.items.put(item.model_copy(update={"revoked": at}))
                    deed = AccountDeed.SIGNATURE_KEY_REVOKED
                    self.desk.note(books, deed, by=by, about=account, key=digest)

        self.desk.change(work)

    def of(self, account: str) -> list[SignatureKeyItem]:
        """Return every key that an account ever had, oldest first."""
        with self.desk.store.looking() as books:
            found = books.items.of(SignatureKeyItem, account.casefold())
        return sorted(found, key=lambda one: (one.created, one.digest))

    def of_person(self, person: str) -> Iterator[PersonKey]:
        """Yield every key that a person ever had, for the roles that they hold now."""
        with self.desk.store.looking() as books:
            account = books.items.get(Account, person.casefold())
            found = books.items.of(SignatureKeyItem, person.casefold())
        for item in found if account is not None and account.name == person else ():
            key = PublicKey.from_raw(bytes.fromhex(item.public))
            roles = account.roles if account is not None else frozenset()
            yield PersonKey(person, key, roles, item.created, item.until, item.revoked)

    def _check(self, books: Books, owner: Account, claim: Claim, now: datetime) -> None:
        in_use = [
            one
            for one in books.items.of(SignatureKeyItem, owner.key)
            if one.revoked is None and one.until > now
        ]
        for why, refused in (
            (_ANOTHER, (claim.person, claim.register) != (owner.name, self.register)),
            (_PROGRAM, owner.kind is not Kind.PERSON),
            (_NOT_ACTIVE, not owner.is_active),
            (_TIME, not _is_about(claim.at, now)),
            (_KNOWN, books.items.get(SignatureKeyItem, claim.key.keyid.hex) is not None),
            (_MANY, len(in_use) >= MAX_KEYS),
        ):
            if refused:
                raise KeyClaimRefusedError(why=why)


def revoke_all(books: Books, account: Account, *, at: datetime) -> None:
    """Let no key of an account sign anything more; its event says so with what it ends."""
    at = _not_before_the_last_event(books, at)
    for item in books.items.of(SignatureKeyItem, account.key):
        if item.revoked is None:
            books.items.put(item.model_copy(update={"revoked": at}))


def _not_before_the_last_event(books: Books, now: datetime) -> datetime:
    """Return the present time, or that of the last event where the clock was set back since.

    What a key signed is in the trail before its revocation, so it stays before it in time too.
    """
    last = books.audit.last()
    if last is None:
        return now
    event: Any = parse(last.content)
    return max(now, datetime.fromisoformat(event["at"]))


def _claim(envelope: str) -> Claim:
    try:
        return verify_claim(envelope)
    except PlatformError as error:
        raise KeyClaimRefusedError(why=_FORM) from error


def _is_about(text: str, now: datetime) -> bool:
    try:
        at = time_of(text)
    except ValueError:
        return False
    return at.tzinfo is not None and abs(at - now) <= MAX_CLOCK_DIFFERENCE
