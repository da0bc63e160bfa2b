"""End a child process when the process that started it is gone.

A killed parent cannot stop its children, and an orphaned SuperLink would keep
its socket and its runs.
"""

import os
import threading
import time

_CHECK_S = 1.0


def end_with_parent() -> None:
    """End this process within about a second of its parent's end."""
    parent = os.getppid()
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="parent-watch").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_CHECK_S)
    os._exit(75)
