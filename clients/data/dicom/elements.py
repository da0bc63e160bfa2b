"""Read and write DICOM elements as bytes, with limits, and nothing else.

A hospital's folder holds files that are cut, lie about their lengths or nest a
thousand deep. This reader walks the bytes once (PS3.5 clause 7), checks every
length against what is really there, counts elements and depth, and never
interprets a value: what de-identification keeps is copied as it came, so pixel
bytes are never re-encoded. `read_part10` takes a whole file, `write_part10`
gives one back; `pydicom` is needed only to decode compressed pixels.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NoReturn

from pydicom.datadict import dictionary_VR
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    UID_dictionary,
)

from federation.errors.data import (
    CutFileError,
    NotDicomFileError,
    TooManyElementsError,
    UnreadableElementError,
)

PREAMBLE = 128 * b"\0" + b"DICM"
UNDEFINED = 0xFFFFFFFF
ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010
COPIED_BYTES = 1 << 16
"""Values from this length on are handed on as they are when a file is written."""

LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
SHORT_VRS = frozenset(
    {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH"}
    | {"SL", "SS", "ST", "TM", "UI", "UL", "US"}
)
_VR_OF = {name.encode(): name for name in LONG_VRS | SHORT_VRS}
_SHORT_VR_OF = {name.encode(): name for name in SHORT_VRS}
_CODE_OF = {name: code for code, name in _VR_OF.items()}
_SHORT_HEADERS = {"<": struct.Struct("<HH2sH"), ">": struct.Struct(">HH2sH")}
_LONG_HEADERS = {"<": struct.Struct("<HH2sHI"), ">": struct.Struct(">HH2sHI")}
_IMPLICIT_HEADER = struct.Struct("<HHI")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a file is looked at before it is refused; items count as elements.

    `file_bytes` also bounds an inflated (deflated transfer syntax) file.
    """

    file_bytes: int = 512 * 1024 * 1024
    elements: int = 50_000
    depth: int = 16


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written: implicit or explicit VR; `order` is struct's byte order."""

    implicit: bool
    order: str


EXPLICIT_LITTLE = Encoding(implicit=False, order="<")
IMPLICIT_LITTLE = Encoding(implicit=True, order="<")
EXPLICIT_BIG = Encoding(implicit=False, order=">")


@dataclass(slots=True)
class Element:
    """One data element: `value` bytes, or `items` of a sequence, never both.

    `fragments` is True when `value` is encapsulated pixel data with its item
    headers, to be written with undefined length.
    """

    tag: int
    vr: str
    value: bytes = b""
    items: "list[list[Element]] | None" = None
    fragments: bool = False

    def text(self) -> str:
        """Return an ASCII value without padding, bytes above 127 replaced."""
        return self.value.decode("ascii", "replace").strip(" \0")

    def number(self, order: str) -> int | None:
        """Return the first unsigned short of the value, None when there is none."""
        if len(self.value) < 2:
            return None
        return int(struct.unpack_from(order + "H", self.value)[0])


@dataclass(slots=True)
class Part10:
    """A whole file: its file meta elements, its dataset, how the dataset is encoded.

    `preamble` tells whether the first 128 bytes of the source said anything.
    """

    meta: list[Element]
    dataset: list[Element]
    transfer_syntax: str
    encoding: Encoding
    preamble: bool = False
    index: dict[int, Element] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.index = {element.tag: element for element in self.dataset}

    def text(self, tag: int) -> str:
        """Return an element's text, empty when it is absent."""
        element = self.index.get(tag)
        return "" if element is None else element.text()

    def number(self, tag: int, default: int) -> int:
        """Return an unsigned short, `default` when it is absent or empty."""
        element = self.index.get(tag)
        found = None if element is None else element.number(self.encoding.order)
        return default if found is None else found


@lru_cache(maxsize=8192)
def vrs_of(tag: int) -> tuple[str, ...]:
    """Return the VRs that the DICOM dictionary allows for a tag; empty when unknown."""
    try:
        found = dictionary_VR(tag)
    except KeyError:
        return ()
    return () if found == "NONE" else tuple(found.split(" or "))


def read_part10(content: bytes, limits: Limits) -> Part10:
    """Return the elements of a DICOM file (PS3.10).

    Raises
    ------
    NotDicomFileError
        If there is no preamble with ``DICM``, or no transfer syntax.
    CutFileError
        If a length points past the end.
    UnreadableElementError
        If an element has no valid VR or a sequence is not closed.
    TooManyElementsError
        If a limit is passed.
    """
    if content[128:132] != b"DICM":
        raise NotDicomFileError()
    walker = _Walker(content, EXPLICIT_LITTLE, limits)
    meta = walker.meta()
    syntax = next((e.text() for e in meta if e.tag == 0x00020010), "")
    if not syntax:
        raise NotDicomFileError()
    if syntax not in UID_dictionary:
        raise UnreadableElementError(where="(0002,0010)")
    body, start = content, walker.at
    if syntax == DeflatedExplicitVRLittleEndian:
        body, start = _inflate(content[walker.at :], limits), 0
    encoding = _encoding_of(syntax)
    dataset = _Walker(body, encoding, limits, at=start).elements(len(body))
    return Part10(
        meta=meta,
        dataset=dataset,
        transfer_syntax=syntax,
        encoding=encoding,
        preamble=any(content[:128]),
    )


def write_part10(file: Part10) -> bytes:
    """Return a file with an empty preamble; (0002,0000) is computed."""
    return b"".join(write_parts(file))


def write_parts(file: Part10) -> list[bytes | bytearray]:
    """Return the same file in pieces, for `writelines`: pixels are never copied."""
    out = bytearray()
    for element in file.meta:
        _write(out, element, EXPLICIT_LITTLE)
    length = Element(0x00020000, "UL", struct.pack("<I", len(out)))
    head = bytearray(PREAMBLE)
    _write(head, length, EXPLICIT_LITTLE)
    head += out
    parts: list[bytes | bytearray] = [head]
    body = bytearray()
    for element in sorted(file.dataset, key=lambda item: item.tag):
        if len(element.value) < COPIED_BYTES:
            _write(body, element, file.encoding)
            continue
        before, after = _around(element, file.encoding)
        parts += (body + before, element.value)
        body = bytearray(after)
    parts.append(body)
    if file.transfer_syntax == DeflatedExplicitVRLittleEndian:
        return [head, _deflate(b"".join(parts[1:]))]
    return parts


def fragments_of(value: bytes) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each fragment in encapsulated pixel data, the offset table first.

    Raises
    ------
    UnreadableElementError
        If the fragments do not add up.
    """
    at = 0
    while at < len(value):
        if at + 8 > len(value):
            raise UnreadableElementError(where="pixel data")
        group, element, length = struct.unpack_from("<HHI", value, at)
        if (group << 16 | element) != ITEM or at + 8 + length > len(value):
            raise UnreadableElementError(where="pixel data")
        yield at + 8, at + 8 + length
        at += 8 + length


class _Walker:
    """One pass over a buffer; `at` is where it stands."""

    def __init__(self, buffer: bytes, encoding: Encoding, limits: Limits, at: int = 132) -> None:
        self.buffer = buffer
        self.limits = limits
        self.at = at
        self.count = 0
        self._use(encoding)

    def _use(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.unpack_short = _SHORT_HEADERS[encoding.order].unpack_from
        self.unpack_tag = struct.Struct(encoding.order + "HH").unpack_from
        self.unpack_u16 = struct.Struct(encoding.order + "H").unpack_from
        self.unpack_u32 = struct.Struct(encoding.order + "I").unpack_from
        self.item_end = struct.pack(encoding.order + "HH", 0xFFFE, 0xE00D)

    def meta(self) -> list[Element]:
        """Read group 0002, which is always explicit little endian."""
        found: list[Element] = []
        while self.at + 8 <= len(self.buffer) and self.buffer[self.at : self.at + 2] == b"\x02\0":
            found.append(self._element(len(self.buffer), depth=0))
        return found

    def elements(self, end: int, depth: int = 0) -> list[Element]:
        """Read elements up to `end`, which the last one must meet exactly."""
        found: list[Element] = []
        while self.at < end:
            if not self.encoding.implicit:
                self._short_elements(found, end, depth)
            if self.at < end:
                found.append(self._element(end, depth))
        return found

    def _short_elements(self, found: list[Element], end: int, depth: int) -> None:
        """Append the run of elements of short explicit VRs that starts here: nearly all are."""
        if depth > self.limits.depth:
            self._refuse()
        buffer, unpack, vr_of = self.buffer, self.unpack_short, _SHORT_VR_OF
        at, last, room = self.at, end - 8, self.limits.elements - self.count
        before = len(found)
        while at <= last:
            group, element, code, length = unpack(buffer, at)
            vr = vr_of.get(code)
            if vr is None or group == 0xFFFE:
                break
            stop = at + 8 + length
            if stop > end:
                raise CutFileError()
            found.append(Element(group << 16 | element, vr, buffer[at + 8 : stop]))
            at = stop
            if len(found) - before > room:
                self._refuse()
        self.at = at
        self.count += len(found) - before

    def _refuse(self) -> NoReturn:
        raise TooManyElementsError(
            elements=self.limits.elements,
            depth=self.limits.depth,
            megabytes=self.limits.file_bytes >> 20,
        )

    def _element(self, end: int, depth: int) -> Element:
        self.count += 1
        if self.count > self.limits.elements or depth > self.limits.depth:
            self._refuse()
        tag, vr, length = self._header(end)
        if length == UNDEFINED:
            return self._undefined(tag, vr, end, depth)
        stop = self.at + length
        if stop > end:
            raise CutFileError()
        if vr == "SQ":
            return Element(tag, "SQ", items=self._items(stop, depth, closed=False))
        value = self.buffer[self.at : stop]
        self.at = stop
        return Element(tag, vr, value)

    def _header(self, end: int) -> tuple[int, str, int]:
        buffer, at = self.buffer, self.at
        if at + 8 > end:
            raise CutFileError()
        group, element = self.unpack_tag(buffer, at)
        tag = group << 16 | element
        if group == 0xFFFE:
            self.at = at + 8
            return tag, "", self.unpack_u32(buffer, at + 4)[0]
        if self.encoding.implicit:
            self.at = at + 8
            return tag, _implicit_vr(tag), self.unpack_u32(buffer, at + 4)[0]
        vr = _VR_OF.get(bytes(buffer[at + 4 : at + 6]))
        if vr is None:
            raise UnreadableElementError(where=f"({group:04X},{element:04X})")
        if vr not in LONG_VRS:
            self.at = at + 8
            return tag, vr, self.unpack_u16(buffer, at + 6)[0]
        if at + 12 > end:
            raise CutFileError()
        self.at = at + 12
        return tag, vr, self.unpack_u32(buffer, at + 8)[0]

    def _undefined(self, tag: int, vr: str, end: int, depth: int) -> Element:
        if tag == PIXEL_DATA and vr != "SQ" and not self.encoding.implicit:
            return self._encapsulated(tag, vr, end)
        if vr == "UN" and not self.encoding.implicit:
            # PS3.5 6.2.2 note 2: UN of undefined length holds implicit little endian items.
            kept = self.encoding
            self._use(IMPLICIT_LITTLE)
            items = self._items(end, depth, closed=True)
            self._use(kept)
            return Element(tag, "SQ", items=items)
        if vr not in ("SQ", "UN"):
            raise UnreadableElementError(where=f"({tag >> 16:04X},{tag & 0xFFFF:04X})")
        return Element(tag, "SQ", items=self._items(end, depth, closed=True))

    def _items(self, end: int, depth: int, *, closed: bool) -> list[list[Element]]:
        items: list[list[Element]] = []
        while self.at < end:
            tag, _, length = self._header(end)
            if tag == SEQUENCE_END and closed:
                return items
            if tag != ITEM:
                raise UnreadableElementError(where="a sequence")
            self.count += 1
            if self.count > self.limits.elements:
                self._refuse()
            if length == UNDEFINED:
                items.append(self._open_item(end, depth + 1))
            elif self.at + length > end:
                raise CutFileError()
            else:
                items.append(self.elements(self.at + length, depth + 1))
        if closed:
            raise CutFileError()
        return items

    def _open_item(self, end: int, depth: int) -> list[Element]:
        found: list[Element] = []
        while self.at + 8 <= end:
            group, element = self.unpack_tag(self.buffer, self.at)
            if (group << 16 | element) == ITEM_END:
                self.at += 8
                return found
            if not self.encoding.implicit:
                self._short_elements(found, end, depth)
            if self.at + 4 <= end and self.buffer[self.at : self.at + 4] != self.item_end:
                found.append(self._element(end, depth))
        raise CutFileError()

    def _encapsulated(self, tag: int, vr: str, end: int) -> Element:
        start = self.at
        while self.at < end:
            where = self.at
            item, _, length = self._header(end)
            if item == SEQUENCE_END:
                return Element(tag, vr, bytes(self.buffer[start:where]), fragments=True)
            if item != ITEM or self.at + length > end:
                raise CutFileError()
            self.at += length
        raise CutFileError()


def _implicit_vr(tag: int) -> str:
    known = vrs_of(tag)
    if not known:
        return "UN"
    return "OW" if len(known) > 1 and "OW" in known else known[0]


def _encoding_of(syntax: str) -> Encoding:
    if syntax == ImplicitVRLittleEndian:
        return IMPLICIT_LITTLE
    return EXPLICIT_BIG if syntax == ExplicitVRBigEndian else EXPLICIT_LITTLE


def _inflate(content: bytes, limits: Limits) -> bytes:
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = engine.decompress(content, limits.file_bytes)
    except zlib.error as error:
        raise CutFileError() from error
    if not engine.eof and not engine.unconsumed_tail and len(found) < limits.file_bytes:
        raise CutFileError()
    if engine.unconsumed_tail:
        raise TooManyElementsError(
            elements=limits.elements, depth=limits.depth, megabytes=limits.file_bytes >> 20
        )
    return found


def _deflate(body: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = engine.compress(body) + engine.flush()
    return packed + b"\0" if len(packed) % 2 else packed


def _write(out: bytearray, element: Element, encoding: Encoding) -> None:
    if element.items is None:
        before, after = _around(element, encoding)
        out += before
        out += element.value
        out += after
        return
    value = bytearray()
    for item in element.items:
        inner = bytearray()
        for child in item:
            _write(inner, child, encoding)
        value += struct.pack(encoding.order + "HHI", 0xFFFE, 0xE000, len(inner)) + inner
    out += _header(element.tag, "SQ", len(value), encoding)
    out += value


def _around(element: Element, encoding: Encoding) -> tuple[bytes, bytes]:
    """Return what is written before and after an element's value."""
    if element.fragments:
        before = _header(element.tag, element.vr, UNDEFINED, encoding)
        return before, struct.pack(encoding.order + "HHI", 0xFFFE, 0xE0DD, 0)
    length = len(element.value)
    if length % 2 == 0:
        return _header(element.tag, element.vr, length, encoding), b""
    padding = b"\0" if element.vr in _ZERO_PADDED else b" "
    return _header(element.tag, element.vr, length + 1, encoding), padding


_ZERO_PADDED = frozenset({"UI", "OB", "OW", "UN"})


def _header(tag: int, vr: str, length: int, encoding: Encoding) -> bytes:
    group, element = tag >> 16, tag & 0xFFFF
    if encoding.implicit:
        return _IMPLICIT_HEADER.pack(group, element, length)
    if vr in LONG_VRS:
        return _LONG_HEADERS[encoding.order].pack(group, element, _CODE_OF[vr], 0, length)
    if length > 0xFFFF:  # PS3.5 6.2.2: a value too long for its VR's length field goes as UN
        return _LONG_HEADERS[encoding.order].pack(group, element, b"UN", 0, length)
    return _SHORT_HEADERS[encoding.order].pack(group, element, _CODE_OF[vr], length)
