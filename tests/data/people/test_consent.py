"""FHIR R4 Consent: who said no, in every form the standard allows; unclear is no or stops."""

import json
from pathlib import Path
from typing import Any

import pytest

from clients.data.people.consent import denied
from clients.data.people.lists import Kind, kind_of
from clients.data.people.optout import answers, import_optouts
from federation.errors.people import ConsentUnclearError, OptOutSourceError
from tests.data.people.conftest import NOW

SCOPE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope",
                     "code": "research"}]}  # fmt: skip


def a_consent(**changes: Any) -> dict[str, Any]:
    consent = {
        "resourceType": "Consent",
        "status": "active",
        "scope": SCOPE,
        "category": [{"text": "x"}],
        "patient": {"identifier": {"system": "urn:h", "value": "A1"}},
        "provision": {"type": "deny"},
    }
    return {name: value for name, value in (consent | changes).items() if value is not None}


def a_patient(**changes: Any) -> dict[str, Any]:
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "name": [{"family": "Doe"}],
        "identifier": [{"system": "urn:h", "value": "B2"}, {"system": "urn:nhi", "value": "N9"}],
    }
    return patient | changes


def a_bundle(*resources: dict[str, Any], url: str = "") -> dict[str, Any]:
    entries = [{"resource": one, **({"fullUrl": url} if url else {})} for one in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def of(*documents: dict[str, Any], system: str | None = None) -> tuple[str, ...]:
    return denied("\n".join(map(json.dumps, documents)).encode(), identifier_system=system)


NO: dict[str, dict[str, Any]] = {
    "deny": {},
    "privacy scope": {"scope": {"coding": [{"code": "patient-privacy"}]}},
    "nothing said": {"provision": None},
    "policy rule": {"provision": None, "policyRule": {"coding": [{"code": "OPTOUT"}]}},
    "permit with an exception": {"provision": {"type": "permit", "provision": [{"type": "deny"}]}},
    "permit against the rule": {
        "provision": {"type": "permit"}, "policyRule": {"coding": [{"code": "OPTOUTE"}]},
    },
    "another word": {"provision": {"type": "perhaps"}},
}  # fmt: skip
YES: dict[str, dict[str, Any]] = {
    "permit": {"provision": {"type": "permit"}},
    "opt in": {"provision": None, "policyRule": {"coding": [{"code": "OPTIN"}]}},
    "ended": {"status": "inactive"},
    "a mistake": {"status": "entered-in-error"},
    "treatment only": {"scope": {"coding": [{"code": "treatment"}]}},
}


@pytest.mark.parametrize("changes", NO.values(), ids=NO)
def test_what_denies_or_is_unclear_is_a_no(changes: dict[str, Any]) -> None:
    assert of(a_consent(**changes)) == ("A1",)


@pytest.mark.parametrize("changes", YES.values(), ids=YES)
def test_what_permits_or_is_not_in_force_is_not_a_no(changes: dict[str, Any]) -> None:
    assert of(a_consent(**changes)) == ()


def test_a_patient_is_found_by_reference_in_every_way_of_writing_it() -> None:
    by_id = a_consent(patient={"reference": "Patient/p1"})
    assert of(a_bundle(by_id, a_patient())) == ("B2", "N9")
    assert of(by_id, a_patient(), system="urn:nhi") == ("N9",)
    by_host = a_consent(patient={"reference": "https://fhir.example/r4/Patient/p1"})
    assert of(a_bundle(by_host, a_patient())) == ("B2", "N9")
    by_url = a_consent(patient={"reference": "urn:uuid:7"})
    assert of(a_bundle(by_url), a_bundle(a_patient(), url="urn:uuid:7")) == ("B2", "N9")
    inside = a_consent(patient={"reference": "#p1"}, contained=[a_patient()])
    assert of(inside) == ("B2", "N9")


@pytest.mark.parametrize(
    "patient", [None, {"reference": "Patient/gone"}, {"display": "Jane Doe"}, {"identifier": {}}]
)
def test_a_no_of_somebody_who_is_not_found_stops_the_import(patient: dict[str, Any] | None) -> None:
    with pytest.raises(ConsentUnclearError, match="1 Consent") as caught:
        of(a_consent(), a_consent(patient=patient))
    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"{}", b"[1]", b'{"resourceType": "Patient"}', b"{", b"\xff", b'"x"',
        b'{"resourceType": "Consent"}', b'{"resourceType": "Bundle", "entry": [1]}',
        b'{"resourceType": "Bundle", "link": [{"relation": "next"}], "entry": []}',
        b'{"resourceType":"Consent","scope":{},"status":7}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_not_fhir_is_refused_whole(content: bytes) -> None:
    with pytest.raises(OptOutSourceError):
        denied(content, identifier_system=None)


def test_consents_are_told_from_other_lists_and_end_in_the_register(tmp_path: Path) -> None:
    source = tmp_path / "consents.json"
    source.write_text(json.dumps(a_bundle(a_consent())))
    assert kind_of(source.read_bytes()) is Kind.FHIR
    import_optouts(tmp_path / "data", source, now=NOW)
    assert answers(tmp_path / "data", ["A1", "B2"], now=NOW) == ["yes", "no"]


def test_our_reading_accepts_what_the_published_model_accepts() -> None:
    models = pytest.importorskip("fhir.resources.R4B.consent")
    policy = {"policy": [{"uri": "https://example.org/policy"}]}
    consent = a_consent(**policy)
    models.Consent.model_validate(consent)
    assert of(consent) == ("A1",)


def consent_of(reference: str, **values: object) -> dict[str, object]:
    said = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"code": "research"}]},
        "provision": {"type": "deny"},
        "patient": {"reference": reference},
    }
    return said | values


def bundle_of(*entries: tuple[str, dict[str, object]]) -> bytes:
    listed = [{"fullUrl": url, "resource": resource} for url, resource in entries]
    return json.dumps({"resourceType": "Bundle", "entry": listed}).encode()


def person(value: str) -> dict[str, object]:
    return {"resourceType": "Patient", "id": "1", "identifier": [{"value": value}]}


@pytest.mark.parametrize("reference", ["Patient/1", "Patient/1/_history/4", "https://a/Patient/1"])
def test_a_patient_is_found_by_any_reference_to_it(reference: str) -> None:
    content = bundle_of(("", consent_of(reference)), ("https://a/Patient/1", person("P1")))
    assert denied(content, identifier_system=None) == ("P1",)


def test_a_patient_of_another_server_with_the_same_id_is_not_taken() -> None:
    content = bundle_of(
        ("", consent_of("https://b/Patient/1")), ("https://a/Patient/1", person("P1"))
    )
    with pytest.raises(ConsentUnclearError):
        denied(content, identifier_system=None)


def test_an_id_that_two_patients_have_is_of_neither() -> None:
    content = bundle_of(
        ("", consent_of("Patient/1")),
        ("https://a/Patient/1", person("P1")),
        ("https://b/Patient/1", person("P2")),
    )
    with pytest.raises(ConsentUnclearError):
        denied(content, identifier_system=None)


@pytest.mark.parametrize(
    ("scope", "count"),
    [
        ({"coding": [{"code": "nhi-secondary-use"}]}, 1),
        ({"text": "research"}, 1),
        ({"coding": [{"code": "treatment"}]}, 0),
    ],
)
def test_a_no_of_a_scope_that_nobody_knows_is_a_no(scope: object, count: int) -> None:
    content = bundle_of(("", consent_of("Patient/1", scope=scope)), ("", person("P1")))
    assert len(denied(content, identifier_system=None)) == count
