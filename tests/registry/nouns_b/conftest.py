"""A register on SQLite with a clock that tests turn."""

from pathlib import Path

import pytest

from registry.records.service import Records
from tests.registry.builders import candidate, make_centre
from tests.registry.record_builders import Desk, TurnableClock, a_desk, sqlite_url


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return a_desk(sqlite_url(tmp_path))


@pytest.fixture
def with_version(tmp_path: Path) -> tuple[Desk, str]:
    """A register that holds one signed version, trained at three sites."""
    return desk_with_version(tmp_path / "centre")


def desk_with_version(folder: Path) -> tuple[Desk, str]:
    """Return records over a centre's register in a folder, and its one entry."""
    centre = make_centre(folder)
    stored, _ = centre.registrar.register(candidate(centre), actor="centre")
    clock = TurnableClock()
    records = Records(centre.registrar.store, centre.signer, clock)
    return Desk(records, clock, centre.signer), stored.entry
