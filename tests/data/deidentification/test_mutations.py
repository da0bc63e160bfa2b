"""Whatever is done to the bytes of a file, it is cleaned or refused with a code, in time."""

import io
import struct
import time
import tracemalloc
import warnings
from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.data.deidentification.deidentify import deidentify
from clients.data.deidentification.profile import Option, Profile
from clients.data.dicom.elements import Limits, read_part10, write_part10
from federation.errors.base import PlatformError
from tests.data.deidentification.cleaning import KEY
from tests.data.deidentification.planting import SYNTAXES, planted

LIMITS = Limits(file_bytes=4 << 20, elements=5_000)
CAUGHT = (ValueError, IndexError, struct.error, UnicodeError, RecursionError, MemoryError, OSError)
"""What the reader process turns into a code beside the coded errors."""
LONGEST_S = 5.0
MOST_BYTES = 64 << 20
ALL = Profile(frozenset(Option))
PLANTED = [planted(syntax)[0] for syntax in SYNTAXES]


def survives(content: bytes) -> bool:
    """Clean a file and tell whether that worked; fail on anything that is not allowed."""
    started = time.monotonic()
    try:
        after = write_part10(deidentify(read_part10(content, LIMITS), ALL, KEY).file)
    except (PlatformError, *CAUGHT):
        after = b""
    assert time.monotonic() - started < LONGEST_S
    if after:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a length that pydicom finds odd is no failure
            again = pydicom.dcmread(io.BytesIO(after))
            assert again.PatientIdentityRemoved == "YES"
            assert len(list(again.iterall())) > 5
    return bool(after)


@st.composite
def mutated(draw: st.DrawFn, sources: list[bytes]) -> bytes:
    """Draw a source and flip bits, lie about lengths, cut, splice or nest in it."""
    content = bytearray(draw(st.sampled_from(sources)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(132, max(133, len(content) - 9)))
        kind = draw(st.sampled_from(["flip", "length", "cut", "splice", "nest", "double", "vr"]))
        if kind == "flip":
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "length":
            lie = draw(st.sampled_from([0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF]))
            content[at : at + 4] = struct.pack("<I", lie)
        elif kind == "cut":
            del content[draw(st.integers(at, len(content) - 1)) :]
        elif kind == "splice":
            other = draw(st.sampled_from(sources))
            start = draw(st.integers(132, len(other) - 1))
            content[at:at] = other[start : start + draw(st.integers(1, 400))]
        elif kind == "nest":
            head = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
            item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
            content[at:at] = (head + item) * draw(st.integers(1, 40))
        elif kind == "double":
            content[at:at] = content[at : at + draw(st.integers(1, 300))]
        else:
            content[at : at + 2] = draw(st.sampled_from([b"SQ", b"UN", b"OB", b"PN", b"??", b"US"]))
        if len(content) < 150:
            break
    return bytes(content)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(PLANTED))
def test_a_mutated_file_is_cleaned_or_refused(content: bytes) -> None:
    survives(content)


@pytest.mark.slow
@pytest.mark.realdata
def test_mutated_real_files_are_cleaned_or_refused(shared_data: Path) -> None:
    folder = shared_data / "dicom-real"
    small = [p for p in sorted(folder.rglob("*.dcm")) if 500 < p.stat().st_size < 40_000]
    sources = [path.read_bytes() for path in small[:: max(1, len(small) // 20)]][:20]
    assert len(sources) == 20
    sound = sum(survives(content) for content in sources)
    assert sound >= 5

    @settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
    @given(mutated(sources))
    def mutate(content: bytes) -> None:
        survives(content)

    mutate()


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFE])
def test_a_length_that_lies_takes_no_memory(length: int) -> None:
    lie = struct.pack("<HH2sHI", 0x0042, 0x0011, b"OB", 0, length)
    tracemalloc.start()
    assert not survives(PLANTED[1] + lie)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MOST_BYTES


def test_many_names_in_a_file_take_no_longer_than_allowed() -> None:
    name = struct.pack("<HH2sH", 0x0008, 0x1070, b"PN", 1000)
    names = b"".join(name + (b"%07d^" % number * 125) for number in range(4_000))
    survives(PLANTED[1][:-200] + names)
