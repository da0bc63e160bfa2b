"""One home for all tests, copied for each."""

from pathlib import Path

import pytest

from tests.impact_cli.builders import Home, copied, make_home, operating_point


@pytest.fixture(scope="session")
def built_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A register with two versions, and a judged evaluation of each."""
    home = make_home(tmp_path_factory.mktemp("impact-cli"))
    operating_point(home, "ev-1", home.entry)
    operating_point(home, "ev-other", home.other)
    operating_point(home, "ev-draft", home.entry, judged=False)
    return home


@pytest.fixture
def home(built_home: Home, tmp_path: Path) -> Home:
    return copied(built_home, tmp_path)


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIFED_LANG", "en")
