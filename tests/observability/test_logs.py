"""Log lines: for people or for machines, one a line, nothing of a patient."""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation import observability as observed
from federation.domain.ids import RunId, SiteId, StudyId
from federation.errors.observation import CheckupOffError, ObservationSettingsError
from federation.observability import settings
from federation.observability.logs import LONGEST, formatter_of
from federation.observability.settings import LogFormat
from federation.supervision.process import log_to

PATIENT = "CHEN^MEI-LING A123456789"
log = logging.getLogger("test.lines")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.FORMAT_VARIABLE, raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield tmp_path
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def lines_of(home: Path) -> list[str]:
    return (home / "logs" / "centre.log").read_text(encoding="utf-8").splitlines()


def in_json(home: Path) -> None:
    (home / "centre.toml").write_text('[centre]\nname = "C"\n[logs]\nformat = "json"\n')
    log_to(home / "logs" / "centre.log")


def test_the_default_is_a_line_for_people(home: Path) -> None:
    log_to(home / "logs" / "centre.log")
    with observed.study(StudyId("cxr"), run=RunId("cxr.1")), observed.round(2):
        log.warning("[%s] %s", "TF251", "No.")

    (line,) = lines_of(home)
    assert line.endswith("WARNING test.lines [TF251] No. (study=cxr run=cxr.1 round=2 kind=train)")


def test_a_json_line_has_its_code_and_context_as_fields(home: Path) -> None:
    in_json(home)
    error = CheckupOffError()
    study = observed.study(StudyId("cxr"), run=RunId("cxr.1"))
    with study, observed.round(2), observed.site(SiteId("north")):
        log.warning("[%s] %s", error.code, error.say())
    log.info("all is well: 一切正常")

    first, second = (json.loads(line) for line in lines_of(home))
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "WARNING",
        "logger": "test.lines",
        "code": "TF251",
        "study": "cxr",
        "run": "cxr.1",
        "round": 2,
        "kind": "train",
        "site": "north",
        "what": error.say(),
    }
    assert second.keys() == {"time", "level", "logger", "what"}


def test_the_variable_goes_before_the_table(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.FORMAT_VARIABLE, "json")
    log_to(home / "logs" / "centre.log")
    log.info("one")

    assert json.loads(lines_of(home)[0])["what"] == "one"


@pytest.mark.parametrize("form", LogFormat)
def test_of_an_unforeseen_error_kind_and_places_are_logged_and_not_its_words(
    form: LogFormat, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.FORMAT_VARIABLE, form.value)
    log_to(home / "logs" / "centre.log")
    try:
        try:
            raise KeyError(PATIENT)
        except KeyError as error:
            raise RuntimeError(PATIENT) from error
    except RuntimeError:
        log.exception("a task failed")

    text = "\n".join(lines_of(home))
    assert "a task failed: RuntimeError" in text and __name__ in text
    assert "CHEN" not in text and "A123456789" not in text


@pytest.mark.parametrize("form", LogFormat)
@pytest.mark.parametrize(
    "words", ["a\n2026-10-01 CRITICAL forged", "a\rb", "a\x1b[2Jb", "a\u2028b"]
)
def test_words_of_another_side_cannot_begin_a_line_or_move_the_cursor(
    form: LogFormat, words: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.FORMAT_VARIABLE, form.value)
    log_to(home / "logs" / "centre.log")
    log.info("%s", words)

    assert len(lines_of(home)) == 1
    assert lines_of(home)[0].isprintable()


def test_a_line_has_a_largest_length(home: Path) -> None:
    in_json(home)
    log.info("x" * 10**6)

    assert len(json.loads(lines_of(home)[0])["what"]) == LONGEST


@pytest.mark.parametrize(
    "table",
    ['format = "xml"', "format = 1", 'form = "json"', 'format = "json"\nmore = 1', "format ="],
)
def test_a_table_that_says_anything_else_is_refused(home: Path, table: str) -> None:
    (home / "node.toml").write_text(f"[logs]\n{table}\n")

    with pytest.raises(ObservationSettingsError):
        log_to(home / "logs" / "node.log")


def test_a_variable_that_says_anything_else_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.FORMAT_VARIABLE, "JSON")

    with pytest.raises(ObservationSettingsError, match="TRIFED_LOG_FORMAT"):
        log_to(home / "logs" / "node.log")


def test_threads_write_whole_lines(home: Path) -> None:
    in_json(home)

    def write(number: int) -> None:
        for _ in range(200):
            log.info("%s", str(number) * 500)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([json.loads(line) for line in lines_of(home)]) == 800


DEFECT = """
import sys, pathlib, threading
from federation.supervision.process import log_to_output
log_to_output(pathlib.Path(sys.argv[1]))
def fail(): raise RuntimeError("{patient}")
thread = threading.Thread(target=fail); thread.start(); thread.join()
fail()
"""


@pytest.mark.parametrize("form", LogFormat)
def test_a_child_that_ends_unforeseen_says_where_and_not_with_what_words(
    form: LogFormat, tmp_path: Path
) -> None:
    (tmp_path / "node.toml").write_text(f'[logs]\nformat = "{form.value}"\n')
    command = [sys.executable, "-c", DEFECT.format(patient=PATIENT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.count("a defect: RuntimeError") == 2
    assert "CHEN" not in done.stderr + done.stdout


def test_a_record_with_a_bad_number_of_values_does_not_stop_the_work(home: Path) -> None:
    assert formatter_of(LogFormat.JSON).format(
        logging.LogRecord("x", logging.INFO, "f", 1, "plain %", None, None)
    )
