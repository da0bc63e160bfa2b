"""What strangers may send to the open ports: nothing hangs, nothing dies, nothing is lost."""

import hashlib
import logging
import socket
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from clients.data.ways_in import dimse, stow
from clients.data.ways_in.dimse import Body, Bounds
from clients.data.ways_in.inbox import Inbox
from clients.data.ways_in.receiver import Receiver, ReceiverSettings
from clients.data.ways_in.stow import StowServer, StowSettings

IMAGE = b"1.2.840.10008.5.1.4.1.1.1.1"
QUICK = Bounds(object_bytes=1 << 20, silence_s=1, pdu_s=1, connect_s=1, answer_s=5)
TOKEN = "a-token-of-the-tests"


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body)) + body


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def associate(user: bytes = b"") -> bytes:
    syntaxes = item(0x30, IMAGE) + item(0x40, b"1.2.840.10008.1.2")
    context = item(0x20, b"\1\0\0\0" + syntaxes)
    told = item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3") + user)
    titles = b"TRIFED".ljust(16) + b"CT1".ljust(16)
    application = item(0x10, b"1.2.840.10008.3.1.1.1")
    return pdu(1, b"\0\1\0\0" + titles + bytes(32) + application + context + told)


def data(control: int, body: bytes, context: int = 1) -> bytes:
    return pdu(4, struct.pack(">IBB", len(body) + 2, context, control) + body)


def element(group: int, number: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", group, number, len(value)) + value


def store(uid: bytes, *, without: int | None = None, body: int = 0) -> bytes:
    elements = {
        0x0002: IMAGE,
        0x0100: b"\1\0",
        0x0110: b"\1\0",
        0x0700: b"\0\0",
        0x0800: struct.pack("<H", body),
        0x1000: uid,
    }
    packed = b"".join(element(0, n, v) for n, v in elements.items() if n != without)
    return data(3, element(0, 0, struct.pack("<I", len(packed))) + packed)


def image(uid: bytes) -> bytes:
    return store(uid) + data(2, element(8, 0x18, uid))


@contextmanager
def receiving(inbox: Inbox, bounds: Bounds = QUICK, associations: int = 8) -> Iterator[Receiver]:
    settings = ReceiverSettings(
        "TRIFED",
        0,
        frozenset({"CT1"}),
        host="127.0.0.1",
        associations=associations,
        bounds=bounds,
    )
    with Receiver(inbox, settings) as receiver:
        yield receiver


def said_to(port: int, *sent: bytes, wait_s: float = 4.0) -> bytes:
    """Send, and return all that is answered until the other side hangs up."""
    answered = b""
    connection = socket.create_connection(("127.0.0.1", port), timeout=wait_s)
    with closing(connection) as peer, suppress(OSError):
        for place, one in enumerate(sent):
            peer.sendall(one)
            if place == 0 and len(sent) > 1:  # nothing may follow before the association stands
                answered += peer.recv(65536)
        while part := peer.recv(65536):
            answered += part
    return answered


def is_stored(port: int, uid: bytes) -> bool:
    release = pdu(5, bytes(4))
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as peer:
        peer.sendall(associate())
        if peer.recv(65536)[:1] != b"\2":
            return False
        peer.sendall(image(uid))
        answer = peer.recv(65536)
        peer.sendall(release)
        return element(0, 0x0900, b"\0\0") in answer


RUDE = {
    "noise": [b"\xff" * 5000],
    "another protocol": [b"GET / HTTP/1.1\r\n\r\n"],
    "nothing in an associate": [pdu(1, b"")],
    "an item longer than its PDU": [associate()[:74] + b"\x10\0\xff\xff" + associate()[78:]],
    "a user identity of no kind": [associate(item(0x58, b"\x09\x09\xfd\xe8x"))],
    "a second associate": [associate(), associate()],
    "an unknown context": [associate(), data(3, b"x" * 20, context=77)],
    "a body before its command": [associate(), data(2, b"hello")],
    "a command of noise": [associate(), data(3, b"\xa5" * 100)],
    "an empty command": [associate(), data(3, b"")],
    "an empty P-DATA": [associate(), pdu(4, b"")],
    "a value longer than its PDU": [associate(), pdu(4, struct.pack(">I", 1 << 30) + b"xxxxxx")],
    "no instance": [associate(), store(b"1.2", without=0x1000), data(2, b"xx")],
    "no class": [associate(), store(b"1.2", without=0x0002), data(2, b"xx")],
    "no message id": [associate(), store(b"1.2", without=0x0110), data(2, b"xx")],
    "no body announced": [associate(), store(b"1.2", body=0x0101)],
    "a name of 500 characters": [associate(), store(b"1" * 500), data(2, b"xx")],
    "an abort half-way": [associate(), store(b"1.2"), data(0, bytes(99)), pdu(7, bytes(4))],
    "commands without end": [associate(), *[data(1, bytes(16000))] * 20],
    "a body without end": [associate(), store(b"1.2"), *[data(0, bytes(16000))] * 600],
}


def test_whatever_is_said_the_receiver_hangs_up_in_time_and_serves_the_next(inbox: Inbox) -> None:
    broken: list[object] = []
    before, threading.excepthook = threading.excepthook, broken.append
    try:
        with receiving(inbox, associations=64) as receiver:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda sent: said_to(receiver.port, *sent), RUDE.values()))
            assert is_stored(receiver.port, b"1.2.3")
    finally:
        threading.excepthook = before
    assert broken == []
    assert inbox.waiting() == 1


def test_a_name_that_is_a_path_stays_in_the_inbox_and_is_not_printed(
    inbox: Inbox, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings(record=True) as warned, receiving(inbox) as receiver:
        warnings.simplefilter("always")
        said_to(receiver.port, associate(), image(b"../../../tmp/wang"))
    assert inbox.waiting() == 1
    assert not [one for one in warned if "wang" in str(one.message)]
    assert "wang" not in "".join(capfd.readouterr())


def test_who_trickles_an_associate_is_cut_off_before_the_time_of_a_known_sender(
    inbox: Inbox,
) -> None:
    bounds = Bounds(connect_s=0.5, pdu_s=60, silence_s=60)
    begun = time.monotonic()
    with (
        receiving(inbox, bounds) as receiver,
        closing(socket.create_connection(("127.0.0.1", receiver.port), timeout=10)) as slow,
    ):
        slow.sendall(associate()[:50])
        with suppress(OSError):
            slow.recv(64)
    assert time.monotonic() - begun < 5


def test_a_hundred_senders_at_once_are_stored_or_told_to_come_again(inbox: Inbox) -> None:
    with receiving(inbox, Bounds()) as receiver, ThreadPoolExecutor(100) as pool:

        def send(number: int) -> bool:
            with suppress(OSError):
                return is_stored(receiver.port, b"1.2.%d" % number)
            return False

        stored = sum(pool.map(send, range(100)))
    assert 1 <= stored == inbox.waiting() == receiver.counts["received"]


def test_the_same_object_from_two_senders_at_once_lies_there_once(inbox: Inbox) -> None:
    with receiving(inbox) as receiver, ThreadPoolExecutor(2) as pool:
        assert all(pool.map(lambda _: is_stored(receiver.port, b"1.2.3"), range(2)))
    assert inbox.waiting() == 1


def test_a_large_object_is_held_on_disk_and_stored_byte_for_byte(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dimse, "IN_MEMORY_BYTES", 100_000)
    content = bytes(range(256)) * 4000
    parts = [content[at : at + 16000] for at in range(0, len(content), 16000)]
    sent = [data(2 if part is parts[-1] else 0, part) for part in parts]
    bounds = Bounds(object_bytes=2 << 20, silence_s=1)
    with receiving(inbox, bounds) as receiver:
        said_to(receiver.port, associate(), store(b"1.2.3"), *sent)
    (kept,) = (inbox.folder / "ready").iterdir()
    assert kept.read_bytes().endswith(content)
    assert not list(inbox.parts.iterdir())


def test_a_body_whose_disk_is_full_holds_nothing_and_says_so(tmp_path: Path) -> None:
    with Body(1 << 20, tmp_path / "gone") as body:
        assert body.write(b"x" * 10) == 10
        dimse_limit, dimse.IN_MEMORY_BYTES = dimse.IN_MEMORY_BYTES, 10
        try:
            body.write(b"x" * 10)
        finally:
            dimse.IN_MEMORY_BYTES = dimse_limit
        assert body.no_room
        assert not body.overrun
        assert b"".join(map(bytes, body.pieces())) == b""


def test_connections_that_ask_nothing_do_not_keep_others_out(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stow, "HEADERS_S", 0.5)
    asked = b"POST /studies HTTP/1.1\r\nHost: x\r\n"
    settings = StowSettings(port=0, token=TOKEN, requests=1)
    with StowServer(inbox, settings) as server:
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(8)]
        for one in idle[:4]:
            one.sendall(asked)
        time.sleep(1.5)
        answered = said_to(server.port, asked + b"Connection: close\r\nContent-Length: 0\r\n\r\n")
        for one in idle:
            one.close()
    assert answered.startswith(b"HTTP/1.1 401")


def test_a_folder_that_cannot_be_written_is_answered_for_without_a_traceback(
    inbox: Inbox, capfd: pytest.CaptureFixture[str]
) -> None:
    inbox.parts.rmdir()
    kind = 'multipart/related; type="application/dicom"; boundary=m'
    body = b"--m\r\n\r\n" + bytes(200) + b"\r\n--m--"
    head = (
        "POST /studies HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    )
    with StowServer(inbox, StowSettings(port=0, token=TOKEN)) as server:
        answered = said_to(server.port, head.encode() + b"\r\n" + body)
        assert server.application.counts
    assert answered.startswith(b"HTTP/1.1 409")
    assert capfd.readouterr().err == ""
    assert not logging.getLogger("uvicorn.error").isEnabledFor(logging.ERROR)


RECEIVE = """
import sys, time
from pathlib import Path
from clients.data.ways_in.inbox import Inbox
from clients.data.ways_in.receiver import Receiver, ReceiverSettings
settings = ReceiverSettings("TRIFED", 0, frozenset({"CT1"}), host="127.0.0.1")
with Receiver(Inbox(Path(sys.argv[1]), reserve_bytes=0), settings) as receiver:
    print(receiver.port, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_receiver_answered_for_is_there(inbox: Inbox) -> None:
    command = [sys.executable, "-c", RECEIVE, str(inbox.data)]
    answered = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with (
            suppress(OSError),
            closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as peer,
        ):
            peer.sendall(associate())
            peer.recv(65536)
            for number in range(60):
                if number == 30:
                    threading.Timer(0.02, process.kill).start()
                peer.sendall(image(b"1.2.%d" % number))
                answered += element(0, 0x0900, b"\0\0") in peer.recv(65536)
        process.kill()
    assert 30 <= answered <= inbox.waiting() <= answered + 1
    kept = list((inbox.folder / "ready").iterdir())
    assert all(hashlib.sha256(one.read_bytes()).hexdigest() == one.name for one in kept)
