"""Hand an outcome study in: the plan checked against the roster and its impact study, then kept."""

from federation.coordinator.home import CentreHome
from federation.domain.ids import Sha256
from federation.domain.study import Study
from federation.errors.moves import RecordNotFoundError
from federation.errors.outcomes import OutcomePlanError
from federation.operations.embedded_registry import Actor, desk
from federation.operations.launch import submit
from federation.operations.outcomes.concluding import Json
from federation.operations.outcomes.planning import check_still
from federation.wording import Text

NOUN, FIELD = "impact-study", "outcomes"
_REASON = "result of an outcome study"
_NO_STUDY = Text(
    en="the register has no impact study of that name", zh="登錄系統中查無該影響性研究"
)


def submit_plan(home: CentreHome, study: Study) -> None:
    """Keep an outcome study at the centre.

    Raises
    ------
    OutcomePlanError
        If it is another kind of study, the roster says otherwise, or there is no such
        impact study.
    PlatformError
        What the register or the centre refuses.
    """
    plan = check_still(home, study)
    if plan.impact_study is not None:
        try:
            desk(home).get(NOUN, plan.impact_study)
        except RecordNotFoundError as error:
            raise OutcomePlanError(why=_NO_STUDY) from error
    submit(home, study)


def name_in_study(home: CentreHome, document: Json, digest: Sha256, actor: Actor) -> str | None:
    """Name a result in the record of the impact study that its protocol names; return its id.

    Named once, however often it is done; None where the protocol names no study.

    Raises
    ------
    PlatformError
        What the register refuses, for example once the study's data are locked.
    """
    named: str | None = document["about"]["impact_study"]
    if named is None:
        return None
    register = desk(home)
    record = register.get(NOUN, named)
    listed = [*_listed(record.body.get(FIELD))]
    if str(digest) not in listed:
        body = {**record.body, FIELD: [*listed, str(digest)]}
        register.put(NOUN, named, body, actor, revision=record.revision, reason=_REASON)
    return named


def _listed(raw: object) -> list[object]:
    return list(raw) if isinstance(raw, list | tuple) else []
