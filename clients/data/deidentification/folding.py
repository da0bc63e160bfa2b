"""Bring text into the one form in which names and numbers are compared.

`folded` drops what writing adds to letters: case, accents, full and half width,
katakana instead of hiragana, invisible characters, letters of other scripts that look
Latin. `forms` are all that one text may say, also where it is escaped as in an
address or a web page. `squeezed` keeps letters and digits alone, so that no mark or
blank between them hides a word; `tokens` cuts where marks, case or digits change.
"""

import html
import itertools
import re
import unicodedata
from urllib.parse import unquote

_LATIN = str.maketrans(
    "łđøıħŧæœþðавекмнорстухіјѕԁɡαερτυνικοχ",
    "ldoihtaotdabekmhopctyxijsdgaeptuvikox",
)
"""Letters that have no accent to drop, and Cyrillic and Greek ones that look Latin."""
_SPELLED_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae"})
_HIRAGANA = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}
_UNSEEN = frozenset({"Mn", "Me", "Cf"})
_WORD = re.compile(r"[^\W_]+")
_PIECE = re.compile(r"[A-Z]?[^\W\dA-Z_]+|[A-Z]+(?![a-z])|\d+")
_ASCII_MARKS = "".join(chr(code) for code in range(128) if not chr(code).isalnum())
_WITHOUT_MARKS = str.maketrans("", "", _ASCII_MARKS)
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}|&[#A-Za-z]")


def folded(text: str) -> str:
    """Return a text in the form in which it is compared."""
    return text.casefold() if text.isascii() else _bare(text).casefold().translate(_LATIN)


def forms(text: str) -> set[str]:
    """Return every reading of a text, folded: with umlauts spelled out, and unescaped."""
    if text.isascii() and not _ESCAPED.search(text):
        return {text.casefold()}
    plain = {text}
    if _ESCAPED.search(text):
        plain |= {unquote(text), html.unescape(text)}
    found = set()
    for one in plain:
        whole = unicodedata.normalize("NFKC", one).casefold()
        found |= {folded(one), folded(whole.translate(_SPELLED_OUT))}
    return found


def squeezed(text: str) -> str:
    """Return the letters and digits of a folded text."""
    if text.isascii():
        return text.translate(_WITHOUT_MARKS)
    return "".join(_WORD.findall(text))


def words(text: str) -> set[str]:
    """Return the words of a folded text, and each two neighbours as one."""
    found = _WORD.findall(text)
    return {*found, *map("".join, itertools.pairwise(found))}


def pieces(text: str) -> set[str]:
    """Return the folded parts of words in which case or digits change, as in JohnSmith1."""
    return {folded(piece) for piece in _PIECE.findall(text if text.isascii() else _bare(text))}


def _bare(text: str) -> str:
    """Return a text without accents, widths and what is not seen."""
    apart = unicodedata.normalize("NFKD", text).translate(_HIRAGANA)
    return "".join(
        str(unicodedata.digit(letter, letter))
        for letter in apart
        if unicodedata.category(letter) not in _UNSEEN
    )
