"""A real PostgreSQL server for tests: Debian's programs, its own folder, a Unix socket."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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


def _as_user() -> dict[str, str]:
    """PostgreSQL refuses to run as root, so root runs it as Debian's user `postgres`."""
    return {"user": OWNER, "group": OWNER} if os.geteuid() == 0 else {}


@dataclass
class Server:
    """One PostgreSQL server in a folder of its own; kill it and start it again."""

    folder: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def url(self) -> str:
        """The URL of its first, empty database."""
        return f"postgresql://{OWNER}@/{OWNER}?host={quote(str(self.folder), safe='')}"

    def make(self) -> None:
        if user := _as_user():
            shutil.chown(self.folder, user["user"], user["group"])
        command = [str(_program("initdb")), "-D", str(self.folder / "db"), "-A", "trust"]
        command += ["-U", OWNER, "-N", "-E", "UTF8"]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **_as_user())

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ["-k", str(self.folder), "-c", "listen_addresses=", "-c", "fsync=off"]
        options += ["-c", "restart_after_crash=off"]
        self.process = subprocess.Popen(
            [str(_program("postgres")), "-D", str(self.folder / "db"), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **_as_user(),
        )
        self._wait()

    def kill(self) -> None:
        """Kill it and all its processes with -9, as the machine's out-of-memory killer would."""
        import psutil

        assert self.process is not None
        postmaster = psutil.Process(self.process.pid)
        family = [postmaster, *postmaster.children(recursive=True)]
        for member in family:
            member.kill()
        psutil.wait_procs(family[1:], timeout=START_S)
        self.process.wait(timeout=START_S)
        self.process = None

    def stop(self) -> None:
        """End it with a fast shutdown: open connections are cut."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=START_S)
            self.process = None

    def _wait(self) -> None:
        import psycopg

        give_up = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(host=str(self.folder), user=OWNER, dbname=OWNER).close()
            except psycopg.OperationalError:
                ended = self.process is None or self.process.poll() is not None
                if ended or time.monotonic() > give_up:
                    raise
                time.sleep(0.05)
            else:
                return


@contextmanager
def a_killable_server() -> Iterator[Server]:
    """Start a server of its own; stop it again, also when it was killed."""
    pytest.importorskip("psycopg", reason="the driver psycopg is not installed")
    _program("postgres")
    folder = Path(tempfile.mkdtemp(prefix="trifed-pg-"))
    server = Server(folder)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextmanager
def a_server() -> Iterator[str]:
    """Start a server of its own; give the URL of an empty database; stop it again."""
    with a_killable_server() as server:
        yield server.url


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Give the URL of a running server's database; tests make their own schemas in it."""
    with a_server() as url:
        yield url
