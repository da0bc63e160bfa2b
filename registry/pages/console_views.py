"""What the reviewers' pages show: pure functions over records and nouns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.evidence.model_version import Bilingual
from federation.wording import Text
from registry.models.version_card import NAME as VERSION
from registry.pages.console_wording import NOUNS
from registry.pages.standing import moves_of
from registry.pages.states import OTHER_STATES, STATES, Status
from registry.records.moves import Move
from registry.records.ports import Signed, StoredRecord
from registry.records.shapes import Noun
from registry.roles import Author, Role

RESTING: Mapping[str, frozenset[str]] = {
    VERSION: frozenset({"live"}),
    "deployment": frozenset({"live"}),
}
"""States in which a record stays for years: what may then be signed is no task."""

_TITLES = ("name", "title", "summary", "subject")


@dataclass(frozen=True, slots=True)
class TaskView:
    """A record that waits for a signature: what it is, since when, which moves wait."""

    noun: Text | str
    address: str
    title: Bilingual | str
    id: str
    state: Status | Text | str
    at: str
    moves: Sequence[tuple[str, Text | str]]


@dataclass(frozen=True, slots=True)
class RowView:
    """One record in a list."""

    address: str
    title: Bilingual | str
    id: str
    state: Status | Text | str
    at: str
    by: Author


@dataclass(frozen=True, slots=True)
class RevisionView:
    """One revision in the history: what was done, by whom, why, where it is logged."""

    revision: int
    at: str
    action: str
    state: Status | Text | str
    author: Author
    reason: str
    signatures: Sequence[Signed]
    log_index: int
    digest: str


def task_moves(noun: Noun[Any], state: str, roles: frozenset[Role]) -> list[Move[Any]]:
    """Return the moves from a state that wait for somebody with these roles.

    A power that may be used at any time (it leaves several states) waits for nobody, nor
    does anything in a state where records rest.
    """
    if state in RESTING.get(noun.name, frozenset()):
        return []
    return [move for move in moves_of(noun, state) if move.roles & roles and len(move.before) == 1]


def states_with_tasks(noun: Noun[Any], roles: frozenset[Role]) -> list[str]:
    """Return the states of a noun in which something waits for these roles."""
    states = [str(state.value) for state in noun.moves.states]
    return [state for state in states if task_moves(noun, state, roles)]


def task_view(noun: Noun[Any], record: StoredRecord, moves: Sequence[Move[Any]]) -> TaskView:
    """Return a record as a task."""
    return TaskView(
        noun_name(noun.name),
        address_of(record),
        title_of(record),
        record.id,
        state_shown(record),
        record.at,
        [(one.number, state_named(noun.name, str(one.after.value))) for one in moves],
    )


def row_view(record: StoredRecord) -> RowView:
    """Return a record as a line of a list."""
    return RowView(
        address_of(record),
        title_of(record),
        record.id,
        state_shown(record),
        record.at,
        record.author,
    )


def revision_view(record: StoredRecord) -> RevisionView:
    """Return a revision as a line of the history."""
    return RevisionView(
        record.revision,
        record.at,
        record.action,
        state_shown(record),
        record.author,
        record.reason,
        record.signatures,
        record.log_index,
        record.digest,
    )


def address_of(record: StoredRecord) -> str:
    """Return where the console shows a record."""
    return f"/console/records/{record.noun}/{record.id}"


def noun_name(name: str) -> Text | str:
    """Return what people call a kind of record."""
    return NOUNS.get(name, name)


def state_shown(record: StoredRecord) -> Status | Text | str:
    """Return a record's state as shown: versions have words for it, others their own."""
    return (
        STATES[record.state]
        if record.noun == VERSION
        else OTHER_STATES.get(record.state, record.state)
    )


def state_named(noun: str, state: str) -> Text | str:
    """Return a state of a noun by name."""
    return STATES[state].name if noun == VERSION else OTHER_STATES.get(state, state)


def title_of(record: StoredRecord) -> Bilingual | str:
    """Return what a record's content calls it, else its id."""
    for name in _TITLES:
        match record.body.get(name):
            case {"zh-TW": str(zh), "en": str(en)}:
                return Bilingual.model_validate({"zh-TW": zh, "en": en})
            case str(text) if text:
                return text
    return record.id
