"""Build the Flower bundle that the centre starts runs with: a form, not code.

Flower wants a bundle (FAB) for every run and would send its content to every
node. This one holds a `pyproject.toml` that names nothing, a README and a
manifest; there is no Python in it. It is made here byte for byte, the same on
every machine, so that its digest is known in advance.
"""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cache

_DATE = (2024, 10, 1, 0, 0, 0)

_PYPROJECT = """\
[project]
name = "trifed-thin"
version = "1.0.0"
description = "TriFed: parameters travel, code does not"
license = "Apache-2.0"
dependencies = []

[tool.flwr.app]
publisher = "trifed"
fab-include = ["README.md"]

[tool.flwr.app.components]
serverapp = "trifed_runs_no_bundle:serverapp"
clientapp = "trifed_runs_no_bundle:clientapp"

[tool.flwr.app.config]
"""

_README = """\
# TriFed's thin bundle

This bundle holds no code. A node runs the TriFed that its hospital installed
and refuses every bundle whose digest the centre has not announced to it.
"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle's bytes and their SHA-256, 64 hexadecimal digits, as Flower writes it."""

    content: bytes
    digest: str


@cache
def thin_bundle() -> Bundle:
    """Return the one bundle of this version."""
    files = {"pyproject.toml": _PYPROJECT.encode(), "README.md": _README.encode()}
    manifest = "\n".join(
        f"{name},{hashlib.sha256(content).hexdigest()},{8 * len(content)}"
        for name, content in files.items()
    )
    content = _zipped({**files, ".info/CONTENT": manifest.encode()})
    return Bundle(content, hashlib.sha256(content).hexdigest())


def _zipped(files: dict[str, bytes]) -> bytes:
    """Return the files uncompressed in an archive, so that no zlib changes the bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = 3
            archive.writestr(entry, content)
    return buffer.getvalue()
