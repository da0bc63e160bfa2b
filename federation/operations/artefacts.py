"""Keep models and checkpoints by the digest of their bytes.

A file's name is its SHA-256, so a reference says exactly what it refers to, the
same bytes are kept once, and every read is checked. Models are safetensors with
the recipe's tensor names: any tool can open them, and the same model always has
the same bytes.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from federation.domain.ids import Sha256
from federation.domain.update import UpdateManifest
from federation.errors.core import InvalidValueError, UnreadableRecordError
from federation.errors.machine import ArtefactDamagedError, ArtefactMissingError
from federation.storage import PRIVATE, disk_full_as_error, require_space, write_atomic

FlatModel = NDArray[np.float32]

_MANIFEST = "trifed-manifest"
_PIECE_BYTES = 1 << 20


class Artefacts:
    """The artefact store in one folder: `ab/ab12...` for the digest sha256:ab12...

    Parameters
    ----------
    folder
        Made when the first artefact is kept; 0700, files 0600.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, content: bytes) -> Sha256:
        """Keep some bytes; return their content id.

        Raises
        ------
        DiskFullError
            If the disk has no room; nothing is left half-written.
        """
        digest = Sha256.of(content)
        path = self._place(digest)
        if not self._holds(digest):
            write_atomic(path, content, mode=PRIVATE)
        return digest

    def put_file(self, source: Path) -> Sha256:
        """Keep a copy of a file, read once in pieces; return its content id.

        Raises
        ------
        DiskFullError
            If the disk has no room; nothing is left half-written.
        """
        self._make(self.folder)
        size = source.stat().st_size
        require_space(self.folder, size)
        with disk_full_as_error(self.folder, size), self._temporary() as (path, target):
            digest = _copy(source, target)
            place = self._place(digest)
            path.replace(place)
        return digest

    def put_model(self, model: FlatModel, manifest: UpdateManifest) -> Sha256:
        """Keep a model as safetensors; return its content id.

        Raises
        ------
        UnreadableRecordError
            If the model is not what the manifest says.
        DiskFullError
            If the disk has no room; nothing is left half-written.
        """
        return self.put(model_bytes(model, manifest))

    def path_of(self, digest: Sha256) -> Path:
        """Return where an artefact lies, unchecked; use `get` to read it.

        Raises
        ------
        ArtefactMissingError
            If it is not kept here.
        """
        path = self._path(digest)
        if not path.is_file():
            raise ArtefactMissingError(digest=digest)
        return path

    def get(self, digest: Sha256) -> bytes:
        """Return an artefact's bytes, checked against its name.

        Raises
        ------
        ArtefactMissingError
            If it is not kept here.
        ArtefactDamagedError
            If the bytes are not those that were kept.
        """
        content = self.path_of(digest).read_bytes()
        if Sha256.of(content) != digest:
            raise ArtefactDamagedError(digest=digest)
        return content

    def get_model(self, digest: Sha256) -> tuple[FlatModel, UpdateManifest]:
        """Return a kept model, flat float32 of shape (parameters,), and its manifest.

        Raises
        ------
        ArtefactMissingError, ArtefactDamagedError
            As `get`.
        UnreadableRecordError
            If the artefact is not a model that `put_model` wrote.
        """
        return model_of_bytes(self.get(digest))

    def _path(self, digest: Sha256) -> Path:
        return self.folder / digest.hex[:2] / digest.hex

    def _place(self, digest: Sha256) -> Path:
        path = self._path(digest)
        self._make(self.folder)
        self._make(path.parent)
        return path

    def _make(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)

    def _holds(self, digest: Sha256) -> bool:
        """Return whether it is kept whole; a damaged copy is written again."""
        path = self._path(digest)
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == digest.hex

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[tuple[Path, BinaryIO]]:
        descriptor, name = tempfile.mkstemp(prefix=".new-", dir=self.folder)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                yield Path(name), stream
        finally:
            Path(name).unlink(missing_ok=True)


def model_bytes(model: FlatModel, manifest: UpdateManifest) -> bytes:
    """Return a model as safetensors with the manifest's names; the same model, the same bytes.

    Raises
    ------
    UnreadableRecordError
        If the model is not a flat float32 array of the manifest's size.
    """
    if model.dtype != np.float32 or model.shape != (manifest.size,):
        raise UnreadableRecordError(kind="model", why="it does not fit its manifest")
    from safetensors.numpy import save

    # One entry only: the library writes several in an order of its own.
    about = {_MANIFEST: json.dumps(manifest.as_json())}
    content: bytes = save(_tensors(model, manifest), about)
    return content


def model_of_bytes(content: bytes) -> tuple[FlatModel, UpdateManifest]:
    """Return the flat model and the manifest in what `model_bytes` wrote.

    Raises
    ------
    UnreadableRecordError
        If it is anything else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(content)
        manifest = UpdateManifest.from_json(_manifest_json(content))
    except (SafetensorError, InvalidValueError, ValueError, KeyError, TypeError) as error:
        raise UnreadableRecordError(kind="model", why=type(error).__name__) from error
    if {slot.name: slot.shape for slot in manifest.slots} != {
        name: tensor.shape for name, tensor in tensors.items()
    } or any(tensor.dtype != np.float32 for tensor in tensors.values()):
        raise UnreadableRecordError(kind="model", why="its tensors do not fit its manifest")
    return np.concatenate([tensors[slot.name].reshape(-1) for slot in manifest.slots]), manifest


def _manifest_json(content: bytes) -> list[list[object]]:
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    manifest: list[list[object]] = json.loads(header["__metadata__"][_MANIFEST])
    return manifest


def _tensors(model: FlatModel, manifest: UpdateManifest) -> dict[str, NDArray[np.float32]]:
    tensors, begin = {}, 0
    for slot in manifest.slots:
        part = model[begin : begin + slot.size]
        tensors[slot.name] = np.ascontiguousarray(part).reshape(slot.shape)
        begin += slot.size
    return tensors


def _copy(source: Path, target: BinaryIO) -> Sha256:
    digest = hashlib.sha256()
    with source.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
            target.write(piece)
    target.flush()
    os.fsync(target.fileno())
    return Sha256("sha256:" + digest.hexdigest())
