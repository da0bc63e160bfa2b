"""What was done to a record of the register; a noun's own moves bring kinds of their own."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


class LogKind(Enum):
    """What was done to the log by itself. Meanings never change; new deeds get new kinds."""

    STATEMENTS_LOGGED = "statements-logged"
    TRAIL_LOGGED = "trail-logged"


class RecordKind(Enum):
    """What was done to a record. Meanings never change; new deeds get new kinds."""

    PUT = "record-put"
    MOVED = "record-moved"
    SIGNED = "record-signed"
    EXPIRED = "record-expired"


@dataclass(frozen=True, slots=True)
class RegisterEvent:
    """Who did what to which record, when; `kind` is a member of any enum of texts.

    `details` holds short codes and digests, never anything of a patient.
    """

    kind: Enum
    actor: str
    subject: str
    at: datetime
    details: dict[str, str] = field(default_factory=dict)
