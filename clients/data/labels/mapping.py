"""Say which code of a report or an observation means which label: the hospital's mapping file.

Only what is mapped is read; only the class is kept, never the words. A code is
written ``SCHEME:CODE`` (``SCT:233604007``, ``LN:24604-1``) or, for a coding system
without a short name, ``<URL>CODE``. `docs/catalogue.md` shows a file.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from federation.domain.toml_text import parse_toml
from federation.errors.cohorts import LabelMappingError
from federation.wording import Text

MOST_BYTES = 1024 * 1024
SCHEMES = {
    "http://snomed.info/sct": "SCT",
    "http://loinc.org": "LN",
    "http://dicom.nema.org/resources/ontology/DCM": "DCM",
    "http://www.nlm.nih.gov/research/umls": "UMLS",
    "http://radlex.org": "RADLEX",
    "http://unitsofmeasure.org": "UCUM",
    "http://hl7.org/fhir/sid/icd-10-cm": "I10C",
    "http://hl7.org/fhir/sid/icd-10": "I10",
    "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation": "HL7",
}
"""Coding systems of FHIR by the name DICOM gives them (PS3.16 table 8-1), and a few more."""
_SHORT = re.compile(r"([A-Za-z0-9_-]{1,16}):([A-Za-z0-9._-]{1,64})")
_LONG = re.compile(r"<([^<>\s]{1,200})>([^<>\s]{1,64})")

Class = Annotated[int, Field(ge=0, le=99, strict=True)]
Number = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Code:
    """A concept: a coding scheme and a value in it."""

    scheme: str
    value: str

    @classmethod
    def of(cls, system: str, value: str) -> "Code":
        """Return the code of a FHIR system or a DICOM scheme designator."""
        return cls(SCHEMES.get(system, system), value)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a document answers: codes that mean the same, words, or a number with its unit."""

    codes: tuple[Code, ...] = ()
    words: str = ""
    number: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class LabelRule:
    """One label: the concepts that ask for it and what their answers mean.

    A number's class is how many of `cuts` it reaches; it must be in `unit` if named.
    """

    name: str
    concepts: frozenset[Code]
    coded: dict[Code, int] = field(default_factory=dict)
    words: dict[str, int] = field(default_factory=dict)
    cuts: tuple[float, ...] = ()
    unit: str = ""

    def class_of(self, answer: Answer) -> int | None:
        """Return the class an answer means, None when the mapping does not say."""
        found = {self.coded[code] for code in answer.codes if code in self.coded}
        if len(found) == 1:
            return found.pop()
        spelled = self.words.get(answer.words.casefold().strip())
        if spelled is not None and not found:
            return spelled
        if answer.number is None or not self.cuts or not math.isfinite(answer.number):
            return None
        if self.unit and answer.unit != self.unit:
            return None
        return sum(answer.number >= cut for cut in self.cuts)


@dataclass(frozen=True, slots=True)
class LabelMapping:
    """All rules. `segments` gives masks their classes; later ones lie on top of earlier ones.

    `patient_system` names the system of the patient identifiers that count in FHIR;
    every one when empty.
    """

    rules: tuple[LabelRule, ...] = ()
    segments: dict[Code, int] = field(default_factory=dict)
    patient_system: str = ""

    def rules_for(self, codes: tuple[Code, ...]) -> list[LabelRule]:
        """Return the labels that a question's codes ask for."""
        return [rule for rule in self.rules if not rule.concepts.isdisjoint(codes)]


NO_MAPPING = LabelMapping()


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Label(_Strict):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    concepts: Annotated[list[str], Field(min_length=1)]
    answers: dict[str, Class] = {}
    cuts: list[Number] = []
    unit: str = ""


class _Masks(_Strict):
    segments: dict[str, Class] = {}


class _File(_Strict):
    label: list[_Label] = []
    mask: _Masks = _Masks()
    patient_system: str = ""


def read_mapping(path: Path) -> LabelMapping:
    """Return the mapping of a TOML file.

    Raises
    ------
    LabelMappingError
        If it is no TOML or breaks a rule; all problems are named.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise LabelMappingError(
                problems=Text(en="it is larger than 1 MiB", zh="檔案大於 1 MiB")
            )
        read = _File.model_validate(parse_toml(content))
    except OSError as error:
        raise LabelMappingError(problems=error.strerror or type(error).__name__) from error
    except ValidationError as error:
        raise LabelMappingError(problems="; ".join(map(_in_words, error.errors()))) from error
    except ValueError as error:
        raise LabelMappingError(problems=str(error)) from error
    return _mapping(read)


def code_of(text: str) -> Code | None:
    """Return the code that a text spells, None when it spells none."""
    short, long = _SHORT.fullmatch(text), _LONG.fullmatch(text)
    found = short or long
    return None if found is None else Code.of(found[1], found[2])


def _mapping(read: _File) -> LabelMapping:
    problems = [
        *(
            f"label {one.name}: {text} is no code"
            for one in read.label
            for text in one.concepts
            if code_of(text) is None
        ),
        *(
            f"label {one.name}: neither answers nor cuts"
            for one in read.label
            if not one.answers and not one.cuts
        ),
        *(
            f"label {one.name}: cuts do not rise"
            for one in read.label
            if any(b <= a for a, b in zip(one.cuts, one.cuts[1:], strict=False))
        ),
        *(f"mask: {text} is no code" for text in read.mask.segments if code_of(text) is None),
    ]
    if problems:
        raise LabelMappingError(problems="; ".join(problems))
    return LabelMapping(
        rules=tuple(map(_rule, read.label)),
        segments=_coded(read.mask.segments),
        patient_system=read.patient_system,
    )


def _rule(one: _Label) -> LabelRule:
    return LabelRule(
        name=one.name,
        concepts=frozenset(_coded(dict.fromkeys(one.concepts, 0))),
        coded=_coded(one.answers),
        words={w.casefold().strip(): c for w, c in one.answers.items() if code_of(w) is None},
        cuts=tuple(one.cuts),
        unit=one.unit,
    )


def _coded(classes: dict[str, int]) -> dict[Code, int]:
    made = {code_of(text): value for text, value in classes.items()}
    return {code: value for code, value in made.items() if code is not None}


def _in_words(problem: Any) -> str:
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
