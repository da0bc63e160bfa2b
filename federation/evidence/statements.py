"""What is said and signed: in-toto Statement v1 values.

A statement names its subjects by digest and says one thing of them, its
predicate. Our predicate types are URIs that name no host, so they outlive any
web site. Make one, hand it to `signing.sign_dsse`, and get it back from
`verification.verify_envelope`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from federation.domain.ids import Sha256
from federation.errors.core import InvalidIdError
from federation.errors.signed import MalformedEnvelopeError
from federation.evidence.canonical import canonical, parse

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"


class PredicateType(Enum):
    """What a statement says of its subjects. Meanings never change; new ones get new URIs."""

    PROPOSAL = "urn:trifed:predicate:proposal:v1"
    APPROVAL = "urn:trifed:predicate:approval:v1"
    DATASET_CARD = "urn:trifed:predicate:dataset-card:v1"
    UPDATE = "urn:trifed:predicate:update:v1"
    TRAINING_RUN = "urn:trifed:predicate:training-run:v1"
    EVALUATION = "urn:trifed:predicate:evaluation:v1"
    LEDGER = "urn:trifed:predicate:ledger:v1"
    MODEL_VERSION = "urn:trifed:predicate:model-version:v1"
    BUNDLE = "urn:trifed:predicate:bundle:v1"
    SEAL = "urn:trifed:predicate:seal:v1"
    DISJOINTNESS = "urn:trifed:predicate:disjointness:v1"
    AUDIT_TRAIL = "urn:trifed:predicate:audit-trail:v1"
    OUTCOMES = "urn:trifed:predicate:outcomes:v1"

    @property
    def short(self) -> str:
        """Return the name people use, for example ``model-version``."""
        return self.value.split(":")[3]

    @classmethod
    def of(cls, short: str) -> "PredicateType":
        """Return the type with that short name.

        Raises
        ------
        MalformedEnvelopeError
            If there is no such type.
        """
        for kind in cls:
            if kind.short == short:
                return kind
        raise MalformedEnvelopeError(why="an unknown kind of statement")


@dataclass(frozen=True, slots=True)
class Subject:
    """A thing spoken of: its name and content id."""

    name: str
    digest: Sha256

    def __post_init__(self) -> None:
        if not self.name:
            raise MalformedEnvelopeError(why="a subject without a name")


@dataclass(frozen=True, slots=True)
class Statement:
    """One claim about one or more subjects. `predicate` is plain JSON, held as a copy.

    Raises
    ------
    MalformedEnvelopeError
        If it has no subject or two of the same name.
    NotCanonicalError
        If the predicate has no canonical form.
    """

    subjects: tuple[Subject, ...]
    predicate_type: PredicateType
    predicate: Mapping[str, object]

    def __post_init__(self) -> None:
        names = {subject.name for subject in self.subjects}
        if not self.subjects or len(names) != len(self.subjects):
            raise MalformedEnvelopeError(why="subjects need unique names, one at least")
        object.__setattr__(self, "predicate", parse(canonical(dict(self.predicate))))

    def as_bytes(self) -> bytes:
        """Return the canonical bytes that are signed."""
        return canonical(
            {
                "_type": STATEMENT_TYPE,
                "subject": [
                    {"name": subject.name, "digest": {"sha256": subject.digest.hex}}
                    for subject in self.subjects
                ],
                "predicateType": self.predicate_type.value,
                "predicate": self.predicate,
            }
        )

    @property
    def digest(self) -> Sha256:
        """Return the content id over the whole statement."""
        return Sha256.of(self.as_bytes())

    @classmethod
    def from_bytes(cls, content: bytes) -> "Statement":
        """Return the statement that `as_bytes` wrote.

        Raises
        ------
        MalformedEnvelopeError
            If it is anything else, in any byte.
        NotCanonicalError
            If it is not canonical JSON.
        """
        statement = _statement_of(parse(content))
        if statement.as_bytes() != content:
            raise MalformedEnvelopeError(why="the statement is not in its canonical spelling")
        return statement


def _statement_of(raw: object) -> Statement:
    match raw:
        case {
            "_type": str(kind),
            "subject": list(subjects),
            "predicateType": str(uri),
            "predicate": dict(predicate),
            **rest,
        } if not rest and kind == STATEMENT_TYPE:
            return Statement(
                tuple(_subject_of(subject) for subject in subjects), _type_of(uri), predicate
            )
    raise MalformedEnvelopeError(why="not an in-toto statement, version 1")


def _subject_of(raw: object) -> Subject:
    match raw:
        case {"name": str(name), "digest": {"sha256": str(digest), **others}, **rest} if (
            not rest and not others
        ):
            try:
                return Subject(name, Sha256(f"sha256:{digest}"))
            except InvalidIdError as error:
                raise MalformedEnvelopeError(why="a subject without a SHA-256") from error
    raise MalformedEnvelopeError(why="a subject without name and digest")


def _type_of(uri: str) -> PredicateType:
    try:
        return PredicateType(uri)
    except ValueError as error:
        raise MalformedEnvelopeError(why="an unknown kind of statement") from error
