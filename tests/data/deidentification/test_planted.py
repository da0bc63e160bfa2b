import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary

from clients.data.deidentification.deidentify import deidentify
from clients.data.deidentification.profile import Action, Option, Profile
from clients.data.dicom.elements import (
    EXPLICIT_LITTLE,
    Element,
    Limits,
    Part10,
    read_part10,
    write_part10,
)
from clients.data.dicom.pixels import decode
from tests.data.deidentification.cleaning import KEY
from tests.data.deidentification.planting import (
    CHART,
    EXPLICIT,
    FAMILY,
    SYNTAXES,
    base,
    left_in,
    pixels,
    planted,
    text,
)

TEXTUAL = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UN", "UR", "UT", "OB", "OW", "UI")
ALL = frozenset(Option)
PUBLIC = sorted(tag for tag in DicomDictionary if tag >> 16 >= 8 and not tag >> 16 & 1)
SEQUENCES = (0x0040A170, 0x00082112, 0x00080121, 0x00283000, 0x00540220, 0x00400275, 0x00081115)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("options", [Profile().options, frozenset(), ALL])
def test_none_of_70_planted_identifiers_is_left(syntax: str, options: frozenset[Option]) -> None:
    content, words = planted(syntax)
    assert len(words) > 70
    assert left_in(content, words, syntax) == sorted(words)

    after = write_part10(deidentify(read_part10(content, Limits()), Profile(options), KEY).file)

    kept = {"QzSerialNumber", "QzStation"} if Option.DEVICE in options else set()
    assert left_in(after, words - kept, syntax) == []


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_picture_is_the_same_after_blanking_what_hid_beside_it(syntax: str) -> None:
    content, _ = planted(syntax)
    before = read_part10(content, Limits())
    after = write_part10(deidentify(before, Profile(), KEY).file)
    assert (decode(read_part10(after, Limits())) == decode(before)).all()


def test_the_report_names_every_tag_and_no_value() -> None:
    content, words = planted(EXPLICIT)
    file = read_part10(content, Limits())
    report = deidentify(file, Profile(), KEY).report.as_json()
    named = {path for paths in report.values() for path in paths}
    assert {f"{element.tag:08X}" for element in file.dataset if element.tag & 0xFFFF} <= named
    assert {"00020016", "00020102", "00091001", "preamble"} <= report["X"].keys()
    assert report["B"] == {"7FE00010": 1}
    assert report["A"].keys() >= {"00120062", "00120063", "00120064", "00020013"}
    assert report["W"]["00080070"] == 1
    assert "00080016" in report["K"]
    assert not [word for word in words if word in str(report)]


@st.composite
def places(draw: st.DrawFn) -> tuple[Element, bool]:
    """Draw an element of any public tag that holds `FAMILY`, up to four sequences deep."""
    tag = draw(st.sampled_from(PUBLIC))
    vr = draw(st.sampled_from(TEXTUAL))
    around = draw(st.sampled_from(["", "x", "of ", "\\", "19990101 "]))
    element = text(tag, vr, around + draw(st.sampled_from([FAMILY, FAMILY.upper(), CHART])))
    for outer in draw(st.lists(st.sampled_from(SEQUENCES), max_size=4)):
        element = Element(outer, "SQ", items=[[element]])
    return element, bool(element.items)


@settings(max_examples=300, deadline=None)
@given(st.lists(places(), min_size=1, max_size=6), st.sampled_from([Profile(), Profile(ALL)]))
def test_a_known_identifier_never_survives_wherever_it_is_planted(
    drawn: list[tuple[Element, bool]], profile: Profile
) -> None:
    identity = (0x00080005, 0x00080018, 0x00100010, 0x00100020, 0x0020000D, 0x0020000E)
    extra = [element for element, _ in drawn if element.tag not in identity]
    before = Part10([], [*base(), *extra, pixels(EXPLICIT)], EXPLICIT, EXPLICIT_LITTLE)
    after = write_part10(deidentify(before, profile, KEY).file)
    assert left_in(after, {FAMILY, CHART}) == []


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([tag for tag in PUBLIC if DicomDictionary[tag][0] in ("LO", "LT", "ST", "UT")]),
    st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=3, max_size=10),
)
def test_unknown_free_text_survives_only_where_the_profile_keeps_text(tag: int, said: str) -> None:
    element = text(tag, DicomDictionary[tag][0], said)
    before = Part10([], [*base(), element, pixels(EXPLICIT)], EXPLICIT, EXPLICIT_LITTLE)
    after = write_part10(deidentify(before, Profile(), KEY).file)
    kept = Profile().action(tag) is Action.KEEP and tag not in (0x00080104,)
    assert (said.encode() in after) == kept
