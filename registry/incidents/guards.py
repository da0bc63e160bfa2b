"""What holds back the moves of an incident."""

from collections.abc import Iterator
from dataclasses import dataclass

from federation.errors import PlatformError
from federation.errors.governance import IncidentHeldBackError
from federation.evidence.canonical import canonical
from federation.wording import Text
from registry.applications.working_days import day_in_taipei
from registry.incidents.shape import ActionKind, Incident
from registry.ports import Transaction
from registry.records.moves import Case
from registry.records.ports import StoredRecord
from registry.roles import Role

_NOT_DEPLOYED = Text(en="there is no such deployment of that version", zh="查無該版本的此一部署")
_HOUSE = Text(en="the signer is of another hospital", zh="簽署人屬於其他醫院")
_NO_ALERT = Text(en="the alert to the authority is not recorded", zh="尚未登錄對主管機關的通報")
_FUTURE = Text(en="the alert was sent in the future", zh="通報日期在未來")
_HAZARD = Text(
    en="a hazard was found, so the authority is told first", zh="已發現危害,應先通報主管機關"
)
_CAUSE = Text(en="the root cause is not recorded", zh="尚未登錄根本原因")
_ACTION = Text(en="no action is recorded", zh="尚未登錄處置措施")
_PLAN = Text(en="no corrective action is planned", zh="尚未規劃矯正預防措施")
_EFFECT = Text(
    en="nothing shows that the corrective action worked", zh="沒有證據顯示矯正預防措施有效"
)


@dataclass(frozen=True, slots=True)
class IncidentEvidence:
    """What guards judge besides the record: the deployment's version and house."""

    body: Incident
    deployed: str | None
    house: str | None


def collect(transaction: Transaction, record: StoredRecord) -> IncidentEvidence:
    """Return the evidence of an incident, read inside the move's transaction."""
    body = Incident.model_validate_json(canonical(dict(record.body)))
    there = transaction.records.history("deployment", body.deployment)
    if not there:
        return IncidentEvidence(body, None, None)
    return IncidentEvidence(body, str(there[-1].body.get("entry")), there[0].author.organisation)


def _of(case: Case) -> IncidentEvidence:
    assert isinstance(case.evidence, IncidentEvidence)  # the noun's collector made it
    return case.evidence


def of_this_deployment(case: Case) -> Iterator[PlatformError]:
    """It is about a deployment of that version; a hospital's signer is of that hospital."""
    found = _of(case)
    if found.deployed != found.body.entry:
        yield IncidentHeldBackError(why=_NOT_DEPLOYED)
    elif case.signer.role is Role.HAC and case.signer.organisation != found.house:
        yield IncidentHeldBackError(why=_HOUSE)


def alerted(case: Case) -> Iterator[PlatformError]:
    """The authority was told, and not in the future."""
    alert = _of(case).body.alert
    if alert is None:
        yield IncidentHeldBackError(why=_NO_ALERT)
    elif alert.sent_on > day_in_taipei(case.now):
        yield IncidentHeldBackError(why=_FUTURE)


def told_of_hazard(case: Case) -> Iterator[PlatformError]:
    """A hazard is never closed without the alert."""
    if _of(case).body.hazard:
        yield from alerted(case)


def no_hazard(case: Case) -> Iterator[PlatformError]:
    """Only where no hazard was found is the authority not told."""
    if _of(case).body.hazard:
        yield IncidentHeldBackError(why=_HAZARD)


def cause_known(case: Case) -> Iterator[PlatformError]:
    """Root cause and plan are recorded."""
    body = _of(case).body
    if body.root_cause is None:
        yield IncidentHeldBackError(why=_CAUSE)
    if body.correction is None:
        yield IncidentHeldBackError(why=_PLAN)


def action_worked(case: Case) -> Iterator[PlatformError]:
    """Something was done, the correction is done, and it is shown to work."""
    body = _of(case).body
    if all(one.kind is ActionKind.NONE for one in body.actions):
        yield IncidentHeldBackError(why=_ACTION)
    correction = body.correction
    if correction is None or correction.effective is None or correction.done_on is None:
        yield IncidentHeldBackError(why=_EFFECT)
