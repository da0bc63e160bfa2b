"""What may hold back the moves of a model version: one named pure function for each rule.

Each takes a `Case` whose evidence is a `VersionEvidence` and returns the coded
reasons against the move, none when it may be made. They read nothing but the case.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from federation.errors import PlatformError
from federation.errors.exchange import ExportInvalidError
from federation.errors.guards import (
    CardIncompleteError,
    ChangePlanError,
    DisjointnessMissingError,
    EvaluationMissingError,
    LocalUseError,
    MlBomError,
    ProtocolNotLoggedError,
    SafetyGuardError,
    ThresholdMissedError,
    TooFewSitesError,
    UnsafeFormatError,
)
from federation.errors.signed import NotCanonicalError
from federation.evidence.canonical import parse
from federation.evidence.model_version import ModelVersionState as State
from federation.wording import Text
from registry.exchange.mlbom import check_mlbom
from registry.models.attributes import missing
from registry.models.evidence_found import DeploymentFacts, VersionEvidence
from registry.models.version_card import MAY_BE_PLANNED, RiskLevel
from registry.records.moves import Case

EXTERNAL_SITES = 2
NEEDED_DIMENSIONS = ("discrimination", "calibration", "fairness", "robustness")
LOCAL_PATIENTS = 100
SILENT_FOR = timedelta(days=30)
SILENT_CASES = 500
IN_USE = frozenset({State.LIVE.value, State.RESTRICTED.value, State.PILOT.value})
_BOM_FROM = (1, 6)

_FORMAT = Text(en="its format is another", zh="格式不同")
_NO_BOM = Text(en="there is none, or its file differs", zh="沒有檔案,或檔案內容不符")
_NOT_BOM = Text(en="it is not CycloneDX 1.6 or later", zh="不是 CycloneDX 1.6 或更新版本")
_OTHER_BOM = Text(
    en="no machine-learning component has this model file's SHA-256",
    zh="沒有任何機器學習元件列出此模型檔的 SHA-256",
)
_NO_PROTOCOL = Text(en="there is none", zh="尚無登錄")
_RESULTS_FIRST = Text(en="the results came with it or before", zh="結果先於方案,或與方案同時登錄")
_RISK = Text(en="a risk class", zh="風險分級")
_WARNING = Text(en="the warning text that a high risk needs", zh="高風險應有的警語")
_NAME = Text(en="its name, organisation or intended use", zh="名稱、機構或預期用途")
_PRIVACY = Text(en="a privacy statement for every training site", zh="各訓練院所的隱私聲明")
_NOT_DEPLOYED = Text(en="no hospital recorded a deployment", zh="尚無醫院登錄部署")
_NO_ACCEPTANCE = Text(
    en="no local acceptance on 100 patients or more", zh="沒有 100 位以上病人的院內驗收"
)
_NO_DRIFT = Text(en="the site was not compared with the training data", zh="未比對院內與訓練資料")
_SILENT = Text(
    en="neither 30 silent days nor 500 cases have passed", zh="靜默執行未滿 30 天,也未滿 500 例"
)
_OVERRIDE = Text(en="users have no way to override it", zh="使用者沒有覆核否決的途徑")
_LAWFUL = Text(en="there is no licence and no lawful trial", zh="沒有許可證,也不是合法試驗")
_NO_ALERT = Text(
    en="no alert limit was crossed and no incident is recorded", zh="沒有警示超限,也沒有事件紀錄"
)
_INCIDENTS = Text(en="incidents are still open", zh="仍有未結案的事件")
_NO_CAUSE = Text(en="no corrective action is recorded", zh="沒有矯正預防措施的紀錄")
_NOT_AGAIN = Text(en="nothing was evaluated since the suspension", zh="暫停後尚未重新評估")
_NEVER_LIVE = Text(en="it was never in use", zh="從未上線使用")
_NO_PLAN = Text(en="there is no approved plan", zh="沒有經核可的計畫")
_PARENT = Text(en="its parent version is not approved", zh="前一版本未經核可")


def _of(case: Case) -> VersionEvidence:
    assert isinstance(case.evidence, VersionEvidence)  # the noun's collector made it
    return case.evidence


def attributes_complete(case: Case) -> Iterator[PlatformError]:
    """T2: all 31 attributes are answered, the quantitative ones by evaluations that are there."""
    found = _of(case)
    there = {one.id for one in found.evaluations if one.has_results}
    yield from missing(found.card.attributes, evaluations=there)
    card = found.card
    if card.name is None or card.organisation is None or card.intended_use is None:
        yield CardIncompleteError(entry=card.entry, missing=_NAME)


def artefacts_verify(case: Case) -> Iterable[PlatformError]:
    """T2: record and signature hold, and the model file is the one they name."""
    return _of(case).file_problems


def only_safetensors(case: Case) -> Iterator[PlatformError]:
    """T2: no file can run code when it is loaded; only safetensors are accepted."""
    if _of(case).format != "safetensors":
        yield UnsafeFormatError(number=1, why=_FORMAT)


def mlbom_valid(case: Case) -> Iterator[PlatformError]:
    """T2: the bill of materials is CycloneDX by its schema and has the model file's hash."""
    found = _of(case)
    if found.mlbom is None:
        yield MlBomError(why=_NO_BOM)
        return
    why = _bom_problem(found.mlbom, found.card.model.removeprefix("sha256:"))
    if why is not None:
        yield MlBomError(why=why)


def protocol_logged_first(case: Case) -> Iterator[PlatformError]:
    """T3: an evaluation's protocol was logged when it had no results yet."""
    found = _of(case)
    if not any(one.planned_first for one in found.evaluations):
        why = _RESULTS_FIRST if found.evaluations else _NO_PROTOCOL
        yield ProtocolNotLoggedError(entry=found.card.entry, why=why)


def two_external_sites(case: Case) -> Iterator[PlatformError]:
    """T4: at least two sites were evaluated that did not train it."""
    found = _of(case)
    sites = {site for one in found.evaluations if one.has_results for site in one.sites}
    outside = sites - found.trained_at
    if len(outside) < EXTERNAL_SITES:
        yield TooFewSitesError(found=len(outside), needed=EXTERNAL_SITES)


def patients_disjoint(case: Case) -> Iterator[PlatformError]:
    """T4: every evaluation with results proves that its patients were not trained on."""
    for one in _of(case).evaluations:
        if one.has_results and not one.is_private and not one.disjoint:
            yield DisjointnessMissingError(evaluation=one.id)


def dimensions_done(case: Case) -> Iterator[PlatformError]:
    """T4: discrimination, calibration, fairness and robustness were evaluated as planned."""
    found = _of(case)
    for dimension in NEEDED_DIMENSIONS:
        if not any(one.planned_first for one in found.done(dimension)):
            yield EvaluationMissingError(dimension=dimension)


def thresholds_met(case: Case) -> Iterator[PlatformError]:
    """T5: every evaluation met its threshold, or its miss was accepted in writing."""
    for one in _of(case).evaluations:
        if one.has_results and one.passed is not True and not one.accepted:
            yield ThresholdMissedError(evaluation=one.id, dimension=one.dimension)


def privacy_stated(case: Case) -> Iterator[PlatformError]:
    """T5: every site that trained it has a privacy statement with a mechanism."""
    found = _of(case)
    if not found.trained_at or not found.trained_at <= found.private_at:
        yield CardIncompleteError(entry=found.card.entry, missing=_PRIVACY)


def risk_classified(case: Case) -> Iterator[PlatformError]:
    """T5: it has a risk class, and a warning text if the risk is high."""
    found = _of(case)
    risk = found.card.risk
    if risk is None:
        yield CardIncompleteError(entry=found.card.entry, missing=_RISK)
    elif risk.level is RiskLevel.HIGH and risk.warning is None:
        yield CardIncompleteError(entry=found.card.entry, missing=_WARNING)


def accepted_locally(case: Case) -> Iterator[PlatformError]:
    """T6: a site accepted it on enough of its own patients and compared them with training's."""
    found = _of(case)
    if not found.deployments:
        yield LocalUseError(why=_NOT_DEPLOYED)
        return
    tested = {one.id: one.patients for one in found.evaluations if one.has_results}
    if not any(tested.get(one.acceptance or "", 0) >= LOCAL_PATIENTS for one in found.deployments):
        yield LocalUseError(why=_NO_ACCEPTANCE)
    if not any((one.drift or "") in tested for one in found.deployments):
        yield LocalUseError(why=_NO_DRIFT)


def silent_long_enough(case: Case) -> Iterator[PlatformError]:
    """T7: it ran silently for 30 days or on 500 cases."""
    found = _of(case)
    since = found.entered.get(State.SILENT.value)
    long_enough = since is not None and case.now - since[0] >= SILENT_FOR
    if not long_enough and sum(one.cases for one in found.deployments) < SILENT_CASES:
        yield LocalUseError(why=_SILENT)


def override_route(case: Case) -> Iterator[PlatformError]:
    """T7: users of every deployment can override it."""
    if not _every(_of(case).deployments, "override_route"):
        yield LocalUseError(why=_OVERRIDE)


def lawful_use(case: Case) -> Iterator[PlatformError]:
    """T7: every deployment is under a licence or a lawful trial."""
    if not _every(_of(case).deployments, "licence"):
        yield LocalUseError(why=_LAWFUL)


def alert_recorded(case: Case) -> Iterator[PlatformError]:
    """T8: an alert limit was crossed, an incident is recorded, or fairness was missed."""
    found = _of(case)
    harm = any(one.passed is False for one in found.done("fairness"))
    if not harm and not found.incidents and not any(one.alerts for one in found.deployments):
        yield SafetyGuardError(why=_NO_ALERT)


def was_in_use(case: Case) -> Iterator[PlatformError]:
    """T10: only what was in use before returns to use; all else starts at its evaluation."""
    if not IN_USE & _of(case).entered.keys():
        yield SafetyGuardError(why=_NEVER_LIVE)


def incidents_closed(case: Case) -> Iterator[PlatformError]:
    """T10: a corrective action is recorded, and no incident is open."""
    found = _of(case)
    if found.open_incidents:
        yield SafetyGuardError(why=_INCIDENTS)
    if not found.incidents:
        yield SafetyGuardError(why=_NO_CAUSE)


def evaluated_again(case: Case) -> Iterator[PlatformError]:
    """T10: an evaluation was logged since the suspension, and it passed."""
    found = _of(case)
    _, place = found.entered.get(State.SUSPENDED.value, (case.now, case.record.log_index))
    later = [one for one in found.evaluations if one.has_results and one.log_index > place]
    if not any(one.passed for one in later):
        yield SafetyGuardError(why=_NOT_AGAIN)


def change_within_plan(case: Case) -> Iterator[PlatformError]:
    """T12: the parent is approved and an approved plan covers every part that changed."""
    found = _of(case)
    if found.card.change is None or found.planned_parts is None:
        yield ChangePlanError(why=_NO_PLAN)
        return
    approved = IN_USE | {State.RAI_APPROVED.value, State.SILENT.value}
    if found.parent_state not in approved:
        yield ChangePlanError(why=_PARENT)
    outside = set(found.card.change.parts) - (found.planned_parts & MAY_BE_PLANNED)
    if outside:
        parts = ", ".join(sorted(part.value for part in outside))
        yield ChangePlanError(why=Text(en=f"it touches {parts}", zh=f"變更涉及 {parts}"))


def _every(deployments: tuple[DeploymentFacts, ...], name: str) -> bool:
    return bool(deployments) and all(getattr(one, name) for one in deployments)


def _bom_problem(content: bytes, sha256: str) -> Text | None:
    try:
        bom = parse(content)
    except NotCanonicalError:
        return _NOT_BOM
    if not isinstance(bom, dict) or bom.get("bomFormat") != "CycloneDX" or not _is_recent(bom):
        return _NOT_BOM
    listed = bom.get("components")
    main = bom.get("metadata")
    components = [*(listed if isinstance(listed, list) else [])]
    components += [main.get("component")] if isinstance(main, dict) else []
    if not any(_names(component, sha256) for component in components):
        return _OTHER_BOM
    try:
        check_mlbom(content, version=str(bom["specVersion"]))
    except ExportInvalidError as error:
        where = str(error.values["where"])
        return Text(en=f"its schema refuses {where}", zh=f"{where} 不符其綱要")
    return None


def _is_recent(bom: dict[str, object]) -> bool:
    numbers = str(bom.get("specVersion", "")).split(".")
    return (
        len(numbers) == 2
        and all(one.isdigit() for one in numbers)
        and (
            int(numbers[0]),
            int(numbers[1]),
        )
        >= _BOM_FROM
    )


def _names(component: object, sha256: str, depth: int = 0) -> bool:
    """Say whether a component, or one inside it, is of machine learning and has the hash."""
    if not isinstance(component, dict) or depth > 8:
        return False
    hashes = component.get("hashes")
    given = [one for one in hashes if isinstance(one, dict)] if isinstance(hashes, list) else []
    has_hash = any(one.get("alg") == "SHA-256" and one.get("content") == sha256 for one in given)
    if has_hash and component.get("type") in ("machine-learning-model", "file"):
        return True
    inside = component.get("components")
    parts = inside if isinstance(inside, list) else []
    return any(_names(part, sha256, depth + 1) for part in parts)
