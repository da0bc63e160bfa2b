"""Write beside each kept reply what it was computed with: the reason, should a replay differ.

Versions and arithmetic of this machine, nothing of a patient; it never leaves the
home. Made before a round trains and deleted with the run's replies.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from federation.domain.ids import RunId
from federation.environment import this_environment
from federation.storage import write_atomic

MOST_BYTES = 65_536


def remember(replies: Path, run: RunId, number: int) -> None:
    """Keep what a round is computed with; asked again, the newest attempt counts.

    Raises
    ------
    DiskFullError
        If there is no room.
    """
    path = _path(replies, run, number)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(path, _here(), mode=0o600)


def remembered(replies: Path, run: RunId, number: int) -> Mapping[str, object]:
    """Return what a round was computed with; empty where that is not known."""
    try:
        with _path(replies, run, number).open("rb") as file:
            found = json.loads(file.read(MOST_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@cache
def _here() -> bytes:
    """Return this process's environment; it does not change while the process lives."""
    return json.dumps(this_environment().as_json()).encode()


def _path(replies: Path, run: RunId, number: int) -> Path:
    return replies / run / f"environment-{number:05d}.json"
