"""Answer the centre's checkups: whether it may ask, how often, and how long that may take.

`checkup.toml` in the node's home says whether the centre may ask:

    allowed = false

Without the file it may; a file that cannot be understood means no. Three requests
are answered in a row and one a minute after, one at a time. Every answer is a line
of the node's audit log before it leaves. The checks run in a process of their own
that is stopped when it takes too long, so that nothing the centre sends can hold
up the agent.
"""

import asyncio
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from clients import audit_log
from clients.home import NodeHome
from federation import provenance
from federation.checkup.found import Travelled, travelled
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.toml_text import parse_toml
from federation.errors import PlatformError
from federation.errors.observation import (
    CheckUnfinishedError,
    CheckupOffError,
    CheckupTooOftenError,
    ObservationSettingsError,
)
from federation.protocol.mapping import CheckupReport, CheckupRequest

log = logging.getLogger(__name__)

FILE = "checkup.toml"
MOST_OUTPUT_BYTES = 65_536
WITHIN_S = 40.0
IN_A_ROW = 3
PAUSE_S = 60.0

_MOST_SETTING_BYTES = 4096
_TOLD_EVERY_S = 3600.0

Examine = Callable[[NodeHome, CheckupRequest], Awaitable[tuple[Travelled, ...]]]
"""Look the home over for a request; raises a coded error when it cannot."""


def check_allowed(home: NodeHome) -> None:
    """Return if the hospital lets the centre look.

    Raises
    ------
    CheckupOffError
        If `checkup.toml` says no.
    ObservationSettingsError
        If it cannot be understood, which means no as well.
    """
    path = home.folder / FILE
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_SETTING_BYTES)
        said = parse_toml(content)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise ObservationSettingsError(file=FILE, why="it is not TOML") from error
    if said.keys() != {"allowed"} or not isinstance(said["allowed"], bool):
        raise ObservationSettingsError(file=FILE, why="it holds more than `allowed`")
    if not said["allowed"]:
        raise CheckupOffError()


@dataclass(slots=True)
class _Bucket:
    """Three in a row, then one a minute."""

    filled: float
    left: float = IN_A_ROW

    def take(self, now: float) -> bool:
        self.left = min(IN_A_ROW, self.left + (now - self.filled) / PAUSE_S)
        self.filled = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class CheckupDesk:
    """Answer the centre's checkups, one at a time; of the agent's event loop."""

    def __init__(
        self,
        home: NodeHome,
        *,
        examine: Examine | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        passing: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = home
        self._examine: Examine = examine or in_a_process
        self._clock = clock
        self._passing = passing
        self._bucket = _Bucket(filled=passing())
        self._busy = False
        self._told = -_TOLD_EVERY_S

    def may_begin(self) -> bool:
        """Say whether a request may be looked at; if so, `report` must be called for it."""
        if self._busy or not self._bucket.take(self._passing()):
            return False
        self._busy = True
        return True

    async def report(self, asked: CheckupRequest) -> CheckupReport:
        """Return what the centre gets for a request that may begin: findings, or a code."""
        try:
            await asyncio.to_thread(check_allowed, self._home)
            found = await self._examine(self._home, asked)
            await self._record(AuditKind.CHECKUP_ANSWERED, asked, {"findings": str(len(found))})
            return CheckupReport(asked.id, found)
        except PlatformError as refusal:
            log.warning("[%s] %s", refusal.code, refusal.say())
            return await self._refuse(asked, refusal)
        finally:
            self._busy = False

    async def turn_away(self, asked: CheckupRequest) -> CheckupReport:
        """Return the answer to a request that may not begin; recorded once an hour."""
        refusal = CheckupTooOftenError()
        if self._passing() - self._told < _TOLD_EVERY_S:
            return CheckupReport(asked.id, refused_code=refusal.code)
        self._told = self._passing()
        return await self._refuse(asked, refusal)

    async def _refuse(self, asked: CheckupRequest, refusal: PlatformError) -> CheckupReport:
        try:
            await self._record(AuditKind.CHECKUP_REFUSED, asked, {"code": refusal.code})
        except PlatformError as error:  # the log itself is broken: that code is the answer
            return CheckupReport(asked.id, refused_code=error.code)
        return CheckupReport(asked.id, refused_code=refusal.code)

    async def _record(
        self, kind: AuditKind, asked: CheckupRequest, details: dict[str, str]
    ) -> None:
        event = AuditEvent(kind, "centre", "checkup", self._clock(), {"id": asked.id, **details})
        await asyncio.to_thread(audit_log.append, self._home.audit_log, event)


async def in_a_process(home: NodeHome, asked: CheckupRequest) -> tuple[Travelled, ...]:
    """Return the findings of a process that is stopped after `WITHIN_S`.

    Raises
    ------
    CheckUnfinishedError
        If it took too long, or did not say what it should.
    """
    command = [
        *(sys.executable, "-m", "clients.checkup", "--home", str(home.folder)),
        *("--skew-ms", str(asked.skew_ms), "--running", provenance.code_digest()),
    ]
    try:
        async with asyncio.timeout(WITHIN_S), _started(command) as process:
            return await _said_by(process)
    except (TimeoutError, OSError, ValueError, TypeError) as error:
        raise CheckUnfinishedError(check="checkup") from error


@asynccontextmanager
async def _started(command: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Give a process that is gone when the block ends."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def _said_by(process: asyncio.subprocess.Process) -> tuple[Travelled, ...]:
    assert process.stdout is not None
    said = await process.stdout.read(MOST_OUTPUT_BYTES)
    while more := await process.stdout.read(MOST_OUTPUT_BYTES):
        said += more
        if len(said) > MOST_OUTPUT_BYTES:
            raise ValueError("more than a report")
    await process.wait()
    return tuple(travelled(**one) for one in json.loads(said))
