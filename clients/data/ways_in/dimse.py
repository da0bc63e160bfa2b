"""Make pynetdicom quiet, and bounded against a peer that sends too much or too slowly.

pynetdicom holds a message in memory whatever its size, waits for ever for the
rest of a PDU, and logs whole data sets. `open_entity` gives an application entity
that logs nothing; `bound` limits one connection: how large a PDU and an object
may be, how many messages may wait, how long silence may last (PS3.8 9.3, PS3.7).
The only modules that know pynetdicom are this one, `receiver` and `pacs`.
"""

import io
import logging
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE, _config
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification

from clients.data.ways_in.inbox import MEGABYTE

IMPLEMENTATION_UID = "2.25.206463187427480911418373924571602846351"
IMPLEMENTATION_NAME = "TRIFED_1"
PDU_BYTES = 256 * 1024
ASSOCIATE_BYTES = 1024 * 1024
"""The longest PDU before data: 128 contexts with 50 transfer syntaxes each fit."""
COMMAND_BYTES = 64 * 1024
WAITING_MESSAGES = 8
QUICK_ACK = socket.TCP_QUICKACK
"""A peer that sends in small writes waits 40 ms for each ACK otherwise."""
TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2.1",  # explicit little endian first: no transcoding is needed for it
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    *(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91)),
    *(f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203)),  # HTJ2K
    "1.2.840.10008.1.2.5",
)
"""What the intake's reader may be able to read; others would arrive to be quarantined."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one connection may cost.

    `silence_s` bounds the wait for the next bytes inside a PDU and between
    messages; `pdu_s` bounds one PDU however its bytes trickle.
    """

    object_bytes: int = 512 * MEGABYTE
    pdu_bytes: int = PDU_BYTES
    connect_s: float = 10.0
    answer_s: float = 120.0
    silence_s: float = 60.0
    pdu_s: float = 120.0


def open_entity(title: str, bounds: Bounds) -> Any:
    """Return a pynetdicom application entity that logs nothing and waits for ever for nothing."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_RESPONSE_IDENTIFIERS = _config.LOG_REQUEST_IDENTIFIERS = False
    log = logging.getLogger("pynetdicom")
    log.propagate = False
    log.setLevel(logging.CRITICAL + 1)
    entity = _Entity(ae_title=title)
    entity.implementation_class_uid = UID(IMPLEMENTATION_UID)
    entity.implementation_version_name = IMPLEMENTATION_NAME
    entity.maximum_pdu_size = bounds.pdu_bytes
    entity.connection_timeout = bounds.connect_s
    entity.acse_timeout = bounds.connect_s
    entity.dimse_timeout = bounds.answer_s
    entity.network_timeout = bounds.silence_s
    return entity


class _Entity(AE):  # type: ignore[misc]  # pynetdicom is untyped here
    """An application entity whose connections are closed even if they never opened."""

    def _create_socket(self, *given: Any) -> Any:
        connection = super()._create_socket(*given)
        _close_always(connection)
        return connection


def _close_always(connection: Any) -> None:
    """Mend pynetdicom's closing, which leaves a socket open that cannot be shut down."""
    held: socket.socket | None = connection.socket

    def close() -> None:
        for one in (connection.socket, held):
            if one is not None:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    connection._shutdown_socket = close


def contexts_of(classes: tuple[str, ...]) -> list[PresentationContext]:
    """Return one presentation context a SOP class, with every transfer syntax."""
    return [build_context(name, list(TRANSFER_SYNTAXES)) for name in classes]


def echo_context() -> PresentationContext:
    """Return the context of C-ECHO."""
    return build_context(Verification)


def bound(association: Any, bounds: Bounds) -> None:
    """Limit one connection; call it when the connection opens, before its first byte is read."""
    association.dimse = _BoundedMessages(association, bounds)
    connection = association.dul.socket
    connection.socket.settimeout(bounds.silence_s)
    # each message is two small writes: without this every request waits 40 ms for an ACK
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.recv = _Reader(connection, bounds).recv
    _close_always(connection)


class _Bounded(io.BytesIO):
    """A buffer that holds at most `limit` bytes; `overrun` says whether more came."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit, self.size, self.overrun = limit, 0, False

    def write(self, chunk: Any, /) -> int:
        """Hold the chunk, or drop everything once the limit is passed."""
        self.size += len(chunk)
        if self.size > self.limit and not self.overrun:
            self.overrun = True
            self.seek(0)
            self.truncate(0)
        return len(chunk) if self.overrun else super().write(chunk)


def too_large(body: object) -> bool:
    """Say whether the body of a received message passed its limit and was dropped."""
    return isinstance(body, _Bounded) and body.overrun


class _BoundedMessages(DIMSEServiceProvider):  # type: ignore[misc]  # pynetdicom is untyped here
    """Builds messages in bounded buffers, a few at a time, and ends what never ends."""

    message: Any

    def __init__(self, association: Any, bounds: Bounds) -> None:
        super().__init__(association)
        self._object_bytes, self._patience_s = bounds.object_bytes, bounds.answer_s

    def receive_primitive(self, primitive: Any) -> None:
        """Take in one P-DATA; drop what passes a limit and go on."""
        if self.message is None:
            self.message = DIMSEMessage()
            self.message.data_set = _Bounded(self._object_bytes)
            self.message.encoded_command_set = _Bounded(COMMAND_BYTES)
        super().receive_primitive(primitive)
        message = self.message
        flood = message is not None and (
            message.encoded_command_set.overrun
            or message.data_set.size > 8 * self._object_bytes  # it will never end
        )
        if flood or not self._keeps_up():
            self.dul.event_queue.put("Evt19")  # invalid PDU: pynetdicom sends A-ABORT and closes
            self.msg_queue.put((None, None))  # and whoever waits for a message learns it now

    def _keeps_up(self) -> bool:
        """Read nothing more while many messages wait; return False if nobody takes them."""
        deadline = time.monotonic() + self._patience_s
        while self.msg_queue.qsize() > WAITING_MESSAGES and not self.dul._kill_thread:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return True


class _Reader:
    """Reads from the socket in large pieces, with limits on size and time."""

    def __init__(self, connection: Any, bounds: Bounds) -> None:
        self._connection, self._pdu_s = connection, bounds.pdu_s
        self._largest = max(bounds.pdu_bytes + 6, ASSOCIATE_BYTES)

    def recv(self, count: int) -> bytearray:
        """Return `count` bytes, fewer when the peer closed.

        Raises
        ------
        OSError
            If more are announced than a PDU may have, or they come too slowly.
        """
        open_socket: socket.socket = self._connection.socket
        try:
            return self._recv(open_socket, count)
        except OSError:
            with suppress(OSError):  # pynetdicom takes the peer for gone and would not hang up
                open_socket.shutdown(socket.SHUT_RDWR)
            raise

    def _recv(self, open_socket: socket.socket, count: int) -> bytearray:
        if count > self._largest:
            raise OSError("PDU too long")
        open_socket.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)  # it lapses, so each time
        content, deadline = bytearray(count), time.monotonic() + self._pdu_s
        view, got = memoryview(content), 0
        while got < count:
            size = open_socket.recv_into(view[got:])
            if not size:
                break
            got += size
            if time.monotonic() > deadline:
                raise TimeoutError
        view.release()
        return content[:got]


def accept_tls(plain: socket.socket, context: ssl.SSLContext, timeout_s: float) -> socket.socket:
    """Return the connection after a TLS handshake that may take so long.

    Raises
    ------
    OSError
        If the handshake fails; the connection is closed then.
    """
    plain.settimeout(timeout_s)
    try:
        return context.wrap_socket(plain, server_side=True)
    except OSError:
        plain.close()
        raise
