"""Read text in whatever character set it is really in, and spell a word in all of them.

`decode` is strict: it follows Specific Character Set with ISO 2022 code extensions
(PS3.5 6.1.2.5: escapes, back to the first set at a delimiter), takes undeclared or
mis-declared text for UTF-8 where it is valid UTF-8, and gives None for the rest.
`readings` is generous: all that a value could mean, for those who search what must
not stay. `spellings` are the bytes of a word in every encoding in use.
"""

import base64
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from pydicom.charset import CODES_TO_ENCODINGS, python_encoding

ASCII_ONLY = ("ascii",)
"""What an absent Specific Character Set means (PS3.3 C.12.1.1.2)."""
CANDIDATES = ("utf-8", "cp950", "gb18030", "shift_jis", "euc_kr", "euc_jp", "latin-1")
"""What text in hospitals of East Asia and Europe may be in, whatever it declares."""
SPELLED = (
    *("utf-8", "utf-16-le", "utf-16-be", "big5", "cp950", "gb18030", "shift_jis", "euc_jp"),
    *("euc_kr", "iso2022_jp", "iso2022_kr", "latin-1"),
)
SHORTEST_DISGUISE = 7
"""Characters of Base64 or hexadecimal from which a form is no accident."""
_MANY_BYTES = frozenset(
    {"utf8", "gb18030", "gbk", "gb2312", "shift_jis", "iso2022_jp", "iso2022_jp_2", "euc_kr"}
    | {"iso_ir_58"}
)
_PLAIN = re.compile(rb"[ -~]*")
_ESCAPE = re.compile(rb"(\x1b(?:\$[()]?|[(\-)./])[@-~])")
_RESET = re.compile(rb"[\\^=\r\n\t\f]")
_MARKS = frozenset("°µ²³·®" + "\N{NO-BREAK SPACE}")
_ASCII_ESCAPE = b"\x1b(B"


@lru_cache(maxsize=256)
def encodings_of(declared: str) -> tuple[str, ...]:
    """Return Python encodings for Specific Character Set; none when it is not understood."""
    terms = [term.strip() for term in declared.split("\\")]
    found = [python_encoding.get(term) for term in terms]
    if not all(found):
        return ()
    return tuple("ascii" if term in _ASCII_TERMS else str(python_encoding[term]) for term in terms)


_ASCII_TERMS = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})


def decode(value: bytes, encodings: Sequence[str]) -> str | None:
    """Return text without padding, None when it is not in the declared character sets."""
    if _PLAIN.fullmatch(value):
        return value.decode("ascii").strip(" ")
    text = _declared(value, encodings)
    if text is None:
        return None
    clean = text.strip(" \0")
    return clean if clean.isprintable() else None


def _declared(value: bytes, encodings: Sequence[str]) -> str | None:
    if b"\x1b" in value:
        return _extended(value, encodings or ASCII_ONLY)
    first = encodings[0] if encodings else "ascii"
    one_byte = first.lower() not in _MANY_BYTES
    if not value.isascii() and (one_byte or not encodings):
        real = _strict(value, "utf-8")  # declared otherwise, but no other text is valid UTF-8
        if real is not None:
            return real
    text = _strict(value, first)
    return text if text is None or not one_byte or _plausible(text) else None


def _extended(value: bytes, encodings: Sequence[str]) -> str | None:
    """Return text with ISO 2022 escape sequences resolved, None when one is unknown."""
    start, *rest = _ESCAPE.split(value)
    parts = [_strict(start, encodings[0])]
    for escape, data in zip(rest[::2], rest[1::2], strict=True):
        encoding = CODES_TO_ENCODINGS.get(escape)
        parts.append(None if encoding is None else _piece(escape, data, encoding, encodings[0]))
    return None if None in parts else "".join(part for part in parts if part is not None)


def _piece(escape: bytes, data: bytes, encoding: str, first: str) -> str | None:
    """Return what stands between one escape sequence and the next."""
    if escape == _ASCII_ESCAPE:
        return _strict(data, first)
    if encoding in ("iso2022_jp", "iso2022_jp_2"):  # seven bits: a delimiter is ASCII again
        return _strict(escape + data + _ASCII_ESCAPE, encoding)
    encoding = "gb2312" if encoding == "iso_ir_58" else encoding
    delimiter = _RESET.search(data)
    if delimiter and encoding != "shift_jis":
        before = _strict(data[: delimiter.start()], encoding)
        after = _strict(data[delimiter.start() :], first)
        if before is not None and after is not None:
            return before + after
    return _strict(data, encoding)


def _strict(value: bytes, encoding: str) -> str | None:
    try:
        return value.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _plausible(text: str) -> bool:
    """Tell whether text of a one-byte character set is writing: letters, digits, few marks."""
    return all(
        letter.isascii() or letter in _MARKS or unicodedata.category(letter)[0] in "LMN"
        for letter in text
    )


def readings(value: bytes, encodings: Sequence[str]) -> set[str]:
    """Return everything that a value may say: declared, and in each encoding in use."""
    if _PLAIN.fullmatch(value):
        return {value.decode("ascii")}
    found = {_declared(value, encodings)} | {_strict(value, name) for name in CANDIDATES}
    if b"\x1b" in value:
        found |= {_extended(value, ASCII_ONLY), _extended(value, ("latin-1",))}
    found |= {_strict(value, name) for name in encodings}
    if b"\0" in value.rstrip(b" \0"):
        found |= {_strict(value, "utf-16-le"), _strict(value, "utf-16-be")}
    return {text for text in found if text}


@lru_cache(maxsize=2048)
def spellings(word: str) -> frozenset[bytes]:
    """Return the bytes of a word in every encoding, lower-cased as ASCII is."""
    if word.isascii():
        plain = word.encode()
        return frozenset({plain, word.encode("utf-16-le")[:-1]})  # also inside utf-16-be
    found = {_encoded(word, name) for name in SPELLED}
    return frozenset(bare.lower() for bare in found if len(bare) > 3)


@lru_cache(maxsize=2048)
def disguises(word: str) -> frozenset[bytes]:
    """Return an identifier in hexadecimal and, wherever it starts, in Base64; lower-cased."""
    found = set()
    for raw in _raw_forms(word):
        found.add(raw.hex().encode())
        for lead in range(3):  # only characters that no neighbouring byte can change
            coded = base64.b64encode(b"\0" * lead + raw)
            found.add(coded[-(-8 * lead // 6) : (lead + len(raw)) * 8 // 6].lower())
    return frozenset(form for form in found if len(form) >= SHORTEST_DISGUISE)


def _raw_forms(word: str) -> set[bytes]:
    if word.isascii():
        cases = {word, word.upper(), word.title()}
        return {one.encode(name) for one in cases for name in ("utf-8", "utf-16-le")}
    return {_encoded(word, name) for name in SPELLED} - {b""}


def _encoded(word: str, encoding: str) -> bytes:
    try:
        raw = word.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return b""
    if encoding.startswith("iso2022"):
        raw = _ESCAPE.sub(b"", raw).strip(b"\x0e\x0f")
    return raw
