"""Read and write one flat float32 model as a file, in place of sending it through pipes."""

import tempfile
from pathlib import Path

import numpy as np

from federation.errors.core import UnreadableRecordError
from federation.wire.messages import FlatModel


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
    """Write an array as .npy in one step: readers see the whole file or the old one."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False, suffix=".tmp") as file:
        np.save(file, flat, allow_pickle=False)
    Path(file.name).replace(path)
