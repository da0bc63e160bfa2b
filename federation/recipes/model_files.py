"""Digests and files of models and updates, without ever holding more than one of them.

A model has two names: the digest of its little-endian float32 bytes, which is what
sites sign, and the content id of its safetensors file, which is what is kept.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from federation.domain.ids import Sha256
from federation.domain.study import Study
from federation.domain.update import UpdateManifest
from federation.errors.core import UnreadableRecordError
from federation.wire.messages import FlatModel


def initial_model(study: Study) -> tuple[FlatModel, UpdateManifest]:
    """Build a study's first model again from its recipe and seed."""
    from federation.recipes import catalogue, flat, networks

    network = networks.build(catalogue.recipe(study.recipe), seed=study.seed)
    return flat.flatten(network), flat.manifest_of(network)


def digest_of_flat(model: FlatModel) -> Sha256:
    """Return the content id of an array's little-endian float32 bytes, without a copy."""
    content = np.ascontiguousarray(model, dtype="<f4").view(np.uint8)
    return Sha256("sha256:" + hashlib.sha256(content.data).hexdigest())


def digest_of_file(path: Path) -> Sha256:
    """Return the content id of a file, read in pieces."""
    with path.open("rb") as stream:
        return Sha256("sha256:" + hashlib.file_digest(stream, "sha256").hexdigest())


def read_update(path: Path) -> FlatModel:
    """Return a kept update, mapped from its file of little-endian float32 bytes.

    Raises
    ------
    UnreadableRecordError
        If the file is empty or ends within a number.
    """
    try:
        return np.memmap(path, dtype="<f4", mode="r")
    except (OSError, ValueError) as error:
        raise UnreadableRecordError(kind="update", why=type(error).__name__) from error


def digest_of_model_file(path: Path, manifest: UpdateManifest) -> Sha256:
    """Return the digest of the flat model in a safetensors file, read tensor by tensor.

    Raises
    ------
    UnreadableRecordError
        If it is not a model of that manifest.
    """
    digest = hashlib.sha256()
    for tensor in _tensors(path, manifest):
        digest.update(np.ascontiguousarray(tensor, dtype="<f4").view(np.uint8).data)
    return Sha256("sha256:" + digest.hexdigest())


def read_model_file(path: Path, manifest: UpdateManifest) -> FlatModel:
    """Return the flat model in a safetensors file; raises as `digest_of_model_file`."""
    model, begin = np.empty(manifest.size, np.float32), 0
    for tensor in _tensors(path, manifest):
        model[begin : begin + tensor.size] = tensor
        begin += tensor.size
    return model


def _tensors(path: Path, manifest: UpdateManifest) -> Iterator[NDArray[np.float32]]:
    """Yield a file's tensors in the manifest's order, flat."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            if set(file.keys()) != {slot.name for slot in manifest.slots}:
                raise UnreadableRecordError(kind="model", why="other tensors")
            for slot in manifest.slots:
                tensor = file.get_tensor(slot.name)
                if tensor.shape != slot.shape or tensor.dtype != np.float32:
                    raise UnreadableRecordError(kind="model", why=f"another shape of {slot.name}")
                yield tensor.reshape(-1)
    except (SafetensorError, OSError, ValueError) as error:
        raise UnreadableRecordError(kind="model", why=type(error).__name__) from error
