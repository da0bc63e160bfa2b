"""Take the patient out of a DICOM file, element by element, and say what was done.

`deidentify(file, profile, pseudonyms)` returns new elements, the pseudonyms and
a report of tag and action, never a value. What `Profile` decides is done here:
UIDs and dates are replaced by keyed ones, coded text stays only in standard
coding schemes, numbers and code strings stay only if they are spelled as such,
text that stays is written as UTF-8, file meta and preamble are made anew, what
hides beside the picture is blanked (`frames`). Last, everything that stays is
searched for the identifiers that were removed from the same file (`sweep`).
Pixels are not searched for text here: the caller says what it did about them.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

from pydicom.uid import UID_dictionary

from clients.data.deidentification import codes
from clients.data.deidentification.charsets import decode, encodings_of
from clients.data.deidentification.dates import moved_back
from clients.data.deidentification.frames import blank_pixels
from clients.data.deidentification.frames import frames_of as frames_of
from clients.data.deidentification.profile import (
    BULK_VRS,
    CODED,
    EMPTIED_NUMBERS,
    TEXT_VRS,
    TIMEZONE,
    Action,
    Option,
    Profile,
    Rule,
)
from clients.data.deidentification.safe_private import creator_tag, creators_in, safe_attribute
from clients.data.deidentification.spelling import (
    SIZES,
    SPELLING,
    ZONE,
    is_spelled,
    says_text,
)
from clients.data.deidentification.statement import (
    BURNED_IN,
    CHARSET,
    NOT_INSPECTED,
    OWN,
    PixelStatement,
    may_keep_burned_in,
    new_meta,
    statement,
)
from clients.data.deidentification.sweep import REPLACEMENT, Identifiers
from clients.data.deidentification.tables import TABLES, cut_tables
from clients.data.dicom.elements import PIXEL_DATA, Element, Part10
from clients.data.people.pseudonyms import Pseudonyms
from federation.errors.data import IdentityMissingError
from federation.errors.deidentification import UncleanableFramesError

DUMMY_TEXT = REPLACEMENT.encode()
DUMMIES = {"DA": b"19000101", "DT": b"19000101", "TM": b"000000"}
OLDEST_AGE_Y = 90
LONGEST_TEXT = 64
LONGEST_TABLE = 1 << 20
"""Bytes of a look-up table or palette, several times what the longest has."""

SOP_CLASS, SOP_INSTANCE = 0x00080016, 0x00080018
STUDY, SERIES = 0x0020000D, 0x0020000E
PATIENT_ID, PATIENT_NAME, ISSUER = 0x00100020, 0x00100010, 0x00100021
BIRTH_DATE, PATIENT_AGE = 0x00100030, 0x00101010
IDENTIFYING = frozenset(
    {0x00080050, 0x00200010, 0x00380010, 0x00380060}
    # of group 0010: ids, names, address, telephone, military and responsible person
    | {0x00100010, 0x00100020, 0x00100050, 0x00101000, 0x00101001, 0x00101005, 0x00101040}
    | {0x00101060, 0x00101080, 0x00101090, 0x00102154, 0x00102155, 0x00102297, 0x00102299}
)
"""Whose words point at a person; first accession number, study, admission, episode id."""
OF_A_PLACE = frozenset({0x00080080, 0x00081010, 0x00181000})
"""Institution, station, serial number: looked for too, but for words that all use."""

_TEXT = TEXT_VRS | {"CS"}
_REMEMBERED = frozenset({Action.REMOVE, Action.EMPTY, Action.DUMMY, Action.PSEUDONYM})

Done = tuple[Action, Element | None]


@dataclass(frozen=True, slots=True)
class ActionReport:
    """What was done to each element: {("00100010", Action.PSEUDONYM): 1, …}; never a value.

    An element inside sequences is written with its path, ``00081140/00081155``. What
    went with a sequence that was removed is not listed by itself.
    """

    actions: Counter[tuple[str, Action]]

    def as_json(self) -> dict[str, dict[str, int]]:
        """Return {action: {tag path: count}}."""
        found: dict[str, dict[str, int]] = {}
        for (tag, action), count in sorted(
            self.actions.items(), key=lambda entry: (entry[0][0], entry[0][1].value)
        ):
            found.setdefault(action.value, {})[tag] = count
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
    charsets: tuple[str, ...]
    keep_burned_in: bool
    actions: Counter[tuple[str, Action]] = field(default_factory=Counter)
    identifiers: Identifiers = field(default_factory=Identifiers)
    kept: list[tuple[list[Element], Element, str]] = field(default_factory=list)


def deidentify(
    file: Part10,
    profile: Profile,
    pseudonyms: Pseudonyms,
    *,
    pixels: PixelStatement = NOT_INSPECTED,
    also: Sequence[str] = (),
) -> Deidentified:
    """Return `file` under the basic profile with the profile's options.

    Parameters
    ----------
    pixels
        What the caller did about text in the picture; the file will say that.
    also
        More text that may name the patient, such as the parts of the file's path.

    Raises
    ------
    IdentityMissingError
        If it lacks Patient ID or the study, series or instance UID.
    TooManyIdentifiersError
        If it names more people than can be looked for.
    UncleanableFramesError
        If its pixels are compressed in a way that hides text from us.
    """
    source = source_identity(file)
    work = _Pass(
        profile=profile,
        pseudonyms=pseudonyms,
        patient=pseudonyms.patient(source),
        shift_days=pseudonyms.shift_days(source),
        order=file.encoding.order,
        charsets=encodings_of(file.text(CHARSET)),
        keep_burned_in=may_keep_burned_in(file, pixels),
    )
    work.identifiers.add_words(also)
    for tag in (STUDY, SERIES, SOP_INSTANCE):
        work.identifiers.add_uid(file.text(tag))
    kept = _dataset(work, file.dataset, path="")
    _sweep(work)
    stated = statement(profile, pixels)
    kept += stated
    kept.sort(key=lambda element: element.tag)
    instance = pseudonyms.uid(file.text(SOP_INSTANCE))
    clean = Part10(
        meta=new_meta(_uid(work, file.text(SOP_CLASS)), instance, file.transfer_syntax),
        dataset=kept,
        transfer_syntax=file.transfer_syntax,
        encoding=file.encoding,
    )
    if blank_pixels(clean):
        work.actions[f"{PIXEL_DATA:08X}", Action.BLANKED] += 1
    _check_frames(work, clean.index.get(PIXEL_DATA))
    _report_rest(work, file, [*stated, *clean.meta])
    return Deidentified(
        file=clean,
        patient=work.patient,
        study=pseudonyms.uid(file.text(STUDY)),
        series=pseudonyms.uid(file.text(SERIES)),
        instance=instance,
        report=ActionReport(+work.actions),
    )


def _check_frames(work: _Pass, pixels: Element | None) -> None:
    """Raise if what was removed is still said between the frames' compressed data."""
    if pixels is not None and pixels.fragments and work.identifiers.in_frames(pixels.value):
        raise UncleanableFramesError()


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
    encodings = encodings_of(file.text(CHARSET))
    element = file.index[PATIENT_ID]
    issuer = file.index.get(ISSUER)
    return patient_source(
        decode(element.value, encodings) or element.value.hex(),
        "" if issuer is None else decode(issuer.value, encodings) or "",
    )


def patient_source(patient_id: str, issuer: str = "") -> str:
    """Return the one spelling of a patient's identity that pseudonyms are made of."""
    parts = (unicodedata.normalize("NFKC", part).strip(" \0") for part in (patient_id, issuer))
    return "\x1f".join(parts).removesuffix("\x1f")


def _dataset(work: _Pass, elements: Sequence[Element], path: str) -> list[Element]:
    """Return the elements that stay, changed as the profile says."""
    kept: list[Element] = []
    outer = work.charsets
    rule_of, actions, everything = work.profile.rule, work.actions, work.kept
    code = codes.published(elements) if path else None
    private: list[Element] = []
    tables = False
    for element in elements:
        tag = element.tag
        if tag & 0x10000:
            private.append(element)
            continue
        name = f"{path}{tag:08X}"
        if path and tag == CHARSET:  # an item may have a character set of its own
            work.charsets = encodings_of(element.text())
        rule = rule_of(tag)
        action = rule.action
        if tag == PIXEL_DATA and path:  # of an item that is no image
            action = Action.REMOVE
        action, done = _do(work, action, element, rule, name)
        if tag in CODED and action is Action.KEEP:
            action, done = _coded(done, code)
        if done is not None:
            kept.append(done)
            tables = tables or tag in TABLES
            if (action is Action.KEEP or done.vr == "TM") and tag != PIXEL_DATA:
                everything.append((kept, done, name))
        if action in _REMEMBERED:
            _remember(work, element, rule.vrs)
        actions[name, action] += 1
    if private:
        _keep_safe(work, kept, private, path)
    if tables:
        cut_tables(kept, work.order)
    work.charsets = outer
    return _last_of_each(kept)


def _last_of_each(kept: list[Element]) -> list[Element]:
    """Return the elements without those that a later one of the same tag replaces."""
    by_tag = {element.tag: element for element in kept}
    if len(by_tag) != len(kept):
        kept[:] = by_tag.values()
    return kept


def _keep_safe(work: _Pass, kept: list[Element], elements: Sequence[Element], path: str) -> None:
    """Add to `kept` the private elements on the list of safe ones, if that option was chosen."""
    allowed = Option.SAFE_PRIVATE in work.profile.options
    creators = creators_in(elements) if allowed else {}
    needed: dict[int, str] = {}
    for element in elements:
        safe = safe_attribute(element.tag, creators) if allowed else None
        name = f"{path}{element.tag:08X}"
        done = None
        if safe is not None:
            done = _kept(work, element, Rule(Action.KEEP, (safe.vr,), safe.most_values))
        if done is None or safe is None:
            _remember(work, element, ())
            work.actions[name, Action.REMOVE] += 1
            continue
        kept.append(done)
        needed[creator_tag(element.tag)] = safe.creator
        work.kept.append((kept, done, name))
        work.actions[name, Action.KEEP] += 1
    for tag, creator in needed.items():
        kept.append(Element(tag, "LO", creator.encode()))
        work.actions[f"{path}{tag:08X}", Action.REMOVE] -= 1
        work.actions[f"{path}{tag:08X}", Action.KEEP] += 1


def _do(work: _Pass, action: Action, element: Element, rule: Rule, path: str) -> Done:
    """Return what was really done, and what stands for the element from now on."""
    tag = element.tag
    if action is Action.REMOVE or tag in OWN or (tag == BURNED_IN and not work.keep_burned_in):
        return Action.REMOVE, None
    vr = element.vr if element.vr in rule.vrs else rule.vrs[0]
    if action is Action.EMPTY:
        return action, Element(tag, vr, items=[] if vr == "SQ" else None)
    if action is Action.PSEUDONYM:
        return action, Element(tag, vr, work.patient.encode())
    if action is Action.DUMMY:
        done = _dummy(tag, vr)
        return (Action.REMOVE if done is None else action), done
    if (element.items is not None) != (vr == "SQ"):
        return Action.REMOVE, None
    if action is Action.RECURSE:
        items = [_dataset(work, item, path + "/") for item in element.items or ()]
        return action, Element(tag, vr, items=items)
    if action is Action.UID:
        uids = _uids(work, element)
        kept = uids == element.text()
        return Action.KEEP if kept else action, Element(tag, "UI", uids.encode())
    if action is Action.SHIFT:
        return _shifted(work, element, vr)
    done = _kept(work, element, rule)
    if done is not None:
        return action, done
    if tag in EMPTIED_NUMBERS:
        return Action.EMPTY, Element(tag, vr)
    return Action.REMOVE, None


def _coded(done: Element | None, code: codes.Code | None) -> Done:
    """Return what stays of one element of a coded entry: nothing that its scheme does not say."""
    if done is None:
        return Action.REMOVE, None
    tag, vr = done.tag, done.vr
    if code is None or (tag == codes.VERSION and not code.versioned):
        return Action.DUMMY, Element(tag, vr, DUMMY_TEXT)
    if tag != codes.MEANING:
        return Action.KEEP, done
    said = done.value.decode()
    printed = code.meaning(said)
    same = printed.casefold() == said.casefold()
    return (Action.KEEP, done) if same else (Action.DUMMY, Element(tag, vr, printed.encode()))


def _dummy(tag: int, vr: str) -> Element | None:
    if vr in _TEXT:
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


def _shifted(work: _Pass, element: Element, vr: str) -> Done:
    """Move dates back by the patient's days; times of day stay; what is no date is emptied."""
    if vr == "TM":
        moved = element.value if is_spelled(element.value.rstrip(b"\0"), "TM") else b""
    else:
        work.identifiers.add_dates(element.value)
        parts = element.value.split(b"\\")
        moved = b"\\".join(moved_back(part.strip(b" \0"), vr, work.shift_days) for part in parts)
    emptied = bool(element.value.strip(b" \0")) and not moved.strip(b"\\")
    return Action.EMPTY if emptied else Action.SHIFT, Element(element.tag, vr, moved)


def _kept(work: _Pass, element: Element, rule: Rule) -> Element | None:
    """Return the element if its value is spelled as its VR demands, else None."""
    tag, value, vr = element.tag, element.value, element.vr
    if vr == "UN":
        vr = rule.vrs[0]
        if work.order == ">" and vr in SIZES:  # UN holds little endian (PS3.5 6.2.2)
            return None
    if vr not in rule.vrs or element.items is not None:
        return None
    if vr in SIZES:
        count, rest = divmod(len(value), SIZES[vr])
        wrong = rest or count > rule.most_values or (tag not in TABLES and says_text(value))
        return None if wrong else Element(tag, vr, value)
    if vr in BULK_VRS:
        if tag != PIXEL_DATA and len(value) > LONGEST_TABLE:
            return None
        return Element(tag, vr, value, fragments=element.fragments)
    if tag == PATIENT_AGE:
        return Element(tag, vr, _age(value.strip(b" \0")))
    if tag == TIMEZONE:
        return Element(tag, vr, value) if ZONE.fullmatch(value) else None
    if value.count(b"\\") >= rule.most_values:
        return None
    if vr in TEXT_VRS:
        text = decode(value, work.charsets)
        return Element(tag, vr, text.encode()) if _fits(text) else None
    bare = value.rstrip(b" \0")
    return Element(tag, vr, bare) if is_spelled(bare, vr) else None


def _fits(text: str | None) -> TypeGuard[str]:
    """Tell whether text was readable and no value in it is longer than LO allows."""
    return text is not None and all(len(part) <= LONGEST_TEXT for part in text.split("\\"))


def _age(value: bytes) -> bytes:
    """Return an age, everything above 89 years as 90 (the usual top code)."""
    if not SPELLING["AS"].fullmatch(value):
        return b""
    if value.endswith(b"Y") and int(value[:3]) > OLDEST_AGE_Y:
        return b"%03dY" % OLDEST_AGE_Y
    return value


def _remember(work: _Pass, element: Element, vrs: Sequence[str]) -> None:
    """Keep the words of a removed identifier, to search for them in what stays."""
    for item in element.items or ():
        for child in item:
            _remember(work, child, work.profile.rule(child.tag).vrs)
    tag = element.tag
    if tag == BIRTH_DATE:
        work.identifiers.add_dates(element.value)
    elif element.vr == "PN" or "PN" in vrs or tag in IDENTIFYING:
        work.identifiers.add_value(element.value, work.charsets)
    elif tag in OF_A_PLACE:
        work.identifiers.add_place(element.value, work.charsets)
    elif element.vr in ("DA", "DT"):
        work.identifiers.add_dates(element.value)


def _sweep(work: _Pass) -> None:
    """Take out of what stayed every value that holds an identifier which was removed."""
    found = work.identifiers
    text = b"\n".join(e.value for _, e, _ in work.kept if e.vr in _TEXT)
    numbers = b"\n".join(e.value for _, e, _ in work.kept if e.vr not in _TEXT)
    if not found.may_be_in(numbers, text.decode("utf-8", "replace")):
        return
    for owner, element, path in work.kept:
        swept = _swept(found, element)
        if swept is not element.value:
            work.actions[path, Action.KEEP] -= 1
            work.actions[path, Action.SWEPT] += 1
        if swept is None and (element.tag in EMPTIED_NUMBERS or element.vr == "TM"):
            element.value = b""
        elif swept is None:
            owner[:] = [other for other in owner if other is not element]
        else:
            element.value = swept


def _swept(found: Identifiers, element: Element) -> bytes | None:
    """Return the value without identifiers; itself when it has none, None when it must go."""
    if element.vr in _TEXT:
        parts = element.value.decode("utf-8", "replace").split("\\")
        clean = [
            REPLACEMENT if found.in_text(part, coded=element.vr == "CS") else part for part in parts
        ]
        return element.value if clean == parts else "\\".join(clean).encode()
    if element.vr in ("DS", "IS", "TM"):
        return None if found.in_number(element.value) else element.value
    return None if found.in_bytes(element.value) else element.value


def _report_rest(work: _Pass, file: Part10, written: Sequence[Element]) -> None:
    """Add to the report what is not in the dataset: preamble, file meta, the statement."""
    ours = {element.tag for element in written}
    for tag in ours:
        work.actions[f"{tag:08X}", Action.STATED] += 1
    for element in file.meta:
        if element.tag not in ours and element.tag & 0xFFFF:
            work.actions[f"{element.tag:08X}", Action.REMOVE] += 1
    if file.preamble:
        work.actions["preamble", Action.REMOVE] += 1
