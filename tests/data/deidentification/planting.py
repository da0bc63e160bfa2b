"""A file full of identifiers, in any transfer syntax, and the search for what is left."""

import base64
import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pydicom
from PIL import Image
from pydicom.uid import RLELossless

from clients.data.dicom.elements import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    PIXEL_DATA,
    Element,
    Part10,
    write_part10,
)

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
JPEG, J2K, RLE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", str(RLELossless)
SYNTAXES = (IMPLICIT, EXPLICIT, BIG, DEFLATED, JPEG, J2K, RLE)
CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"

FAMILY, GIVEN = "Qzfamily", "Qzgiven"
WIDE, KOREAN, JAPANESE = "王小明", "김희중", "山田太郎"
NATIONAL_ID, CHART, PHONE = "A123456789", "QZ00471123", "0917555017"
BIRTH, STUDY_DAY = "19470615", "20240229"
STUDY_UID, SERIES_UID, INSTANCE_UID = "1.2.19470615.1", "1.2.19470615.2", "1.2.19470615.3"

ENCODINGS = (
    *("utf-8", "utf-16-le", "utf-16-be", "big5", "cp950", "gb18030", "iso2022_jp", "shift_jis"),
    *("euc_jp", "euc_kr", "latin-1"),
)
ROWS = COLUMNS = 64


def us(*values: int, order: str = "<") -> bytes:
    return struct.pack(f"{order}{len(values)}H", *values)


def samples() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 200, (ROWS, COLUMNS)).astype("u1")


def text(tag: int, vr: str, value: str | bytes) -> Element:
    return Element(tag, vr, value if isinstance(value, bytes) else value.encode())


def base(order: str = "<") -> list[Element]:
    """Return a small computed radiograph."""
    return [
        text(0x00080005, "CS", "ISO_IR 192"),
        text(0x00080016, "UI", CR_IMAGE),
        text(0x00080018, "UI", INSTANCE_UID),
        text(0x00080020, "DA", STUDY_DAY),
        text(0x00080030, "TM", "101112"),
        text(0x00080060, "CS", "CR"),
        text(0x00100010, "PN", f"{FAMILY}^{GIVEN}=王^小明"),
        text(0x00100020, "LO", CHART),
        text(0x00100030, "DA", BIRTH),
        text(0x0020000D, "UI", STUDY_UID),
        text(0x0020000E, "UI", SERIES_UID),
        Element(0x00280002, "US", us(1, order=order)),
        text(0x00280004, "CS", "MONOCHROME2"),
        Element(0x00280010, "US", us(ROWS, order=order)),
        Element(0x00280011, "US", us(COLUMNS, order=order)),
        Element(0x00280100, "US", us(8, order=order)),
        Element(0x00280101, "US", us(8, order=order)),
        Element(0x00280102, "US", us(7, order=order)),
        Element(0x00280103, "US", us(0, order=order)),
    ]


def removed_by_rule() -> list[Element]:
    """Return elements that must go whatever they say: about forty places."""
    person = [text(0x00401101, "SQ", b"")]
    person[0] = Element(0x00401101, "SQ", items=[[text(0x00080104, "LO", "QzPersonCode")]])
    four_deep = [text(0x0040A123, "PN", "QzDeepPerson"), text(0x00104000, "LT", "QzDeepComment")]
    for tag in (0x0040A170, 0x00080121, 0x0040A170, 0x00082112):
        four_deep = [Element(tag, "SQ", items=[[*four_deep, *person]])]
    return [
        text(0x00080050, "SH", "QzAccession"),
        text(0x00080080, "LO", "QzInstitution"),
        text(0x00080081, "ST", "QzInstitutionStreet"),
        text(0x00080090, "PN", "QzReferring^Doctor"),
        text(0x00081010, "SH", "QzStation"),
        text(0x00081030, "LO", "QzStudyDescription"),
        text(0x0008103E, "LO", "QzSeriesDescription"),
        text(0x00081048, "PN", "QzRecordPhysician"),
        text(0x00081070, "PN", "QzOperator"),
        text(0x00081080, "LO", "QzDiagnosis"),
        text(0x00100021, "LO", "QzIssuer"),
        text(0x00101000, "LO", f"{NATIONAL_ID}\\QzOtherId"),
        text(0x00101001, "PN", "QzOtherName^X"),
        text(0x00101005, "PN", "QzBirthName"),
        text(0x00101040, "LO", "臺北市信義區QzStreet"),
        text(0x00101060, "PN", "QzMotherName"),
        text(0x00102154, "SH", PHONE),
        text(0x00102160, "SH", "QzEthnicGroup"),
        text(0x00102180, "SH", "QzOccupation"),
        text(0x001021B0, "LT", f"QzHistory born 15.06.1947, id {NATIONAL_ID}"),
        text(0x00104000, "LT", "QzPatientComment 1947-06-15"),
        text(0x00120010, "LO", "QzTrialSponsor"),
        text(0x00181000, "LO", "QzSerialNumber"),
        text(0x00181030, "LO", "QzProtocol"),
        text(0x00189424, "LT", "QzAcquisitionProtocol"),
        text(0x00200010, "SH", "QzStudyId"),
        text(0x00204000, "LT", "QzImageComment"),
        text(0x00321060, "LO", "QzRequestedProcedure"),
        text(0x00380010, "LO", "QzAdmission"),
        text(0x00400254, "LO", "QzStepDescription"),
        text(0x00402010, "SH", "QzFillerOrder"),
        text(0x0040A160, "UT", "QzTextValue long text"),
        text(0x00080120, "UR", "http://hospital.example/QzUrlValue"),
        text(0x00080119, "UC", "QzLongCodeValue"),
        text(0x00100222, "SH", "QzWrongRepresentation"),
        text(0x00101020, "LO", "QzNameAsSize"),
        text(0x00104001, "LO", "QzUnknownTag"),
        Element(0x00880200, "SQ", items=[[Element(PIXEL_DATA, "OB", b"QzIconPixels")]]),
        Element(0x00101002, "SQ", items=[[text(0x00100020, "LO", "QzOtherPatientId")]]),
        Element(0x04000561, "SQ", items=[[text(0x00100010, "PN", "QzOriginalName")]]),
        text(0x50000030, "SH", "QzCurveLabel"),
        text(0x50003000, "OW", b"QzCurveData!"),
        text(0x60000022, "LO", "QzOverlayDescription"),
        text(0x60003000, "OW", b"QzOverlayBits"),
        text(0x60004000, "LT", "QzOverlayComment"),
        text(0xFFFAFFFA, "SQ", b""),
        text(0xFFFCFFFC, "OB", b"QzTrailingPadding"),
        text(0x00090010, "LO", "QzCreator"),
        text(0x00091001, "LO", "QzPrivateText"),
        text(0x00091002, "UN", b"QzPrivateUnknown"),
        text(0x00091003, "OB", "QzPrivateWide".encode("utf-16-le")),
        Element(0x00091004, "SQ", items=[[text(0x00100010, "PN", "QzPrivateNested")]]),
        *four_deep,
    ]


def among_what_stays(order: str = "<") -> list[Element]:
    """Return places that stay, holding what the file says about the patient elsewhere."""
    code = [
        text(0x00080100, "SH", "399348003"),
        text(0x00080102, "SH", "SCT"),
        text(0x00080104, "LO", f"Antero-posterior of {GIVEN}"),
    ]
    local = [text(0x00080100, "SH", "QzLocal"), text(0x00080102, "SH", "99QZ")]
    table = [
        Element(0x00283002, "US", us(8, 0, 8, order=order)),
        text(0x00283003, "LO", f"table of {FAMILY}"),
        text(0x00283004, "LO", "HU"),
        Element(0x00283006, "OW", FAMILY.encode() + b" behind the table QzBehindTable"),
    ]
    return [
        text(0x00080008, "CS", f"ORIGINAL\\PRIMARY\\{FAMILY.upper()}"),
        text(0x00080070, "LO", f"Imaging by {WIDE}"),
        text(0x00081090, "LO", f"Model {GIVEN}{FAMILY}"),
        text(0x00180015, "CS", NATIONAL_ID),
        text(0x00180024, "SH", f"{BIRTH[6:]}.{BIRTH[4:6]}.{BIRTH[:4]}"),
        text(0x00180060, "DS", "917555017"),
        text(
            0x00181020,
            "LO",
            f"build {STUDY_DAY[:4]}-{STUDY_DAY[4:6]}-{STUDY_DAY[6:]}\\{CHART.encode().hex()}",
        ),
        text(0x00181210, "SH", base64.b64encode(FAMILY.encode())),
        text(0x00181250, "SH", f"C {STUDY_UID}"),
        text(0x00189005, "SH", f"{GIVEN} {FAMILY}"),
        text(0x00200013, "IS", PHONE),
        Element(0x00180088, "UN", b"QzFamily"[:8]),
        Element(0x00189087, "FD", b"Qzfamily"),
        Element(0x00281201, "OW", FAMILY.encode()),
        Element(0x00283000, "SQ", items=[table]),
        Element(0x00540220, "SQ", items=[code]),
        Element(0x00540222, "SQ", items=[local]),
    ]


WORDS = {
    *(FAMILY, GIVEN, WIDE, "小明", NATIONAL_ID, CHART, PHONE, PHONE.lstrip("0"), BIRTH, STUDY_DAY),
    *("19470615.1", "99QZ", "臺北市", "QzPreamble", "QzSourceAE", "QzPrivateInfo", "QzHiddenTail"),
    *("1947-06-15", "15.06.1947", "2024-02-29"),
}


def planted(syntax: str) -> tuple[bytes, set[str]]:
    """Return a file in a transfer syntax, and every word that must not be in what comes out."""
    order = ">" if syntax == BIG else "<"
    dataset = [*base(order), *removed_by_rule(), *among_what_stays(order), pixels(syntax)]
    file = Part10(
        meta=[
            text(0x00020002, "UI", CR_IMAGE),
            text(0x00020003, "UI", INSTANCE_UID),
            text(0x00020010, "UI", syntax),
            text(0x00020013, "SH", "QZIMPLEMENTATION"[:16]),
            text(0x00020016, "AE", "QzSourceAE"),
            text(0x00020100, "UI", "1.2.3"),
            text(0x00020102, "OB", b"QzPrivateInfo"),
        ],
        dataset=[e for e in dataset if e.vr != "SQ" or e.items is not None],
        transfer_syntax=syntax,
        encoding={IMPLICIT: IMPLICIT_LITTLE, BIG: EXPLICIT_BIG}.get(syntax, EXPLICIT_LITTLE),
    )
    words = WORDS | {word for element in removed_by_rule() for word in words_in(element)}
    return b"QzPreamble".ljust(128, b"\1") + write_part10(file)[128:], words


def words_in(element: Element) -> Iterator[str]:
    """Yield the planted words of an element and of what it holds."""
    for item in element.items or ():
        for child in item:
            yield from words_in(child)
    spelled = element.value.replace(b"\0", b"").decode("utf-8", "replace")
    yield from (
        word for word in spelled.replace("^", " ").replace("\\", " ").split() if "Qz" in word
    )


def pixels(syntax: str) -> Element:
    """Return pixel data with identifiers wherever such a format can hide them."""
    if syntax == JPEG:
        return encapsulated(jpeg())
    if syntax == J2K:
        return encapsulated(codestream(samples()))
    if syntax == RLE:
        return encapsulated(rle())
    return Element(
        PIXEL_DATA, "OB" if syntax != IMPLICIT else "OW", samples().tobytes() + b"QzHiddenTail"
    )


def encapsulated(frame: bytes) -> Element:
    table = b"QzHiddenTail"
    frame += b"\0" * (len(frame) % 2)
    value = b"".join(
        struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part for part in (table, frame)
    )
    return Element(PIXEL_DATA, "OB", value, fragments=True)


def jpeg() -> bytes:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x013B] = "QzHiddenTail artist"
    Image.fromarray(samples()).save(out, "JPEG", quality=95, exif=exif, comment=b"QzHiddenTail")
    raw = out.getvalue()
    named = b"QzHiddenTail vendor text"
    extra = b"\xff\xec" + struct.pack(">H", 2 + len(named)) + named
    return raw[:2] + extra + raw[2:] + b"QzHiddenTail after the end"


def codestream(values: np.ndarray) -> bytes:
    from openjpeg.utils import encode_array

    raw = bytes(encode_array(values))
    start = raw.index(b"\xff\x52")  # COD: a comment may stand before it
    named = b"\0\1QzHiddenTail"
    comment = b"\xff\x64" + struct.pack(">H", 2 + len(named)) + named
    tile = raw.index(b"\xff\x90")
    length = struct.unpack_from(">I", raw, tile + 6)[0]
    inside = raw[:tile] + raw[tile : tile + 6] + struct.pack(">I", length + len(comment))
    inside += raw[tile + 10 : tile + 12] + comment + raw[tile + 12 :]
    return inside[:start] + comment + inside[start:] + b"QzHiddenTail after the end"


def rle() -> bytes:
    dataset = pydicom.Dataset()
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.SamplesPerPixel, dataset.BitsAllocated, dataset.BitsStored = 1, 8, 8
    dataset.PixelRepresentation, dataset.PhotometricInterpretation = 0, "MONOCHROME2"
    dataset.HighBit, dataset.PixelData = 7, samples().tobytes()
    dataset["PixelData"].VR = "OB"
    from pydicom.pixels.encoders import RLELosslessEncoder

    frame = RLELosslessEncoder.encode(dataset, encoding_plugin="pydicom")
    return frame[:8] + b"QzHiddenTail".ljust(56, b"\0") + frame[64:] + b"QzHiddenTail"


def left_in(content: bytes, words: set[str], syntax: str = EXPLICIT) -> list[str]:
    """Return the words that are still found in a file, in any encoding or disguise."""
    body = content
    if syntax == DEFLATED:
        (length,) = struct.unpack_from("<I", content, 140)
        body = zlib.decompress(content[144 + length :], -15)
    searched = (content + body).lower()
    return sorted(word for word in words if any(form in searched for form in forms(word)))


def forms(word: str) -> set[bytes]:
    """Return a word's bytes in every encoding, in hexadecimal and in Base64, lower-cased."""
    found = set()
    for encoding in ENCODINGS:
        try:
            found.add(word.encode(encoding).lower())
        except UnicodeEncodeError:
            continue
    for spelled in (word, word.lower(), word.upper()):
        found.add(spelled.encode().hex().encode())
        found.add(base64.b64encode(spelled.encode())[:-4].lower())
    return {form for form in found if len(form) > 3}
