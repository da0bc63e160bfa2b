"""What holds back the moves of a deployment; the rules are those of a version, at one site."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from federation.errors import PlatformError
from federation.errors.governance import ApprovedContentError, DeploymentHeldBackError
from federation.evidence.canonical import canonical
from federation.wording import Text
from registry.deployments.shape import IDENTITY, NAME, Deployment
from registry.evaluations.noun import EvaluationState
from registry.models.guards import LOCAL_PATIENTS, SILENT_CASES, SILENT_FOR
from registry.models.version_card import NAME as MODEL_VERSION
from registry.models.version_card import RiskLevel
from registry.ports import Transaction
from registry.records.moves import Case
from registry.records.ports import StoredRecord
from registry.records.statements import time_of
from registry.roles import Role
from registry.timers.clocks import REVIEW_MONTHS

HOSPITAL_ROLES = frozenset({Role.HAC, Role.HAO, Role.CLI})
ALLOWED = {
    "silent": frozenset({"silent", "pilot", "live", "restricted"}),
    "pilot": frozenset({"pilot", "live"}),
    "live": frozenset({"live"}),
}
"""In which states a version may be used in a mode."""

JUDGED = frozenset({EvaluationState.JUDGED.value, EvaluationState.ACCEPTED.value})
"""In which states an evaluation counts: somebody else than its author answers for it."""

_VERSION = Text(en="the version is not in a state that allows it", zh="模型版本的狀態不允許")
_ACCEPTANCE = Text(
    en=f"no local acceptance on {LOCAL_PATIENTS} patients or more",
    zh=f"沒有 {LOCAL_PATIENTS} 位以上病人的院內驗收",
)
_DRIFT = Text(en="the site was not compared with the training data", zh="未比對院內與訓練資料")
_HOUSE = Text(en="the signer is of another hospital", zh="簽署人屬於其他醫院")
_SILENT = Text(
    en="neither 30 silent days nor 500 cases have passed here",
    zh="此處靜默執行未滿 30 天,也未滿 500 例",
)
_OVERRIDE = Text(en="users have no way to override it", zh="使用者沒有覆核否決的途徑")
_LAWFUL = Text(en="there is no licence and no lawful trial", zh="沒有許可證,也不是合法試驗")
_TRAINED = Text(en="clinical users were not trained", zh="臨床使用者未完成訓練")
_REVIEWS = Text(
    en="its reviews are rarer than the version's risk asks for", zh="審查頻率低於風險等級的要求"
)
_GROUND = Text(
    en="no alert limit was crossed and no incident is recorded", zh="沒有警示超限,也沒有事件紀錄"
)
_OPEN = Text(
    en="incidents are still open, or none says what was corrected", zh="仍有未結案事件,或無矯正紀錄"
)
_NOT_AGAIN = Text(en="nothing was evaluated since the suspension", zh="暫停後尚未重新評估")
_NEVER = Text(en="it was never in use here", zh="此處從未上線使用")


@dataclass(frozen=True, slots=True)
class Tested:
    """What a guard needs of one evaluation of the version."""

    id: str
    patients: int
    passed: bool
    log_index: int


@dataclass(frozen=True, slots=True)
class DeploymentEvidence:
    """What guards judge besides the record: its history, version, tests and incidents."""

    body: Deployment
    history: Sequence[StoredRecord]
    version_state: str | None
    risk: RiskLevel | None
    tests: tuple[Tested, ...]
    incidents: int
    open_incidents: int

    @property
    def house(self) -> str:
        """Return the organisation whose deployment it is: its first author's."""
        return self.history[0].author.organisation

    def entered(self, state: str) -> StoredRecord | None:
        """Return the newest revision by which it came into a state by a move."""
        moved = [one for one in self.history if one.action != "put" and one.state == state]
        return moved[-1] if moved else None


def collect(transaction: Transaction, record: StoredRecord) -> DeploymentEvidence:
    """Return the evidence of a deployment, read inside the move's transaction."""
    body = Deployment.model_validate_json(canonical(dict(record.body)))
    records = transaction.records
    version = records.head(MODEL_VERSION, body.entry)
    tests = records.linking(MODEL_VERSION, body.entry, by="evaluation")
    incidents = records.linking(NAME, record.id, by="incident")
    return DeploymentEvidence(
        body,
        records.history(NAME, record.id),
        version.state if version else None,
        _risk(version),
        tuple(_test(one) for one in tests if one.state in JUDGED),
        len(incidents),
        sum(one.state != "closed" for one in incidents),
    )


def _risk(version: StoredRecord | None) -> RiskLevel | None:
    match version.body if version else {}:
        case {"risk": {"level": str(level)}}:
            return RiskLevel(level)
    return None


def _test(record: StoredRecord) -> Tested:
    metrics = record.body.get("metrics")
    listed = metrics if isinstance(metrics, list) else []
    counts = [one.get("n") for one in listed if isinstance(one, dict)]
    patients = max((one for one in counts if isinstance(one, int)), default=0)
    return Tested(record.id, patients, record.body.get("passed") is True, record.log_index)


def _of(case: Case) -> DeploymentEvidence:
    assert isinstance(case.evidence, DeploymentEvidence)  # the noun's collector made it
    return case.evidence


def own_hospital(case: Case) -> Iterator[PlatformError]:
    """A hospital's people decide on their own hospital's deployments only."""
    outside = case.signer.organisation != _of(case).house
    if case.signer.role in HOSPITAL_ROLES and outside:
        yield DeploymentHeldBackError(why=_HOUSE)


def may_be_silent(case: Case) -> Iterator[PlatformError]:
    """T6: the version may run silently."""
    yield from _allowed(case, "silent")


def may_be_pilot(case: Case) -> Iterator[PlatformError]:
    """T7: the version may be piloted."""
    yield from _allowed(case, "pilot")


def may_be_live(case: Case) -> Iterator[PlatformError]:
    """T7, T10: the version may be used routinely."""
    yield from _allowed(case, "live")


def _allowed(case: Case, mode: str) -> Iterator[PlatformError]:
    if _of(case).version_state not in ALLOWED[mode]:
        yield DeploymentHeldBackError(why=_VERSION)


def accepted_here(case: Case) -> Iterator[PlatformError]:
    """T6: it was accepted on enough local patients, and the site compared with training's."""
    found = _of(case)
    tests = {one.id: one for one in found.tests}
    acceptance = tests.get(found.body.local_acceptance or "")
    if acceptance is None or acceptance.patients < LOCAL_PATIENTS:
        yield DeploymentHeldBackError(why=_ACCEPTANCE)
    if (found.body.drift_check or "") not in tests:
        yield DeploymentHeldBackError(why=_DRIFT)


def reviewed_often_enough(case: Case) -> Iterator[PlatformError]:
    """B.3: reviews are at least as frequent as the version's risk asks for."""
    found = _of(case)
    if found.body.monitoring.review_months > REVIEW_MONTHS[found.risk or RiskLevel.HIGH]:
        yield DeploymentHeldBackError(why=_REVIEWS)


def silent_long_enough(case: Case) -> Iterator[PlatformError]:
    """T7: it ran silently here for 30 days or on 500 cases."""
    found = _of(case)
    since = found.entered("silent")
    elapsed = case.now - time_of(since.at) if since else timedelta()
    if elapsed < SILENT_FOR and (found.body.cases or 0) < SILENT_CASES:
        yield DeploymentHeldBackError(why=_SILENT)


def users_ready(case: Case) -> Iterator[PlatformError]:
    """T7: clinical users are trained and can override it."""
    body = _of(case).body
    if body.override_route is None:
        yield DeploymentHeldBackError(why=_OVERRIDE)
    if all(one.role is not Role.CLI for one in body.users):
        yield DeploymentHeldBackError(why=_TRAINED)


def lawful(case: Case) -> Iterator[PlatformError]:
    """T7: it is used under a licence or a lawful trial."""
    if _of(case).body.licence is None:
        yield DeploymentHeldBackError(why=_LAWFUL)


def as_started(case: Case) -> Iterator[PlatformError]:
    """What runs is what was started: another version, place or setting is a new deployment."""
    found = _of(case)
    changed = changed_parts(found.history)
    if changed:
        yield ApprovedContentError(fields=", ".join(changed))


def changed_parts(history: Sequence[StoredRecord]) -> list[str]:
    """Return what of its identity or house changed since the first move."""
    moved = [one for one in history if one.action != "put"]
    if not moved:
        return []
    then, now = moved[0].body, history[-1].body
    changed = [name for name in IDENTITY if then.get(name) != now.get(name)]
    houses = {one.author.organisation for one in history if one.action == "put"}
    return [*changed, *(["house"] if len(houses) > 1 else [])]


def ground_recorded(case: Case) -> Iterator[PlatformError]:
    """T8: an alert limit was crossed, or an incident is recorded."""
    found = _of(case)
    if not found.body.alerts and not found.incidents:
        yield DeploymentHeldBackError(why=_GROUND)


def was_in_use(case: Case) -> Iterator[PlatformError]:
    """T10: it was live here before."""
    if _of(case).entered("live") is None:
        yield DeploymentHeldBackError(why=_NEVER)


def corrected(case: Case) -> Iterator[PlatformError]:
    """T10: an incident says what was corrected, and none is open."""
    found = _of(case)
    if found.open_incidents or not found.incidents:
        yield DeploymentHeldBackError(why=_OPEN)


def evaluated_again(case: Case) -> Iterator[PlatformError]:
    """T10: the version passed an evaluation that was logged since the suspension."""
    found = _of(case)
    since = found.entered("suspended") or case.record
    if not any(one.passed and one.log_index > since.log_index for one in found.tests):
        yield DeploymentHeldBackError(why=_NOT_AGAIN)
