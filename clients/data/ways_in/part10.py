"""Look at the file meta of a DICOM file, and at nothing behind it (PS3.10 7.1).

What arrives over the web is kept as it is; only its class and instance must be
known, to answer for it. At most the first few kilobytes are looked at.
"""

import struct
from dataclasses import dataclass, field

from federation.errors.sources import NotAnObjectError

HEAD_BYTES = 16 * 1024
_LONG = frozenset({b"OB", b"OW", b"UN", b"SQ", b"UT", b"UC", b"UR"})
_CLASS, _INSTANCE, _SYNTAX = 0x0002, 0x0003, 0x0010
_UID_BYTES = frozenset(b"0123456789.")


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What a file says it holds. `repr` shows no instance."""

    sop_class: str
    instance: str = field(repr=False)


def file_meta(head: bytes) -> FileMeta:
    """Return the SOP class and instance in the file meta of a file that begins with `head`.

    Raises
    ------
    NotAnObjectError
        If it is no DICOM file, or lacks class, instance or transfer syntax.
    """
    if head[128:132] != b"DICM":
        raise NotAnObjectError()
    found: dict[int, str] = {}
    at = 132
    try:
        while head[at : at + 2] == b"\x02\x00":
            number, kind = struct.unpack_from("<H2s", head, at + 2)
            is_long = kind in _LONG
            (length,) = struct.unpack_from(
                "<I" if is_long else "<H", head, at + (8 if is_long else 6)
            )
            at += 12 if is_long else 8
            if number in (_CLASS, _INSTANCE, _SYNTAX):
                found[number] = _uid(head[at : at + length])
            at += length
    except struct.error as error:
        raise NotAnObjectError() from error
    if len(found) != 3:
        raise NotAnObjectError()
    return FileMeta(found[_CLASS], found[_INSTANCE])


def _uid(value: bytes) -> str:
    value = value.rstrip(b"\0 ")
    if not 0 < len(value) <= 64 or not _UID_BYTES.issuperset(value):
        raise NotAnObjectError()
    return value.decode("ascii")
