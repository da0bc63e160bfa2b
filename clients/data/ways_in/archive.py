"""Say what is wanted of an archive, and what every kind of archive must be able to do.

An `Archive` lists series (`plan`), lists a series' instances, and retrieves them
into the inbox. Bodies: `pacs.PacsArchive` (C-FIND with C-GET or C-MOVE) and
`dicomweb.WebArchive` (QIDO-RS with WADO-RS). `fetch.fetch` drives any of them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Protocol

from federation.errors.sources import FetchQueryError
from federation.wording import Text

IMAGE_MODALITIES = frozenset(
    {
        *("CR", "DX", "MG", "IO", "PX", "XA", "RF"),
        *("CT", "MR", "NM", "PT", "US", "IVUS", "BDUS"),
        *("OCT", "OP", "OPT", "ES", "GM", "SM", "XC"),
    }
)
"""What is fetched when no modality is asked for: kinds whose series hold source images."""
MOST_PATIENTS = 100_000
MOST_PATIENT_BYTES = 8 * 1024 * 1024
LONGEST_ID = 64
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_COUNT = re.compile(r"[0-9]{1,9}")
FORBIDDEN_IN_ID = frozenset("*?\\")
"""Wildcards and the delimiter: a Patient ID in the file is one patient (PS3.4 C.2.2.2)."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which series are wanted; an empty part asks for everything.

    `patients` come from a file and are never shown.
    """

    modalities: frozenset[str] = frozenset()
    body_parts: frozenset[str] = frozenset()
    first_day: date | None = None
    last_day: date | None = None
    patients: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise FetchQueryError(
                why=Text(en="the first day lies after the last", zh="起日晚於迄日")
            )

    @property
    def wanted_modalities(self) -> tuple[str, ...]:
        """Return the modalities to ask for, in a fixed order."""
        return tuple(sorted(self.modalities or IMAGE_MODALITIES))

    @property
    def days(self) -> str:
        """Return the range of study dates as DICOM writes it (PS3.4 C.2.2.2.5)."""
        if not self.first_day and not self.last_day:
            return ""
        first = self.first_day.strftime("%Y%m%d") if self.first_day else ""
        last = self.last_day.strftime("%Y%m%d") if self.last_day else ""
        return f"{first}-{last}"

    def wants_day(self, day: str) -> bool:
        """Say whether a study date is in the range; an unknown date is in none."""
        if not self.days:
            return True
        first, _, last = self.days.partition("-")
        return len(day) == 8 and day.isdigit() and first <= day <= (last or "99999999")

    def wants(self, series: "Series") -> bool:
        """Say whether a listed series is wanted: an archive may ignore keys that it is asked."""
        return series.modality in self.wanted_modalities and (
            not self.body_parts or series.body_part in self.body_parts
        )


@dataclass(frozen=True, slots=True)
class Series:
    """A series as the archive lists it. `repr` shows no UID."""

    study: str = field(repr=False)
    uid: str = field(repr=False)
    modality: str
    body_part: str = ""
    instances: int | None = None


Instances = Mapping[str, str]
"""SOP Instance UID -> SOP Class UID, empty where the archive does not say."""
Received = Callable[[str], None]
"""Told the SOP Instance UID of each object that lies in the inbox."""


class Archive(Protocol):
    """Somewhere images can be fetched from."""

    @property
    def name(self) -> str:
        """Return the name in sources.toml."""

    def plan(self, query: Query) -> Iterator[Series]:
        """Yield the series that the query wants."""

    def instances(self, series: Series) -> Instances:
        """Return what a series holds."""

    def retrieve(
        self, series: Series, wanted: Instances, *, whole: bool, received: Received
    ) -> None:
        """Bring the wanted instances into the inbox; `whole` when that is all of the series.

        What cannot be had is left out: the caller sees by `received` what came.
        """


def is_uid(text: str) -> bool:
    """Say whether a text can be a UID (PS3.5 9.1); leading zeros happen and are let through."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def count_in(text: str) -> int | None:
    """Return a number of instances, None when an archive says none."""
    return int(text) if _COUNT.fullmatch(text) else None


def read_patients(path: Path) -> tuple[str, ...]:
    """Return the Patient IDs in a file, one a line.

    Raises
    ------
    FetchQueryError
        If the file cannot be read, is too long, or holds a wildcard. Names no ID.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_PATIENT_BYTES + 1)
        lines = content.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FetchQueryError(
            why=Text(
                en="the file of Patient IDs cannot be read as UTF-8",
                zh="病歷號檔案無法以 UTF-8 讀取",
            )
        ) from error
    found = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not found or len(found) > MOST_PATIENTS or len(content) > MOST_PATIENT_BYTES:
        raise FetchQueryError(why=f"the file of Patient IDs needs 1 to {MOST_PATIENTS} lines")
    for number, one in enumerate(found, 1):
        if len(one) > LONGEST_ID or FORBIDDEN_IN_ID & set(one) or not one.isprintable():
            raise FetchQueryError(why=f"Patient ID {number} of the file is no single ID")
    return found
