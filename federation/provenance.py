"""Say which code and which environment ran, as digests anyone can recompute.

A hospital approves the wheel it installed; evidence names the same digest. It
covers every source and data file of the four packages, in path order.
"""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec
from pathlib import Path

from federation.domain.ids import Sha256

PACKAGES = ("clients", "federation", "registry", "strategies")
SUFFIXES = frozenset({".py", ".toml", ".json", ".proto"})


def software_version() -> str:
    """Return the installed version of TriFed."""
    try:
        return version("trifed")
    except PackageNotFoundError:
        return "0+unknown"


@cache
def code_digest() -> Sha256:
    """Return the content id of the installed code of the four packages."""
    lines = [
        f"{name}/{path.relative_to(folder).as_posix()} {Sha256.of(path.read_bytes())}"
        for name, folder in _folders()
        for path in sorted(folder.rglob("*"))
        if path.suffix in SUFFIXES and "__pycache__" not in path.parts
    ]
    return Sha256.of("\n".join(lines).encode())


@cache
def environment_digest() -> Sha256:
    """Return the content id of the Python version and every installed package version."""
    packages = {f"{item.name.lower()}=={item.version}" for item in distributions()}
    text = "\n".join([f"python=={platform.python_version()}", *sorted(packages)])
    return Sha256.of(text.encode())


def _folders() -> list[tuple[str, Path]]:
    found = []
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"the package {name} of TriFed is not installed")
        found.append((name, Path(spec.origin).parent))
    return found
