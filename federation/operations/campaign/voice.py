"""Say what happens in a run, once each: to whoever watches, and to the audit trail."""

from collections.abc import Callable
from datetime import UTC, datetime

from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import SiteId
from federation.domain.run import Refusal
from federation.operations.progress import Emit, EventKind, Progress

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time now, with its zone."""
    return datetime.now(UTC)


class Voice:
    """The words of one run. `clock` returns the time now, with its zone."""

    def __init__(self, emit: Emit, clock: Clock) -> None:
        self.emit, self.now = emit, clock
        self._stage = ""
        self._aside: tuple[str, dict[str, object]] | None = None

    def stage(self, stage: str, **values: object) -> None:
        """Say which stage the run has reached."""
        self._stage, self._aside = stage, None
        self._tell_stage(stage, values)

    def aside(self, stage: str, **values: object) -> None:
        """Say what keeps the run from its stage: waiting, recovering, paused. The same once."""
        if self._aside != (stage, values):
            self._aside = (stage, values)
            self._tell_stage(stage, values)

    def back(self) -> None:
        """Say the stage again after an aside; without one, nothing."""
        if self._aside is not None and self._stage:
            self.stage(self._stage)

    def refuse(self, refusal: Refusal, number: int) -> None:
        """Say that a site did not take part in a round, and why."""
        self.tell(
            EventKind.SITE_REFUSED,
            site=refusal.site,
            round=number,
            code=refusal.code,
            what=refusal.what,
        )

    def tell(
        self,
        kind: EventKind,
        *,
        site: SiteId | None = None,
        round: int | None = None,
        **values: object,
    ) -> None:
        """Pass an event on to whoever watches."""
        self.emit(Progress(kind, site, round, values))

    def audit(self, kind: AuditKind, subject: str, **details: str) -> AuditEvent:
        """Return the audit event of a deed of the centre, now."""
        return AuditEvent(kind, "centre", subject, self.now(), details)

    def _tell_stage(self, stage: str, values: dict[str, object]) -> None:
        self.emit(Progress(EventKind.STAGE, values={"stage": stage, **values}))
