import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from clients.data.phantoms import GeneratedSite
from clients.data.ways_in import dimse
from clients.data.ways_in.archive import Archive, Query, read_patients
from clients.data.ways_in.dicomweb import Web, WebArchive
from clients.data.ways_in.dimse import Bounds
from clients.data.ways_in.fetch import Fetched, fetch
from clients.data.ways_in.inbox import Inbox
from clients.data.ways_in.pacs import Arrivals, Pacs, PacsArchive, echo
from clients.data.ways_in.receiver import Receiver, ReceiverSettings
from clients.data.ways_in.transfers import Transfers
from federation.errors.sources import (
    DicomwebAnswerError,
    FetchIncompleteError,
    FetchQueryError,
    PacsUnreachableError,
)
from tests.data.ways_in import orthanc as programs
from tests.data.ways_in.conftest import Admitted
from tests.data.ways_in.orthanc import TITLE, Orthanc, free_port

MANY = frozenset({"CT", "MR", "CR", "DX", "US", "XA", "NM", "PT", "MG", "OT", "ES", "RF", "SM"})
WAYS = ["get", "move", "wado"]
MORE_WAYS = [pytest.param(way, marks=pytest.mark.slow) for way in WAYS[1:]]


def asked(pacs: Orthanc) -> Pacs:
    return Pacs("main", "127.0.0.1", pacs.dicom_port, TITLE, "TRIFED")


@contextmanager
def opened(way: str, pacs: Orthanc, inbox: Inbox) -> Iterator[Archive]:
    if way == "get":
        with PacsArchive(asked(pacs), inbox) as archive:
            yield archive
    elif way == "wado":
        with WebArchive(Web("web", f"{pacs.url}/dicom-web"), inbox) as archive:
            yield archive
    else:
        arrivals = Arrivals()
        settings = ReceiverSettings("TRIFED", 0, frozenset({TITLE}), host="127.0.0.1")
        with Receiver(inbox, settings, received=arrivals.tell) as receiver:
            pacs.knows("TRIFED", receiver.port)
            found = PacsArchive(asked(pacs), inbox, destination="TRIFED", arrivals=arrivals)
            with found as archive:
                yield archive


def test_a_pacs_answers_an_echo(pacs: Orthanc) -> None:
    echo(asked(pacs))


def test_a_port_without_a_pacs_is_told(pacs: Orthanc) -> None:
    with pytest.raises(PacsUnreachableError, match="no connection"):
        echo(replace(asked(pacs), port=free_port()))


@pytest.mark.parametrize("way", WAYS)
def test_everything_is_fetched_once_and_taken_in(
    way: str,
    pacs: Orthanc,
    images: list[Path],
    inbox: Inbox,
    transfers: Transfers,
    admitted: Admitted,
) -> None:
    with opened(way, pacs, inbox) as archive:
        first = fetch(archive, Query(), transfers)
        drained = inbox.drain()
        again = fetch(archive, Query(), transfers)

    first.check()
    assert first.objects == len(images) == drained.given == drained.admitted == admitted()
    assert again == Fetched(planned=first.planned, here_before=first.planned)
    assert not inbox.waiting()
    assert inbox.drain().given == 0


@pytest.mark.parametrize("way", WAYS)
def test_what_is_new_in_a_known_series_is_fetched_alone(
    way: str, pacs: Orthanc, inbox: Inbox, transfers: Transfers, images: list[Path]
) -> None:
    with opened(way, pacs, inbox) as archive:
        fetch(archive, Query(), transfers)
        uid = next(iter(archive.plan(Query()))).uid
        transfers.finish_series(archive.name, uid, instances=0)  # as if it had been smaller
        transfers._write("DELETE FROM instances")
        more = fetch(archive, Query(), transfers)

    assert more.objects == 1
    assert inbox.waiting() == len(images)


@pytest.mark.parametrize("way", WAYS)
def test_a_query_asks_only_for_what_it_names(
    way: str, pacs: Orthanc, inbox: Inbox, tmp_path: Path, hospital: GeneratedSite
) -> None:
    with opened(way, pacs, inbox) as archive:
        everything = list(archive.plan(Query()))
        assert everything
        assert {one.modality for one in everything} == {"DX"}
        assert not list(archive.plan(Query(modalities=frozenset({"CT"}))))
        assert len(list(archive.plan(Query(modalities=frozenset({"CT", "DX"}))))) == len(everything)
        assert not list(archive.plan(Query(body_parts=frozenset({"FOOT"}))))
        assert len(list(archive.plan(Query(body_parts=frozenset({"CHEST"}))))) == len(everything)
        assert not list(archive.plan(Query(last_day=date(2024, 12, 31))))
        january = Query(first_day=date(2025, 1, 1), last_day=date(2025, 1, 31))
        assert 0 < len(list(archive.plan(january))) < len(everything)
        first = Path(str(hospital.labels)).read_text().splitlines()[1].split(",")[1]
        listed = tmp_path / "patients.txt"
        listed.write_text(f"{first}\n")
        mine = list(archive.plan(Query(patients=read_patients(listed))))
        assert 0 < len(mine) < len(everything)


FETCH = """
import sys, time
from contextlib import ExitStack
from pathlib import Path
from clients.data.ways_in.archive import Query
from clients.data.ways_in.dicomweb import Web, WebArchive
from clients.data.ways_in.fetch import fetch
from clients.data.ways_in.inbox import Inbox
from clients.data.ways_in.pacs import Arrivals, Pacs, PacsArchive
from clients.data.ways_in.receiver import Receiver, ReceiverSettings
from clients.data.ways_in.transfers import Transfers
way, data, port, url, ours = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]
inbox = Inbox(data, reserve_bytes=0)
pacs = Pacs("main", "127.0.0.1", port, "TESTPACS", "TRIFED")
def slowly(result):
    print(result.objects, flush=True)
    time.sleep(0.05)
with ExitStack() as held:
    transfers = held.enter_context(Transfers(data))
    if way == "wado":
        archive = WebArchive(Web("main", url), inbox)
    elif way == "get":
        archive = PacsArchive(pacs, inbox)
    else:
        told = Arrivals()
        settings = ReceiverSettings("TRIFED", int(ours), frozenset({"TESTPACS"}), host="127.0.0.1")
        held.enter_context(Receiver(inbox, settings, received=told.tell))
        archive = PacsArchive(pacs, inbox, destination="TRIFED", arrivals=told)
    fetch(held.enter_context(archive), Query(), transfers, progress=slowly)
"""


@pytest.mark.parametrize("way", ["get", *MORE_WAYS])
def test_a_fetch_killed_half_way_and_run_again_loses_nothing_and_doubles_nothing(
    way: str,
    pacs: Orthanc,
    images: list[Path],
    data: Path,
    inbox: Inbox,
    transfers: Transfers,
    admitted: Admitted,
) -> None:
    ours = free_port()
    pacs.knows("TRIFED", ours)
    where = [str(pacs.dicom_port), f"{pacs.url}/dicom-web", str(ours)]
    command = [sys.executable, "-c", FETCH, way, str(data), *where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= len(images) // 2:
                process.kill()
                break
    there = inbox.waiting()
    assert 0 < there < len(images)

    with opened("get", pacs, inbox) as archive:
        rest = fetch(archive, Query(), transfers)

    rest.check()
    assert rest.objects in (len(images) - there, len(images) - there + 1)
    assert inbox.waiting() == len(images)
    assert inbox.drain().new == len(images) == admitted()


def test_objects_that_the_archive_lists_but_does_not_send_are_counted_and_asked_for_again(
    pacs: Orthanc, inbox: Inbox, transfers: Transfers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened("get", pacs, inbox) as archive:
        retrieve = archive.retrieve
        monkeypatch.setattr(archive, "retrieve", lambda *_, **__: None)
        result = Fetched()
        with pytest.raises(Exception, match="were not sent"):
            fetch(archive, Query(), transfers, result=result)
        assert result.errors == {"TF546": 5}
        with pytest.raises(FetchIncompleteError, match="TF546"):
            result.check()
        monkeypatch.setattr(archive, "retrieve", retrieve)
        fetch(archive, Query(), transfers).check()


def test_the_memory_of_transfers_holds_no_uid_and_no_path(
    pacs: Orthanc, inbox: Inbox, data: Path
) -> None:
    with Transfers(data) as transfers, opened("get", pacs, inbox) as archive:
        fetch(archive, Query(), transfers)
        uids = [one.uid for one in archive.plan(Query())]
        transfers.add_file(Path("/mnt/WANG_XIAOMING.dcm"), size_bytes=1, changed_ns=1)
    files = list(data.glob("transfers.db*"))
    content = b"".join(path.read_bytes() for path in files)

    assert content
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
    assert not [uid for uid in uids if uid.encode() in content]
    assert b"WANG" not in content


def test_a_web_server_that_refuses_is_told(pacs: Orthanc, inbox: Inbox) -> None:
    with (
        WebArchive(Web("web", f"{pacs.url}/nothing-here"), inbox) as archive,
        pytest.raises(DicomwebAnswerError, match="HTTP status 404"),
    ):
        archive.probe()


@pytest.mark.parametrize("line", ["A*", "A?", "A\\B", "x" * 65])
def test_a_file_of_patients_with_a_wildcard_is_refused_without_naming_it(
    line: str, tmp_path: Path
) -> None:
    listed = tmp_path / "patients.txt"
    listed.write_text(f"P1\n{line}\n")
    with pytest.raises(FetchQueryError, match="Patient ID 2") as caught:
        read_patients(listed)
    assert line not in str(caught.value)


def test_days_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(FetchQueryError):
        Query(first_day=date(2025, 2, 1), last_day=date(2025, 1, 1))


def test_a_query_does_not_show_its_patients() -> None:
    assert "P1234" not in repr(Query(patients=("P1234",)))


@pytest.fixture(scope="module")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """A PACS that holds what it takes of the shared real files, many broken on purpose."""
    if why := programs.missing():
        pytest.skip(why)
    with programs.running(tmp_path_factory.mktemp("real")) as found:
        found.add(*(path for path in (shared_data / "dicom-real").rglob("*") if path.is_file()))
        yield found


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_real_objects_of_many_kinds_and_encodings_are_fetched_and_all_accounted_for(
    way: str, real: Orthanc, inbox: Inbox, transfers: Transfers
) -> None:
    with opened(way, real, inbox) as archive:
        first = fetch(archive, Query(modalities=MANY), transfers)
        again = fetch(archive, Query(modalities=MANY), transfers)

    assert first.planned == first.fetched + first.failed == again.here_before + again.failed
    assert first.failed <= 3  # files so broken that Orthanc itself cannot send them
    assert first.objects >= 115
    assert again.objects == 0
    drained = inbox.drain()
    assert drained.given == drained.admitted + drained.duplicates + drained.quarantined.total()
    assert drained.new >= 60


def test_an_answer_is_not_taken_by_the_thread_that_waits_for_requests() -> None:
    class Association(threading.Thread):
        is_requestor = True
        dimse_timeout = 1.0

        def run(self) -> None:
            stolen.append(messages.get_msg(block=False))

    stolen: list[Any] = []
    association = Association()
    messages = dimse._BoundedMessages(association, Bounds(), None)
    messages.msg_queue.put((1, "an answer"))
    association.start()
    association.join()
    assert stolen == [(None, None)]
    assert messages.get_msg(block=False) == (1, "an answer")


def test_a_series_of_which_nothing_is_listed_is_asked_for_again(
    pacs: Orthanc, inbox: Inbox, transfers: Transfers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened("get", pacs, inbox) as archive:
        monkeypatch.setattr(archive, "instances", lambda _: {})
        result = Fetched()
        with pytest.raises(Exception, match="were not sent"):
            fetch(archive, Query(), transfers, result=result)
        assert result.errors == {"TF546": 5}
        monkeypatch.undo()
        fetch(archive, Query(), transfers).check()
