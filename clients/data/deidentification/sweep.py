"""Remember the identifiers that are taken out of a file, and find them in what stays.

A word is looked for in text as a word, from six characters on (two in Chinese,
Japanese or Korean) also inside other words, and as bytes in every encoding, in
hexadecimal and Base64, inside every value that stays. Beside them go the dates that
were moved, in several spellings, and what looks like a national number, a telephone
number or a mail address. Terms that DICOM itself defines say nothing of anybody.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from datetime import date

from clients.data.deidentification.charsets import disguises, readings, spellings
from federation.errors.deidentification import TooManyIdentifiersError

SHORTEST_WORD = 3
SHORTEST_INSIDE = 6
SHORTEST_FRACTION = 9
SHORTEST_PATH_WORD = 4
SHORTEST_WIDE = 2
WIDE_FROM = 0x2E80
MOST_WORDS = 600
LONGEST_REMEMBERED = 4096
REPLACEMENT = "REMOVED"

TERMS = frozenset(
    re.findall(
        r"\w+",
        """
        original derived primary secondary mixed axial localizer other volume none perfusion
        recon average maxip minip projection subtraction angio dynamic diffusion research
        chest abdomen pelvis head neck brain spine heart breast skull knee hand foot hip ankle
        wrist elbow shoulder thorax lung liver kidney cspine tspine lspine extremity wholebody
        monochrome1 monochrome2 rgb palette color true false image images series study studies
        patient patients dicom dicomdir data export archive pacs cdrom scan scans file files
        siemens philips toshiba canon hitachi fujifilm agfa carestream hologic samsung medical
        systems healthcare imaging signal magnitude phase left right unpaired supine prone
        """,
    )
)
"""Words of the standard's own vocabulary, of vendors, and of folders that all have."""

_SPLIT = re.compile(r"[\s^=\\,;/()]+")
_HYPHENS = re.compile(r"[-'.]")
_PATH_SPLIT = re.compile(r"[\W_]+")
_DECIMAL = re.compile(rb"([0-9]+)(?:\.([0-9]+))?")
_DATE = re.compile(rb"\s*([12][0-9]{3})[.\-/]?([0-9]{2})[.\-/]?([0-9]{2})")
PERSONAL_PATTERNS = re.compile(
    rb"(?<![a-z0-9])[a-z][12a-d89][0-9]{8}(?![0-9])"  # Taiwan: national id, residence permits
    rb"|(?<![0-9.])09[0-9]{2}[ -]?[0-9]{3}[ -]?[0-9]{3}(?![0-9])"  # mobile telephone
    rb"|\+886[ -]?[0-9 -]{8,11}"
    rb"|(?<![0-9.])0[2-8]-[0-9]{3,4}-?[0-9]{4}(?![0-9])"
    rb"|[a-z0-9._%+-]+@[a-z0-9-]+\.[a-z]{2,}"
)


def words_of(text: str) -> list[str]:
    """Return the words of a text as they are compared."""
    return [word for word in _SPLIT.split(text.casefold()) if word]


class Identifiers:
    """What was taken out of one file.

    Raises
    ------
    TooManyIdentifiersError
        From `add_*` when there are more than can be looked for.
    """

    def __init__(self) -> None:
        self.words: set[str] = set()
        self.needles: set[bytes] = set()
        self.disguised: set[bytes] = set()
        self.numbers: set[bytes] = set()
        self._seen: set[bytes] = set()

    def add_value(self, value: bytes, encodings: Sequence[str]) -> None:
        """Remember a removed value: its bytes, and its words in every reading."""
        value = value[:LONGEST_REMEMBERED].strip(b" \0")
        if not value or value in self._seen:
            return
        self._seen.add(value)
        if not value.isascii():
            self._needle(value.lower())
        for text in readings(value, encodings):
            words = words_of(text)
            self._add_words(words)
            self._add_words(form for word in words for form in _unhyphenated(word))
            for pair in itertools.pairwise(words):
                if all(len(part) > 1 or ord(part[0]) >= WIDE_FROM for part in pair):
                    self._add_words(("".join(pair), "".join(reversed(pair))))

    def add_place(self, value: bytes, encodings: Sequence[str]) -> None:
        """Remember a name of a place or device, without the words that all use."""
        for text in readings(value[:LONGEST_REMEMBERED].strip(b" \0"), encodings):
            self._add_words(word for word in words_of(text) if word not in TERMS)

    def add_words(self, texts: Iterable[str]) -> None:
        """Remember the words of a file's path, unless they are what every path holds."""
        for text in texts:
            for word in _PATH_SPLIT.split(text.casefold()):
                if word not in TERMS and (len(word) >= SHORTEST_PATH_WORD or _is_wide(word)):
                    self._add_words([word])

    def add_dates(self, value: bytes, *, of_birth: bool = False) -> None:
        """Remember dates as they may be spelled elsewhere."""
        for part in value.split(b"\\"):
            found = _DATE.match(part)
            if not found or part in self._seen:
                continue
            self._seen.add(part)
            try:
                day = date(*(int(number) for number in found.groups()))
            except ValueError:
                continue
            self.needles.update(spelling.encode() for spelling in _dates(day, of_birth=of_birth))
            self.numbers.add(day.strftime("%Y%m%d").encode())

    def add_uid(self, uid: str) -> None:
        """Remember a UID that was replaced."""
        if len(uid) > SHORTEST_INSIDE:
            self._needle(uid.encode())

    def _add_words(self, words: Iterable[str]) -> None:
        for word in words:
            if len(word) < SHORTEST_WORD and not _is_wide(word):
                continue
            self.words.add(word)
            if len(self.words) > MOST_WORDS:
                raise TooManyIdentifiersError(most=MOST_WORDS)
            self._add_inside(word)

    def _add_inside(self, word: str) -> None:
        if len(word) < SHORTEST_INSIDE and not _is_wide(word):
            return
        self.needles |= spellings(word)
        if len(word) >= SHORTEST_INSIDE and word.isascii():
            self.disguised |= disguises(word)
        digits = re.sub(r"[ +-]", "", word)
        if digits.isdecimal() and digits.isascii() and digits.lstrip("0"):
            self.numbers.add(digits.lstrip("0").encode())

    def _needle(self, value: bytes) -> None:
        if len(value) > 3:
            self.needles.add(value)

    def may_be_in(self, numbers: bytes, text: bytes) -> bool:
        """Tell whether all values that stay, joined and in lower case, need a closer look."""
        everything = numbers + text
        return (
            any(needle in everything for needle in self.needles)
            or any(needle in text for needle in self.disguised)
            or any(number in everything for number in self.numbers)
            or PERSONAL_PATTERNS.search(everything) is not None
        )

    def in_text(self, text: str, *, coded: bool) -> bool:
        """Tell whether one value of text says an identifier; `coded` values may be terms."""
        lower = text.casefold().strip()
        if coded and lower in TERMS:
            return False
        if not self.words.isdisjoint(words_of(lower)):
            return True
        raw = lower.encode()
        return self.in_bytes(raw) or any(needle in raw for needle in self.disguised)

    def in_bytes(self, value: bytes) -> bool:
        """Tell whether a value holds an identifier's bytes, or something like one."""
        lower = value.lower()
        return (
            any(needle in lower for needle in self.needles)
            or PERSONAL_PATTERNS.search(lower) is not None
        )

    def in_number(self, value: bytes) -> bool:
        """Tell whether a decimal value is an identifier's digits."""
        if self.numbers.isdisjoint(_integers(value)):
            return PERSONAL_PATTERNS.search(value) is not None
        return True


def _integers(value: bytes) -> set[bytes]:
    """Return the long whole numbers of a decimal value, and very long fractions."""
    found = set()
    for whole, fraction in _DECIMAL.findall(value):
        bare = whole.lstrip(b"0")
        if len(bare) >= SHORTEST_INSIDE:
            found.add(bare)
        if len(fraction) >= SHORTEST_FRACTION:
            found.add(fraction.lstrip(b"0"))
    return found


def _unhyphenated(word: str) -> list[str]:
    """Return "xiaoming", "xiao" and "ming" for "xiao-ming"; of a number only the whole."""
    parts = _HYPHENS.split(word)
    if len(parts) == 1:
        return []
    return ["".join(parts), *(part for part in parts if part.isalpha())]


def _is_wide(word: str) -> bool:
    return len(word) >= SHORTEST_WIDE and any(ord(letter) >= WIDE_FROM for letter in word)


def _dates(day: date, *, of_birth: bool) -> set[str]:
    y, m, d = day.year, day.month, day.day
    found = {f"{y:04d}{m:02d}{d:02d}"}
    for mark in "-./":
        found |= {f"{y}{mark}{m:02d}{mark}{d:02d}", f"{d:02d}{mark}{m:02d}{mark}{y}"}
    if of_birth:
        found |= {f"{m:02d}/{d:02d}/{y}", f"{d:02d}{m:02d}{y}", f"{m:02d}{d:02d}{y}"}
        if y > 1911:  # the calendar of the Republic of China
            found |= {f"{y - 1911:03d}{m:02d}{d:02d}", f"{y - 1911}/{m:02d}/{d:02d}"}
    return found
