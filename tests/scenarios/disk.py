"""A small disk that a test can fill: a file system in memory, which only root can mount."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_PIECE = 1 << 12


@dataclass(frozen=True)
class SmallDisk:
    """The disk mounted at `folder`."""

    folder: Path

    def fill(self, *, leave_bytes: int) -> None:
        """Fill it up to so many bytes, with a file that `make_room` deletes."""
        with self._ballast.open("ab") as file:
            while shutil.disk_usage(self.folder).free > leave_bytes:
                try:
                    file.write(bytes(_PIECE))
                    file.flush()
                except OSError:
                    return

    def make_room(self) -> None:
        """Delete what `fill` wrote."""
        self._ballast.unlink()

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


@contextlib.contextmanager
def a_small_disk(folder: Path, *, size_mb: int) -> Iterator[SmallDisk]:
    """Mount a small disk at a folder; skip the test where this is not allowed."""
    program = shutil.which("mount")
    if os.geteuid() != 0 or program is None:
        pytest.skip("only root can mount a small disk")
    folder.mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", f"size={size_mb}m,mode=0700", "tmpfs", str(folder)]
    if subprocess.run([program, *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not let root mount a small disk")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
