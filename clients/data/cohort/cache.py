"""Keep prepared arrays, so that a second round never touches DICOM.

A pack is one .npy file with the arrays of a whole cohort in the order in which it
is trained on, mapped into memory and not read: a warm load takes no longer for
100,000 images than for ten. Beside it lies a list of what each row was made of,
by SHA-256 of the cleaned files: no pseudonym, no UID. A pack of another cohort
lends its rows to a new one; what is missing is prepared in batches that are kept,
so a build that is killed goes on where it stopped. `forget` takes out whatever was
made of some images.

Behind its arrays a pack holds the digest of each row and of the list. At every load
the list's is compared, and some rows' drawn at random; a pack that was swapped,
renamed or changed in more than a few rows is deleted and built again from DICOM.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.data.layout import CACHE
from federation.errors.base import PlatformError
from federation.errors.cohorts import CohortCacheError
from federation.errors.data import StoredImageError, VolumeGapError
from federation.wording import Text

PREPARATION = "3"
"""Number of the preparation; raised whenever it gives other arrays."""
PACKS = "packs"
LOCK = "packs.lock"
BATCH_BYTES = 64 * 1024 * 1024
MOST_PACKS = 4
"""How many packs of one shape are kept; each is as large as its cohort."""
JOIN = "/"
DIGEST_BYTES = 16
LOOKED_AT = 16
"""How many rows are compared at a load: it must not take longer for more images."""

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """What the rows of a pack are: images or masks, their shape and type."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def folder(self) -> str:
        """Return the name of the folder for arrays of this kind."""
        said = json.dumps([PREPARATION, self.name, list(self.shape), self.dtype])
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @property
    def row_bytes(self) -> int:
        """Return the size of one array."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True)
class _Pack:
    """One file of arrays; the list beside it says what each row was made of."""

    path: Path

    @property
    def listed(self) -> Path:
        return self.path.with_suffix(".json")

    def contents(self) -> list[str]:
        found: list[str] = json.loads(self.listed.read_text("ascii"))
        return found

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.listed.unlink(missing_ok=True)


def content_of(digests: Iterable[str], *rest: str) -> str:
    """Return what a row is called: the digests of the files it is made of, and what else."""
    return JOIN.join((*digests, *rest))


def load(data: Path, kind: Kind, contents: Sequence[str], prepare: Callable[[int], Array]) -> Array:
    """Return the arrays of `contents`, shape (n, *kind.shape), writable, private to the caller.

    Parameters
    ----------
    contents
        What each row is made of (`content_of`), in the order wanted.
    prepare
        Makes the array of a place in `contents`; only asked for what is not kept.

    Raises
    ------
    StoredImageError, VolumeGapError
        If stored files are not usable; says how many.
    CohortCacheError
        If the disk does not take them.
    """
    folder = data / CACHE / PACKS / kind.folder
    name = hashlib.sha256("\n".join(contents).encode()).hexdigest()
    pack = _Pack(folder / f"{name}.npy")
    found = _mapped(pack, kind, contents)
    if found is None:
        try:
            with _locked(data):
                _tidy(data)
                found = _mapped(pack, kind, contents)
                if found is None:
                    _build(folder, pack, kind, contents, prepare)
                    found = _mapped(pack, kind, contents)
        except OSError as error:
            raise CohortCacheError(why=error.strerror or type(error).__name__) from error
    if found is None:
        raise CohortCacheError(why=Text(en="what was written is not there", zh="寫入的檔案不存在"))
    return found


def forget(data: Path, digests: Iterable[str]) -> int:
    """Delete every array made of a file with one of these digests; return how many.

    `digests` are SHA-256 in hexadecimal of admitted files, as in the catalogue.

    Raises
    ------
    CohortCacheError
        If the disk does not let them go.
    """
    unwanted, gone = frozenset(digests), set[tuple[str, str]]()
    if not (data / CACHE).is_dir():
        return 0
    try:
        with _locked(data):
            _tidy(data)
            for pack in map(_Pack, sorted((data / CACHE / PACKS).glob("*/*.npy"))):
                contents = _listed(pack)
                hit = {row for row in contents if not unwanted.isdisjoint(row.split(JOIN))}
                gone |= {(pack.path.parent.name, row) for row in hit}
                if hit:
                    _without(pack, contents, hit)
    except OSError as error:
        raise CohortCacheError(why=error.strerror or type(error).__name__) from error
    return len(gone)


def _without(pack: _Pack, contents: Sequence[str], hit: set[str]) -> None:
    """Put the other rows into a pack of their own, then delete the old one."""
    rows = _opened(pack)
    kept = [place for place, row in enumerate(contents) if row not in hit]
    if kept and rows is not None and len(rows) == len(contents):
        names = [contents[place] for place in kept]
        name = hashlib.sha256("\n".join(names).encode()).hexdigest()
        _write(_Pack(pack.path.with_name(f"{name}.npy")), names, rows, kept)
    pack.drop()


def _opened(pack: _Pack) -> Array | None:
    """Return the arrays in a file without reading them, None where it holds none."""
    try:
        with pack.path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                return None
        rows = np.load(pack.path, mmap_mode="c", allow_pickle=False)
        os.utime(pack.path)  # the least recently used goes first
    except (OSError, ValueError, EOFError, MemoryError, RecursionError):
        return None
    return np.asarray(rows)


def _mapped(pack: _Pack, kind: Kind, contents: Sequence[str]) -> Array | None:
    """Return a pack's arrays without reading them, None unless they are of `contents`."""
    rows = _opened(pack)
    if rows is None or rows.shape != (len(contents), *kind.shape) or rows.dtype != kind.dtype:
        return None
    return rows if _is_true(pack, rows, contents) else None


def _is_true(pack: _Pack, rows: Array, contents: Sequence[str]) -> bool:
    """Say whether a pack says of itself what it is, and rows drawn at random are as written."""
    count = len(contents)
    try:
        with pack.path.open("rb") as file:
            file.seek(-(count + 1) * DIGEST_BYTES, os.SEEK_END)
            said = file.read()
    except OSError:
        return False
    drawn = {secrets.randbelow(count) for _ in range(LOOKED_AT)} if count else set()
    return said[count * DIGEST_BYTES :] == _digest("\n".join(contents).encode()) and all(
        said[place * DIGEST_BYTES :][:DIGEST_BYTES]
        == _digest(np.ascontiguousarray(rows[place]).data)
        for place in drawn
    )


def _digest(content: bytes | memoryview) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def _build(
    folder: Path,
    pack: _Pack,
    kind: Kind,
    contents: Sequence[str],
    prepare: Callable[[int], Array],
) -> None:
    there = _there(folder, kind)
    missing = [place for place, row in enumerate(contents) if row not in there]
    _prepare(folder, kind, contents, missing, prepare)
    if missing:
        there = _there(folder, kind)
    opened = {
        path: np.load(path, mmap_mode="r", allow_pickle=False)
        for path in {there[row][0].path for row in contents}
    }
    places = ((opened[one.path], place) for one, place in (there[row] for row in contents))
    _write_rows(pack, contents, kind, (rows[place] for rows, place in places))
    _prune(folder, pack, set(contents))


def _prepare(
    folder: Path,
    kind: Kind,
    contents: Sequence[str],
    missing: Sequence[int],
    prepare: Callable[[int], Array],
) -> None:
    """Prepare what is missing and keep it, a batch at a time."""
    size = max(1, BATCH_BYTES // kind.row_bytes)
    broken: list[PlatformError] = []
    for start in range(0, len(missing), size):
        made: dict[str, Array] = {}
        for place in missing[start : start + size]:
            try:
                made[contents[place]] = prepare(place).astype(kind.dtype, copy=False)
            except (StoredImageError, VolumeGapError) as error:
                broken.append(error)
        if made:
            name = hashlib.sha256("\n".join(made).encode()).hexdigest()
            _write_rows(_Pack(folder / f"{name}.npy"), list(made), kind, iter(made.values()))
    if broken:
        raise type(broken[0])(count=len(broken))


def _there(folder: Path, kind: Kind) -> dict[str, tuple[_Pack, int]]:
    """Return where each row lies; a pack that is damaged is deleted."""
    found: dict[str, tuple[_Pack, int]] = {}
    for pack in map(_Pack, sorted(folder.glob("*.npy"))):
        contents = _listed(pack)
        if contents and _mapped(pack, kind, contents) is None:
            pack.drop()
            continue
        found.update({row: (pack, place) for place, row in enumerate(contents)})
    return found


def _write(pack: _Pack, contents: Sequence[str], rows: Array, places: Sequence[int]) -> None:
    kind = Kind("", rows.shape[1:], rows.dtype.str)
    _write_rows(pack, contents, kind, (rows[place] for place in places))


def _write_rows(pack: _Pack, contents: Sequence[str], kind: Kind, rows: Iterator[Array]) -> None:
    """Write a pack row by row; it counts only once it is whole and has its name."""
    pack.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = pack.path.with_name(f".{pack.path.name}")
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(kind.dtype)),
        "fortran_order": False,
        "shape": (len(contents), *kind.shape),
    }
    with part.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        digests = []
        for row in rows:
            content = np.ascontiguousarray(row).data
            out.write(content)
            digests.append(_digest(content))
        out.write(b"".join((*digests, _digest("\n".join(contents).encode()))))
        out.flush()
        os.fsync(out.fileno())
    pack.listed.write_text(json.dumps(list(contents)), "ascii")
    part.replace(pack.path)


def _listed(pack: _Pack) -> list[str]:
    """Return what a pack's rows are made of; one that cannot say so is deleted."""
    try:
        found = pack.contents()
    except (OSError, ValueError, RecursionError):
        found = []
    if not isinstance(found, list) or not found or not all(isinstance(row, str) for row in found):
        pack.drop()
        return []
    return found


def _tidy(data: Path) -> None:
    """Delete what a killed build left, and the single files of earlier versions."""
    for part in (data / CACHE / PACKS).glob("*/.*"):
        part.unlink()
    for old in (data / CACHE).glob("[0-9a-f][0-9a-f]"):
        shutil.rmtree(old)


def _prune(folder: Path, newest: _Pack, contents: set[str]) -> None:
    """Delete packs that the newest one holds whole, and the least recently used ones."""
    others = [_Pack(path) for path in folder.glob("*.npy") if path != newest.path]
    for pack in others:
        if contents.issuperset(_listed(pack)):
            pack.drop()
    left = [pack for pack in others if pack.path.exists()]
    left.sort(key=lambda pack: (pack.path.stat().st_mtime_ns, pack.path.name), reverse=True)
    for pack in left[MOST_PACKS - 1 :]:
        pack.drop()


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    """Let one process build or delete packs at a time; the others wait."""
    (data / CACHE).mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data / CACHE / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
