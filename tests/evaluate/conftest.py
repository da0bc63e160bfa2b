"""One trained version at three hospitals with images, made once; every test gets a copy."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evaluate.in_process import Federation, in_process, trained_homes
from tests.scenarios.homes import Homes


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Homes, str]:
    """Return homes with a registered version, and its entry. Nobody changes them."""
    return trained_homes(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def entry(trained: tuple[Homes, str]) -> str:
    """Return the registered version."""
    return trained[1]


@pytest.fixture
def fed(trained: tuple[Homes, str], tmp_path: Path) -> Iterator[Federation]:
    """Return a federation over a copy of the homes."""
    copy = tmp_path / "homes"
    shutil.copytree(trained[0].folder, copy, symlinks=True)
    with in_process(Homes(copy)) as found:
        yield found
