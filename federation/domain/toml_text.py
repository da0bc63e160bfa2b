"""Parse TOML that somebody else wrote, so that no file costs more than its size.

The standard library's parser takes time that grows with the square of a dotted key's
length: a megabyte of ``a.a.a...`` costs hours. It also raises other errors than its own,
for a number of thousands of digits or for brackets that nest too deep. Here each of them
is a `ValueError`; callers turn it into their coded refusal, and those who know how large
their file may be look at its size before.
"""

import re
import tomllib
from itertools import groupby, pairwise

MOST_BYTES = 4 * 2**20
"""No file that people write is larger; most readers have a limit of their own below it."""

MAX_PARTS = 32
"""So many parts may a dotted key have, and so deep may tables and lists nest."""

_TOKEN = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*'|[A-Za-z0-9_+-]+|\.|\n|[^\s]")
_DOT = "."
_TOO_DEEP = f"brackets nest deeper than {MAX_PARTS}"


class TooDeepError(ValueError):
    """A key, or brackets, are nested deeper than anything a person writes."""


def parse_toml(content: bytes) -> dict[str, object]:
    """Return what a file says.

    Raises
    ------
    TooDeepError
        If something nests deeper than `MAX_PARTS`; it is a `ValueError`.
    ValueError
        If it is larger than `MOST_BYTES`, or no TOML in UTF-8.
    """
    if len(content) > MOST_BYTES:
        raise ValueError(f"the file is larger than {MOST_BYTES // 2**20} MiB")
    text = content.decode("utf-8")
    if _longest_key(text) > MAX_PARTS:
        raise TooDeepError(f"a key has more than {MAX_PARTS} parts")
    try:
        found = tomllib.loads(text)
    except RecursionError as error:
        raise TooDeepError(_TOO_DEEP) from error
    if _depth(found) > MAX_PARTS:
        raise TooDeepError(_TOO_DEEP)
    return found


def _longest_key(text: str) -> int:
    """Return the most parts that dots join anywhere; text in many lines is read the same way."""
    if text.count(_DOT) < MAX_PARTS:
        return 1
    tokens = [one.group() for one in _TOKEN.finditer(text)]
    joins = ((one == _DOT) != (other == _DOT) for one, other in pairwise(tokens))
    runs = (sum(1 for _ in run) for joined, run in groupby(joins) if joined)
    return 1 + max(runs, default=0) // 2


def _depth(value: object) -> int:
    """Return how deep tables and lists nest; without recursion, so of any depth."""
    layer, depth = [value], 0
    while layer:
        depth += 1
        layer = [part for one in layer for part in _parts(one) if isinstance(part, dict | list)]
    return depth


def _parts(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
