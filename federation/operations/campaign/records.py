"""What stands in a round's record, in one place: written by its steps, read by those after."""

from federation.domain.ids import Sha256, SiteId
from federation.errors import error_of_code
from federation.errors.base import PlatformError
from federation.errors.core import UnreadableRecordError
from federation.operations.campaign.checkpoints import Checkpoint
from federation.operations.store.rounds import StoredReply, StoredRound
from federation.server_app.rounds import RoundOutcome


def planned_record(
    number: int,
    *,
    available: tuple[SiteId, ...],
    sites: tuple[SiteId, ...],
    seed: int,
    start: Checkpoint,
    asked: Sha256,
    at: str,
) -> dict[str, object]:
    """Return the record of a planned round.

    Parameters
    ----------
    available, sites
        Whom the strategy could choose from, and whom it chose by the seed.
    start, asked
        The checkpoint it starts from, and the digest of the model's float32 bytes.
    """
    return {
        "round": number,
        "available": sorted(available),
        "sites": list(sites),
        "seed": seed,
        "start": start.as_json(),
        "asked": str(asked),
        "planned": at,
        "model": None,
        "seconds": 0.0,
        "reports": {},
        "refused": [],
    }


def outcome_record(
    outcome: RoundOutcome, replies: list[StoredReply], seconds: float
) -> dict[str, object]:
    """Return what came of a round: who replied what, who did not and why, seconds it took."""
    replied = {reply.site for reply in replies}
    return {
        "seconds": round(seconds, 3),
        "reports": {
            reply.site: {
                "report": reply.report,
                "update": None if reply.update is None else str(reply.update),
                "seconds": round(reply.seconds, 3),
            }
            for reply in replies
        },
        "refused": [
            {"site": one.site, "code": one.code, "what": one.what}
            for one in outcome.refusals
            if one.site not in replied
        ],
    }


def failed_record(error: PlatformError) -> dict[str, object]:
    """Return why a round failed, as `failure_of` reads it."""
    return {"failed": {"code": error.code, "values": dict(error.values)}}


def failure_of(row: StoredRound) -> PlatformError:
    """Return the error with which a round failed."""
    raw = row.record.get("failed")
    kind = error_of_code(str(raw.get("code"))) if isinstance(raw, dict) else None
    if kind is None or not isinstance(raw, dict):
        raise UnreadableRecordError(kind="round", why="it does not say why it failed")
    return kind(**raw["values"])


def sites_of(row: StoredRound) -> tuple[SiteId, ...]:
    """Return the sites that a round asks, sorted."""
    listed = row.record.get("sites")
    return tuple(SiteId(site) for site in listed) if isinstance(listed, list) else ()


def start_of(row: StoredRound) -> Checkpoint:
    """Return the checkpoint from which a round starts."""
    return Checkpoint.from_json(row.record.get("start"))


def asked_model(row: StoredRound) -> Sha256:
    """Return the digest of the model that a round asks with, over its float32 bytes."""
    return Sha256(str(row.record.get("asked")))
