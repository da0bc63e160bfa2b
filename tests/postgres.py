"""A real PostgreSQL server for tests: Debian's programs, its own folder, a Unix socket."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

PROGRAMS = Path("/usr/lib/postgresql")
OWNER = "postgres"
START_S = 30.0


def _program(name: str) -> Path:
    found = sorted(PROGRAMS.glob(f"*/bin/{name}"))
    if not found:
        pytest.skip("PostgreSQL's server is not installed (Debian: postgresql)")
    return found[-1]


@contextmanager
def a_server() -> Iterator[str]:
    """Start a server of its own; give the URL of an empty database; stop it again.

    PostgreSQL refuses to run as root, so root runs it as Debian's user `postgres`.
    """
    pytest.importorskip("psycopg", reason="the driver psycopg is not installed")
    initdb, postgres = _program("initdb"), _program("postgres")
    as_user = {"user": OWNER, "group": OWNER} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="trifed-pg-"))
    try:
        if as_user:
            shutil.chown(folder, OWNER, OWNER)
        made = [str(initdb), "-D", str(folder / "db"), "-A", "trust", "-U", OWNER, "-N"]
        subprocess.run([*made, "-E", "UTF8"], check=True, capture_output=True, cwd="/", **as_user)
        options = ["-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"]
        server = subprocess.Popen(
            [str(postgres), "-D", str(folder / "db"), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **as_user,
        )
        try:
            yield _answering(folder, server)
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown: open connections are cut
            server.wait(timeout=START_S)
    finally:
        shutil.rmtree(folder)


def _answering(folder: Path, server: "subprocess.Popen[bytes]") -> str:
    import psycopg

    give_up = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(host=str(folder), user=OWNER, dbname=OWNER).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > give_up:
                raise
            time.sleep(0.05)
        else:
            return f"postgresql://{OWNER}@/{OWNER}?host={quote(str(folder), safe='')}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Give the URL of a running server's database; tests make their own schemas in it."""
    with a_server() as url:
        yield url
