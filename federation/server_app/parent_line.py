"""The round driver's line to its parent: orders come on stdin, events leave on stdout.

Orders are taken one after another. What may be said while a round runs (ask again,
give up, stop) is put aside as it comes and read by the round. That the parent is
gone is known at once, because the system closes its end of the line: then the
driver has some seconds to close its run, and ends.
"""

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

Emit = Callable[..., None]

_ASIDES = frozenset({"ask_again", "give_up", "stop"})
_ENDS = frozenset({"close", "gone"})
_LAST_WORDS_S = 5.0


class ParentGone(Exception):
    """Nobody will say anything more: the line is closed, or its end was asked for."""


class ParentLine:
    """What the parent says, read by a thread of its own."""

    def __init__(self) -> None:
        self._orders: queue.Queue[dict[str, Any]] = queue.Queue()
        self._asides: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._over = threading.Event()

    def listen(self, lines: TextIO) -> None:
        """Start to read; returns at once."""
        threading.Thread(target=self._read, args=(lines,), daemon=True, name="orders").start()

    def _read(self, lines: TextIO) -> None:
        for line in lines:
            self.take(json.loads(line))
        self.take({"do": "gone"})
        time.sleep(_LAST_WORDS_S)
        os._exit(75)

    def take(self, said: dict[str, Any]) -> None:
        """Sort one thing that was said."""
        if said["do"] in _ASIDES:
            self._asides.put(said)
            return
        if said["do"] == "round":  # what was said before it was about another one
            self.asides()
        if said["do"] in _ENDS:
            self._over.set()
        self._orders.put(said)

    def next(self) -> dict[str, Any]:
        """Return the next order; waits for it.

        Raises
        ------
        ParentGone
            If there will be none.
        """
        order = self._orders.get()
        if order["do"] == "gone":
            raise ParentGone
        return order

    def asides(self) -> list[dict[str, Any]]:
        """Return what was said aside since the last call."""
        found = []
        while not self._asides.empty():
            found.append(self._asides.get())
        return found

    def check(self) -> None:
        """Raise if the parent waits for nothing more.

        Raises
        ------
        ParentGone
            If it is gone, or wants the driver to end.
        """
        if self._over.is_set():
            raise ParentGone


def events_to_stdout() -> Emit:
    """Take stdout for events alone; what anybody prints goes to stderr.

    Telling a parent that is gone raises `ParentGone`.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    lock = threading.Lock()

    def emit(event: str, **values: object) -> None:
        line = json.dumps({"event": event, **values}, separators=(",", ":")) + "\n"
        try:
            with lock:
                out.write(line)
        except BrokenPipeError as error:
            raise ParentGone from error

    return emit


def orders_from_stdin() -> ParentLine:
    """Return the line to the parent, read from now on."""
    line = ParentLine()
    line.listen(sys.stdin)
    return line
