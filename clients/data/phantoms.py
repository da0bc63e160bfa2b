"""Make demo hospitals: valid CR and DX files of chest-like phantoms, with traps.

`generate(folder, sites=…, patients=…, seed=…)` writes ``folder/<site>/*.dcm``
and ``labels.csv``, the layout that ``trifed demo --dicom DIR`` reads. Every
hospital has its own scanner, matrix, grey scale and prevalence, some patients
have several images, one file is cut, one is of another modality, one has its
patient's name drawn into the picture though its tag says NO, and invented
identifiers are planted wherever real ones are found: names (also Chinese), ids,
addresses, nested sequences, private tags, free text, overlays, file names. The
same seed gives the same bytes on one machine. Nobody in them exists.

``labels.csv``: ``file`` (name in the folder), ``patient_id`` (as in the file),
``pneumonia`` (1 when opacities were drawn, else 0).
"""

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    MRImageStorage,
)

from clients.data.lettering import lettering

Image = NDArray[np.floating]
PRIVATE_CREATOR = "TRIFED INVENTED PACS"
LABEL = "pneumonia"
DRAWN_SIDE = 160
"""Anatomy is drawn at this size and enlarged; detector noise is drawn at full size."""
TEXT_SCALE, TEXT_PLACE = 2, 8
"""How large a burned-in letter's dots are, and how far from the corner it begins, in pixels."""
IMAGES_OF_A_PATIENT = (0.76, 0.2, 0.04)
"""How often a patient has one, two or three images: 1.28 on average."""

_FAMILY = (
    ("WANG", "王"),
    ("CHEN", "陳"),
    ("LIN", "林"),
    ("HUANG", "黃"),
    ("CHANG", "張"),
    ("LEE", "李"),
)
_GIVEN = (
    ("XIAOMING", "小明"),
    ("MEILING", "美玲"),
    ("ZHIHAO", "志豪"),
    ("YATING", "雅婷"),
    ("JUNHONG", "俊宏"),
)
_STREETS = ("Zhongzheng Road", "Minquan Street", "Chenggong Road", "Fuxing Lane")


@dataclass(frozen=True, slots=True)
class Scanner:
    """What makes one hospital's images look different from another's.

    `contrast` and `offset` map density 0..1 into the stored range, `gamma` bends
    it, `noise` is the standard deviation of the quantum noise.
    """

    manufacturer: str
    model: str
    modality: str
    side: int
    bits: int
    inverted: bool
    gamma: float
    contrast: float
    offset: float
    noise: float
    prevalence: float


SCANNERS = (
    Scanner("Formosa Imaging", "FX-1000", "DX", 320, 12, False, 1.0, 0.8, 0.1, 0.030, 0.50),
    Scanner("Jade Medical", "Clarity CR", "CR", 256, 10, True, 1.3, 0.7, 0.2, 0.045, 0.40),
    Scanner("Penghu Systems", "PS-44", "DX", 384, 14, False, 0.8, 0.6, 0.05, 0.035, 0.58),
    Scanner("Formosa Imaging", "FX-2 mobile", "CR", 288, 12, True, 1.1, 0.75, 0.15, 0.055, 0.45),
)


@dataclass(frozen=True, slots=True)
class GeneratedSite:
    """What was written for one hospital; `planted` are its invented identifiers."""

    site: str
    folder: Path
    labels: Path
    files: int
    patients: int
    planted: frozenset[str]


def generate(
    folder: Path,
    *,
    sites: Sequence[str],
    patients: int = 150,
    seed: int = 2026,
    first_scanner: int = 0,
) -> list[GeneratedSite]:
    """Write one folder a site below `folder`, which is made when absent.

    Sites get the scanners in turn, beginning with `first_scanner`.

    Raises
    ------
    FileExistsError
        If a site's folder is already there.
    """
    return [
        _generate_site(folder / site, site, SCANNERS[place % len(SCANNERS)], patients, seed)
        for place, site in enumerate(sites, first_scanner)
    ]


def chest(
    rng: np.random.Generator, *, side: int, opacities: bool, body: np.random.Generator | None = None
) -> Image:
    """Return one phantom, shape (side, side), density about 0..1, bright is dense.

    `body` draws the anatomy (the same for all images of a patient), `rng` the
    rest. Opacities are soft, textured patches in the lungs; healthy lungs have
    fainter patches and small dense spots, so brightness alone does not decide.
    """
    body = body or rng
    return _enlarged(_anatomy(rng, body, opacities=opacities), side)


def _enlarged(picture: Image, side: int) -> Image:
    """Return the picture with `side` pixels a side, linear in between."""
    low, part = _places(len(picture), side)
    rows = picture[low] + (picture[low + 1] - picture[low]) * part[:, None]
    return np.asarray(rows[:, low] + (rows[:, low + 1] - rows[:, low]) * part)


@cache
def _places(length: int, side: int) -> tuple[NDArray[np.int64], Image]:
    """Return for each new pixel the old one before it and how far it lies beyond, in [0, 1]."""
    at = np.linspace(0, length - 1, side)
    low = np.minimum(at.astype(np.int64), length - 2)
    return low, (at - low).astype(np.float32)


def _anatomy(rng: np.random.Generator, body: np.random.Generator, *, opacities: bool) -> Image:
    side = DRAWN_SIDE
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    y, x = axis[:, None], axis[None, :]
    shift_x, shift_y = (0.05 * rng.standard_normal(2)).astype(np.float32)
    x, y = x - shift_x, y - shift_y
    width, height = 0.34 + 0.03 * body.standard_normal(), 0.62 + 0.05 * body.standard_normal()
    lungs = np.maximum(
        _ellipse(x, y, -0.42, -0.05, width, height), _ellipse(x, y, 0.42, -0.05, width, height)
    )
    picture = 0.62 * _ellipse(x, y, 0.0, 0.1, 0.98, 1.15) - 0.36 * lungs
    picture += 0.16 * _gauss(x, 0.075) * (1 + 0.25 * np.cos(26 * y))
    heart = _ellipse(x, y, 0.16, 0.28, 0.27 + 0.03 * body.standard_normal(), 0.3)
    picture += 0.24 * heart
    picture += _ribs(x, y, body) * (0.35 + 0.65 * lungs)
    dome = 0.52 + 0.06 * body.standard_normal() + 0.25 * (np.abs(x) - 0.42) ** 2
    picture += 0.15 + 0.15 * np.tanh(11 * (y - dome))
    vessels = _texture(rng, side, 28) * 0.022 + _texture(rng, side, 12) * 0.03
    picture += vessels * (0.3 + lungs)
    picture += lungs * _patches(rng, x, y, side, opacities=opacities)
    return np.asarray(picture, dtype=np.float32)


def _patches(rng: np.random.Generator, x: Image, y: Image, side: int, *, opacities: bool) -> Image:
    """Return what lies in the lungs: opacities, or what can be taken for them."""
    spots = rng.integers(0, 4)
    found: Image = np.zeros((side, side), dtype=np.float32)
    for _ in range(spots):  # vessels end on, nipples: small and dense, in anybody
        found = found + 0.16 * _blob(rng, x, y, 0.02, 0.04)
    if opacities:
        count, low, high = int(rng.integers(1, 4)), 0.15, 0.42
    else:
        count, low, high = int(rng.random() < 0.25), 0.03, 0.12
    for _ in range(count):
        grain = 1 + 0.35 * _texture(rng, side, 20)
        found = found + rng.uniform(low, high) * _blob(rng, x, y, 0.12, 0.28) * grain
    return found


def _blob(rng: np.random.Generator, x: Image, y: Image, low: float, high: float) -> Image:
    centre_x = rng.choice((-1, 1)) * rng.uniform(0.28, 0.55)
    centre_y = rng.uniform(-0.4, 0.4)
    radius_x, radius_y = rng.uniform(low, high, 2)
    return np.asarray(_gauss(x - centre_x, radius_x) * _gauss(y - centre_y, radius_y))


def _ribs(x: Image, y: Image, body: np.random.Generator) -> Image:
    step, start = 0.19 + 0.015 * body.standard_normal(), -0.72 + 0.04 * body.standard_normal()
    fall = y - 0.35 * np.abs(x) ** 1.6
    phase = (fall - start) / step
    nearest = phase - np.round(phase)
    return np.asarray(0.07 * np.exp(-((nearest * step / 0.028) ** 2)) * (np.abs(y) < 0.75))


def _ellipse(x: Image, y: Image, cx: float, cy: float, rx: float, ry: float) -> Image:
    distance = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
    return np.asarray(0.5 - 0.5 * np.tanh(9 * (distance - 1)))


def _gauss(value: Image, width: float) -> Image:
    return np.asarray(np.exp(-0.5 * (value / np.float32(width)) ** 2))


def _texture(rng: np.random.Generator, side: int, cells: int) -> Image:
    """Return smooth noise of unit variance, about `cells` waves across."""
    coarse = rng.standard_normal((cells + 1, cells + 1)).astype(np.float32)
    return _enlarged(coarse, side)


@dataclass(frozen=True, slots=True)
class _Patient:
    number: int
    record: str
    national_id: str
    latin: str
    chinese: str
    birth: str
    sex: str
    age: int
    phone: str
    address: str
    sick: bool
    images: int

    @property
    def name(self) -> str:
        return f"{self.latin}={self.chinese}"


def _generate_site(
    folder: Path, site: str, scanner: Scanner, patients: int, seed: int
) -> GeneratedSite:
    rng = np.random.default_rng(_seed(seed, site))
    folder.mkdir(parents=True)
    rows: list[tuple[str, str, int]] = []
    planted: set[str] = set()
    for patient in _patients(rng, site, scanner, patients):
        planted |= _planted(patient)
        for number in range(patient.images):
            dataset = _chest_file(rng, site, scanner, patient, number, seed)
            name = f"{patient.record}_{patient.latin.replace('^', '_')}_{number + 1}.dcm"
            (folder / name).write_bytes(_bytes_of(dataset))
            rows.append((name, patient.record, int(patient.sick)))
    rows.append(_broken_file(folder, rows))
    _wrong_modality(folder, site, seed)
    planted |= _burned_in(folder, rng, site, scanner, seed)
    labels = folder / "labels.csv"
    with labels.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("file", "patient_id", LABEL))
        writer.writerows(rows)
    return GeneratedSite(site, folder, labels, len(rows) + 2, patients, frozenset(planted))


def _patients(
    rng: np.random.Generator, site: str, scanner: Scanner, count: int
) -> Iterator[_Patient]:
    sick = rng.permutation(np.arange(count) < round(count * scanner.prevalence))
    for number in range(count):
        family, family_zh = _FAMILY[rng.integers(len(_FAMILY))]
        given, given_zh = _GIVEN[rng.integers(len(_GIVEN))]
        age = int(rng.integers(18, 97))
        street = _STREETS[rng.integers(len(_STREETS))]
        yield _Patient(
            number=number,
            record=f"MRN{int(rng.integers(10**7, 10**8))}",
            national_id=f"{'ABCDEFGH'[rng.integers(8)]}{rng.integers(1, 3)}{int(rng.integers(10**7, 10**8)):08d}",  # noqa: E501
            latin=f"{family}^{given}{chr(65 + number % 26)}{number}",
            chinese=f"{family_zh}^{given_zh}",
            birth=f"{2026 - age}{int(rng.integers(1, 13)):02d}{int(rng.integers(1, 29)):02d}",
            sex="MF"[rng.integers(2)],
            age=age,
            phone=f"09{int(rng.integers(10**7, 10**8)):08d}",
            address=f"No. {int(rng.integers(1, 999))}, {street}, {site} city",
            sick=bool(sick[number]),
            images=1 + int(rng.choice(3, p=IMAGES_OF_A_PATIENT)),
        )


def _planted(patient: _Patient) -> set[str]:
    """Return the texts that must not be found in any output."""
    return {
        patient.record,
        patient.national_id,
        patient.latin,
        patient.latin.split("^")[1],
        patient.chinese,
        patient.phone,
        patient.address,
        patient.birth,
    }


def _chest_file(
    rng: np.random.Generator,
    site: str,
    scanner: Scanner,
    patient: _Patient,
    number: int,
    seed: int,
) -> Dataset:
    body = np.random.default_rng(_seed(seed, site, "body", patient.number))
    density = chest(rng, side=scanner.side, opacities=patient.sick, body=body)
    dataset = _header(site, scanner, patient, number, seed)
    _plant(dataset, site, patient)
    _pixels(dataset, _stored(rng, density, scanner), scanner)
    return dataset


def _stored(rng: np.random.Generator, density: Image, scanner: Scanner) -> NDArray[np.uint16]:
    """Return what the detector stores: bent, scaled, with quantum noise, maybe inverted."""
    exposure = 1 + 0.08 * rng.standard_normal()
    bent = np.clip(density * exposure, 0, 1.4) ** scanner.gamma
    bent += scanner.noise * rng.standard_normal(bent.shape, dtype=np.float32)
    most = 2**scanner.bits - 1
    values = np.clip((bent * scanner.contrast + scanner.offset) * most, 0, most)
    if scanner.inverted:
        values = most - values
    return np.asarray(values, dtype=np.uint16)


def _header(site: str, scanner: Scanner, patient: _Patient, number: int, seed: int) -> Dataset:
    day = f"2025{1 + patient.number % 12:02d}{1 + (patient.number * 7 + number) % 28:02d}"
    dx = scanner.modality == "DX"
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = (
        DigitalXRayImageStorageForPresentation if dx else ComputedRadiographyImageStorage
    )
    dataset.SOPInstanceUID = _uid(seed, site, patient.number, "image", number)
    dataset.StudyInstanceUID = _uid(seed, site, patient.number, "study", number)
    dataset.SeriesInstanceUID = _uid(seed, site, patient.number, "series", number)
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = day
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = "101500"
    dataset.ContentTime = "101502"
    dataset.Modality = scanner.modality
    dataset.Manufacturer = scanner.manufacturer
    dataset.ManufacturerModelName = scanner.model
    dataset.SoftwareVersions = "1.0"
    dataset.PatientID, dataset.PatientName = patient.record, patient.name
    dataset.PatientBirthDate, dataset.PatientSex = patient.birth, patient.sex
    dataset.PatientAge = f"{patient.age:03d}Y"
    dataset.StudyID, dataset.AccessionNumber = f"S{patient.number}", f"ACC{patient.record[3:]}"
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.AcquisitionNumber = 1, number + 1, 1
    dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", "PA"
    dataset.PatientOrientation = ["L", "F"]
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""] if dx else ["ORIGINAL", "PRIMARY"]
    dataset.BurnedInAnnotation = "NO"
    if dx:
        _digital_xray(dataset)
    return dataset


def _digital_xray(dataset: Dataset) -> None:
    """Add what the Digital X-Ray IOD demands beyond CR (PS3.3 A.26)."""
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.ImageLaterality = "U"
    dataset.AnatomicRegionSequence = [_code("51185008", "SCT", "Thorax")]
    dataset.ViewCodeSequence = [_code("399348003", "SCT", "Antero-posterior projection")]
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = []
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.LossyImageCompression = "00"
    dataset.PositionerType = ""
    dataset.DetectorType = "SCINTILLATOR"
    dataset.AcquisitionContextSequence = []
    dataset.PatientOrientation = ["L", "F"]


def _pixels(dataset: Dataset, values: NDArray[np.uint16], scanner: Scanner) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if scanner.inverted else "MONOCHROME2"
    dataset.Rows, dataset.Columns = values.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, scanner.bits, scanner.bits - 1
    dataset.PixelRepresentation = 0
    dataset.ImagerPixelSpacing = [f"{430 / scanner.side:.4f}"] * 2
    if scanner.modality == "DX":
        dataset.PresentationLUTShape = "INVERSE" if scanner.inverted else "IDENTITY"
        dataset.WindowCenter, dataset.WindowWidth = 2 ** (scanner.bits - 1), 2**scanner.bits
    dataset.PixelData = values.astype("<u2").tobytes()


def _plant(dataset: Dataset, site: str, patient: _Patient) -> None:
    """Hide invented identifiers where real ones are found."""
    dataset.OtherPatientIDsSequence = [_item(PatientID=patient.national_id, TypeOfPatientID="TEXT")]
    dataset.OtherPatientNames = patient.chinese
    dataset.PatientAddress, dataset.PatientTelephoneNumbers = patient.address, patient.phone
    dataset.PatientComments = f"call {patient.phone} before the visit"
    dataset.InstitutionName, dataset.InstitutionAddress = f"{site} hospital", patient.address
    dataset.ReferringPhysicianName = "HO^DOCTOR=何^醫師"
    dataset.OperatorsName, dataset.StationName = "KUO^OPERATOR", f"{site[:10].upper()}-R1"
    dataset.StudyDescription = f"Chest of {patient.latin.replace('^', ' ')}"
    dataset.ImageComments = f"{patient.chinese} {patient.record}"
    dataset.DeviceSerialNumber = f"SN{patient.record[3:]}"
    dataset.RequestAttributesSequence = [
        _item(
            RequestedProcedureID=f"RP{patient.record[3:]}",
            ScheduledProcedureStepID="1",
            RequestedProcedureDescription=f"CXR for {patient.latin}",
        )
    ]
    block = dataset.private_block(0x0011, PRIVATE_CREATOR, create=True)
    block.add_new(0x01, "LO", patient.latin)
    block.add_new(0x02, "SQ", [_item(PatientName=patient.name, PatientID=patient.national_id)])
    block.add_new(0x03, "UN", patient.chinese.encode())


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _bytes_of(dataset: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.SourceApplicationEntityTitle = "INVENTED_PACS"
    dataset.file_meta = meta
    out = io.BytesIO()
    dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def _broken_file(folder: Path, rows: Sequence[tuple[str, str, int]]) -> tuple[str, str, int]:
    """Write a copy of the first image, cut in its pixels, under a name of its own."""
    name, record, label = rows[0]
    content = (folder / name).read_bytes()
    (folder / f"{record}_copy.dcm").write_bytes(content[: len(content) // 3])
    return f"{record}_copy.dcm", record, label


def _wrong_modality(folder: Path, site: str, seed: int) -> None:
    """Write an MR slice that was exported by mistake."""
    dataset = _item(
        SOPClassUID=MRImageStorage,
        SOPInstanceUID=_uid(seed, site, "mr"),
        StudyInstanceUID=_uid(seed, site, "mr", "study"),
        SeriesInstanceUID=_uid(seed, site, "mr", "series"),
        Modality="MR",
        PatientID="MRN00000000",
        PatientName="TSAI^MISTAKE",
        Manufacturer="Formosa Imaging",
    )
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = 64
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    rng = np.random.default_rng(_seed(seed, site, "mr"))
    dataset.PixelData = rng.integers(0, 4000, (64, 64)).astype("<u2").tobytes()
    (folder / "MR_by_mistake.dcm").write_bytes(_bytes_of(dataset))


def _burned_in(
    folder: Path, rng: np.random.Generator, site: str, scanner: Scanner, seed: int
) -> set[str]:
    """Write an image with name and number drawn into it and a tag that denies it."""
    patient = next(_patients(rng, f"{site}-drawn", scanner, 1))
    dataset = _chest_file(rng, f"{site}-drawn", scanner, patient, 0, seed)
    values = np.frombuffer(dataset.PixelData, "<u2").reshape(scanner.side, scanner.side).copy()
    most = 2**scanner.bits - 1
    drawn = lettering(f"{patient.latin.replace('^', ' ')} {patient.record}", scale=TEXT_SCALE)
    height, width = drawn.shape
    corner = values[TEXT_PLACE : TEXT_PLACE + height, TEXT_PLACE : TEXT_PLACE + width]
    corner[drawn[:, : corner.shape[1]]] = 0 if scanner.inverted else most
    dataset.PixelData = values.tobytes()
    (folder / "screen_copy.dcm").write_bytes(_bytes_of(dataset))
    return _planted(patient)


def _uid(*parts: object) -> str:
    return f"2.25.{int.from_bytes(_digest(*parts)[:16], 'big')}"


def _seed(*parts: object) -> int:
    return int.from_bytes(_digest(*parts)[:8], "big")


def _digest(*parts: object) -> bytes:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).digest()
