"""Keep models and checkpoints by the digest of their bytes.

    artefacts = Artefacts.of(home)                  # as centre.toml says
    digest = artefacts.put_model(model, manifest)   # on disk, and in the bucket if there is one
    artefacts.adopt(spool / "ab12.f32", digest)     # take a file over, by renaming it
    artefacts.path_of(digest)                       # for memory maps

A file's name is its SHA-256, so a reference says exactly what it refers to, the
same bytes are kept once, and every read is checked. Models are safetensors with
the recipe's tensor names: any tool can open them, and the same model always has
the same bytes.

The folder is the store. With a bucket behind it (`federation.operations.buckets`)
everything is first brought to disk here, then sent there, and `put` returns when
both have it; the folder then only saves time, and gives its oldest files up when
its disk fills.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from federation.coordinator.home import CentreHome
from federation.domain.ids import Sha256
from federation.domain.update import UpdateManifest
from federation.errors.core import InvalidValueError, UnreadableRecordError
from federation.errors.machine import ArtefactDamagedError, ArtefactMissingError
from federation.operations.buckets import Bucket, FsspecBucket
from federation.storage import (
    PRIVATE,
    disk_full_as_error,
    keep_names,
    require_space,
    write_atomic,
)

FlatModel = NDArray[np.float32]

_MANIFEST = "trifed-manifest"
_PIECE_BYTES = 1 << 20

IN_USE_S = 600.0
"""What was used less than this long ago is not given up for room: somebody may be reading it."""


class Artefacts:
    """The artefact store in one folder: `ab/ab12...` for the digest sha256:ab12...

    Parameters
    ----------
    folder
        Made when the first artefact is kept; 0700, files 0600.
    bucket
        Where everything is kept besides; None means here alone.
    """

    def __init__(self, folder: Path, bucket: Bucket | None = None) -> None:
        self.folder, self._bucket = folder, bucket

    @classmethod
    def of(cls, home: CentreHome) -> Self:
        """Return the store that a centre's settings name; raises as they do."""
        url = home.artefacts_url
        return cls(home.artefacts, None if url is None else FsspecBucket(url))

    def put(self, content: bytes) -> Sha256:
        """Keep some bytes; return their content id.

        Raises
        ------
        DiskFullError
            If the disk has no room; nothing is left half-written.
        ArtefactStoreUnavailableError, ArtefactStoreRefusedError
            If the bucket does not take them; they are kept here, so repeat it.
        """
        digest = Sha256.of(content)
        is_new = not self._holds(digest)
        if is_new:
            self._make_room(len(content))
            write_atomic(self._place(digest), content, mode=PRIVATE)
        self._send(digest, is_new=is_new)
        return digest

    def put_file(self, source: Path) -> Sha256:
        """Keep a copy of a file, read once in pieces; return its content id.

        Raises
        ------
        DiskFullError, ArtefactStoreUnavailableError, ArtefactStoreRefusedError
            As `put`.
        """
        digest = self._copy_in(source)
        self._send(digest, is_new=True)
        return digest

    def adopt(self, source: Path, digest: Sha256) -> Sha256:
        """Take a file over: it is moved here, at once on the same disk; return its content id.

        The bytes are compared with `digest` first, whoever computed it: nothing
        enters the store under a name that is not its own, and reading is cheap
        beside what it took to get them (about a second for each GB). A file that
        was adopted before (the process died before it could say so) changes nothing.

        Raises
        ------
        ArtefactMissingError
            If the file is not there and the store does not hold it either.
        ArtefactDamagedError
            If its bytes are not those of `digest`; the file stays where it is.
        DiskFullError
            If it lies on another disk and this one has no room; the file stays.
        ArtefactStoreUnavailableError, ArtefactStoreRefusedError
            If the bucket does not take it; it is kept here, so repeat it.
        """
        is_new = source.exists() or not self._holds(digest)
        if is_new:
            if _digest_of(source, otherwise=ArtefactMissingError(digest=digest)) != digest:
                raise ArtefactDamagedError(digest=digest)
            self._move_in(source, self._place(digest))
        self._send(digest, is_new=is_new)
        return digest

    def put_model(self, model: FlatModel, manifest: UpdateManifest) -> Sha256:
        """Keep a model as safetensors; return its content id.

        Raises
        ------
        UnreadableRecordError
            If the model is not what the manifest says.
        DiskFullError, ArtefactStoreUnavailableError, ArtefactStoreRefusedError
            As `put`.
        """
        return self.put(model_bytes(model, manifest))

    def path_of(self, digest: Sha256) -> Path:
        """Return where an artefact lies on this machine, for memory maps; fetched if need be.

        What comes from a bucket is checked on its way in; what lies here is not
        read again: use `checked_path` or `get` where the bytes count.

        Raises
        ------
        ArtefactMissingError
            If it is not kept.
        ArtefactDamagedError
            If what the bucket gave is not what was kept.
        DiskFullError, ArtefactStoreUnavailableError, ArtefactStoreRefusedError
            If it cannot be fetched.
        """
        path = self._path(digest)
        if not path.is_file():
            self._fetch(digest)
        elif self._bucket is not None:
            os.utime(path)  # what was used last is given up last
        return path

    def checked_path(self, digest: Sha256) -> Path:
        """Return where an artefact lies, its bytes compared with its name; raises as `path_of`.

        A damaged file is fetched again where a bucket has it.

        Raises
        ------
        ArtefactDamagedError
            If the bytes are not those that were kept.
        """
        path = self.path_of(digest)
        if _digest_of(path) != digest:
            if self._bucket is None:
                raise ArtefactDamagedError(digest=digest)
            self._fetch(digest)
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
        if Sha256.of(content) == digest:
            return content
        return self.checked_path(digest).read_bytes()

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

    def delete(self, digest: Sha256) -> None:
        """Delete an artefact here and in the bucket; one that is not there is gone already.

        Raises
        ------
        ArtefactStoreUnavailableError, ArtefactStoreRefusedError
            If the bucket does not delete it; it is gone here, so repeat it.
        """
        self._path(digest).unlink(missing_ok=True)
        if self._bucket is not None:
            self._bucket.remove(_name(digest))

    # -- this machine's folder ---------------------------------------------------------

    def _path(self, digest: Sha256) -> Path:
        return self.folder / _name(digest)

    def _place(self, digest: Sha256) -> Path:
        path = self._path(digest)
        self._make(self.folder)
        self._make(path.parent)
        return path

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            with disk_full_as_error(folder.parent, 0):
                folder.mkdir(mode=0o700, exist_ok=True)
                keep_names(folder.parent)

    def _holds(self, digest: Sha256) -> bool:
        """Return whether it is kept whole; a damaged copy is written again."""
        path = self._path(digest)
        return path.is_file() and _digest_of(path) == digest

    def _copy_in(self, source: Path) -> Sha256:
        self._make(self.folder)
        size = source.stat().st_size
        self._make_room(size)
        with disk_full_as_error(self.folder, size), self._temporary() as (path, target):
            digest = _copy(source, target)
            self._enter(path, digest)
        return digest

    def _move_in(self, source: Path, place: Path) -> None:
        try:
            source.chmod(PRIVATE)
            source.replace(place)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy_in(source)
            source.unlink()
        keep_names(place.parent)

    def _enter(self, temporary: Path, digest: Sha256) -> None:
        place = self._place(digest)
        temporary.replace(place)
        keep_names(place.parent)

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[tuple[Path, BinaryIO]]:
        descriptor, name = tempfile.mkstemp(prefix=".new-", dir=self.folder)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                yield Path(name), stream
        finally:
            Path(name).unlink(missing_ok=True)

    # -- the bucket behind it ----------------------------------------------------------

    def _send(self, digest: Sha256, *, is_new: bool) -> None:
        """Bring it to the bucket. New here: sent in any case, which heals a damaged one there."""
        if self._bucket is None:
            return
        path = self._path(digest)
        if is_new or self._bucket.size_of(_name(digest)) != path.stat().st_size:
            self._bucket.send(path, _name(digest))

    def _fetch(self, digest: Sha256) -> None:
        size = None if self._bucket is None else self._bucket.size_of(_name(digest))
        if self._bucket is None or size is None:
            raise ArtefactMissingError(digest=digest)
        self._make(self.folder)
        self._make_room(size)
        with disk_full_as_error(self.folder, size), self._temporary() as (path, target):
            if not self._bucket.fetch(_name(digest), target):
                raise ArtefactMissingError(digest=digest)
            target.flush()
            os.fsync(target.fileno())
            if _digest_of(path) != digest:
                raise ArtefactDamagedError(digest=digest)
            self._enter(path, digest)

    def _make_room(self, needed_bytes: int) -> None:
        """Raise `DiskFullError` unless there is room; give up what the bucket has for it."""
        self._make(self.folder)
        if self._bucket is not None:
            self._give_up(needed_bytes, self._bucket)
        require_space(self.folder, needed_bytes)

    def _give_up(self, needed_bytes: int, bucket: Bucket) -> None:
        """Remove files that the bucket has, least recently used first, until there is room."""
        spare: Iterator[Path] | None = None
        while shutil.disk_usage(self.folder).free < needed_bytes:
            spare = spare or iter(self._spare())
            path = next(spare, None)
            if path is None:
                return
            if bucket.size_of(_name_of(path)) == path.stat().st_size:
                path.unlink()

    def _spare(self) -> list[Path]:
        newest = time.time() - IN_USE_S
        found = sorted((path.stat().st_mtime, path) for path in self.folder.glob("??/*"))
        return [path for used, path in found if used < newest]


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


def _name(digest: Sha256) -> str:
    return f"{digest.hex[:2]}/{digest.hex}"


def _name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _digest_of(path: Path, *, otherwise: Exception | None = None) -> Sha256:
    """Return the content id of a file, read in pieces; raise `otherwise` when it is not there."""
    try:
        with path.open("rb") as stream:
            return Sha256("sha256:" + hashlib.file_digest(stream, "sha256").hexdigest())
    except FileNotFoundError as error:
        raise otherwise or error from error


def _copy(source: Path, target: BinaryIO) -> Sha256:
    digest = hashlib.sha256()
    with source.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
            target.write(piece)
    target.flush()
    os.fsync(target.fileno())
    return Sha256("sha256:" + digest.hexdigest())
