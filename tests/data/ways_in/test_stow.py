import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from clients.data.ways_in.inbox import Inbox
from clients.data.ways_in.multipart import (
    Multipart,
    PartBegins,
    PartBytes,
    PartEnds,
    PartLimits,
    boundary_of,
)
from clients.data.ways_in.part10 import file_meta
from clients.data.ways_in.stow import StowServer, StowSettings
from federation.errors.sources import MultipartError, NotAnObjectError
from tests.data.ways_in.conftest import Admitted, Tls
from tests.data.ways_in.orthanc import Orthanc

TOKEN = "a-token-of-the-tests"
KIND = 'multipart/related; type="application/dicom"; boundary=mark'


def body_of(*parts: bytes) -> bytes:
    head = b"--mark\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + part + b"\r\n" for part in parts) + b"--mark--\r\n"


@contextmanager
def serving(inbox: Inbox, **values: Any) -> Iterator[Callable[..., httpx.Response]]:
    settings = replace(StowSettings(port=0, token=TOKEN), **values)
    verify = values.pop("verify", True)
    with StowServer(inbox, settings) as server, httpx.Client(trust_env=False) as client:

        def post(
            content: Any, *, token: str = TOKEN, path: str = "/studies", kind: str = KIND
        ) -> Any:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
            url = f"http://127.0.0.1:{server.port}{path}"
            return client.post(url, content=content, headers=headers)

        yield post
        assert verify
    post.counts = server.application.counts  # type: ignore[attr-defined]


def test_objects_are_stored_and_answered_for(inbox: Inbox, images: list[Path]) -> None:
    contents = [path.read_bytes() for path in images[:3]]
    with serving(inbox) as post:
        answer = post(body_of(*contents))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    told = [one["00081155"]["Value"][0] for one in answer.json()["00081199"]["Value"]]
    assert told == [file_meta(content).instance for content in contents]
    kept = {path.read_bytes() for path in (inbox.folder / "ready").iterdir()}
    assert kept == set(contents)


def test_a_real_pacs_pushes_by_stow(
    pacs: Orthanc, images: list[Path], inbox: Inbox, admitted: Admitted
) -> None:
    with StowServer(inbox, StowSettings(port=0, token=TOKEN)) as server:
        pacs.put(
            "/dicom-web/servers/trifed",
            {
                "Url": f"http://127.0.0.1:{server.port}/",
                "HttpHeaders": {"Authorization": f"Bearer {TOKEN}"},
            },
        )
        answer = pacs.post(
            "/dicom-web/servers/trifed/stow", json={"Resources": pacs.get("/studies")}
        )
        assert answer.status_code == 200, answer.text
    assert inbox.drain().admitted == len(images) == admitted()


@pytest.mark.parametrize("token", ["x", "wrong", TOKEN + "x", TOKEN[:-1]])
def test_a_wrong_token_stores_nothing(token: str, inbox: Inbox, images: list[Path]) -> None:
    with serving(inbox) as post:
        assert post(body_of(images[0].read_bytes()), token=token).status_code == 401
    assert not inbox.waiting()


def test_a_part_that_is_no_object_is_answered_for_and_the_others_are_stored(
    inbox: Inbox, images: list[Path]
) -> None:
    with serving(inbox) as post:
        answer = post(body_of(b"GIF89a" * 100, images[0].read_bytes()))
    assert answer.status_code == 202
    assert answer.json()["0008119A"]["Value"][0]["00081197"]["Value"] == [0xC000]
    assert len(answer.json()["00081199"]["Value"]) == 1
    assert inbox.waiting() == 1


def test_a_part_larger_than_allowed_is_answered_for_and_the_others_are_stored(
    data: Path, images: list[Path]
) -> None:
    inbox = Inbox(data, largest_bytes=1_000_000, reserve_bytes=0)
    content = images[0].read_bytes()
    with serving(inbox) as post:
        answer = post(body_of(content + bytes(1_000_000), content))
    assert answer.status_code == 202
    (failed,) = answer.json()["00081198"]["Value"]
    assert failed["00081197"]["Value"] == [0x0110]
    assert failed["00081155"]["Value"] == [file_meta(content).instance]
    assert inbox.waiting() == 1


def test_a_class_that_is_not_stored_is_refused_by_its_reason(
    inbox: Inbox, images: list[Path]
) -> None:
    content = images[0].read_bytes()
    other = content.replace(b"1.2.840.10008.5.1.4.1.1.1.1\0", b"1.2.840.10008.5.1.4.9.1.1.1\0", 1)
    assert other != content
    with serving(inbox) as post:
        answer = post(body_of(other))
    assert answer.status_code == 409
    assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0x0122]


def test_a_full_disk_is_answered_as_out_of_resources(data: Path, images: list[Path]) -> None:
    with serving(Inbox(data, reserve_bytes=1 << 60)) as post:
        answer = post(body_of(images[0].read_bytes()))
    assert answer.status_code == 409
    assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xA700]


def test_a_request_of_endless_parts_is_cut_off(inbox: Inbox) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"--mark\r\n\r\nx\r\n" * 1000

    limits = PartLimits(parts=5000)  # the server may hang up while we still send
    with serving(inbox, limits=limits) as post, suppress(httpx.TransportError):
        assert post(endless()).status_code == 400
    assert not inbox.waiting()
    assert not list((inbox.folder / "parts").iterdir())


def test_a_request_that_is_too_long_is_cut_off(inbox: Inbox, images: list[Path]) -> None:
    limits = PartLimits(total_bytes=100_000)
    with serving(inbox, limits=limits) as post, suppress(httpx.TransportError):
        assert post(body_of(images[0].read_bytes())).status_code == 400
    assert not inbox.waiting()


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/dicom", 415),
        ('multipart/related; type="application/dicom+json"; boundary=mark', 415),
        ('multipart/related; type="application/dicom"', 415),
        ('multipart/related; type="application/dicom"; boundary=other', 400),
    ],
)
def test_another_media_type_or_boundary_is_refused(
    kind: str, status: int, inbox: Inbox, images: list[Path]
) -> None:
    with serving(inbox) as post:
        assert post(body_of(images[0].read_bytes()), kind=kind).status_code == status
    assert not inbox.waiting()


def test_an_answer_of_refusal_names_nothing_of_the_object(inbox: Inbox, images: list[Path]) -> None:
    with serving(inbox) as post:
        answer = post(body_of(images[0].read_bytes())[:-20])
    assert answer.status_code == 400
    assert json.loads(answer.text)["code"] == "TF548"
    assert file_meta(images[0].read_bytes()).instance not in answer.text


def test_tls_is_served_with_the_hospital_s_certificate(
    inbox: Inbox, images: list[Path], tls: Tls
) -> None:
    settings = StowSettings(port=0, token=TOKEN, certificate=str(tls.certificate), key=str(tls.key))
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": KIND}
    body = body_of(images[0].read_bytes())
    with StowServer(inbox, settings) as server:
        url = f"https://127.0.0.1:{server.port}/studies/1.2.3"
        with httpx.Client(verify=tls.client(), trust_env=False) as client:
            assert client.post(url, content=body, headers=headers).status_code == 200
        stranger = httpx.Client(verify=ssl.create_default_context(), trust_env=False)
        with stranger, pytest.raises(httpx.ConnectError):
            stranger.post(url, content=body, headers=headers)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 100_000])
def test_a_message_is_taken_apart_the_same_however_it_is_cut(step: int) -> None:
    parts = [b"", b"one", b"\r\n--mar", b"\r\n--mark"[:-1] * 50, bytes(range(256)) * 40]
    message = b"preamble\r\n" + body_of(*parts) + b"epilogue"
    taken, found = Multipart("mark", PartLimits()), []
    for at in range(0, len(message), step):
        for one in taken.feed(message[at : at + step]):
            if isinstance(one, PartBegins):
                assert one.headers == {"content-type": "application/dicom"}
                found.append(b"")
            elif isinstance(one, PartBytes):
                found[-1] += one.content
            else:
                assert isinstance(one, PartEnds)
    taken.close()
    assert found == parts


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"x" * 10_000, "does not begin"),
        (b"--mark\r\n" + b"a: b\r\n" * 5000, "headers"),
        (b"--markX\r\n", "followed by something else"),
        (b"--mark\r\n\r\nabc", "ends before"),
        (b"--mark\r\n\r\n" + b"x" * 5000, "a part is longer"),
    ],
)
def test_a_malformed_message_is_refused(message: bytes, why: str) -> None:
    taken = Multipart("mark", PartLimits(part_bytes=4096))
    with pytest.raises(MultipartError, match=why):
        list(taken.feed(message))
        taken.close()


def test_a_boundary_is_read_quoted_and_bare() -> None:
    assert boundary_of("multipart/related; boundary=abc; type=application/dicom") == "abc"
    assert boundary_of('Multipart/Related;type="application/dicom"; boundary="a b"') == "a b"


@pytest.mark.parametrize("cut", [0, 100, 131, 132, 140, 160, 200])
def test_the_head_of_a_file_is_whole_or_refused(cut: int, images: list[Path]) -> None:
    with pytest.raises(NotAnObjectError):
        file_meta(images[0].read_bytes()[:cut])
