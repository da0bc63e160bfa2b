"""What a register publishes, and what a reader holds against a bundle, through the command line."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from federation.commands.main import run
from federation.coordinator.home import CentreHome
from federation.operations import embedded_registry
from federation.operations import registry as operations
from federation.operations.enrolment import init_centre
from tests.registry.builders import candidate, make_centre, save_model
from tests.registry.bundles import statements
from tests.registry.record_builders import new_signer


@pytest.fixture
def home(tmp_path: Path) -> Path:
    init_centre(tmp_path / "C", name="Centre", address="localhost:7443", now=datetime.now(UTC))
    return tmp_path / "C"


@pytest.fixture
def bundle(home: Path, tmp_path: Path) -> Path:
    sites = make_centre(tmp_path / "other")
    model = save_model(home / "artefacts")
    given = candidate(sites, model=model, statements=statements(sites))
    registrar = replace(embedded_registry.registrar(CentreHome.open(home)), keys=sites.keys)
    made, _ = registrar.register(given, actor="centre")
    return operations.export_bundle(home, made.entry, tmp_path / "b.zip", with_model=True)


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIFED_LANG", "en")


def test_a_reader_holds_what_the_register_published_against_a_bundle(
    home: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evidence", "root", "--home", str(home)]) == 0
    root = capsys.readouterr().out.strip()
    kept = tmp_path / "kept.json"
    assert run(["evidence", "checkpoint", str(kept), "--home", str(home)]) == 0
    model = next(path for path in (home / "artefacts").rglob("*") if path.is_file())
    capsys.readouterr()
    options = ["--root", root, "--checkpoint", str(kept), "--model", str(model), "--json"]
    assert run(["evidence", "verify", str(bundle), *options]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["verified"] is True and said["key_known"] is True


def test_without_a_root_a_person_is_told_what_that_means(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evidence", "verify", str(bundle)]) == 0
    assert "only that the file is whole" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "content", "item"),
    [
        ("--root", "sha256:" + "0" * 64, "pki/root.pem"),
        ("--checkpoint", b"no checkpoint", "log/checkpoint"),
        ("--model", b"other weights", "--model"),
        ("--centre-key", new_signer().public_key.pem, "pki/root.pem"),
        ("--witness", new_signer().public_key.pem, "log/checkpoint"),
    ],
)
def test_what_does_not_fit_is_named(
    bundle: Path,
    tmp_path: Path,
    option: str,
    content: bytes | str,
    item: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = tmp_path / "held"
    if isinstance(content, bytes):
        given.write_bytes(content)
    value = {"--root": str(content), "--witness": f"hualien={given}"}.get(option, str(given))
    assert run(["evidence", "verify", str(bundle), option, value, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["failure"]["item"] == item


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        ("--root", "abc", "TF791"),
        ("--checkpoint", "missing", "TF792"),
        ("--model", "missing", "TF792"),
    ],
)
def test_what_cannot_be_read_is_a_coded_error(
    bundle: Path, option: str, value: str, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evidence", "verify", str(bundle), option, value]) == 1
    assert f"[{code}]" in capsys.readouterr().err


def test_a_file_far_too_large_for_a_checkpoint_is_not_read(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "large"
    kept.write_bytes(bytes((2 << 20) + 1))
    assert run(["evidence", "verify", str(bundle), "--checkpoint", str(kept)]) == 1
    assert "[TF792]" in capsys.readouterr().err


def test_an_empty_log_has_no_state_to_keep(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evidence", "checkpoint", str(tmp_path / "k"), "--home", str(home)]) == 1
    assert "[TF71" in capsys.readouterr().err
