"""Answer a round once, whatever dies in between: the crash rule in one place.

    with replies.working_on(task):              # one process at a time
        one = OneAnswer(task, digest, charge, books, replies, record=record, now=now)
        reply = one.kept()                      # asked before: the same bytes, no cost
        if reply is None:
            one.reserve()                       # before a patient is touched
            reply = one.leave(release(...))     # after the gate; send what it returns

The order is the promise. Reserve, then train, gate, keep the reply, commit, record,
send. What was not kept never left, so training again with new noise is the first
release; what was kept is the only thing that ever leaves, and is committed before
it does. A reservation is given back only while nothing is kept.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from clients.replies import KeptReplies
from federation.domain.ids import Sha256, StudyId
from federation.errors.ledger import RoundAnsweredError
from federation.privacy.bookkeeping import Bookkeeper
from federation.privacy.events import PrivacyEvent
from federation.privacy.ledger import Accountant, Budget, EntryKind, Limit
from federation.wire.messages import Reply, Task


@dataclass(frozen=True, slots=True)
class Charge:
    """What a private round costs, and within which limits (`Bookkeeper.reserve`)."""

    dataset: str
    study: StudyId
    events: tuple[PrivacyEvent, ...]
    budget: Budget
    plan: Budget
    accountant: Accountant
    limits: Sequence[Limit] = ()


@dataclass(frozen=True, slots=True)
class OneAnswer:
    """One task being answered, under `KeptReplies.working_on`.

    Parameters
    ----------
    charge
        None for what costs nothing: evaluation, or training without privacy.
    record
        Writes the audit line; called before every sending, also of a kept reply.
    now
        Gives the time as the book writes it.
    """

    task: Task
    model_digest: Sha256
    charge: Charge | None
    books: Bookkeeper
    replies: KeptReplies
    record: Callable[[Reply], None]
    now: Callable[[], str]

    @property
    def key(self) -> str:
        """Return what the book calls this round."""
        return f"{self.task.run}/{self.task.round}"

    def kept(self) -> Reply | None:
        """Return the reply given before, accounted for and recorded, or None.

        Raises
        ------
        LedgerEntryRefusedError
            If the book knows nothing of it: the book is not the one it was.
        KeptReplyDamagedError
            If it is there and damaged.
        """
        reply = self.replies.find(self.task, self.model_digest)
        if reply is None:
            return None
        self._commit()
        self.record(reply)
        return reply

    def reserve(self) -> None:
        """Reserve what the round costs.

        Raises
        ------
        RoundAnsweredError
            If it was answered with another model, or its run is over.
        PlatformError
            As `Bookkeeper.reserve`.
        """
        if self.replies.has_answered(self.task):
            raise RoundAnsweredError(round=self.task.round, run=self.task.run)
        if self.charge is not None:
            self.books.reserve(
                self.charge.dataset,
                study=self.charge.study,
                key=self.key,
                events=self.charge.events,
                budget=self.charge.budget,
                plan=self.charge.plan,
                limits=self.charge.limits,
                accountant=self.charge.accountant,
                at=self.now(),
            )

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Enter a step that trains nothing in the book, without cost; void it if nothing left."""
        if self.charge is not None:
            self.books.open_book(self.charge.dataset, at=self.now())
        self.reserve()
        try:
            yield
        except Exception:
            self.give_up(nothing_left=True)
            raise

    def is_reserved(self) -> bool:
        """Say whether the book holds the reservation, for the gate's rule."""
        if self.charge is None:
            return True
        return self.books.book(self.charge.dataset).state_of(self.key) is EntryKind.RESERVED

    def leave(self, reply: Reply) -> Reply:
        """Keep, commit and record what the gate let through; return what may be sent."""
        kept = self.replies.keep(self.task, self.model_digest, reply)
        self._commit()
        self.record(kept)
        return kept

    def give_up(self, *, nothing_left: bool) -> None:
        """Settle a round that failed: void it if the gate kept it inside, else count it.

        Any other failure counts as spent: its code leaves, and whether training
        fails depends on the patients.
        """
        if self.charge is None or not self.is_reserved():
            return
        may_void = nothing_left and not self.replies.has_answered(self.task)
        self._settle(EntryKind.VOIDED if may_void else EntryKind.COMMITTED)

    def _commit(self) -> None:
        if self.charge is None:
            return
        state = self.books.book(self.charge.dataset).state_of(self.key)
        if state is not EntryKind.COMMITTED:
            self._settle(EntryKind.COMMITTED)

    def _settle(self, kind: EntryKind) -> None:
        assert self.charge is not None
        self.books.settle(
            self.charge.dataset, study=self.charge.study, key=self.key, kind=kind, at=self.now()
        )
