"""Receive objects over the web: STOW-RS (PS3.18 10.5), a small ASGI application.

`with StowServer(inbox, settings) as server:` listens in a thread of its own. A
request carries a bearer token and multipart/related parts of application/dicom.
Each part goes to disk piece by piece and is answered for by itself; the answer
is the Store Instances Response Module (PS3.18 I.2.2) with a reason per failure.
Without TLS only this machine may connect.
"""

import asyncio
import hmac
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import h11
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from clients.data.ways_in.inbox import Inbox, Incoming
from clients.data.ways_in.multipart import (
    Multipart,
    PartBegins,
    PartBytes,
    PartEnds,
    PartLimits,
    boundary_of,
)
from clients.data.ways_in.part10 import HEAD_BYTES, FileMeta, file_meta
from federation.errors.base import PlatformError
from federation.errors.data import IntakeDiskError
from federation.errors.machine import DiskFullError, PortTakenError
from federation.errors.sources import (
    MultipartError,
    NotAnObjectError,
    ObjectTooLargeError,
    TokenRefusedError,
)
from federation.wording import Text

JSON = "application/dicom+json"
STORAGE = "1.2.840.10008.5.1.4.1.1."
PROCESSING_FAILURE, CLASS_NOT_SUPPORTED = 0x0110, 0x0122
OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0xA700, 0xC000
HEADERS_S = 10.0
"""How long a sender may take to say what it wants."""
HANG_UP = {"Connection": "close"}
"""With every refusal: the rest of what is being sent is not read."""


@dataclass(frozen=True, slots=True)
class StowSettings:
    """How the web port is served. `repr` shows no token."""

    port: int
    token: str = field(repr=False)
    host: str = "127.0.0.1"
    certificate: str | None = None
    key: str | None = None
    limits: PartLimits = field(default_factory=PartLimits)
    requests: int = 8
    request_s: float = 3600.0
    silence_s: float = 60.0


@dataclass(slots=True)
class _Answer:
    """What became of the parts of one request."""

    stored: list[FileMeta] = field(default_factory=list)
    failed: list[tuple[FileMeta | None, int]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the Store Instances Response Module in DICOM's JSON."""
        found: dict[str, Any] = {}
        known = [_reference(meta, reason) for meta, reason in self.failed if meta is not None]
        other = [_reason(reason) for meta, reason in self.failed if meta is None]
        for tag, items in (
            ("00081199", [_reference(meta) for meta in self.stored]),
            ("00081198", known),
            ("0008119A", other),
        ):
            if items:
                found[tag] = {"vr": "SQ", "Value": items}
        return found

    @property
    def status(self) -> int:
        """Return the HTTP status: all, some or none stored (PS3.18 Table 10.5.3-1)."""
        if not self.failed:
            return 200
        return 202 if self.stored else 409


class StowApplication:
    """The application; counts by code what it refused, and `received`."""

    def __init__(
        self,
        inbox: Inbox,
        settings: StowSettings,
        *,
        arrived: Callable[[], None] | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._inbox, self._settings, self._arrived = inbox, settings, arrived
        self._running = asyncio.Semaphore(settings.requests)
        self.asgi = Starlette(
            routes=[
                Route("/studies", self._store, methods=["POST"]),
                Route("/studies/{study}", self._store, methods=["POST"]),
            ]
        )

    async def _store(self, request: Request) -> Response:
        if not self._knows(request):
            self.counts[TokenRefusedError.code] += 1
            return Response(status_code=401, headers={"WWW-Authenticate": "Bearer", **HANG_UP})
        if self._running.locked():
            return Response(status_code=503, headers={"Retry-After": "5", **HANG_UP})
        async with self._running:
            return await self._answer(request)

    async def _answer(self, request: Request) -> Response:
        answer = _Answer()
        try:
            boundary = boundary_of(request.headers.get("content-type", ""))
        except MultipartError as error:
            return self._refused(error, 415)
        try:
            async with asyncio.timeout(self._settings.request_s):
                await self._take(request, Multipart(boundary, self._settings.limits), answer)
        except (MultipartError, TimeoutError, ClientDisconnect) as error:
            problem = (
                error
                if isinstance(error, MultipartError)
                else MultipartError(why=Text(en="it broke off", zh="傳輸中斷"))
            )
            if not answer.stored:
                return self._refused(problem, 400)
            self.counts[problem.code] += 1
            answer.failed.append((None, CANNOT_UNDERSTAND))
        finally:
            if answer.stored and self._arrived is not None:
                self._arrived()
        return JSONResponse(answer.as_json(), status_code=answer.status, media_type=JSON)

    async def _take(self, request: Request, parts: Multipart, answer: _Answer) -> None:
        """Store every part; one that fails is read to its end and answered for."""
        part: _Part | None = None
        stream = request.stream()
        try:
            while True:
                chunk = await asyncio.wait_for(anext(stream, b""), self._settings.silence_s)
                if not chunk:
                    break
                for found in parts.feed(chunk):
                    if isinstance(found, PartBegins):
                        part = _Part(self._inbox)
                    elif isinstance(found, PartBytes) and part is not None:
                        part.write(found.content)
                    elif isinstance(found, PartEnds) and part is not None:
                        await asyncio.to_thread(self._finish, part, answer)
            parts.close()
        finally:
            if part is not None:
                part.discard()

    def _finish(self, part: "_Part", answer: _Answer) -> None:
        try:
            answer.stored.append(part.keep())
            self.counts["received"] += 1
        except PlatformError as error:
            self.counts[error.code] += 1
            answer.failed.append((part.meta, part.reason(error)))
        finally:
            part.discard()

    def _knows(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").encode("latin-1")
        return hmac.compare_digest(given, f"Bearer {self._settings.token}".encode())

    def _refused(self, error: PlatformError, status: int) -> Response:
        self.counts[error.code] += 1
        return JSONResponse(error.as_json(), status_code=status, headers=HANG_UP)


class _Part:
    """One part on its way to disk. An error waits until the part is whole."""

    def __init__(self, inbox: Inbox) -> None:
        self.meta: FileMeta | None = None
        self._head = b""
        self._incoming: Incoming | None = None
        self._failed: PlatformError | None = None
        self._try(lambda: self._open(inbox))

    def write(self, content: bytes) -> None:
        """Add bytes, or drop them if the part failed already."""
        if len(self._head) < HEAD_BYTES:
            self._head += content[:HEAD_BYTES]
        incoming = self._incoming
        if self._failed is None and incoming is not None:
            self._try(lambda: incoming.write(content))

    def keep(self) -> FileMeta:
        """Bring the part to disk and return what it is.

        Raises
        ------
        PlatformError
            What went wrong while it came, or now.
        """
        self.meta = file_meta(self._head)
        if self._failed is not None:
            raise self._failed
        if not self.meta.sop_class.startswith(STORAGE):
            raise NotAnObjectError()
        assert self._incoming is not None
        self._incoming.keep()
        return self.meta

    def reason(self, error: PlatformError) -> int:
        """Return the Failure Reason of a part (PS3.18 I.2.2.1)."""
        if isinstance(error, (DiskFullError, IntakeDiskError)):
            return OUT_OF_RESOURCES
        if isinstance(error, ObjectTooLargeError):
            return PROCESSING_FAILURE
        return CANNOT_UNDERSTAND if self.meta is None else CLASS_NOT_SUPPORTED

    def discard(self) -> None:
        """Forget what was not kept."""
        if self._incoming is not None:
            self._incoming.discard()

    def _open(self, inbox: Inbox) -> None:
        self._incoming = inbox.receive()

    def _try(self, do: Callable[[], None]) -> None:
        try:
            do()
        except PlatformError as error:
            self._failed = error


class _Patient(H11Protocol):
    """One connection, closed when nothing is asked on it: idle ones would keep others out."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._look_later()

    def _look_later(self) -> None:
        self.loop.call_later(HEADERS_S, self._look)

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE:
            self.transport.close()
        else:
            self._look_later()


class StowServer:
    """A context manager around the web port.

    Raises
    ------
    PortTakenError
        If the port is taken.
    """

    def __init__(
        self, inbox: Inbox, settings: StowSettings, *, arrived: Callable[[], None] | None = None
    ) -> None:
        self.application = StowApplication(inbox, settings, arrived=arrived)
        self._settings = settings

    def __enter__(self) -> Self:
        settings = self._settings
        try:
            self._socket = socket.create_server((settings.host, settings.port))
        except OSError as error:
            raise PortTakenError(port=settings.port) from error
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.application.asgi,
                http=_Patient,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level=logging.CRITICAL + 1,  # it would print what strangers send
                access_log=False,
                server_header=False,
                limit_concurrency=settings.requests * 4,
                timeout_keep_alive=10,
                timeout_graceful_shutdown=10,
                ssl_certfile=settings.certificate,
                ssl_keyfile=settings.key,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="stow", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return int(self._socket.getsockname()[1])


def _reference(meta: FileMeta, reason: int | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "00081150": {"vr": "UI", "Value": [meta.sop_class]},
        "00081155": {"vr": "UI", "Value": [meta.instance]},
    }
    return found if reason is None else found | _reason(reason)


def _reason(reason: int) -> dict[str, Any]:
    return {"00081197": {"vr": "US", "Value": [reason]}}
