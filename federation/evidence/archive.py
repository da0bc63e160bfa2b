"""A zip file with exactly one form: same members, same bytes, on every machine.

Members are stored, not compressed, in name order, with one fixed time and mode and
nothing between them. So every header is known before it is read: a reader compares,
and a changed byte outside the members is found before anything of them is believed.
There is nothing to expand, no link, and no name can leave the folder it is unpacked to.
Layout: PKWARE APPNOTE.TXT 4.3.7 (local), 4.3.12 (central), 4.3.16 (end).
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator, KeysView, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from federation.domain.ids import Sha256
from federation.errors.registry import BundleItemError, BundleUnreadableError
from federation.evidence.reasons import Reason

MAX_MEMBERS = 20_000
MAX_TEXT_BYTES = 4 * 2**20
MAX_BYTES = 2**32 - 1
ARCHIVE = "archive"
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION = 20
_DATE = 33  # 1 January 1980, the first that a zip file can say
_MODE = 0o100644 << 16
_UNIX = 3 << 8
_PIECE_BYTES = 1 << 20
_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,120}/){0,3}[A-Za-z0-9][A-Za-z0-9._-]{0,120}")

Content = bytes | Path


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a member lies: `start` is its local header, `crc` what the headers say."""

    name: str
    start: int
    size: int
    crc: int

    @property
    def local(self) -> bytes:
        """Return the header before the member's bytes."""
        name = self.name.encode()
        fields = (_VERSION, 0, 0, 0, _DATE, self.crc, self.size, self.size, len(name), 0)
        return _LOCAL.pack(b"PK\3\4", *fields) + name

    @property
    def central(self) -> bytes:
        """Return the member's line in the list at the end."""
        name = self.name.encode()
        about = (_UNIX | _VERSION, _VERSION, 0, 0, 0, _DATE, self.crc, self.size, self.size)
        return _CENTRAL.pack(b"PK\1\2", *about, len(name), 0, 0, 0, 0, _MODE, self.start) + name

    @property
    def data(self) -> int:
        """Return where the member's bytes begin."""
        return self.start + len(self.local)


def is_member_name(name: str) -> bool:
    """Say whether a member may have this name; such a name is also safe to show."""
    return _NAME.fullmatch(name) is not None


def write_archive(file: IO[bytes], members: Mapping[str, Content]) -> None:
    """Write the members, in name order; a path stands for the file's content.

    Raises
    ------
    BundleUnreadableError
        If they are over 4 GiB together, or a file changed while it was read.
    """
    written: list[_Member] = []
    start = 0
    for name in sorted(members):
        size, crc = _measured(members[name])
        member = _Member(name, start, size, crc)
        start = member.data + size
        _check_room(name, start)
        file.write(member.local)
        _copy(members[name], file, member)
        written.append(member)
    listed = b"".join(member.central for member in written)
    _check_room("archive", start + len(listed))
    file.write(listed + _end(len(written), len(listed), start))


class Archive:
    """An archive open for reading, its form and its members' names already checked."""

    def __init__(self, file: IO[bytes], members: Mapping[str, _Member]) -> None:
        self._file, self._members = file, members

    @property
    def names(self) -> KeysView[str]:
        """Return the members' names, in order; to look one up takes no longer among many."""
        return self._members.keys()

    def size(self, name: str) -> int:
        """Return how many bytes a member has."""
        return self._members[name].size

    def read(self, name: str) -> bytes:
        """Return one member's bytes, at most 4 MiB.

        Raises
        ------
        BundleItemError
            If it is missing or larger.
        """
        member = self._members.get(name)
        if member is None:
            raise BundleItemError(item=name, why=Reason.MISSING.value)
        if member.size > MAX_TEXT_BYTES:
            raise BundleItemError(item=name, why=Reason.LARGE.value)
        return b"".join(self.pieces(name))

    def digest(self, name: str) -> Sha256:
        """Return one member's content id, of whatever size.

        Raises
        ------
        BundleItemError
            If its bytes are not those that the archive's own checksum is of.
        """
        found, crc = hashlib.sha256(), 0
        for piece in self.pieces(name):
            found.update(piece)
            crc = zlib.crc32(piece, crc)
        if crc != self._members[name].crc:
            raise BundleItemError(item=name, why=Reason.CHANGED.value)
        return Sha256("sha256:" + found.hexdigest())

    def part(self, name: str, start: int, end: int) -> bytes:
        """Return some bytes of a member; raises `ValueError` if it has no such."""
        member = self._members[name]
        if not 0 <= start <= end <= member.size:
            raise ValueError("a place outside the member")
        self._file.seek(member.data + start)
        return self._file.read(end - start)

    def pieces(self, name: str) -> Iterator[bytes]:
        """Return a member's bytes, a mebibyte at a time."""
        member = self._members[name]
        self._file.seek(member.data)
        left = member.size
        while left:
            piece = self._file.read(min(left, _PIECE_BYTES))
            if not piece:
                raise BundleItemError(item=name, why=Reason.CHANGED.value)
            left -= len(piece)
            yield piece


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an archive that `write_archive` wrote.

    Raises
    ------
    BundleUnreadableError
        If there is no such file.
    BundleItemError
        If a byte outside its members is not what `write_archive` would write.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        why = error.strerror or "unreadable"
        raise BundleUnreadableError(name=path.name, why=why) from error
    with file:
        members = _listed(file, path.stat().st_size)
        _check_headers(file, members)
        yield Archive(file, {member.name: member for member in members})


def _listed(file: IO[bytes], size_bytes: int) -> list[_Member]:
    """Return the members that the list at the end names, each line compared with its one form."""
    file.seek(max(0, size_bytes - _END.size))
    tail = file.read()
    if len(tail) != _END.size or not tail.startswith(b"PK\5\6"):
        raise BundleItemError(item=ARCHIVE, why=Reason.UNREADABLE.value)
    count, length, start = _END.unpack(tail)[4:7]
    if tail != _end(count, length, start) or start + length + _END.size != size_bytes:
        raise BundleItemError(item=ARCHIVE, why=Reason.GAP.value)
    if not 0 < count <= MAX_MEMBERS or length > MAX_MEMBERS * 600:
        raise BundleItemError(item=ARCHIVE, why=Reason.MEMBERS.value)
    file.seek(start)
    return _members_of(file.read(length), count, start)


def _members_of(listed: bytes, count: int, end: int) -> list[_Member]:
    members: list[_Member] = []
    at, begin = 0, 0
    for _ in range(count):
        member = _member_at(listed, at)
        if member is None or member.start != begin or (members and member.name <= members[-1].name):
            raise BundleItemError(item=ARCHIVE, why=Reason.MEMBERS.value)
        members.append(member)
        at, begin = at + len(member.central), member.data + member.size
    if at != len(listed) or begin != end:
        raise BundleItemError(item=ARCHIVE, why=Reason.GAP.value)
    return members


def _member_at(listed: bytes, at: int) -> _Member | None:
    """Return the member whose line begins at a place, None when it has another form."""
    if len(listed) - at < _CENTRAL.size:
        return None
    fields = _CENTRAL.unpack_from(listed, at)
    crc, size, length, start = fields[7], fields[8], fields[10], fields[16]
    name = listed[at + _CENTRAL.size : at + _CENTRAL.size + length].decode("latin-1")
    if not _NAME.fullmatch(name):
        raise BundleItemError(item=ARCHIVE, why=Reason.NAME.value)
    member = _Member(name, start, size, crc)
    return member if listed.startswith(member.central, at) else None


def _check_headers(file: IO[bytes], members: list[_Member]) -> None:
    for member in members:
        file.seek(member.start)
        if file.read(len(member.local)) != member.local:
            raise BundleItemError(item=ARCHIVE, why=Reason.GAP.value)


def _end(count: int, length: int, start: int) -> bytes:
    return _END.pack(b"PK\5\6", 0, 0, count & 0xFFFF, count & 0xFFFF, length, start, 0)


def _check_room(name: str, size_bytes: int) -> None:
    if size_bytes > MAX_BYTES - _END.size:
        raise BundleUnreadableError(name=name, why="it would be over 4 GiB")


def _measured(content: Content) -> tuple[int, int]:
    """Return size and checksum of a content."""
    size = crc = 0
    for piece in _pieces_of(content):
        size, crc = size + len(piece), zlib.crc32(piece, crc)
    return size, crc


def _copy(content: Content, file: IO[bytes], member: _Member) -> None:
    size = crc = 0
    for piece in _pieces_of(content):
        file.write(piece)
        size, crc = size + len(piece), zlib.crc32(piece, crc)
    if (size, crc) != (member.size, member.crc):
        raise BundleUnreadableError(name=member.name, why="it changed while it was read")


def _pieces_of(content: Content) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as source:
        while piece := source.read(_PIECE_BYTES):
            yield piece
