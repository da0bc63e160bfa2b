"""The event that every write leaves behind, in the same transaction."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


class AuditKind(Enum):
    """What was done. Meanings never change; new deeds get new kinds."""

    CENTRE_CREATED = "centre-created"
    SITE_INVITED = "site-invited"
    SITE_ENROLLED = "site-enrolled"
    SITE_RENEWED = "site-renewed"
    SITE_REVOKED = "site-revoked"
    SERVER_RENEWED = "server-renewed"
    STUDY_SUBMITTED = "study-submitted"
    STUDY_PROPOSED = "study-proposed"
    STUDY_APPROVED = "study-approved"
    STUDY_REFUSED = "study-refused"
    STUDY_WITHDRAWN = "study-withdrawn"
    STUDY_LAUNCHED = "study-launched"
    STUDY_WISHED = "study-wished"
    STUDY_LEFT_QUEUE = "study-left-queue"
    CAMPAIGN_STARTED = "campaign-started"
    CAMPAIGN_ENDED = "campaign-ended"
    TURN_ASKED = "turn-asked"
    TURN_GIVEN = "turn-given"
    TURN_OVER = "turn-over"
    RUN_STARTED = "run-started"
    RUN_CONTINUED = "run-continued"
    RUN_PAUSED = "run-paused"
    RUN_RESUMED = "run-resumed"
    SITE_READMITTED = "site-readmitted"
    ROUND_PLANNED = "round-planned"
    ROUND_DISPATCHED = "round-dispatched"
    REPLY_ACCEPTED = "reply-accepted"
    ROUND_AGGREGATED = "round-aggregated"
    ROUND_EVIDENCED = "round-evidenced"
    CANDIDATE_KEPT = "candidate-kept"
    ROUND_DONE = "round-done"
    ROUND_FAILED = "round-failed"
    RUN_ENDED = "run-ended"
    DATA_INGESTED = "data-ingested"
    UPDATE_RELEASED = "update-released"
    UPDATE_WITHHELD = "update-withheld"
    MODEL_REGISTERED = "model-registered"
    OPTOUT_IMPORTED = "opt-out-imported"
    OPTOUT_APPLIED = "opt-out-applied"
    OPTOUT_PURGED = "opt-out-purged"
    KEY_ROTATED = "key-rotated"
    REVEAL_REQUESTED = "reveal-requested"
    REVEAL_APPROVED = "reveal-approved"
    REVEAL_DONE = "reveal-done"
    LINEAGE_ASKED = "lineage-asked"
    POLICY_SIGNED = "policy-signed"
    STUDY_ENDORSED = "study-endorsed"
    PERSON_ADDED = "person-added"
    PERSON_REMOVED = "person-removed"
    CHECKUP_ANSWERED = "checkup-answered"
    CHECKUP_REFUSED = "checkup-refused"
    PREDICTIONS_KEPT = "predictions-kept"
    PREDICTIONS_DELETED = "predictions-deleted"
    PROTOCOL_LOGGED = "protocol-logged"
    EVALUATION_KEPT = "evaluation-kept"
    OUTCOMES_ADDED = "outcomes-added"
    OUTCOMES_DELETED = "outcomes-deleted"
    OUTCOMES_KEPT = "outcomes-kept"
    OUTCOMES_CONCLUDED = "outcomes-concluded"
    CARD_SIGNED = "card-signed"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who did what to which thing, when.

    `details` holds short codes and digests, never anything of a patient.
    """

    kind: AuditKind
    actor: str
    subject: str
    at: datetime
    details: dict[str, str] = field(default_factory=dict)
