"""A fresh centre for each test."""

from pathlib import Path

import pytest

from tests.registry.builders import Centre, make_centre


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    return make_centre(tmp_path / "centre")
