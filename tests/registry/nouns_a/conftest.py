"""A register on SQLite with a clock that tests turn, and a centre's home."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from federation.operations.enrolment import init_centre
from tests.registry.record_builders import Desk, a_desk, sqlite_url


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return a_desk(sqlite_url(tmp_path))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    init_centre(tmp_path / "C", name="Centre", address="localhost:7443", now=datetime.now(UTC))
    return tmp_path / "C"
