"""Verification needs no network: in an empty network namespace, by both verifiers.

And the page for a regulator is true: its commands are run as they are written.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from federation.domain.ids import Sha256
from registry.bundle.writing import verifier_program
from tests.registry.builders import Centre
from tests.registry.bundles import ENTRY, a_bundle, members_of, no_network

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "verify-an-entry.md"


def trifed(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "federation.commands.main", *arguments]


def run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "TRIFED_LANG": "en", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def bundle(centre: Centre, tmp_path: Path) -> Path:
    return a_bundle(centre, tmp_path)


def test_both_verifiers_work_in_an_empty_network_namespace(
    centre: Centre, bundle: Path, tmp_path: Path
) -> None:
    alone = no_network()
    probe = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    assert "Network is unreachable" in run([*alone, sys.executable, "-c", probe], tmp_path).stderr
    with zipfile.ZipFile(bundle) as archive:
        archive.extract("verify.py", tmp_path)
    options = [str(bundle), "--root", str(centre.signer.keyid), "--json"]
    ours = run([*alone, *trifed("evidence", "verify", *options)], tmp_path)
    bundled = run([*alone, sys.executable, "-I", "verify.py", *options], tmp_path)
    assert (ours.returncode, bundled.returncode) == (0, 0), ours.stderr + bundled.stderr
    assert json.loads(ours.stdout) == json.loads(bundled.stdout)
    assert json.loads(ours.stdout)["verified"] is True


def test_both_verifiers_end_with_a_failure_when_a_byte_is_changed(
    bundle: Path, tmp_path: Path
) -> None:
    content = bytearray(bundle.read_bytes())
    content[content.index(b'"entry":"TWAI')] ^= 1
    bundle.write_bytes(content)
    program = tmp_path / "verify.py"
    program.write_bytes(verifier_program())
    ours = run(trifed("evidence", "verify", str(bundle), "--json"), tmp_path)
    bundled = run([sys.executable, "-I", str(program), str(bundle), "--json"], tmp_path)
    assert (ours.returncode, bundled.returncode) == (1, 1)
    assert json.loads(ours.stdout) == json.loads(bundled.stdout)
    said = run([sys.executable, "-I", str(program), str(bundle), "--lang", "zh"], tmp_path)
    assert said.returncode == 1 and "遭更動" in said.stderr


@pytest.mark.parametrize(
    "options",
    [["--root", "nonsense"], ["--checkpoint", "missing"], ["--witness", "a=missing"], []],
)
def test_wrong_use_is_not_taken_for_a_verified_bundle(
    bundle: Path, tmp_path: Path, options: list[str]
) -> None:
    program = tmp_path / "verify.py"
    program.write_bytes(verifier_program())
    given = [str(bundle), *options] if options else ["missing.zip"]
    bundled = run([sys.executable, "-I", str(program), *given], tmp_path)
    ours = run(trifed("evidence", "verify", *given), tmp_path)
    assert bundled.returncode not in (0, 1) and "OK" not in bundled.stdout
    assert ours.returncode != 0 and "[TF" in ours.stderr


def test_the_verifier_needs_the_standard_library_and_cryptography_only() -> None:
    program = verifier_program().decode()
    imported = set(re.findall(r"^(?:import|from) ([a-z0-9_]+)", program, re.MULTILINE))
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}
    assert not re.search(r"\b(socket|urllib|http|subprocess|eval|exec|pickle)\b", program)


def test_the_published_digest_of_the_verifier_is_that_of_the_file(tmp_path: Path) -> None:
    said = run(trifed("evidence", "verifier"), tmp_path)
    assert said.stdout.split()[0] == Sha256.of(verifier_program()).hex


def commands_of(page: str, heading: str) -> list[str]:
    """The lines of the shell blocks under a heading of the page."""
    part = page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


@pytest.mark.parametrize("heading", ["English", pytest.param("繁體中文", marks=pytest.mark.slow)])
def test_the_page_for_a_regulator_is_true_as_written(
    centre: Centre, bundle: Path, tmp_path: Path, heading: str
) -> None:
    desk = tmp_path / "desk"
    desk.mkdir()
    shutil.copy(bundle, desk / "ENTRY.zip")
    (desk / "kept-checkpoint").write_bytes(members_of(bundle)["log/checkpoint"])
    model = next(centre.registrar.artefacts.glob("*.safetensors"))
    shutil.copy(model, desk / "model.safetensors")
    (desk / "bin").mkdir()
    for name, words in (("trifed", trifed()), ("python3", [sys.executable])):
        program = desk / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n')
        program.chmod(0o755)
    for missing in ("unzip", "openssl"):
        if shutil.which(missing) is None:
            pytest.skip(f"{missing} is not installed")
    published = {
        "FINGERPRINT": str(centre.signer.keyid),
        "DIGEST": Sha256.of(verifier_program()).hex,
    }
    lines = commands_of(PAGE.read_text(encoding="utf-8"), heading)
    assert len(lines) >= 8
    for line in lines:
        if line.startswith("pip "):
            continue  # what it installs is installed
        command = line
        for word, value in published.items():
            command = command.replace(word, value)
        environment = {
            **os.environ,
            "PATH": f"{desk / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "TRIFED_LANG": "en",
        }
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=desk,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    assert ENTRY in (desk / "said.json").read_text(encoding="utf-8")
