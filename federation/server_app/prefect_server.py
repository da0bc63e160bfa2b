"""Start the centre's own Prefect server as a child: loopback only, behind a secret.

The flows' task states and artefacts live there for people to look at; the truth
is in the centre's database. The server is uvicorn with Prefect's application, so
nothing here imports Prefect. Its address stands in `run/prefect.json`, its
password in `run/prefect.secret` (0600); it keeps its port across restarts while
nobody else takes it. The secret reaches the child by its environment only.
"""

import json
import secrets
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from federation import settings
from federation.homes import read_private
from federation.storage import write_atomic
from federation.supervision.children import ChildPlan
from federation.supervision.process import write_state

NAME = "prefect"
USER = "trifed"
STATE_FILE = "prefect.json"
_SECRET_FILE = "prefect.secret"  # noqa: S105 - a file's name
_SECRET_BYTES = 24
_LOOPBACK = "127.0.0.1"
_HEALTH_S = 2.0
_NICENESS = 5  # it starts beside the SuperLink, which hospitals wait for


@dataclass(frozen=True, slots=True)
class PrefectAddress:
    """Where a Prefect API answers, and the `user:password` it wants; never show `auth`."""

    url: str
    auth: str | None = None

    @property
    def ui(self) -> str:
        """Return where a person's browser goes."""
        return self.url.removesuffix("/api")

    def is_healthy(self, *, within_s: float = _HEALTH_S) -> bool:
        """Say whether the server answers just now."""
        user, _, password = (self.auth or "").partition(":")
        login = httpx.BasicAuth(user, password) if self.auth else None
        try:
            reply = httpx.get(f"{self.url}/health", auth=login, timeout=within_s)
        except httpx.RequestError:
            return False
        return reply.status_code == httpx.codes.OK


class PrefectServer:
    """The Prefect server of one centre's home.

    Parameters
    ----------
    port
        The port to listen on; None chooses a free one.
    database
        The URL of its database, which may hold a password; None: SQLite in the home.
    """

    def __init__(self, home: Path, *, port: int | None = None, database: str | None = None) -> None:
        self._home, self._port, self._database = home, port, database

    def plan(self) -> ChildPlan:
        """Return how to start it; makes its secret if there is none."""
        (self._home / NAME).mkdir(mode=0o700, exist_ok=True)
        return ChildPlan(
            name=NAME,
            command=self._command,
            environment=self._environment,
            log_file=self._home / "logs" / "prefect.log",
            niceness=_NICENESS,
        )

    def _command(self) -> Sequence[str]:
        port = self._choose_port()
        write_state(self._home / "run" / STATE_FILE, {"url": _url(port), "port": port})
        command = [sys.executable, "-m", "uvicorn", "--factory", "--host", _LOOPBACK]
        command += ["--port", str(port), "--log-level", "warning", "--no-access-log"]
        return [*command, "--timeout-keep-alive", "5", "prefect.server.api.server:create_app"]

    def _environment(self) -> Mapping[str, str]:
        port = _last_port(self._home) or 0
        return settings.prefect_server_environment(
            self._home, url=_url(port), port=port, auth=_secret(self._home), database=self._database
        )

    def _choose_port(self) -> int:
        if self._port is not None:
            return self._port
        last = _last_port(self._home)
        return last if last is not None and _is_free(last) else _free_port()


def own_server(home: Path) -> PrefectAddress | None:
    """Return where the home's own server listens; None before it was ever started."""
    port = _last_port(home)
    return None if port is None else PrefectAddress(_url(port), _secret(home))


def _url(port: int) -> str:
    return f"http://{_LOOPBACK}:{port}/api"


def _secret(home: Path) -> str:
    path = home / "run" / _SECRET_FILE
    if not path.exists():
        write_atomic(path, f"{USER}:{secrets.token_urlsafe(_SECRET_BYTES)}\n".encode())
    return read_private(path).decode().strip()


def _last_port(home: Path) -> int | None:
    try:
        state = json.loads((home / "run" / STATE_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    port = state.get("port") if isinstance(state, dict) else None
    return port if isinstance(port, int) and 0 < port < 2**16 else None


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
