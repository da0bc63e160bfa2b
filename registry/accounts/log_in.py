"""Log in with password and one-time code, and the sessions that follow.

`LogIns.log_in`, in order:
1. name and address are not waiting (TF761); the try is counted, known name or not;
2. the password fits, checked as slowly for a name without account;
3. the code is one of the app's, later than the last that counted, or a recovery code;
4. in one transaction: the code is used up, the earlier session ends, a new one with a
   new secret begins, the count is taken back, the audit event.
Whatever is wrong, the answer is the same (TF760). A session ends after 30 minutes
without use, after 10 hours, when its account is shut, and when its person says so; the
roles are read anew for each request.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from federation.errors.access import LogInRefusedError, LogInThrottledError
from registry.accounts.codes import plain_code, step_of
from registry.accounts.desk import Desk, changed
from registry.accounts.items import (
    Account,
    AccountDeed,
    FailureItem,
    Kind,
    Purpose,
    SecretItem,
    SessionItem,
)
from registry.accounts.passwords import Passwords
from registry.accounts.ports import (
    NOBODY,
    SESSION_LIMIT,
    Caller,
    Means,
    Opened,
    Scope,
    Session,
    csrf_of,
)
from registry.accounts.sealing import new_secret
from registry.accounts.tables import Books
from registry.accounts.throttle import (
    FREE_FOR_ACCOUNT,
    FREE_FOR_ADDRESS,
    counted,
    taken_back,
    wait_s,
)

IDLE_LIMIT = timedelta(minutes=30)
_SEEN_EVERY = timedelta(seconds=60)
_SESSION = "session"
_MAX_NAME = 120
_MAX_SECRET = 200


@dataclass(frozen=True, slots=True)
class LogIns:
    """Who comes in, and who is in."""

    desk: Desk
    passwords: Passwords

    def log_in(
        self, name: str, password: str, code: str, *, address: str, earlier: str | None = None
    ) -> Opened:
        """Open a new session, see `registry.accounts.ports.LogIn`."""
        key = name.strip().casefold()[:_MAX_NAME]
        self.count_try(key, address)
        with self.desk.store.looking() as books:
            account = books.items.get(Account, key)
        stored = account.password if account is not None and account.is_active else None
        fits = self.passwords.fits(password, stored)
        renewed = self.passwords.renewed(password, stored) if fits and stored else stored

        def work(books: Books) -> Opened | None:
            account = books.items.get(Account, key)
            # the hash compared before must still be the one that stands
            same = account is not None and account.is_active and account.password == stored
            step = self._used_code(books, account if fits and same else None, code)
            if account is None or step is None:
                return None
            account = changed(books, account, last_step=step, password=renewed)
            return self.open(books, account, by="password", address=address, earlier=earlier)

        opened = self.desk.change(work)
        if opened is None:
            raise LogInRefusedError()
        return opened

    def open(
        self, books: Books, account: Account, *, by: str, address: str, earlier: str | None
    ) -> Opened:
        """Begin a session in a transaction that has checked who it is."""
        now, secret = self.desk.now(), new_secret()
        if earlier is not None:
            self._drop(books, earlier)
        item = SessionItem(
            digest=self.desk.sealing.digest(_SESSION, secret),
            account=account.key,
            opened=now,
            seen=now,
            expires=now + SESSION_LIMIT,
        )
        books.items.put(item)
        self._take_back(books, account.key, address)
        books.items.prune(now)
        self.desk.note(books, AccountDeed.LOGGED_IN, by=account.name, about=account.name, means=by)
        return Opened(secret, _session_of(account, secret))

    def caller(self, secret: str) -> Caller:
        """Return who a session's secret belongs to; nobody when it is unknown or has ended."""
        if len(secret) > _MAX_SECRET:
            return NOBODY
        now = self.desk.now()
        with self.desk.store.looking() as books:
            item = books.items.get(SessionItem, self.desk.sealing.digest(_SESSION, secret))
            account = None if item is None else books.items.get(Account, item.account)
        if item is None or account is None or not account.is_active or _has_ended(item, now):
            return NOBODY
        if now - item.seen >= _SEEN_EVERY:
            self._touch(item, now)
        return Caller(
            Means.SESSION,
            account.name,
            account.roles,
            account.organisation,
            account.centre,
            frozenset(Scope),
            csrf_of(secret),
            secret,
        )

    def log_out(self, secret: str) -> None:
        """End one session; an unknown one is no error."""
        self.desk.change(lambda books: self._drop(books, secret))

    def log_out_everywhere(self, account: str) -> int:
        """End every session of an account; return how many."""

        def work(books: Books) -> int:
            self.desk.note(books, AccountDeed.LOGGED_OUT, by=account, about=account)
            return books.items.drop_of(SessionItem, account.casefold())

        return self.desk.change(work)

    def count_try(self, key: str, address: str) -> None:
        """Count a try before it is judged.

        Raises
        ------
        LogInThrottledError
            If the name or the address has to wait; such a try is not counted.
        """

        def work(books: Books) -> int:
            now, waits = self.desk.now(), []
            books.items.prune(now)
            counts = self._counts(books, key, address)
            for _, earlier, free in counts:
                waits.append(wait_s(earlier, free=free, now=now))
            if not any(waits):
                for digest, earlier, _ in counts:
                    books.items.put(counted(digest, earlier, now=now))
                self._note_first_wait(books, key, counts[0][1])
            return max(waits)

        seconds = self.desk.change(work)
        if seconds:
            raise LogInThrottledError(seconds=seconds)

    def _note_first_wait(self, books: Books, key: str, earlier: FailureItem | None) -> None:
        """Leave one audit event where an existing account begins to wait, not one per try."""
        begins = earlier is not None and earlier.count + 1 == FREE_FOR_ACCOUNT
        if begins and (account := books.items.get(Account, key)) is not None:
            self.desk.note(books, AccountDeed.THROTTLED, by="anonymous", about=account.name)

    def _counts(
        self, books: Books, key: str, address: str
    ) -> list[tuple[str, FailureItem | None, int]]:
        digests = (
            (self.desk.sealing.digest("failures of account", key), FREE_FOR_ACCOUNT),
            (self.desk.sealing.digest("failures of address", address), FREE_FOR_ADDRESS),
        )
        return [(digest, books.items.get(FailureItem, digest), free) for digest, free in digests]

    def _take_back(self, books: Books, key: str, address: str) -> None:
        (_, of_account, _), (_, of_address, _) = self._counts(books, key, address)
        if of_account is not None:
            books.items.drop(of_account)
        if of_address is not None:
            books.items.put(taken_back(of_address))

    def _used_code(self, books: Books, account: Account | None, code: str) -> int | None:
        """Use up a code; return the last step that counts from now on, None if it does not fit."""
        if account is None or account.seed is None or account.kind is not Kind.PERSON:
            return None
        seed = self.desk.sealing.decrypt(account.seed, name=account.key)
        step = step_of(code, seed, now=self.desk.now(), after=account.last_step)
        if step is not None:
            return step
        digest = self.desk.sealing.digest(f"recover/{account.key}", plain_code(code))
        item = books.items.get(SecretItem, digest)
        if item is None or item.purpose is not Purpose.RECOVER:
            return None
        return account.last_step if books.items.drop(item) else None

    def _touch(self, item: SessionItem, now: datetime) -> None:
        def work(books: Books) -> None:
            standing = books.items.get(SessionItem, item.digest)
            if standing is not None:  # else it was ended meanwhile, and stays so
                books.items.put(standing.model_copy(update={"seen": now}))

        self.desk.change(work)

    def _drop(self, books: Books, secret: str) -> None:
        digest = self.desk.sealing.digest(_SESSION, secret[:_MAX_SECRET])
        found = books.items.get(SessionItem, digest)
        if found is not None:
            books.items.drop(found)


def _session_of(account: Account, secret: str) -> Session:
    return Session(
        account.name, account.roles, account.organisation, account.centre, csrf_of(secret)
    )


def _has_ended(item: SessionItem, now: datetime) -> bool:
    return now >= item.expires or now - item.seen >= IDLE_LIMIT
