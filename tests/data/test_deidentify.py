import io
import re
import struct
from collections.abc import Iterator

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from clients.data.deidentification.deidentify import deidentify
from clients.data.deidentification.profile import Action, Option, Profile, load_table
from clients.data.dicom.elements import Limits, read_part10, write_part10
from clients.data.people.pseudonyms import Pseudonyms
from clients.data.phantoms import GeneratedSite, _bytes_of, _item
from federation.errors.data import IdentityMissingError
from tests.data.conftest import Build

KEY = Pseudonyms(b"k" * 32)

PLANTED_TEXT = {
    "PatientName": "Qzname^Qzgiven=王^小明",
    "PatientID": "QZID00017",
    "OtherPatientNames": "Qzother^Name",
    "PatientBirthName": "Qzbirth^Name",
    "PatientMotherBirthName": "Qzmother^Name",
    "PatientAddress": "17 Qzstreet",
    "PatientTelephoneNumbers": "0917555017",
    "MilitaryRank": "Qzrank",
    "EthnicGroup": "Qzethnic",
    "Occupation": "Qzoccupation",
    "PatientComments": "Qzcomment about him",
    "AdditionalPatientHistory": "Qzhistory",
    "PatientReligiousPreference": "Qzreligion",
    "CountryOfResidence": "Qzcountry",
    "RegionOfResidence": "Qzregion",
    "ResponsiblePerson": "Qzresponsible^P",
    "MedicalRecordLocator": "QZLOC17",
    "AccessionNumber": "QZACC17",
    "StudyID": "QZSTUDY17",
    "InstitutionName": "Qzhospital",
    "InstitutionAddress": "Qzaddress 5",
    "InstitutionalDepartmentName": "Qzdepartment",
    "ReferringPhysicianName": "Qzreferring^Doc",
    "ReferringPhysicianTelephoneNumbers": "0917555018",
    "PerformingPhysicianName": "Qzperforming^Doc",
    "NameOfPhysiciansReadingStudy": "Qzreading^Doc",
    "OperatorsName": "Qzoperator^X",
    "RequestingPhysician": "Qzrequesting^Doc",
    "PhysiciansOfRecord": "Qzrecord^Doc",
    "StationName": "QZSTATION",
    "DeviceSerialNumber": "QZSERIAL17",
    "StudyDescription": "Qzstudydesc",
    "SeriesDescription": "Qzseriesdesc",
    "ProtocolName": "Qzprotocol",
    "ImageComments": "Qzimagecomment",
    "RequestedProcedureDescription": "Qzprocedure",
    "AdmissionID": "QZADM17",
    "CurrentPatientLocation": "Qzward 5",
    "PerformedProcedureStepDescription": "Qzstepdesc",
    "TextComments": "Qztextcomment",
    "IssuerOfPatientID": "Qzissuer",
    "DerivationDescription": "Qzderivation",
    "ContributionDescription": "Qzcontribution",
    "PartialViewDescription": "Qzpartialview",
    "WindowCenterWidthExplanation": "Qzwindow",
}


def clean(dataset: Dataset, profile: Profile | None = None) -> bytes:
    file = read_part10(_bytes_of(dataset), Limits())
    return write_part10(deidentify(file, profile or Profile(), KEY).file)


def reread(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def every_encoding(text: str) -> Iterator[bytes]:
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "big5", "gb18030", "iso2022_jp", "euc_kr"):
        try:
            yield text.encode(encoding)
        except UnicodeEncodeError:
            continue


def plant_everywhere(dataset: Dataset) -> set[str]:
    """Plant about 60 identifiers and return the words that must be gone."""
    for keyword, text in PLANTED_TEXT.items():
        setattr(dataset, keyword, text)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientBirthDate, dataset.LastMenstrualDate = "19170417", "20170517"
    dataset.OtherPatientIDsSequence = [_item(PatientID="QZOTHERID17")]
    dataset.RequestAttributesSequence = [
        _item(RequestedProcedureID="QZRP17", ScheduledProcedureStepDescription="Qzscheduled")
    ]
    dataset.ReferencedImageSequence = [
        _item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.1", ReferencedSOPInstanceUID="1.7.17")
    ]
    person = _item(CodeValue="1", CodingSchemeDesignator="99QZ", CodeMeaning="Qzpersoncode")
    deep = _item(PersonName="Qzdeep^Person", PersonIdentificationCodeSequence=[person])
    dataset.ViewCodeSequence = [
        _item(
            CodeValue="399348003",
            CodingSchemeDesignator="SCT",
            CodeMeaning="Antero-posterior",
            ViewModifierCodeSequence=Sequence(
                [_item(CodeValue="5", CodingSchemeDesignator="99L", CodeMeaning="Qzlocalcode")]
            ),
        )
    ]
    dataset.AcquisitionContextSequence = [_item(ConceptNameCodeSequence=[deep])]
    dataset.Manufacturer = "Imaging by Qzname"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "QZNAME"]
    block = dataset.private_block(0x0099, "QZPRIVATECREATOR", create=True)
    block.add_new(1, "LO", "Qzprivatename")
    block.add_new(2, "SQ", [_item(PatientName="Qzprivatenested^X")])
    block.add_new(3, "OB", "王小明".encode())
    dataset.add_new(0x60000010, "US", 8)
    dataset.add_new(0x60000011, "US", 8)
    dataset.add_new(0x60000022, "LO", "Qzoverlaydesc")
    dataset.add_new(0x60003000, "OW", b"QZOVERLAYBYTES17")
    dataset.add_new(0x60004000, "LT", "Qzoverlaytext")
    dataset.add_new(0x50000030, "SH", "Qzcurve")
    dataset.add_new(0xFFFCFFFC, "OB", b"QZTRAILING17")
    words = {
        "1.7.17",
        "19170417",
        "20170517",
        "王小明",
        "小明",
        "1.2.3.4.1",
        "1.2.3.5.1",
        "1.2.3.6.1",
    }
    for text in PLANTED_TEXT.values():
        words |= set(re.split(r"[ ^=]", text))
    words |= {"QZOTHERID17", "QZRP17", "Qzscheduled", "Qzdeep", "Qzpersoncode", "Qzlocalcode"}
    words |= {"QZPRIVATECREATOR", "Qzprivatename", "Qzprivatenested", "QZOVERLAYBYTES17"}
    words |= {"Qzoverlaydesc", "Qzoverlaytext", "Qzcurve", "QZTRAILING17", "99QZ", "99L", "QZNAME"}
    return {word for word in words if len(word) > 3 or ord(word[0]) > 0x2E80} - {"about", "Name"}


def test_no_planted_identifier_is_in_the_output_bytes(build: Build) -> None:
    dataset = build()
    words = plant_everywhere(dataset)
    before = _bytes_of(dataset).replace(b"\0" * 128, b"QZPREAMBLE17".ljust(128), 1)
    assert len(words) > 60
    after = write_part10(deidentify(read_part10(before, Limits()), Profile(), KEY).file)
    text = after.lower()
    left = [w for w in words if any(coded.lower() in text for coded in every_encoding(w))]
    assert left == []
    assert b"qz" not in text


def test_identifiers_of_a_generated_hospital_are_gone(site: GeneratedSite) -> None:
    for path in sorted(site.folder.glob("MRN*_[0-9].dcm"))[:12]:
        file = read_part10(path.read_bytes(), Limits())
        after = write_part10(deidentify(file, Profile(), KEY).file)
        for word in site.planted:
            assert not any(coded in after for coded in every_encoding(word))


@pytest.mark.parametrize(
    ("declared", "coded"),
    [("ISO_IR 100", "王小明".encode("big5")), ("GB18030", "张小东".encode("gb18030"))],
)
def test_names_in_other_or_misdeclared_character_sets_are_gone(
    build: Build, declared: str, coded: bytes
) -> None:
    raw = _bytes_of(build(SpecificCharacterSet=declared, PatientName="AAAA", ImageComments="CCCC"))
    raw = raw.replace(b"AAAA", coded[:4]).replace(b"CCCC", coded[-4:])
    after = write_part10(deidentify(read_part10(raw, Limits()), Profile(), KEY).file)
    assert coded[:4] not in after
    assert coded[-4:] not in after


def test_text_that_stays_is_written_as_utf8(build: Build) -> None:
    after = reread(clean(build(SpecificCharacterSet="ISO_IR 100", Manufacturer="Müller")))
    assert after.SpecificCharacterSet == "ISO_IR 192"
    assert after.Manufacturer == "Müller"


def test_pixels_pass_unchanged_and_unused_bits_are_cleared(build: Build) -> None:
    dataset = build()
    pixels = np.frombuffer(dataset.PixelData, "<u2")
    assert reread(clean(dataset)).PixelData == dataset.PixelData
    dataset.PixelData = (pixels | 0xA000).tobytes()
    assert reread(clean(dataset)).PixelData == pixels.tobytes()


def test_bytes_behind_the_last_pixel_are_cut(build: Build) -> None:
    dataset = build()
    pixels = dataset.PixelData
    dataset.PixelData = pixels + b"HIDDEN NAME "
    assert reread(clean(dataset)).PixelData == pixels


def test_comments_inside_compressed_frames_are_blanked(build: Build) -> None:
    comment = b"\xff\xfe" + struct.pack(">H", 12) + b"Qz comment"
    dataset = build()
    dataset["PixelData"].VR = "OB"
    frame = b"\xff\xd8" + comment + b"\xff\xda\0\2rest"
    dataset.PixelData = pydicom.encaps.encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    _bytes_of(dataset)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset, enforce_file_format=True)
    file = read_part10(out.getvalue(), Limits())
    after = write_part10(deidentify(file, Profile(), KEY).file)
    assert b"Qz comment" not in after
    assert b"\xff\xda\0\2rest" in after


def test_dates_keep_their_distances_and_move(build: Build) -> None:
    dataset = build(StudyDate="20240229", AcquisitionDate="20240310", StudyTime="101112")
    after = reread(clean(dataset))
    moved = [pydicom.valuerep.DA(day) for day in (after.StudyDate, after.AcquisitionDate)]
    assert (moved[1] - moved[0]).days == 10
    assert after.StudyDate != "20240229"
    assert after.StudyTime == "101112"
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"


def test_a_date_that_is_no_date_is_emptied(build: Build) -> None:
    raw = _bytes_of(build()).replace(b"20240229", b"JANE DOE")
    after = deidentify(read_part10(raw, Limits()), Profile(), KEY).file
    assert after.text(0x00080020) == ""


def test_uids_are_consistent_in_a_project_and_differ_between_projects(build: Build) -> None:
    reference = _item(
        ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.1", ReferencedSOPInstanceUID="1.2.3.4.1"
    )
    after = reread(clean(build(SourceImageSequence=[reference])))
    assert after.SourceImageSequence[0].ReferencedSOPInstanceUID == after.SOPInstanceUID
    assert after.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1"
    other = Pseudonyms(b"o" * 32)
    file = read_part10(_bytes_of(build()), Limits())
    assert deidentify(file, Profile(), other).instance != after.SOPInstanceUID


def test_the_statement_names_exactly_the_options_used(build: Build) -> None:
    after = reread(clean(build()))
    codes = [item.CodeValue for item in after.DeidentificationMethodCodeSequence]
    assert after.PatientIdentityRemoved == "YES"
    assert codes == ["113100", "113107", "113108"]
    assert "pixel data not inspected for text" in after.DeidentificationMethod
    bare = reread(clean(build(), Profile(frozenset())))
    assert [item.CodeValue for item in bare.DeidentificationMethodCodeSequence] == ["113100"]
    assert bare.LongitudinalTemporalInformationModified == "REMOVED"
    assert not bare.StudyDate


def test_patient_characteristics_stay_only_with_their_option(build: Build) -> None:
    dataset = build(PatientSex="F", PatientAge="095Y", PatientWeight="61")
    after = reread(clean(dataset))
    assert (after.PatientSex, after.PatientAge, after.PatientWeight) == ("F", "090Y", 61)
    bare = reread(clean(dataset, Profile(frozenset())))
    assert "PatientAge" not in bare
    assert not bare.PatientSex


def test_device_identity_stays_only_with_its_option(build: Build) -> None:
    dataset = build(DeviceSerialNumber="SN1")
    assert reread(clean(dataset)).DeviceSerialNumber == "REMOVED"
    # the option keeps the attribute; it still is plain text that a sweep may take
    assert Profile(frozenset({Option.DEVICE})).action(0x00181000) is Action.KEEP


def test_report_names_tags_and_actions_but_no_value(build: Build) -> None:
    file = read_part10(_bytes_of(build(PatientAddress="17 Qzstreet")), Limits())
    report = deidentify(file, Profile(), KEY).report.as_json()
    assert report["X"]["00101040"] == 1
    assert report["P"]["00100020"] == 1
    assert "Qz" not in str(report)


def test_a_file_without_patient_id_is_refused(build: Build) -> None:
    with pytest.raises(IdentityMissingError):
        clean(build(PatientID=""))


def test_the_table_is_whole_and_names_its_edition() -> None:
    table = load_table()
    assert table.edition == "2024e"
    assert len(table.rows) > 600
