"""Find the files of a folder, one at a time and always in the same order.

A hospital gives folders of a hundred thousand files; only the names of the
folders that are being walked are held at a time, to any depth. Symbolic links to
folders are not followed, so a walk ends; pipes, sockets and devices are no files.
"""

import os
from collections.abc import Iterator, Sequence
from errno import ELOOP
from pathlib import Path

from federation.errors.data import IntakeFolderError


class _Unlisted:
    """A folder that cannot be listed: told as a file that cannot be read."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder)

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        return False

    def is_file(self) -> bool:
        return True


_Entry = os.DirEntry[str] | _Unlisted


def files_below(path: Path, *, without: frozenset[Path]) -> Iterator[Path]:
    """Yield the regular files below `path`, folder by folder in name order.

    What is in `without`, files or folders, is left out. A folder that cannot be
    listed is yielded itself, so that it is not lost in silence; so is a link of which
    nobody may know where it leads.
    """
    if path in without:
        return
    if _is_file(path):
        yield path
        return
    if not path.is_dir():
        return
    open_folders: list[Iterator[_Entry]] = [iter(_entries(path))]
    while open_folders:
        entry = next(open_folders[-1], None)
        if entry is None:
            open_folders.pop()
            continue
        found = Path(entry.path)
        if found in without:
            continue
        if entry.is_dir(follow_symlinks=False):
            open_folders.append(iter(_entries(found)))
        elif _is_file(entry):
            yield found


def count_below(path: Path, *, without: frozenset[Path]) -> int:
    """Return how many files `files_below` yields now.

    Raises
    ------
    IntakeFolderError
        If there is none.
    """
    try:
        count = sum(1 for _ in files_below(path, without=without))
    except OSError as error:  # of the path itself: its parent is closed, or it is too long
        raise IntakeFolderError() from error
    if not count:
        raise IntakeFolderError()
    return count


def _entries(folder: Path) -> Sequence[_Entry]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return [_Unlisted(folder)]


def _is_file(entry: _Entry | Path) -> bool:
    """Tell whether an entry is a regular file, itself or where its link leads."""
    try:
        return entry.is_file()
    except OSError as error:  # a link in a circle leads nowhere, like one that is broken
        return error.errno != ELOOP
