"""Receive objects by C-STORE (PS3.4 Annex B) and answer C-ECHO, from known senders only.

`with Receiver(inbox, settings) as receiver:` listens. An object is stored as it
came, with file meta in front, without being decoded, and success is answered
only after it is on disk. Every refusal has a status: 0xA700 when the disk has no
room, 0xC5xx with our code's last two digits for everything else. Refusals are
counted by code in `receiver.counts`, naming nobody.
"""

import contextlib
import fcntl
import os
import socketserver
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pynetdicom import evt
from pynetdicom.dsutils import encode_file_meta
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from clients.data.ways_in import dimse
from clients.data.ways_in.dimse import Bounds
from clients.data.ways_in.inbox import MEGABYTE, Inbox
from federation.errors.base import PlatformError
from federation.errors.data import IntakeDiskError
from federation.errors.machine import DiskFullError, PortTakenError
from federation.errors.sources import (
    NotAnObjectError,
    ObjectTooLargeError,
    PeerNotAllowedError,
    ReceiverRunsError,
    TooManyAssociationsError,
)
from federation.storage import no_room

SUCCESS, OUT_OF_RESOURCES, REFUSED = 0x0000, 0xA700, 0xC500
LOCK = "receiver.lock"
SPARE_CONNECTIONS = 4
"""Connections beyond the limit that are told so politely; more are closed at once."""
STOP_S = 10.0
PREAMBLE = b"\0" * 128 + b"DICM"
Received = Callable[[str], None]
"""Told the SOP Instance UID of each object that is on disk; it must not keep it."""


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """Who may send here, and how.

    `callers` are the allowed calling AE titles, `hosts` the allowed addresses
    (empty: any). `tls` is the server's context, None for plain connections.
    """

    ae_title: str
    port: int
    callers: frozenset[str]
    host: str = "0.0.0.0"  # noqa: S104  # a PACS is another machine; callers are checked
    hosts: frozenset[str] = frozenset()
    associations: int = 8
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    bounds: Bounds = field(default_factory=Bounds)


def nobody(_: str) -> None:
    """Tell nobody."""


class Receiver:
    """A context manager around the listening port.

    Raises
    ------
    ReceiverRunsError
        If another process receives for this data folder.
    PortTakenError
        If the port is taken.
    """

    def __init__(
        self,
        inbox: Inbox,
        settings: ReceiverSettings,
        *,
        received: Received = nobody,
        arrived: Callable[[], None] | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._inbox, self._settings = inbox, settings
        self._received, self._arrived = received, arrived
        self._lock = threading.Lock()
        self._storing = 0
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as held:
            held.enter_context(only_receiver(self._inbox.data))
            self._server = self._listen()
            held.callback(self._close)
            self._thread = threading.Thread(
                target=self._server.serve_forever, args=(0.1,), name="receiver", daemon=True
            )
            self._thread.start()
            self._held = held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._held.close()

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return int(self._server.server_address[1])

    def refused(self, error: PlatformError) -> None:
        """Count something that was not received."""
        with self._lock:
            self.counts[error.code] += 1

    def _listen(self) -> Any:
        settings = self._settings
        entity = dimse.open_entity(settings.ae_title, settings.bounds)
        entity.maximum_associations = settings.associations
        entity.require_calling_aet = sorted(settings.callers)
        entity.require_called_aet = True
        classes = tuple(str(one.abstract_syntax) for one in AllStoragePresentationContexts)
        try:
            server = ThreadedAssociationServer(
                entity,
                (settings.host, settings.port),
                settings.ae_title,
                [*dimse.contexts_of(classes), dimse.echo_context()],
                evt_handlers=[
                    (evt.EVT_C_STORE, self._store),
                    (evt.EVT_C_ECHO, _echo),
                    (evt.EVT_CONN_OPEN, _bound, [settings.bounds, self._inbox]),
                    (evt.EVT_REJECTED, self._rejected),
                    (evt.EVT_CONN_CLOSE, self._ended),
                ],
                request_handler=_guarded(self, settings),
            )
        except OSError as error:
            raise PortTakenError(port=settings.port) from error
        server.daemon_threads, server.block_on_close = True, False
        entity._servers.append(server)
        return server

    def _store(self, event: Any) -> int:
        """Keep one object; return the status of the answer."""
        with self._lock:
            self._storing += 1
        try:
            store_object(self._inbox, event)
        except (DiskFullError, IntakeDiskError) as error:
            self.refused(error)
            return OUT_OF_RESOURCES
        except PlatformError as error:
            self.refused(error)
            return status_of(error)
        finally:
            with self._lock:
                self._storing -= 1
        with self._lock:
            self.counts["received"] += 1
        self._received(str(event.request.AffectedSOPInstanceUID))
        return SUCCESS

    def _rejected(self, event: Any) -> None:
        busy = len(self._server.active_associations) > self._settings.associations
        self.refused(
            TooManyAssociationsError(limit=self._settings.associations)
            if busy
            else PeerNotAllowedError()
        )

    def _ended(self, _: Any) -> None:
        if self._arrived is not None:
            self._arrived()

    def _close(self) -> None:
        """Stop listening, let what is under way end for a while, then abort it."""
        socketserver.BaseServer.shutdown(self._server)
        self._server.server_close()
        self._thread.join()
        deadline = time.monotonic() + STOP_S
        while (open_ones := self._established()) and time.monotonic() < deadline:
            for association in open_ones:
                if not self._storing and association.dimse.message is None:
                    association.abort()
            time.sleep(0.02)
        for association in self._server.active_associations:
            association.abort()

    def _established(self) -> list[Any]:
        return [one for one in self._server.active_associations if one.is_established]


def store_object(inbox: Inbox, event: Any) -> None:
    """Keep the object of a C-STORE request as it was encoded, with file meta in front.

    Raises
    ------
    ObjectTooLargeError
        If it passed the limit while it came; nothing of it was held.
    NotAnObjectError
        If there is no data set, or no UIDs to write its file meta with.
    DiskFullError
        If the disk has no room.
    """
    body = event.request.DataSet
    if not isinstance(body, dimse.Body) or not body.size:
        raise NotAnObjectError()
    with body:
        if body.overrun:
            raise ObjectTooLargeError(megabytes=body.limit // MEGABYTE)
        if body.no_room:
            raise no_room(inbox.folder, body.size)
        try:
            meta = encode_file_meta(event.file_meta)
        except (AttributeError, ValueError, TypeError) as error:
            raise NotAnObjectError() from error
        inbox.put(chain((PREAMBLE, meta), body.pieces()))


def status_of(error: PlatformError) -> int:
    """Return the C-STORE status of a refusal: 0xC5 and the code's last two digits (PS3.4 B.2.3)."""
    return REFUSED + int(error.code[-2:], 16)


@contextlib.contextmanager
def only_receiver(data: Path) -> Any:
    """Hold the right to receive for a data folder.

    Raises
    ------
    ReceiverRunsError
        If another process holds it.
    """
    descriptor = os.open(data / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ReceiverRunsError() from error
    try:
        yield
    finally:
        os.close(descriptor)


def _echo(_: Any) -> int:
    return SUCCESS


def _bound(event: Any, bounds: Bounds, inbox: Inbox) -> None:
    dimse.bound(event.assoc, bounds, spool=inbox.parts)


def _guarded(receiver: Receiver, settings: ReceiverSettings) -> type[Any]:
    """Return the handler of a new connection: address, number, TLS; only then DICOM."""

    class Guarded(RequestHandler):  # type: ignore[misc]  # pynetdicom is untyped here
        """One connection, handled in its own thread, so that nobody waits for a handshake."""

        request: Any

        def handle(self) -> None:
            """Hand the connection on, or close it."""
            problem = _problem(settings, str(self.client_address[0]), self.server)
            if problem is not None:
                receiver.refused(problem)
                self.request.close()
                return
            try:
                if settings.tls is not None:
                    wait_s = settings.bounds.connect_s
                    self.request = dimse.accept_tls(self.request, settings.tls, wait_s)
            except OSError:
                receiver.refused(PeerNotAllowedError())
                return
            super().handle()

    return Guarded


def _problem(settings: ReceiverSettings, address: str, server: Any) -> PlatformError | None:
    if settings.hosts and address not in settings.hosts:
        return PeerNotAllowedError()
    if len(server.active_associations) >= settings.associations + SPARE_CONNECTIONS:
        return TooManyAssociationsError(limit=settings.associations)
    return None
