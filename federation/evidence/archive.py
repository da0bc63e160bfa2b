"""A zip file with exactly one form: same members, same bytes, on every machine.

Members are stored, not compressed, in name order, with one fixed time and mode.
A reader makes the archive again from its members and compares, so not even a
header byte can differ; a zip bomb has nothing to expand and no name can leave
the folder it is unpacked to.
"""

import hashlib
import re
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from federation.domain.ids import Sha256
from federation.errors.registry import BundleItemError, BundleUnreadableError

MAX_MEMBERS = 20_000
MAX_TEXT_BYTES = 4 * 2**20
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_UNIX = 3
_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,120}/){0,3}[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
_BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,  # a compression or flag of another tool
    RuntimeError,  # an encrypted member
    ValueError,
    EOFError,
    struct.error,
    OSError,
)

Content = bytes | Path


def write_archive(file: IO[bytes], members: Mapping[str, Content]) -> None:
    """Write the members, in name order; a path stands for the file's content."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            content = members[name]
            if isinstance(content, Path):
                with content.open("rb") as source:
                    _write(archive, name, source, size=content.stat().st_size)
            else:
                with tempfile.SpooledTemporaryFile() as source:
                    source.write(content)
                    source.seek(0)
                    _write(archive, name, source, size=len(content))


class Archive:
    """An archive open for reading, its names and sizes already checked."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._infos = {info.filename: info for info in archive.infolist()}

    @property
    def names(self) -> list[str]:
        """Return the members' names, in order."""
        return list(self._infos)

    def read(self, name: str) -> bytes:
        """Return one member's bytes, at most 4 MiB.

        Raises
        ------
        BundleItemError
            If it is missing, larger, or cannot be read.
        """
        info = self._infos.get(name)
        if info is None:
            raise BundleItemError(item=name, why="it is missing")
        if info.file_size > MAX_TEXT_BYTES:
            raise BundleItemError(item=name, why="it is too large")
        try:
            return self._archive.read(info)
        except _BROKEN as error:
            raise BundleItemError(item=name, why="its bytes were changed") from error

    def digest(self, name: str) -> Sha256:
        """Return one member's content id, of whatever size.

        Raises
        ------
        BundleItemError
            If it cannot be read.
        """
        try:
            with self._archive.open(self._infos[name]) as member:
                return Sha256("sha256:" + _sha256(member).hex())
        except _BROKEN as error:
            raise BundleItemError(item=name, why="its bytes were changed") from error

    def check_form(self, path: Path) -> None:
        """Raise unless the file at `path` is byte for byte the archive of these members.

        Raises
        ------
        BundleItemError
            If a byte outside the members differs.
        """
        with tempfile.TemporaryFile() as again:
            with zipfile.ZipFile(again, "w", zipfile.ZIP_STORED) as archive:
                for name in sorted(self._infos):
                    info = self._infos[name]
                    with self._archive.open(info) as source:
                        _write(archive, name, source, size=info.file_size)
            again.seek(0)
            with path.open("rb") as file:
                given = _sha256(file)
            if _sha256(again) != given:
                raise BundleItemError(item="archive", why="bytes between its members were changed")


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an archive that `write_archive` wrote.

    Raises
    ------
    BundleUnreadableError
        If there is no such file.
    BundleItemError
        If it is not such an archive.
    """
    if not path.is_file():
        raise BundleUnreadableError(name=path.name, why="there is no such file")
    try:
        archive = zipfile.ZipFile(path)
    except _BROKEN as error:
        raise BundleItemError(item="archive", why="it is not a readable zip file") from error
    with archive:
        _check_members(archive, path.stat().st_size)
        yield Archive(archive)


def _check_members(archive: zipfile.ZipFile, size_bytes: int) -> None:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(infos) > MAX_MEMBERS or len(set(names)) != len(names):
        raise BundleItemError(item="archive", why="too many members, or one twice")
    if sum(info.file_size for info in infos) > size_bytes:
        raise BundleItemError(item="archive", why="its members claim more bytes than it has")
    for info in infos:
        if not _NAME.fullmatch(info.filename):
            raise BundleItemError(item="archive", why="a member's name is not allowed")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits:
            raise BundleItemError(item=info.filename, why="it is compressed or encrypted")


def _write(archive: zipfile.ZipFile, name: str, source: IO[bytes], *, size: int) -> None:
    info = zipfile.ZipInfo(name, _TIME)
    info.external_attr, info.create_system, info.file_size = _MODE, _UNIX, size
    with archive.open(info, "w") as target:
        shutil.copyfileobj(source, target, 2**20)


def _sha256(file: IO[bytes]) -> bytes:
    digest = hashlib.sha256()
    while block := file.read(2**20):
        digest.update(block)
    return digest.digest()
