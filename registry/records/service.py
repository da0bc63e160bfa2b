"""Write records and move them: record, log leaf, checkpoint and audit event, or nothing.

`put`, in order:
1. the author's role may write this noun, and nothing that must be apart meets;
2. the content fits its shape; the revision seen is the newest, its state editable;
3. in the same transaction: the new revision, signed by the register's key, its log
   entry, a signed checkpoint, the audit event.
`move`, in order:
1. the revision seen is the newest; the table lists the move for this state and role;
2. there is a reason; the signer is neither an author nor of the authors' house;
3. a personal signature, where given, is by the person's key over exactly this;
4. no guard holds it back;
5. with signatures missing, this one is kept; else the move is made as in `put`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from federation.domain.ids import Sha256
from federation.errors import PlatformError, ProblemsFound
from federation.errors.moves import (
    MoveNotListedError,
    ReasonMissingError,
    RecordNotFoundError,
    RecordShapeError,
    StaleRecordError,
)
from federation.evidence.characters import unseen_in
from federation.evidence.signing import Signer
from registry.audit.kinds import RecordKind, RegisterEvent
from registry.audit.service import record as record_event
from registry.disclosure import identifies
from registry.evidence.service import append, seal
from registry.ports import Store, Transaction
from registry.records import sign_offs
from registry.records.moves import Case, Move
from registry.records.ports import Found, Page, Query, Signed, StoredRecord
from registry.records.shapes import B, Body, Noun, RecordId
from registry.records.statements import (
    PersonKeys,
    SignOff,
    moment,
    no_keys,
    sign_record,
    verify_sign_off,
)
from registry.retrying import in_one_transaction
from registry.roles import Author, Role, check_author, check_house, check_signer

MAX_REASON = 2000
MAX_PAGE = 200

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Moved:
    """What a signature did: the record as it is now, and which seats still wait (by roles)."""

    record: StoredRecord
    missing: tuple[frozenset[Role], ...] = ()

    @property
    def is_done(self) -> bool:
        """Say whether the move was made."""
        return not self.missing


@dataclass(frozen=True, slots=True)
class Records:
    """Who writes records of every noun.

    Parameters
    ----------
    store
        Where they are kept.
    signer
        The register's evidence key.
    clock
        Returns the present time, UTC.
    keys
        Returns every key a person ever had, for personal signatures.
    """

    store: Store
    signer: Signer
    clock: Callable[[], datetime]
    keys: PersonKeys = no_keys

    def put(
        self,
        noun: Noun[B],
        id: str,
        body: B,
        *,
        author: Author,
        revision: int = 0,
        reason: str = "",
        supersedes: str | None = None,
    ) -> StoredRecord:
        """Write a record's content: a new record, or a new revision of the one seen.

        Raises
        ------
        MoveNotListedError
            If the role may not write it, or not in the state it is in.
        SeparationError, RecordShapeError, InvalidIdError
            If author, content or id are not fit.
        StaleRecordError, RecordNotFoundError
            If `revision` is not the newest, or there is no record.
        BusyRegisterError
            If other writers were always faster.
        """
        return self.write(
            lambda writing: writing.put(
                noun,
                id,
                body,
                author=author,
                revision=revision,
                reason=reason,
                supersedes=supersedes,
            )
        )

    def move(
        self,
        noun: Noun[Any],
        id: str,
        move: str,
        *,
        author: Author,
        revision: int,
        reason: str = "",
        signature: str | None = None,
    ) -> Moved:
        """Make a move, or sign for it where another signature is still missing.

        Parameters
        ----------
        move
            Its number in the noun's table.
        revision
            The one the signer saw.
        signature
            The DSSE envelope of the person's own `SignOff`.

        Raises
        ------
        MoveNotListedError, SeparationError, SignatureRefusedError, PersonKeyError
            If this person may not sign this.
        StaleRecordError, RecordNotFoundError, ReasonMissingError
            If it was signed unseen, or without a reason.
        ProblemsFound, or the one PlatformError
            What the guards hold against it.
        BusyRegisterError
            If other writers were always faster.
        """
        return self.write(
            lambda writing: writing.move(
                noun,
                id,
                move,
                author=author,
                revision=revision,
                reason=reason,
                signature=signature,
            )
        )

    def write(self, work: Callable[["Writing"], Value]) -> Value:
        """Do several writes in one transaction, tried again where another writer was faster."""
        return in_one_transaction(
            self.store.writing,
            lambda transaction: work(Writing(transaction, self.signer, self._now(), self.keys)),
        )

    def get(self, noun: str, id: str, revision: int | None = None) -> StoredRecord:
        """Return the newest revision of a record, or the one asked for.

        Raises
        ------
        RecordNotFoundError
            If there is none.
        """
        with self.store.reading() as transaction:
            records = transaction.records
            if revision is None:
                found = records.head(noun, id)
            else:
                found = records.revision(noun, id, revision)
        return _there(found, noun, id)

    def history(self, noun: str, id: str) -> Sequence[StoredRecord]:
        """Return all revisions, oldest first; raises `RecordNotFoundError` if there are none."""
        with self.store.reading() as transaction:
            found = transaction.records.history(noun, id)
        _there(found[0] if found else None, noun, id)
        return found

    def page(
        self, noun: str, *, state: str | None = None, before: int | None = None, limit: int = 50
    ) -> Page:
        """Return records of a noun, last changed first."""
        return self.find(Query(noun, state=state, before=before, limit=limit))

    def search(self, noun: str, text: str = "", **facets: str) -> Page:
        """Return records whose words hold every word of `text` and that have these facets."""
        return self.find(Query(noun, text=text, facets=facets))

    def find(self, query: Query) -> Page:
        """Return the records asked for; `limit` is at most 200."""
        asked = replace(query, limit=max(1, min(query.limit, MAX_PAGE)))
        with self.store.reading() as transaction:
            return transaction.records.find(asked)

    def linking(
        self, noun: str, id: str, *, relation: str | None = None, by: str | None = None
    ) -> Sequence[StoredRecord]:
        """Return the newest revisions that link to a record."""
        with self.store.reading() as transaction:
            return transaction.records.linking(noun, id, relation=relation, by=by)

    def tells(self, kind: str, id: str) -> bool:
        """Say whether a thing of the register may be named to whoever asks; here, everything."""
        return True

    def held_back(
        self, noun: Noun[Any], id: str, move: str, *, author: Author
    ) -> list[PlatformError]:
        """Return what would hold a move back just now, for the page that says what is missing."""
        with self.store.reading() as transaction:
            record = _there(transaction.records.head(noun.name, id), noun.name, id)
            listed = noun.moves.find(noun.name, record.state, move, author.role)
            case = Case(record, noun.evidence(transaction, record), self._now(), author)
            return listed.held_back(case)

    def _now(self) -> datetime:
        return self.clock().astimezone(UTC).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Writing:
    """The writes of one transaction; the methods are those of `Records`."""

    transaction: Transaction
    signer: Signer
    now: datetime
    keys: PersonKeys

    def put(
        self,
        noun: Noun[B],
        id: str,
        body: B,
        *,
        author: Author,
        revision: int = 0,
        reason: str = "",
        supersedes: str | None = None,
    ) -> StoredRecord:
        """Write a record's content, see `Records.put`."""
        _refuse_identifiers(noun.name, id=id, reason=reason)
        history = self._seen(noun.name, RecordId(id), revision)
        state = history[-1].state if history else noun.start
        if author.role not in noun.authors or not noun.may_edit(state):
            raise MoveNotListedError(
                noun=noun.name, state=state, move="put", role=author.role.value
            )
        check_author(author, self._actors(history))
        if history and not noun.shared:
            check_house(author, history[0].author)
        if supersedes is not None:
            _there(self.transaction.records.head(noun.name, supersedes), noun.name, supersedes)
        plain, digest = noun.canonical(body)
        record = StoredRecord(
            noun=noun.name,
            id=id,
            revision=revision + 1,
            state=state,
            action="put",
            body=plain,
            digest=digest,
            author=author,
            at=moment(self.now),
            reason=_reason(reason, "put", needed=False),
            supersedes=supersedes if revision == 0 else history[0].supersedes,
            previous=history[-1].digest if history else None,
        )
        return self._keep(record, noun.found(body), RecordKind.PUT)

    def move(
        self,
        noun: Noun[Any],
        id: str,
        move: str,
        *,
        author: Author,
        revision: int,
        reason: str = "",
        signature: str | None = None,
    ) -> Moved:
        """Make a move or sign for it, see `Records.move`."""
        _refuse_identifiers(noun.name, reason=reason)
        history = self._seen(noun.name, id, revision)
        record = _there(history[-1] if history else None, noun.name, id)
        listed = noun.moves.find(noun.name, record.state, move, author.role)
        reason = _reason(reason, move, needed=True)
        signed = sign_offs.waiting(self.transaction.records, record, listed, self.now)
        self._check_person(listed, history, signed, author)
        mine = self._signature(record, listed, author, reason, signature)
        self._check_guards(noun, record, listed, author)
        missing = _missing(listed, {*signed, listed.seat_of(author.role)})
        if missing:
            self._keep_sign_off(record, listed, mine, reason)
            return Moved(record, missing)
        others = [_signature_of(signed[seat]) for seat in sorted(signed)]
        return Moved(self._moved(noun, record, listed, mine, others, reason))

    def _seen(self, noun: str, id: str, revision: int) -> Sequence[StoredRecord]:
        history = self.transaction.records.history(noun, id)
        newest = history[-1].revision if history else 0
        if revision == newest:
            return history
        if not history:
            raise RecordNotFoundError(noun=noun, id=repr(id[:40]))
        raise _stale(history, revision)

    def _check_person(
        self,
        move: Move[Any],
        history: Sequence[StoredRecord],
        signed: dict[int, StoredRecord],
        author: Author,
    ) -> None:
        acted = self._actors(history)
        if move.seats[move.seat_of(author.role)].approves:
            check_signer(author, wrote=_writers(history), acted=acted)
        else:
            check_author(author, acted)
        sign_offs.check_seat(signed, move, author)

    def _actors(self, history: Sequence[StoredRecord]) -> list[Author]:
        """Return everybody who wrote, moved or signed a record, also where nothing came of it."""
        if not history:
            return []
        given = self.transaction.records.linking(
            history[0].noun, history[0].id, relation="signs", by=sign_offs.NAME
        )
        signers = [signed.author for record in history for signed in record.signatures]
        return [*(record.author for record in (*history, *given)), *signers]

    def _signature(
        self,
        record: StoredRecord,
        move: Move[Any],
        author: Author,
        reason: str,
        envelope: str | None,
    ) -> Signed:
        at = moment(self.now)
        if envelope is None:
            return Signed(author, at)
        expected = SignOff(
            record.noun,
            record.id,
            record.revision,
            record.digest,
            move.number,
            author.role,
            reason,
            at,
        )
        known = verify_sign_off(envelope, expected, self.keys(author.person), now=self.now)
        append(self.transaction.log, [envelope])
        return Signed(author, at, Sha256.of(envelope.encode()), known.key.raw.hex())

    def _check_guards(
        self, noun: Noun[Any], record: StoredRecord, move: Move[Any], author: Author
    ) -> None:
        if not move.guards:
            return
        case = Case(record, noun.evidence(self.transaction, record), self.now, author)
        problems = move.held_back(case)
        if len(problems) == 1:
            raise problems[0]
        if problems:
            raise ProblemsFound(problems)

    def _keep_sign_off(
        self, record: StoredRecord, move: Move[Any], mine: Signed, reason: str
    ) -> None:
        body = sign_offs.body_of(record, move, mine.author, self.now)
        plain, digest = sign_offs.SIGN_OFF.canonical(body)
        given = StoredRecord(
            noun=sign_offs.NAME,
            id=sign_offs.id_of(body, mine.author, self.now),
            revision=1,
            state=sign_offs.SIGN_OFF.start,
            action="put",
            body=plain,
            digest=digest,
            author=mine.author,
            at=mine.at,
            reason=reason,
            signatures=(mine,),
        )
        self._keep(given, sign_offs.SIGN_OFF.found(body), RecordKind.SIGNED)

    def _moved(
        self,
        noun: Noun[Any],
        record: StoredRecord,
        move: Move[Any],
        mine: Signed,
        others: list[Signed],
        reason: str,
    ) -> StoredRecord:
        moved = replace(
            record,
            revision=record.revision + 1,
            state=str(move.after.value),
            action=move.number,
            author=mine.author,
            at=mine.at,
            reason=reason,
            previous=record.digest,
            signatures=(*others, mine),
        )
        body: Body = noun.of(record)
        return self._keep(moved, noun.found(body), move.kind)

    def _keep(self, record: StoredRecord, found: Found, kind: Any) -> StoredRecord:
        (index,) = append(self.transaction.log, [sign_record(record, self.signer)])
        seal(self.transaction.log, signer=self.signer)
        kept = replace(record, log_index=index, log_size=self.transaction.log.size())
        self.transaction.records.add(kept, found)
        event = RegisterEvent(kind, record.author.person, record.name, self.now, _details(kept))
        record_event(event, self.transaction.audit, signer=self.signer)
        return kept


def _there(found: StoredRecord | None, noun: str, id: str) -> StoredRecord:
    if found is None:
        raise RecordNotFoundError(noun=noun, id=repr(id[:60]))
    return found


def _stale(history: Sequence[StoredRecord], seen: int) -> StaleRecordError:
    newest = history[-1]
    old = history[seen - 1] if 0 < seen <= len(history) else None
    names = {*newest.body, *(old.body if old else ())}
    changed = sorted(
        name for name in names if old is None or newest.body.get(name) != old.body.get(name)
    )
    if old is None or old.state != newest.state:
        changed = ["state", *changed]
    return StaleRecordError(
        noun=newest.noun,
        id=newest.id,
        seen=seen,
        current=newest.revision,
        changed=", ".join(changed[:12]) or "signatures",
    )


def _reason(reason: str, move: str, *, needed: bool) -> str:
    if len(reason) > MAX_REASON or (needed and not reason.strip()):
        raise ReasonMissingError(move=move)
    return reason


def _refuse_identifiers(noun: str, **texts: str) -> None:
    """Refuse texts outside a record's shape that may name a patient, or hold what is not seen."""
    found = [
        f"{name}: looks like a patient's identifier" for name in texts if identifies(texts[name])
    ]
    found += [
        f"{name}: holds characters that are not seen" for name in texts if unseen_in(texts[name])
    ]
    if found:
        raise RecordShapeError(noun=noun, problems="; ".join(found))


def _writers(history: Sequence[StoredRecord]) -> list[Author]:
    return [record.author for record in history if record.action == "put"]


def _missing(move: Move[Any], filled: set[int]) -> tuple[frozenset[Role], ...]:
    return tuple(seat.roles for place, seat in enumerate(move.seats) if place not in filled)


def _signature_of(given: StoredRecord) -> Signed:
    return given.signatures[0]


def _details(record: StoredRecord) -> dict[str, str]:
    return {
        "action": record.action,
        "state": record.state,
        "digest": record.digest,
        "role": record.author.role.value,
        "organisation": record.author.organisation,
        "log_index": str(record.log_index),
    }
