"""`trifed registry card` and `import-chai`, as a person runs them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from federation.commands.registry_card import add_to
from federation.errors.core import FileMissingError
from federation.errors.exchange import ExportNotWrittenError, ImportRefusedError
from federation.evidence.canonical import canonical
from federation.evidence.model_version import Candidate
from federation.operations import registry as operations
from federation.operations.enrolment import init_centre
from federation.wording import Language
from registry.exchange.chai import write_chai
from registry.exchange.chai_mapping import chai_of
from registry.exchange.chai_reading import read_chai
from tests.registry.builders import facts, make_centre, save_model
from tests.registry.exchange.builders import full

app = typer.Typer()
add_to(app)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card")
    init_centre(folder / "C", name="Centre", address="localhost:7443", now=datetime.now(UTC))
    content = facts(make_centre(folder / "other")) | {
        "model": save_model(folder / "C" / "artefacts"),
        "statements": [],
        "refused": [],
    }
    operations.register_candidate(folder / "C", Candidate.from_json(canonical(content)))
    return folder / "C"


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(item) for item in arguments], catch_exceptions=False)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def entry(home: Path) -> str:
    return str(operations.list_entries(home).items[0]["entry"])


@pytest.mark.parametrize("format_", ["mlbom", "chai", "hti1", "fhir", "croissant", "json"])
def test_every_format_is_written(home: Path, tmp_path: Path, format_: str) -> None:
    out = tmp_path / "card"
    name = entry(home)

    said = run(
        "card", name, "--home", home, "--format", format_, "--out", out, "--site", "tainan-1",
        "--json",
    )  # fmt: skip

    assert json.loads(said) == {"entry": name, "format": format_, "file": str(out)}
    assert out.stat().st_size > 1000


def test_an_exported_chai_card_is_imported_in_its_language(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "card.xml"
    run("card", entry(home), "--home", home, "--format", "chai", "--out", out,
        "--language", "zh-Hant-TW")  # fmt: skip

    assert "研究 cxr-2026 之模型" in read_chai(out.read_bytes()).card.texts["ModelSummary/Summary"]


def test_the_ending_of_the_file_says_how_the_table_is_written(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.csv"

    run("card", entry(home), "--home", home, "--format", "hti1", "--out", out)

    assert out.read_bytes().startswith(b"\xef\xbb\xbfid,group_en")


def test_a_card_becomes_a_draft_of_attributes(tmp_path: Path) -> None:
    file, out = tmp_path / "theirs.xml", tmp_path / "draft.json"
    file.write_bytes(write_chai(chai_of(full(), Language.EN)))

    said = json.loads(run("import-chai", file, "--language", "en", "--out", out, "--json"))

    assert said == json.loads(out.read_text(encoding="utf-8"))
    assert said["schema"] == "trifed.chai-import/1"
    assert said["attributes"]["2a"] == {"text": {"en": "answer 2a\nsecond line"}}
    assert len(said["attributes"]) == 31


def test_a_person_is_told_how_much_was_answered(tmp_path: Path) -> None:
    file = tmp_path / "theirs.xml"
    file.write_bytes(write_chai(chai_of(full(), Language.EN)))

    assert "31" in run("import-chai", file) and "0.2" in run("import-chai", file)


def test_coded_errors_name_the_file_but_not_its_folder(home: Path, tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"no\.xml"):
        run("import-chai", tmp_path / "no.xml")
    with pytest.raises(ExportNotWrittenError, match=r"^card could not be written") as refused:
        run("card", entry(home), "--home", home, "--format", "json",
            "--out", tmp_path / "missing" / "card")  # fmt: skip
    assert str(tmp_path) not in str(refused.value)


def test_a_hostile_file_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    file, out = tmp_path / "theirs.xml", tmp_path / "draft.json"
    file.write_bytes(b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>')

    with pytest.raises(ImportRefusedError):
        run("import-chai", file, "--out", out)
    assert not out.exists()
