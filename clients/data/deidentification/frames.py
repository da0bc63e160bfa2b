"""Blank what hides beside the picture, and nothing of the picture.

Native pixels lose what lies behind the last sample and in bits outside Bits Stored.
Compressed frames keep their length: comment and application segments, thumbnails,
unused header fields and everything behind the end of the image become zeros, in
JPEG (ISO 10918-1), JPEG-LS (14495-1), JPEG 2000 and HTJ2K (15444-1) and RLE (PS3.5
Annex G). A frame of any other kind is refused, and so are native pixels whose bits
cannot be told from what else stands in their words. A basic offset table that does not
point at fragments is emptied.
"""

import re
import struct
from collections.abc import Iterator, Sequence

import numpy as np

from clients.data.dicom.elements import PIXEL_DATA, Part10, fragments_of
from federation.errors.deidentification import UncleanableFramesError

RLE = "1.2.840.10008.1.2.5"
RLE_HEADER = 64
MOST_RLE_SEGMENTS = 15

SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
_MARKER = re.compile(rb"\xff+[\xc0-\xcf\xd8-\xfe]")
"""A marker inside entropy-coded data; lower second bytes are stuffing (JPEG-LS too)."""
_BARE = frozenset({0x01, SOI} | set(range(0xD0, 0xD8)))
_KEPT = (frozenset(range(0xC0, 0xE0)) | {0xF7, 0xF8}) - {0xC8}
"""Frames, tables, scans, and SOF55 and LSE of JPEG-LS. COM, APPn, JPGn and what is
reserved do not decode anything."""
_KEPT_START = {
    (0xE0, b"JFIF\0"): 12,
    (0xE8, b"SPIFF\0"): 30,
    (0xE8, b"hpfx"): 5,
    (0xE8, b"mrfx"): 5,
    (0xEE, b"Adobe"): 12,
}
"""What of an application segment says how to decode: marker and beginning, bytes kept."""
_JP2_BOXES = frozenset(
    {b"jP  ", b"ftyp", b"ihdr", b"bpcc", b"colr", b"pclr", b"cmap", b"cdef", b"res "}
)
_J2K_KEPT = frozenset(
    {0x50, 0x51, 0x52, 0x53, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5C, 0x5D, 0x5E, 0x5F, 0x60, 0x61, 0x63}
    | set(range(0x72, 0x7A))
)
"""Segments of a codestream that decode it (ISO 15444-1 A.2, -2 A.2, -15)."""
_JP2 = b"\0\0\0\x0cjP  "


def frames_of(file: Part10) -> int:
    """Return Number of Frames, 1 when it is absent or no number."""
    text = file.text(0x00280008)
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 10 else 1


def blank_pixels(file: Part10) -> bool:
    """Clean the pixel data of a file in place; tell whether anything was hidden there.

    Raises
    ------
    UncleanableFramesError
        If it is compressed in a way that is not known here.
    """
    element = file.index.get(PIXEL_DATA)
    if element is None:
        return False
    before = element.value
    if element.fragments:
        element.value = _clean_fragments(before, _rle_samples(file))
    else:
        element.value = _only_stored_bits(_without_tail(before, file), file)
    return element.value is not before


def _without_tail(value: bytes, file: Part10) -> bytes:
    """Cut native pixels to the length that the image's attributes give."""
    bits = file.number(0x00280010, 0) * file.number(0x00280011, 0) * file.number(0x00280100, 0)
    bits *= file.number(0x00280002, 1) * frames_of(file)
    if file.text(0x00280004) == "YBR_FULL_422":
        bits = bits * 2 // 3
    length = (bits + 7) // 8
    if not 0 < length < len(value):
        return value
    if length % 2 == 0:
        return value[:length]
    return value if value[length:] == b"\0" else value[:length] + b"\0"


def _only_stored_bits(value: bytes, file: Part10) -> bytes:
    """Return native pixels with the bits outside Bits Stored cleared or sign-extended."""
    allocated, stored = file.number(0x00280100, 0), file.number(0x00280101, 0)
    high = file.number(0x00280102, stored - 1)
    if allocated not in (8, 16, 32) or not 0 < stored < allocated:
        return value
    signed = file.number(0x00280103, 0) == 1
    kind = np.dtype(f"{file.encoding.order}{'i' if signed else 'u'}{allocated // 8}")
    samples = np.frombuffer(value, kind, len(value) // kind.itemsize)
    rest = value[samples.nbytes :]
    if not samples.size:
        return value
    if _fit(samples, stored, signed=signed):
        return value  # the usual case: no copy
    if high != stored - 1:
        if _within(samples, stored, high):
            return value
        raise UncleanableFramesError()  # which bits are the picture's is not certain
    spare = allocated - stored
    return ((samples << spare) >> spare).astype(kind).tobytes() + rest


def _fit(
    samples: "np.ndarray[tuple[int], np.dtype[np.integer]]", stored: int, *, signed: bool
) -> bool:
    """Tell whether all samples are within the range of `stored` bits."""
    if signed:
        half = 1 << (stored - 1)
        return bool(samples.max() < half and samples.min() >= -half)
    return bool(samples.max() < 1 << stored)


def _rle_samples(file: Part10) -> int | None:
    """Return the samples of one colour of one frame when the frames are RLE, else None."""
    if file.transfer_syntax != RLE:
        return None
    return file.number(0x00280010, 0) * file.number(0x00280011, 0)


def _within(
    samples: "np.ndarray[tuple[int], np.dtype[np.integer]]", stored: int, high: int
) -> bool:
    """Tell whether only the `stored` bits up to bit `high` are used."""
    words = samples.view(samples.dtype.str.replace("i", "u"))
    mask = ((1 << stored) - 1) << max(0, high + 1 - stored)
    return int(np.bitwise_or.reduce(words)) & ~mask == 0


def _clean_fragments(value: bytes, rle_samples: int | None) -> bytes:
    """Return encapsulated frames of the same length without text beside the image."""
    bounds = list(fragments_of(value))
    out = bytearray(value)
    if not bounds:
        return value
    for group in _frame_groups(value, bounds[1:], rle=rle_samples is not None):
        frame = bytearray(b"".join(value[start:end] for start, end in group))
        _clean_frame(frame, rle_samples)
        at = 0
        for start, end in group:
            out[start:end] = frame[at : at + end - start]
            at += end - start
    table, cleaned = value[bounds[0][0] : bounds[0][1]], bytes(out)
    if table and not _points_at_fragments(table, bounds):
        cleaned = struct.pack("<HHI", 0xFFFE, 0xE000, 0) + cleaned[bounds[0][1] :]
    return value if cleaned == value else cleaned


def _frame_groups(
    value: bytes, bounds: Sequence[tuple[int, int]], *, rle: bool
) -> Iterator[list[tuple[int, int]]]:
    """Yield the fragments of each frame: a new one begins where an image begins."""
    group: list[tuple[int, int]] = []
    for start, end in bounds:
        if group and (rle or _begins(value[start : start + 8])):
            yield group
            group = []
        group.append((start, end))
    if group:
        yield group


def _begins(head: bytes) -> bool:
    return head.startswith((b"\xff\xd8\xff", b"\xff\x4f\xff\x51", _JP2))


def _points_at_fragments(table: bytes, bounds: Sequence[tuple[int, int]]) -> bool:
    first = bounds[0][1]
    places = {start - 8 - first for start, _ in bounds[1:]}
    offsets = struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4])
    return len(table) % 4 == 0 and places.issuperset(offsets)


def _clean_frame(frame: bytearray, rle_samples: int | None) -> None:
    if rle_samples is not None:
        _clean_rle(frame, rle_samples)
    elif frame[:2] == b"\xff\xd8":
        _clean_jpeg(frame)
    elif frame[:4] == b"\xff\x4f\xff\x51":
        _clean_codestream(frame, 0, len(frame))
    elif frame[:8] == _JP2:
        _clean_boxes(frame, 0, len(frame))
    elif any(frame):
        raise UncleanableFramesError()


def _blank(frame: bytearray, start: int, end: int) -> None:
    if start < end:
        frame[start:end] = bytes(end - start)


def _clean_jpeg(frame: bytearray) -> None:
    """Blank segments from marker to marker, through every scan, and what follows the end."""
    at = 2
    while at + 2 <= len(frame):
        marker = frame[at + 1]
        if frame[at] != 0xFF or marker == 0:  # between segments: decoders skip it
            begin, at = at, _next_marker(frame, at + 1)
            _blank(frame, begin, at)
            continue
        if marker == EOI:
            _blank(frame, at + 2, len(frame))
            return
        if marker == 0xFF or marker in _BARE:
            at += 1 if marker == 0xFF else 2
            continue
        last = _segment_end(frame, at)
        if marker not in _KEPT:
            _blank(frame, at + 4 + _kept_bytes(frame, at, last), last)
        at = _next_marker(frame, last) if marker == SOS else last


def _next_marker(frame: bytearray, at: int) -> int:
    found = _MARKER.search(frame, at)
    return found.end() - 2 if found else len(frame)


def _segment_end(frame: bytearray, at: int) -> int:
    """Return where a segment ends that says its length behind its marker."""
    if at + 4 > len(frame):
        return len(frame)
    length = max(2, int.from_bytes(frame[at + 2 : at + 4]))
    return min(at + 2 + length, len(frame))


def _kept_bytes(frame: bytearray, at: int, last: int) -> int:
    marker, start = frame[at + 1], bytes(frame[at + 4 : last])
    for (wanted, beginning), kept in _KEPT_START.items():
        if marker == wanted and start.startswith(beginning):
            return kept
    return 0


def _clean_codestream(frame: bytearray, start: int, end: int) -> None:
    """Blank the COM segments of the main and tile-part headers, and what follows EOC."""
    at = start + 2
    while at + 4 <= end and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == EOI:
            _blank(frame, at + 2, end)
            return
        if marker != 0x90:
            at = _clean_j2k_segment(frame, at, end)
            continue
        length = struct.unpack_from(">I", frame, at + 6)[0] if at + 10 <= end else 0
        _clean_tile_header(frame, at + 12, min(at + length, end) if length else end)
        if length < 14 or at + length > end:  # to the end of the codestream, or cut
            at = bytes(frame[:end]).rfind(b"\xff\xd9", at)
            at = end if at < 0 else at
        else:
            at += length
    if at + 2 <= end and frame[at : at + 2] == b"\xff\xd9":
        _blank(frame, at + 2, end)
    elif any(frame[at:end]):
        raise UncleanableFramesError()  # what follows is no segment, but may be read as one


def _clean_tile_header(frame: bytearray, at: int, end: int) -> None:
    while at + 4 <= end and frame[at] == 0xFF and frame[at + 1] != 0x93:
        at = _clean_j2k_segment(frame, at, end)


def _clean_j2k_segment(frame: bytearray, at: int, end: int) -> int:
    last = min(_segment_end(frame, at), end)
    if frame[at + 1] not in _J2K_KEPT:  # COM keeps its registration: what kind of comment
        _blank(frame, at + (6 if frame[at + 1] == 0x64 else 4), last)
    return last


def _clean_boxes(frame: bytearray, at: int, end: int) -> None:
    """Blank the boxes of a JP2 file that describe and do not decode."""
    while at + 8 <= end:
        length, kind = struct.unpack_from(">I4s", frame, at)
        inside, last = at + 8, min(at + length, end) if length >= 8 else end
        if length == 1 and at + 16 <= end:
            inside, last = at + 16, min(at + struct.unpack_from(">Q", frame, at + 8)[0], end)
        if kind == b"jp2c":
            _clean_codestream(frame, inside, last)
        elif kind == b"jp2h":
            _clean_boxes(frame, inside, last)
        elif kind not in _JP2_BOXES:
            _blank(frame, inside, last)
        at = max(last, inside)
    _blank(frame, at, end)


def _clean_rle(frame: bytearray, samples: int) -> None:
    """Blank unused header fields and what lies behind the last run of each segment.

    Where a segment ends is not written anywhere: its runs are followed until they have
    given one byte for each of `samples` (rows by columns).
    """
    if len(frame) < RLE_HEADER:
        raise UncleanableFramesError()
    count, *offsets = struct.unpack_from("<16I", frame)
    if not 0 < count <= MOST_RLE_SEGMENTS:
        raise UncleanableFramesError()
    starts = offsets[:count]
    if starts[0] < RLE_HEADER or starts != sorted(starts) or starts[-1] > len(frame):
        raise UncleanableFramesError()
    _blank(frame, 4 + 4 * count, RLE_HEADER)
    _blank(frame, RLE_HEADER, starts[0])
    for first, last in zip(starts, [*starts[1:], len(frame)], strict=True):
        end = _rle_end(frame, first, last, samples)
        if frame[end:last].strip(b"\0\x80"):
            frame[end:last] = b"\x80" * (last - end)  # "output nothing"


def _rle_end(frame: bytearray, at: int, last: int, samples: int) -> int:
    """Return where a segment has given its samples; its end when it gives fewer."""
    while samples > 0 and at < last:
        head = frame[at]
        if head < 128:
            at += head + 2
            samples -= head + 1
        elif head > 128:
            at += 2
            samples -= 257 - head
        else:
            at += 1
    return min(at, last)
