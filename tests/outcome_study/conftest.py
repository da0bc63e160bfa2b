"""Bare homes, made once; every test gets a copy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evaluate.in_process import Federation
from tests.outcome_study.hospitals import bare_homes, federation_of


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of homes that nobody changes."""
    return bare_homes(tmp_path_factory.mktemp("bare")).folder


@pytest.fixture
def fed(bare: Path, tmp_path: Path) -> Iterator[Federation]:
    """Return a federation over a copy of the homes."""
    with federation_of(bare, tmp_path / "homes") as found:
        yield found
