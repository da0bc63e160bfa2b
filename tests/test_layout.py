"""The wheel holds four packages and their data, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"federation", "clients", "strategies", "registry"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel in a copy without history; skipped where hatchling cannot be had."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "-q",
        "-w",
        str(folder),
        str(ROOT),
    ]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=240)
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip("the build backend is not installed and cannot be downloaded")
    assert done.returncode == 0, done.stderr[-2000:]
    (built,) = folder.glob("trifed-*.whl")
    return zipfile.ZipFile(built)


CARRIED = {".toml", ".proto", ".py", ".html", ".css", ".svg"}


@pytest.mark.slow
def test_the_top_level_is_the_four_packages(wheel: zipfile.ZipFile) -> None:
    top = {name.partition("/")[0] for name in wheel.namelist()}

    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES


@pytest.mark.slow
def test_data_files_travel_with_the_code(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    pages = {f"federation/errors/pages/{page.name}" for page in (ROOT / "docs/errors").glob("*.md")}
    data = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in CARRIED and "__pycache__" not in path.parts
    }

    assert pages
    assert {
        "federation/recipes/cxr-pneumonia-small.toml",
        "federation/protocol/control.proto",
    } <= data
    assert pages | data <= names
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


@pytest.mark.slow
def test_no_tests_caches_or_secrets_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    for name in wheel.namelist():
        assert not name.startswith("tests/")
        assert "__pycache__" not in name
        assert Path(name).suffix not in {".key", ".pem", ".db", ".pyc"}


def test_every_package_is_a_regular_one() -> None:
    folders = {
        path.parent
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "__pycache__" not in path.parts
    }

    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []
