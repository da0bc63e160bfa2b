"""Decide whether what was read could name somebody.

A side marker alone says nothing about who is on a film, a name or a number
does. The rule, in this order:

1. A character counts when it is a letter, digit or ideograph read with at least
   `SURE_CHARACTER`, in a line read with at least `SURE_LINE` on average.
2. Words that positions and projections are marked with (`MARKERS`, 左, 右 and their
   like) do not count, alone or written together; I, L and 1 are taken for each
   other there, and so are O and 0.
3. A line tells when at least `TELLING` characters remain; an ideograph weighs two.
4. So does a picture whose lines, none telling alone, have `TELLING_TOGETHER`.
5. A line that cannot be read, or of which less was read than fits into its length,
   tells when it surely is one (`UNREAD_SCORE`, `UNREAD_LENGTH` times as long as high,
   at most `UNREAD_HIGHEST` pixels high): other scripts than Latin and Chinese look like that.
"""

import re
from dataclasses import dataclass

from clients.data.pixeltext.reader import Reading

SURE_CHARACTER = 0.5
SURE_LINE = 0.65
TELLING = 3
TELLING_TOGETHER = 6
UNREAD_SCORE = 0.8
UNREAD_LENGTH = 1.8
UNREAD_HIGHEST = 48
LEAST_READ = 0.6
"""Characters per height of a line, below which it was not read whole."""
IDEOGRAPH_WEIGHT = 2

MARKERS = frozenset(
    {"L", "R", "LT", "RT", "LI", "RE", "LEFT", "RIGHT", "LINKS", "RECHTS"}
    | {"AP", "PA", "LAT", "LATERAL", "LL", "RL", "LAO", "RAO", "LPO", "RPO", "OBL", "OBLIQUE"}
    | {"RAP", "RPA", "LPA", "APL", "APR", "PAR"}  # PAL and LAP are names
    | {"SUP", "SUPINE", "PRONE", "ERECT", "UPRIGHT", "SEMI", "SITTING", "STANDING"}
    | {"DECUB", "DECUBITUS", "STEHEND", "LIEGEND", "SITZEND", "BETT", "BETTAUFNAHME"}
    | {"PORTABLE", "MOBILE", "BEDSIDE", "BED", "CHEST", "ABDOMEN", "KUB", "ICU", "NICU", "CCU"}
    | {"INSP", "EXP", "INSPIRATION", "EXPIRATION", "WEIGHT", "BEARING"}
    | {"INTERNAL", "EXTERNAL", "ROTATION", "PRE", "POST", "UP", "DOWN", "DEGREES"}
)
TOGETHER_FROM = 4
"""Letters of a marker that may stand in one word with others, as in APPORTABLE."""
SIDES = frozenset("左右立臥卧仰坐")
_ALIKE = str.maketrans("I10", "LLO")
_FOLDED = frozenset(marker.translate(_ALIKE) for marker in MARKERS)
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Line:
    """A line as found: what it says and how it was detected.

    `height` is in pixels of the picture as it was given to the reader, `length`
    in heights.
    """

    reading: Reading
    score: float
    length: float
    height: int


def weight(line: Line) -> int:
    """Return how many characters of a line could identify somebody; ideographs are two."""
    if line.reading.sureness < SURE_LINE:
        return 0
    said = "".join(
        character if sure >= SURE_CHARACTER else " " for character, sure in line.reading.characters
    )
    return sum(_weight_of_word(word) for word in _WORD.findall(said.upper()))


def looks_like_a_line(line: Line) -> bool:
    """Return whether a line that could not be read has the shape of one."""
    read = line.reading
    poorly = read.sureness < SURE_LINE or len(read.characters) < LEAST_READ * line.length
    return (
        poorly
        and line.score >= UNREAD_SCORE
        and line.length >= UNREAD_LENGTH
        and line.height <= UNREAD_HIGHEST
    )


def tells(lines: list[Line]) -> bool:
    """Return whether the lines of one picture could name somebody."""
    weights = [weight(line) for line in lines]
    return (
        max(weights, default=0) >= TELLING
        or sum(weights) >= TELLING_TOGETHER
        or any(looks_like_a_line(line) for line in lines)
    )


def _weight_of_word(word: str) -> int:
    if _is_marker(word):
        return 0
    return sum(IDEOGRAPH_WEIGHT if ord(character) > 0x2E7F else 1 for character in word)


def _is_marker(word: str) -> bool:
    if set(word) <= SIDES:
        return True
    folded = word.translate(_ALIKE)
    if folded in _FOLDED:
        return True
    return any(
        (folded.startswith(marker) and folded[len(marker) :] in _FOLDED)
        or (folded.endswith(marker) and folded[: -len(marker)] in _FOLDED)
        for marker in _FOLDED
        if len(marker) >= TOGETHER_FROM
    )
