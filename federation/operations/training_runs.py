"""Write the register's record of a training run from the centre's own books.

    write_training_run(home, RunId("cxr-2026.1"), RunWords(), actor=owner)

Study, rounds, updates, weights, privacy, code and environment are read from what the
centre kept while it ran; nobody types them. The centre attests them in one statement of
the log, which names every site's signed update. A person adds what no machine knows. The
record counts when somebody else has it verified (R1): the register then looks at every
statement again. Written again, for a dataset card that came later, it is a new revision.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from federation.coordinator.home import CentreHome
from federation.domain.cells import SMALL_CELL
from federation.domain.ids import RunId, Sha256, StudyId
from federation.domain.run import RoundKind, RunState
from federation.domain.study import Study
from federation.errors.moves import RecordNotFoundError
from federation.errors.records import RunRecordError
from federation.evidence.dsse import MAX_ENVELOPE_BYTES
from federation.evidence.model_version import Candidate
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.operations.artefacts import Artefacts
from federation.operations.campaign.contributions import SiteResult, finished, results_of
from federation.operations.embedded_registry import Actor, RecordDesk, desk
from federation.operations.evidence_entries import log_statements
from federation.operations.launch import CANDIDATE
from federation.operations.store.rounds import RoundStore, StoredReply, StoredRound
from federation.operations.store.studies import Stored, StudyStore
from federation.wire.study import study_from_json
from federation.wording import Text

if TYPE_CHECKING:
    from registry.records.ports import StoredRecord

NOUN = "training-run"
REASON = "from the run's own rounds"
WEIGHT_DIGITS = 6
NOT_NAMED = "withdrawn"

_NO_RUN = Text(en="the centre has no such run", zh="中心沒有此次執行")
_OPEN = Text(en="it has not ended", zh="尚未結束")
_TRAINED_NOTHING = Text(en="no round of it was done", zh="沒有任何輪次完成")
_TOO_LARGE = Text(
    en="it has more updates than one statement names", zh="更新數量超過一份聲明所能列出者"
)

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunWords:
    """What a person adds; None where nobody knows, which the record says.

    Parameters
    ----------
    hardware
        On what the hospitals trained.
    energy_kwh
        What was measured, all sites together.
    application
        The data application under which it was done, a record of the register.
    """

    hardware: str | None = None
    energy_kwh: float | None = None
    application: str | None = None


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that has ended, as the centre kept it."""

    id: RunId
    study: Study
    record: Mapping[str, Any]
    rounds: Sequence[tuple[StoredRound, Sequence[StoredReply]]]
    results: Sequence[SiteResult]
    candidate: Candidate | None


def write_training_run(
    home: CentreHome, run: RunId, words: RunWords, *, actor: Actor
) -> "StoredRecord":
    """Attest a run in the log and write its record, or a new revision of it.

    Raises
    ------
    RunRecordError
        If there is no such run, it goes on, or trained nothing.
    StudyMissingError
        If the centre knows no study of that name.
    PlatformError
        What the register refuses.
    """
    register, kept = desk(home), _kept(home, run)
    body = _body(register, kept, words)
    attestation = _attest(home, register, kept, body)
    seen = _revision(register, run)
    said = {**body, "attestation": str(attestation)}
    return register.put(NOUN, run, said, actor, revision=seen, reason=REASON)


def newest_run(home: CentreHome, study: StudyId) -> RunId:
    """Return the last run of a study.

    Raises
    ------
    RunRecordError
        If it has none.
    StudyMissingError
        If the centre knows no study of that name.
    """
    with closing(StudyStore.of(home)) as store:
        store.study(study)
        runs = store.runs(study)
    if not runs:
        raise RunRecordError(run=study, why=_NO_RUN)
    return RunId(runs[-1].id)


def _kept(home: CentreHome, run: RunId) -> _Run:
    study = StudyId(run.rpartition(".")[0])
    with closing(StudyStore.of(home)) as store:
        found = study_from_json(store.study(study).record)
        ended = _ended(store, study, run)
        rounds = RoundStore(store.database)
        done = finished(rounds, run, RoundKind.TRAIN)
        if not done:
            raise RunRecordError(run=run, why=_TRAINED_NOTHING)
        played = [(row, rounds.replies(row.key)) for row in done]
        results = results_of(rounds, run)
    named = ended.record.get(CANDIDATE)
    content = None if named is None else Artefacts.of(home).get(Sha256(str(named)))
    candidate = None if content is None else Candidate.from_json(content)
    return _Run(run, found, ended.record, played, results, candidate)


def _ended(store: StudyStore, study: StudyId, run: RunId) -> Stored[RunState]:
    found = next((one for one in store.runs(study) if one.id == run), None)
    if found is None:
        raise RunRecordError(run=run, why=_NO_RUN)
    if "ended" not in found.record:
        raise RunRecordError(run=run, why=_OPEN)
    return found


def _body(register: RecordDesk, run: _Run, words: RunWords) -> Body:
    """Return the record without its attestation's digest."""
    study, made = run.study, run.candidate
    environment: Mapping[str, Any] = run.record["environment"]
    last = str(run.rounds[-1][0].record["model"])
    return {
        "schema": "trifed.training-run/1",
        "run": str(run.id),
        "study": str(study.id),
        "study_digest": str(study.digest),
        "protocol": "fedavg",
        "plan": _plan(study),
        "participants": [_participant(register, run, one) for one in run.results],
        "round_log": [_round(row, replies) for row, replies in run.rounds],
        "secure_aggregation": {"scheme": "none", "threshold": 0},
        "privacy": _privacy(run),
        "code_digest": made.code.wheel_digest if made else environment["code"],
        "packages_digest": made.environment.packages_digest if made else environment["installed"],
        "hardware": words.hardware or _hardware(environment),
        "energy_kwh": words.energy_kwh,
        "application": words.application,
        "started_at": _moment(str(run.rounds[0][0].record["planned"])),
        "ended_at": _moment(str(run.record["ended"])),
        "outputs": [made.model.sha256 if made else last],
        "versions": register.entries_of(run.id),
    }


def _plan(study: Study) -> Body:
    return {
        "rounds": study.training.rounds,
        "local_epochs": study.training.local_epochs,
        "learning_rate": study.training.learning_rate,
        "clip_norm": None if study.privacy is None else study.privacy.clip_norm,
        "seed": study.seed,
    }


def _participant(register: RecordDesk, run: _Run, result: SiteResult) -> Body:
    given = [reply for _, replies in run.rounds for reply in replies]
    own = sum(reply.weight for reply in given if reply.site == result.site)
    examples, data = result.report.get("examples"), str(result.report["dataset_digest"])
    is_shown = isinstance(examples, int) and not 0 < examples < SMALL_CELL
    return {
        "site": str(result.site),
        "dataset_digest": data,
        "dataset_card": next(_cards(register, str(result.site), data), None),
        "examples": examples if is_shown else None,
        "weight": round(own / sum(reply.weight for reply in given), WEIGHT_DIGITS),
    }


def _cards(register: RecordDesk, site: str, data: str) -> Iterator[str]:
    """Yield the cards that the register has of a site's data."""
    for card in register.linking("dataset", data, by="dataset-card"):
        if card.body.get("site") == site and card.state != NOT_NAMED:
            yield card.id


def _round(row: StoredRound, replies: Sequence[StoredReply]) -> Body:
    return {
        "round": row.key.number,
        "participants": [str(reply.site) for reply in replies],
        "updates": {str(reply.site): str(reply.update) for reply in replies},
        "aggregate": str(row.record["model"]),
    }


def _privacy(run: _Run) -> list[Body]:
    if run.candidate is not None:
        return [one.model_dump(mode="json", by_alias=True) for one in run.candidate.privacy]
    from federation.operations.candidate import privacy_of

    said = [privacy_of(result, run.study) for result in run.results]
    return [one.model_dump(mode="json", by_alias=True) for one in said]


def _hardware(environment: Mapping[str, Any]) -> str:
    """Return what the centre knows: its own machine, and nothing of the hospitals'."""
    return f"centre: {environment['machine']} {environment['processor']}; hospitals: not recorded"


def _attest(home: CentreHome, register: RecordDesk, run: _Run, body: Body) -> Sha256:
    """Enter what the centre says of a run in the log; return the envelope's digest."""
    whole = {**body, "attestation": str(run.study.digest)}  # of its form; left out of the digest
    statement = Statement(
        (
            Subject(f"study/{run.study.id}", run.study.digest),
            Subject(f"model/{run.id}", Sha256(str(body["outputs"][0]))),
        ),
        PredicateType.TRAINING_RUN,
        {
            "run": str(run.id),
            "record": str(register.attested_digest(whole)),
            "statements": {
                str(row.key.number): {
                    str(reply.site): str(Sha256.of(reply.signature.encode())) for reply in replies
                }
                for row, replies in run.rounds
            },
        },
    )
    envelope = sign_dsse(statement, Signer.load(home.evidence_key))
    if len(envelope) > MAX_ENVELOPE_BYTES:
        raise RunRecordError(run=run.id, why=_TOO_LARGE)
    log_statements(home, [envelope])
    return Sha256.of(envelope.encode())


def _revision(register: RecordDesk, run: RunId) -> int:
    try:
        return register.get(NOUN, run).revision
    except RecordNotFoundError:
        return 0


def _moment(said: str) -> str:
    """Return a time as records write it: UTC, whole seconds."""
    return datetime.fromisoformat(said).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
