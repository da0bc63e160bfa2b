"""Files appear whole or not at all, also when the disk is full."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from federation import storage
from federation.errors.machine import DiskFullError
from federation.storage import require_space, write_atomic, write_new


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def a_disk(folder: Path, *, kib: int) -> Iterator[Path]:
    """Give a real file system of that size; skip where one may not be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except OSError:
        pytest.skip("no mount command")
    if done.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB."""
    with a_disk(tmp_path / "tiny", kib=64) as folder:
        yield folder


@pytest.mark.parametrize("write", [write_atomic, write_new])
def test_a_file_has_its_content_and_its_mode(tmp_path: Path, write) -> None:
    write(tmp_path / "key", b"secret", mode=0o600)

    assert (tmp_path / "key").read_bytes() == b"secret"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == ["key"]


def test_a_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    write_atomic(tmp_path / "file", b"new")

    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_new_file_never_replaces_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "file", b"new")

    assert (tmp_path / "file").read_bytes() == b"old"
    assert names_in(tmp_path) == ["file"]


@pytest.mark.parametrize("write", [write_atomic, write_new])
def test_a_full_disk_is_a_coded_error_and_leaves_nothing(tiny_disk: Path, write) -> None:
    (tiny_disk / "old").write_bytes(b"old")
    with pytest.raises(DiskFullError):
        write(tiny_disk / "new", b"x" * 200_000)

    assert names_in(tiny_disk) == ["old"]


def test_a_full_disk_leaves_the_old_file_whole(tiny_disk: Path) -> None:
    (tiny_disk / "file").write_bytes(b"old")
    with pytest.raises(DiskFullError, match="are free"):
        write_atomic(tiny_disk / "file", b"x" * 200_000)

    assert (tiny_disk / "file").read_bytes() == b"old"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("write", [write_atomic, write_new])
def test_a_disk_that_fills_up_at_the_last_moment_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write, number: int
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(number, "full")

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(DiskFullError):
        write(tmp_path / "file", b"x")

    assert names_in(tmp_path) == []


def test_other_failures_of_the_system_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "nowhere" / "file", b"x")


def test_too_little_space_is_known_beforehand(tmp_path: Path) -> None:
    require_space(tmp_path, 1)
    with pytest.raises(DiskFullError):
        require_space(tmp_path, 10**18)
