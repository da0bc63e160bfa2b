"""Passkeys, with an authenticator in software: what it signs, and everything it must not."""

import hashlib
import json
import secrets
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from registry.roles import Role
from tests.registry.access_builders import (
    BASE,
    Browser,
    House,
    Person,
    a_house,
    browser_of,
    problem,
)

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class Authenticator:
    """A passkey in software (WebAuthn level 3, section 6; ES256, no attestation)."""

    def __init__(self, *, host: str = "register.test", origin: str = BASE) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(16)
        self.host, self.origin = host, origin
        self.count = 0

    def made(self, question: dict[str, Any], *, flags: int = PRESENT | VERIFIED) -> str:
        public = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32), -3: public.y.to_bytes(32)}
        attested = bytes(16) + len(self.id).to_bytes(2) + self.id + cbor2.dumps(cose)
        data = self._head(flags | ATTESTED) + attested
        client = self._client("webauthn.create", question["challenge"])
        response = {
            "clientDataJSON": bytes_to_base64url(client),
            "attestationObject": bytes_to_base64url(
                cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
            ),
        }
        return self._credential(response)

    def answered(
        self, question: dict[str, Any], *, flags: int = PRESENT | VERIFIED, count: int = 1
    ) -> str:
        self.count += count
        data = self._head(flags)
        client = self._client("webauthn.get", question["challenge"])
        signed = data + hashlib.sha256(client).digest()
        response = {
            "clientDataJSON": bytes_to_base64url(client),
            "authenticatorData": bytes_to_base64url(data),
            "signature": bytes_to_base64url(self.key.sign(signed, ec.ECDSA(hashes.SHA256()))),
        }
        return self._credential(response)

    def _head(self, flags: int) -> bytes:
        return hashlib.sha256(self.host.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _credential(self, response: dict[str, str]) -> str:
        name = bytes_to_base64url(self.id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return a_house(tmp_path_factory.mktemp("house") / "house")


@pytest.fixture(scope="module")
def app(house: House) -> FastAPI:
    return house.app()


@pytest.fixture
def anna(house: House) -> Person:
    house.clock.turn(hours=25)  # refused tries of the test before are forgotten
    return house.person(f"anna-{len(house.people)}", Role.HAC)


def ask_to_add(browser: Browser) -> dict[str, Any]:
    return dict(browser.post("/v1/passkeys/question").json())


def added(browser: Browser, passkey: Authenticator) -> Authenticator:
    body = {"credential": passkey.made(ask_to_add(browser)), "label": "phone"}
    assert browser.post("/v1/passkeys", json=body).status_code == 204
    return passkey


def ask_to_log_in(browser: Browser) -> dict[str, Any]:
    return dict(browser.post("/v1/session/passkey-question").json())


def test_a_passkey_is_added_and_logs_in_alone(house: House, app: FastAPI, anna: Person) -> None:
    passkey = added(browser_of(house, anna, app), Authenticator())
    browser = Browser(app)
    for _ in range(2):
        credential = passkey.answered(ask_to_log_in(browser))
        answer = browser.post("/v1/session/passkey", json={"credential": credential})
        assert answer.json()["account"] == anna.name and "HttpOnly" in answer.headers["set-cookie"]
    assert browser.get("/v1/session").json()["means"] == "session"


def test_the_question_names_no_account_and_demands_the_person(app: FastAPI, anna: Person) -> None:
    question = ask_to_log_in(Browser(app))
    assert question.get("allowCredentials", []) == []
    assert question["userVerification"] == "required" and question["rpId"] == "register.test"
    assert len(base64url_to_bytes(question["challenge"])) >= 32


@pytest.mark.parametrize(
    "fault", ["unknown", "other key", "unverified", "counter", "host", "origin", "twice", "late"]
)
def test_a_passkeys_answer_with_a_fault_logs_nobody_in(
    house: House, app: FastAPI, anna: Person, fault: str
) -> None:
    passkey, browser = added(browser_of(house, anna, app), Authenticator()), Browser(app)
    passkey.answered(ask_to_log_in(browser))
    question, flags, count = ask_to_log_in(browser), PRESENT | VERIFIED, 1
    if fault == "unknown":
        passkey.id = secrets.token_bytes(16)
    elif fault == "other key":
        passkey.key = ec.generate_private_key(ec.SECP256R1())
    elif fault == "unverified":
        flags = PRESENT
    elif fault == "counter":
        body = {"credential": passkey.answered(question, count=4)}
        assert browser.post("/v1/session/passkey", json=body).status_code == 200
        question, count = ask_to_log_in(browser), -1
    elif fault in {"host", "origin"}:
        setattr(passkey, fault, "https://evil.test" if fault == "origin" else "evil.test")
    body = {"credential": passkey.answered(question, flags=flags, count=count)}
    if fault == "twice":
        assert browser.post("/v1/session/passkey", json=body).status_code == 200
    if fault == "late":
        house.clock.turn(minutes=5)
    problem(Browser(app).post("/v1/session/passkey", json=body), 401, "TF760")


def test_a_passkey_of_a_shut_account_logs_nobody_in(
    house: House, app: FastAPI, anna: Person
) -> None:
    passkey = added(browser_of(house, anna, app), Authenticator())
    house.accounts.people.shut(anna.name)
    body = {"credential": passkey.answered(ask_to_log_in(Browser(app)))}
    problem(Browser(app).post("/v1/session/passkey", json=body), 401, "TF760")


@pytest.mark.parametrize("fault", ["unverified", "origin", "another's question", "again", "twice"])
def test_a_passkey_with_a_fault_is_not_added(
    house: House, app: FastAPI, anna: Person, fault: str
) -> None:
    browser, passkey = browser_of(house, anna, app), Authenticator()
    question, flags = ask_to_add(browser), PRESENT | VERIFIED
    if fault == "unverified":
        flags = PRESENT
    if fault == "origin":
        passkey.origin = "https://evil.test"
    if fault == "another's question":
        question = ask_to_add(
            browser_of(house, house.person(f"ben-{len(house.people)}", Role.HAC), app)
        )
    if fault == "again":
        added(browser, passkey)
    body = {"credential": passkey.made(question, flags=flags), "label": "phone"}
    if fault == "twice":
        assert browser.post("/v1/passkeys", json=body).status_code == 204
    problem(browser.post("/v1/passkeys", json=body), 422, "TF774")


@pytest.mark.parametrize("text", ["x", "{}", "[]", '{"response":{"clientDataJSON":"AA"}}', "é"])
def test_what_is_no_answer_is_refused_alike(
    house: House, app: FastAPI, anna: Person, text: str
) -> None:
    body = {"credential": text, "label": "phone"}
    problem(Browser(app).post("/v1/session/passkey", json=body), 401, "TF760")
    problem(browser_of(house, anna, app).post("/v1/passkeys", json=body), 422, "TF774")
