"""The noun ``training-run``: a run's record counts once it agrees with what was signed.

- R1: an evaluator verifies it: what the centre attested when the run ended is in the log
  and says the same; so is every update, signed by its site; and every version of the run
  that the register signed says the same of sites, data, code and environment;
- R2: anybody who checks disputes it; R3: it is corrected and verified again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from federation.errors import PlatformError
from federation.errors.evidence_nouns import RunDisagreesError
from federation.errors.records import StatementNotLoggedError
from federation.errors.registry import RecordInvalidError
from federation.errors.signed import LogTamperedError, NotCanonicalError
from federation.evidence.canonical import canonical
from federation.evidence.model_version import Record
from federation.evidence.statements import PredicateType, Statement
from federation.wording import Text
from registry.evidence.logged import logged_statement
from registry.ports import Transaction
from registry.records.moves import Case, Move, Moves, Seat
from registry.records.ports import StoredRecord
from registry.records.shapes import Noun
from registry.roles import Role
from registry.training.attestation import attests, unsigned_updates
from registry.training.run import NAME, TrainingRun


class RunState(Enum):
    """Whether a run's record was checked."""

    RECORDED = "recorded"
    VERIFIED = "verified"
    DISPUTED = "disputed"


class RunDeed(Enum):
    """What the audit trail calls the moves of a training run. Meanings never change."""

    VERIFIED = "training-run-verified"
    DISPUTED = "training-run-disputed"


@dataclass(frozen=True, slots=True)
class RunEvidence:
    """What the register itself holds of a run: signed versions, attestation, updates.

    `unsigned` are rounds and sites whose update the log does not have as the record says.
    """

    versions: tuple[Record, ...] = ()
    attestation: Statement | None = None
    unsigned: tuple[tuple[int, str], ...] = ()


_NOT_LOGGED = Text(en="its attestation is not in the log", zh="其證明不在紀錄中")
_NOT_ATTESTED = Text(
    en="the centre attested something else when the run ended", zh="與中心於執行結束時的證明不同"
)
_UNSIGNED = Text(
    en="the update of {site} in round {round} is not in the log as that site signed it",
    zh="{site} 於第 {round} 輪的更新與證據紀錄中該院簽署者不符",
)
_OTHER = Text(en="a signed version of the run says otherwise", zh="該次執行的已簽署版本內容不同")
_UNKNOWN = Text(en="that version is not of this run", zh="該版本不屬於此次執行")
_NAME = Text(en="the record's id is not the run's", zh="紀錄編號與執行編號不同")


def collect(transaction: Transaction, record: StoredRecord) -> RunEvidence:
    """Return what the guards judge; raises `LogTamperedError` for an unreadable version."""
    run = _run(record)
    versions = transaction.models.of_run(run.run)
    signed = tuple(_signed(one.entry, one.record) for one in versions)
    try:
        kind = PredicateType.TRAINING_RUN
        attestation = logged_statement(transaction, run.attestation, kind)
    except StatementNotLoggedError:
        return RunEvidence(signed)
    return RunEvidence(signed, attestation, tuple(unsigned_updates(transaction, run, attestation)))


def attested_in_log(case: Case) -> Iterator[PlatformError]:
    """R1: the attestation it names is an entry of the log."""
    if _of(case).attestation is None:
        yield RunDisagreesError(run=case.record.id, field="attestation", why=_NOT_LOGGED)


def as_attested(case: Case) -> Iterator[PlatformError]:
    """R1: the record says what the centre attested."""
    found = _of(case).attestation
    if found is not None and not attests(found, _run(case.record)):
        yield RunDisagreesError(run=case.record.id, field="attestation", why=_NOT_ATTESTED)


def updates_signed(case: Case) -> Iterator[PlatformError]:
    """R1: every update of every round is one that its site signed."""
    for number, site in _of(case).unsigned:
        why = Text(
            en=_UNSIGNED.en.format(site=site, round=number),
            zh=_UNSIGNED.zh.format(site=site, round=number),
        )
        yield RunDisagreesError(run=case.record.id, field="round_log", why=why)


def agrees_with_versions(case: Case) -> Iterator[PlatformError]:
    """R1: every signed version of the run says the same."""
    run = _run(case.record)
    if case.record.id != run.run:
        yield RunDisagreesError(run=case.record.id, field="run", why=_NAME)
    for signed in _of(case).versions:
        for name, here, there in _compared(run, signed):
            if here != there:
                yield RunDisagreesError(run=run.run, field=name, why=_OTHER)


def names_its_versions(case: Case) -> Iterator[PlatformError]:
    """R1: every version it names is one of this run."""
    run = _run(case.record)
    if not set(run.versions) <= {signed.entry for signed in _of(case).versions}:
        yield RunDisagreesError(run=run.run, field="versions", why=_UNKNOWN)


def _compared(run: TrainingRun, signed: Record) -> Iterator[tuple[str, object, object]]:
    yield "study_digest", run.study_digest, signed.study.digest
    yield "code_digest", run.code_digest, signed.code.wheel_digest
    yield "packages_digest", run.packages_digest, signed.environment.packages_digest
    here: Mapping[str, str] = {part.site: part.dataset_digest for part in run.participants}
    yield "participants", here, {part.site: part.dataset_digest for part in signed.participants}
    yield "outputs", signed.model.sha256 in run.outputs, True


def _run(record: StoredRecord) -> TrainingRun:
    return TrainingRun.model_validate_json(canonical(dict(record.body)))


def _of(case: Case) -> RunEvidence:
    assert isinstance(case.evidence, RunEvidence)  # `collect` made it
    return case.evidence


def _signed(entry: str, content: str) -> Record:
    try:
        return Record.from_json(content.encode())
    except (NotCanonicalError, RecordInvalidError) as error:
        raise LogTamperedError(item=f"entry {entry}", why="it cannot be read") from error


_VERIFIED = Text(en="Evaluations and dossiers may rest on it.", zh="評估與文件可引用此紀錄。")
_CORRECT = Text(
    en="Correct the record, then have it verified again.", zh="請更正紀錄後,重新送驗證。"
)
_GUARDS = (attested_in_log, as_attested, updates_signed, agrees_with_versions, names_its_versions)
MOVES = Moves(
    start=RunState.RECORDED,
    moves=(
        Move(
            "R1",
            RunState.RECORDED,
            RunState.VERIFIED,
            seats=(Seat(Role.VAL_E),),
            guards=_GUARDS,
            kind=RunDeed.VERIFIED,
            follows=_VERIFIED,
        ),
        Move(
            "R2",
            (RunState.RECORDED, RunState.VERIFIED),
            RunState.DISPUTED,
            seats=(Seat(Role.VAL_E, Role.RAI_R, Role.RAI_A, Role.AUD, approves=False),),
            kind=RunDeed.DISPUTED,
            follows=_CORRECT,
        ),
        Move(
            "R3",
            RunState.DISPUTED,
            RunState.VERIFIED,
            seats=(Seat(Role.VAL_E),),
            guards=_GUARDS,
            kind=RunDeed.VERIFIED,
            follows=_VERIFIED,
        ),
    ),
)
NOUN = Noun(
    NAME,
    TrainingRun,
    MOVES,
    authors=frozenset({Role.DEV, Role.HAO}),
    editable=frozenset({RunState.RECORDED.value, RunState.DISPUTED.value}),
    evidence=collect,
)
