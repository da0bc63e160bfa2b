"""The form of a data application (REGISTRY.md B.3, rules R02-R15 and R18)."""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import Enum
from typing import Annotated, Self

from pydantic import Field, model_validator

from federation.evidence.model_version import Bilingual, Digest, Line
from registry.codes import Coded
from registry.disclosure import OpenBody
from registry.records.ports import Link
from registry.records.shapes import Body

NAME = "data-application"

_Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}$")]
_Money = Annotated[int, Field(ge=0, le=10**9)]


class ApplicantKind(Enum):
    """Who applies (R02, R42); who is commissioned by an agency counts as one (R05)."""

    AGENCY = "agency"
    ACADEMIC = "academic"
    HOSPITAL = "hospital"
    COMMISSIONED = "commissioned"


class Purpose(Enum):
    """What the data are for (R02); anything else, commerce above all, is no purpose."""

    PUBLIC_HEALTH = "public-health"
    HEALTH_CARE = "health-care"


class Modality(Enum):
    """The images asked for, by DICOM modality (R03)."""

    CT = "CT"
    MR = "MR"
    CR = "CR"
    DX = "DX"
    US = "US"
    MG = "MG"


class ImportKind(Enum):
    """What may be brought in, and nothing else (R10)."""

    TRAINING_SET = "training-set"
    PRETRAINED_MODEL = "pretrained-model"
    PROCESSING_PROGRAM = "processing-program"


class DocumentKind(Enum):
    """A document of the application (R06, R07)."""

    LETTER = "letter"
    FORM = "form"
    PLAN = "plan"
    ETHICS = "ethics"
    OTHER = "other"


class Applicant(Body):
    """Who applies; `code` is the body's own number, for example 統一編號."""

    kind: ApplicantKind
    name: Bilingual
    code: _Code


class Ethics(Body):
    """A review board's certificate, or the code of an exemption on the ministry's list (R08)."""

    board: Line | None = None
    number: Line | None = None
    expires: date | None = None
    exemption_code: _Code | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        certificate = (self.board, self.number, self.expires)
        if self.exemption_code is None and None in certificate:
            raise ValueError("a certificate needs its board, number and expiry")
        if self.exemption_code is not None and any(part is not None for part in certificate):
            raise ValueError("a certificate and an exemption exclude each other")
        return self


class RequestedField(Body):
    """One field asked for, and why the purpose cannot do without it (R11)."""

    name: _Code
    why: Bilingual
    codes: Annotated[tuple[Coded, ...], Field(max_length=50)] = ()


class DatasetRequest(Body):
    """The data asked for: images first, then what is tied to them (R03)."""

    modalities: Annotated[tuple[Modality, ...], Field(min_length=1, max_length=len(Modality))]
    fields: Annotated[tuple[RequestedField, ...], Field(min_length=1, max_length=200)]


class Handler(Body):
    """One person who will work with the data, by staff number (R04, R14)."""

    person: _Code
    own_unit: bool
    participation_proof: Digest | None = None
    pledge: Digest | None = None
    declaration: Digest | None = None


class Software(Body):
    """Software that is not provided: declared, then confirmed by the NHIA (R14)."""

    name: Line
    version: Line
    declaration: Digest
    confirmed: bool = False


class Import(Body):
    """One file that is brought in (R10)."""

    kind: ImportKind
    sha256: Digest
    size_bytes: Annotated[int, Field(gt=0, le=2**40)]
    what: Bilingual


class Document(Body):
    """One document of the application, by its digest."""

    kind: DocumentKind
    sha256: Digest


class Period(Body):
    """From which day to which day the data are used, both included."""

    begins: date
    ends: date

    @model_validator(mode="after")
    def _begins_first(self) -> Self:
        if self.ends < self.begins:
            raise ValueError("it ends before it begins")
        return self


class Fee(Body):
    """What use costs (R18); an agency's may be waived (R06)."""

    amount_twd: _Money
    waived: bool = False
    paid_on: date | None = None


class Contract(Body):
    """The usage contract (R13)."""

    sha256: Digest
    signed_on: date


class Closing(Body):
    """What ends the use: the report, and that accounts and files were cleared (R20, N5)."""

    report: Digest
    cleared_on: date


class DataApplication(OpenBody):
    """One application. What it asks for is fixed when the council has approved it."""

    rule_pack: Annotated[str, Field(pattern=r"^(NHIA-AI-110|NHI-DMA-2025)$")]
    applicant: Applicant
    purpose: Purpose
    purpose_words: Bilingual
    plan: Digest
    data: DatasetRequest
    handlers: Annotated[tuple[Handler, ...], Field(min_length=1, max_length=100)]
    period: Period
    ethics: Ethics | None = None
    documents: Annotated[tuple[Document, ...], Field(max_length=50)] = ()
    software: Annotated[tuple[Software, ...], Field(max_length=50)] = ()
    imports: Annotated[tuple[Import, ...], Field(max_length=50)] = ()
    fee: Fee | None = None
    contract: Contract | None = None
    closing: Closing | None = None

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return applicant, kind, purpose and modalities."""
        return {
            "applicant": [self.applicant.code],
            "kind": [self.applicant.kind.value],
            "purpose": [self.purpose.value],
            "modality": [one.value for one in self.data.modalities],
        }

    def links(self) -> Sequence[Link]:
        """Return none: exports link to it."""
        return ()

    def words(self) -> str:
        """Return the applicant's name and the purpose."""
        both = (self.applicant.name, self.purpose_words)
        return " ".join(text for one in both for text in (one.zh, one.en))
