"""Characters that no text of the register holds: unseen themselves, they change what is seen.

Controls, marks that turn the direction of writing (Unicode UAX 9), invisible separators:
with them "evil" is read as "live", and two different names look the same.
"""

import re

UNSEEN = "\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
"""They, as they stand between the brackets of a regular expression."""

_FOUND = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f{UNSEEN}]")


def unseen_in(value: object) -> bool:
    """Say whether a text anywhere in a JSON value holds one; line feeds and tabs are none."""
    match value:
        case str():
            return _FOUND.search(value) is not None
        case dict():
            return any(unseen_in(part) for pair in value.items() for part in pair)
        case list() | tuple():
            return any(unseen_in(part) for part in value)
    return False
