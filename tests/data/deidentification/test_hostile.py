"""Identifiers where nobody would look for them, and in spellings that nobody foresaw."""

import base64
import os
import struct
import unicodedata
from pathlib import Path

import pytest
from pydicom.datadict import DicomDictionary

from clients.data.deidentification.deidentify import Deidentified, deidentify
from clients.data.deidentification.profile import Option, Profile
from clients.data.dicom.elements import (
    EXPLICIT_LITTLE,
    LONG_VRS,
    PIXEL_DATA,
    SHORT_VRS,
    Element,
    Part10,
    vrs_of,
    write_part10,
)
from clients.data.intake.workers import words_of
from federation.errors.deidentification import UncleanableFramesError
from tests.data.deidentification.cleaning import KEY
from tests.data.deidentification.planting import (
    CHART,
    EXPLICIT,
    FAMILY,
    GIVEN,
    J2K,
    JPEG,
    NATIONAL_ID,
    base,
    codestream,
    encapsulated,
    left_in,
    pixels,
    samples,
    text,
)

PROFILES = (Profile(), Profile(frozenset()), Profile(frozenset(Option)))
NAME, CHART_TAG, SOFTWARE, KERNEL, TYPE = 0x00100010, 0x00100020, 0x00181020, 0x00181210, 0x00080008
STRANGER = "Kowalczyk"
"""Somebody of whom the file says nothing elsewhere."""


def cleaned(*extra: Element, profile: Profile = PROFILES[0], also: tuple[str, ...] = ()) -> bytes:
    return write_part10(done(*extra, profile=profile, also=also).file)


def done(
    *extra: Element, profile: Profile = PROFILES[0], also: tuple[str, ...] = ()
) -> Deidentified:
    own = {element.tag for element in extra}
    kept = [element for element in base() if element.tag not in own]
    picture = [] if PIXEL_DATA in own else [pixels(EXPLICIT)]
    file = Part10([], [*kept, *extra, *picture], EXPLICIT, EXPLICIT_LITTLE)
    return deidentify(file, profile, KEY, also=also)


def inside(tag: int, *elements: Element) -> Element:
    return Element(tag, "SQ", items=[list(elements)])


def full_width(plain: str) -> str:
    return "".join(
        chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in plain
    )


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    "planted",
    [
        inside(0x00082112, Element(PIXEL_DATA, "OW", b"Kowalczyk!")),
        inside(0x0040A170, inside(0x00540220, Element(PIXEL_DATA, "OB", b"Kowalczyk!"))),
        inside(0x00283000, Element(0x00283006, "OW", b"Kowalczyk!")),
        Element(0x00281201, "OW", b"Kowalczyk!"),
        Element(0x00281204, "OW", b"Kowalczyk!"),
        Element(0x00281200, "US", b"Kowalczyk!"),
        Element(0x00280009, "AT", b"Kowalczyk Ja"),
        Element(0x00189087, "FD", b"KowalczykJan 123"[:8]),
        Element(0x00189376, "US", b"Kowalczyk!"),
        text(0x00080100, "SH", STRANGER),
        inside(
            0x00540220,
            text(0x00080100, "SH", STRANGER),
            text(0x00080102, "SH", "SCT"),
            text(0x00080104, "LO", "Antero-posterior"),
        ),
        inside(
            0x00540220,
            text(0x00080100, "SH", "399348003"),
            text(0x00080102, "SH", "SCT"),
            text(0x00080103, "SH", STRANGER),
            text(0x00080104, "LO", f"Antero-posterior of {STRANGER}"),
        ),
        inside(
            0x00540220,
            text(0x00080100, "SH", STRANGER),
            text(0x00080102, "SH", "SCT"),
            text(0x00080102, "SH", "99LOCAL"),
            text(0x00080104, "LO", STRANGER),
        ),
        inside(
            0x00080006,
            text(0x00080100, "SH", STRANGER),
            text(0x00080102, "SH", "RFC5646"),
            text(0x00080104, "LO", STRANGER),
        ),
        text(0x00190010, "LO", STRANGER),
        inside(0x00081140, text(0x00090010, "LO", STRANGER), text(0x00091001, "LO", STRANGER)),
        text(0x7F000010, "OB", STRANGER + "!"),
        text(0x00041500, "CS", STRANGER),
    ],
)
def test_a_stranger_is_found_in_no_odd_place(planted: Element, profile: Profile) -> None:
    assert left_in(cleaned(planted, profile=profile), {STRANGER}) == []


def test_a_name_written_into_the_numbers_of_any_attribute_goes() -> None:
    allowed = {0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E, CHART_TAG, PIXEL_DATA}
    tags = [tag for tag in DicomDictionary if 8 <= tag >> 16 < 0x7FE0 and tag not in allowed]
    for vr in sorted((LONG_VRS | SHORT_VRS) - {"SQ", "PN", "UN"}):
        extra = [
            Element(tag, vr, b"Kowalczyk JK")
            for tag in tags
            if vrs_of(tag) and "PN" not in vrs_of(tag) and tag >> 16 not in (0x0010, 0x0028)
        ]
        for element in done(*extra).file.dataset:
            if b"Kowalczyk" in element.value:
                assert element.vr in ("CS", "LO", "SH"), hex(element.tag)


@pytest.mark.parametrize(
    ("said", "stays"),
    [
        (("399348003", "SCT", "antero-posterior projection"), None),
        (("R-10206", "SRT", "antero-posterior"), None),
        (("113100", "DCM", "Basic Application Confidentiality Profile"), None),
        (("mm", "UCUM", "millimeter"), None),
        (("ml/100ml/s", "UCUM", "flow"), "REMOVED"),
        (("999999999", "SCT", "a code that no context group holds"), "REMOVED"),
    ],
)
def test_a_published_code_stays_and_says_what_its_scheme_says(
    said: tuple[str, str, str], stays: str | None
) -> None:
    value, scheme, meaning = said
    parts = (
        text(0x00080100, "SH", value),
        text(0x00080102, "SH", scheme),
        text(0x00080104, "LO", meaning),
    )
    (kept,) = done(inside(0x00540220, *parts)).file.index[0x00540220].items or ()
    found = {element.tag: element.text() for element in kept}
    assert (found[0x00080100], found[0x00080102]) == (value, scheme)
    assert "Kowalczyk" not in found[0x00080104]
    assert (found[0x00080104] == "REMOVED") == (stays == "REMOVED")


def test_digits_behind_a_date_are_no_part_of_it() -> None:
    found = done(
        text(0x00080022, "DA", "202402290933444555"),
        text(0x0008002A, "DT", "202402290933444555017"),
        text(0x00189074, "DT", "20240229101112.123456+0800"),
    ).file
    assert len(found.text(0x00080022)) == len(found.text(0x0008002A)) == 8
    assert found.text(0x00189074)[8:] == "101112.123456+0800"


def test_a_telephone_number_written_as_a_time_goes() -> None:
    found = done(text(0x00102154, "SH", "0917555017"), text(0x00080032, "TM", "091755.5017")).file
    assert found.index[0x00080032].value == b""


FOUND = [
    (f"{FAMILY}^{GIVEN}", full_width(FAMILY)),
    (f"{FAMILY}^{GIVEN}", "Q.z.f.a.m.i.l.y"),
    (f"{FAMILY}^{GIVEN}", "Q z f a m i l y"),
    (f"{FAMILY}^{GIVEN}", "Qz-family"),
    (f"{FAMILY}^{GIVEN}", "Qz\u200bfa\u00admily"),
    (f"{FAMILY}^{GIVEN}", "Qzf\u0430mily"),
    (f"{FAMILY}^{GIVEN}", FAMILY[::-1]),
    ("Qzfam\r\nily^X", "Qzfamily"),
    ("Müllerström^Jürgen", unicodedata.normalize("NFD", "Müllerström")),
    (unicodedata.normalize("NFD", "Müllerström^J"), "Müllerström"),
    ("Müllerström^Jürgen", "MUELLERSTROEM"),
    ("Müllerström^Jürgen", "Mullerstrom"),
    ("Muellerstroem^Jürgen", "Müllerström"),
    ("Wałęsa^Łukasz", "Walesa"),
    ("Smith^John", "scan_smith_1"),
    ("Smith^John", "JohnSmith"),
    ("Smith^John", "Smith1"),
    ("Smith^John", "xsmithx"),
    ("Smith^John", "j.smith"),
    ("Smith^John", "[smith]"),
    ("Wu^Yi", "for Wu Yi"),
    ("Wu^Di", "Wu,Di"),
    ("王^小明", "王 小 明"),
    ("王^小明", "%E7%8E%8B%E5%B0%8F%E6%98%8E"),
    ("王^小明", "&#29579;&#23567;&#26126;"),
    ("王^小明", "王小明".encode("cp950").hex()),
    ("王^小明", base64.b64encode("王小明".encode()).decode()),
    (f"{FAMILY}^{GIVEN}", base64.b64encode(FAMILY.encode("utf-16-le")).decode()),
    ("ヤマダ^タロウ", "ﾔﾏﾀﾞ"),
    ("ヤマダ^タロウ", "やまだ"),
]


@pytest.mark.parametrize(("name", "spelled"), FOUND)
@pytest.mark.parametrize("tag", [SOFTWARE, KERNEL])
def test_a_name_is_found_however_it_is_written(name: str, spelled: str, tag: int) -> None:
    found = done(text(NAME, "PN", name), text(tag, "LO" if tag == SOFTWARE else "SH", spelled))
    assert found.file.text(tag) in ("REMOVED", "")


@pytest.mark.parametrize(
    ("name", "encoding", "said"),
    [
        ("許功蓋^大明", "cp950", "許功蓋"),
        ("許^功蓋", "big5", "功蓋"),
        ("表ソ^十太郎", "shift_jis", "表ソ"),
        ("陳^大文", "gb18030", "陳大文"),
    ],
)
def test_a_name_with_a_backslash_inside_its_bytes_is_found(
    name: str, encoding: str, said: str
) -> None:
    found = done(text(NAME, "PN", name.encode(encoding)), text(SOFTWARE, "LO", said))
    assert found.file.text(SOFTWARE) == "REMOVED"


@pytest.mark.parametrize(
    "spelled",
    [
        *("47-06-15", "15.6.1947", "6/15/1947", "15JUN1947", "June 15, 1947", "15 Jun 1947"),
        *("1947年6月15日", "民國36年6月15日", "36.6.15", "0360615", "470615", "1947/6/15"),
        *("15/06/47", "１９４７０６１５", "b 19470615T"),
    ],
)
def test_a_birthday_is_found_however_it_is_written(spelled: str) -> None:
    assert done(text(SOFTWARE, "LO", f"of {spelled}")).file.text(SOFTWARE) == "REMOVED"


@pytest.mark.parametrize("said", ["VB17A 4.7.1", "2.24.02", "syngo 1947"])
def test_versions_that_only_resemble_a_day_stay(said: str) -> None:
    assert done(text(SOFTWARE, "LO", said)).file.text(SOFTWARE) == said


@pytest.mark.parametrize(
    "said",
    [
        *("A12-3456789", "b 223456789", "(02)2345-6789", "07 345 6789", "0933.444.555"),
        *("886-933-444-555", "+886 2 2345 6789", full_width(NATIONAL_ID), "a.b@hosp.example"),
    ],
)
def test_a_strangers_number_or_address_is_found_by_its_shape(said: str) -> None:
    assert done(text(SOFTWARE, "LO", f"x {said}")).file.text(SOFTWARE) == "REMOVED"


@pytest.mark.parametrize(
    ("chart", "tag", "vr", "value"),
    [
        ("AB-123456", SOFTWARE, "LO", b"AB123456"),
        ("AB123456", SOFTWARE, "LO", b"AB 123 456"),
        ("QZ00471123", 0x00200013, "IS", b"471123"),
        ("47110", 0x00200013, "IS", b"47110"),
        ("12345678", 0x00280030, "DS", b"1234\\5678"),
        ("12345678", 0x00180050, "DS", b"1.2345678e7"),
        ("12345678", 0x00186052, "UL", struct.pack("<I", 12345678)),
        ("12345678", 0x00189087, "FD", struct.pack("<d", 12345678)),
    ],
)
def test_a_chart_number_is_found_as_text_digits_and_binary(
    chart: str, tag: int, vr: str, value: bytes
) -> None:
    found = done(text(CHART_TAG, "LO", chart), Element(tag, vr, value)).file
    assert tag not in found.index or found.index[tag].value in (b"", b"REMOVED")


@pytest.mark.parametrize(("tag", "vr"), [(0x00200013, "IS"), (0x00180050, "DS")])
@pytest.mark.parametrize("value", ["1951-03-04", "0933-444555", "1951.03.04", "+-1", "1e", "--"])
def test_what_is_no_number_is_not_kept_as_one(tag: int, vr: str, value: str) -> None:
    assert done(text(tag, vr, value)).file.text(tag) == ""


def test_a_path_that_is_no_utf8_still_names_the_patient() -> None:
    root = Path("/given")
    path = root / os.fsdecode("陳大文.dcm".encode("cp950"))
    words = words_of(path, root)
    assert "陳大文" in words
    assert done(text(SOFTWARE, "LO", "by 陳大文"), also=words).file.text(SOFTWARE) == "REMOVED"
    assert done(text(SOFTWARE, "LO", "LinMei"), also=("Lin_Mei",)).file.text(SOFTWARE) == "REMOVED"


@pytest.mark.parametrize("syntax", [JPEG, J2K])
def test_an_identifier_inside_compressed_data_keeps_the_file_out(syntax: str) -> None:
    frame = codestream(samples())
    hidden = frame[:-60] + CHART.encode() + frame[-60:]
    if syntax == JPEG:
        hidden = b"\xff\xd8\xff\xda\0\x02" + bytes(90) + CHART.lower().encode() + b"\xff\xd9"
    file = Part10([], [*base(), encapsulated(hidden)], syntax, EXPLICIT_LITTLE)
    with pytest.raises(UncleanableFramesError):
        deidentify(file, Profile(), KEY)


def test_a_tag_without_a_value_representation_is_removed() -> None:
    (tag, *_) = [tag for tag, entry in DicomDictionary.items() if entry[0] == "NONE"]
    assert vrs_of(tag) == ()
    assert tag not in done(text(tag, "LO", STRANGER)).file.index


def test_a_huge_table_is_not_searched_but_removed() -> None:
    assert 0x00281221 not in done(Element(0x00281221, "OW", bytes(2 << 20))).file.index


def test_our_own_output_is_cleaned_again_to_the_same_but_for_keys() -> None:
    first = done(text(SOFTWARE, "LO", "VB17A"), text(TYPE, "CS", "ORIGINAL\\PRIMARY")).file
    again = deidentify(first, Profile(), KEY).file
    assert [element.tag for element in again.dataset] == [element.tag for element in first.dataset]
    for tag in (SOFTWARE, TYPE, PIXEL_DATA, 0x00120063):
        assert again.index[tag].value == first.index[tag].value
