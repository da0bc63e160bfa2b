"""Take the patient out of a DICOM file, element by element, and say what was done.

`deidentify(file, profile, pseudonyms)` returns new elements, the pseudonyms and
a report of tag and action, never a value. What `Profile` decides is done here:
UIDs and dates are replaced by keyed ones, coded text stays only in standard
coding schemes, numbers and code strings stay only if they are spelled as such,
text that stays is written as UTF-8, file meta and preamble are made anew, text
segments of compressed frames and unused pixel bits are blanked. Last, every
text that stays is searched for the identifiers that were removed from the same
file. Pixels are not searched for text: see docs/deidentification.md.
"""

import re
import struct
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TypeGuard

import numpy as np
from pydicom.charset import python_encoding
from pydicom.uid import UID_dictionary

from clients.data.deidentification.profile import (
    BULK_VRS,
    CODED,
    TEXT_VRS,
    TIMEZONE,
    Action,
    Profile,
)
from clients.data.dicom.elements import (
    PIXEL_DATA,
    Element,
    Part10,
    fragments_of,
    vrs_of,
)
from clients.data.people.pseudonyms import Pseudonyms
from federation.errors.data import IdentityMissingError

IMPLEMENTATION_UID = "2.25.299792458017421630912650463"
IMPLEMENTATION_NAME = "TRIFED_0_1"
DUMMY_TEXT = b"REMOVED"
DUMMIES = {"DA": b"19000101", "DT": b"19000101", "TM": b"000000"}
OLDEST_AGE_Y = 90
SHORTEST_SWEPT = 3
SHORTEST_INSIDE = 6
LONGEST_TEXT = 64

SOP_CLASS, SOP_INSTANCE = 0x00080016, 0x00080018
STUDY, SERIES = 0x0020000D, 0x0020000E
PATIENT_ID, PATIENT_NAME, ISSUER = 0x00100020, 0x00100010, 0x00100021
CHARSET, PATIENT_AGE = 0x00080005, 0x00101010
OWN = frozenset({CHARSET, 0x00120062, 0x00120063, 0x00120064, 0x00280303})
"""Attributes that this module writes itself."""
NUMBERS_OF_A_PERSON = frozenset({0x00080050, 0x00200010, 0x00380010, 0x00380060})
"""Accession number, study id, admission id, service episode id."""
PERSONAL = frozenset(
    {0x00100010, 0x00100020, 0x00100050, 0x00101000, 0x00101001, 0x00101005, 0x00101040}
    | {0x00101060, 0x00101080, 0x00101090, 0x00102154, 0x00102155, 0x00102297, 0x00102299}
)
"""Of group 0010: ids, names, address, telephone, military and responsible person."""

SCHEMES = frozenset(
    {"DCM", "SCT", "SRT", "SNM3", "LN", "UCUM", "RADLEX", "FMA", "UMLS", "MDC", "NCIt"}
    | {"BI", "I10", "I11", "ACR", "CTV3", "ISO639_2", "ISO3166_1", "RFC5646", "PUBCHEM_CID"}
)

_PLAIN = re.compile(rb"[ -~]*")
_SPELLING = {
    "CS": re.compile(rb"[A-Za-z0-9 _.+/-]{0,16}"),
    "DS": re.compile(rb" *[0-9eE+.-]{0,16} *"),
    "IS": re.compile(rb" *[0-9+-]{0,12} *"),
    "AS": re.compile(rb"([0-9]{3}[DWMY])?"),
    "TM": re.compile(rb"([0-9]{2}(:?[0-9]{2}(:?[0-9]{2}(\.[0-9]{1,6})?)?)?)? *"),
}
_ZONE = re.compile(rb"[+-][0-9]{4} *")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_DATE = re.compile(rb"([0-9]{4})\.?([0-9]{2})\.?([0-9]{2})")


@dataclass(frozen=True, slots=True)
class ActionReport:
    """What was done to each element: {("00100010", "P"): 1, …}; never a value.

    An element inside sequences is written with its path, ``00081140/00081155``.
    """

    actions: Counter[tuple[str, str]]

    def as_json(self) -> dict[str, dict[str, int]]:
        """Return {action: {tag path: count}}."""
        found: dict[str, dict[str, int]] = {}
        for (tag, action), count in sorted(self.actions.items()):
            found.setdefault(action, {})[tag] = count
        return found


@dataclass(frozen=True, slots=True)
class Deidentified:
    """A file without its patient: what to store and how it is known from now on."""

    file: Part10
    patient: str
    study: str
    series: str
    instance: str
    report: ActionReport


@dataclass(slots=True)
class _Pass:
    """One file's de-identification: what every step needs, and what was found."""

    profile: Profile
    pseudonyms: Pseudonyms
    patient: str
    shift_days: int
    order: str
    charsets: list[str]
    actions: Counter[tuple[str, str]] = field(default_factory=Counter)
    identifiers: set[str] = field(default_factory=set)
    kept_text: list[tuple[list[Element], Element, str]] = field(default_factory=list)


def deidentify(file: Part10, profile: Profile, pseudonyms: Pseudonyms) -> Deidentified:
    """Return `file` under the basic profile with the profile's options.

    Raises
    ------
    IdentityMissingError
        If it lacks Patient ID or the study, series or instance UID.
    """
    source = source_identity(file)
    work = _Pass(
        profile=profile,
        pseudonyms=pseudonyms,
        patient=pseudonyms.patient(source),
        shift_days=pseudonyms.shift_days(source),
        order=file.encoding.order,
        charsets=_charsets(file.text(CHARSET)),
    )
    kept = _dataset(work, file.dataset, path="")
    _sweep(work)
    _blank_pixels(kept, file)
    kept += _statement(profile, file)
    kept.sort(key=lambda element: element.tag)
    instance = pseudonyms.uid(file.text(SOP_INSTANCE))
    return Deidentified(
        file=Part10(
            meta=_meta(file, instance),
            dataset=kept,
            transfer_syntax=file.transfer_syntax,
            encoding=file.encoding,
        ),
        patient=work.patient,
        study=pseudonyms.uid(file.text(STUDY)),
        series=pseudonyms.uid(file.text(SERIES)),
        instance=instance,
        report=ActionReport(work.actions),
    )


def source_identity(file: Part10) -> str:
    """Return what tells patients apart at the hospital: Patient ID and its issuer.

    Raises
    ------
    IdentityMissingError
        If Patient ID or a UID of the study, series or instance is empty.
    """
    needed = {
        "Patient ID": PATIENT_ID,
        "Study Instance UID": STUDY,
        "Series Instance UID": SERIES,
        "SOP Instance UID": SOP_INSTANCE,
    }
    missing = [name for name, tag in needed.items() if not file.text(tag)]
    if missing:
        raise IdentityMissingError(missing=", ".join(missing))
    encodings = _charsets(file.text(CHARSET))
    element = file.index[PATIENT_ID]
    issuer = file.index.get(ISSUER)
    return patient_source(
        _decode(element.value, encodings) or element.value.hex(),
        "" if issuer is None else _decode(issuer.value, encodings) or "",
    )


def patient_source(patient_id: str, issuer: str = "") -> str:
    """Return the one spelling of a patient's identity that pseudonyms are made of."""
    parts = (unicodedata.normalize("NFKC", part).strip(" \0") for part in (patient_id, issuer))
    return "\x1f".join(parts).removesuffix("\x1f")


def _dataset(work: _Pass, elements: Sequence[Element], path: str) -> list[Element]:
    """Return the elements that stay, changed as the profile says."""
    kept: list[Element] = []
    coded = _is_standard_code(elements)
    for element in elements:
        name = f"{path}{element.tag:08X}"
        action = _action(work, element, coded)
        done = _do(work, action, element, name)
        if done is None:
            action = Action.REMOVE
        else:
            kept.append(done)
            if action is Action.KEEP and element.vr in TEXT_VRS | {"CS"}:
                work.kept_text.append((kept, done, name))
        if action in (Action.REMOVE, Action.EMPTY, Action.DUMMY, Action.PSEUDONYM):
            _remember(work, element)
        work.actions[name if not element.tag >> 16 & 1 else f"{path}private", action.value] += 1
    return kept


def _action(work: _Pass, element: Element, coded: bool) -> Action:
    tag = element.tag
    if tag in OWN:
        return Action.REMOVE
    action = work.profile.action(tag)
    if action is Action.KEEP and tag in CODED and not coded:
        return Action.DUMMY
    allowed = vrs_of(tag)
    if action is not Action.REMOVE and element.vr not in allowed and element.vr != "UN":
        return Action.REMOVE  # a value in another form than the standard's is not understood
    return action


def _do(work: _Pass, action: Action, element: Element, path: str) -> Element | None:
    """Return what stands for the element from now on, None when it goes."""
    tag, vr = element.tag, _true_vr(element)
    if action is Action.REMOVE or (element.items is not None) != (vr == "SQ"):
        return None
    if action is Action.EMPTY:
        return Element(tag, vr, items=[] if vr == "SQ" else None)
    if action is Action.RECURSE:
        items = [_dataset(work, item, path + "/") for item in element.items or ()]
        return Element(tag, vr, items=items)
    if action is Action.DUMMY:
        return _dummy(tag, vr)
    if action is Action.PSEUDONYM:
        return Element(tag, vr, work.patient.encode())
    if action is Action.UID:
        return Element(tag, "UI", _uids(work, element).encode())
    if action is Action.SHIFT:
        return _shifted(work, element, vr)
    return _kept(work, element, vr)


def _true_vr(element: Element) -> str:
    """Return the VR, the dictionary's where the file says unknown (UN)."""
    if element.vr != "UN":
        return element.vr
    return (vrs_of(element.tag) or ("UN",))[0]


def _dummy(tag: int, vr: str) -> Element | None:
    if vr in TEXT_VRS or vr == "CS":
        return Element(tag, vr, DUMMY_TEXT)
    if vr in DUMMIES:
        return Element(tag, vr, DUMMIES[vr])
    return None if vr in BULK_VRS else Element(tag, vr)


def _uids(work: _Pass, element: Element) -> str:
    sources = [part.strip(" \0") for part in element.text().split("\\")]
    return "\\".join(_uid(work, source) for source in sources)


def _uid(work: _Pass, source: str) -> str:
    """Return a registered UID as it is, any other one remapped."""
    return source if not source or source in UID_dictionary else work.pseudonyms.uid(source)


def _shifted(work: _Pass, element: Element, vr: str) -> Element:
    """Move dates back by the patient's days; times of day stay; what is no date is emptied."""
    if vr == "TM":
        ok = all(_SPELLING["TM"].fullmatch(part) for part in element.value.split(b"\\"))
        return Element(element.tag, vr, element.value if ok else b"")
    moved = [_moved(part.strip(b" \0"), work.shift_days) for part in element.value.split(b"\\")]
    return Element(element.tag, vr, b"\\".join(moved))


def _moved(value: bytes, days: int) -> bytes:
    found = _DATE.match(value)
    rest = value[found.end() :] if found else b""
    if not found or not re.fullmatch(rb"[0-9.]{0,13}([+-][0-9]{4})?", rest):
        return b""
    try:
        moved = date(*(int(part) for part in found.groups())) - timedelta(days=days)
    except (ValueError, OverflowError):
        return b""
    return moved.strftime("%Y%m%d").rjust(8, "0").encode() + rest


def _kept(work: _Pass, element: Element, vr: str) -> Element | None:
    """Return the element if its value is spelled as its VR demands."""
    value = element.value
    if element.tag == PATIENT_AGE:
        return Element(element.tag, vr, _age(value.strip(b" \0")))
    if element.tag == TIMEZONE:
        return Element(element.tag, vr, value) if _ZONE.fullmatch(value) else None
    if vr in TEXT_VRS:
        text = _decode(value, work.charsets)
        return Element(element.tag, vr, text.encode()) if _fits(text) else None
    spelling = _SPELLING.get(vr)
    if spelling and not all(spelling.fullmatch(p) for p in value.rstrip(b" \0").split(b"\\")):
        return None
    return Element(element.tag, vr, value, fragments=element.fragments)


def _fits(text: str | None) -> TypeGuard[str]:
    """Tell whether text was readable and no value in it is longer than LO allows."""
    return text is not None and all(len(part) <= LONGEST_TEXT for part in text.split("\\"))


def _age(value: bytes) -> bytes:
    """Return an age, everything above 89 years as 90 (the usual top code)."""
    if not _SPELLING["AS"].fullmatch(value):
        return b""
    if value.endswith(b"Y") and int(value[:3]) > OLDEST_AGE_Y:
        return b"%03dY" % OLDEST_AGE_Y
    return value


def _is_standard_code(elements: Sequence[Element]) -> bool:
    """Tell whether an item's coding scheme is one whose meanings are published."""
    return any(e.tag == 0x00080102 and e.text() in SCHEMES for e in elements)


def _charsets(declared: str) -> list[str]:
    """Return Python encodings for Specific Character Set; none when it is not understood."""
    terms = [term.strip() for term in declared.split("\\")] if declared else [""]
    found = [python_encoding.get(term) for term in terms]
    return [encoding for encoding in found if encoding] if all(found) else []


def _decode(value: bytes, charsets: Sequence[str]) -> str | None:
    """Return text, None when it is not in the declared character sets."""
    if _PLAIN.fullmatch(value):
        return value.decode("ascii").strip(" ")
    if b"\x1b" in value or not charsets:
        return None
    try:
        text = value.decode(charsets[0])
    except (UnicodeDecodeError, LookupError):
        return None
    clean = text.strip(" \0")
    return clean if clean.isprintable() else None


def _remember(work: _Pass, element: Element) -> None:
    """Keep the words of a removed identifier, to search for them in what stays."""
    for item in element.items or ():
        for child in item:
            _remember(work, child)
    if not _identifies(element) or len(element.value) > 1024:
        return
    for word in _words(_decode(element.value, work.charsets) or ""):
        wide = any(ord(letter) > 0x2E80 for letter in word)
        if len(word) >= SHORTEST_SWEPT or (wide and len(word) >= 2):
            work.identifiers.add(word)


def _identifies(element: Element) -> bool:
    """Tell whether an element's words point at a person: names, ids, addresses, phones."""
    if element.vr == "PN" or element.tag in NUMBERS_OF_A_PERSON:
        return True
    return element.tag >> 16 == 0x0010 and element.tag in PERSONAL and element.vr in TEXT_VRS


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s^=\\,;/()]+", text.casefold()) if word]


def _sweep(work: _Pass) -> None:
    """Take out any text that stayed but holds a word of what was removed."""
    if not work.identifiers:
        return
    long = [word for word in work.identifiers if len(word) >= SHORTEST_INSIDE]
    for owner, element, path in work.kept_text:
        text = element.value.decode("utf-8", "replace").casefold()
        if work.identifiers.isdisjoint(_words(text)) and not any(word in text for word in long):
            continue
        owner.remove(element)
        work.actions[path, Action.KEEP.value] -= 1
        work.actions[path, Action.SWEPT.value] += 1
    work.actions += Counter()


def _blank_pixels(kept: list[Element], file: Part10) -> None:
    """Blank what hides beside the picture: text in compressed frames, unused bits, a tail."""
    for element in kept:
        if element.tag == PIXEL_DATA and element.fragments:
            element.value = _without_comments(element.value)
        elif element.tag == PIXEL_DATA:
            element.value = _only_stored_bits(_without_tail(element.value, file), file)


def _without_tail(value: bytes, file: Part10) -> bytes:
    """Cut native pixels to the length that the image's attributes give."""
    bits = file.number(0x00280010, 0) * file.number(0x00280011, 0) * file.number(0x00280100, 0)
    bits *= file.number(0x00280002, 1) * frames_of(file)
    if file.text(0x00280004) == "YBR_FULL_422":
        bits = bits * 2 // 3
    length = (bits + 7) // 8
    return value[: length + length % 2] if 0 < length < len(value) else value


def frames_of(file: Part10) -> int:
    """Return Number of Frames, 1 when it is absent or no number."""
    text = file.text(0x00280008)
    return int(text) if text.isdecimal() and text.isascii() else 1


def _without_comments(value: bytes) -> bytes:
    """Zero comment and application segments of JPEG and JPEG 2000 frames, lengths unchanged."""
    out = bytearray(value)
    for start, end in list(fragments_of(value))[1:]:
        if value[start : start + 2] == b"\xff\xd8":
            _blank_segments(out, start + 2, end, stop=0xDA, blank=_JPEG_TEXT)
        elif value[start : start + 4] == b"\xff\x4f\xff\x51":
            _blank_segments(out, start + 2, end, stop=0x90, blank=frozenset({0x64}))
    return bytes(out)


_JPEG_TEXT = frozenset({0xFE} | set(range(0xE1, 0xF0)) - {0xE8, 0xEE})
"""COM and APPn; APP0 (JFIF), APP8 (SPIFF, HP colour) and APP14 (Adobe) change decoding."""


def _blank_segments(out: bytearray, at: int, end: int, *, stop: int, blank: frozenset[int]) -> None:
    while at + 4 <= end and out[at] == 0xFF and out[at + 1] != stop:
        marker, length = out[at + 1], struct.unpack_from(">H", out, at + 2)[0]
        last = min(at + 2 + length, end)
        if marker in blank:
            out[at + 4 : last] = bytes(max(0, last - at - 4))
        at = last if last > at else end


def _only_stored_bits(value: bytes, file: Part10) -> bytes:
    """Return native pixels with the bits outside Bits Stored cleared or sign-extended."""
    allocated, stored = file.number(0x00280100, 0), file.number(0x00280101, 0)
    high = file.number(0x00280102, stored - 1)
    if allocated not in (8, 16, 32) or not 0 < stored < allocated or high != stored - 1:
        return value
    signed = file.number(0x00280103, 0) == 1
    kind = np.dtype(f"{file.encoding.order}{'i' if signed else 'u'}{allocated // 8}")
    usable = len(value) - len(value) % kind.itemsize
    samples = np.frombuffer(value[:usable], kind)
    low, most = (
        (-(1 << (stored - 1)), (1 << (stored - 1)) - 1) if signed else (0, (1 << stored) - 1)
    )
    if not samples.size or (samples.max() <= most and samples.min() >= low):
        return value  # the usual case: no copy
    spare = allocated - stored
    return ((samples << spare) >> spare).astype(kind).tobytes()


def _statement(profile: Profile, file: Part10) -> list[Element]:
    """Return the attributes that say what was done (PS3.15 E.1.1, CID 7050)."""
    codes = [
        [
            Element(0x00080100, "SH", code.encode()),
            Element(0x00080102, "SH", b"DCM"),
            Element(0x00080104, "LO", meaning.encode()),
        ]
        for code, meaning in profile.codes
    ]
    dated = any(code == "113107" for code, _ in profile.codes)
    return [
        Element(CHARSET, "CS", b"ISO_IR 192"),
        Element(0x00120062, "CS", b"YES"),
        Element(0x00120063, "LO", "\\".join(profile.method).encode()),
        Element(0x00120064, "SQ", items=codes),
        Element(0x00280303, "CS", b"MODIFIED" if dated else b"REMOVED"),
    ]


def _meta(file: Part10, instance: str) -> list[Element]:
    """Return a new file meta group; nothing of the old one stays but the two classes."""
    return [
        Element(0x00020001, "OB", b"\0\1"),
        Element(0x00020002, "UI", file.text(SOP_CLASS).encode()),
        Element(0x00020003, "UI", instance.encode()),
        Element(0x00020010, "UI", file.transfer_syntax.encode()),
        Element(0x00020012, "UI", IMPLEMENTATION_UID.encode()),
        Element(0x00020013, "SH", IMPLEMENTATION_NAME.encode()),
    ]
