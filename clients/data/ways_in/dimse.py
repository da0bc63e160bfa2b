"""Make pynetdicom quiet, and bounded against a peer that sends too much or too slowly.

pynetdicom holds a message in memory whatever its size, waits for ever for the
rest of a PDU, and logs whole data sets. `open_entity` gives an application entity
that logs nothing; `bound` limits one connection: how large a PDU and an object
may be, how many messages may wait, how long silence may last (PS3.8 9.3, PS3.7).
The only modules that know pynetdicom are this one, `receiver` and `pacs`.
"""

import io
import logging
import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydicom import config as pydicom_config
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
SMALL_BYTES = MEGABYTE
"""A message above this is not read on while another one waits."""
IN_MEMORY_BYTES = 16 * MEGABYTE
"""What comes of an object beyond this goes to disk, so that many senders fit into memory."""
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
    messages; `pdu_s` bounds one PDU however its bytes trickle, `connect_s` each of
    those before the association stands.
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
    for name in ("reading_validation_mode", "writing_validation_mode"):  # they would print values
        setattr(pydicom_config.settings, name, pydicom_config.IGNORE)
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


def bound(association: Any, bounds: Bounds, *, spool: Path | None = None) -> None:
    """Limit one connection; call it when the connection opens, before its first byte is read.

    Large objects are held in nameless files in the folder `spool`, in memory without one.
    """
    association.dimse = _BoundedMessages(association, bounds, spool)
    connection = association.dul.socket
    connection.socket.settimeout(bounds.silence_s)
    # each message is two small writes: without this every request waits 40 ms for an ACK
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.recv = _Reader(association, connection, bounds).recv
    _close_always(connection)
    _end_when_broken(association)


def _end_when_broken(association: Any) -> None:
    """Mend pynetdicom's reactor, which dies with a traceback of what a hostile peer sent."""
    act, dul = association.dul.state_machine.do_action, association.dul

    def do_action(event: str) -> None:
        try:
            act(event)
        except Exception:  # whatever it was, it ends this connection and nothing else
            association._kill = True
            dul.kill_dul()
            if dul.socket is not None:
                dul.socket._shutdown_socket()

    dul.state_machine.do_action = do_action


class Body(io.BytesIO):
    """What arrives of one message: at most `limit` bytes, a large one on disk.

    `overrun` says whether more came, `no_room` whether the disk did not take it;
    nothing is held then.
    """

    def __init__(self, limit: int, spool: Path | None = None) -> None:
        super().__init__()
        self.limit, self.size = limit, 0
        self.overrun = self.no_room = False
        self._spool = spool
        self._file: IO[bytes] | None = None

    def write(self, chunk: Any, /) -> int:
        """Hold the chunk, or drop everything once the limit is passed."""
        self.size += len(chunk)
        if self.size > self.limit and not self.overrun:
            self.overrun = True
            self._drop()
        if self.overrun or self.no_room:
            return len(chunk)
        try:
            return self._hold(chunk)
        except OSError:
            self.no_room = True
            self._drop()
            return len(chunk)

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Yield what came."""
        if self._file is None:
            yield self.getbuffer()
            return
        self._file.seek(0)
        while piece := self._file.read(MEGABYTE):
            yield piece

    def close(self) -> None:
        """Forget what is held."""
        if self._file is not None:
            self._file.close()
        super().close()

    def _hold(self, chunk: Any) -> int:
        if self._file is None:
            if self.size <= IN_MEMORY_BYTES or self._spool is None:
                return super().write(chunk)
            self._file = tempfile.TemporaryFile(dir=self._spool)  # noqa: SIM115  # close() closes it
            self._file.write(self.getbuffer())
            self._empty()
        return self._file.write(chunk)

    def _drop(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), 0)
        self._empty()

    def _empty(self) -> None:
        self.seek(0)
        self.truncate(0)


class _BoundedMessages(DIMSEServiceProvider):  # type: ignore[misc]  # pynetdicom is untyped here
    """Builds messages in bounded buffers, a few at a time, and ends what never ends."""

    message: Any

    def __init__(self, association: Any, bounds: Bounds, spool: Path | None) -> None:
        super().__init__(association)
        self._object_bytes, self._patience_s = bounds.object_bytes, bounds.answer_s
        self._spool = spool

    def get_msg(self, block: bool = False) -> Any:
        """Return the next message, but none to the reactor thread of who asks.

        pynetdicom pauses that thread while an answer is awaited, and sometimes too late:
        it then takes the answer and drops it, and a series is missing without a word.
        """
        if self.assoc.is_requestor and threading.current_thread() is self.assoc:
            return None, None
        return super().get_msg(block)

    def receive_primitive(self, primitive: Any) -> None:
        """Take in one P-DATA; drop what passes a limit and go on."""
        if self.message is None:
            self.message = DIMSEMessage()
            self.message.data_set = Body(self._object_bytes, self._spool)
            self.message.encoded_command_set = Body(COMMAND_BYTES)
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
        while self._is_ahead() and not self.dul._kill_thread:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return True

    def _is_ahead(self) -> bool:
        """Say whether more was read than those who take messages can hold."""
        waiting = self.msg_queue.qsize()
        is_large = self.message is not None and self.message.data_set.size > SMALL_BYTES
        return waiting > WAITING_MESSAGES or bool(waiting and is_large)


class _Reader:
    """Reads from the socket in large pieces, with limits on size and time."""

    def __init__(self, association: Any, connection: Any, bounds: Bounds) -> None:
        self._association, self._connection, self._bounds = association, connection, bounds
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
        content, deadline = bytearray(count), time.monotonic() + self._patience_s()
        with memoryview(content) as view:
            got = 0
            while got < count:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                open_socket.settimeout(min(left, self._bounds.silence_s))
                size = open_socket.recv_into(view[got:])
                if not size:
                    break
                got += size
        open_socket.settimeout(self._bounds.silence_s)
        return content[:got]

    def _patience_s(self) -> float:
        """Return how long one PDU may take; who is not known yet gets less."""
        is_known = self._association.is_established
        return self._bounds.pdu_s if is_known else self._bounds.connect_s


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
