"""Run a command that dies with the process that started it, also by `kill -9`.

Started by path with `python -I -S` (no site packages, a few milliseconds); it
asks the kernel for SIGKILL on the parent's death and then becomes the command.
On systems without that call the command runs all the same. The kernel's parent is
the thread that started it: that thread must live as long as the child should.
"""

import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def leashed(command: Sequence[str], *, niceness: int = 0) -> list[str]:
    """Return the command that runs `command` on a leash of this process, that much nicer."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(niceness), *command]


def main(arguments: list[str]) -> None:
    """Become the command `arguments[2:]`, after the parent's process id and how nice to be."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(arguments[0]):  # it died before we asked
            sys.exit(75)
    os.nice(int(arguments[1]))
    os.execv(arguments[2], arguments[2:])  # noqa: S606 - the supervisor's own command


if __name__ == "__main__":
    main(sys.argv[1:])
