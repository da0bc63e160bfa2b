"""Read what a hospital calls a cohort: ``cohorts/NAME.toml`` in the node's home.

A study names a cohort; where the hospital wrote a file of that name, only what it
asks for is used, and everything the recipe accepts where it wrote none. Unknown
keys and spellings are refused with every problem named: a condition that is
misspelled must not be no condition.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from clients.data.cohort.query import EVERYTHING, NAME, CohortQuery, LabelQuery
from federation.domain.toml_text import parse_toml
from federation.errors.cohorts import CohortFileError, CohortUnknownError
from federation.errors.core import InvalidValueError
from federation.wording import Text

FOLDER = "cohorts"
MOST_BYTES = 64 * 1024
MOST_LABELS = 50
"""Each is a condition of its own in one statement, which databases nest only so deep."""

Code = Annotated[str, Field(pattern=r"^[A-Z0-9 _]{1,16}$")]
"""A code string (CS) of DICOM."""
Name = Annotated[str, Field(min_length=1, max_length=64)]
Codes = Annotated[list[Code], Field(max_length=200)]
Names = Annotated[list[Name], Field(max_length=200)]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it holds characters that cannot be shown")
    return text


@dataclass(frozen=True, slots=True)
class Definition:
    """A cohort as a hospital wrote it down."""

    name: str
    title: str
    query: CohortQuery


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Range(_Strict):
    low: int | None = Field(default=None, alias="from")
    high: int | None = Field(default=None, alias="to")


class _Label(_Strict):
    name: Name
    values: list[Annotated[int, Field(ge=0, le=99)]] = []


class _File(_Strict):
    title: Annotated[str, Field(max_length=200), AfterValidator(_printable)] = ""
    modalities: Codes = []
    body_parts: Codes = []
    sexes: Codes = []
    views: Codes = []
    lateralities: Codes = []
    manufacturers: Names = []
    models: Names = []
    age: _Range = _Range()
    study_year: _Range = _Range()
    frames_from: int | None = None
    slices_from: int | None = None
    labels: Annotated[list[_Label], Field(max_length=MOST_LABELS)] = []

    def query(self) -> CohortQuery:
        return CohortQuery(
            modalities=tuple(self.modalities),
            body_parts=tuple(self.body_parts),
            sexes=tuple(self.sexes),
            views=tuple(self.views),
            lateralities=tuple(self.lateralities),
            manufacturers=tuple(self.manufacturers),
            models=tuple(self.models),
            age_from_y=self.age.low,
            age_to_y=self.age.high,
            year_from=self.study_year.low,
            year_to=self.study_year.high,
            frames_from=self.frames_from,
            slices_from=self.slices_from,
            labels=tuple(LabelQuery(one.name, tuple(one.values)) for one in self.labels),
        )


def read_cohort(path: Path) -> Definition:
    """Return the cohort that a file defines; its name is the file's.

    Raises
    ------
    CohortFileError
        If it is no TOML or breaks a rule; all problems are named.
    """
    name = path.stem
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise CohortFileError(
                cohort=name, problems=Text(en="it is larger than 64 KiB", zh="檔案大於 64 KiB")
            )
        read = _File.model_validate(parse_toml(content))
        return Definition(name, read.title, read.query())
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise CohortFileError(cohort=name, problems=problem) from error
    except ValidationError as error:
        problems = "; ".join(map(_in_words, error.errors()))
        raise CohortFileError(cohort=name, problems=problems) from error
    except InvalidValueError as error:
        raise CohortFileError(cohort=name, problems=error.say_what()) from error
    except ValueError as error:
        raise CohortFileError(cohort=name, problems=str(error)) from error


def named_cohort(data: Path, name: str) -> Definition:
    """Return the cohort of that name.

    Raises
    ------
    CohortUnknownError
        If the hospital defined none of that name.
    CohortFileError
        If its file is not understood.
    """
    path = _file_of(data, name)
    if path is None:
        known = ", ".join(cohort_names(data)) or "–"
        shown = name if NAME.fullmatch(name) else "?"
        raise CohortUnknownError(cohort=shown, known=known)
    return read_cohort(path)


def query_of(data: Path, cohort: str | None) -> CohortQuery:
    """Return what the cohort of a study asks for; everything where the hospital wrote no file.

    Raises
    ------
    CohortFileError
        If the file is not understood: then nothing is used.
    """
    path = None if cohort is None else _file_of(data, cohort)
    return EVERYTHING if path is None else read_cohort(path).query


def cohort_names(data: Path) -> Sequence[str]:
    """Return the names of the cohorts that the home of a data folder defines."""
    names = (path.stem for path in (data.parent / FOLDER).glob("*.toml"))
    return sorted(name for name in names if NAME.fullmatch(name))


def _file_of(data: Path, name: str) -> Path | None:
    if not NAME.fullmatch(name):  # a name from the centre is no path
        return None
    path = data.parent / FOLDER / f"{name}.toml"
    return path if path.exists() or path.is_symlink() else None


def _in_words(problem: Any) -> str:
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
