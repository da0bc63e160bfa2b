"""What a DICOMweb server may answer: nothing hangs or grows, and what is good is kept."""

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from clients.data.ways_in import dicomweb
from clients.data.ways_in.archive import Query
from clients.data.ways_in.dicomweb import Web, WebArchive
from clients.data.ways_in.fetch import Fetched, fetch
from clients.data.ways_in.inbox import Inbox
from clients.data.ways_in.multipart import PartLimits
from clients.data.ways_in.transfers import Transfers
from federation.errors.sources import DicomwebAnswerError

MIXED = 'multipart/related; type="application/dicom"; boundary=m'
JSON = "application/dicom+json"
OBJECTS = 3
Answer = Callable[[socket.socket], None]


def instance(number: int) -> bytes:
    def meta(tag: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HH2sH", 2, tag, b"UI", len(value)) + value

    said = meta(2, b"1.2.840.10008.5.1.4.1.1.1") + meta(3, b"1.2.%d" % number)
    return bytes(128) + b"DICM" + said + meta(0x10, b"1.2.840.10008.1.2.1") + b"\x08\0\x18\0UI\0\0"


def mixed(*parts: bytes) -> bytes:
    return b"".join(b"--m\r\n\r\n" + part + b"\r\n" for part in parts) + b"--m--"


def ui(value: object) -> dict[str, object]:
    return {"vr": "UI", "Value": [value]}


def answer(
    body: bytes, kind: str = JSON, *, status: str = "200 OK", more: str = "", length: int = -1
) -> Answer:
    size = len(body) if length < 0 else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n{more}\r\n"

    def send(peer: socket.socket) -> None:
        peer.sendall(head.encode() + body)
        if length > len(body):
            peer.shutdown(socket.SHUT_RDWR)

    return send


def listed(*found: dict[str, object]) -> Answer:
    return answer(json.dumps(found).encode())


SERIES = {
    "0020000E": ui("1.1.1"),
    "00080060": {"vr": "CS", "Value": ["CR"]},
    "00201209": {"vr": "IS", "Value": [OBJECTS]},
}
GOOD = {
    "/studies": listed({"0020000D": ui("1.1")}),
    "1.1/series": listed(SERIES),
    "/instances": listed(*({"00080018": ui(f"1.2.{n}")} for n in range(OBJECTS))),
    "/series/1.1.1": answer(mixed(*map(instance, range(OBJECTS))), MIXED),
    **{f"/instances/1.2.{n}": answer(mixed(instance(n)), MIXED) for n in range(OBJECTS)},
}


@contextmanager
def serving(answers: dict[str, Answer]) -> Iterator[int]:
    """Answer by the end of the path, the longest one that fits."""

    def serve(peer: socket.socket) -> None:
        held = b""
        with peer, suppress(OSError):
            while True:
                while b"\r\n\r\n" not in held:
                    part = peer.recv(65536)
                    if not part:
                        return
                    held += part
                head, _, held = held.partition(b"\r\n\r\n")
                path = head.split(b" ")[1].decode().partition("?")[0]
                fits = [end for end in answers if path.endswith(end)]
                answers[max(fits, key=len)](peer)

    def listen() -> None:
        with suppress(OSError):
            while True:
                peer, _ = listening.accept()
                served.append(threading.Thread(target=serve, args=(peer,), daemon=True))
                served[-1].start()

    served: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
    for one in (thread, *served):
        one.join(5)


def fetched(
    inbox: Inbox, transfers: Transfers, answers: dict[str, Answer], **web: Any
) -> tuple[Fetched, float]:
    begun = time.monotonic()
    with serving({**GOOD, **answers}) as port:
        settings = Web("web", f"http://127.0.0.1:{port}/dicom-web", token="t" * 20, **web)
        with WebArchive(settings, inbox) as archive:
            result = fetch(archive, Query(), transfers)
    return result, time.monotonic() - begun


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomweb, "AGAIN_S", 0.01)
    monkeypatch.setattr(dicomweb, "LOOK_S", 0.05)


UNUSABLE = {
    "nested too deep": answer(b"[" * 200_000 + b"]" * 200_000),
    "a number without end": answer(b"[" + b"9" * 100_000 + b"]"),
    "many empty things": answer(b"[" + b",".join([b"{}"] * 4_100_000) + b"]"),
    "an object for a UID": listed({"0020000D": ui({"a": 1})}),
    "a UID that climbs": listed({"0020000D": ui("..")}),
    "no UID": listed({"00080020": ui("1")}),
    "a compressed answer": answer(gzip.compress(b"[]"), more="Content-Encoding: gzip\r\n"),
    "a redirect": answer(b"", status="302 Found", more="Location: file:///etc/passwd\r\n"),
    "a negative length": answer(b"[]", more="Content-Length: -4\r\n"),
    "no HTTP": lambda peer: peer.sendall(b"\xff" * 2000 + b"\r\n\r\n"),
    "headers without end": answer(b"[]", more="".join(f"X{n}: y\r\n" for n in range(20_000))),
}


@pytest.mark.parametrize("unusable", UNUSABLE.values(), ids=UNUSABLE)
def test_an_answer_that_cannot_be_one_is_a_coded_error(
    unusable: Answer, inbox: Inbox, transfers: Transfers
) -> None:
    with pytest.raises(DicomwebAnswerError):
        fetched(inbox, transfers, {"/studies": unusable})
    assert not inbox.waiting()


WORSE = {
    "a web page": answer(b"<html>", "text/html"),
    "a redirect": answer(b"", status="302 Found", more="Location: http://192.0.2.1/\r\n"),
    "nothing": answer(b"", status="204 No Content"),
    "less than announced": answer(mixed(instance(0)), MIXED, length=10**9),
    "a first part that is none": answer(mixed(b"junk", instance(1), instance(2)), MIXED),
    "a part that is too large": answer(mixed(bytes(3 << 20), instance(1)), MIXED),
    "another object": answer(mixed(instance(66)), MIXED),
}


@pytest.mark.parametrize("worse", WORSE.values(), ids=WORSE)
def test_a_series_that_cannot_be_had_whole_is_had_one_by_one(
    worse: Answer, inbox: Inbox, transfers: Transfers
) -> None:
    limits = PartLimits(part_bytes=2 << 20)
    result, _ = fetched(inbox, transfers, {"/series/1.1.1": worse}, limits=limits)
    result.check()
    assert result.objects == OBJECTS
    assert inbox.waiting() in (OBJECTS, OBJECTS + 1)


@pytest.mark.parametrize("count", ["²", "9" * 5000, "-1"])
def test_a_count_that_is_none_is_not_believed(
    count: str, inbox: Inbox, transfers: Transfers
) -> None:
    odd = listed({**SERIES, "00201209": {"vr": "IS", "Value": [count]}})
    result, _ = fetched(inbox, transfers, {"1.1/series": odd})
    assert result.objects == OBJECTS


def trickle(head: bytes) -> Answer:
    def send(peer: socket.socket) -> None:
        peer.sendall(head)
        for _ in range(300):
            peer.sendall(b"x")
            time.sleep(0.05)

    return send


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"]
)
def test_a_server_that_trickles_is_hung_up_on(
    head: bytes, inbox: Inbox, transfers: Transfers
) -> None:
    begun = time.monotonic()
    with pytest.raises(DicomwebAnswerError, match="too slowly"):
        fetched(inbox, transfers, {"/studies": trickle(head)}, silence_s=0.2)
    assert time.monotonic() - begun < 10
