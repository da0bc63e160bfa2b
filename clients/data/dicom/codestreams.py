"""Say how large the images of compressed frames claim to be, without decoding them.

A frame of a few bytes may claim four thousand million pixels, for which a decoder
asks memory before it looks further. `sizes_in` reads SOFn of JPEG (ISO 10918-1
B.2.2) and JPEG-LS, and SIZ of JPEG 2000 (15444-1 A.5.1).
"""

import struct
from collections.abc import Iterator

from clients.data.dicom.elements import fragments_of

SIZ = b"\xff\x4f\xff\x51"
HEAD = 1 << 16
"""Bytes of a fragment in which the image's size is looked for."""
_FRAME_HEADERS = (frozenset(range(0xC0, 0xD0)) | {0xF7}) - {0xC4, 0xC8, 0xCC}


def fragment_count(value: bytes) -> int:
    """Return how many fragments encapsulated pixel data has, its offset table not counted."""
    return sum(1 for _ in fragments_of(value)) - 1


def sizes_in(value: bytes) -> Iterator[tuple[int, int]]:
    """Yield (rows, columns) that each image in encapsulated pixel data claims to have.

    Rows are zero in a JPEG that tells them only at its end (DNL).
    """
    for start, end in fragments_of(value):
        head = value[start : min(end, start + HEAD)]
        at = head.find(SIZ)
        if head.startswith(b"\xff\xd8"):
            yield from _size_of_jpeg(head)
        elif 0 <= at <= len(head) - 24:
            width, height, left, top = struct.unpack_from(">4I", head, at + 8)
            yield height - top, width - left


def _size_of_jpeg(head: bytes) -> Iterator[tuple[int, int]]:
    at = 2
    while at + 9 <= len(head):
        if head[at] != 0xFF or head[at + 1] in (0x00, 0xFF):
            at += 1
            continue
        if head[at + 1] in _FRAME_HEADERS:
            yield struct.unpack_from(">HH", head, at + 5)
            return
        at += 2 + int.from_bytes(head[at + 2 : at + 4])
