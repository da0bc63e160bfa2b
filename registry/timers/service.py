"""Have the register's clock do what is due."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from federation.errors import PlatformError
from federation.wording import Language
from registry.ports import Transaction
from registry.records.ports import Query, StoredRecord
from registry.records.service import MAX_PAGE, Records
from registry.roles import CLOCK
from registry.timers.due import Due, Rule, Standing, due


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run did: moves made, reminders, and what was refused with its code."""

    moved: tuple[Due, ...]
    reminders: tuple[Due, ...]
    refused: tuple[tuple[Due, str], ...]

    def as_json(self) -> dict[str, list[dict[str, str]]]:
        """Return the run as JSON, records by name."""
        return {
            "moved": [_line(one) for one in self.moved],
            "reminders": [_line(one) for one in self.reminders],
            "refused": [_line(one) | {"code": code} for one, code in self.refused],
        }


def run(records: Records, rules: Sequence[Rule], *, now: datetime) -> Ran:
    """Make every move that is due at `now`; one that is refused stops no other one."""
    moved: list[Due] = []
    reminders: list[Due] = []
    refused: list[tuple[Due, str]] = []
    for one in find_due(records, rules, now=now):
        if one.rule.move is None:
            reminders.append(one)
            continue
        try:
            _move(records, one)
        except PlatformError as error:
            refused.append((one, error.code))
        else:
            moved.append(one)
    return Ran(tuple(moved), tuple(reminders), tuple(refused))


def find_due(records: Records, rules: Iterable[Rule], *, now: datetime) -> list[Due]:
    """Return all that is due at `now`, without doing it."""
    with records.store.reading() as transaction:
        return [one for rule in rules for one in due(rule, _standing(transaction, rule), now)]


def _move(records: Records, one: Due) -> None:
    assert one.rule.move is not None
    reason = f"{one.rule.reason.en} / {one.rule.reason.say(Language.ZH_HANT_TW)}"
    records.move(
        one.rule.noun,
        one.id,
        one.rule.move,
        author=CLOCK,
        revision=one.revision,
        reason=reason,
    )


def _standing(transaction: Transaction, rule: Rule) -> list[Standing]:
    return [
        Standing(
            transaction.records.history(record.noun, record.id),
            transaction.records.linking(record.noun, record.id, by=rule.linked_by)
            if rule.linked_by
            else (),
        )
        for state in sorted(rule.states)
        for record in _all(transaction, rule.noun, state)
    ]


def _all(transaction: Transaction, noun: Any, state: str) -> list[StoredRecord]:
    found: list[StoredRecord] = []
    before: int | None = None
    while True:
        page = transaction.records.find(
            Query(noun.name, state=state, before=before, limit=MAX_PAGE)
        )
        found += page.items
        if page.next is None:
            return found
        before = page.next


def _line(one: Due) -> dict[str, str]:
    return {
        "record": one.name,
        "move": one.rule.move or "",
        "since": one.since.isoformat(),
        "reason": one.rule.reason.en,
    }
