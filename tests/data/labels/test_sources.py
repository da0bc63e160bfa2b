"""Labels from reports, observations and segmentations: classes only, of images that are here."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from clients.data import phantoms
from clients.data.catalogue.store import Catalogue
from clients.data.dicom.elements import Limits, read_part10
from clients.data.intake.ingest import ingest
from clients.data.labels.fhir import read_observations
from clients.data.labels.mapping import Code, LabelMapping, read_mapping
from clients.data.labels.seg import read_segmentation
from clients.data.labels.sources import take_labels
from clients.data.labels.sr import read_report
from clients.data.labels.table import MASK
from clients.data.layout import mask_path
from clients.data.people.pseudonyms import Pseudonyms
from federation.errors.cohorts import (
    LabelMappingError,
    LabelSourceError,
    SegmentationUnusableError,
)
from federation.errors.data import LabelFileError
from tests.data.conftest import Build, Write

MAPPING = """
[[label]]
name = "pneumonia"
concepts = ["SCT:233604007", "LN:24604-1"]
answers = { "SCT:52101004" = 1, "SCT:2667000" = 0, "HL7:POS" = 1, true = 1, false = 0 }

[[label]]
name = "size"
concepts = ["DCM:121206"]
cuts = [5.0, 10.0]
unit = "mm"

[[label]]
name = "impression"
concepts = ["LN:19005-8"]
answers = { "正常" = 0, "肺炎" = 1 }
"""
PRESENT, ABSENT = ("52101004", "SCT"), ("2667000", "SCT")


PER_FRAME = "PerFrameFunctionalGroupsSequence"


@dataclass
class Home:
    data: Path
    source: Path
    mapping: Path

    def take(self, source: Path | None = None) -> dict[str, int]:
        counted = take_labels(self.data, source or self.source, mapping=self.mapping)
        return {code: count for code, count in counted.items() if count}

    def labels(self) -> dict[tuple[str, str], str]:
        """Return the labels, images by the number they were built with."""
        names = Pseudonyms.open(self.data / "keys" / "pseudonym.key")
        number_of = {names.uid(f"1.2.3.4.{n}"): str(n) for n in range(1, 20)}
        with Catalogue(self.data) as catalogue:
            rows = catalogue.label_rows()
        return {(number_of.get(i, i), name): value for (i, name), value in rows.items()}


@pytest.fixture
def home(build: Build, write: Write, tmp_path: Path) -> Home:
    """Return a home with three patients; the first has images 1 and 4."""
    for number in (1, 2, 3):
        path = write(build(number), f"{number}.dcm")
    write(build(4, PatientID="PID0001"), "4.dcm")
    ingest(tmp_path / "data", path.parent, workers=1)
    (tmp_path / "mapping.toml").write_text(MAPPING)
    (tmp_path / "labels").mkdir()
    return Home(tmp_path / "data", tmp_path / "labels", tmp_path / "mapping.toml")


def coded(value: str, scheme: str) -> Dataset:
    return phantoms._item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning="x")


def image(number: int) -> Dataset:
    named = phantoms._item(
        ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.1",
        ReferencedSOPInstanceUID=f"1.2.3.4.{number}",
    )
    return phantoms._item(
        ValueType="IMAGE", RelationshipType="CONTAINS", ReferencedSOPSequence=[named]
    )


def item(kind: str, concept: tuple[str, str], *below: Dataset, **values: object) -> Dataset:
    made = phantoms._item(
        ValueType=kind, RelationshipType="CONTAINS", ConceptNameCodeSequence=[coded(*concept)]
    )
    for name, value in values.items():
        setattr(made, name, value)
    if below:
        made.ContentSequence = list(below)
    return made


def code_item(answer: tuple[str, str], *below: Dataset) -> Dataset:
    return item("CODE", ("233604007", "SCT"), *below, ConceptCodeSequence=[coded(*answer)])


def report(*content: Dataset, patient: str = "PID0001", **values: object) -> Dataset:
    made = phantoms._item(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33",
        SOPInstanceUID="1.2.3.99",
        StudyInstanceUID="1.2.3.5.1",
        SeriesInstanceUID="1.2.3.98",
        Modality="SR",
        PatientID=patient,
        SpecificCharacterSet="ISO_IR 192",
        ValueType="CONTAINER",
        CompletionFlag="PARTIAL",
        ContentSequence=list(content),
    )
    for name, value in values.items():
        setattr(made, name, value)
    return made


def put(home: Home, dataset: Dataset, name: str = "report.dcm") -> None:
    (home.source / name).write_bytes(phantoms._bytes_of(dataset))


def test_a_report_labels_the_images_it_names(home: Home) -> None:
    put(home, report(code_item(PRESENT, image(1)), code_item(ABSENT, image(4))))
    assert home.take() == {"applied": 2}
    assert home.labels() == {("1", "pneumonia"): "1", ("4", "pneumonia"): "0"}
    assert home.take() == {"applied": 2}
    assert home.labels() == {("1", "pneumonia"): "1", ("4", "pneumonia"): "0"}


def test_a_finding_is_about_the_images_of_its_nearest_container(home: Home) -> None:
    group = item("CONTAINER", ("125007", "DCM"), image(1), code_item(PRESENT))
    put(home, report(group, item("CONTAINER", ("126000", "DCM"), image(4))))
    home.take()
    assert home.labels() == {("1", "pneumonia"): "1"}


def test_a_report_without_images_is_about_the_patient(home: Home) -> None:
    put(home, report(code_item(PRESENT)))
    home.take()
    assert home.labels() == {("1", "pneumonia"): "1", ("4", "pneumonia"): "1"}


def test_numbers_become_classes_in_their_unit_only(home: Home) -> None:
    def measured(value: str, unit: str, number: int) -> Dataset:
        inside = phantoms._item(
            NumericValue=value, MeasurementUnitsCodeSequence=[coded(unit, "UCUM")]
        )
        concept = ("121206", "DCM")
        return item("NUM", concept, image(number), MeasuredValueSequence=[inside])

    put(home, report(measured("7.5", "mm", 1), measured("12", "cm", 4)))
    assert home.take() == {"applied": 1, "TF587": 1}
    assert home.labels() == {("1", "size"): "1"}


def test_words_are_compared_and_never_kept(home: Home) -> None:
    put(home, report(item("TEXT", ("19005-8", "LN"), image(1), TextValue="肺炎")))
    put(home, report(item("TEXT", ("19005-8", "LN"), image(4), TextValue="王小明 secret")), "b.dcm")
    assert home.take() == {"applied": 1, "TF587": 1}
    assert home.labels() == {("1", "impression"): "1"}
    for path in home.data.rglob("*"):
        assert not path.is_file() or b"secret" not in path.read_bytes()


def test_a_report_on_images_of_somebody_else_is_not_used(home: Home) -> None:
    put(home, report(code_item(PRESENT, image(1)), code_item(PRESENT, image(2))))
    assert home.take() == {"TF585": 1}
    assert home.labels() == {}


def test_reports_that_contradict_each_other_leave_no_label(home: Home) -> None:
    put(home, report(code_item(PRESENT, image(1))), "a.dcm")
    put(home, report(code_item(ABSENT, image(1))), "b.dcm")
    assert home.take() == {"TF519": 1}
    assert home.labels() == {}


def test_what_cannot_be_read_is_counted_and_the_rest_goes_on(home: Home) -> None:
    put(home, report(code_item(PRESENT, image(1))), "a.dcm")
    put(home, report(code_item(PRESENT), PreliminaryFlag="PRELIMINARY"), "b.dcm")
    put(home, report(code_item(PRESENT), patient=""), "c.dcm")
    put(home, report(code_item(PRESENT), patient="NOBODY"), "d.dcm")
    whole = (home.source / "a.dcm").read_bytes()
    (home.source / "e.dcm").write_bytes(whole[:-20])
    (home.source / "f.txt").write_text("no DICOM")
    assert home.take() == {"applied": 1, "TF516": 1, "TF588": 4}


def test_a_report_without_a_mapping_is_refused(home: Home) -> None:
    put(home, report(code_item(PRESENT)))
    with pytest.raises(LabelSourceError):
        take_labels(home.data, home.source)
    with pytest.raises(LabelSourceError):
        take_labels(home.data, home.source / "nothing")


@pytest.mark.realdata
def test_a_real_tid_1500_report_is_read(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(
        '[[label]]\nname = "volume"\nconcepts = ["SRT:G-D705"]\ncuts = [30]\nunit = "ml"\n'
    )
    content = (shared_data / "dicom-real" / "dcmqi" / "sr-example_sr.dcm").read_bytes()
    found = read_report(read_part10(content, Limits()), read_mapping(path))
    assert [(one.label, one.value) for one in found.findings] == [("volume", 1)]
    assert len(found.refers_to) > 190


def observation(patient: str, *, status: str = "final", **value: object) -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "status": status,
        "code": {"coding": [{"system": "http://loinc.org", "code": "24604-1"}]},
        "subject": {"identifier": {"system": "urn:mrn", "value": patient}},
        **value,
    }


def test_observations_label_their_patients_images(home: Home) -> None:
    present = {"coding": [{"system": "http://snomed.info/sct", "code": "52101004"}]}
    positive = {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
                "code": "POS",
            }
        ]
    }
    given = [
        observation("PID0001", valueCodeableConcept=present),
        observation("PID0002", valueBoolean=False),
        observation("PID0003", interpretation=[positive]),
        observation("PID0003", status="entered-in-error", valueBoolean=False),
        observation("NOBODY", valueBoolean=True),
        observation("PID0003", valueString="words that no mapping names"),
        {"resourceType": "Observation", "status": "final"},
        {"resourceType": "Encounter"},
    ]
    source = home.source / "all.ndjson"
    source.write_text("\n".join(map(json.dumps, given)) + "\nnot json\n")
    assert home.take(source) == {"applied": 4, "TF516": 1, "TF587": 1, "TF588": 3}
    assert {name: value for (name, _), value in home.labels().items()} == {
        "1": "1",
        "4": "1",
        "2": "0",
        "3": "1",
    }


def test_a_bundle_names_the_patient_in_a_resource_of_its_own(home: Home) -> None:
    patient = {
        "resourceType": "Patient",
        "id": "a",
        "identifier": [
            {"system": "urn:other", "value": "PID0002"},
            {"system": "urn:mrn", "value": "PID0001"},
        ],
    }
    said = {**observation("x", valueBoolean=True), "subject": {"reference": "urn:uuid:1"}}
    bundle = {
        "resourceType": "Bundle",
        "entry": [{"fullUrl": "urn:uuid:1", "resource": patient}, {"resource": said}],
    }
    source = home.source / "bundle.json"
    source.write_text(json.dumps(bundle))
    assert home.take(source) == {"TF516": 1}  # two patients: nobody is meant
    home.mapping.write_text('patient_system = "urn:mrn"\n' + MAPPING)
    assert home.take(source) == {"applied": 2}


def test_a_component_of_an_observation_is_a_finding_too(home: Home) -> None:
    part = {
        "code": {"coding": [{"system": "http://loinc.org", "code": "24604-1"}]},
        "valueBoolean": True,
    }
    whole = {**observation("PID0001"), "code": {"coding": []}, "component": [part]}
    source = home.source / "one.json"
    source.write_text(json.dumps(whole))
    assert home.take(source) == {"applied": 2}


@pytest.mark.parametrize("content", ["[" * 100_000, '"words"', "{}", "", '{"entry": [1, null]}'])
def test_json_that_is_no_resource_is_counted(home: Home, content: str) -> None:
    source = home.source / "bad.json"
    source.write_text(content)
    assert home.take(source)["TF588"] >= 1


def test_a_resource_that_is_too_large_is_refused(home: Home) -> None:
    source = home.source / "large.ndjson"
    source.write_bytes(b" " * (1024 * 1024 + 1))
    with pytest.raises(LabelSourceError):
        home.take(source)


@pytest.mark.realdata
def test_the_examples_of_tw_core_are_read(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(
        '[[label]]\nname = "smoker"\nconcepts = ["SCT:401201003"]\ncuts = [1]\n'
        '[[label]]\nname = "bmi"\nconcepts = ["LN:39156-5"]\ncuts = [18.5, 24, 27]\n'
    )
    folder = shared_data / "tabular" / "fhir-twcore" / "examples"
    paths = sorted(folder.glob("Observation-obs-*.json")) + sorted(folder.glob("Patient-*.json"))
    found = read_observations(paths, read_mapping(path))
    labels = {one.label for statement in found.statements for one in statement.findings}
    assert labels == {"smoker", "bmi"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[label]]\nname = "a"\nconcepts = ["no code"]\ncuts = [1]', "is no code"),
        ('[[label]]\nname = "a"\nconcepts = ["SCT:1"]', "neither answers nor cuts"),
        ('[[label]]\nname = "a"\nconcepts = ["SCT:1"]\ncuts = [2, 1]', "cuts do not rise"),
        ('[[label]]\nname = "a"\nconcept = ["SCT:1"]\ncuts = [1]', "concept: Extra"),
        ('[[label]]\nname = "a"\nconcepts = ["SCT:1"]\nanswers = { x = 100 }', "answers.x"),
        ("[mask]\nsegments = { liver = 1 }", "is no code"),
        ("[[label", "Expected"),
    ],
)
def test_a_mapping_that_is_not_understood_is_refused(
    tmp_path: Path, text: str, problem: str
) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(text)
    with pytest.raises(LabelMappingError, match=problem):
        read_mapping(path)


@pytest.fixture
def liver(shared_data: Path, tmp_path: Path) -> Home:
    """Return a home with the three CT slices of a real liver."""
    (tmp_path / "given").mkdir()
    for path in (shared_data / "dicom-real" / "dcmqi").glob("segmentations_ct-3slice_*.dcm"):
        shutil.copy(path, tmp_path / "given")
    report = ingest(tmp_path / "data", tmp_path / "given", workers=1)
    if report.admitted != 3:
        pytest.skip("the intake's rules keep these slices out")
    (tmp_path / "mapping.toml").write_text("")
    return Home(tmp_path / "data", tmp_path / "given", tmp_path / "mapping.toml")


def masks(home: Home) -> list[str]:
    with Catalogue(home.data) as catalogue:
        return [value for (_, name), value in catalogue.label_rows().items() if name == MASK]


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["liver.dcm", "liver_expb.dcm"])
def test_a_real_segmentation_lies_on_its_slices(liver: Home, shared_data: Path, name: str) -> None:
    source = shared_data / "dicom-real" / "pydicom" / name
    assert liver.take(source)["applied"] == 3
    assert liver.take(source)["applied"] == 3
    (stored,) = set(masks(liver))
    mask = np.load(mask_path(liver.data, stored))
    oracle = pydicom.dcmread(source)
    assert mask.shape == (3, 512, 512)
    assert int(mask.sum()) == int(oracle.pixel_array.sum()) > 1000
    depth = {}
    for path in liver.source.glob("*.dcm"):
        slice_ = pydicom.dcmread(path)
        depth[slice_.SOPInstanceUID] = float(slice_.ImagePositionPatient[2])
    order = sorted(depth, key=lambda uid: depth[uid])
    for frame, group in zip(
        oracle.pixel_array, oracle.PerFrameFunctionalGroupsSequence, strict=True
    ):
        source_image = group.DerivationImageSequence[0].SourceImageSequence[0]
        place = order.index(source_image.ReferencedSOPInstanceUID)
        assert np.array_equal(mask[place] > 0, frame > 0)


@pytest.mark.realdata
def test_a_segmentation_of_another_patient_is_not_used(
    liver: Home, shared_data: Path, tmp_path: Path
) -> None:
    changed = pydicom.dcmread(shared_data / "dicom-real" / "pydicom" / "liver.dcm")
    changed.PatientID = "SOMEBODY ELSE"
    changed.save_as(tmp_path / "other.dcm")
    assert liver.take(tmp_path / "other.dcm") == {"TF585": 1}
    assert masks(liver) == []


@pytest.mark.realdata
@pytest.mark.parametrize("where", ["orientation", "position", "spacing"])
def test_a_segmentation_that_lies_otherwise_than_its_images_is_not_used(
    liver: Home, shared_data: Path, tmp_path: Path, where: str
) -> None:
    changed = pydicom.dcmread(shared_data / "dicom-real" / "pydicom" / "liver.dcm")
    for group in (*changed.SharedFunctionalGroupsSequence, *changed[PER_FRAME].value):
        for plane in group.get("PlaneOrientationSequence", []) if where == "orientation" else []:
            plane.ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]
        for plane in group.get("PlanePositionSequence", []) if where == "position" else []:
            plane.ImagePositionPatient = [900, 900, 900]
        for plane in group.get("PixelMeasuresSequence", []) if where == "spacing" else []:
            plane.PixelSpacing = [3, 3]
    changed.save_as(tmp_path / "other.dcm")
    assert liver.take(tmp_path / "other.dcm") == {"TF586": 1}
    assert masks(liver) == []


@pytest.mark.realdata
def test_segments_that_overlap_need_a_mapping_that_ranks_them(
    liver: Home, shared_data: Path
) -> None:
    source = shared_data / "dicom-real" / "dcmqi" / "segmentations_partial_overlaps.dcm"
    assert liver.take(source) == {"TF586": 1}
    codes = [
        one.SegmentedPropertyTypeCodeSequence[0] for one in pydicom.dcmread(source).SegmentSequence
    ]
    kinds = {f"{code.CodingSchemeDesignator}:{code.CodeValue}" for code in codes}
    listed = ", ".join(f'"{kind}" = {n}' for n, kind in enumerate(sorted(kinds), 1))
    liver.mapping.write_text(f"[mask]\nsegments = {{ {listed} }}\n")
    assert liver.take(source) == {"applied": 3}
    (stored,) = set(masks(liver))
    assert set(np.unique(np.load(mask_path(liver.data, stored)))) <= set(range(len(kinds) + 1))


@pytest.mark.realdata
def test_fractional_segments_count_from_one_half_on(shared_data: Path) -> None:
    dataset = pydicom.dcmread(shared_data / "dicom-real" / "pydicom" / "liver.dcm")
    bits = dataset.pixel_array
    dataset.SegmentationType = "FRACTIONAL"
    dataset.MaximumFractionalValue = 200
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = np.where(bits, 100, 99).astype(np.uint8).tobytes()
    file = read_part10(phantoms._bytes_of(dataset), Limits())
    frames = read_segmentation(file, LabelMapping()).frames
    assert [int(frame.bits.sum()) for frame in frames] == [int(one.sum()) for one in bits]


Break = Callable[[Dataset], None]


def _cut(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:1000]


def _less_groups(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[0]


def _no_segments(dataset: Dataset) -> None:
    dataset.SegmentSequence = []


def _high(dataset: Dataset) -> None:
    dataset.SegmentSequence[0].SegmentNumber = 500


def _endless(dataset: Dataset) -> None:
    dataset.NumberOfFrames = 2_000_000_000


@pytest.mark.realdata
@pytest.mark.parametrize("break_it", [_cut, _less_groups, _no_segments, _high, _endless])
def test_a_segmentation_that_does_not_fit_together_is_refused(
    shared_data: Path, break_it: Break
) -> None:
    dataset = pydicom.dcmread(shared_data / "dicom-real" / "pydicom" / "liver.dcm")
    break_it(dataset)
    file = read_part10(phantoms._bytes_of(dataset), Limits())
    with pytest.raises(SegmentationUnusableError):
        read_segmentation(file, LabelMapping())


@pytest.mark.realdata
def test_a_segmentation_agrees_with_highdicom(shared_data: Path) -> None:
    highdicom = pytest.importorskip("highdicom")
    path = shared_data / "dicom-real" / "pydicom" / "liver.dcm"
    oracle = highdicom.seg.segread(path)
    ours = read_segmentation(read_part10(path.read_bytes(), Limits()), LabelMapping())
    assert {frame.value for frame in ours.frames} == set(oracle.segment_numbers)
    sources = [uid for _, _, uid in oracle.get_source_image_uids()]
    assert ours.refers_to == set(sources)


def test_every_scheme_of_fhir_has_the_name_of_dicom() -> None:
    assert Code.of("http://loinc.org", "1-8") == Code("LN", "1-8")
    assert Code.of("urn:own", "x") == Code("urn:own", "x")


def masks_of(home: Home, name: str, content: bytes) -> dict[str, int]:
    (home.source / "m.npy").write_bytes(content)
    table = home.source / "labels.csv"
    table.write_bytes(b"patient_id,mask\nPID0001," + name.encode() + b"\n")
    return home.take(table)


def npy(shape: str, dtype: str = "|u1") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + bytes(16)


BAD_MASKS = {
    "an archive": b"PK\3\4" + bytes(100),
    "larger than memory": npy("(1000000, 1000000)"),
    "negative": npy("(-4, 4)"),
    "objects": npy("(4, 4)", "|O"),
    "no header": b"\x93NUMPY\1\0\xff\xff" + b"(" * 500,
}


@pytest.mark.parametrize("content", BAD_MASKS.values(), ids=BAD_MASKS)
def test_a_mask_file_that_lies_is_counted(home: Home, content: bytes) -> None:
    assert masks_of(home, "m.npy", content) == {"TF531": 1}


@pytest.mark.parametrize("name", ["../../x.npy", "a\0b.npy", "x" * 5000, "/dev/zero", "."])
def test_a_mask_path_that_leads_elsewhere_is_counted(home: Home, name: str) -> None:
    assert masks_of(home, name, b"") == {"TF531": 1}


def test_a_number_beyond_fhir_is_counted(home: Home) -> None:
    said = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "24604-1"}]},
        "subject": {"identifier": {"value": "PID0001"}},
        "valueInteger": 10**400,
    }
    (home.source / "o.json").write_text(json.dumps(said))
    assert home.take() == {"TF588": 1}


def test_a_label_whose_name_is_a_text_is_refused(home: Home) -> None:
    table = home.source / "labels.csv"
    table.write_text("patient_id," + "x" * 65 + "\nPID0001,1\n")
    with pytest.raises(LabelFileError):
        home.take(table)
