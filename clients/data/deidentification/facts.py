"""Read a table of the standard that comes with the wheel, and believe it only with its checksum."""

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from federation.errors.data import ProfileTableError


@dataclass(frozen=True, slots=True)
class Facts:
    """A table as written down: edition of the standard, SHA-256 of the rows, the rows."""

    edition: str
    sha256: str
    rows: Any


def read_facts(file: str) -> Facts:
    """Return the table in a file of this folder.

    Raises
    ------
    ProfileTableError
        If its rows do not have the checksum written beside them.
    """
    raw = json.loads(resources.files(__package__).joinpath(file).read_text("utf-8"))
    packed = json.dumps(raw["rows"], sort_keys=True, separators=(",", ":")).encode()
    if hashlib.sha256(packed).hexdigest() != raw["sha256"]:
        raise ProfileTableError()
    return Facts(edition=raw["edition"], sha256=raw["sha256"], rows=raw["rows"])
