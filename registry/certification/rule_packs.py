"""Rule packs: catalogues of requirements, each edition one TOML file that never changes.

    pack = pack_named("tfda-ai", "2026.1")
    [one.id for one in pack.requirements if one.applies(device)]

A pack says what is asked, where it comes from, when it applies, and which records of the
register show it. What it does not know (a section number) is empty, never guessed.
"""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from federation.domain.toml_text import parse_toml
from federation.errors.evidence_nouns import RulePackError
from federation.evidence.canonical import canonical, digest_of
from federation.evidence.model_version import Bilingual, Line
from federation.wording import Text
from registry.certification.dossier import Device, PackName, PackVersion
from registry.datasets.fields import Slug
from registry.evaluations.evaluation import Dimension
from registry.records.shapes import Body, listed

_FOLDER = "registry.certification.packs"
_UNKNOWN = Text(en="there is no such edition here", zh="此處沒有這個版本")

Kind = Literal[
    "signed-version",
    "model-version",
    "training-run",
    "dataset-card",
    "evaluation",
    "impact-study",
    "deployment",
    "review-cycle",
    "incident",
    "change-plan",
    "data-application",
    "evidence-document",
]
"""What a requirement may be shown by: the register's nouns, and the signed record itself."""


class Need(Body):
    """One thing a requirement needs: evidence of one of these kinds, and what must hold of it.

    Parameters
    ----------
    dimensions, disjoint, external_sites
        Of an evaluation: its dimension, its proof of disjointness, and at how many sites
        that did not train the version.
    attributes, mlbom
        Of a version's card: the source attributes answered, the bill of materials there.
    document
        Of a document: what it is.
    every_training_site
        One for each site that trained the version.
    privacy
        Of the signed record: a privacy statement with a mechanism for every site.
    """

    any_of: Annotated[tuple[Kind, ...], Field(min_length=1)]
    dimensions: Annotated[tuple[Dimension, ...], Field(strict=False)] = ()
    attributes: tuple[str, ...] = ()
    document: Slug | None = None
    external_sites: Annotated[int, Field(ge=0, le=100)] = 0
    disjoint: bool = False
    every_training_site: bool = False
    mlbom: bool = False
    privacy: bool = False


class Source(Body):
    """Where a requirement comes from; `section` is empty where it was not verified."""

    doc: Slug
    section: str = Field(max_length=80)


class Maps(Body):
    """Where other authorities ask for the same; empty is unknown."""

    FDA: str
    EU: str
    IMDRF: str


class Requirement(Body):
    """One requirement of a pack."""

    id: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9-]{2,39}$")]
    text: Bilingual
    source: Source
    severity: Literal["must", "should"]
    maps: Maps
    needs: Annotated[tuple[Need, ...], Field(min_length=1)]
    applies_when: dict[str, tuple[str | bool, ...]] = Field(default_factory=dict)

    def applies(self, device: Mapping[str, object]) -> bool:
        """Say whether it applies to a device as described: every condition must hold."""
        return all(device[name] in wanted for name, wanted in self.applies_when.items())


class NeverCounts(Body):
    """States in which no record counts."""

    states: tuple[str, ...]


class RulePack(Body):
    """One edition of a catalogue."""

    schema_: Literal["trifed.rule-pack/1"] = Field(alias="schema")
    id: PackName
    version: PackVersion
    title: Bilingual
    note: Bilingual
    documents: dict[Slug, Bilingual]
    counts_in: dict[Line, tuple[str, ...]]
    counts_never: NeverCounts
    requirement: Annotated[tuple[Requirement, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _asks_what_can_be_told(self) -> Self:
        ids = [one.id for one in self.requirement]
        if len(set(ids)) != len(ids):
            raise ValueError("requirement: an id is there twice")
        for one in self.requirement:
            if not set(one.applies_when) <= set(Device.model_fields):
                raise ValueError(f"{one.id}: applies_when asks what no device tells")
            if one.source.doc not in self.documents:
                raise ValueError(f"{one.id}: its source is not among the documents")
        return self

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Return the requirements in the pack's order."""
        return self.requirement

    @property
    def digest(self) -> str:
        """Return the content id of the edition, so that a dossier can tell which it met."""
        return digest_of(self.as_json())

    def counts(self, noun: str, state: str) -> bool:
        """Say whether a record of a noun in a state is evidence."""
        wanted = self.counts_in.get(noun)
        return state not in self.counts_never.states and (wanted is None or state in wanted)


def pack_names() -> list[tuple[str, str]]:
    """Return names and versions of all packs that are installed, of each the newest last."""
    found = [one.name for one in files(_FOLDER).iterdir() if one.name.endswith(".toml")]
    parted = [name.removesuffix(".toml").rpartition("-") for name in found]
    return sorted(((name, version) for name, _, version in parted), key=_by_age)


def newest(name: str) -> RulePack:
    """Return the newest edition of a pack; raises `RulePackError` if there is none."""
    editions = [version for one, version in pack_names() if one == name]
    return pack_named(name, editions[-1] if editions else "0")


def _by_age(named: tuple[str, str]) -> tuple[str, list[int]]:
    name, version = named
    return name, [int(part) for part in version.split(".") if part.isdigit()]


@lru_cache(maxsize=16)
def pack_named(name: str, version: str) -> RulePack:
    """Return an edition of a pack.

    Raises
    ------
    RulePackError
        If there is none, or its file is not a pack.
    """
    if (name, version) not in pack_names():
        raise RulePackError(pack=f"{name[:40]} {version[:20]}", why=_UNKNOWN)
    content = files(_FOLDER).joinpath(f"{name}-{version}.toml").read_text(encoding="utf-8")
    return read_pack(content, name=f"{name} {version}")


def read_pack(content: str, *, name: str) -> RulePack:
    """Return the pack in a TOML file; raises `RulePackError` with everything that is wrong."""
    try:
        raw = parse_toml(content.encode())
        return RulePack.model_validate_json(canonical(raw))
    except ValidationError as error:
        why = listed(error)
        raise RulePackError(pack=name, why=why) from error
    except ValueError as error:
        raise RulePackError(pack=name, why="not TOML") from error
