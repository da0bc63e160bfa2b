"""Places to keep artefacts in: in memory, in a folder, and at a real S3 server on loopback.

The S3 server is moto's, which speaks S3 over HTTP; tests that need it are
skipped where moto or s3fs is not installed.
"""

import itertools
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

KINDS = ("memory", "file", "s3")

_names = itertools.count(1)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a running S3 server, empty."""
    pytest.importorskip("s3fs", reason="s3fs is not installed (trifed[s3])")
    moto = pytest.importorskip("moto.moto_server.werkzeug_app", reason="moto is not installed")
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = moto.DomainDispatcherApplication(moto.create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a new bucket; the environment holds what is needed to use it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    import httpx

    name = f"trifed-{next(_names)}"
    httpx.put(f"{s3_server}/{name}").raise_for_status()
    return name


@pytest.fixture(params=KINDS)
def bucket_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty bucket of each kind lies."""
    if request.param == "memory":
        return f"memory://trifed-{next(_names)}"
    if request.param == "file":
        return f"file://{tmp_path / 'bucket'}"
    return f"s3://{request.getfixturevalue('s3')}/models"
