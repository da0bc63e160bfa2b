"""A dossier: everything that shows one version to one authority.

Each item of evidence names a record of the register with its revision, digest, signer and
place in the log; all of it is compared with the register when the dossier moves. Whether
a requirement is met is computed (`completeness`), never typed.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from federation.evidence.model_version import Count, Digest, EntryId, Line
from registry.codes import RecordName
from registry.datasets.fields import Day, Slug, When
from registry.disclosure import OpenBody
from registry.models.version_card import NAME as VERSION
from registry.records.ports import Link
from registry.records.shapes import Body

NAME = "certification-dossier"
SIGNED_VERSION = "signed-version"
PackName = Slug
PackVersion = Annotated[str, Field(pattern=r"^[0-9]{4}\.[0-9]{1,3}$")]
_Noun = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,39}$")]
_RequirementId = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9-]{2,39}$")]


class PackRef(Body):
    """Which edition of which rule pack the dossier answers, and the content id it had."""

    id: PackName
    version: PackVersion
    digest: Digest | None = None


class Device(Body):
    """What the conditions of requirements look at."""

    task: Literal["CADe", "CADx", "CADt", "prognosis", "triage", "documentation", "other"]
    shows_probability: bool
    shows_heat_map: bool
    has_change_plan: bool
    was_licensed_before: bool
    uses_real_world_data: bool


class Item(Body):
    """One record as evidence: which revision, with what digest, by whom, where in the log.

    `noun` is ``signed-version`` for the record that the register signed of the version
    itself; then `record` is the entry, `revision` 1 and `signer` the register's.
    """

    id: Slug
    noun: _Noun
    record: RecordName
    revision: Annotated[int, Field(gt=0, le=10**6)]
    sha256: Digest
    signer: Line
    signed_at: When
    log_index: Count
    valid_until: Day | None = None


class Answer(Body):
    """The items that answer one requirement."""

    requirement: _RequirementId
    evidence: Annotated[tuple[Slug, ...], Field(min_length=1, max_length=200)]


class Submission(Body):
    """One time it was handed in, or asked about: when, under what number, with what result."""

    date: Day
    number: Line
    result: Literal["pending", "deficiency", "answered", "licensed", "refused"]


class Licence(Body):
    """The licence that was given."""

    number: Line
    issued: Day
    expires: Day

    @model_validator(mode="after")
    def _ends_after_it_began(self) -> Self:
        if self.expires < self.issued:
            raise ValueError("expires: before it was issued")
        return self


class Dossier(OpenBody):
    """The dossier of one version for one authority."""

    entry: EntryId
    target: Literal["TFDA", "FDA", "EU"]
    pack: PackRef
    device_id: Line
    device: Device
    items: Annotated[tuple[Item, ...], Field(max_length=500)] = ()
    answers: Annotated[tuple[Answer, ...], Field(max_length=200)] = ()
    change_plan: RecordName | None = None
    bundle: Digest | None = None
    submissions: Annotated[tuple[Submission, ...], Field(max_length=100)] = ()
    licence: Licence | None = None
    schema_: Literal["trifed.certification-dossier/1"] = Field(
        default="trifed.certification-dossier/1", alias="schema"
    )

    @model_validator(mode="after")
    def _names_what_is_there(self) -> Self:
        items = [one.id for one in self.items]
        asked = [one.requirement for one in self.answers]
        named = {item for one in self.answers for item in one.evidence}
        if len(set(items)) != len(items) or len(set(asked)) != len(asked):
            raise ValueError("an item or a requirement is there twice")
        if not named <= set(items):
            raise ValueError("answers: an item that is named is not there")
        return self

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return version, authority and pack."""
        return {"entry": [self.entry], "target": [self.target], "pack": [self.pack.id]}

    def links(self) -> Sequence[Link]:
        """Return the version, the records it rests on and the change plan."""
        rests = {(one.noun, one.record) for one in self.items if one.noun != SIGNED_VERSION}
        links = [Link("certifies", VERSION, self.entry)]
        links += [Link("rests-on", noun, record) for noun, record in sorted(rests)]
        if self.change_plan is not None:
            links.append(Link("under-plan", "change-plan", self.change_plan))
        return links

    def words(self) -> str:
        """Return version, authority, device and licence."""
        licence = [] if self.licence is None else [self.licence.number]
        return " ".join([self.entry, self.target, self.device_id, *licence])
