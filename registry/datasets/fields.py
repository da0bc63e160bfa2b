"""Field types that the evidence nouns share: days, times, sites, numbers in a range.

What may be shown of patients is `registry.disclosure`; codes and ids of records are
`registry.codes`.
"""

from datetime import date, datetime
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from federation.domain.cells import SMALL_CELL
from federation.domain.ids import SiteId
from federation.evidence.model_version import Moment


def _day(text: str) -> str:
    date.fromisoformat(text)
    return text


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


def start_of(day: str) -> datetime:
    """Return when a day begins in Taipei."""
    return datetime.fromisoformat(f"{day}T00:00:00+08:00")


def end_of(day: str) -> datetime:
    """Return when a day has passed: at its end in Taipei."""
    return datetime.fromisoformat(f"{day}T23:59:59+08:00")


Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$"), AfterValidator(_day)]
"""A calendar day, ``2026-09-01``."""

When = Annotated[Moment, AfterValidator(_moment)]
"""A time as records write it: UTC, whole seconds, ``2026-09-01T08:00:00Z``."""

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]
Site = Annotated[str, Field(pattern=rf"^(?:{SiteId.pattern.pattern})$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Enough = Annotated[int, Field(ge=SMALL_CELL, le=2**53 - 1)]
"""A number of patients that an estimate may rest on: ten and more."""
