"""Which records a caller sees, and acts on, among those of a noun that their role may read.

1. Those who watch over all, the centres and the insurance see every record.
2. A developer's house sees its own records.
3. A hospital's people see, of what only hospitals write, their own hospital's records; of
   the rest their own, every one that left its first state, and what waits for an approval
   by their role.
4. Whoever is of the developers or a hospital, and of the roles that write a noun, writes
   and moves the records of their own house only.
5. Of the entries of the register those who watch over all, the centres and the insurance
   see every one; others what was ever public, what their card is seen of, and, of what has
   no card yet, what they may write one for: what the centre made or they handed in.
What a caller does not see is answered as if it were not there. Whose a record is says its
first revision's author. `SeenRecords` is `Records` under these rules, for the API's routes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from federation.domain.audit import AuditKind
from federation.errors import PlatformError
from federation.errors.moves import RecordNotFoundError, RecordShapeError
from federation.evidence.canonical import parse
from registry.accounts.ports import Caller
from registry.api.callers import present_caller
from registry.api.rules import OVERSEERS, readers
from registry.models.version_card import NAME as VERSION
from registry.pages.visibility import is_public
from registry.ports import Transaction
from registry.records import sign_offs
from registry.records.ports import Page, Query, StoredRecord
from registry.records.service import MAX_PAGE, Moved, Records
from registry.records.shapes import B, Noun
from registry.roles import CENTRE_OF, Author, Role

HOSPITAL = frozenset({Role.HAO, Role.HAC, Role.DST, Role.IRB, Role.SEC, Role.CLI})
OF_A_HOUSE = HOSPITAL | {Role.DEV}
SEE_ALL = OVERSEERS | CENTRE_OF.keys() | {Role.NHI_S, Role.NHI_C}
OF_THE_CENTRE = "centre"
"""Who the audit trail says handed in what the centre's own processes made."""

_MOST_READ = 20
"""Pages looked through for one page of what is seen."""

Owner = Callable[[], str | None]


def sees(role: Role, house: str, noun: Noun[Any], record: StoredRecord, owner: Owner) -> bool:
    """Say whether somebody in a role, of a house, sees a record."""
    if role not in OF_A_HOUSE:
        return True
    if role in HOSPITAL and not noun.authors <= HOSPITAL:
        return record.state != noun.start or _is_asked(role, noun) or owner() == house
    return owner() == house


def _is_asked(role: Role, noun: Noun[Any]) -> bool:
    """Say whether a role approves a move out of a noun's first state."""
    moves = noun.moves.of(noun.moves.start)
    return any(seat.approves and role in seat.roles for move in moves for seat in move.seats)


def acts_on(author: Author, noun: Noun[Any], owner: str | None) -> bool:
    """Say whether an author may write or move a record of an owner, as far as houses go."""
    bound = author.role in OF_A_HOUSE & noun.authors
    local = author.role in HOSPITAL and noun.authors <= HOSPITAL
    return not (bound or local) or owner in (None, author.organisation)


@dataclass(frozen=True, slots=True)
class SeenRecords(Records):
    """Records as the present caller sees them."""

    nouns: tuple[Noun[Any], ...] = ()

    def put(self, noun: Noun[B], id: str, body: B, **given: Any) -> StoredRecord:
        """Write a record of one's own house, see `Records.put`."""
        if noun.name == VERSION and getattr(body, "entry", id) != id:
            raise RecordShapeError(noun=noun.name, problems="entry: not the one of the address")
        if noun.name == VERSION and not self.sees_entry(id):
            raise _missing(noun.name, id)
        self._check_owner(noun, id, given["author"])
        if given["revision"] and self._owner(noun.name, id) is None:
            raise _missing(noun.name, id)
        return Records.put(self, noun, id, body, **given)

    def move(self, noun: Noun[Any], id: str, move: str, **given: Any) -> Moved:
        """Move a record one sees, see `Records.move`."""
        author: Author = given["author"]
        self._check_owner(noun, id, author)
        record = Records.get(self, noun.name, id)
        if not self._sees(as_caller(author), noun, record):
            raise _missing(noun.name, id)
        return Records.move(self, noun, id, move, **given)

    def get(self, noun: str, id: str, revision: int | None = None) -> StoredRecord:
        """Return a record one sees; raises `RecordNotFoundError` for any other."""
        head = Records.get(self, noun, id)
        if not self._sees(present_caller(), self._noun(noun), head):
            raise _missing(noun, id)
        return head if revision is None else Records.get(self, noun, id, revision)

    def history(self, noun: str, id: str) -> Sequence[StoredRecord]:
        """Return all revisions of a record one sees."""
        self.get(noun, id)
        return Records.history(self, noun, id)

    def find(self, query: Query) -> Page:
        """Return a full page of what is seen, or what is left of it."""
        noun, caller = self._noun(query.noun), present_caller()
        if not caller.roles <= OF_A_HOUSE:
            return Records.find(self, query)
        limit = max(1, min(query.limit, MAX_PAGE))
        seen: list[StoredRecord] = []
        page = Page((), query.before)
        for _ in range(_MOST_READ):
            page = Records.find(self, replace(query, before=page.next, limit=MAX_PAGE))
            seen += [record for record in page.items if self._sees(caller, noun, record)]
            if len(seen) > limit or page.next is None:
                break
        more = len(seen) > limit or page.next is not None
        shown = tuple(seen[:limit])
        last = shown[-1].log_index if len(seen) > limit else page.next
        return Page(shown, last if more else None)

    def linking(
        self, noun: str, id: str, *, relation: str | None = None, by: str | None = None
    ) -> Sequence[StoredRecord]:
        """Return the records one sees that link to a record; its sign-offs go with it."""
        self.get(noun, id)
        caller, known = present_caller(), {one.name: one for one in self.nouns}
        found = Records.linking(self, noun, id, relation=relation, by=by)
        return [
            record
            for record in found
            if record.noun == sign_offs.NAME
            or (record.noun in known and self._sees(caller, known[record.noun], record))
        ]

    def tells(self, kind: str, id: str) -> bool:
        """Say whether the present caller may know of a thing; links to what is no record too."""
        caller = present_caller()
        if sees_all(caller):
            return True
        if kind == VERSION:
            return self.sees_entry(id)
        noun = next((one for one in self.nouns if one.name == kind), None)
        if noun is None:
            return True
        with self.store.reading() as transaction:
            head = transaction.records.head(kind, id)
        return head is None or (self._reads(caller, noun) and self._sees(caller, noun, head))

    def sees_entry(self, entry: str) -> bool:
        """Say whether the present caller may know of an entry of the register (rule 5)."""
        caller = present_caller()
        if sees_all(caller):
            return True
        with self.store.reading() as transaction:
            history = transaction.records.history(VERSION, entry)
            by = _handed_in_by(transaction, entry)
        if is_public(history):
            return True
        noun = self._noun(VERSION)
        if history:
            return self._reads(caller, noun) and self._sees(caller, noun, history[-1])
        return bool(caller.roles & noun.authors) and by in (OF_THE_CENTRE, caller.account)

    def held_back(
        self, noun: Noun[Any], id: str, move: str, *, author: Author
    ) -> list[PlatformError]:
        """Return what holds back a move of a record one sees."""
        self.get(noun.name, id)
        return Records.held_back(self, noun, id, move, author=author)

    @staticmethod
    def _reads(caller: Caller, noun: Noun[Any]) -> bool:
        return bool(caller.roles & readers(noun))

    def _sees(self, caller: Caller, noun: Noun[Any], record: StoredRecord) -> bool:
        def owner() -> str | None:
            return self._owner(noun.name, record.id)

        return any(sees(role, caller.organisation, noun, record, owner) for role in caller.roles)

    def _check_owner(self, noun: Noun[Any], id: str, author: Author) -> None:
        if not acts_on(author, noun, self._owner(noun.name, id)):
            raise _missing(noun.name, id)

    def _owner(self, noun: str, id: str) -> str | None:
        """Return whose house wrote a record first, None where there is none."""
        with self.store.reading() as transaction:
            first = transaction.records.revision(noun, id, 1)
        return None if first is None else first.author.organisation

    def _noun(self, name: str) -> Noun[Any]:
        return next(noun for noun in self.nouns if noun.name == name)


def sees_all(caller: Caller) -> bool:
    """Say whether a caller sees every record that their role may read, and every entry."""
    return bool(caller.roles & SEE_ALL)


def _handed_in_by(transaction: Transaction, entry: str) -> str | None:
    """Return who handed an entry in, None where there is none."""
    for event in transaction.audit.about(entry):
        match parse(event.content):
            case {"kind": AuditKind.MODEL_REGISTERED.value, "actor": str(actor)}:
                return actor
    return None


def as_caller(author: Author) -> Caller:
    """Return an author as a caller with the one role they act in."""
    return Caller(
        account=author.person,
        roles=frozenset({author.role}),
        organisation=author.organisation,
        centre=author.centre,
    )


def _missing(noun: str, id: str) -> RecordNotFoundError:
    return RecordNotFoundError(noun=noun, id=repr(id[:60]))
