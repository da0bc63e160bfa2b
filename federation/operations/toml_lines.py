"""Find on which line each key of a valid TOML document stands.

`tomllib` gives values without places. Here every statement of the document (a
`[header]`, or a `key = value` that may run over several lines) is parsed alone,
which tells its keys with all of TOML's spellings, and the line it began on.
"""

import tomllib
from collections.abc import Iterator, Mapping

KeyPath = tuple[str, ...]


def lines_of_keys(text: str) -> dict[KeyPath, int]:
    """Return the line, counted from 1, of every table and key of a valid document.

    Takes time in the square of the longest statement: bound the document first.
    """
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, statement in _statements(text.split("\n")):
        if statement.lstrip().startswith("["):
            table = _header(tomllib.loads(statement))
            found.setdefault(table, line)
            continue
        for path in _paths(tomllib.loads(statement)):
            found.setdefault((*table, *path), line)
    return found


def _statements(lines: list[str]) -> Iterator[tuple[int, str]]:
    begin = 0
    while begin < len(lines):
        end = begin + 1
        while end < len(lines) and not _is_whole("\n".join(lines[begin:end])):
            end += 1
        yield begin + 1, "\n".join(lines[begin:end])
        begin = end


def _is_whole(statement: str) -> bool:
    try:
        tomllib.loads(statement)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _header(parsed: Mapping[str, object]) -> KeyPath:
    path: KeyPath = ()
    inner: object = parsed
    while isinstance(inner, (dict, list)) and inner:
        if isinstance(inner, list):
            inner = inner[0]
            continue
        name, inner = next(iter(inner.items()))
        path = (*path, name)
    return path


def _paths(parsed: Mapping[str, object]) -> Iterator[KeyPath]:
    for name, inner in parsed.items():
        yield (name,)
        if isinstance(inner, dict):
            yield from ((name, *rest) for rest in _paths(inner))
