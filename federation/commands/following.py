"""Follow a study that the demo launched: its events, one a line, and its result at the end."""

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from federation.errors.machine import ProcessEndedError
from federation.operations.progress import Progress

_LOOK_S = 0.25

Listener = Callable[[Progress], None]


def result_of(
    process: subprocess.Popen[str],
    study: str,
    *,
    look: Callable[[], None],
    listeners: Sequence[Listener] = (),
) -> dict[str, Any]:
    """Tell the listeners of every event until the launched study says its result.

    Parameters
    ----------
    look
        Called several times a second; raises what else ended.

    Raises
    ------
    ProcessEndedError
        If it ended without a result.
    """
    last = ""
    for event, text in _lines(process, look):
        if event is None:
            last = text
            continue
        for listener in listeners:
            listener(event)
    process.wait()
    look()
    if not last.startswith("{"):
        raise ProcessEndedError(
            process=f"study launch {study}", status=process.returncode, log="logs/study.log"
        )
    result: dict[str, Any] = json.loads(last)
    return result


def _lines(
    process: subprocess.Popen[str], look: Callable[[], None]
) -> Iterator[tuple[Progress | None, str]]:
    """Yield each line as event and text; the last one is the result, no event."""
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=_LOOK_S)
        except queue.Empty:
            look()
            continue
        if line is None:
            return
        yield Progress.from_line(line), line


def _read(process: subprocess.Popen[str], lines: "queue.Queue[str | None]") -> None:
    for line in process.stdout or ():
        lines.put(line)
    lines.put(None)
