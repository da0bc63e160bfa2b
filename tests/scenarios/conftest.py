"""The federation that the scenarios disturb, made once for all workers of a test run."""

import os

import pytest

from tests.scenarios.homes import Homes
from tests.scenarios.launched import Digests, Shared


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """What the tests share, also between workers."""
    base = tmp_path_factory.getbasetemp()
    in_parallel = "PYTEST_XDIST_WORKER" in os.environ
    return Shared((base.parent if in_parallel else base) / "scenarios")


@pytest.fixture(scope="session")
def launched(shared: Shared) -> Homes:
    """A study of two hospitals and three rounds that is about to ask for round 1."""
    return shared.launched()


@pytest.fixture(scope="session")
def undisturbed(shared: Shared) -> Digests:
    """What that study comes to when nothing happens to it."""
    return shared.undisturbed()
