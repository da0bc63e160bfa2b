"""How a model was trained: one record for each run of a study.

The signed record of a version says the same of its own run in short; this one says it of
every run, also of those that no version came from, with plan, rounds, secure aggregation,
machines and energy. Its id is the run's id, so versions find it.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from federation.domain.ids import RunId, StudyId
from federation.evidence.model_version import (
    Count,
    Digest,
    EntryId,
    Line,
    NoPrivacyStatement,
    Positive,
    PrivacyStatement,
)
from registry.codes import RecordName
from registry.datasets.card import DATASET, SITE
from registry.datasets.fields import Site, When
from registry.disclosure import OpenBody, People
from registry.models.version_card import NAME as VERSION
from registry.records.ports import Link
from registry.records.shapes import Body

NAME = "training-run"
RunName = Annotated[str, Field(pattern=rf"^(?:{RunId.pattern.pattern})$")]
_Study = Annotated[str, Field(pattern=rf"^(?:{StudyId.pattern.pattern})$")]
_Round = Annotated[int, Field(gt=0, le=10**6)]


class Plan(Body):
    """What was asked of every round; `clip_norm` is null where nothing was clipped."""

    rounds: _Round
    local_epochs: Annotated[float, Field(gt=0, le=10**4)]
    learning_rate: Positive
    clip_norm: Positive | None
    seed: Count


class Part(Body):
    """One site: its data, the examples it trained on (null: fewer than ten), its weight."""

    site: Site
    dataset_digest: Digest
    dataset_card: RecordName | None = None
    examples: People
    weight: Annotated[float, Field(gt=0, le=1)] | None


class Round(Body):
    """What one round left: who took part, the sites' updates and the aggregate, by content id."""

    round: _Round
    participants: Annotated[tuple[Site, ...], Field(max_length=500)]
    updates: Annotated[dict[Site, Digest], Field(max_length=500)]
    aggregate: Digest
    metrics: Annotated[dict[Line, float], Field(max_length=20)] = Field(default_factory=dict)


class SecureAggregation(Body):
    """The scheme (``none`` where there was none) and how many sites must stay to the end."""

    scheme: Line
    threshold: Annotated[int, Field(ge=0, le=500)]


class TrainingRun(OpenBody):
    """One run of a study, as it was done."""

    run: RunName
    study: _Study
    study_digest: Digest
    protocol: Literal["central", "fedavg", "fedprox", "fedadam", "scaffold", "fedbn", "other"]
    plan: Plan
    participants: Annotated[tuple[Part, ...], Field(min_length=1, max_length=500)]
    round_log: Annotated[tuple[Round, ...], Field(max_length=2000)]
    secure_aggregation: SecureAggregation
    privacy: Annotated[
        tuple[PrivacyStatement | NoPrivacyStatement, ...], Field(min_length=1, max_length=500)
    ]
    code_digest: Digest
    packages_digest: Digest
    hardware: Line
    energy_kwh: Annotated[float, Field(ge=0)] | None
    application: RecordName | None
    started_at: When
    ended_at: When
    outputs: Annotated[tuple[Digest, ...], Field(max_length=100)]
    versions: Annotated[tuple[EntryId, ...], Field(max_length=100)] = ()
    attestation: Digest
    schema_: Literal["trifed.training-run/1"] = Field(
        default="trifed.training-run/1", alias="schema"
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        sites = [part.site for part in self.participants]
        numbers = [one.round for one in self.round_log]
        took_part = {site for one in self.round_log for site in one.participants}
        if len(set(sites)) != len(sites):
            raise ValueError("participants: a site occurs twice")
        if sorted(one.site for one in self.privacy) != sorted(sites):
            raise ValueError("privacy: it needs one statement for each participant")
        if numbers != sorted(set(numbers)) or (numbers and numbers[-1] > self.plan.rounds):
            raise ValueError("round_log: its rounds are not in order, or not of the plan")
        if not took_part <= set(sites) or any(
            set(one.updates) != set(one.participants) for one in self.round_log
        ):
            raise ValueError("round_log: a round's updates are not those of its participants")
        if self.ended_at < self.started_at:
            raise ValueError("ended_at: it ended before it began")
        return self

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return study, protocol and sites."""
        return {
            "study": [self.study],
            "protocol": [self.protocol],
            "site": [part.site for part in self.participants],
        }

    def links(self) -> Sequence[Link]:
        """Return its data, sites, cards, application and the versions that came from it."""
        found = [Link("trained-on", DATASET, part.dataset_digest) for part in self.participants]
        found += [Link("at", SITE, part.site) for part in self.participants]
        cards = [part.dataset_card for part in self.participants if part.dataset_card]
        found += [Link("trained-on", "dataset-card", card) for card in cards]
        if self.application is not None:
            found.append(Link("under", "data-application", self.application))
        return [*found, *(Link("produced", VERSION, entry) for entry in self.versions)]

    def words(self) -> str:
        """Return run, study and sites."""
        return " ".join([self.run, self.study, *(part.site for part in self.participants)])
