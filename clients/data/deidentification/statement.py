"""Write into a cleaned file what was done to it, and no more (PS3.15 E.1.1, E.3.1).

`PixelStatement` is what the caller did about text in the picture. Only a picture
that was inspected gets code 113101 and Burned In Annotation NO. One that was not
keeps a YES, loses a NO that nobody checked, and keeps the statement of its device
where the object must have one (Type 1 of DX and the enhanced objects in PS3.3).
"""

from dataclasses import dataclass

from clients.data.deidentification.profile import Option, Profile
from clients.data.dicom.elements import Element, Part10

IMPLEMENTATION_UID = "2.25.299792458017421630912650463"
IMPLEMENTATION_NAME = "TRIFED_0_1"
CHARSET, BURNED_IN = 0x00080005, 0x00280301
SOP_CLASS = 0x00080016
CLEAN_PIXELS = ("113101", "Clean Pixel Data Option")

OWN = frozenset({CHARSET, 0x00120062, 0x00120063, 0x00120064, 0x00280303})
"""Attributes that are always written anew."""

_STORAGE = "1.2.840.10008.5.1.4.1.1."
MUST_STATE = frozenset(
    _STORAGE + suffix
    for suffix in (
        *("1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1"),  # DX, MG, IO
        *("2.1", "2.2", "4.1", "4.3", "4.4", "130", "128.1"),
        *("12.1.1", "12.2.1", "13.1.1", "13.1.2", "13.1.3", "13.1.4", "13.1.5"),
        *("6.2", "6.3", "77.1.6", "77.1.5.1", "77.1.5.2", "77.1.5.4"),
    )
)
"""Objects whose module wants Burned In Annotation of an original image."""


@dataclass(frozen=True, slots=True)
class PixelStatement:
    """What was done about text in the picture: inspected or not, areas blanked."""

    inspected: bool
    areas: int = 0

    def __post_init__(self) -> None:
        if self.areas < 0 or (self.areas and not self.inspected):
            raise ValueError("areas are blanked only in pixels that were inspected")

    @property
    def method(self) -> str:
        """Return it in words, at most 64 characters."""
        if not self.inspected:
            return "pixel data not inspected for text"
        if not self.areas:
            return "pixel data inspected for text, none found"
        return f"pixel data inspected for text, {self.areas} areas blanked"


NOT_INSPECTED = PixelStatement(inspected=False)
INSPECTED_CLEAN = PixelStatement(inspected=True)


def blanked(areas: int) -> PixelStatement:
    """Return the statement that text was found and blanked in so many areas (at least one)."""
    if areas < 1:
        raise ValueError("at least one area")
    return PixelStatement(inspected=True, areas=areas)


def statement(profile: Profile, pixels: PixelStatement) -> list[Element]:
    """Return the attributes that say what was done (CID 7050)."""
    codes = [*profile.codes, CLEAN_PIXELS] if pixels.inspected else list(profile.codes)
    dated = Option.MODIFIED_DATES in profile.options
    return [
        Element(CHARSET, "CS", b"ISO_IR 192"),
        Element(0x00120062, "CS", b"YES"),
        Element(0x00120063, "LO", "\\".join((*profile.method, pixels.method)).encode()),
        Element(0x00120064, "SQ", items=[_code(*code) for code in sorted(codes)]),
        *([Element(BURNED_IN, "CS", b"NO")] if pixels.inspected else []),
        Element(0x00280303, "CS", b"MODIFIED" if dated else b"REMOVED"),
    ]


def may_keep_burned_in(file: Part10, pixels: PixelStatement) -> bool:
    """Tell whether the file's own word on burned-in text may stand."""
    if pixels.inspected:
        return False
    return file.text(BURNED_IN) == "YES" or file.text(SOP_CLASS) in MUST_STATE


def new_meta(sop_class: str, instance: str, transfer_syntax: str) -> list[Element]:
    """Return a new file meta group; nothing of the old one stays but the two classes."""
    return [
        Element(0x00020001, "OB", b"\0\1"),
        Element(0x00020002, "UI", sop_class.encode()),
        Element(0x00020003, "UI", instance.encode()),
        Element(0x00020010, "UI", transfer_syntax.encode()),
        Element(0x00020012, "UI", IMPLEMENTATION_UID.encode()),
        Element(0x00020013, "SH", IMPLEMENTATION_NAME.encode()),
    ]


def _code(value: str, meaning: str) -> list[Element]:
    return [
        Element(0x00080100, "SH", value.encode()),
        Element(0x00080102, "SH", b"DCM"),
        Element(0x00080104, "LO", meaning.encode()),
    ]
