import pytest

from clients.data.pixeltext.detect import Detector


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector()
