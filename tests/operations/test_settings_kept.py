"""Writing a home's settings leaves alone what they do not speak of."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clients.home import NodeHome, NodeSettings
from federation.coordinator.home import CentreHome, CentreSettings
from federation.coordinator.options import CentreOptions, PrefectMode
from federation.coordinator.places import DatabasePlace
from federation.domain.ids import SiteId
from federation.errors.core import UnreadableRecordError

NOW = datetime(2026, 7, 1, 8, 0, tzinfo=UTC)

PEOPLES = """
# Prefect is somebody else's here.
[prefect]
mode = "ephemeral"  # since July

[queue]
campaigns = 3

[logs]
where = [
  "here",
[1.5, 2.5],  # looks like a table, and is none
]
said = '''
[centre]
'''

[logs.deeper]
at = 2026-07-01
"""


@pytest.fixture
def centre(tmp_path: Path) -> CentreHome:
    home = CentreHome(tmp_path)
    home.write_settings(CentreSettings("Centre", "centre.example:1", NOW))
    return home


def test_a_centres_other_tables_stay_as_people_wrote_them(centre: CentreHome) -> None:
    before = centre.settings_file.read_text() + PEOPLES
    centre.settings_file.write_text(before)

    centre.write_settings(centre.settings())

    assert centre.settings_file.read_text() == before


def test_what_the_settings_do_speak_of_is_replaced_wherever_it_stood(centre: CentreHome) -> None:
    old = CentreSettings("Centre", "old.example:1", NOW, DatabasePlace(url="postgresql://db/old"))
    text = PEOPLES + "\n# of the centre\n" + old.to_bytes().decode()
    centre.settings_file.write_text(text)

    centre.write_settings(replace(old, address="new.example:2", database=DatabasePlace()))

    assert centre.settings().address == "new.example:2"
    assert centre.settings().database == DatabasePlace()
    assert CentreOptions.of(centre).prefect.mode is PrefectMode.EPHEMERAL
    assert "old" not in centre.settings_file.read_text()
    assert PEOPLES.strip() in centre.settings_file.read_text()


def test_a_nodes_other_tables_stay(tmp_path: Path) -> None:
    node = NodeHome(tmp_path)
    settings = NodeSettings(SiteId("north"), "North", "Centre", "localhost:1")
    node.write_settings(settings)
    node.settings_file.write_text(node.settings_file.read_text() + "\n[metrics]\nport = 9100\n")

    node.write_settings(replace(settings, name="North Hospital"))

    assert node.settings().name == "North Hospital"
    assert "[metrics]\nport = 9100\n" in node.settings_file.read_text()


def test_settings_that_cannot_be_read_are_not_written_over(centre: CentreHome) -> None:
    centre.settings_file.write_text("[centre\n")

    with pytest.raises(UnreadableRecordError):
        centre.write_settings(CentreSettings("Centre", "centre.example:1", NOW))

    assert centre.settings_file.read_text() == "[centre\n"
