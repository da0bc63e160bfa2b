import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from clients.data.ways_in.sources import read_sources
from federation.commands.node import ways_in
from federation.errors.sources import (
    FetchIncompleteError,
    FetchQueryError,
    NothingToReceiveError,
    PacsUnreachableError,
    SourcesFileError,
)
from tests.data.ways_in.orthanc import TITLE, Orthanc, free_port

RUN = "import sys; from federation.commands.node.ways_in import app; app(sys.argv[1:])"


def configured(home: Path, pacs: Orthanc | None = None, *, receiver: int = 0) -> Path:
    home.mkdir(exist_ok=True)
    port = pacs.dicom_port if pacs else free_port()
    web = pacs.web_port if pacs else free_port()
    (home / "sources.toml").write_text(
        f"""
[[pacs]]
name = "main"
host = "localhost"
port = {port}
ae_title = "{TITLE}"
calling_ae_title = "TRIFED"
[[dicomweb]]
name = "web"
url = "http://127.0.0.1:{web}/dicom-web"
[receiver]
ae_title = "TRIFED"
host = "127.0.0.1"
port = {receiver or free_port()}
allowed_callers = ["{TITLE}"]
[watch]
folder = "export"
settle_s = 0.3
"""
    )
    return home


def invoke(*arguments: object, home: Path) -> Result:
    words = [*map(str, arguments), "--home", str(home)]
    return CliRunner().invoke(ways_in.app, words, env={"TRIFED_LANG": "en"})


@contextmanager
def running(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", RUN, *arguments, "--home", str(home)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TRIFED_LANG": "en"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    "arguments",
    [
        ("main",),
        pytest.param(("main", "--via", "move"), marks=pytest.mark.slow),
        pytest.param(("web",), marks=pytest.mark.slow),
    ],
)
def test_fetch_brings_everything_and_again_nothing(
    arguments: tuple[str, ...], pacs: Orthanc, images: list[Path], tmp_path: Path
) -> None:
    home = configured(tmp_path / "home", pacs)
    receiver = read_sources(home).receiving()
    pacs.knows("TRIFED", receiver.port)
    first = invoke("fetch", *arguments, "--modality", "dx", "--json", home=home)
    again = invoke("fetch", *arguments, "--json", home=home)

    assert first.exception is None, first.exception
    told = json.loads(first.stdout)
    assert told["series"]["failed"] == 0
    assert told["objects"] == {"received": len(images), "missing": 0}
    assert told["intake"]["new"] == len(images)
    assert json.loads(again.stdout)["series"]["here_before"] == told["series"]["planned"]
    assert len(list((home / "data" / "dicom").rglob("*.dcm"))) == len(images)


def test_receive_takes_in_what_a_pacs_pushes_and_what_a_move_asks_for(
    pacs: Orthanc, images: list[Path], tmp_path: Path
) -> None:
    port = free_port()
    home = configured(tmp_path / "home", pacs, receiver=port)
    pacs.knows("TRIFED", port)
    with running(home, "receive", "--json") as process:
        assert _listens(port)
        pushed = pacs.post("/modalities/TRIFED/store", json=pacs.get("/instances"))
        assert pushed.status_code == 200
        moved = invoke("fetch", "main", "--via", "move", "--json", home=home)
        assert moved.exception is None, moved.exception
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    told = json.loads(out)
    assert told["received"] == 2 * len(images)
    assert told["refused"] == {}
    assert json.loads(moved.stdout)["objects"] == {"received": len(images), "missing": 0}
    assert len(list((home / "data" / "dicom").rglob("*.dcm"))) == len(images)
    assert not list((home / "data" / "inbox" / "ready").iterdir())


@pytest.mark.slow
def test_watch_takes_in_a_folder_until_it_is_stopped(images: list[Path], tmp_path: Path) -> None:
    home = configured(tmp_path / "home")
    (home / "export").mkdir()
    shutil.copy(images[0], home / "export")
    with running(home, "watch", "--json") as process:
        deadline = time.monotonic() + 40
        while not list((home / "data").rglob("*.dcm")) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["intake"]["new"] == 1


@pytest.mark.slow
def test_check_says_which_source_answers(pacs: Orthanc, tmp_path: Path) -> None:
    good = invoke("sources", "check", "--json", home=configured(tmp_path / "a", pacs))
    bad = invoke("sources", "check", "--json", home=configured(tmp_path / "b"))
    assert (good.exit_code, bad.exit_code) == (0, 1)
    assert [one["ok"] for one in json.loads(good.stdout)] == [True, True]
    assert [one["code"] for one in json.loads(bad.stdout)] == ["TF543", "TF547"]


def test_a_fetch_from_a_pacs_that_is_not_there_fails_with_its_code(tmp_path: Path) -> None:
    home = configured(tmp_path / "home")
    assert isinstance(invoke("fetch", "main", home=home).exception, PacsUnreachableError)


def test_a_fetch_that_is_not_whole_is_not_a_success(
    pacs: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clients.data.ways_in.dicomweb import WebArchive

    monkeypatch.setattr(WebArchive, "retrieve", lambda *_, **__: None)
    monkeypatch.setattr("clients.data.ways_in.fetch.FAILURES_IN_A_ROW", 1000)
    done = invoke("fetch", "web", "--json", home=configured(tmp_path / "home", pacs))
    assert isinstance(done.exception, FetchIncompleteError)
    assert json.loads(done.stdout)["errors"]["TF546"] > 0


@pytest.mark.parametrize(("source", "via"), [("main", "wado"), ("web", "move"), ("web", "get")])
def test_a_way_that_a_source_does_not_have_is_refused(
    source: str, via: str, tmp_path: Path
) -> None:
    home = configured(tmp_path / "home")
    done = invoke("fetch", source, "--via", via, home=home)
    assert isinstance(done.exception, FetchQueryError)


def test_receive_without_a_receiver_is_refused(tmp_path: Path) -> None:
    assert isinstance(invoke("receive", home=tmp_path).exception, NothingToReceiveError)


def test_show_and_template_speak_both_languages(tmp_path: Path) -> None:
    home = configured(tmp_path / "home")
    assert json.loads(invoke("sources", "show", "--json", home=home).stdout)["pacs"]
    assert "[pacs] name=main" in invoke("sources", "show", home=home).stdout
    words = ["sources", "show", "--home", str(tmp_path / "none")]
    chinese = CliRunner().invoke(ways_in.app, words, env={"TRIFED_LANG": "zh-Hant-TW"})
    assert "尚未設定" in chinese.stdout
    template = CliRunner().invoke(ways_in.app, ["sources", "template"]).stdout
    assert "[[pacs]]" in template and "擷取" in template


def test_the_commands_start_without_the_heavy_packages() -> None:
    code = (
        "import sys, federation.commands.node.ways_in;"
        "print([m for m in ('pynetdicom', 'pydicom', 'uvicorn', 'numpy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def _listens(port: int) -> bool:
    import socket

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.1)
    return False


@pytest.mark.parametrize("below", [".", "data", "data/inbox"])
def test_the_nodes_own_folder_is_not_watched(tmp_path: Path, below: str) -> None:
    home = configured(tmp_path / "home")
    (home / below).mkdir(parents=True, exist_ok=True)
    result = invoke("watch", home / below, home=home)
    assert result.exit_code == 2
    assert "own data" in result.output


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "9" * 5000,
        "x = " + "[" * 5000 + "]" * 5000,
        '[[dicomweb]]\nname = "w"\nurl = "http://a..b/x"',
        '[[dicomweb]]\nname = "w"\nurl = "http://host:99999/x"',
        '[receiver]\nae_title = "T"\nport = 1\nallowed_callers = ["A"]\nallowed_hosts = ["pacs"]',
    ],
)
def test_a_hostile_sources_file_is_a_coded_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "sources.toml").write_text(text)
    with pytest.raises(SourcesFileError):
        read_sources(tmp_path)
