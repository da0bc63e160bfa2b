"""What the national health insurance pays for the use of a version, and until when."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from federation.evidence.model_version import Bilingual, Digest, EntryId, Line
from registry.codes import RecordName
from registry.datasets.fields import Day, Slug, When
from registry.disclosure import OpenBody
from registry.models.version_card import NAME as VERSION
from registry.records.ports import Link
from registry.records.shapes import Body
from registry.records.statements import time_of
from registry.timers.clocks import payment_ends

NAME = "reimbursement"
ASKED = ("quality", "efficiency", "staff-burden")
"""What a maker must show by long-term evidence (GOVERNANCE R44)."""

Topic = Literal["quality", "efficiency", "staff-burden"]


class Tariff(Body):
    """The item of the fee schedule, and its points; `bundled` if it is paid within another."""

    code: Annotated[str, Field(pattern=r"^[0-9A-Z]{5,12}$")]
    points: Annotated[int, Field(ge=0, le=10**9)]
    bundled: bool


class Assessment(Body):
    """The health technology assessment: its report, and where it can be read."""

    report: Digest
    date: Day
    reference: Line


class Evidence(Body):
    """One reported study that shows something of a topic."""

    topic: Topic
    study: RecordName


class Payment(OpenBody):
    """One application for payment, with what was decided. `start` begins the two years.

    `end` is when a provisional payment stops by itself: two years after `start` at most.
    """

    entry: EntryId
    indication: Bilingual
    dossier: RecordName
    licence: Line
    monitoring: Slug | None = None
    assessment: Assessment | None = None
    tariff: Tariff | None = None
    start: When | None = None
    end: When | None = None
    evidence: Annotated[tuple[Evidence, ...], Field(max_length=100)] = ()
    reassessment: Assessment | None = None
    restriction: Bilingual | None = None
    schema_: Literal["trifed.reimbursement/1"] = Field(
        default="trifed.reimbursement/1", alias="schema"
    )

    @model_validator(mode="after")
    def _lasts_two_years_at_most(self) -> Self:
        if (self.start is None) != (self.end is None):
            raise ValueError("a provisional payment has a start and an end")
        if self.start is None or self.end is None:
            return self
        start, end = time_of(self.start), time_of(self.end)
        if not start < end <= payment_ends(start):
            raise ValueError("end: after the start, and within two years of it")
        return self

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return version and fee schedule item."""
        items = [] if self.tariff is None else [self.tariff.code]
        return {"entry": [self.entry], "item": items}

    def links(self) -> Sequence[Link]:
        """Return the version, its dossier and the studies it rests on."""
        return (
            Link("pays-for", VERSION, self.entry),
            Link("rests-on", "certification-dossier", self.dossier),
            *(Link("rests-on", "impact-study", one.study) for one in self.evidence),
        )

    def words(self) -> str:
        """Return version, licence and indication."""
        return " ".join([self.entry, self.licence, self.indication.zh, self.indication.en])
