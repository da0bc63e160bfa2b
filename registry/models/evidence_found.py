"""Collect, inside the transaction of a move, everything its guards judge.

The guards are pure; this module reads the store and the artefact folder for them.
It is the only one of `models` that knows how other nouns' records are spelled. All of
them link to the version's record (noun ``model-version``, id the entry):

- ``evaluation``: `dimension`, `protocol_hash` in a first revision without `metrics`,
  then `metrics` (a list, each with `n`), `sites`, `passed`, `disjointness` (digest of
  the proof in the log, see `disjointness`), `acceptance` (of a missed threshold, in words);
- ``deployment``: its state is the mode; `local_acceptance` and `drift_check` (ids of
  evaluations), `override_route`, `licence`, `cases`, `alerts`;
- ``incident``: open until its state is ``closed``;
- ``change-plan``: `parts` (values of `ChangePart`), in use when its state is ``approved``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from federation.errors import PlatformError
from federation.errors.guards import ArtefactGuardError
from federation.errors.registry import ArtefactError
from federation.evidence.canonical import canonical
from federation.evidence.model_version import PrivacyStatement, Record
from federation.evidence.statements import PredicateType
from federation.evidence.verification import PublicKey, verify_envelope
from federation.wording import Text
from registry.evidence.weights import weights_problems
from registry.models.artefacts import digest_of_file, model_file
from registry.models.disjointness import is_disjoint
from registry.models.ports import StoredVersion
from registry.models.version_card import NAME as VERSION
from registry.models.version_card import ChangePart, VersionCard
from registry.ports import Transaction
from registry.records.ports import StoredRecord
from registry.records.statements import time_of

MAX_MLBOM_BYTES = 16 * 2**20
MOST_CHANGES = 50
"""So many changes under one plan are followed back."""

_OTHER_VERSION = Text(
    en="the card belongs to another version of the record", zh="登錄卡屬於另一版本的紀錄"
)
_UNSIGNED = Text(
    en="a hospital did not sign what the record says of it", zh="有醫院未簽署紀錄中有關該院的內容"
)
_SUPERSEDED = Text(en="a correction supersedes this version", zh="此版本已被更正版取代")


_OF_EVERY_SITE = (PredicateType.APPROVAL, PredicateType.UPDATE)
ACCEPTED = "accepted"
DECIDED = frozenset({"judged", ACCEPTED})
"""States of an evaluation in which somebody else than its author has looked at its results."""


@dataclass(frozen=True, slots=True)
class EvaluationFacts:
    """What a guard needs of one evaluation record.

    `planned_first` says that its protocol was logged in a revision without results;
    `log_index` is its newest revision's place, so later means larger.
    """

    id: str
    dimension: str
    sites: frozenset[str]
    passed: bool | None
    accepted: bool
    disjoint: bool
    planned_first: bool
    has_results: bool
    is_private: bool
    patients: int
    log_index: int


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """What a guard needs of one deployment record."""

    id: str
    mode: str
    acceptance: str | None
    drift: str | None
    override_route: bool
    licence: bool
    cases: int
    alerts: int


@dataclass(frozen=True, slots=True)
class VersionEvidence:
    """Everything the guards of a version judge besides its record."""

    card: VersionCard
    trained_at: frozenset[str] = frozenset()
    private_at: frozenset[str] = frozenset()
    file_problems: tuple[PlatformError, ...] = ()
    format: str = ""
    mlbom: bytes | None = None
    evaluations: tuple[EvaluationFacts, ...] = ()
    deployments: tuple[DeploymentFacts, ...] = ()
    open_incidents: int = 0
    incidents: int = 0
    entered: Mapping[str, tuple[datetime, int]] = field(default_factory=dict)
    planned_parts: frozenset[ChangePart] | None = None
    parent_state: str | None = None

    def done(self, dimension: str) -> list[EvaluationFacts]:
        """Return the evaluations of a dimension that have results."""
        return [one for one in self.evaluations if one.dimension == dimension and one.has_results]


@dataclass(frozen=True, slots=True)
class Collector:
    """Collects the evidence of a version; `state_of` tells an entry's present state."""

    artefacts: Path
    key: PublicKey
    state_of: Callable[[Transaction, str], str | None]

    def __call__(self, transaction: Transaction, record: StoredRecord) -> VersionEvidence:
        """Return what is there for a version's record, verified where it is signed."""
        card = VersionCard.model_validate_json(canonical(dict(record.body)))
        stored = transaction.models.get(card.entry)
        signed = None if stored is None else _signed(transaction, stored, self.key)
        evaluations = transaction.records.linking(record.noun, record.id, by="evaluation")
        incidents = transaction.records.linking(record.noun, record.id, by="incident")
        deployments = transaction.records.linking(record.noun, record.id, by="deployment")
        return VersionEvidence(
            card=card,
            trained_at=_sites(signed),
            private_at=_private(signed),
            file_problems=tuple(self._file_problems(transaction, card, stored, signed)),
            format=signed.model.format if signed else "",
            mlbom=self._mlbom(card),
            evaluations=tuple(_evaluation(transaction, one, signed) for one in evaluations),
            deployments=tuple(_deployment(one) for one in deployments),
            open_incidents=sum(one.state != "closed" for one in incidents),
            incidents=len(incidents),
            entered=_entered(transaction.records.history(record.noun, record.id)),
            planned_parts=_planned(transaction, card),
            parent_state=self.state_of(transaction, card.change.parent) if card.change else None,
        )

    def _file_problems(
        self,
        transaction: Transaction,
        card: VersionCard,
        stored: StoredVersion | None,
        signed: Record | None,
    ) -> list[PlatformError]:
        if stored is None or signed is None or signed.digest != card.record:
            return [ArtefactGuardError(why=_OTHER_VERSION)]
        found: list[PlatformError] = []
        if not _all_signed(signed):
            found.append(ArtefactGuardError(why=_UNSIGNED))
        if transaction.models.successor_of(card.entry) is not None:
            found.append(ArtefactGuardError(why=_SUPERSEDED))
        try:
            model_file(self.artefacts, signed.model)
        except ArtefactError as error:
            return [*found, error]
        return [*found, *weights_problems(self.artefacts, signed.model, register=self.key)]

    def _mlbom(self, card: VersionCard) -> bytes | None:
        if card.mlbom is None:
            return None
        path = self.artefacts / card.mlbom.path
        inside = path.resolve().is_relative_to(self.artefacts.resolve())
        if not inside or not path.is_file() or path.stat().st_size > MAX_MLBOM_BYTES:
            return None
        return path.read_bytes() if digest_of_file(path) == card.mlbom.sha256 else None


def _signed(transaction: Transaction, stored: StoredVersion, key: PublicKey) -> Record | None:
    """Return the version's record as signed; None where the signature does not hold."""
    try:
        statement = verify_envelope(
            transaction.log.entry(stored.log_index).envelope,
            trusted={key.keyid: key},
            expected=PredicateType.MODEL_VERSION,
        )
        record = Record.from_json(stored.record.encode())
    except PlatformError:
        return None
    return record if statement.predicate == record.as_json() else None


def _all_signed(signed: Record) -> bool:
    """Say whether every site signed its part: approval and training, and metrics where shown.

    What it signed is held against the record at registration and in every bundle
    (`federation.evidence.figures`).
    """
    given = {(one.site, one.kind) for one in signed.statements}
    trained = {part.site for part in signed.participants}
    wanted = {(site, kind.short) for site in trained for kind in _OF_EVERY_SITE}
    evaluated = PredicateType.EVALUATION.short
    return wanted | {(one.site, evaluated) for one in signed.evaluations} <= given


def _sites(signed: Record | None) -> frozenset[str]:
    return frozenset(part.site for part in signed.participants) if signed else frozenset()


def _private(signed: Record | None) -> frozenset[str]:
    stated = signed.privacy if signed else ()
    return frozenset(one.site for one in stated if isinstance(one, PrivacyStatement))


def _entered(history: Sequence[StoredRecord]) -> dict[str, tuple[datetime, int]]:
    moved = [record for record in history if record.action != "put"]
    return {record.state: (time_of(record.at), record.log_index) for record in moved}


def _planned(transaction: Transaction, card: VersionCard) -> frozenset[ChangePart] | None:
    """Return what an approved plan of the changed version covers, None without one."""
    if card.change is None or card.change.plan is None:
        return None
    plan = transaction.records.head("change-plan", card.change.plan)
    if plan is None or plan.state != "approved":
        return None
    if plan.body.get("entry") not in _changed_from(transaction, card.change.parent):
        return None
    listed = plan.body.get("parts")
    parts = listed if isinstance(listed, list) else []
    known = {part.value: part for part in ChangePart}
    return frozenset(known[part] for part in parts if part in known)


def _changed_from(transaction: Transaction, parent: str) -> list[str]:
    """Return a version and those it was changed from under a plan, newest first."""
    chain = [parent]
    while len(chain) < MOST_CHANGES:
        card = transaction.records.head(VERSION, chain[-1])
        change = card.body.get("change") if card is not None else None
        if not isinstance(change, Mapping) or str(change.get("parent")) in chain:
            break
        chain.append(str(change["parent"]))
    return chain


def _evaluation(
    transaction: Transaction, record: StoredRecord, signed: Record | None
) -> EvaluationFacts:
    body = record.body
    first = transaction.records.revision(record.noun, record.id, 1) or record
    metrics, passed = _listed(body, "metrics"), body.get("passed")
    counts = [one.get("n") for one in metrics if isinstance(one, Mapping)]
    return EvaluationFacts(
        id=record.id,
        dimension=str(body.get("dimension", "")),
        sites=frozenset(
            str(one) for one in _listed(body, "sites") if one not in _listed(body, "absent")
        ),
        passed=passed if isinstance(passed, bool) else None,
        accepted=record.state == ACCEPTED,
        disjoint=is_disjoint(transaction, record, signed),
        planned_first=bool(first.body.get("protocol_hash")) and not first.body.get("metrics"),
        has_results=bool(metrics) and record.state in DECIDED,
        is_private=body.get("dimension") == "privacy",
        patients=sum(one for one in counts if isinstance(one, int)),
        log_index=record.log_index,
    )


def _deployment(record: StoredRecord) -> DeploymentFacts:
    body = record.body
    return DeploymentFacts(
        id=record.id,
        mode=record.state,
        acceptance=_text(body, "local_acceptance"),
        drift=_text(body, "drift_check"),
        override_route=bool(body.get("override_route")),
        licence=bool(body.get("licence")),
        cases=_number(body, "cases"),
        alerts=_number(body, "alerts"),
    )


def _listed(body: Mapping[str, object], name: str) -> list[object]:
    value = body.get(name)
    return value if isinstance(value, list) else []


def _text(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None


def _number(body: Mapping[str, object], name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) else 0
