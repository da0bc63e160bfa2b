"""Read FHIR R4 Observations for labels: one resource, a Bundle, or NDJSON.

An Observation, or a component of one, whose code is mapped gives a label to every
image of its patient: valueCodeableConcept, valueBoolean, valueInteger,
valueQuantity, valueString, else its interpretation. Only final, amended and
corrected ones count. The subject is found by its identifier, in the reference or
in a Patient of the same input. Nothing but the class is kept.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clients.data.labels.mapping import Answer, Code, LabelMapping
from clients.data.labels.statements import Finding, Statement
from federation.errors.cohorts import LabelSourceError
from federation.wording import Text

MOST_BYTES = 256 * 1024 * 1024
MOST_RESOURCE_BYTES = 1024 * 1024
SETTLED = frozenset({"final", "amended", "corrected"})
SUFFIXES = (".json", ".ndjson")

Short = Annotated[str, Field(max_length=256)]
Whole = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
"""FHIR's integer."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Coding(_Part):
    system: Short = ""
    code: Short = ""


class _Concept(_Part):
    coding: list[_Coding] = Field(default=[], max_length=64)
    text: str = ""

    def codes(self) -> tuple[Code, ...]:
        return tuple(Code.of(one.system, one.code) for one in self.coding if one.code)


class _Quantity(_Part):
    value: float | None = Field(default=None, allow_inf_nan=False)
    code: Short = ""
    unit: Short = ""


class _Identifier(_Part):
    system: Short = ""
    value: Short = ""


class _Reference(_Part):
    reference: Short = ""
    identifier: _Identifier | None = None


class _Valued(_Part):
    code: _Concept
    valueCodeableConcept: _Concept | None = None  # noqa: N815
    valueBoolean: bool | None = None  # noqa: N815
    valueInteger: Whole | None = None  # noqa: N815
    valueQuantity: _Quantity | None = None  # noqa: N815
    valueString: str | None = None  # noqa: N815
    interpretation: list[_Concept] = Field(default=[], max_length=16)

    def answer(self) -> Answer | None:
        """Return what is answered, None when nothing is."""
        if self.valueCodeableConcept is not None:
            concept = self.valueCodeableConcept
            return Answer(codes=concept.codes(), words=concept.text)
        if self.valueBoolean is not None:
            return Answer(words="true" if self.valueBoolean else "false")
        if self.valueInteger is not None:
            return Answer(number=float(self.valueInteger))
        if self.valueQuantity is not None:
            quantity = self.valueQuantity
            return Answer(number=quantity.value, unit=quantity.code or quantity.unit)
        if self.valueString is not None:
            return Answer(words=self.valueString)
        codes = tuple(code for concept in self.interpretation for code in concept.codes())
        return Answer(codes=codes) if codes else None


class _Observation(_Valued):
    resourceType: Literal["Observation"]  # noqa: N815
    status: Short
    subject: _Reference = _Reference()
    component: list[_Valued] = Field(default=[], max_length=1000)


class _Patient(_Part):
    resourceType: Literal["Patient"]  # noqa: N815
    id: Short = ""
    identifier: list[_Identifier] = Field(default=[], max_length=64)


@dataclass(frozen=True, slots=True)
class Observed:
    """What an input says, and how many resources could not be used."""

    statements: tuple[Statement, ...]
    unusable: int


def read_observations(paths: Iterable[Path], mapping: LabelMapping) -> Observed:
    """Return what FHIR files say of the mapped labels.

    Raises
    ------
    LabelSourceError
        If a file is too large or cannot be read.
    """
    patients: dict[str, tuple[_Identifier, ...]] = {}
    ambiguous: set[str] = set()
    observations: list[_Observation] = []
    unusable = 0
    for url, resource in (found for path in paths for found in _resources(path)):
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        try:
            if kind == "Patient":
                read = _Patient.model_validate(resource)
                for name in {f"Patient/{read.id}" if read.id else "", url} - {""}:
                    if patients.setdefault(name, tuple(read.identifier)) != tuple(read.identifier):
                        ambiguous.add(name)
            elif kind == "Observation":
                observations.append(_Observation.model_validate(resource))
            else:
                unusable += not isinstance(kind, str)
        except ValidationError:
            unusable += 1
    known = {name: found for name, found in patients.items() if name not in ambiguous}
    statements = [_statement(one, known, mapping) for one in observations]
    usable = tuple(statement for statement in statements if statement is not None)
    return Observed(usable, unusable + len(statements) - len(usable))


def _statement(
    one: _Observation, patients: dict[str, tuple[_Identifier, ...]], mapping: LabelMapping
) -> Statement | None:
    """Return what an observation says; None when it is not settled or of nobody."""
    asked = [
        (rule, part)
        for part in (one, *one.component)
        for rule in mapping.rules_for(part.code.codes())
    ]
    if not asked:
        return Statement((), ())
    names = _names(one.subject, patients, mapping.patient_system)
    if one.status not in SETTLED or not names:
        return None
    answers = [(rule, part.answer()) for rule, part in asked]
    classes = [(rule.name, rule.class_of(said)) for rule, said in answers if said is not None]
    findings = tuple(Finding(name, value) for name, value in classes if value is not None)
    return Statement(names, findings, unmapped=len(classes) - len(findings))


def _names(
    subject: _Reference, patients: dict[str, tuple[_Identifier, ...]], system: str
) -> tuple[str, ...]:
    direct = () if subject.identifier is None else (subject.identifier,)
    there = patients.get(subject.reference, ()) if subject.reference else ()
    return tuple(
        dict.fromkeys(
            one.value for one in (*direct, *there) if one.value and system in ("", one.system)
        )
    )


def _resources(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield every resource of a file with its full URL, None for what is no JSON."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise LabelSourceError(
                why=Text(en="a FHIR file is larger than 256 MiB", zh="有 FHIR 檔案大於 256 MiB")
            )
        if path.suffix == ".ndjson":
            yield from _lines(path)
            return
        whole = _parsed(path.read_bytes())
    except OSError as error:
        raise LabelSourceError(why=error.strerror or type(error).__name__) from error
    entries = whole.get("entry") if isinstance(whole, dict) else None
    if not isinstance(entries, list):
        yield "", whole
        return
    for entry in entries:
        inside = entry if isinstance(entry, dict) else {}
        yield str(inside.get("fullUrl", "")), inside.get("resource")


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as file:
        while line := file.readline(MOST_RESOURCE_BYTES + 1):
            if len(line) > MOST_RESOURCE_BYTES:
                raise LabelSourceError(
                    why=Text(en="a FHIR resource is larger than 1 MiB", zh="有 FHIR 資源大於 1 MiB")
                )
            if line.strip():
                yield "", _parsed(line)


def _parsed(content: bytes) -> Any:
    """Return JSON, None when it is none; one nested too deep is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
