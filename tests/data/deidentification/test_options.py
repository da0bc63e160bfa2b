import struct

import pytest

from clients.data.deidentification.profile import Action, Option, Profile
from clients.data.deidentification.safe_private import load_safe_table
from clients.data.deidentification.statement import (
    INSPECTED_CLEAN,
    NOT_INSPECTED,
    PixelStatement,
    blanked,
)
from clients.data.deidentification.sweep import MOST_WORDS
from clients.data.dicom.elements import Element, write_part10
from federation.errors.data import ProfileTableError
from federation.errors.deidentification import TooManyIdentifiersError
from tests.data.conftest import Build
from tests.data.deidentification.cleaning import cleaned, deidentified
from tests.data.deidentification.planting import text

SAFE = Profile(frozenset({Option.SAFE_PRIVATE}))
MR_HEADER = text(0x00190010, "LO", "SIEMENS MR HEADER ")


def codes(dataset: object) -> list[str]:
    return [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]  # type: ignore[attr-defined]


def test_safe_private_numbers_stay_with_their_creator_and_only_with_the_option(
    build: Build,
) -> None:
    gradient = Element(0x0019100E, "FD", struct.pack("<3d", 1.0, 0.0, 0.0))
    extra = (MR_HEADER, text(0x0019100C, "IS", "800"), gradient)
    after = cleaned(build(), SAFE, extra=extra)
    assert after[0x0019, 0x0010].value == "SIEMENS MR HEADER"
    assert after[0x0019, 0x100C].value == 800
    assert after[0x0019, 0x100E].value == [1.0, 0.0, 0.0]
    assert "113111" in codes(after)
    bare = cleaned(build(), extra=extra)
    assert not [element for element in bare if element.tag.is_private]
    assert "113111" not in codes(bare)


def test_a_safe_block_is_found_wherever_it_was_reserved(build: Build) -> None:
    extra = (
        text(0x00190010, "LO", "SOMEBODY ELSE"),
        text(0x0019100C, "IS", "111"),
        text(0x00190042, "LO", "SIEMENS MR HEADER"),
        text(0x0019420C, "IS", "800"),
    )
    after = cleaned(build(), SAFE, extra=extra)
    assert after[0x0019, 0x420C].value == 800
    assert (0x0019, 0x100C) not in after
    assert (0x0019, 0x0010) not in after


@pytest.mark.parametrize(
    "element",
    [
        text(0x0019100C, "LO", "800"),  # another VR than the list's
        text(0x0019100C, "IS", "Doe"),  # no number
        text(0x0019100C, "IS", "8\\9"),  # more values than the list's
        text(0x0019100D, "CS", "DIRECTIONAL"),  # on the standard's list, but no number
        text(0x00191099, "IS", "1"),  # not on the list
        Element(0x0019100E, "FD", b"JANE DOE" * 3 + b"x"),
        text(0x0019100C, "IS", "0917555017"),  # a telephone number
    ],
)
def test_a_private_element_that_is_not_as_listed_goes_with_its_creator(
    build: Build, element: Element
) -> None:
    after = cleaned(build(), SAFE, extra=(MR_HEADER, element))
    assert not [kept for kept in after if kept.tag.is_private and kept.tag.element > 0xFF]


def test_the_safe_list_is_whole_and_holds_numbers_only() -> None:
    table = load_safe_table()
    assert len(table.rows) == 24
    assert {row.vr for row in table.rows.values()} <= {"DS", "FD", "FL", "IS", "SL", "SS", "US"}


def test_a_changed_safe_list_stops_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from clients.data.deidentification import facts

    raw = facts.json.loads
    monkeypatch.setattr(facts.json, "loads", lambda content: {**raw(content), "sha256": "0" * 64})
    load_safe_table.cache_clear()
    with pytest.raises(ProfileTableError):
        load_safe_table()
    monkeypatch.undo()
    load_safe_table.cache_clear()


@pytest.mark.parametrize(
    ("pixels", "code", "burned_in", "said"),
    [
        (NOT_INSPECTED, False, None, "pixel data not inspected for text"),
        (INSPECTED_CLEAN, True, "NO", "pixel data inspected for text, none found"),
        (blanked(3), True, "NO", "pixel data inspected for text, 3 areas blanked"),
    ],
)
def test_clean_pixels_are_stated_only_when_they_were_inspected(
    build: Build, pixels: PixelStatement, code: bool, burned_in: str | None, said: str
) -> None:
    after = cleaned(build(BurnedInAnnotation="NO"), pixels=pixels)
    assert ("113101" in codes(after)) == code
    assert codes(after) == sorted(codes(after))
    assert after.get("BurnedInAnnotation") == burned_in
    assert said in after.DeidentificationMethod
    assert all(len(part) <= 64 for part in after.DeidentificationMethod)


def test_a_warning_of_burned_in_text_stays_until_somebody_looked(build: Build) -> None:
    assert cleaned(build(BurnedInAnnotation="YES")).BurnedInAnnotation == "YES"
    assert cleaned(build(BurnedInAnnotation="YES"), pixels=blanked(1)).BurnedInAnnotation == "NO"


@pytest.mark.parametrize("suffix", ["1.1", "1.2", "2.1", "4.1"])
def test_an_object_that_must_state_it_keeps_the_word_of_its_device(
    build: Build, suffix: str
) -> None:
    stated = build(SOPClassUID=f"1.2.840.10008.5.1.4.1.1.{suffix}", BurnedInAnnotation="NO")
    after = cleaned(stated)
    assert after.BurnedInAnnotation == "NO"
    assert "113101" not in codes(after)


def test_areas_cannot_be_blanked_in_pixels_that_were_not_inspected() -> None:
    with pytest.raises(ValueError, match="inspected"):
        PixelStatement(inspected=False, areas=1)
    with pytest.raises(ValueError, match="at least one"):
        blanked(0)


def test_without_the_date_option_no_date_of_the_file_stays(build: Build) -> None:
    dates = {
        "StudyDate": "20240229",
        "AcquisitionDate": "20240310",
        "ContentDate": "20240311",
        "StudyTime": "111213",
        "PatientBirthDate": "19500101",
        "DateOfLastCalibration": "20230405",
        "AcquisitionDateTime": "20240310101112.5",
        "ScheduledProcedureStepStartDate": "20240312",
        "SoftwareVersions": "of 2024-02-29",
    }
    after = write_part10(deidentified(build(**dates), Profile(frozenset())).file)
    for planted in ("2024", "2023", "1950", "111213"):
        assert planted.encode() not in after.replace(b"2024e", b"")
    assert Profile(frozenset()).action(0x00080022) is not Action.SHIFT


def test_a_type_2_attribute_is_emptied_and_not_removed(build: Build) -> None:
    dataset = build(PositionReferenceIndicator="nose of Jane", BodyPartExamined="CHEST")
    dataset.PatientName = "Chest^Jane"
    after = cleaned(dataset, extra=(text(0x00200013, "IS", "eleven"),))
    assert after.PositionReferenceIndicator == ""
    assert after["InstanceNumber"].is_empty
    assert after.BodyPartExamined == "CHEST"  # a term of the standard says nothing of anybody


def test_a_required_attribute_in_a_wrong_vr_is_written_in_its_own(build: Build) -> None:
    after = cleaned(build(), extra=(text(0x00100030, "LO", "Jane"), text(0x00100020, "SH", "7")))
    assert after.PatientID.startswith("P")
    assert after["PatientID"].VR == "LO"
    assert after["PatientBirthDate"].is_empty


def test_the_later_of_two_equal_tags_is_the_one_that_stays(build: Build) -> None:
    twice = (text(0x00180060, "DS", "80"), text(0x00180060, "DS", "120"))
    done = deidentified(build(), extra=twice)
    assert [e.value for e in done.file.dataset if e.tag == 0x00180060] == [b"120"]


def test_words_of_a_path_are_looked_for_in_what_stays(build: Build) -> None:
    dataset = build(SpecificCharacterSet="ISO_IR 192", SoftwareVersions="Siemens 陳大文")
    dataset.Manufacturer = "by Tseng"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "TSENG"]
    path = ("export", "CHEST", "Siemens", "tseng_陳大文-19", "IM0001.dcm")
    after = cleaned(dataset, also=path)
    assert after.Manufacturer == "REMOVED"
    assert after.SoftwareVersions == "REMOVED"
    assert list(after.ImageType) == ["ORIGINAL", "PRIMARY", "REMOVED"]
    assert cleaned(dataset).Manufacturer == "by Tseng"


@pytest.mark.parametrize(
    "said",
    [
        *("A123456789", "F224455667", "0917-555-017", "0917555017", "+886 917 555 017"),
        *("AD12345678", "02-2345-6789", "jane.doe@example.org"),
    ],
)
def test_what_looks_like_a_number_of_a_person_goes_though_nobody_named_it(
    build: Build, said: str
) -> None:
    after = cleaned(build(Manufacturer=f"for {said}", SoftwareVersions=["VB17A", said]))
    assert after.Manufacturer == "REMOVED"
    assert list(after.SoftwareVersions) == ["VB17A", "REMOVED"]


def test_more_people_than_can_be_looked_for_are_refused(build: Build) -> None:
    names = "\\".join(f"Person{number:05d}" for number in range(MOST_WORDS))
    many = tuple(
        text(0x00081070, "PN", names[start : start + 3000]) for start in range(0, len(names), 3000)
    )
    with pytest.raises(TooManyIdentifiersError):
        deidentified(build(), extra=many)


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00180088, "DS", "1\\2\\3"),  # one value allowed
        (0x00189087, "FD", b"\0" * 16),
        (0x00281041, "SS", b"odd"),
        (0x00280106, "OB", b"\1\0"),
    ],
)
def test_a_number_that_is_not_as_the_dictionary_says_goes(
    build: Build, tag: int, vr: str, value: str | bytes
) -> None:
    assert tag not in cleaned(build(), extra=(text(tag, vr, value),))


@pytest.mark.parametrize(
    ("name", "elsewhere"),
    [
        ("Wang^Li", "LIWANG"),
        ("Wang^Li", "wangli 2"),
        ("Li^Bo", "BoLi"),
        ("Wang^Xiao-Ming", "xiaoming"),
        ("Wang^Xiao-Ming", "Xiao Ming"),
        ("O'Neill^Pat", "oneill"),
        ("Wang^Xiao-Ming", "sequence of XIAO-MING"),
    ],
)
def test_a_name_is_found_in_another_order_or_spelling(
    build: Build, name: str, elsewhere: str
) -> None:
    after = cleaned(build(PatientName=name, Manufacturer=elsewhere))
    assert after.Manufacturer == "REMOVED"


def test_digits_of_an_identifier_are_found_as_a_number_and_not_in_a_fraction(
    build: Build,
) -> None:
    orientation = ["1.000000", "0", "0", "0", "0.123456", "0"]
    after = cleaned(build(PatientID="0123456", ImageOrientationPatient=orientation, KVP="123456.0"))
    assert len(after.ImageOrientationPatient) == 6
    assert after["KVP"].is_empty
    long = cleaned(build(PatientID="0917555017", SliceLocation="1.0917555017"))
    assert "SliceLocation" not in long
