"""What a cohort is asked for by: a small typed question to the catalogue.

Every part that is left empty asks nothing; what is asked and not known of an
image means no. There are no dates: those in the catalogue are shifted by up to
five years, a patient at a time, so a question by date would be answered wrongly.
A study's true year is kept inside the hospital for this one purpose.
"""

import re
from dataclasses import dataclass, fields

from federation.errors.core import InvalidValueError

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
"""How a cohort may be called; a name becomes a file's name."""
OLDEST_Y = 90
"""Ages are cut here at intake: 90 stands for 90 and over."""


@dataclass(frozen=True, slots=True)
class LabelQuery:
    """A label an image must have, with one of `values`; any value when empty."""

    name: str
    values: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CohortQuery:
    """A question to the catalogue; all parts must hold.

    Parameters
    ----------
    modalities, body_parts, sexes, views, lateralities
        Any of these DICOM codes.
    manufacturers, models
        Any of these names, capitals or not.
    age_from_y, age_to_y
        Whole years at the study, both ends included; 90 means 90 and over.
    year_from, year_to
        The true calendar year of the study, both ends included.
    frames_from
        Images with so many frames or more.
    slices_from
        Series with so many slices or frames or more: volumes.
    labels
        Labels the image must have, all of them.

    Raises
    ------
    InvalidValueError
        If a range is upside down or not of this world.
    """

    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    sexes: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    lateralities: tuple[str, ...] = ()
    manufacturers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    age_from_y: int | None = None
    age_to_y: int | None = None
    year_from: int | None = None
    year_to: int | None = None
    frames_from: int | None = None
    slices_from: int | None = None
    labels: tuple[LabelQuery, ...] = ()

    def __post_init__(self) -> None:
        _check_range("age", self.age_from_y, self.age_to_y, 0, OLDEST_Y)
        _check_range("study_year", self.year_from, self.year_to, 1895, 2200)
        _check_range("frames_from", self.frames_from, None, 1, 1_000_000)
        _check_range("slices_from", self.slices_from, None, 1, 1_000_000)

    def as_json(self) -> dict[str, object]:
        """Return the parts that ask something, as plain JSON; for cards and people."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        said["labels"] = [{"name": one.name, "values": list(one.values)} for one in self.labels]
        lists = {key: list(v) if isinstance(v, tuple) else v for key, v in said.items()}
        return {key: value for key, value in lists.items() if value not in (None, [])}


def _check_range(name: str, low: int | None, high: int | None, least: int, most: int) -> None:
    given = [number for number in (low, high) if number is not None]
    if any(not least <= number <= most for number in given) or given != sorted(given):
        raise InvalidValueError(
            field=name, actual=given, expected=f"from low to high within {least} to {most}"
        )


EVERYTHING = CohortQuery()
