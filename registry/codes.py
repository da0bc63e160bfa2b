"""Codes of published systems: which system, and how its codes are spelled.

A code is checked for its spelling only; whether the system has it is not known here.
Systems are named by the address HL7 gives them where it gives one.
"""

import re
from enum import Enum
from typing import Annotated, Self

from pydantic import Field, model_validator

from federation.evidence.model_version import Line
from registry.records.shapes import Body


class System(Enum):
    """A published system of codes."""

    LOINC = "http://loinc.org"
    SNOMED = "http://snomed.info/sct"
    ICD10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
    ICD10_PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
    DICOM = "http://dicom.nema.org/resources/ontology/DCM"
    NHI_PAYMENT = "https://twcore.mohw.gov.tw/ig/twcore/CodeSystem/medical-service-payment-tw"
    IMDRF_PROBLEM = "urn:imdrf:ae-terminology:annex-a"
    IMDRF_IMPACT = "urn:imdrf:ae-terminology:annex-f"


SPELLING: dict[System, re.Pattern[str]] = {
    System.LOINC: re.compile(r"[0-9]{1,7}-[0-9]"),
    System.SNOMED: re.compile(r"[1-9][0-9]{5,17}"),
    System.ICD10_CM: re.compile(r"[A-Z][0-9][0-9A-Z](?:\.[0-9A-Z]{1,4})?"),
    System.ICD10_PCS: re.compile(r"[0-9A-HJ-NP-Z]{7}"),
    System.DICOM: re.compile(r"[A-Z0-9_]{1,16}"),
    System.NHI_PAYMENT: re.compile(r"[0-9A-Z]{5,12}"),
    System.IMDRF_PROBLEM: re.compile(r"A[0-9]{2}(?:[0-9]{2}){0,2}"),
    System.IMDRF_IMPACT: re.compile(r"F[0-9]{2}(?:[0-9]{2}){0,2}"),
}

HospitalCode = Annotated[str, Field(pattern=r"^[0-9]{10}$")]
"""A hospital in the ministry's numbering (醫事機構代碼)."""

RecordName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+-]{0,119}$")]
"""The id of another record."""


class Coded(Body):
    """One code with its system."""

    system: System
    code: Annotated[str, Field(min_length=1, max_length=40)]
    display: Line | None = None

    @model_validator(mode="after")
    def _spelled_as_the_system_spells(self) -> Self:
        if not SPELLING[self.system].fullmatch(self.code):
            raise ValueError("the code is not spelled as its system spells codes")
        return self
