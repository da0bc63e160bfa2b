"""Find the files of a folder, one at a time and always in the same order.

A hospital gives folders of a hundred thousand files; only one folder's names
are held at a time. Symbolic links to folders are not followed, so a walk ends.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from federation.errors.data import IntakeFolderError


def files_below(path: Path, *, without: frozenset[Path]) -> Iterator[Path]:
    """Yield the regular files below `path`, folder by folder in name order.

    A folder that cannot be listed is yielded itself, so that it is not lost in silence.
    """
    if path.is_file():
        yield path
        return
    try:
        entries = _entries(path)
    except OSError:
        if path.is_dir():  # it cannot be listed: that is told as a file that cannot be read
            yield path
        return
    for entry in entries:
        found = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(found, without=without)
        elif entry.is_file() and found not in without:
            yield found


def count_below(path: Path, *, without: frozenset[Path]) -> int:
    """Return how many files `files_below` yields now.

    Raises
    ------
    IntakeFolderError
        If there is none.
    """
    count = sum(1 for _ in files_below(path, without=without))
    if not count:
        raise IntakeFolderError()
    return count


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)
