"""Answer what people ask of dossiers: what is missing, what to name, what a change needs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from federation.errors.moves import RecordNotFoundError, RecordShapeError
from federation.evidence.canonical import canonical
from federation.evidence.model_version import EntryId
from registry.certification import change_plans
from registry.certification.changes import Classified, classify
from registry.certification.completeness import Completeness, Judged
from registry.certification.dossier import NAME, SIGNED_VERSION, Item
from registry.certification.evidence_found import Key, belonging, collect, item_of, signed_item
from registry.codes import RecordName
from registry.models.version_card import ChangePart
from registry.ports import Store
from registry.records.ports import StoredRecord
from registry.records.service import Records
from registry.records.shapes import Body, listed


class ChangeAsked(Body):
    """A change to classify: what it touches, or what it only fixes; unsaid is refused.

    Parameters
    ----------
    plan
        The change plan it may fall under.
    entry
        The licensed version that is changed; a plan of another one covers nothing of it.
    """

    parts: Annotated[tuple[ChangePart, ...], Field(max_length=10, strict=False)] = ()
    fix: Literal["bug", "user-interface", "system"] | None = None
    plan: RecordName | None = None
    entry: EntryId | None = None

    @model_validator(mode="after")
    def _says_what_it_is(self) -> Self:
        if not self.parts and self.fix is None:
            raise ValueError("parts: what it touches, or fix: bug, user-interface or system")
        return self


def completeness_of(records: Records, id: str) -> Completeness:
    """Return how a dossier stands now.

    Raises
    ------
    RecordNotFoundError
        If there is none.
    RulePackError
        If it names a pack that is not installed.
    """
    with records.store.reading() as transaction:
        record = transaction.records.head(NAME, id)
        if record is None:
            raise RecordNotFoundError(noun=NAME, id=repr(id[:60]))
        return collect(transaction, record).at(records.clock())


@dataclass(frozen=True, slots=True)
class Tried:
    """How a dossier would stand with another content, and each of its items."""

    completeness: Completeness
    items: Mapping[str, Judged]


def try_content(records: Records, dossier: StoredRecord, body: Mapping[str, object]) -> Tried:
    """Return how a dossier would stand with a content; nothing is written.

    Raises
    ------
    RulePackError
        If it names a pack that is not installed.
    """
    now = records.clock()
    with records.store.reading() as transaction:
        found = collect(transaction, replace(dossier, body=body))
    return Tried(found.at(now), found.judged(now))


def records_of(store: Store, entry: str) -> list[Key]:
    """Return noun and id of every record that belongs to a version."""
    with store.reading() as transaction:
        return belonging(transaction, entry)


def read_change(asked: Mapping[str, object]) -> ChangeAsked:
    """Return a change to classify; raises `RecordShapeError` naming what cannot be read."""
    try:
        return ChangeAsked.model_validate_json(canonical(dict(asked)))
    except ValidationError as error:
        raise RecordShapeError(noun="change", problems=listed(error)) from error


def item_for(store: Store, noun: str, id: str) -> Item:
    """Return a record as an item of evidence, word for word as the register has it.

    Raises
    ------
    RecordNotFoundError
        If there is none.
    """
    name = f"{noun}-{id}".lower().replace(".", "-").replace("_", "-").replace(":", "-")[:60]
    with store.reading() as transaction:
        if noun == SIGNED_VERSION:
            found = signed_item(transaction, id, id=name)
        else:
            record = transaction.records.head(noun, id)
            found = None if record is None else item_of(record, id=name)
    if found is None:
        raise RecordNotFoundError(noun=noun, id=repr(id[:60]))
    return found


def classify_asked(records: Records, asked: ChangeAsked) -> Classified:
    """Return what a change needs; a plan not approved, or of another version, covers nothing.

    Raises
    ------
    RecordNotFoundError
        If the plan that is named does not exist.
    """
    if asked.plan is None:
        return classify(asked.parts, planned=None)
    record = records.get(change_plans.NAME, asked.plan)
    plan = change_plans.NOUN.of(record)
    approved = record.state == change_plans.PlanState.APPROVED.value
    covers = approved and asked.entry in (None, plan.entry)
    return classify(asked.parts, planned=plan.parts if covers else None)
