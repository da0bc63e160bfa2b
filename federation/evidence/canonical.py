"""Give every JSON value exactly one form in bytes, so that it can be hashed and signed.

RFC 8785 (JCS) through the `rfc8785` package, with one more rule: what is
written must be readable again as the same value, so a number beyond 2^53 is
refused also when it is a float.
"""

import json
from typing import NoReturn

import rfc8785

from federation.domain.ids import Sha256
from federation.errors.signed import NotCanonicalError

MAX_SAFE_INTEGER = 2**53 - 1
MAX_DEPTH = 64
_EXPONENT_FROM = 1e21  # RFC 8785 3.2.2.3: from here on a number is written with an exponent


def canonical(value: object) -> bytes:
    """Return the RFC 8785 bytes of a JSON value.

    Raises
    ------
    NotCanonicalError
        If it holds NaN, an infinity, a number beyond 2^53, a key that is not
        text, text that is not Unicode, or anything that is not JSON.
    """
    _check(value, depth=0)
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except ValueError as error:
        raise NotCanonicalError(why="text that is not valid Unicode") from error


def digest_of(value: object) -> Sha256:
    """Return the content id of a JSON value: SHA-256 over its canonical bytes."""
    return Sha256.of(canonical(value))


def parse(content: bytes | str) -> object:
    """Return the JSON value in `content`, under the rules that `canonical` keeps.

    Raises
    ------
    NotCanonicalError
        If it is not JSON, a key repeats, or a number or text is out of range.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        value: object = json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        raise NotCanonicalError(why="not UTF-8") from error
    except RecursionError as error:
        raise NotCanonicalError(why="nested too deeply") from error
    except ValueError as error:
        raise NotCanonicalError(why="not JSON") from error
    _check(value, depth=0)
    return value


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotCanonicalError(why="a key occurs twice")
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise NotCanonicalError(why=f"{text} is not a number")


def _check(value: object, *, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotCanonicalError(why="nested too deeply")
    match value:
        case None | bool() | str():
            return
        case int():
            _check_integer(value)
        case float():
            _check_float(value)
        case list() | tuple():
            for item in value:
                _check(item, depth=depth + 1)
        case dict():
            _check_object(value, depth=depth)
        case _:
            raise NotCanonicalError(why=f"a {type(value).__name__} is not JSON")


def _check_object(value: dict[object, object], *, depth: int) -> None:
    for key, item in value.items():
        if not isinstance(key, str):
            raise NotCanonicalError(why="a key is not text")
        _check(item, depth=depth + 1)


def _check_integer(value: int) -> None:
    if abs(value) > MAX_SAFE_INTEGER:
        raise NotCanonicalError(why="an integer beyond 2^53")


def _check_float(value: float) -> None:
    if value != value or value in (float("inf"), float("-inf")):
        raise NotCanonicalError(why="a number that is not finite")
    if MAX_SAFE_INTEGER < abs(value) < _EXPONENT_FROM:
        raise NotCanonicalError(why="a number beyond 2^53")
