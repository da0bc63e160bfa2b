"""Read and write flat float32 models as files, in place of sending them through pipes.

A model travels as .npy or .safetensors. An accepted update is kept as its raw
little-endian bytes, so that the file's digest is the digest its site signed.
"""

import hashlib
import mmap
from pathlib import Path

import numpy as np

from federation.domain.ids import Sha256
from federation.errors.core import UnreadableRecordError
from federation.storage import disk_full_as_error, write_atomic
from federation.wire.messages import FlatModel

_HEX = 64


def read_flat(path: Path) -> FlatModel:
    """Return the one-dimensional float32 array in an .npy or .safetensors file.

    An .npy is mapped, not read, so that it costs no memory of its own.

    Raises
    ------
    UnreadableRecordError
        If it holds anything else.
    """
    try:
        flat = _load(path)
    except (OSError, ValueError, KeyError) as error:
        raise UnreadableRecordError(kind="model file", why=type(error).__name__) from error
    if flat.ndim != 1 or flat.dtype != np.float32 or flat.size < 1:
        raise UnreadableRecordError(kind="model file", why="not one flat float32 array")
    return flat


def _load(path: Path) -> FlatModel:
    if path.suffix == ".npy":
        mapped: FlatModel = np.load(path, mmap_mode="r", allow_pickle=False)
        return mapped
    from safetensors.numpy import load_file

    (flat,) = load_file(path).values()
    return np.asarray(flat)


def write_flat(path: Path, flat: FlatModel) -> None:
    """Write an array as .npy in one step: readers see the whole file or the old one.

    Raises
    ------
    DiskFullError
        If the disk has no room; the old file is untouched.
    """
    with disk_full_as_error(path.parent, flat.nbytes):
        draft = path.with_name(f".{path.name}.part")
        try:
            with draft.open("wb") as file:
                np.save(file, flat, allow_pickle=False)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def digest_of(flat: FlatModel) -> Sha256:
    """Return the digest of an array's little-endian float32 bytes."""
    return Sha256("sha256:" + hashlib.sha256(_bytes_of(flat)).hexdigest())


def digest_of_file(path: Path) -> Sha256:
    """Return the digest of a file, read in pieces.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        return Sha256("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())


def keep_raw(folder: Path, flat: FlatModel, digest: Sha256) -> Path:
    """Write an array's raw bytes to `folder/<64 hex of its digest>.f32`; on disk when it returns.

    Raises
    ------
    DiskFullError
        If the disk has no room; nothing is left behind.
    """
    with disk_full_as_error(folder.parent, flat.nbytes):
        folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{str(digest)[-_HEX:]}.f32"
    write_atomic(path, _bytes_of(flat))  # type: ignore[arg-type]  # a view serves as bytes do
    return path


def forget_pages(mapped: FlatModel) -> None:
    """Let the system take back the memory behind a mapped array; it can still be read."""
    held = getattr(mapped, "_mmap", None)
    if held is not None and hasattr(mmap, "MADV_DONTNEED"):
        held.madvise(mmap.MADV_DONTNEED)


def map_raw(path: Path) -> FlatModel:
    """Return the array in a file of raw little-endian float32 numbers, mapped.

    It stays readable when the file is moved or removed.

    Raises
    ------
    OSError, ValueError
        If there is no such file, or its size is no multiple of four.
    """
    return np.memmap(path, dtype="<f4", mode="r")


def _bytes_of(flat: FlatModel) -> memoryview:
    return np.ascontiguousarray(flat, dtype="<f4").view(np.uint8).data
