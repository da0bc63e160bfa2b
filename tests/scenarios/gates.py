"""Hold a process at a named moment until the test lets it go: one small file a gate.

The test closes a gate before the process comes there; the process says that it
waits, and goes on when the file is gone. A killed process leaves the gate closed,
so that the next one is held there too, until the test opens it.
"""

import time
from dataclasses import dataclass
from pathlib import Path

LOOK_S = 0.02
LONGEST_S = 300.0


@dataclass(frozen=True)
class Gates:
    """The gates of one federation; `folder` is shared by all its processes."""

    folder: Path

    def close(self, name: str) -> None:
        """Hold whoever comes to the moment `name`."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).touch()

    def open(self, name: str) -> None:
        """Let everybody at the moment `name` go on."""
        (self.folder / name).unlink(missing_ok=True)
        (self.folder / f"{name}.waiting").unlink(missing_ok=True)

    def waits_at(self, name: str) -> bool:
        """Say whether somebody is held at `name`."""
        return (self.folder / f"{name}.waiting").exists()

    def await_somebody_at(self, name: str, *, timeout_s: float = 90.0) -> None:
        """Wait until a process is held at `name`."""
        end = time.monotonic() + timeout_s
        while not self.waits_at(name):
            if time.monotonic() > end:
                raise TimeoutError(f"nobody came to {name} in {timeout_s:.0f} s")
            time.sleep(LOOK_S)

    def pass_through(self, name: str) -> None:
        """Come to the moment `name`: called within the process that may be held."""
        gate = self.folder / name
        if not gate.exists():
            return
        gate.with_name(f"{name}.waiting").touch()
        end = time.monotonic() + LONGEST_S
        while gate.exists() and time.monotonic() < end:
            time.sleep(LOOK_S)


def gates_of(home: Path) -> Gates:
    """Return the gates of the federation that a centre's or node's home belongs to."""
    folder = home.absolute().parent
    return Gates((folder.parent if folder.name == "hospitals" else folder) / "gates")
