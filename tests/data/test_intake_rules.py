import csv
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clients.data.deidentification.profile import DEFAULT_OPTIONS, Option
from clients.data.intake.fingerprints import fingerprint, fingerprints
from clients.data.intake.ingest import ingest
from clients.data.intake.rules import TEMPLATE, IntakeRules, read_rules
from clients.data.intake.walk import count_below, files_below
from federation.commands.main import app
from federation.errors.data import IntakeFolderError, IntakeRulesError
from tests.data.conftest import Build, Write


def rules_of(tmp_path: Path, text: str) -> IntakeRules:
    (tmp_path / "intake.toml").write_text(text, encoding="utf-8")
    return read_rules(tmp_path / "data")


def test_the_template_says_the_defaults(tmp_path: Path) -> None:
    assert rules_of(tmp_path, TEMPLATE) == IntakeRules() == read_rules(tmp_path / "none" / "data")


def test_every_key_is_read(tmp_path: Path) -> None:
    found = rules_of(
        tmp_path,
        'modalities = ["CR"]\nbody_parts = ["CHEST"]\nretain = ["device"]\n'
        "largest_file_mb = 2\nseconds_per_file = 5\nmemory_per_reader_mb = 2048\n",
    )
    assert (found.modalities, found.body_parts) == (("CR",), ("CHEST",))
    assert found.options == {Option.DEVICE} != DEFAULT_OPTIONS
    assert (found.limits.file_bytes, found.timeout_s) == (2 << 20, 5.0)
    assert found.memory_bytes == 2048 << 20


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('modality = ["CR"]', "modality"),
        ('modalities = ["chest x-ray"]', "modalities.0"),
        ('retain = ["names"]', "names"),
        ("largest_file_mb = 0", "largest_file_mb"),
        ("seconds_per_file = nan", "seconds_per_file"),
        ("modalities = [", "end of document"),
    ],
)
def test_a_rule_that_is_not_understood_stops_the_intake(
    tmp_path: Path, build: Build, write: Write, text: str, named: str
) -> None:
    path = write(build())
    (tmp_path / "intake.toml").write_text(text)
    with pytest.raises(IntakeRulesError) as caught:
        ingest(tmp_path / "data", path)
    assert named in caught.value.say()
    assert not (tmp_path / "data").exists()


def test_the_rules_of_the_home_are_the_rules_of_every_intake(
    tmp_path: Path, build: Build, write: Write
) -> None:
    (tmp_path / "intake.toml").write_text('body_parts = ["CHEST"]')
    write(build(1, BodyPartExamined="CHEST"), "chest.dcm")
    write(build(2, BodyPartExamined="HAND"), "hand.dcm")
    path = write(build(3), "unnamed.dcm")
    report = ingest(tmp_path / "data", path.parent, workers=1)
    assert (report.admitted, report.quarantined) == (1, {"TF598": 2})
    (tmp_path / "intake.toml").write_text("")
    assert ingest(tmp_path / "data", path.parent, workers=1).new == 2


def test_the_same_bytes_given_twice_are_counted_once(
    tmp_path: Path, build: Build, write: Write
) -> None:
    write(build(1), "a.dcm")
    path = write(build(1), "deep/b.dcm")
    report = ingest(tmp_path / "data", path.parent.parent, workers=1)
    assert (report.given, report.admitted, report.duplicates) == (2, 1, 1)
    assert report.quarantined == {}


def test_files_come_in_name_order_from_any_depth(tmp_path: Path) -> None:
    for name in ("b", "a/2", "a/1/x", "c/ü", "a/1/sub/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "loop").symlink_to(tmp_path)
    without = frozenset({tmp_path / "b"})
    found = [
        path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path, without=without)
    ]
    assert found == ["a/1/sub/y", "a/1/x", "a/2", "c/ü"]
    assert count_below(tmp_path, without=without) == 4
    with pytest.raises(IntakeFolderError):
        count_below(tmp_path / "gone", without=without)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0o000)
    assert list(files_below(tmp_path, without=frozenset())) == [tmp_path / "shut"]


def test_fingerprints_keep_the_order_and_stop_early(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(50)]
    for path in paths[:-1]:
        path.write_bytes(path.name.encode())
    assert list(fingerprints(paths, threads=3, most_bytes=100)) == [
        (path, fingerprint(path, most_bytes=100)) for path in paths
    ]
    begun = fingerprints(paths, threads=2, most_bytes=100)
    assert next(begun)[0] == paths[0]
    begun.close()


def test_outcomes_name_every_file_and_are_private(
    tmp_path: Path, build: Build, write: Write
) -> None:
    write(build(1), "a.dcm")
    path = write(build(2), "b.dcm")
    (path.parent / "note.txt").write_text("no image")
    listed = tmp_path / "outcomes.csv"
    command = ["node", "ingest", str(path.parent), "--home", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, [*command, "--outcomes", str(listed)])
    assert json.loads(result.stdout)["quarantined"] == {"TF501": 1}
    with listed.open(newline="") as rows:
        ended = [(Path(path).name, state, code) for path, state, code in csv.reader(rows)]
    assert ended == [
        ("path", "state", "code"),
        ("a.dcm", "admitted", ""),
        ("b.dcm", "admitted", ""),
        ("note.txt", "quarantined", "TF501"),
    ]
    assert listed.stat().st_mode & 0o777 == 0o600


def test_a_person_reads_each_code_in_words(tmp_path: Path, build: Build, write: Write) -> None:
    path = write(build(BodyPartExamined="HAND"))
    (tmp_path / "intake.toml").write_text('body_parts = ["CHEST"]')
    said = CliRunner().invoke(app, ["node", "ingest", str(path), "--home", str(tmp_path)]).stdout
    assert "0 of 1 files admitted" in said
    assert "TF598" in said
    assert "body part" in said
    shown = CliRunner().invoke(app, ["node", "rules", "--home", str(tmp_path)]).stdout
    assert 'body_parts = ["CHEST"]' in shown


def test_staff_see_what_was_done_to_each_element_and_no_value(
    tmp_path: Path, build: Build, write: Write
) -> None:
    path = write(build())
    ingest(tmp_path / "data", path, workers=1)
    said = CliRunner().invoke(app, ["node", "report", "--home", str(tmp_path)]).stdout
    assert "00100010  PatientName" in said
    assert "Doe" not in said
    found = json.loads(
        CliRunner().invoke(app, ["node", "report", "--home", str(tmp_path), "--json"]).stdout
    )
    assert (found["images"], found["actions"]["P"]["00100010"]) == (1, 1)
    none = CliRunner().invoke(app, ["node", "report", "2.25.1", "--home", str(tmp_path)]).stdout
    assert none.strip() == "No such image is here."
