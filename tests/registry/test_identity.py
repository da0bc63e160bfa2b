"""Log-in at an identity provider, with a small one inside this process: all its checks."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwk, jwt

from registry.accounts.identity import Provider
from registry.roles import Role
from tests.registry.access_builders import BASE, Browser, House, a_house, problem

ISSUER = "https://login.example"


class FakeProvider:
    """An OpenID provider: description, keys, and tokens whose claims a test may change."""

    def __init__(self) -> None:
        self.key = jwk.RSAKey.generate_key(2048, parameters={"kid": "k1"})
        self.published = self.key
        self.nonce = ""
        self.challenge = ""
        self.claims: dict[str, Any] = {}
        self.description: dict[str, Any] = {}
        self.asked: list[str] = []
        self.now = 0

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if request.url.path == "/.well-known/openid-configuration":
            places = {
                "issuer": ISSUER,
                "authorization_endpoint": f"{ISSUER}/authorize",
                "token_endpoint": f"{ISSUER}/token",
                "jwks_uri": f"{ISSUER}/keys",
            }
            return httpx.Response(200, json=places | self.description)
        if request.url.path == "/keys":
            return httpx.Response(200, json={"keys": [self.published.as_dict(private=False)]})
        return self._token(request)

    def _token(self, request: httpx.Request) -> httpx.Response:
        import base64
        import hashlib

        given = {name: value[0] for name, value in parse_qs(request.content.decode()).items()}
        digest = hashlib.sha256(given["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != self.challenge:
            return httpx.Response(400, json={"error": "invalid_grant"})
        if not request.headers["authorization"].startswith("Basic "):
            return httpx.Response(401, json={"error": "invalid_client"})
        claims = {
            "iss": ISSUER,
            "aud": "trifed",
            "sub": "u-1",
            "nonce": self.nonce,
            "iat": self.now,
            "exp": self.now + 300,
        } | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self.key)
        return httpx.Response(200, json={"id_token": token, "access_token": "x"})


@pytest.fixture(scope="module")
def shared() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
def provider(shared: FakeProvider) -> Iterator[FakeProvider]:
    shared.claims, shared.description, shared.published = {}, {}, shared.key
    yield shared


@pytest.fixture
def house(tmp_path: Path, provider: FakeProvider) -> House:
    transport = httpx.MockTransport(provider.answer)
    given = Provider(ISSUER, "trifed", "hidden", acr=None, transport=transport)
    house = a_house(tmp_path / "house", provider=given)
    house.person("anna", Role.HAC)
    identity = house.accounts.identity
    assert identity is not None
    identity.link("anna", "u-1")
    provider.now = int(house.clock.now.timestamp())
    return house


def begin(browser: Browser, provider: FakeProvider) -> dict[str, str]:
    """Go to the provider as a browser does; what it is asked."""
    answer = browser.get("/v1/session/identity", follow_redirects=False)
    assert answer.status_code == 303
    place = urlsplit(answer.headers["location"])
    asked = {name: value[0] for name, value in parse_qs(place.query).items()}
    assert f"{place.scheme}://{place.netloc}{place.path}" == f"{ISSUER}/authorize"
    provider.nonce, provider.challenge = asked["nonce"], asked["code_challenge"]
    return asked


def come_back(browser: Browser, state: str) -> httpx.Response:
    return browser.get("/v1/session/identity/answer", params={"code": "c", "state": state})


def test_a_linked_identity_opens_its_accounts_session(house: House, provider: FakeProvider) -> None:
    browser = Browser(house.app())
    asked = begin(browser, provider)
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["redirect_uri"] == f"{BASE}/v1/session/identity/answer"
    answer = come_back(browser, asked["state"])
    assert answer.status_code == 200 and "SameSite=strict" in answer.headers["set-cookie"]
    assert browser.get("/v1/session").json()["account"] == "anna"
    assert "hidden" not in json.dumps(asked)


def test_an_answer_counts_once(house: House, provider: FakeProvider) -> None:
    browser = Browser(house.app())
    state = begin(browser, provider)["state"]
    kept = dict(browser.cookies)
    come_back(browser, state)
    again = Browser(house.app())
    for name, value in kept.items():
        again.cookies.set(name, value)
    problem(come_back(again, state), 401, "TF772")


def test_an_answer_counts_only_in_the_browser_that_asked(
    house: House, provider: FakeProvider
) -> None:
    app = house.app()
    attacker, victim = Browser(app), Browser(app)
    state = begin(attacker, provider)["state"]
    problem(come_back(victim, state), 401, "TF772")
    begin(victim, provider)
    problem(come_back(victim, state), 401, "TF772")
    problem(come_back(victim, ""), 401, "TF772")


def test_an_answer_after_ten_minutes_does_not_count(house: House, provider: FakeProvider) -> None:
    browser = Browser(house.app())
    state = begin(browser, provider)["state"]
    house.clock.turn(minutes=10)
    problem(come_back(browser, state), 401, "TF772")


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"sub": "u-2"},
    ],
    ids=str,
)
def test_a_token_with_a_wrong_claim_opens_nothing(
    house: House, provider: FakeProvider, claims: dict[str, Any]
) -> None:
    browser = Browser(house.app())
    provider.claims = claims
    problem(come_back(browser, begin(browser, provider)["state"]), 401, "TF772")
    problem(browser.get("/v1/session"), 401, "TF776")


def test_a_token_of_another_key_opens_nothing(house: House, provider: FakeProvider) -> None:
    provider.published = jwk.RSAKey.generate_key(2048, parameters={"kid": "k1"})
    browser = Browser(house.app())
    problem(come_back(browser, begin(browser, provider)["state"]), 401, "TF772")


def test_a_provider_that_does_not_know_the_verifier_opens_nothing(
    house: House, provider: FakeProvider
) -> None:
    browser = Browser(house.app())
    state = begin(browser, provider)["state"]
    provider.challenge = "another"
    problem(come_back(browser, state), 401, "TF772")


@pytest.mark.parametrize(
    "description",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://login.example/token"},
        {"jwks_uri": ""},
    ],
)
def test_a_provider_that_describes_itself_otherwise_is_not_used(
    house: House, provider: FakeProvider, description: dict[str, str]
) -> None:
    provider.description = description
    problem(Browser(house.app()).get("/v1/session/identity"), 401, "TF772")


def test_the_demanded_strength_must_be_asserted(
    tmp_path: Path, house: House, provider: FakeProvider
) -> None:
    from dataclasses import replace

    identity = house.accounts.identity
    assert identity is not None
    strict = replace(identity, provider=replace(identity.provider, acr="two"))
    house.served = replace(house.served, accounts=replace(house.accounts, identity=strict))
    browser = Browser(house.app())
    problem(come_back(browser, begin(browser, provider)["state"]), 401, "TF772")
    provider.claims = {"acr": "two"}
    assert come_back(browser, begin(browser, provider)["state"]).status_code == 200


def test_a_shut_account_is_not_opened(house: House, provider: FakeProvider) -> None:
    house.accounts.people.shut("anna")
    browser = Browser(house.app())
    problem(come_back(browser, begin(browser, provider)["state"]), 401, "TF772")


def test_without_a_provider_there_is_no_such_log_in(tmp_path: Path) -> None:
    browser = Browser(a_house(tmp_path / "plain").app())
    problem(browser.get("/v1/session/identity"), 400, "TF732")


def test_a_provider_that_hangs_up_is_a_coded_refusal(tmp_path: Path) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no", request=request)

    given = Provider(ISSUER, "trifed", "hidden", transport=httpx.MockTransport(refuse))
    browser = Browser(a_house(tmp_path / "house", provider=given).app())
    problem(browser.get("/v1/session/identity"), 401, "TF772")


def test_the_clock_of_the_register_judges_the_token(house: House, provider: FakeProvider) -> None:
    house.clock.now += timedelta(days=1)  # the provider's own clock is a day behind
    browser = Browser(house.app())
    problem(come_back(browser, begin(browser, provider)["state"]), 401, "TF772")
