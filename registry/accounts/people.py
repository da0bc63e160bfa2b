"""Invite, confirm, enrol, change and shut accounts.

Over HTTP a registrar proposes and somebody of another role confirms; whoever has the
centre's machine (`trifed registry account add`) invites at once. Either way the person
sets password and codes with a secret that is good once. Rules, each in `check_roles`:
a centre's role needs that centre; DEV holds no role that approves; a program's account
holds no role that signs for a person.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from federation.errors.access import (
    AccountMissingError,
    AccountTakenError,
    EnrolmentRefusedError,
    RolesRefusedError,
)
from federation.wording import Text
from registry.accounts.codes import new_recovery_codes, new_seed, plain_code, seed_address, step_of
from registry.accounts.desk import Desk, account_there, changed
from registry.accounts.items import (
    Account,
    AccountDeed,
    AccountState,
    CertificateItem,
    IdentityItem,
    Kind,
    PasskeyItem,
    Purpose,
    SecretItem,
    SessionItem,
    TokenItem,
)
from registry.accounts.passwords import Passwords, check_password
from registry.accounts.sealing import new_secret
from registry.accounts.signature_keys import revoke_all
from registry.accounts.tables import Books
from registry.roles import CENTRE_OF, CLOCK, GRANTABLE, Author, Centre, Role

ENROLMENT_FOR = timedelta(hours=72)
OPERATOR = "operator"
"""Who acts from the centre's own machine, as the audit trail calls them."""

NO_PERSON = frozenset({OPERATOR, CLOCK.person, "centre", "register", "anonymous", "public"})
"""What the audit trail and the records call those who have no account."""

APPROVERS = frozenset(
    {
        Role.HAC,
        Role.IRB,
        Role.RAI_R,
        Role.RAI_A,
        Role.VAL_E,
        Role.VAL_A,
        Role.NHI_S,
        Role.NHI_C,
        Role.AUD,
    }
)
FOR_PROGRAMS = frozenset({Role.DEV, Role.HAO, Role.DST, Role.AUD})
"""What a program may be: it writes and reads, and signs nothing for a person."""

_NONE = Text(en="an account needs a role", zh="帳號至少需要一個角色")
_CENTRE = Text(
    en="a centre's role needs that centre, and a centre's account a role of it",
    zh="中心角色須屬於該中心,且帳號所屬中心須與角色一致",
)
_DEV = Text(en="a developer holds no role that approves", zh="開發者不得兼任核可角色")
_PROGRAM = Text(en="a program signs nothing for people", zh="程式帳號不得代替人員簽署")
_NOT_GRANTABLE = Text(en="no account holds this role", zh="帳號不得持有此角色")


@dataclass(frozen=True, slots=True)
class Wanted:
    """An account as asked for."""

    name: str
    roles: frozenset[Role]
    organisation: str
    centre: Centre | None = None
    kind: Kind = Kind.PERSON


@dataclass(frozen=True, slots=True)
class Invitation:
    """A new account and the secret its person enrols with; None for a program's."""

    account: Account
    secret: str | None


@dataclass(frozen=True, slots=True)
class Started:
    """What the person puts into an authenticator app."""

    name: str
    seed: str
    address: str


@dataclass(frozen=True, slots=True)
class People:
    """Who has an account."""

    desk: Desk
    passwords: Passwords

    def invite(self, wanted: Wanted) -> Invitation:
        """Make an account that may enrol at once; for whoever has the centre's machine.

        Raises
        ------
        RolesRefusedError, AccountTakenError
            If the roles do not go together, or the name was given before.
        """
        return self._add(wanted, by=OPERATOR, state=AccountState.INVITED)

    def propose(self, wanted: Wanted, *, by: Author) -> Invitation:
        """Make an account that waits for a second person; raises as `invite`."""
        return self._add(wanted, by=by.person, state=AccountState.PROPOSED)

    def confirm(self, name: str, *, by: Author) -> Account:
        """Let a proposed account enrol.

        Raises
        ------
        AccountMissingError
            If none of that name waits, or the same person proposed it.
        """

        def work(books: Books) -> Account:
            found = account_there(books, name)
            if found.state is not AccountState.PROPOSED or found.proposed_by == by.person:
                raise AccountMissingError(name=repr(name[:80]))
            is_person = found.kind is Kind.PERSON
            state = AccountState.INVITED if is_person else AccountState.ACTIVE
            new = changed(books, found, state=state, confirmed_by=by.person)
            self._note(books, AccountDeed.CONFIRMED, new, by=by.person)
            return new

        return self.desk.change(work)

    def invite_again(self, name: str) -> Invitation:
        """Give a person a new enrolment: whatever they came in with before is void."""

        def work(books: Books) -> Invitation:
            found = account_there(books, name)
            if found.kind is not Kind.PERSON or found.state is AccountState.SHUT:
                raise AccountMissingError(name=repr(name[:80]))
            _forget_means(books, found)
            revoke_all(books, found, at=self.desk.now())
            blank = {"password": None, "seed": None, "state": AccountState.INVITED}
            new = changed(books, found, **blank)
            self._note(books, AccountDeed.INVITED, new, by=OPERATOR)
            return Invitation(new, self._enrolment(books, new))

        return self.desk.change(work)

    def start_enrolment(self, secret: str) -> Started:
        """Return the seed to put into an authenticator app; asked again, it is the same.

        Raises
        ------
        EnrolmentRefusedError
            If the secret is unknown, used, too old, or its account not confirmed yet.
        """

        def work(books: Books) -> Started:
            item, account = self._invited(books, secret)
            sealing = self.desk.sealing
            if not item.data:
                data = sealing.encrypt(new_seed(), name=account.key)
                item = item.model_copy(update={"data": data})
                books.items.put(item)
            seed = sealing.decrypt(item.data, name=account.key)
            return Started(account.name, seed, seed_address(seed, name=account.name))

        return self.desk.change(work)

    def enrol(self, secret: str, *, password: str, code: str) -> list[str]:
        """Set password and one-time codes; return ten recovery codes, shown this once.

        Raises
        ------
        EnrolmentRefusedError
            As `start_enrolment`, and if the code does not fit the seed.
        PasswordRefusedError
            If the password is not fit.
        """
        with self.desk.store.looking() as books:
            _, invited = self._invited(books, secret)
        check_password(password, name=invited.name)
        hashed = self.passwords.hash(password)  # slow, so outside the transaction

        def work(books: Books) -> list[str]:
            item, account = self._invited(books, secret)
            if not item.data:
                raise EnrolmentRefusedError()
            seed = self.desk.sealing.decrypt(item.data, name=account.key)
            step = step_of(code, seed, now=self.desk.now(), after=0)
            if step is None:
                raise EnrolmentRefusedError()
            books.items.drop(item)
            new = changed(
                books,
                account,
                state=AccountState.ACTIVE,
                password=hashed,
                seed=item.data,
                last_step=step,
            )
            self._note(books, AccountDeed.ENROLLED, new, by=account.name)
            return self._new_recovery_codes(books, account)

        return self.desk.change(work)

    def change_roles(self, name: str, roles: frozenset[Role]) -> Account:
        """Give an account other roles, from the centre's machine; what it may do changes at once.

        Raises
        ------
        RolesRefusedError, AccountMissingError
            If they do not go together, or there is no such account.
        """

        def work(books: Books) -> Account:
            found = account_there(books, name)
            if found.state is AccountState.SHUT:
                raise AccountMissingError(name=repr(name[:80]))
            check_roles(Wanted(found.name, roles, found.organisation, found.centre, found.kind))
            new = changed(books, found, roles=roles)
            deed, given = AccountDeed.ROLES_CHANGED, _names(roles)
            self._note(books, deed, new, by=OPERATOR, roles=given)
            return new

        return self.desk.change(work)

    def shut(self, name: str, *, by: str = OPERATOR) -> Account:
        """Shut an account for ever: sessions, tokens, certificates end at once."""

        def work(books: Books) -> Account:
            found = account_there(books, name)
            if found.state is AccountState.SHUT:
                return found
            _forget_means(books, found)
            revoke_all(books, found, at=self.desk.now())
            books.items.drop_of(CertificateItem, found.key)
            new = changed(books, found, state=AccountState.SHUT, password=None, seed=None)
            self._note(books, AccountDeed.SHUT, new, by=by)
            return new

        return self.desk.change(work)

    def page(self, *, after: str = "", limit: int = 50) -> list[Account]:
        """Return accounts by name, those after one."""
        with self.desk.store.looking() as books:
            return books.items.page(Account, after=after.casefold(), limit=limit)

    def get(self, name: str) -> Account:
        """Return one account; raises `AccountMissingError`."""
        with self.desk.store.looking() as books:
            return account_there(books, name)

    def _add(self, wanted: Wanted, *, by: str, state: AccountState) -> Invitation:
        check_name(wanted.name)
        check_roles(wanted)
        Author(wanted.name, next(iter(wanted.roles)), wanted.organisation, wanted.centre)

        def work(books: Books) -> Invitation:
            if books.items.get(Account, wanted.name.casefold()) is not None:
                raise AccountTakenError(name=wanted.name)
            is_person = wanted.kind is Kind.PERSON
            may_enter = not is_person and state is AccountState.INVITED
            account = Account(
                name=wanted.name,
                kind=wanted.kind,
                organisation=wanted.organisation,
                centre=wanted.centre,
                roles=wanted.roles,
                state=AccountState.ACTIVE if may_enter else state,
                created=self.desk.now(),
                proposed_by=None if by == OPERATOR else by,
            )
            books.items.put(account)
            is_new = state is AccountState.INVITED
            deed = AccountDeed.INVITED if is_new else AccountDeed.PROPOSED
            roles, house = _names(wanted.roles), wanted.organisation
            self.desk.note(books, deed, by=by, about=account.name, roles=roles, organisation=house)
            return Invitation(account, self._enrolment(books, account) if is_person else None)

        return self.desk.change(work)

    def _note(
        self, books: Books, deed: AccountDeed, account: Account, *, by: str, **details: str
    ) -> None:
        """Write an audit event with the revision that it made (`registry.accounts.checks`)."""
        revision = str(account.revision)
        self.desk.note(books, deed, by=by, about=account.name, revision=revision, **details)

    def _enrolment(self, books: Books, account: Account) -> str:
        secret = new_secret()
        item = SecretItem(
            digest=self.desk.sealing.digest(Purpose.ENROL.value, secret),
            account=account.key,
            purpose=Purpose.ENROL,
            expires=self.desk.now() + ENROLMENT_FOR,
        )
        books.items.put(item)
        return secret

    def _invited(self, books: Books, secret: str) -> tuple[SecretItem, Account]:
        digest = self.desk.sealing.digest(Purpose.ENROL.value, secret)
        item = books.items.get(SecretItem, digest)
        if item is None or item.purpose is not Purpose.ENROL or item.expires <= self.desk.now():
            raise EnrolmentRefusedError()
        account = account_there(books, item.account)
        if account.state is not AccountState.INVITED:
            raise EnrolmentRefusedError()
        return item, account

    def _new_recovery_codes(self, books: Books, account: Account) -> list[str]:
        codes = new_recovery_codes()
        for code in codes:
            digest = self.desk.sealing.digest(f"recover/{account.key}", plain_code(code))
            item = SecretItem(
                digest=digest,
                account=account.key,
                purpose=Purpose.RECOVER,
                expires=self.desk.now() + timedelta(days=3653),
            )
            books.items.put(item)
        return codes


def check_name(name: str) -> None:
    """Return unless the audit trail calls something by this name that is no account.

    Raises
    ------
    AccountTakenError
        If it does.
    """
    if name.casefold() in NO_PERSON:
        raise AccountTakenError(name=name)


def check_roles(wanted: Wanted) -> None:
    """Return if one account may hold these roles.

    Raises
    ------
    RolesRefusedError
        With the first rule of the module that fails.
    """
    centres = {CENTRE_OF[role] for role in wanted.roles if role in CENTRE_OF}
    for why, refused in (
        (_NONE, not wanted.roles),
        (_NOT_GRANTABLE, not wanted.roles <= GRANTABLE),
        (_CENTRE, bool(centres) and centres != {wanted.centre}),
        (_DEV, Role.DEV in wanted.roles and bool(wanted.roles & APPROVERS)),
        (_PROGRAM, wanted.kind is Kind.SERVICE and not wanted.roles <= FOR_PROGRAMS),
    ):
        if refused:
            raise RolesRefusedError(why=why)


def _forget_means(books: Books, account: Account) -> None:
    """End the sessions of an account, and everything a person comes in with."""
    for kind in (SessionItem, PasskeyItem, SecretItem, TokenItem, IdentityItem):
        books.items.drop_of(kind, account.key)


def _names(roles: Iterable[Role]) -> str:
    return ", ".join(sorted(role.value for role in roles))
