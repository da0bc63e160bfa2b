"""Measure what de-identifying one file costs, beside copying it and beside other tools.

    OMP_NUM_THREADS=1 python benchmarks/deidentify.py [--json]

All read a file, change it and write another file (page cache, no fsync); CPU time
of the process, interleaved, medians. `cr_` is one radiograph of 2048 x 2048 x 16
bits, `ct_` one slice of 512 x 512 with about 150 elements, a nested sequence and
two private groups. `pydicom` is what one writes first: read, empty the known
names, new UIDs, `remove_private_tags`, save. `cr_intake_` and `ct_intake_` are all
that a reader process does with a file: screening, decoding and digest of the
pixels, de-identification, writing, digest of what was written.
"""

import io
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import generate_uid
from report import report

from clients.data.deidentification.deidentify import deidentify, source_identity
from clients.data.deidentification.profile import Profile
from clients.data.dicom.elements import Limits, read_part10, write_parts
from clients.data.dicom.pixels import decode, pixel_digest
from clients.data.intake.screening import IntakeRules, check_screening
from clients.data.people.pseudonyms import Pseudonyms

CR_REPETITIONS, CT_REPETITIONS, SLOW_REPETITIONS = 25, 150, 12
KEY = Pseudonyms(b"benchmark key of 32 bytes, fixed")
PROFILE = Profile()
RULES = IntakeRules()
NAMES = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientAddress", "AccessionNumber"),
    *("InstitutionName", "InstitutionAddress", "ReferringPhysicianName", "OperatorsName"),
    *("StationName", "StudyDescription", "SeriesDescription", "StudyID", "ProtocolName"),
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        cr, ct, out = base / "cr.dcm", base / "ct.dcm", base / "out.dcm"
        cr.write_bytes(radiograph())
        ct.write_bytes(slice_of_ct())
        figures = {
            **interleaved(
                {
                    "cr_rawcopy_cpu_ms": lambda: rawcopy(cr, out),
                    "cr_cpu_ms": lambda: ours(cr, out),
                    "cr_pydicom_cpu_ms": lambda: naive(cr, out),
                    "cr_intake_cpu_ms": lambda: intake(cr, out),
                },
                CR_REPETITIONS,
            ),
            **interleaved(
                {
                    "ct_rawcopy_cpu_ms": lambda: rawcopy(ct, out),
                    "ct_cpu_ms": lambda: ours(ct, out),
                    "ct_pydicom_cpu_ms": lambda: naive(ct, out),
                    "ct_intake_cpu_ms": lambda: intake(ct, out),
                },
                CT_REPETITIONS,
            ),
            **interleaved(
                {"ct_dicom_anonymizer_cpu_ms": lambda: dicom_anonymizer(ct, out)},
                SLOW_REPETITIONS,
            ),
        }
    ratios = {
        "cr_to_rawcopy": figures["cr_cpu_ms"] / figures["cr_rawcopy_cpu_ms"],
        "ct_to_pydicom": figures["ct_cpu_ms"] / figures["ct_pydicom_cpu_ms"],
        "ct_to_dicom_anonymizer": figures["ct_cpu_ms"] / figures["ct_dicom_anonymizer_cpu_ms"],
    }
    ratios = {name: round(value, 3) for name, value in ratios.items()}
    units = dict.fromkeys(figures, "ms CPU") | dict.fromkeys(ratios, "")
    report("deidentify", figures | ratios, units)


def rawcopy(path: Path, out: Path) -> None:
    out.write_bytes(path.read_bytes())


def ours(path: Path, out: Path) -> None:
    clean = deidentify(read_part10(path.read_bytes(), Limits()), PROFILE, KEY)
    with out.open("wb") as file:
        file.writelines(write_parts(clean.file))


def naive(path: Path, out: Path) -> None:
    dataset = pydicom.dcmread(path)
    for name in NAMES:
        if name in dataset:
            setattr(dataset, name, "")
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(dataset, name, generate_uid())
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.remove_private_tags()
    dataset.save_as(out)


def intake(path: Path, out: Path) -> None:
    file = read_part10(path.read_bytes(), Limits())
    check_screening(file, RULES)
    source_identity(file)
    pixel_digest(decode(file))
    digest = sha256()
    parts = write_parts(deidentify(file, PROFILE, KEY).file)
    with out.open("wb") as opened:
        for part in parts:
            digest.update(part)
            opened.write(part)


def dicom_anonymizer(path: Path, out: Path) -> None:
    from dicomanonymizer.simpledicomanonymizer import anonymize_dicom_file

    out.unlink(missing_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        anonymize_dicom_file(str(path), str(out))


def interleaved(measured: dict[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Return the median CPU milliseconds of each, taking turns."""
    seen: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(repetitions):
        for name, work in measured.items():
            begin = time.process_time()
            work()
            seen[name].append((time.process_time() - begin) * 1e3)
    return {name: round(statistics.median(times), 3) for name, times in seen.items()}


def radiograph() -> bytes:
    """Return a computed radiograph of 8 MiB."""
    pixels = np.random.default_rng(1).integers(0, 4096, (2048, 2048)).astype("<u2")
    dataset = image_of("1.2.840.10008.5.1.4.1.1.1", "CR", pixels, stored=12)
    dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", "PA"
    return bytes_of(dataset)


def slice_of_ct() -> bytes:
    """Return a CT slice as a scanner sends it: about 150 elements, private groups among them."""
    pixels = np.random.default_rng(2).integers(0, 3000, (512, 512)).astype("<i2")
    dataset = image_of("1.2.840.10008.5.1.4.1.1.2", "CT", pixels, stored=12)
    values: dict[str, object] = {
        "InstitutionName": "General Hospital",
        "InstitutionAddress": "1 Some Street, Sometown",
        "ReferringPhysicianName": "Refer^Ring",
        "StationName": "CT01",
        "StudyDescription": "Thorax with contrast",
        "SeriesDescription": "axial 1.0",
        "ManufacturerModelName": "Scanner 64",
        "OperatorsName": "Oper^Ator",
        "PatientAge": "063Y",
        "PatientWeight": "71.5",
        "PatientBirthDate": "19610203",
        "AcquisitionDate": "20240229",
        "ContentDate": "20240229",
        "AcquisitionTime": "101112.5",
        "ContentTime": "101113.5",
        "ContrastBolusAgent": "Agent",
        "BodyPartExamined": "CHEST",
        "ScanOptions": "HELIX",
        "SliceThickness": "1.0",
        "KVP": "120",
        "DataCollectionDiameter": "500",
        "DeviceSerialNumber": "12345",
        "SoftwareVersions": "v4.2",
        "ProtocolName": "Thorax",
        "ReconstructionDiameter": "350",
        "DistanceSourceToDetector": "1040",
        "DistanceSourceToPatient": "570",
        "GantryDetectorTilt": "0",
        "TableHeight": "150",
        "RotationDirection": "CW",
        "ExposureTime": "500",
        "XRayTubeCurrent": "200",
        "Exposure": "100",
        "FilterType": "BODY",
        "GeneratorPower": "24",
        "FocalSpots": ["1.2"],
        "ConvolutionKernel": "B31f",
        "PatientPosition": "FFS",
        "SingleCollimationWidth": 0.6,
        "TotalCollimationWidth": 38.4,
        "SpiralPitchFactor": 1.2,
        "CTDIvol": 7.1,
        "StudyID": "17",
        "SeriesNumber": "3",
        "AcquisitionNumber": "1",
        "InstanceNumber": "42",
        "ImagePositionPatient": ["-175", "-175", "-310.5"],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "FrameOfReferenceUID": generate_uid(entropy_srcs=["frame"]),
        "PositionReferenceIndicator": "",
        "SliceLocation": "-310.5",
        "ImageComments": "nothing to say",
        "PixelSpacing": ["0.68", "0.68"],
        "SmallestImagePixelValue": 0,
        "LargestImagePixelValue": 2999,
        "WindowCenter": ["40", "-600"],
        "WindowWidth": ["400", "1200"],
        "WindowCenterWidthExplanation": ["WINDOW1", "WINDOW2"],
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "RescaleType": "HU",
        "RequestingPhysician": "Request^Ing",
        "RequestedProcedureDescription": "CT Thorax",
        "PerformedProcedureStepStartDate": "20240229",
        "PerformedProcedureStepStartTime": "101000",
        "PerformedProcedureStepID": "P17",
        "PerformedProcedureStepDescription": "CT Thorax",
    }
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.ReferencedImageSequence = [reference(number) for number in range(3)]
    dataset.RequestAttributesSequence = [
        item(RequestedProcedureID="R17", ScheduledProcedureStepDescription="CT Thorax")
    ]
    dataset.ProcedureCodeSequence = [
        item(CodeValue="CTTHOR", CodingSchemeDesignator="99LOCAL", CodeMeaning="CT Thorax")
    ]
    for group, creator in ((0x0019, "VENDOR ACQU 1.0"), (0x0043, "VENDOR PARM 2.0")):
        block = dataset.private_block(group, creator, create=True)
        for number in range(24):
            block.add_new(number, "DS", str(number * 1.5))
        block.add_new(0xF0, "OB", bytes(range(256)) * 4)
    return bytes_of(dataset)


def image_of(sop_class: str, modality: str, pixels: np.ndarray, stored: int) -> Dataset:
    signed = pixels.dtype.kind == "i"
    dataset = item(
        SpecificCharacterSet="ISO_IR 100",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        SOPClassUID=sop_class,
        SOPInstanceUID=generate_uid(entropy_srcs=["instance", modality]),
        StudyInstanceUID=generate_uid(entropy_srcs=["study"]),
        SeriesInstanceUID=generate_uid(entropy_srcs=["series"]),
        Modality=modality,
        Manufacturer="Vendor",
        PatientID="QZ123456",
        PatientName="Family^Given",
        PatientSex="F",
        AccessionNumber="A171717",
        StudyDate="20240229",
        SeriesDate="20240229",
        StudyTime="101010",
        SeriesTime="101110",
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=pixels.shape[0],
        Columns=pixels.shape[1],
        BitsAllocated=16,
        BitsStored=16 if signed else stored,
        HighBit=15 if signed else stored - 1,
        PixelRepresentation=int(signed),
    )
    dataset.PixelData = pixels.tobytes()
    return dataset


def reference(number: int) -> Dataset:
    return item(
        ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        ReferencedSOPInstanceUID=generate_uid(entropy_srcs=["reference", str(number)]),
    )


def item(**values: object) -> Dataset:
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def bytes_of(dataset: Dataset) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
