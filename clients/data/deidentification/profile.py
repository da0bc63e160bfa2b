"""Decide what happens to each DICOM attribute, from the standard's table.

`ps315_table_e1_1.json` holds the facts of PS3.15 Table E.1-1 (edition and
checksum inside). `Profile.rule(tag)` combines them with the options chosen
(retain longitudinal information with modified dates, retain patient
characteristics, retain device identity, retain safe private attributes) and with
rules that are stricter than the table: private, unknown, overlay and curve elements
go; free text that the table does not name goes unless it is on `KEPT_TEXT`; other
bulk binary goes unless it is on `KEPT_BULK`; every UID that the standard did not
register is remapped; a number with more values than its attribute has goes. What an
image must have is emptied or replaced and not removed. Unknown means no.
"""

from dataclasses import dataclass, field
from enum import Enum
from functools import cache

from pydicom.datadict import dictionary_VM

from clients.data.deidentification.facts import read_facts
from clients.data.deidentification.safe_private import load_safe_table
from clients.data.dicom.elements import PIXEL_DATA, vrs_of

TABLE = "ps315_table_e1_1.json"


class Action(Enum):
    """What is done to an element; the value is what the report says.

    X, Z, D, U and K are the letters of the standard's table. S: a date shifted; R: a
    sequence kept and cleaned inside; P: the pseudonym; W: a value swept because it
    held an identifier; B: bytes beside the picture blanked; A: written by us.
    """

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    UID = "U"
    SHIFT = "S"
    KEEP = "K"
    RECURSE = "R"
    PSEUDONYM = "P"
    SWEPT = "W"
    BLANKED = "B"
    STATED = "A"

    __hash__ = object.__hash__  # members are singletons; Enum's own hash is slow


class Option(Enum):
    """Options of PS3.15 Annex E that a study's policy may choose (CID 7050)."""

    MODIFIED_DATES = (
        "dates-modified",
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    )
    PATIENT = ("patient", "113108", "Retain Patient Characteristics Option")
    DEVICE = ("device", "113109", "Retain Device Identity Option")
    SAFE_PRIVATE = ("safe-private", "113111", "Retain Safe Private Option")

    @property
    def column(self) -> str:
        """Return the option's name in the table."""
        return self.value[0]


BASIC = ("113100", "Basic Application Confidentiality Profile")
DEFAULT_OPTIONS = frozenset({Option.MODIFIED_DATES, Option.PATIENT})

TIMEZONE = 0x00080201
UNBOUNDED = 1 << 30
MOST_RULES = 20_000
DATE_VRS = frozenset({"DA", "DT", "TM"})
TEXT_VRS = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
CODED = frozenset({0x00080100, 0x00080102, 0x00080103, 0x00080104})
"""Code value, designator, version and meaning: kept only in standard coding schemes."""

KEPT_TEXT = frozenset(
    {
        0x00080070,  # Manufacturer
        0x00081090,  # Manufacturer's Model Name
        0x00181020,  # Software Versions
        0x00180024,  # Sequence Name
        0x00181210,  # Convolution Kernel
        0x00181160,  # Filter Type
        0x00181180,  # Collimator/grid Name
        0x00181260,  # Plate Type
        0x00181261,  # Phosphor Type
        0x00180085,  # Imaged Nucleus
        0x00181250,  # Receive Coil Name
        0x00181251,  # Transmit Coil Name
        0x00189005,  # Pulse Sequence Name
        0x00281054,  # Rescale Type
        0x00209056,  # Stack ID
        0x00283004,  # Modality LUT Type
    }
    | CODED
)
KEPT_BULK = frozenset(
    {PIXEL_DATA, 0x00283006}
    | {0x00281201, 0x00281202, 0x00281203, 0x00281204}
    | {0x00281221, 0x00281222, 0x00281223, 0x00281224}
)
"""Pixels, look-up table data and palettes."""
EMPTIED_TEXT = frozenset(
    {
        0x00201040,  # Position Reference Indicator
        0x00180031,  # Radiopharmaceutical
        0x00189041,  # Receive Coil Manufacturer Name
        0x00189046,  # Multi-Coil Configuration
        0x00189050,  # Transmit Coil Manufacturer Name
        0x00541103,  # Reconstruction Method
    }
)
"""Text that an image object must have, possibly without a value (Type 2 of PS3.3)."""
EMPTIED_NUMBERS = frozenset(
    {
        0x00180015,  # Body Part Examined
        0x00180022,  # Scan Options
        0x00180050,  # Slice Thickness
        0x00180060,  # KVP
        0x00180080,  # Repetition Time
        0x00180081,  # Echo Time
        0x00180091,  # Echo Train Length
        0x00185101,  # View Position
        0x00200011,  # Series Number
        0x00200012,  # Acquisition Number
        0x00200013,  # Instance Number
        0x00200020,  # Patient Orientation
        0x00200060,  # Laterality
    }
)
"""Numbers and codes of Type 2: emptied, not removed, when their value may not stay."""
REPLACED_TEXT = frozenset(
    {
        0x00189047,  # Multi-Coil Element Name
        0x00283003,  # LUT Explanation
        0x00409210,  # LUT Label
        0x00480106,  # Optical Path Identifier
    }
)
"""Text that a macro of an image object must have with a value (Type 1 of PS3.3)."""
SEQUENCES = {
    0x00080082: "REMOVE",  # Institution Code Sequence: X/Z/D, Type 3
    0x00081110: "REMOVE",  # Referenced Study Sequence: X/Z, Type 3, never without items
    0x00081111: "RECURSE",  # Referenced Performed Procedure Step Sequence: X/Z/D, Type 1C or 3
}
"""Where the table leaves a choice, the one that keeps an image valid."""

PATIENT_KEPT = frozenset({0x00101010, 0x00100040, 0x00101020, 0x00101030, 0x001021A0, 0x001021C0})
"""Of the patient characteristics: age, sex, height, weight, smoking, pregnancy; no free text."""


@dataclass(frozen=True, slots=True)
class Table:
    """The standard's table: edition, checksum, and (basic action, options) per tag."""

    edition: str
    sha256: str
    rows: dict[int, tuple[str, frozenset[str]]]


@cache
def load_table() -> Table:
    """Return the table that comes with the wheel.

    Raises
    ------
    ProfileTableError
        If its rows do not have the checksum written beside them.
    """
    facts = read_facts(TABLE)
    rows = {
        int(tag, 16): (basic, frozenset(options.split()))
        for tag, (basic, options) in facts.rows.items()
    }
    return Table(edition=facts.edition, sha256=facts.sha256, rows=rows)


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done to an attribute, the VRs it may have, and how many values at most."""

    action: Action
    vrs: tuple[str, ...]
    most_values: int


@dataclass(frozen=True, slots=True)
class Profile:
    """The basic profile with the chosen options.

    `method` is what DeidentificationMethod (0012,0063) says, `codes` the items
    of DeidentificationMethodCodeSequence (0012,0064): what was done, no more.
    """

    options: frozenset[Option] = DEFAULT_OPTIONS
    table: Table = field(default_factory=load_table)
    _known: dict[int, Rule] = field(default_factory=dict, repr=False, compare=False)

    @property
    def method(self) -> tuple[str, ...]:
        """Return the profile in words, each at most 64 characters."""
        named = (
            f"TriFed, PS3.15 {self.table.edition} Annex E basic profile",
            f"table sha256 {self.table.sha256[:16]}",
        )
        if Option.SAFE_PRIVATE not in self.options:
            return named
        safe = load_safe_table()
        return (*named, f"safe private list {safe.edition} sha256 {safe.sha256[:16]}")

    @property
    def codes(self) -> tuple[tuple[str, str], ...]:
        """Return (code value, meaning) of the profile and each option, DCM."""
        chosen = sorted((option.value[1], option.value[2]) for option in self.options)
        return (BASIC, *chosen)

    def action(self, tag: int) -> Action:
        """Return what is done to an attribute."""
        return self.rule(tag).action

    def rule(self, tag: int) -> Rule:
        """Return what is done to an attribute, and in which form it is understood."""
        found = self._known.get(tag)
        if found is None:
            vrs = vrs_of(tag)
            found = Rule(self._decide(tag), vrs, _most_values(tag) if vrs else 0)
            if len(self._known) < MOST_RULES:
                self._known[tag] = found
        return found

    def _decide(self, tag: int) -> Action:
        group = tag >> 16
        if group & 1 or group < 8 or group == 0xFFFC or not tag & 0xFFFF:
            return Action.REMOVE
        if 0x5000 <= group <= 0x50FF or 0x6000 <= group <= 0x60FF:
            return Action.REMOVE
        vrs = vrs_of(tag)
        if not vrs:
            return Action.REMOVE
        row = self.table.rows.get(tag)
        if row is None:
            return self._unlisted(tag, vrs)
        return self._listed(tag, vrs[0], *row)

    def _listed(self, tag: int, vr: str, basic: str, options: frozenset[str]) -> Action:
        if tag in (0x00100010, 0x00100020):
            return Action.PSEUDONYM
        if Option.PATIENT in self.options and tag in PATIENT_KEPT:
            return Action.KEEP
        if Option.DEVICE in self.options and "device=K" in options:
            return Action.RECURSE if vr == "SQ" else Action.KEEP
        if Option.MODIFIED_DATES in self.options and "dates-modified=C" in options:
            return _dated(tag, vr)
        if tag in SEQUENCES:
            return Action[SEQUENCES[tag]]
        if basic == "U" or basic.endswith("U*"):
            return Action.RECURSE if vr == "SQ" else Action.UID
        if "D" in basic.split("/") and vr != "SQ":
            return Action.DUMMY
        if "Z" in basic.split("/"):
            return Action.EMPTY
        return Action.REMOVE

    def _unlisted(self, tag: int, vrs: tuple[str, ...]) -> Action:
        vr = vrs[0]
        if vr == "SQ":
            return Action.RECURSE
        if vr == "UI":
            return Action.UID
        if vr in DATE_VRS:
            return Action.SHIFT if Option.MODIFIED_DATES in self.options else Action.DUMMY
        if not BULK_VRS.isdisjoint(vrs):
            return Action.KEEP if tag in KEPT_BULK else Action.REMOVE
        return _text(tag) if vr in TEXT_VRS else Action.KEEP


def _text(tag: int) -> Action:
    if tag in KEPT_TEXT:
        return Action.KEEP
    if tag in EMPTIED_TEXT:
        return Action.EMPTY
    return Action.DUMMY if tag in REPLACED_TEXT else Action.REMOVE


def _dated(tag: int, vr: str) -> Action:
    if vr in DATE_VRS:
        return Action.SHIFT
    return Action.KEEP if tag == TIMEZONE else Action.REMOVE  # certified timestamps go


def _most_values(tag: int) -> int:
    """Return how many values the dictionary allows; `UNBOUNDED` for ``1-n`` and its like."""
    last = dictionary_VM(tag).split("-")[-1]
    return int(last) if last.isdecimal() else UNBOUNDED
