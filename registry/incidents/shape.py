"""What an incident record says: the eight contents of Article 4, without the patient.

The regulation's report to the authority holds more of the patient than may stand here;
it goes its own way, and the record keeps its number and digest.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import Enum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from federation.evidence.model_version import Bilingual, Digest, EntryId, Line
from registry.codes import Coded, HospitalCode, RecordName
from registry.disclosure import OpenBody
from registry.incidents.severity import GRAVEST, Severity, alert_due
from registry.models.version_card import NAME as MODEL_VERSION
from registry.records.ports import Link
from registry.records.shapes import Body
from registry.roles import Role

NAME = "incident"

_Short = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class ActionKind(Enum):
    """What was done."""

    WARNING = "warning"
    SUSPENSION = "suspension"
    RECALL = "recall"
    CORRECTION = "correction"
    NONE = "none"


class DeviceStatus(Enum):
    """Where the product is now."""

    IN_USE = "in-use"
    STOPPED = "stopped"
    RETURNED = "returned"
    REPLACED = "replaced"


class FollowUp(Enum):
    """What became of the patient, as one of few words."""

    RECOVERED = "recovered"
    RECOVERING = "recovering"
    NOT_RECOVERED = "not-recovered"
    DIED = "died"
    UNKNOWN = "unknown"


class Words(Body):
    """A short text in both languages."""

    zh: _Short = Field(validation_alias="zh-TW", serialization_alias="zh-TW")
    en: _Short


class Reporter(Body):
    """Who reports (content 1): role, hospital and a way to reach the office."""

    role: Role
    hospital: HospitalCode
    contact: Line


class Product(Body):
    """The product (contents 3 to 6)."""

    name: Bilingual
    licence: Line
    model: Line
    batch: Line
    supplier: Line
    status: DeviceStatus


class Description(Body):
    """What happened (content 8): place, sign and gravity, problem, cause as far as known."""

    body_site: Coded | None = None
    symptom: Coded | None = None
    problem: Coded
    what: Words
    cause: Words | None = None
    follow_up: FollowUp


class Alert(Body):
    """That the authority was told: its number for it, when, and the report's digest."""

    number: Line
    sent_on: date
    report: Digest


class Action(Body):
    """One thing that was done, when."""

    kind: ActionKind
    on: date
    what: Words


class Correction(Body):
    """Corrective and preventive action (CAPA), and the proof that it worked."""

    plan: Words
    effective: Digest | None = None
    done_on: date | None = None


class Incident(OpenBody):
    """One incident with a deployment. `due` is the last day to tell the authority."""

    deployment: RecordName
    entry: EntryId
    occurred_on: date
    detected_on: date
    severity: Severity
    hazard: bool
    no_hazard_because: Words | None = None
    due: date
    reporter: Reporter
    product: Product
    outcome: Coded
    description: Description
    alert: Alert | None = None
    actions: Annotated[tuple[Action, ...], Field(max_length=50)] = ()
    root_cause: Words | None = None
    correction: Correction | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.detected_on < self.occurred_on:
            raise ValueError("detected_on: before it occurred")
        if self.due != alert_due(self.severity, self.detected_on):
            raise ValueError("due: it is 7 days from the day after discovery")
        if self.hazard == (self.no_hazard_because is not None):
            raise ValueError("no_hazard_because: goes with no hazard, and only with that")
        if self.severity in GRAVEST and not self.hazard:
            raise ValueError("hazard: an incident this grave always counts as one")
        if self.alert is not None and self.alert.sent_on < self.detected_on:
            raise ValueError("alert: sent before the incident was detected")
        return self

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return severity and hospital."""
        return {"severity": [self.severity.value], "hospital": [self.reporter.hospital]}

    def links(self) -> Sequence[Link]:
        """Return the deployment and the version it is about."""
        return (
            Link("is-about", "deployment", self.deployment),
            Link("is-about", MODEL_VERSION, self.entry),
        )

    def words(self) -> str:
        """Return product and what happened."""
        both = (self.product.name, self.description.what)
        return " ".join(text for one in both for text in (one.zh, one.en))
