import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom import dcmread
from pynetdicom.dsutils import encode

from clients.data.phantoms import GeneratedSite
from clients.data.ways_in import dimse
from clients.data.ways_in.dimse import Bounds
from clients.data.ways_in.drain import Drainer
from clients.data.ways_in.inbox import Inbox
from clients.data.ways_in.part10 import file_meta
from clients.data.ways_in.receiver import Receiver, ReceiverSettings, store_object
from federation.errors.machine import PortTakenError
from federation.errors.sources import NotAnObjectError, ReceiverRunsError
from tests.data.ways_in.conftest import Admitted, Tls
from tests.data.ways_in.orthanc import TITLE, Orthanc

CALLERS = frozenset({TITLE, "CT1"})


def listening(**values: object) -> ReceiverSettings:
    return ReceiverSettings(
        **{"ae_title": "TRIFED", "port": 0, "callers": CALLERS, "host": "127.0.0.1", **values}  # type: ignore[arg-type]
    )


@contextmanager
def sender(
    port: int,
    *,
    title: str = "CT1",
    called: str = "TRIFED",
    classes: tuple[str, ...] = ("1.2.840.10008.5.1.4.1.1.1.1",),
    tls: ssl.SSLContext | None = None,
) -> Iterator[Any]:
    entity = dimse.open_entity(title, Bounds(answer_s=20, connect_s=5))
    contexts = [*dimse.contexts_of(classes), dimse.echo_context()]
    association = entity.associate(
        "127.0.0.1",
        port,
        contexts=contexts,
        ae_title=called,
        tls_args=None if tls is None else (tls, "127.0.0.1"),
    )
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        if association.is_alive():
            association.join(timeout=10)


def status_of_sending(port: int, path: Path) -> int:
    with sender(port) as association:
        assert association.is_established
        answer = association.send_c_store(dcmread(path))
        return int(answer.Status) if answer else -1


def test_a_real_pacs_pushes_everything_and_all_of_it_is_taken_in(
    pacs: Orthanc, images: list[Path], inbox: Inbox, admitted: Admitted
) -> None:
    with (
        Drainer(inbox) as drainer,
        Receiver(inbox, listening(), arrived=drainer.nudge) as receiver,
    ):
        pacs.knows("TRIFED", receiver.port)
        answer = pacs.post("/modalities/TRIFED/store", json=pacs.get("/instances"))
    assert answer.status_code == 200, answer.text
    assert receiver.counts == {"received": len(images)}
    assert drainer.total.admitted == len(images) == admitted()
    assert not inbox.waiting()


def test_a_pushed_object_is_kept_byte_for_byte(inbox: Inbox, images: list[Path]) -> None:
    with Receiver(inbox, listening()) as receiver:
        assert status_of_sending(receiver.port, images[0]) == 0
    (kept,) = (inbox.folder / "ready").iterdir()
    sent = encode(dcmread(images[0]), False, True)
    assert sent is not None
    assert kept.read_bytes().endswith(sent)
    assert file_meta(kept.read_bytes()).instance == file_meta(images[0].read_bytes()).instance
    assert kept.stat().st_mode & 0o777 == 0o600


def test_the_same_object_sent_twice_lies_there_once(inbox: Inbox, images: list[Path]) -> None:
    with Receiver(inbox, listening()) as receiver:
        assert status_of_sending(receiver.port, images[0]) == 0
        assert status_of_sending(receiver.port, images[0]) == 0
    assert inbox.waiting() == 1


def test_an_echo_is_answered(inbox: Inbox) -> None:
    with Receiver(inbox, listening()) as receiver, sender(receiver.port) as association:
        assert association.send_c_echo().Status == 0


@pytest.mark.parametrize(("title", "called"), [("STRANGER", "TRIFED"), ("CT1", "OTHER")])
def test_an_unknown_caller_or_a_wrong_called_title_is_refused(
    title: str, called: str, inbox: Inbox
) -> None:
    with (
        Receiver(inbox, listening()) as receiver,
        sender(receiver.port, title=title, called=called) as association,
    ):
        assert association.is_rejected
    assert receiver.counts == {"TF550": 1}


def test_an_unknown_address_is_closed_before_it_can_say_anything(inbox: Inbox) -> None:
    with (
        Receiver(inbox, listening(hosts=frozenset({"192.0.2.1"}))) as receiver,
        sender(receiver.port) as association,
    ):
        assert not association.is_established
    assert receiver.counts == {"TF550": 1}


def test_more_associations_than_allowed_are_refused_and_later_ones_served(inbox: Inbox) -> None:
    with Receiver(inbox, listening(associations=2)) as receiver:
        with ExitStack() as held:
            for _ in range(2):
                assert held.enter_context(sender(receiver.port)).is_established
            assert held.enter_context(sender(receiver.port)).is_rejected
        assert receiver.counts == {"TF551": 1}
        with sender(receiver.port) as association:
            assert association.send_c_echo().Status == 0


def test_an_object_larger_than_allowed_is_refused_and_the_next_one_is_stored(
    inbox: Inbox, images: list[Path], tmp_path: Path
) -> None:
    small = dcmread(images[0])
    small.Rows = small.Columns = 8
    small.PixelData = small.PixelData[:128]
    bounds = Bounds(object_bytes=64 * 1024)
    with (
        Receiver(inbox, listening(bounds=bounds)) as receiver,
        sender(receiver.port) as association,
    ):
        assert association.send_c_store(dcmread(images[0])).Status == 0xC549
        assert association.send_c_store(small).Status == 0
    assert receiver.counts == {"TF549": 1, "received": 1}
    assert inbox.waiting() == 1


def test_an_object_that_never_ends_is_cut_off(inbox: Inbox, images: list[Path]) -> None:
    bounds = Bounds(object_bytes=4 * 1024, pdu_bytes=16 * 1024)
    with (
        Receiver(inbox, listening(bounds=bounds)) as receiver,
        sender(receiver.port) as association,
    ):
        assert not association.send_c_store(dcmread(images[0]))
    assert inbox.waiting() == 0


def test_a_full_disk_is_answered_as_out_of_resources(data: Path, images: list[Path]) -> None:
    inbox = Inbox(data, reserve_bytes=1 << 60)
    with Receiver(inbox, listening()) as receiver:
        assert status_of_sending(receiver.port, images[0]) == 0xA700
    assert receiver.counts == {"TF802": 1}
    assert not inbox.waiting()


def test_an_object_without_content_or_without_its_uids_is_refused(inbox: Inbox) -> None:
    empty = SimpleNamespace(request=SimpleNamespace(DataSet=io.BytesIO()))
    nameless = SimpleNamespace(request=SimpleNamespace(DataSet=io.BytesIO(b"x")))
    for event in (empty, nameless):
        with pytest.raises(NotAnObjectError):
            store_object(inbox, event)
    assert not inbox.waiting()


def test_tls_with_a_client_certificate_is_served_and_without_one_is_not(
    inbox: Inbox, images: list[Path], tls: Tls
) -> None:
    from clients.data.ways_in.sources import server_tls

    context = server_tls(tls.certificate, tls.key, client_ca=tls.ca)
    known = tls.client(certificate=tls.certificate, key=tls.key)
    stranger = tls.client(certificate=tls.stranger, key=tls.stranger_key)
    with Receiver(inbox, listening(tls=context)) as receiver:
        with sender(receiver.port, tls=known) as association:
            assert association.send_c_store(dcmread(images[0])).Status == 0
        for refused in (stranger, tls.client(), None):
            with sender(receiver.port, tls=refused) as association:
                assert not association.is_established
    assert inbox.waiting() == 1
    assert receiver.counts["TF550"] == 3


def test_a_connection_that_says_nothing_does_not_keep_others_waiting(
    inbox: Inbox, tls: Tls
) -> None:
    from clients.data.ways_in.sources import server_tls

    context = server_tls(tls.certificate, tls.key)
    with (
        Receiver(inbox, listening(tls=context)) as receiver,
        socket.create_connection(("127.0.0.1", receiver.port)),
        sender(receiver.port, tls=tls.client()) as association,
    ):
        assert association.send_c_echo().Status == 0


def test_half_a_message_is_cut_off_after_the_time_of_silence(inbox: Inbox) -> None:
    bounds = Bounds(silence_s=0.5, connect_s=0.5)
    with (
        Receiver(inbox, listening(bounds=bounds)) as receiver,
        socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as half,
    ):
        half.sendall(b"\x01\x00\x00")
        assert half.recv(64) in (b"", b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x00")


def test_a_message_that_claims_four_gigabytes_is_cut_off_at_once(inbox: Inbox) -> None:
    with (
        Receiver(inbox, listening()) as receiver,
        socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as flood,
    ):
        flood.sendall(b"\x01\x00\xff\xff\xff\xff" + b"x" * 1000)
        with suppress(ConnectionResetError):
            assert flood.recv(64) in (b"", b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x00")


def test_a_second_receiver_of_the_same_folder_is_refused(inbox: Inbox) -> None:
    with Receiver(inbox, listening()), pytest.raises(ReceiverRunsError):
        Receiver(inbox, listening()).__enter__()


def test_a_taken_port_is_told(inbox: Inbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortTakenError):
        Receiver(inbox, listening(port=taken.getsockname()[1])).__enter__()


def test_nothing_of_a_patient_lies_in_the_inbox_but_the_objects(
    inbox: Inbox, images: list[Path], hospital: GeneratedSite
) -> None:
    with Receiver(inbox, listening()) as receiver:
        assert status_of_sending(receiver.port, images[0]) == 0
    names = [str(path.relative_to(inbox.data)) for path in inbox.data.rglob("*")]
    assert not [word for word in hospital.planted if any(word in name for name in names)]
    assert all(path.stat().st_mode & 0o077 == 0 for path in inbox.data.rglob("*"))


def test_no_thread_is_left_behind(inbox: Inbox, images: list[Path]) -> None:
    before = threading.active_count()
    with Receiver(inbox, listening()) as receiver:
        assert status_of_sending(receiver.port, images[0]) == 0
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert threading.active_count() <= before
