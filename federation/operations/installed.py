"""Check that what is installed is what this version of TriFed asks for.

Reads the requirements that the wheel itself declares, so there is no second
list. Understands the version specifiers that pyproject.toml uses (`==`, `>=`,
`<`, `<=`, `>`) and reports anything else as not understood.
"""

import importlib.util
import re
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import federation
from federation.errors.machine import ImportNamesTakenError, WrongVersionError

IMPORT_NAMES = ("federation", "clients", "strategies", "registry")
DISTRIBUTION = "trifed"

_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*(?P<range>[^;]*)(?:;\s*(?P<marker>.*))?"
)
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_BOUND = re.compile(r"(==|>=|<=|<|>)\s*([0-9]+(?:\.[0-9]+)*)(\.\*)?")


def check_import_names() -> None:
    """Raise unless the four import names come from one and the same place.

    Their names are generic: a folder `registry/` in the working directory would
    quietly take the place of ours.

    Raises
    ------
    ImportNamesTakenError
        If one of them is missing or lies elsewhere than `federation`.
    """
    home = Path(federation.__file__).resolve().parent.parent
    for name in IMPORT_NAMES:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.origin or Path(spec.origin).resolve().parents[1] != home:
            raise ImportNamesTakenError(name=name)


def wrong_versions(extras: Iterable[str]) -> Iterator[WrongVersionError]:
    """Yield an error for every requirement, of the core and of `extras`, that is not met."""
    wanted_extras = set(extras)
    for line in _requirements():
        match = _REQUIREMENT.fullmatch(line.strip())
        if match is None:
            yield WrongVersionError(package=line[:40], found="-", wanted="-")
            continue
        extra = _EXTRA.search(match["marker"] or "")
        if extra is None or extra[1] in wanted_extras:
            yield from _unmet(match["name"], match["range"].strip())


def _requirements() -> list[str]:
    try:
        return metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return [f"{DISTRIBUTION}>=0"]


def _unmet(name: str, wanted: str) -> Iterator[WrongVersionError]:
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        yield WrongVersionError(package=name, found="missing", wanted=wanted or "any version")
        return
    if not all(is_met(found, bound.strip()) for bound in wanted.split(",") if bound.strip()):
        yield WrongVersionError(package=name, found=found, wanted=wanted)


def is_met(found: str, bound: str) -> bool:
    """Return whether a version is within a bound such as ``>=2.8``; an unknown one is not met."""
    match = _BOUND.fullmatch(bound)
    if match is None:
        return False
    ours, theirs = _release(found), _release(match[2])
    if match[3]:
        return match[1] == "==" and ours[: len(theirs)] == theirs
    width = max(len(ours), len(theirs))
    ours += (0,) * (width - len(ours))
    theirs += (0,) * (width - len(theirs))
    return {
        "==": ours == theirs,
        ">=": ours >= theirs,
        "<=": ours <= theirs,
        "<": ours < theirs,
        ">": ours > theirs,
    }[match[1]]


def _release(version: str) -> tuple[int, ...]:
    numbers = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return tuple(int(part) for part in numbers[0].split(".")) if numbers else ()
