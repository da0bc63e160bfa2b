"""What a noun is: the shape of its content, who may write it, and its table of moves."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from federation.domain.ids import Id, Sha256
from federation.errors.moves import RecordShapeError
from federation.evidence.canonical import canonical, parse
from federation.evidence.characters import unseen_in
from registry.records.moves import Moves
from registry.records.ports import Found, Link, StoredRecord
from registry.roles import Role

if TYPE_CHECKING:
    from registry.ports import Transaction

MAX_BODY_BYTES = 512 * 1024
"""So that body and signed statement stay below the 1 MiB of an envelope in base64."""

MAX_WORDS = 4000
_NOUN = re.compile(r"[a-z][a-z0-9-]{1,39}")


class Body(BaseModel):
    """The content of a record. Unknown keys, text for a number, NaN are refused; frozen."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        populate_by_name=True,
        serialize_by_alias=True,
        protected_namespaces=(),
    )

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return what the record is filtered by, for example ``{"modality": ["CR"]}``."""
        return {}

    def links(self) -> Sequence[Link]:
        """Return which other records this one speaks of."""
        return ()

    def words(self) -> str:
        """Return what a text search looks in."""
        return ""

    def as_json(self) -> dict[str, object]:
        """Return the content as plain JSON, as RFC 8785 writes and reads it."""
        value = parse(canonical(self.model_dump(mode="json")))
        assert isinstance(value, dict)
        return value


B = TypeVar("B", bound=Body)


def no_evidence(_transaction: "Transaction", _record: StoredRecord) -> object:
    """Return nothing: no guard of the noun looks beyond its record."""
    return None


@dataclass(frozen=True, slots=True)
class Noun(Generic[B]):
    """One kind of record.

    Parameters
    ----------
    name
        As in ids and addresses, for example ``data-application``.
    shape
        The pydantic model of its content.
    moves
        Its states and moves.
    authors
        The roles that may write its content.
    editable
        The states in which the content may still be written anew; by default
        only the first.
    evidence
        Collects, inside the transaction of a move, what the guards judge.
    shared
        Whether another organisation than the first author's may write its content.
    """

    name: str
    shape: type[B]
    moves: Moves[Any]
    authors: frozenset[Role]
    editable: frozenset[str] = frozenset()
    evidence: Callable[["Transaction", StoredRecord], object] = field(default=no_evidence)
    shared: bool = False

    def __post_init__(self) -> None:
        if not _NOUN.fullmatch(self.name):
            raise ValueError(f"a noun is small letters, digits and hyphens: {self.name!r}")

    @property
    def start(self) -> str:
        """Return the state a new record is in."""
        return str(self.moves.start.value)

    def may_edit(self, state: str) -> bool:
        """Say whether content may be written anew in a state."""
        return state in (self.editable or {self.start})

    def read(self, body: Mapping[str, object] | bytes) -> B:
        """Return the content in a record's JSON.

        Raises
        ------
        RecordShapeError
            If it does not fit; all problems are listed.
        NotCanonicalError
            If bytes are not JSON, or a key occurs twice.
        """
        content = body if isinstance(body, bytes) else canonical(dict(body))
        parse(content)
        try:
            return self.shape.model_validate_json(content)
        except ValidationError as error:
            raise RecordShapeError(noun=self.name, problems=listed(error)) from error

    def of(self, record: StoredRecord) -> B:
        """Return the content of a stored record as this noun's shape."""
        return self.read(record.body)

    def canonical(self, body: B) -> tuple[dict[str, object], Sha256]:
        """Return content as JSON with its digest, validated once more as what will be read.

        Raises
        ------
        RecordShapeError
            If it does not fit its shape, is larger than 512 KiB, or a text holds characters
            that are not seen (NUL, which no PostgreSQL keeps, is one).
        """
        content = canonical(body.as_json())
        if len(content) > MAX_BODY_BYTES:
            raise RecordShapeError(noun=self.name, problems=f"more than {MAX_BODY_BYTES} bytes")
        plain = self.read(content).as_json()
        unseen = [name for name, part in plain.items() if unseen_in(part)]
        if unseen:
            problems = "; ".join(f"{name}: holds characters that are not seen" for name in unseen)
            raise RecordShapeError(noun=self.name, problems=problems)
        return plain, Sha256.of(canonical(plain))

    def found(self, body: B) -> Found:
        """Return what a record with that content is found by."""
        return Found(body.words()[:MAX_WORDS].casefold(), body.facets(), tuple(body.links()))


class RecordId(Id):
    """What a record is called within its noun."""

    __slots__ = ()
    kind = "record id"
    rule = "1 to 120 letters, digits and ._:+-, a letter or digit first"
    example = "inc-2026-0001"
    pattern = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,119}")


def listed(error: ValidationError) -> str:
    """Return what is wrong, field by field, without the values."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    found = [f"{'.'.join(str(step) for step in one['loc'])}: {one['msg']}" for one in problems]
    more = f"; and {len(found) - 20} more" if len(found) > 20 else ""
    return "; ".join(found[:20]) + more
