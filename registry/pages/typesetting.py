"""Set numbers, times, digests and Chinese punctuation as a printed register would.

Only the register's own words are set; what people wrote into records stays as signed.
"""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from federation.domain.cells import SMALL_CELL
from federation.evidence.model_version import Bilingual
from federation.wording import Language, Text

TAIPEI = ZoneInfo("Asia/Taipei")
NONE = "–"

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_CJK = "\u2e80-\u2fff\u3001-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff65"
_FULL = str.maketrans({",": "\uff0c", ":": "\uff1a", ";": "\uff1b", "?": "\uff1f", "!": "\uff01"})
_MARK = re.compile(rf"(?<=[{_CJK}])[,:;?!] ?|[,:;?!](?=[{_CJK}])")
_BRACKETS = re.compile(r"\(([^()]*)\)")
_HAS_CJK = re.compile(rf"[{_CJK}]")
_FEW = Text(en="under {least}", zh="少於 {least}")

Worded = Text | Bilingual | str


def say(text: Worded, language: Language) -> str:
    """Return a text in one language: ours set, what people wrote as it is."""
    match text:
        case Text():
            return set_in(language, text.say(language))
        case Bilingual():
            return text.zh if language is Language.ZH_HANT_TW else text.en
    return text


def set_in(language: Language, text: str) -> str:
    """Return a sentence of ours with the punctuation of its language."""
    return full_width(text) if language is Language.ZH_HANT_TW else text


def full_width(text: str) -> str:
    """Return Chinese with full-width marks where they touch it (Unicode UAX #11, wide)."""
    text = _BRACKETS.sub(lambda found: _bracketed(text, found), text)
    return _MARK.sub(lambda found: found[0].strip().translate(_FULL), text)


def _bracketed(text: str, found: re.Match[str]) -> str:
    around = text[max(found.start() - 1, 0) : found.start()] + text[found.end() : found.end() + 1]
    if _HAS_CJK.search(found[1] + around):
        return f"\uff08{found[1]}\uff09"
    return found[0]


def taipei(moment: str) -> str:
    """Return an RFC 3339 time as date and minute in Taipei."""
    return datetime.fromisoformat(moment).astimezone(TAIPEI).strftime("%Y-%m-%d %H:%M")


def day(moment: str) -> str:
    """Return the day of an RFC 3339 time in Taipei."""
    return taipei(moment)[:10]


def figure(value: float) -> str:
    """Return an estimate with three decimals."""
    return f"{value:.3f}"


def power(value: float) -> str:
    """Return a small number as a power of ten, for example 1 × 10⁻⁵."""
    digits, _, exponent = f"{value:.0e}".partition("e")
    raised = str(int(exponent)).translate(_RAISED)
    return f"{digits} × 10{raised}"


def count(number: int | None, language: Language) -> str:
    """Return a number of people; one below ten (or kept back) is not told."""
    if number is None or 0 < number < SMALL_CELL:
        return set_in(language, _FEW.say(language, least=SMALL_CELL))
    return f"{number:,}"


def short(digest: str) -> str:
    """Return the first 12 digits of a digest; what is none stays whole."""
    return digest[7:19] if digest.startswith("sha256:") else digest
