"""What happens in a run, as small events that a screen, a log or a pipe can follow.

An operation is given an `Emit` and calls it; it never prints. `trifed study
launch --events` writes each event as one JSON line, and the live table reads them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum


class EventKind(Enum):
    """What happened. New kinds may be added; a reader skips those it does not know."""

    STAGE = "stage"
    SITE_CONNECTED = "site-connected"
    SITE_DECIDED = "site-decided"
    ROUND_STARTED = "round-started"
    SITE_PROGRESS = "site-progress"
    SITE_REPLIED = "site-replied"
    SITE_REFUSED = "site-refused"
    ROUND_DONE = "round-done"
    SITE_EVALUATED = "site-evaluated"
    REGISTERED = "registered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Progress:
    """One event. `values` is plain JSON without anything of a patient."""

    kind: EventKind
    site: str | None = None
    round: int | None = None
    values: dict[str, object] = field(default_factory=dict)

    def as_line(self) -> str:
        """Return the event as one line of JSON."""
        return json.dumps(
            {"event": self.kind.value, "site": self.site, "round": self.round, **self.values},
            ensure_ascii=False,
        )

    @classmethod
    def from_line(cls, line: str) -> "Progress | None":
        """Return the event of a line, or None when the line is not one."""
        try:
            raw = json.loads(line)
            kind = EventKind(raw.pop("event"))
        except (json.JSONDecodeError, KeyError, ValueError, AttributeError, TypeError):
            return None
        return cls(kind, raw.pop("site", None), raw.pop("round", None), raw)


Emit = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Drop an event; for callers that do not watch."""
