"""The only module that reads the environment.

| variable | meaning |
|---|---|
| TRIFED_LANG | language of what people see: `en` or `zh-Hant-TW`; otherwise LC_ALL, LANG |
| TRIFED_CENTRE_HOME, TRIFED_NODE_HOME | default of `--home` |
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


def prefect_environment(home: Path) -> dict[str, str]:
    """Return what Prefect needs to run quietly, offline and inside `home`."""
    return {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "DO_NOT_TRACK": "1",
        "FLWR_TELEMETRY_ENABLED": "0",
    }
