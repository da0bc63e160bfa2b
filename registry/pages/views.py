"""The public face of an entry: pure functions from verified records to what is shown.

    view = entry_view(facts)          # `reading.EntryFacts`, every part of it verified

Nobody is named here: a step of the timeline shows role and organisation, never a person
and never a reason's free text. A count of people below ten is not shown (`typesetting`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from federation.errors.signed import LogTamperedError
from federation.evidence.inclusion import Inclusion
from federation.evidence.model_version import (
    Bilingual,
    NoPrivacyStatement,
    PooledMetric,
    PrivacyStatement,
    Record,
)
from federation.wording import Text
from registry.exchange.attributes import ATTRIBUTES
from registry.models.attributes import Answer
from registry.models.version_card import RiskLevel, VersionCard
from registry.pages.search import codes_of
from registry.pages.states import Status, mode_of, status_of
from registry.pages.visibility import SHOWN_MODES, TOLD_FIGURES, TOLD_STUDIES
from registry.records.ports import StoredRecord

MAX_EVALUATIONS = 100


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """An entry as read and verified: what `entry_view` and the proof page show.

    `history` is of the version's card, oldest first; it is empty for a bare candidate.
    `versions` are the other public versions of the model with their states.
    """

    record: Record
    proof: Inclusion
    checkpoint: str
    keyid: str
    history: Sequence[StoredRecord] = ()
    card: VersionCard | None = None
    evaluations: Sequence[StoredRecord] = ()
    deployments: Sequence[StoredRecord] = ()
    superseded_by: str | None = None
    versions: Sequence[tuple[str, str]] = ()
    studies: Sequence[StoredRecord] = ()

    @property
    def state(self) -> str:
        """Return where the version stands."""
        return self.history[-1].state if self.history else self.record.state


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the timeline: when, to which status, by which roles of which houses."""

    at: str
    status: Status
    move: str
    by: Sequence[tuple[Text, str]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One estimate with its interval. `where` is a site, or None for all together."""

    name: str
    where: str | None
    value: float
    low: float | None
    high: float | None
    n: int | None
    method: str

    @property
    def is_drawn(self) -> bool:
        """Say whether its interval fits a scale from 0 to 1."""
        return self.low is not None and self.high is not None and 0 <= self.low <= self.high <= 1


@dataclass(frozen=True, slots=True)
class EvaluationView:
    """One evaluation record: what it looked at, where, how it ended."""

    id: str
    dimension: str
    sites: Sequence[str]
    passed: bool | None
    figures: Sequence[Figure]
    has_report: bool = False


class Kind(Enum):
    """How an attribute is answered."""

    TEXT = "text"
    NONE = "none"
    EVALUATIONS = "evaluations"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Row:
    """One of the 31 attributes: what is asked, and the answer."""

    id: str
    asked: Text
    kind: Kind
    text: Bilingual | None = None
    evaluations: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """One of the nine groups with its attributes."""

    number: int
    name: Text
    rows: Sequence[Row]

    @property
    def answered(self) -> int:
        """Return how many of its attributes are answered."""
        return sum(row.kind is not Kind.MISSING for row in self.rows)


@dataclass(frozen=True, slots=True)
class Promise:
    """What the patients of some hospitals were promised, in words, and by which numbers.

    Hospitals with the same words are one promise; epsilon and delta are the weakest of
    them, None where nothing was promised.
    """

    words: Bilingual
    sites: Sequence[str]
    epsilon: float | None
    delta: float | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is deployed: site, the hospital's code, ward, mode, since when."""

    site: str
    code: str
    ward: str
    mode: Status
    since: str


@dataclass(frozen=True, slots=True)
class EntryView:
    """Everything the public page of an entry shows."""

    entry: str
    name: Bilingual | str
    status: Status
    record: Record
    card: VersionCard | None
    modality: str
    body_part: str
    conditions: str
    is_high_risk: bool
    steps: Sequence[Step]
    figures: Sequence[Figure]
    evaluations: Sequence[EvaluationView]
    groups: Sequence[Group]
    promises: Sequence[Promise]
    places: Sequence[Place]
    changed: str
    superseded_by: str | None = None
    versions: Sequence[tuple[str, Status]] = field(default=())
    studies: Sequence[tuple[str, Bilingual]] = ()

    @property
    def answered(self) -> int:
        """Return how many of the 31 attributes are answered."""
        return sum(group.answered for group in self.groups)


def entry_view(facts: EntryFacts) -> EntryView:
    """Return the public face of an entry."""
    card = facts.card
    return EntryView(
        entry=facts.record.entry,
        name=card.name if card and card.name else facts.record.study.title,
        status=status_of(facts.state),
        record=facts.record,
        card=card,
        modality=codes_of(card, "modality") if card else "",
        body_part=codes_of(card, "body-part") if card else "",
        conditions=codes_of(card, "condition") if card else "",
        is_high_risk=bool(card and card.risk and card.risk.level is RiskLevel.HIGH),
        steps=timeline(facts),
        figures=figures_of(facts.record),
        evaluations=[_evaluation(one) for one in facts.evaluations[:MAX_EVALUATIONS]],
        groups=groups_of(card),
        promises=promises_of(facts.record),
        places=places_of(facts.deployments),
        changed=facts.history[-1].at if facts.history else facts.record.created,
        superseded_by=facts.superseded_by,
        versions=[(entry, status_of(state)) for entry, state in facts.versions],
        studies=[(one.id, _title(one)) for one in facts.studies if one.state in TOLD_STUDIES],
    )


def timeline(facts: EntryFacts) -> list[Step]:
    """Return the candidate's registration and every move since, oldest first."""
    first = Step(facts.record.created, status_of("draft"), "T1", ())
    moves = [one for one in facts.history if one.action != "put"]
    return [first, *(_step(one) for one in moves)]


def figures_of(record: Record) -> list[Figure]:
    """Return the record's estimates: all hospitals together first, then each."""
    pooled = [_figure(metric, None) for metric in record.pooled]
    return pooled + [_figure(metric, metric.site) for metric in record.evaluations]


def groups_of(card: VersionCard | None) -> list[Group]:
    """Return the nine groups with all 31 attributes, answered or not."""
    answers = card.attributes if card else {}
    numbers = dict.fromkeys(int(name[0]) for name in ATTRIBUTES)
    return [_group(number, answers) for number in numbers]


def promises_of(record: Record) -> list[Promise]:
    """Return the privacy promises, hospitals with the same words together, weakest first."""
    same: dict[tuple[str, str], list[PrivacyStatement | NoPrivacyStatement]] = {}
    for one in record.privacy:
        same.setdefault((one.statement.zh, one.statement.en), []).append(one)
    return sorted((_promise(one) for one in same.values()), key=_strength)


def places_of(deployments: Sequence[StoredRecord]) -> list[Place]:
    """Return the deployments whose mode the public is told."""
    return [_place(one) for one in deployments if one.state in SHOWN_MODES]


def _step(record: StoredRecord) -> Step:
    authors = [signed.author for signed in record.signatures] or [record.author]
    by = [(author.role.title, author.organisation) for author in authors]
    return Step(record.at, status_of(record.state), record.action, by)


def _figure(metric: PooledMetric, site: str | None) -> Figure:
    return Figure(metric.name, site, metric.value, metric.low, metric.high, metric.n, metric.method)


def _group(number: int, answers: Mapping[str, Answer]) -> Group:
    mine = [one for name, one in ATTRIBUTES.items() if name[0] == str(number)]
    return Group(number, mine[0].group, [_row(one.id, one.asked, answers) for one in mine])


def _row(name: str, asked: Text, answers: Mapping[str, Answer]) -> Row:
    answer = answers.get(name, Answer())
    if answer.is_empty:
        return Row(name, asked, Kind.MISSING)
    if answer.evaluations:
        return Row(name, asked, Kind.EVALUATIONS, answer.text, answer.evaluations)
    if answer.none is not None:
        return Row(name, asked, Kind.NONE, answer.none)
    return Row(name, asked, Kind.TEXT, answer.text)


def _promise(same: Sequence[PrivacyStatement | NoPrivacyStatement]) -> Promise:
    stated = [one for one in same if isinstance(one, PrivacyStatement)]
    return Promise(
        words=same[0].statement,
        sites=[one.site for one in same],
        epsilon=max((one.epsilon for one in stated), default=None),
        delta=max((one.delta for one in stated), default=None),
    )


def _strength(promise: Promise) -> float:
    return -(promise.epsilon if promise.epsilon is not None else float("inf"))


def _evaluation(record: StoredRecord) -> EvaluationView:
    body = record.body
    is_judged = record.state in TOLD_FIGURES
    passed = body.get("passed") if is_judged else None
    shown = _listed(body, "metrics") if is_judged else ()
    return EvaluationView(
        id=record.id,
        dimension=str(body.get("dimension", "")),
        sites=[str(one) for one in _listed(body, "sites") if one not in _listed(body, "absent")],
        passed=passed if isinstance(passed, bool) else None,
        figures=[_measured(one) for one in shown if _has_value(one)],
        has_report=is_judged and isinstance(body.get("report"), str),
    )


def _measured(raw: object) -> Figure:
    assert isinstance(raw, Mapping)  # `_has_value`
    n, group = raw.get("n"), raw.get("slice")
    return Figure(
        name=str(raw.get("name", "")),
        where=None if group in (None, "all") else str(group),
        value=float(raw["value"]),
        low=_number(raw, "low"),
        high=_number(raw, "high"),
        n=n if isinstance(n, int) else None,
        method=str(raw.get("method", "")),
    )


def _has_value(raw: object) -> bool:
    return isinstance(raw, Mapping) and _number(raw, "value") is not None


def _number(raw: Mapping[str, object], name: str) -> float | None:
    value = raw.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _listed(body: Mapping[str, object], name: str) -> Sequence[object]:
    value = body.get(name)
    return value if isinstance(value, list) else []


def _title(record: StoredRecord) -> Bilingual:
    return Bilingual.model_validate(record.body["title"])


def _place(record: StoredRecord) -> Place:
    match record.body:
        case {"site": str(site), "hospital": str(code), "ward": str(ward)}:
            return Place(site, code, ward, mode_of(record.state), record.at)
    raise LogTamperedError(item=f"record {record.name}", why="it cannot be read")
