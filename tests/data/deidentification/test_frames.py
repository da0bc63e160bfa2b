import io
import struct

import numpy as np
import pytest
from PIL import Image

from clients.data.deidentification.deidentify import deidentify
from clients.data.deidentification.frames import blank_pixels
from clients.data.deidentification.profile import Profile
from clients.data.dicom.elements import EXPLICIT_LITTLE, PIXEL_DATA, Element, Part10
from clients.data.dicom.pixels import decode
from federation.errors.deidentification import UncleanableFramesError
from tests.data.deidentification.cleaning import KEY
from tests.data.deidentification.planting import (
    EXPLICIT,
    J2K,
    JPEG,
    RLE,
    base,
    codestream,
    encapsulated,
    jpeg,
    pixels,
    rle,
    samples,
    text,
    us,
)

HTJ2K = "1.2.840.10008.1.2.4.201"


def file_of(syntax: str, pixels: Element, *more: Element) -> Part10:
    dataset = [*base(), *more, pixels]
    return Part10([text(0x00020010, "UI", syntax)], dataset, syntax, EXPLICIT_LITTLE)


def fragments(*parts: bytes, table: bytes = b"") -> Element:
    even = [part + b"\0" * (len(part) % 2) for part in (table, *parts)]
    value = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part for part in even)
    return Element(PIXEL_DATA, "OB", value, fragments=True)


def blanked(syntax: str, pixels: Element, *more: Element) -> bytes:
    file = file_of(syntax, pixels, *more)
    blank_pixels(file)
    return file.index[PIXEL_DATA].value


def plain_jpeg() -> bytes:
    out = io.BytesIO()
    Image.fromarray(samples()).save(out, "JPEG", quality=95)
    return out.getvalue()


@pytest.mark.parametrize(
    ("syntax", "frame"), [(JPEG, jpeg()), (J2K, codestream(samples())), (RLE, rle())]
)
def test_text_beside_a_compressed_picture_is_blanked(syntax: str, frame: bytes) -> None:
    pixels = encapsulated(frame)
    length = len(pixels.value)
    before = decode(file_of(syntax, pixels))
    after = blanked(syntax, pixels)
    assert b"QzHidden" not in after
    assert len(after) == length - len(b"QzHiddenTail")  # only the false offset table went
    assert (decode(file_of(syntax, pixels)) == before).all()


@pytest.mark.parametrize("cut", [3, 30, 200, 700])
def test_a_comment_that_reaches_over_fragments_is_blanked(cut: int) -> None:
    frame = jpeg()
    frame = frame[: len(frame) // 2 * 2]
    cut = cut // 2 * 2
    after = blanked(JPEG, fragments(frame[:cut], frame[cut:]))
    assert b"QzHidden" not in after.replace(struct.pack("<HHI", 0xFFFE, 0xE000, 0)[:4], b"")
    assert b"Hidden" not in after


def test_a_comment_between_the_scans_of_a_progressive_jpeg_is_blanked() -> None:
    out = io.BytesIO()
    Image.fromarray(samples()).save(out, "JPEG", progressive=True)
    raw = out.getvalue()
    second = raw.index(b"\xff\xda", raw.index(b"\xff\xda") + 2)
    table = raw.rindex(b"\xff\xc4", 0, second)
    named = b"\xff\xfe" + struct.pack(">H", 14) + b"QzHiddenTail"
    after = blanked(JPEG, fragments(raw[:table] + named + raw[table:]))
    assert b"QzHidden" not in after


def test_a_thumbnail_in_the_jfif_header_is_blanked() -> None:
    raw = plain_jpeg()
    length = struct.unpack_from(">H", raw, 4)[0]
    thumbnail = b"QzThumbnail!" * 4
    header = struct.pack(">H", length + len(thumbnail)) + raw[6:18] + b"\4\4" + thumbnail
    after = blanked(JPEG, fragments(raw[:4] + header + raw[20:]))
    assert b"QzThumb" not in after
    assert (decode(file_of(JPEG, fragments(raw))) >= 0).all()


def test_what_says_how_to_decode_stays() -> None:
    colour = np.zeros((16, 16, 3), "u1")
    out = io.BytesIO()
    Image.fromarray(colour).convert("CMYK").save(out, "JPEG")  # writes an Adobe segment
    after = blanked(JPEG, fragments(out.getvalue()))
    assert b"Adobe" in after
    assert b"JFIF\0" in blanked(JPEG, fragments(plain_jpeg()))


def test_boxes_around_a_jpeg_2000_codestream_are_blanked() -> None:
    stream = codestream(samples())
    box = struct.pack(">I4s", 8 + 12, b"xml ") + b"QzHiddenTail"
    signature = struct.pack(">I4s", 12, b"jP  ") + b"\r\n\x87\n"
    after = blanked(J2K, fragments(signature + box + struct.pack(">I4s", 0, b"jp2c") + stream))
    assert b"QzHidden" not in after


def test_an_offset_table_that_points_at_fragments_stays() -> None:
    frame = plain_jpeg()
    frame += b"\0" * (len(frame) % 2)
    table = struct.pack("<2I", 0, 8 + len(frame))
    two = fragments(frame, frame, table=table)
    after = blanked(JPEG, two, text(0x00280008, "IS", "2"))
    assert after[8:16] == table


@pytest.mark.parametrize("frame", [b"MPEG-like stream", b"\x89PNG\r\n\x1a\n", b"QzHiddenTail"])
@pytest.mark.parametrize("syntax", [JPEG, J2K, HTJ2K, "1.2.840.10008.1.2.4.102"])
def test_frames_of_an_unknown_kind_are_refused(syntax: str, frame: bytes) -> None:
    with pytest.raises(UncleanableFramesError):
        blanked(syntax, fragments(frame))


@pytest.mark.parametrize(
    "header",
    [
        *(b"", struct.pack("<2I", 0, 64), struct.pack("<2I", 16, 64), struct.pack("<2I", 1, 4)),
        *(struct.pack("<3I", 2, 90, 64), struct.pack("<2I", 1, 9999)),
    ],
)
def test_a_false_rle_header_is_refused(header: bytes) -> None:
    with pytest.raises(UncleanableFramesError):
        blanked(RLE, fragments(header.ljust(64, b"\0") if header else b"\0" * 10))


def test_native_pixels_are_not_copied_when_nothing_hides() -> None:
    pixels = Element(PIXEL_DATA, "OW", samples().tobytes())
    assert blanked(EXPLICIT, pixels) is pixels.value


def test_one_padding_byte_of_an_odd_picture_stays_zero() -> None:
    odd = [Element(0x00280010, "US", b"\3\0"), Element(0x00280011, "US", b"\3\0")]
    assert blanked(EXPLICIT, Element(PIXEL_DATA, "OB", b"123456789Q"), *odd) == b"123456789\0"


@pytest.mark.parametrize("signed", [0, 1])
def test_bits_around_samples_in_the_middle_of_a_word_are_refused(signed: int) -> None:
    bits = [Element(0x00280100, "US", us(16)), Element(0x00280101, "US", us(12))]
    bits += [Element(0x00280102, "US", us(13)), Element(0x00280103, "US", us(signed))]
    values = samples().astype("<u2") << 6
    clear = Element(PIXEL_DATA, "OW", values.tobytes())
    assert blanked(EXPLICIT, clear, *bits) is clear.value
    with pytest.raises(UncleanableFramesError):
        blanked(EXPLICIT, Element(PIXEL_DATA, "OW", (values | 0x8001).tobytes()), *bits)


def test_geometry_of_an_element_that_goes_does_not_hide_a_tail() -> None:
    rows = struct.pack("<H", 60_000)
    twice = [*base(), Element(0x00280010, "OB", rows), pixels(EXPLICIT)]
    file = Part10([], twice, EXPLICIT, EXPLICIT_LITTLE)
    after = deidentify(file, Profile(), KEY).file
    assert after.number(0x00280010, 0) == 64
    assert b"QzHidden" not in after.index[PIXEL_DATA].value


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", 2 + len(content)) + content


def test_text_between_and_in_unknown_jpeg_segments_is_blanked() -> None:
    raw = plain_jpeg()
    tables = raw.index(b"\xff\xdb")
    for hidden in (b"QzHidden", b"QzHidden\xff\0QzHidden", segment(0x50, b"QzHidden")):
        value = blanked(JPEG, fragments(raw[:tables] + hidden + raw[tables:]))
        assert b"QzHidden" not in value
        assert raw[tables:] in value


def test_a_picture_is_the_same_without_the_text_of_its_segments() -> None:
    raw = plain_jpeg()
    tables = raw.index(b"\xff\xdb")
    hidden = segment(0xE3, b"QzHidden") + b"\xff\xff"
    value = blanked(JPEG, fragments(raw[:tables] + hidden + raw[tables:]))
    assert b"QzHidden" not in value
    file = file_of(JPEG, Element(PIXEL_DATA, "OB", value, fragments=True))
    assert (decode(file) == decode(file_of(JPEG, fragments(raw)))).all()


def test_text_in_an_unknown_codestream_segment_is_blanked() -> None:
    raw = codestream(samples())
    at = raw.index(b"\xff\x52")
    value = blanked(J2K, fragments(raw[:at] + segment(0x70, b"QzHidden") + raw[at:]))
    assert b"QzHidden" not in value


def test_a_codestream_with_text_between_its_segments_is_refused() -> None:
    raw = codestream(samples())
    at = raw.index(b"\xff\x52")
    with pytest.raises(UncleanableFramesError):
        blanked(J2K, fragments(raw[:at] + b"QzHidden" + raw[at:]))


def test_text_in_a_box_inside_the_header_box_is_blanked() -> None:
    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(content), kind) + content

    stream = codestream(samples())
    header = box(b"ihdr", struct.pack(">IIHBBBB", 64, 64, 1, 7, 7, 0, 0))
    raw = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    raw += box(b"jp2h", header + box(b"xml ", b"QzHidden"))
    raw += struct.pack(">I4sQ", 1, b"uuid", 16 + 8) + b"QzHidden"
    raw += struct.pack(">I4sQ", 1, b"jp2c", 16 + len(stream)) + stream
    value = blanked(J2K, fragments(raw))
    assert b"QzHidden" not in value
    assert b"ihdr" in value
    assert b"\xff\x4f\xff\x51" in value
