import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.data.dicom.elements import Limits, read_part10, write_part10
from clients.data.phantoms import _bytes_of, _item
from federation.errors.base import PlatformError
from federation.errors.data import (
    CutFileError,
    NotDicomFileError,
    TooManyElementsError,
    UnreadableElementError,
)
from tests.data.conftest import Build


def nested(depth: int) -> bytes:
    """Return a dataset whose sequences of undefined length nest `depth` deep."""
    head = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    close = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return (head + item) * depth + close * depth


def file_of(body: bytes, syntax: bytes = b"1.2.840.10008.1.2.1\0") -> bytes:
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax
    return 128 * b"\0" + b"DICM" + meta + body


def test_a_file_reads_and_writes_back_to_the_same_elements(build: Build) -> None:
    first = read_part10(_bytes_of(build()), Limits())
    first.meta = [element for element in first.meta if element.tag != 0x00020000]
    again = read_part10(write_part10(first), Limits())
    assert again.dataset == first.dataset


@pytest.mark.parametrize("content", [b"", b"\x89PNG" + 200 * b"\0", 128 * b"\0" + b"DICM"])
def test_what_is_no_part10_file_is_refused(content: bytes) -> None:
    with pytest.raises(NotDicomFileError):
        read_part10(content, Limits())


def test_depth_is_limited_without_exhausting_the_stack() -> None:
    with pytest.raises(TooManyElementsError):
        read_part10(file_of(nested(5000)), Limits())
    assert read_part10(file_of(nested(5)), Limits()).dataset


def test_element_count_is_limited() -> None:
    many = struct.pack("<HH2sH", 8, 0x60, b"CS", 0) * 200
    with pytest.raises(TooManyElementsError):
        read_part10(file_of(many), Limits(elements=100))


def test_a_deflated_bomb_is_refused_before_it_inflates() -> None:
    engine = zlib.compressobj(9, wbits=-15)
    bomb = engine.compress(b"\0" * 5_000_000) + engine.flush()
    with pytest.raises(TooManyElementsError):
        read_part10(file_of(bomb, b"1.2.840.10008.1.2.1.99"), Limits(file_bytes=1_000_000))


def test_a_cut_file_is_refused_wherever_it_is_cut(build: Build) -> None:
    content = _bytes_of(build(RequestAttributesSequence=[_item(RequestedProcedureID="1")]))
    whole = len(read_part10(content, Limits()).dataset)
    for end in range(140, len(content) - 1, 7):
        try:
            assert len(read_part10(content[:end], Limits()).dataset) < whole
        except (CutFileError, UnreadableElementError, NotDicomFileError):
            continue


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_bytes_give_elements_or_a_coded_error(data: st.DataObject) -> None:
    dataset = _item(PatientID="1", RequestAttributesSequence=[_item(RequestedProcedureID="1")])
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2"
    content = bytearray(_bytes_of(dataset))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(132, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    try:
        read_part10(bytes(content), Limits())
    except PlatformError as error:
        assert error.code.startswith("TF5")


def test_an_unregistered_transfer_syntax_is_refused(build: Build) -> None:
    with pytest.raises(UnreadableElementError):
        read_part10(file_of(b"", b"1.2.3.4.5.6\0"), Limits())
