"""Say whether a value is spelled as its value representation demands (PS3.5 6.2)."""

import re

SPELLING = {
    "CS": re.compile(rb"[A-Za-z0-9 _.+/-]{0,16}"),
    "DS": re.compile(rb" *([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?)? *"),
    "IS": re.compile(rb" *([+-]?[0-9]{1,12})? *"),
    "AS": re.compile(rb"([0-9]{3}[DWMY])?"),
    "UI": re.compile(rb"[0-9.]{0,64}"),
    "DA": re.compile(rb"([0-9]{8})?"),
    "DT": re.compile(rb"([0-9]{4,14}(\.[0-9]{1,6})?([+-][0-9]{4})?)?"),
    "TM": re.compile(rb"([0-9]{2}(:?[0-9]{2}(:?[0-9]{2}(\.[0-9]{1,6})?)?)?)? *"),
}
ZONE = re.compile(rb"[+-][0-9]{4} *")
DATE = re.compile(rb"([0-9]{4})\.?([0-9]{2})\.?([0-9]{2})")
TIME_OF_DT = re.compile(
    rb"([01][0-9]|2[0-3])([0-5][0-9]([0-5][0-9]|60)?)?(\.[0-9]{1,6})?([+-][0-9]{4})?"
)
"""What may follow the day in a DT."""
DIGITS = re.compile(rb"[0-9.]*")
SIZES = {"AT": 4, "FD": 8, "FL": 4, "SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8}
"""Bytes of one value of the binary numbers."""
LONGEST_NUMBER = 16
"""Characters of a DS."""
_LETTERS = re.compile(rb"[A-Za-z][A-Za-z0-9 ^,.'-]{6}[A-Za-z0-9]")


def is_spelled(value: bytes, vr: str) -> bool:
    """Tell whether every value of an attribute of numbers or codes is spelled as one."""
    spelling, parts = SPELLING[vr], value.split(b"\\")
    if vr == "DS" and max(map(len, parts)) > LONGEST_NUMBER:
        return False
    return all(map(spelling.fullmatch, parts))


def says_text(numbers: bytes) -> bool:
    """Tell whether binary numbers are eight or more letters in a row: a name put into them."""
    return _LETTERS.search(numbers) is not None
