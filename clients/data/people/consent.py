"""Find those who said no in FHIR R4 Consent resources.

A Bundle, NDJSON or a single resource is read; resources of other types are not
looked at, apart from Patients that a Consent refers to. A Consent is a no when it
is active, not of another scope alone (``treatment``, ``adr``), and denies: its
provision, one nested in it, or its policy rule (``OPTOUT``, ``OPTOUTE``) says so, or
nothing in it says that anything is permitted. An exception inside a permission is a
no as well, and so is a period that is over: unknown means no, and only the person's
new list brings somebody back. Typed by pydantic with only the fields that decide;
the rest of a resource is ignored and never kept.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from federation.errors.people import ConsentUnclearError, OptOutSourceError
from federation.wording import Text

OTHER_SCOPES = frozenset({"treatment", "adr"})
"""http://terminology.hl7.org/CodeSystem/consentscope, less research and patient-privacy"""
OPT_OUT = frozenset({"OPTOUT", "OPTOUTE"})
"""http://terminology.hl7.org/CodeSystem/v3-ActCode, ActConsentDirective"""
OPT_IN = frozenset({"OPTIN", "OPTINR"})
MOST_RESOURCES = 2_000_000


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Coding(_Part):
    code: str = ""


class _Concept(_Part):
    coding: tuple[_Coding, ...] = ()

    def has(self, codes: frozenset[str]) -> bool:
        return any(one.code in codes for one in self.coding)


class _Identifier(_Part):
    system: str | None = None
    value: str | None = None


class _Reference(_Part):
    reference: str | None = None
    identifier: _Identifier | None = None


class _Patient(_Part):
    id: str | None = None
    identifier: tuple[_Identifier, ...] = ()


class _Provision(_Part):
    type: str | None = None
    provision: "tuple[_Provision, ...]" = ()

    def types(self) -> Iterator[str]:
        if self.type is not None:
            yield self.type
        for inner in self.provision:
            yield from inner.types()


class _Consent(_Part):
    status: str
    scope: _Concept
    patient: _Reference | None = None
    provision: _Provision | None = None
    policyRule: _Concept | None = None  # noqa: N815
    contained: tuple[dict[str, Any], ...] = ()

    @property
    def is_no(self) -> bool:
        """Say whether the person may not be used."""
        scopes = {one.code for one in self.scope.coding} or {""}
        if self.status != "active" or scopes <= OTHER_SCOPES:
            return False
        types = set(self.provision.types()) if self.provision else set()
        rule = self.policyRule or _Concept()
        if types - {"permit"} or rule.has(OPT_OUT):
            return True
        return not types and not rule.has(OPT_IN)


def denied(content: bytes, *, identifier_system: str | None) -> tuple[str, ...]:
    """Return the identifiers of everybody who said no, each once.

    Raises
    ------
    OptOutSourceError
        If it is not FHIR R4 JSON, or a Consent lacks status or scope.
    ConsentUnclearError
        If a Consent is a no and its patient's identifier is not found.
    """
    try:
        return _denied(list(_resources(content)), identifier_system)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise OptOutSourceError(
            why=Text(
                en="not FHIR R4 JSON with Consent resources",
                zh="不是含 Consent 資源的 FHIR R4 JSON",
            )
        ) from error


def _denied(found: list[tuple[str, Mapping[str, Any]]], system: str | None) -> tuple[str, ...]:
    consents = [
        _Consent.model_validate(one) for _, one in found if one["resourceType"] == "Consent"
    ]
    if not consents:
        raise ValueError("no Consent")
    patients = _by_name(
        [(url, _Patient.model_validate(one)) for url, one in found if _is_patient(one)]
    )
    theirs = [_identifiers(one, patients, system) for one in consents if one.is_no]
    unclear = sum(not one for one in theirs)
    if unclear:
        raise ConsentUnclearError(count=unclear)
    return tuple(dict.fromkeys(value for one in theirs for value in one))


def _is_patient(resource: Mapping[str, Any]) -> bool:
    return bool(resource["resourceType"] == "Patient")


def _by_name(patients: list[tuple[str, _Patient]]) -> dict[str, _Patient]:
    """Return patients by full URL and by type and id; a name of two of them is of neither."""
    found: dict[str, _Patient] = {}
    twice = set[str]()
    for url, patient in patients:
        for name in {url, "" if patient.id is None else f"Patient/{patient.id}"} - {""}:
            if found.setdefault(name, patient) != patient:
                twice.add(name)
    return {name: patient for name, patient in found.items() if name not in twice}


def _meant(named: str, patients: Mapping[str, _Patient]) -> _Patient | None:
    """Return the patient of a reference: by its URL, or by type and id where it is relative.

    A URL of another server is never taken for a patient with the same id here.
    """
    plain = named.partition("/_history/")[0]
    if plain in patients or "://" not in plain:
        return patients.get(plain)
    servers = {name.rpartition("/Patient/")[0] for name in patients if "://" in name}
    return None if servers else patients.get("/".join(plain.split("/")[-2:]))


def _identifiers(
    consent: _Consent, patients: Mapping[str, _Patient], system: str | None
) -> list[str]:
    if consent.patient is None:
        return []
    own = [] if consent.patient.identifier is None else [consent.patient.identifier]
    named = consent.patient.reference or ""
    patient = _meant(named, patients)
    if named.startswith("#"):
        inside = (one for one in consent.contained if one.get("id") == named[1:])
        patient = next((_Patient.model_validate(one) for one in inside), None)
    listed = [*own, *(patient.identifier if patient else [])]
    values = [one.value for one in listed if system is None or one.system == system]
    return [value.strip() for value in values if value and value.strip()]


def _resources(content: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (fullUrl, resource) of a Bundle, of NDJSON lines or of a single resource."""
    text = content.decode("utf-8-sig")
    try:
        documents: list[Any] = [json.loads(text)]
    except json.JSONDecodeError:
        documents = [json.loads(line) for line in text.split("\n") if line.strip()]
    count = 0
    for document in documents:
        for url, resource in _entries(document):
            count += 1
            if count > MOST_RESOURCES:
                raise ValueError("too many resources")
            yield url, resource


def _entries(document: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    match document:
        case {"resourceType": "Bundle"}:
            if any(one.get("relation") == "next" for one in document.get("link", [])):
                raise ValueError("one page of several")
            for entry in document.get("entry", []):
                resource = entry.get("resource")
                if resource is not None:
                    yield from ((entry.get("fullUrl", ""), one) for _, one in _entries(resource))
        case {"resourceType": str()}:
            yield "", document
        case _:
            raise ValueError("not a resource")
