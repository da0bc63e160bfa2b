"""How long kept replies stay: as long as the centre can ask again, and then as the policy says.

The centre vouches for every run that may ask by a notice (`run/notices/RUN.json`) and
takes it back when the run is over. A run without notice is ended; when it stayed so for
`reply_days` of the policy, its replies are deleted and none of its rounds is ever
answered again. A notice that comes back begins the time anew. Keys for sums go with
the run, predictions of evaluations with the last run of their study.
"""

from datetime import UTC, datetime, timedelta

from clients import audit_log
from clients.evaluation_study.kept import SUMS, delete
from clients.home import NodeHome
from clients.policy.rules import Policy
from clients.replies import KeptReplies
from clients.sum_keys import SumKeys
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import RunId, StudyId


def sweep_replies(
    home: NodeHome, policy: Policy, *, asked: RunId | None = None, now: datetime
) -> tuple[RunId, ...]:
    """Delete the replies of runs that ended `reply_days` ago; return those runs.

    Parameters
    ----------
    asked
        A run that just asks, so it has not ended whatever its notice says.

    Raises
    ------
    KeptReplyDamagedError
        If it cannot be read when a run ended.
    """
    kept = KeptReplies(home.replies)
    over = []
    for run in kept.runs():
        if run == asked or (home.run / "notices" / f"{run}.json").exists():
            kept.note_open(run)
        elif now - kept.note_ended(run, now) >= timedelta(days=policy.reply_days):
            kept.forget(run)
            SumKeys(home.folder / SUMS).forget(run)
            over.append(run)
            _record(home, run, now)
    _sweep_predictions(home, {run.rpartition(".")[0] for run in over}, now)
    return tuple(over)


def _sweep_predictions(home: NodeHome, ended: set[str], now: datetime) -> None:
    """Delete the predictions of studies of which the last run is forgotten."""
    alive = {run.rpartition(".")[0] for run in KeptReplies(home.replies).runs()}
    for study in sorted(ended - alive):
        delete_predictions(home, StudyId(study), actor="retention", now=now)


def delete_predictions(home: NodeHome, study: StudyId, *, actor: str, now: datetime) -> int:
    """Delete what registered versions said of this hospital's cases in a study; return how many.

    No sum of that study is answered afterwards.
    """
    found = delete(home, study)
    if found:
        details = {"files": str(found)}
        event = AuditEvent(
            AuditKind.PREDICTIONS_DELETED, actor, study, now.astimezone(UTC), details
        )
        audit_log.append(home.audit_log, event)
    return found


def _record(home: NodeHome, run: RunId, now: datetime) -> None:
    details = {"replies": "deleted"}
    event = AuditEvent(AuditKind.RUN_ENDED, "retention", run, now.astimezone(UTC), details)
    audit_log.append(home.audit_log, event)
