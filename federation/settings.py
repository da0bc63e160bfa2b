"""The only module that reads the environment.

| variable | meaning |
|---|---|
| TRIFED_LANG | language of what people see: `en` or `zh-Hant-TW`; otherwise LC_ALL, LANG |
| TRIFED_CENTRE_HOME, TRIFED_NODE_HOME | default of `--home` |
| TRIFED_PREFECT_DATABASE | URL of the own Prefect server's database, where it holds a password |
"""

import os
from pathlib import Path

from federation.wording import Language

CHILD_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""One thread per training process: two on busy cores were 4 to 9 times slower."""


def language() -> Language:
    """Return the language to speak to this user."""
    names = ("TRIFED_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    wanted = next((os.environ[name] for name in names if os.environ.get(name)), "en")
    is_chinese = wanted.lower().replace("_", "-").startswith("zh")
    return Language.ZH_HANT_TW if is_chinese else Language.EN


def centre_home() -> Path:
    """Return the default folder of the centre."""
    return Path(os.environ.get("TRIFED_CENTRE_HOME", "trifed-centre"))


def node_home() -> Path:
    """Return the default folder of a node."""
    return Path(os.environ.get("TRIFED_NODE_HOME", "trifed-node"))


def child_environment() -> dict[str, str]:
    """Return the environment for a child process: this one's, with one thread each."""
    return {**os.environ, **CHILD_THREADS}


def prefect_environment(
    home: Path, *, url: str | None = None, auth: str | None = None
) -> dict[str, str]:
    """Return what a flow needs to run quietly, offline and inside `home`.

    Parameters
    ----------
    url, auth
        The Prefect API and its `user:password`; without a URL the flow starts an
        API of its own for as long as it runs.
    """
    client = {} if url is None else {"PREFECT_API_URL": url}
    if auth is not None:
        client["PREFECT_API_AUTH_STRING"] = auth
    return {
        **_quiet_prefect(home),
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "FLWR_TELEMETRY_ENABLED": "0",
        **client,
    }


def flow_environment(
    home: Path, *, url: str | None = None, auth: str | None = None
) -> dict[str, str]:
    """Return the environment of a process that runs a flow: nobody else's Prefect settings."""
    return {
        **_without_prefect(child_environment()),
        **prefect_environment(home, url=url, auth=auth),
    }


def of_centre(environment: dict[str, str], home: Path) -> dict[str, str]:
    """Return an environment in which `centre_home` is that home."""
    return {**environment, "TRIFED_CENTRE_HOME": str(home)}


def prefect_server_environment(
    home: Path, *, url: str, port: int, auth: str, database: str | None
) -> dict[str, str]:
    """Return the environment of the centre's own Prefect server.

    Parameters
    ----------
    url
        The address of its API, which its pages must know.
    auth
        `user:password` that everybody must give.
    database
        The URL of its database; TRIFED_PREFECT_DATABASE stands in; else SQLite in `home`.
    """
    kept = database or os.environ.get("TRIFED_PREFECT_DATABASE")
    return {
        **_without_prefect(child_environment()),
        **_quiet_prefect(home),
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_API_AUTH_STRING": auth,
        "PREFECT_UI_API_URL": url,
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        **({} if kept is None else {"PREFECT_SERVER_DATABASE_CONNECTION_URL": kept}),
    }


_IDLE_SERVICES = (
    "CLEANUP_RECONCILER",
    "EVENT_LOGGER",
    "FOREMAN",
    "LATE_RUNS",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
    "SCHEDULER",
    "TRIGGERS",
)
"""Services of Prefect for deployments, work pools and automations, which nobody here uses."""


def _quiet_prefect(home: Path) -> dict[str, str]:
    off = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in _IDLE_SERVICES}
    return {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
        "DO_NOT_TRACK": "1",
        **off,
    }


def _without_prefect(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("PREFECT_")}
