"""What a process is to tell of itself: the tables [logs] and [metrics], and two variables.

```
[logs]
format = "json"                 # or "text", the default; TRIFED_LOG_FORMAT goes before it
[metrics]
listen = "127.0.0.1:9464"       # loopback only; without it nothing listens
```
Both tables may stand in `centre.toml` and in `node.toml`. TRIFED_OTEL_ENDPOINT is the
address of an OpenTelemetry collector (`http://127.0.0.1:4318`); without it nothing is
traced. This module is the only one that reads these variables.
"""

import ipaddress
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from federation.errors.core import InvalidValueError, UnreadableRecordError
from federation.errors.observation import ObservationSettingsError
from federation.homes import parse_address, read_settings

MARKERS = ("centre.toml", "node.toml")
FORMAT_VARIABLE = "TRIFED_LOG_FORMAT"
ENDPOINT_VARIABLE = "TRIFED_OTEL_ENDPOINT"


class LogFormat(Enum):
    """How a line of a log is written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class MetricsAddress:
    """Where metrics are served: a loopback address and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def log_format(home: Path) -> LogFormat:
    """Return how the processes of a home write their logs.

    Raises
    ------
    ObservationSettingsError
        If the variable or the table says anything else than `text` or `json`.
    """
    said = os.environ.get(FORMAT_VARIABLE)
    if said:
        return _format(said, FORMAT_VARIABLE)
    file, table = _table(home, "logs", {"format"})
    return _format(table["format"], file) if table else LogFormat.TEXT


def metrics_address(home: Path) -> MetricsAddress | None:
    """Return where the metrics of a home are served; None, the default: nowhere.

    Raises
    ------
    ObservationSettingsError
        If it is not `host:port` of this machine alone.
    """
    file, table = _table(home, "metrics", {"listen"})
    if not table:
        return None
    listen = table["listen"]
    if not isinstance(listen, str):
        raise ObservationSettingsError(file=file, why="metrics.listen is not a text")
    return _loopback(listen, file)


def tracing_endpoint() -> str | None:
    """Return the address of the collector of traces; None, the default: none is sent.

    Raises
    ------
    ObservationSettingsError
        If it is not an http or https address, or holds a password.
    """
    said = os.environ.get(ENDPOINT_VARIABLE)
    if not said:
        return None
    parts = urlsplit(said)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        why = "it is not http://host:port without a name or password"
        raise ObservationSettingsError(file=ENDPOINT_VARIABLE, why=why)
    return said.rstrip("/")


def _table(home: Path, name: str, keys: set[str]) -> tuple[str, dict[str, object]]:
    """Return the settings file's name and one of its tables; empty where there is none."""
    marker = next((home / name for name in MARKERS if (home / name).is_file()), None)
    if marker is None:
        return "", {}
    try:
        table = read_settings(marker).get(name, {})
    except UnreadableRecordError as error:
        raise ObservationSettingsError(file=marker.name, why="it is not TOML") from error
    if table and table.keys() != keys:
        why = f"[{name}] knows {', '.join(sorted(keys))} and nothing else"
        raise ObservationSettingsError(file=marker.name, why=why)
    return marker.name, table


def _format(said: object, place: str) -> LogFormat:
    try:
        return LogFormat(said)
    except ValueError as error:
        why = "a log's format is text or json"
        raise ObservationSettingsError(file=place, why=why) from error


def _loopback(listen: str, file: str) -> MetricsAddress:
    try:
        host, port = parse_address(listen)
        if not ipaddress.ip_address(host).is_loopback:
            raise ObservationSettingsError(
                file=file, why="metrics.listen is not a loopback address"
            )
    except (InvalidValueError, ValueError) as error:
        why = "metrics.listen is not 127.0.0.1:PORT or [::1]:PORT"
        raise ObservationSettingsError(file=file, why=why) from error
    return MetricsAddress(host, port)
