"""What a hospital says of the data it let a study use: one card per site and version.

The node's own card gives what it knows (counts, period, scanners, opt-outs); people add
legal basis, ethics approval and how labels were made. `prepared_data_hash` is the content
id that the site's approval and every update of a run name, so a version finds its cards.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from federation.evidence.model_version import Bilingual, Digest, Line
from registry.codes import RecordName
from registry.datasets.fields import Day, Fraction, Site, Slug, When
from registry.disclosure import CountTable, OpenBody, People, Tens, gives_away
from registry.records.ports import Link
from registry.records.shapes import Body

NAME = "dataset-card"
DATASET = "dataset"
SITE = "site"
_Lines = Annotated[tuple[Line, ...], Field(max_length=100)]


class LegalBasis(Enum):
    """On what ground the data are used."""

    CONSENT = "consent"
    RESEARCH_EXEMPTION = "research-exemption"
    NHI_DATA_ACT = "nhi-data-act"
    STATUTORY_DUTY = "statutory-duty"


class Ethics(Body):
    """The ethics approval: its number and last day, or the code of the exemption."""

    board: Line
    number: Line | None = None
    exemption: Line | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.number is None) == (self.exemption is None):
            raise ValueError("give an approval's number, or the code of its exemption")
        return self


class Period(Body):
    """First and last day of what was recorded."""

    begin: Day
    end: Day

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.end < self.begin:
            raise ValueError("it ends before it begins")
        return self


class Labels(Body):
    """How the reference standard was made; `kappa` is the annotators' agreement."""

    process: Bilingual
    annotators: Annotated[int, Field(ge=0, le=10_000)]
    qualification: Bilingual
    adjudication: Bilingual
    kappa: Annotated[float, Field(ge=-1, le=1)] | None = None


class Deidentification(Body):
    """The method, and the id (never the key) of the key of this project's pseudonyms."""

    method: Line
    profile: Line
    project_key: Slug


class Split(Body):
    """How training and test patients were parted; `disjointness` is the proof's digest."""

    policy: Line
    disjointness: Digest


class Representativeness(Body):
    """How the data that remain differ from all: standardised mean differences, and PSI."""

    smd: Annotated[dict[Line, Annotated[float, Field(ge=0)]], Field(min_length=1, max_length=50)]
    psi: Annotated[float, Field(ge=0)]

    @property
    def largest(self) -> float:
        """Return the largest of the differences."""
        return max(self.smd.values())


class OptOut(Body):
    """Which list of those who opted out was applied, when, and what that changed.

    `representativeness` is None where fewer than ten opted out: nothing is said of so few.
    `excluded` is in whole tens, so that two cards seldom tell who it was; `accepted` says
    why data that a list changed much are used all the same.
    """

    list_version: Line
    applied_at: When
    excluded: Tens
    representativeness: Representativeness | None
    accepted: Bilingual | None = None


class DatasetCard(OpenBody):
    """The card of one site's data for one purpose. Counts of one to nine patients are null.

    `signed` is the statement of the log in which the site's node said all of it; None for
    a card that people wrote.
    """

    site: Site
    title: Bilingual
    source_systems: Annotated[tuple[Line, ...], Field(min_length=1, max_length=20)]
    period: Period
    legal_basis: LegalBasis = Field(strict=False)
    ethics: Ethics
    ethics_expires: Day | None
    application: RecordName
    inclusion: Bilingual
    exclusion: Bilingual
    patients: People
    studies: People
    images: People
    labels: Labels
    label_prevalence: Fraction | None
    sex: CountTable
    age_band: CountTable
    region: CountTable
    scanner: CountTable
    missingness: Annotated[dict[Line, Fraction], Field(max_length=100)]
    deidentification: Deidentification
    prepared_data_hash: Digest
    split: Split
    opt_out: OptOut
    quality_report: Digest
    modalities: _Lines = ()
    destroy_by: Day | None = None
    signed: Digest | None = None
    schema_: Literal["trifed.dataset-card/1"] = Field(
        default="trifed.dataset-card/1", alias="schema"
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if (self.ethics.number is None) != (self.ethics_expires is None):
            raise ValueError("ethics_expires: an approval has a last day, an exemption has none")
        for name in ("sex", "age_band", "region"):
            shown: CountTable = getattr(self, name)
            cells = [cell.n for cell in shown.cells]
            if shown.total not in (None, self.patients):
                raise ValueError(f"{name}: its total is not the number of patients")
            if why := gives_away(self.patients, cells, smallest=shown.smallest):
                raise ValueError(f"{name}, beside the number of patients: {why}")
        few = not self.opt_out.excluded
        if self.opt_out.representativeness is None and not few:
            raise ValueError("opt_out: its representativeness is missing; ten or more opted out")
        if self.patients is None and self.label_prevalence is not None:
            raise ValueError("label_prevalence: it is hidden where the patients are")
        return self

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return site, modalities and legal basis."""
        return {
            "site": [self.site],
            "modality": list(self.modalities),
            "legal-basis": [self.legal_basis.value],
        }

    def links(self) -> Sequence[Link]:
        """Return the data it describes, its site and the application it rests on."""
        return (
            Link("describes", DATASET, self.prepared_data_hash),
            Link("at", SITE, self.site),
            Link("under", "data-application", self.application),
        )

    def words(self) -> str:
        """Return title, site and source systems."""
        return " ".join([self.title.zh, self.title.en, self.site, *self.source_systems])
