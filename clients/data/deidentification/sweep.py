"""Remember the identifiers that are taken out of a file, and find them in what stays.

Text is compared in one form (`folding`): a word as a word, from five letters or six
characters on (two in Chinese, Japanese or Korean) also inside other words, with
anything between its letters, and backwards. In every value that stays its bytes are looked for in
every encoding, in hexadecimal and Base64. Beside them go the numbers, as digits and as binary
numbers, the dates that were moved in all their spellings (`dates`), and what looks like
a national number, a telephone number or a mail address. Terms that DICOM itself
defines say nothing of anybody.
"""

import itertools
import re
import struct
from collections.abc import Iterable, Sequence
from datetime import date

from clients.data.deidentification.charsets import disguises, readings, spellings
from clients.data.deidentification.dates import dashed, spelled
from clients.data.deidentification.folding import folded, forms, pieces, squeezed, words
from federation.errors.deidentification import TooManyIdentifiersError

SHORTEST_WORD = 3
SHORTEST_LETTERS_INSIDE = 5
SHORTEST_INSIDE = 6
SHORTEST_NUMBER = 5
SHORTEST_FRACTION = 7
SHORTEST_JOINED = 8
SHORTEST_BINARY = 8
SHORTEST_IN_FRAMES = 6
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
_DIGITS = re.compile(r"[0-9]{6,}")
_DECIMAL = re.compile(rb"([0-9]*)(?:\.([0-9]*))?(?:[eE][+-]?[0-9]+)?")
_DATE = re.compile(rb"\s*([12][0-9]{3})[.\-/]?([0-9]{2})[.\-/]?([0-9]{2})")
_NOT_DIGITS = bytes(code for code in range(256) if not 0x30 <= code <= 0x39 and code != 0x0A)
_MOBILE = r"(?<![0-9.])09[0-9]{2}[ .-]?[0-9]{3}[ .-]?[0-9]{3}(?![0-9])"
_IN_TEXT = re.compile(
    r"(?<![a-z0-9])[a-z][ .-]?[12a-d89](?:[ .-]?[0-9]){8}(?![0-9])"  # Taiwan: national id, permits
    rf"|{_MOBILE}"
    r"|(?<![0-9])886[ .-]?[2-9](?:[ .-]?[0-9]){7,8}(?![0-9])"
    r"|(?<![0-9.])\(?0[2-8]\)?[ .-]?[0-9]{3,4}[ .-]?[0-9]{4}(?![0-9])"
    r"|[a-z0-9._%+-]+@[a-z0-9-]+\.[a-z]{2,}"
)
_IN_BYTES = re.compile(
    rf"(?<![a-z0-9])[a-z][12a-d89][0-9]{{8}}(?![0-9])|{_MOBILE}"
    r"|\+886[ -]?[0-9 -]{8,11}|[a-z0-9._%+-]+@[a-z0-9-]+\.[a-z]{2,}".encode()
)


def words_of(text: str) -> list[str]:
    """Return the words of a text as they are compared."""
    return [word for word in _SPLIT.split(folded(text)) if word]


class Identifiers:
    """What was taken out of one file.

    Raises
    ------
    TooManyIdentifiersError
        From `add_*` when there are more than can be looked for.
    """

    def __init__(self) -> None:
        self.words: set[str] = set()
        self.inside: set[str] = set()
        self.needles: set[bytes] = set()
        self.disguised: set[bytes] = set()
        self.numbers: set[bytes] = set()
        self.days: set[date] = set()
        self._seen: set[bytes] = set()
        self._spelled: re.Pattern[str] | None = None

    def add_value(self, value: bytes, encodings: Sequence[str]) -> None:
        """Remember a removed value: its bytes, and its words in every reading."""
        value = value[:LONGEST_REMEMBERED].strip(b" \0")
        if not value or value in self._seen:
            return
        self._seen.add(value)
        if not value.isascii():
            self._needle(value.lower())
        for text in readings(value, encodings):
            for form in forms(text):
                self._add_text(form)

    def _add_text(self, form: str) -> None:
        found = [word for word in _SPLIT.split(form) if word]
        self._add_words(found)
        self._add_words(part for word in found for part in _unhyphenated(word))
        for pair in itertools.pairwise(found):
            if all(len(part) > 1 or ord(part[0]) >= WIDE_FROM for part in pair):
                self._add_words(("".join(pair), "".join(reversed(pair))))

    def add_place(self, value: bytes, encodings: Sequence[str]) -> None:
        """Remember a name of a place or device, without the words that all use."""
        for text in readings(value[:LONGEST_REMEMBERED].strip(b" \0"), encodings):
            self._add_words(word for word in words_of(text) if word not in TERMS)

    def add_words(self, texts: Iterable[str]) -> None:
        """Remember the words of a file's path, unless they are what every path holds."""
        for text in texts:
            own = [word for word in _PATH_SPLIT.split(folded(text)) if word not in TERMS]
            self._add_words(
                word for word in own if len(word) >= SHORTEST_PATH_WORD or _is_wide(word)
            )
            for pair in itertools.pairwise(own):
                if all(part.isalpha() and len(part) > 1 for part in pair):
                    self._add_words(("".join(pair), "".join(reversed(pair))))

    def add_dates(self, value: bytes) -> None:
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
            self.days.add(day)
            written = day.strftime("%Y%m%d").encode()
            self.needles.add(written)
            self.numbers.add(written)

    def add_uid(self, uid: str) -> None:
        """Remember a UID that was replaced."""
        if len(uid) > SHORTEST_INSIDE:
            self._needle(uid.encode())

    def _add_words(self, found: Iterable[str]) -> None:
        for word in found:
            if len(word) < SHORTEST_WORD and not _is_wide(word):
                continue
            self.words.add(word)
            if len(self.words) > MOST_WORDS:
                raise TooManyIdentifiersError(most=MOST_WORDS)
            self._add_inside(word)

    def _add_inside(self, word: str) -> None:
        bare = squeezed(word)
        if len(bare) >= SHORTEST_INSIDE or _is_wide(bare) or _is_name(bare):
            self.inside.add(bare)
        self.numbers.update(run.lstrip("0").encode() for run in _DIGITS.findall(bare))
        if bare.isdecimal() and bare.isascii() and len(bare) >= SHORTEST_NUMBER:
            self.numbers.add(bare.lstrip("0").encode())
        self.numbers.discard(b"")
        if len(word) < SHORTEST_INSIDE and not _is_wide(word):
            return
        self.needles |= spellings(word)
        self.disguised |= disguises(word)

    def _needle(self, value: bytes) -> None:
        if len(value) > 3:
            self.needles.add(value)

    def may_be_in(self, numbers: bytes, text: str) -> bool:
        """Tell whether all values that stay, joined by line ends, need a closer look."""
        return self.in_text(text, coded=False) or self._in_numbers(numbers)

    def _in_numbers(self, numbers: bytes) -> bool:
        digits = numbers.translate(None, _NOT_DIGITS)
        return any(number in digits for number in self.numbers) or self.in_bytes(numbers)

    def in_text(self, text: str, *, coded: bool) -> bool:
        """Tell whether one value of text says an identifier; `coded` values may be terms."""
        if coded and text.casefold().strip() in TERMS:
            return False
        if not self.words.isdisjoint(pieces(text)):
            return True
        return any(self._in_form(form) for form in forms(text))

    def _in_form(self, form: str) -> bool:
        if not (self.words.isdisjoint(_SPLIT.split(form)) and self.words.isdisjoint(words(form))):
            return True
        raw, bare = form.encode("utf-8", "replace"), squeezed(form)
        both = f"{bare} {bare[::-1]}"
        return (
            any(word in both for word in self.inside)
            or any(needle in raw for needle in self.needles)
            or any(needle in raw for needle in self.disguised)
            or _IN_TEXT.search(form) is not None
            or self._says_day(form)
        )

    def _says_day(self, form: str) -> bool:
        if not self.days:
            return False
        if self._spelled is None:
            every = sorted(form for day in self.days for form in spelled(day))
            self._spelled = re.compile(rf"(?<![0-9])(?:{'|'.join(every)})(?![0-9])")
        return self._spelled.search(dashed(form)) is not None

    def in_bytes(self, value: bytes) -> bool:
        """Tell whether a value holds an identifier's bytes or number, or something like one."""
        lower = value.lower()
        return (
            any(needle in lower for needle in self.needles)
            or any(number in value for number in self._binary())
            or _IN_BYTES.search(lower) is not None
        )

    def _binary(self) -> set[bytes]:
        """Return the long numbers as integers and reals of both byte orders."""
        found = set()
        for number in (int(digits) for digits in self.numbers if len(digits) >= SHORTEST_BINARY):
            if number < 1 << 32:
                found |= {struct.pack("<I", number), struct.pack(">I", number)}
            if number < 1 << 53:
                found |= {struct.pack("<d", number), struct.pack(">d", number)}
        return found

    def in_frames(self, value: bytes) -> bool:
        """Tell whether compressed frames hold an identifier's bytes, too many for an accident."""
        lower = value.lower()
        return any(needle in lower for needle in self.needles if len(needle) >= SHORTEST_IN_FRAMES)

    def in_number(self, value: bytes) -> bool:
        """Tell whether a decimal value, or what its values say together, is an identifier."""
        if not self.numbers.isdisjoint(_integers(value)):
            return True
        digits = value.translate(None, _NOT_DIGITS)
        return _IN_BYTES.search(value) is not None or any(
            number in digits for number in self.numbers if len(number) >= SHORTEST_JOINED
        )


def _integers(value: bytes) -> set[bytes]:
    """Return the long whole numbers, fractions and digits of each decimal value."""
    found = set()
    for whole, fraction in _DECIMAL.findall(value):
        bare = whole.lstrip(b"0")
        if len(bare) >= SHORTEST_NUMBER:
            found.add(bare)
        if len(fraction) >= SHORTEST_FRACTION:
            found.add(fraction.lstrip(b"0"))
        if len(bare + fraction) >= SHORTEST_FRACTION:
            found.add((bare + fraction).lstrip(b"0"))
    return found


def _unhyphenated(word: str) -> list[str]:
    """Return "xiaoming", "xiao" and "ming" for "xiao-ming"; of a number only the whole."""
    parts = _HYPHENS.split(word)
    if len(parts) == 1:
        return []
    return ["".join(parts), *(part for part in parts if part.isalpha())]


def _is_wide(word: str) -> bool:
    return len(word) >= SHORTEST_WIDE and any(ord(letter) >= WIDE_FROM for letter in word)


def _is_name(word: str) -> bool:
    return len(word) >= SHORTEST_LETTERS_INSIDE and (word.isalpha() or not word.isdecimal())
