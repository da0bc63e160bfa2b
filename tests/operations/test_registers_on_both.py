"""Register, evidence log and privacy book of a centre work in its database, whichever that is."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from federation.coordinator.home import CentreHome
from federation.coordinator.places import DatabasePlace
from federation.operations import registry
from federation.operations.embedded_registry import audit, release_books
from federation.operations.store.database import Database
from tests.pki.builders import a_centre


@pytest.fixture
def home(tmp_path: Path, database_url: str) -> CentreHome:
    """A centre whose settings name each kind of database."""
    centre = a_centre(tmp_path / "c")
    url = database_url.replace("+psycopg", "")
    centre.write_settings(replace(centre.settings(), database=DatabasePlace(url=url)))
    return centre


def test_the_register_lies_in_the_centres_database(home: CentreHome, database_url: str) -> None:
    assert registry.list_entries(home.folder).total == 0
    assert audit(home)["versions"] == 0
    assert not home.database.exists()
    assert unquote(home.database_url) == unquote(database_url)


def test_the_privacy_book_lies_in_the_centres_database(home: CentreHome) -> None:
    release_books(home).library()

    assert not home.database.exists()


def test_the_centres_own_tables_lie_beside_them(home: CentreHome) -> None:
    registry.list_entries(home.folder)
    database = Database.of(home)
    database.make_tables()

    assert database.audit_events() == []
    database.close()
