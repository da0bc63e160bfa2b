"""A register's bundle with its members, to be changed by tests; made once a module."""

from pathlib import Path

import pytest

from tests.registry.builders import (
    Centre,
    make_centre,
)
from tests.registry.bundles import (
    Members,
    a_bundle,
    members_of,
)


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Centre:
    return make_centre(tmp_path_factory.mktemp("mutation") / "centre")


@pytest.fixture(scope="module")
def bundle(centre: Centre) -> Path:
    return a_bundle(centre, centre.folder)


@pytest.fixture
def members(bundle: Path) -> Members:
    return members_of(bundle)
