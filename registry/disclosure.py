"""What a record may tell: no patient's identifier, no small count, no count by subtraction.

    class Feedback(OpenBody): ...              # every text in it is looked at
    patients: People                           # 0, ten or more, or None: suppressed
    counts: CountTable                         # cells beside their total

Every record is meant to be read by people outside the hospital. A count of 1 to 9
patients is never in one (the policy's k may be larger, never smaller), nor is a single
hidden cell beside its total, nor hidden cells that add up to fewer than k. Identifiers
are recognised by their form; a name is not, which is why texts are short and reviewed.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from federation.domain.cells import SMALL_CELL
from federation.evidence.model_version import Line
from registry.records.shapes import Body

_NATIONAL_ID = re.compile(r"(?<![0-9A-Za-z])([A-Z])([1289A-D])([0-9]{8})(?![0-9A-Za-z])", re.I)
_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 1)
_UID = re.compile(r"(?<![0-9])(?<![0-9]\.)[0-2](?:\.[0-9]{1,39}){5,}(?!\.?[0-9])")
_UUID_UID = re.compile(r"(?<![0-9])(?<![0-9]\.)2\.25\.[0-9]{20,39}")
_PATIENT_REFERENCE = re.compile(r"(?<![A-Za-z])Patient/[A-Za-z0-9.-]{1,64}")
_NAMED_NUMBER = re.compile(
    r"(?:病歷號碼?|身[分份]證(?:字號|號碼)?|健保卡號?|居留證號?|"
    r"(?<![a-z])(?:mrn|chart (?:no|number)|medical record (?:no|number)|patient ?id)(?![a-z]))"
    r"[\s.:#=::是為]{0,4}[A-Za-z]{0,3}[0-9][0-9-]{3,}",
    re.I,
)


class OpenBody(Body):
    """Content in which no text holds what looks like a patient's identifier."""

    @model_validator(mode="after")
    def _names_no_patient(self) -> Self:
        for path, text in _texts(self.model_dump(mode="json")):
            if identifies(text):
                raise ValueError(f"{path}: what looks like a patient's identifier is not allowed")
        return self


def identifies(text: str) -> bool:
    """Say whether a text holds what looks like a patient's identifier.

    Looked for: a national id or residence permit with its check digit, an identifier after
    the words that announce one, a DICOM UID, a reference to a FHIR Patient; full-width
    letters and digits are read as the plain ones.
    """
    text = unicodedata.normalize("NFKC", text)
    patterns = (_UID, _UUID_UID, _PATIENT_REFERENCE, _NAMED_NUMBER)
    if any(pattern.search(text) for pattern in patterns):
        return True
    return any(_checks(*found.groups()) for found in _NATIONAL_ID.finditer(text))


def _checks(letter: str, second: str, rest: str) -> bool:
    """Say whether the check digit fits: letters count 10 to 35, weights 1, 9, 8 ... 1, 1."""
    area = 10 + _LETTERS.index(letter.upper())
    sex = int(second) if second.isdigit() else _LETTERS.index(second.upper()) % 10
    digits = (sex, *(int(one) for one in rest[:7]))
    total = area // 10 + area % 10 * 9
    total += sum(digit * weight for digit, weight in zip(digits, _WEIGHTS, strict=True))
    return (total + int(rest[7])) % 10 == 0


def _not_small(count: int) -> int:
    if 0 < count < SMALL_CELL:
        raise ValueError(f"a count from 1 to {SMALL_CELL - 1} is not recorded; suppress it (null)")
    return count


_Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
People = Annotated[_Count, AfterValidator(_not_small)] | None
"""A number of patients or cases; None where it is suppressed."""

Tens = Annotated[int, Field(ge=0, le=2**53 - 1, multiple_of=SMALL_CELL)] | None
"""A number that is written again and again, in whole tens (rounded down), so that two
revisions never differ by a few people; None where it is suppressed."""


class Cell(Body):
    """One cell of a table; `n` is None where it is hidden."""

    name: Line
    n: _Count | None


class CountTable(Body):
    """Cells that add up to a total, none of which shows fewer than `smallest` people.

    `smallest` is the k of the site's policy, at least the platform's ten.
    """

    smallest: Annotated[int, Field(ge=SMALL_CELL, le=10_000)] = SMALL_CELL
    total: _Count | None
    cells: Annotated[tuple[Cell, ...], Field(max_length=500)]

    @model_validator(mode="after")
    def _shows_nobody(self) -> Self:
        names = [cell.name for cell in self.cells]
        if len(names) != len(set(names)):
            raise ValueError("a cell occurs twice")
        why = gives_away(self.total, [cell.n for cell in self.cells], smallest=self.smallest)
        if why is not None:
            raise ValueError(why)
        return self

    def as_mapping(self) -> dict[str, int | None]:
        """Return the cells by name."""
        return {cell.name: cell.n for cell in self.cells}


def gives_away(
    total: int | None, cells: Sequence[int | None], *, smallest: int = SMALL_CELL
) -> str | None:
    """Return why cells and their total show fewer than `smallest` people, None if they do not."""
    shown = [cell for cell in cells if cell is not None]
    hidden = len(cells) - len(shown)
    if any(0 < one < smallest for one in [*shown, *([] if total is None else [total])]):
        return f"a count from 1 to {smallest - 1} is shown"
    if total is None or not cells:
        return None
    left = total - sum(shown)
    if left < 0 or (left > 0 and not hidden):
        return "the cells do not add up to the total"
    if hidden == 1:
        return "the one hidden cell follows from the total; hide another one"
    if hidden and left < smallest:
        return "the hidden cells together are fewer than the smallest count allowed"
    return None


def _texts(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text in plain JSON with its place; keys are texts too."""
    match value:
        case str():
            yield path or "text", value
        case Mapping():
            for key, item in value.items():
                yield f"{path}.key".lstrip("."), str(key)
                yield from _texts(item, f"{path}.{key}".lstrip(".")[:200])
        case list() | tuple():
            for place, item in enumerate(value):
                yield from _texts(item, f"{path}.{place}".lstrip("."))
