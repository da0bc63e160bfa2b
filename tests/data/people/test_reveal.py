"""A pseudonym is resolved by two persons with two keys, in time, once."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from clients.data.layout import KEY_FILE
from clients.data.people.pseudonyms import Pseudonyms
from clients.data.people.reveal import PAYLOAD_TYPE, VALID_FOR, Reason, Request, Reveals
from clients.data.people.rotation import rotate
from federation.errors.people import (
    CandidateMissingError,
    PeopleFileError,
    PseudonymSpellingError,
    RevealRefusedError,
)
from federation.evidence.dsse import pae
from federation.evidence.signing import Signer, new_key
from tests.data.people.conftest import NOW

SOON = NOW + timedelta(hours=1)
CANDIDATES = ["PID0002", "PID0001"]


@dataclass
class Hospital:
    data: Path
    lin: Signer
    chen: Signer
    pseudonym: str

    @property
    def reveals(self) -> Reveals:
        return Reveals(self.data)

    def ask(self) -> Request:
        return self.reveals.ask(
            self.pseudonym,
            reason=Reason.INCIDENTAL_FINDING,
            ticket="IT-2026-7",
            by="lin",
            signer=self.lin,
            now=NOW,
        )

    def approved(self) -> Request:
        return self.reveals.approve(self.ask().id, by="chen", signer=self.chen, now=SOON)

    def file_of(self, request: Request) -> Path:
        return self.data / "reveals" / f"{request.id}.json"


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    people = []
    for name in ("lin", "chen", "wu"):
        new_key(tmp_path / f"{name}.key")
        people.append(f'[[person]]\nname = "{name}"\npublic_key = "{name}.pub"\n')
    (tmp_path / "people.toml").write_text("\n".join(people))
    data = tmp_path / "data"
    pseudonym = Pseudonyms.open_or_create(data / KEY_FILE).patient("PID0001")
    lin, chen = (Signer.load(tmp_path / f"{name}.key") for name in ("lin", "chen"))
    return Hospital(data, lin, chen, pseudonym)


def test_two_persons_together_resolve_a_pseudonym_once(hospital: Hospital) -> None:
    request = hospital.approved()
    used, patient = hospital.reveals.reveal(
        request.id, CANDIDATES, by="lin", signer=hospital.lin, now=SOON
    )
    assert (patient, used.used_at) == ("PID0001", SOON.isoformat())
    with pytest.raises(RevealRefusedError, match="used before"):
        hospital.reveals.reveal(request.id, CANDIDATES, by="lin", signer=hospital.lin, now=SOON)


def test_nothing_is_resolved_without_approval(hospital: Hospital) -> None:
    with pytest.raises(RevealRefusedError, match="nobody"):
        hospital.reveals.reveal(
            hospital.ask().id, CANDIDATES, by="lin", signer=hospital.lin, now=SOON
        )


def test_who_asked_cannot_approve_under_any_name(hospital: Hospital) -> None:
    request = hospital.ask()
    with pytest.raises(RevealRefusedError, match="cannot approve"):
        hospital.reveals.approve(request.id, by="lin", signer=hospital.lin, now=SOON)
    with pytest.raises(RevealRefusedError, match="not the one of chen"):
        hospital.reveals.approve(request.id, by="chen", signer=hospital.lin, now=SOON)
    people = hospital.data.parent / "people.toml"
    people.write_text(people.read_text().replace("chen.pub", "lin.pub"))
    with pytest.raises(RevealRefusedError, match="same key"):
        hospital.reveals.approve(request.id, by="chen", signer=hospital.lin, now=SOON)


def test_a_third_person_cannot_use_what_two_signed(hospital: Hospital) -> None:
    wu = Signer.load(hospital.data.parent / "wu.key")
    with pytest.raises(RevealRefusedError, match="two who signed"):
        hospital.reveals.reveal(hospital.approved().id, CANDIDATES, by="wu", signer=wu, now=SOON)


def test_somebody_not_listed_cannot_ask(hospital: Hospital, tmp_path: Path) -> None:
    stranger = new_key(tmp_path / "stranger.key")
    with pytest.raises(RevealRefusedError, match=r"people\.toml"):
        hospital.reveals.ask(
            hospital.pseudonym,
            reason=Reason.LEGAL_ORDER,
            ticket="1",
            by="x",
            signer=stranger,
            now=NOW,
        )


@pytest.mark.parametrize("when", [NOW + VALID_FOR, NOW - timedelta(seconds=1)])
def test_a_request_is_good_for_its_time_only(hospital: Hospital, when: object) -> None:
    request = hospital.approved()
    with pytest.raises(RevealRefusedError, match="expired"):
        hospital.reveals.reveal(
            request.id,
            CANDIDATES,
            by="lin",
            signer=hospital.lin,
            now=when,  # type: ignore[arg-type]
        )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pseudonym", "P" + "0" * 32),
        ("reason", "legal-order"),
        ("asked_at", SOON.isoformat()),
        ("asked_by", "wu"),
        ("approved_by", "wu"),
        ("approved_at", NOW.isoformat()),
        ("approval", "00" * 64),
        ("signature", "zz"),
    ],
)
def test_a_request_that_was_changed_is_refused(hospital: Hospital, field: str, value: str) -> None:
    request = hospital.approved()
    path = hospital.file_of(request)
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(RevealRefusedError):
        hospital.reveals.reveal(request.id, CANDIDATES, by="lin", signer=hospital.lin, now=SOON)


def test_a_pseudonym_of_before_a_rotation_is_resolved_too(hospital: Hospital) -> None:
    request = hospital.approved()
    rotate(hospital.data, now=NOW)
    _, patient = hospital.reveals.reveal(
        request.id, CANDIDATES, by="chen", signer=hospital.chen, now=SOON
    )
    assert patient == "PID0001"


def test_candidates_may_name_an_issuer(hospital: Hospital) -> None:
    names = Pseudonyms.open(hospital.data / KEY_FILE)
    hospital.pseudonym = names.patient("PID0001\x1fNTUH")
    _, patient = hospital.reveals.reveal(
        hospital.approved().id, ["PID0001\tNTUH"], by="lin", signer=hospital.lin, now=SOON
    )
    assert patient == "PID0001"


def test_no_match_leaves_the_request_open_and_writes_no_identity(hospital: Hospital) -> None:
    request = hospital.approved()
    with pytest.raises(CandidateMissingError, match="1 Patient IDs"):
        hospital.reveals.reveal(request.id, ["OTHER"], by="lin", signer=hospital.lin, now=SOON)
    hospital.reveals.reveal(request.id, CANDIDATES, by="lin", signer=hospital.lin, now=SOON)
    for path in hospital.data.rglob("*"):
        assert path.is_dir() or b"PID000" not in path.read_bytes()


def test_what_is_no_pseudonym_is_refused_and_not_repeated(hospital: Hospital) -> None:
    hospital.pseudonym = "A123456789"
    with pytest.raises(PseudonymSpellingError) as caught:
        hospital.ask()
    assert "A123456789" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "x", '[[person]]\nname = "a"\npublic_key = "a"\n', "person=1"]
)
def test_a_list_of_fewer_than_two_persons_resolves_nothing(hospital: Hospital, text: str) -> None:
    (hospital.data.parent / "people.toml").write_text(text)
    with pytest.raises(PeopleFileError):
        hospital.ask()


@pytest.mark.parametrize("name", ["../x", "0" * 16, ""])
def test_a_request_that_is_not_there_is_refused(hospital: Hospital, name: str) -> None:
    with pytest.raises(RevealRefusedError, match="no such"):
        hospital.reveals.approve(name, by="chen", signer=hospital.chen, now=SOON)


def test_one_key_under_two_names_resolves_nothing_also_when_people_toml_changes_later(
    hospital: Hospital, tmp_path: Path
) -> None:
    request = hospital.approved()
    listed = (tmp_path / "people.toml").read_text()
    (tmp_path / "people.toml").write_text(listed.replace('"chen.pub"', '"lin.pub"'))
    forged = replace(request, approval="")
    signature = hospital.lin.sign(pae(PAYLOAD_TYPE, forged.answer)).hex()
    content = json.loads(hospital.file_of(request).read_text()) | {"approval": signature}
    hospital.file_of(request).write_text(json.dumps(content))
    with pytest.raises(RevealRefusedError, match="of one person"):
        hospital.reveals.reveal(request.id, CANDIDATES, by="lin", signer=hospital.lin, now=SOON)
