"""Name the things of the domain: sites, studies, runs, digests.

An id is a `str` that was checked when made, so it can go into a file name, a
log line or a URL without another look. Make one at the edge, pass it inside.
"""

import hashlib
import re
from typing import ClassVar, Self

from federation.errors.core import InvalidIdError


class Id(str):
    """A checked name; subclasses say how it is spelled.

    Raises
    ------
    InvalidIdError
        If the text does not match the pattern of its kind.
    """

    __slots__ = ()
    kind: ClassVar[str]
    rule: ClassVar[str]
    example: ClassVar[str]
    pattern: ClassVar[re.Pattern[str]]

    def __new__(cls, text: str) -> Self:
        """Return `text` as this kind of id, checked."""
        if not cls.pattern.fullmatch(text):
            raise InvalidIdError(
                text=repr(text[:80]), kind=cls.kind, rule=cls.rule, example=cls.example
            )
        return super().__new__(cls, text)


_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


class SiteId(Id):
    """The short name of a hospital's node."""

    __slots__ = ()
    kind = "site name"
    rule = "1 to 40 lower-case letters, digits and inner hyphens"
    example = "tainan-1"
    pattern = _SLUG


class StudyId(Id):
    """The short name of a study."""

    __slots__ = ()
    kind = "study name"
    rule = "1 to 40 lower-case letters, digits and inner hyphens"
    example = "cxr-2026"
    pattern = _SLUG


class RunId(Id):
    """One execution of a study: the study's name, a dot, a running number."""

    __slots__ = ()
    kind = "run name"
    rule = "a study name, a dot and a number"
    example = "cxr-2026.1"
    pattern = re.compile(_SLUG.pattern + r"\.[1-9][0-9]{0,8}")

    @classmethod
    def of(cls, study: StudyId, number: int) -> Self:
        """Return the id of the `number`-th run of a study, counted from 1."""
        return cls(f"{study}.{number}")


class Sha256(Id):
    """A content id: `sha256:` and 64 lower-case hexadecimal digits."""

    __slots__ = ()
    kind = "content id"
    rule = "sha256: and 64 lower-case hexadecimal digits"
    example = "sha256:" + 64 * "0"
    pattern = re.compile(r"sha256:[0-9a-f]{64}")

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Return the content id of some bytes."""
        return cls("sha256:" + hashlib.sha256(content).hexdigest())

    @property
    def hex(self) -> str:
        """Return the 64 hexadecimal digits alone."""
        return self.removeprefix("sha256:")
