"""What somebody hostile sends over HTTP: odd origins, NUL, two lengths, many addresses."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from federation.errors import PlatformError
from federation.evidence.canonical import canonical
from federation.evidence.model_version import Candidate
from registry.accounts.ports import network_of
from registry.accounts.throttle import FREE_FOR_ADDRESS
from registry.api.limits import Allowance, Limits
from registry.problems import RequestLimit
from registry.roles import Author, Role
from tests.databases import own_schema
from tests.postgres import postgres  # noqa: F401
from tests.registry.access_builders import (
    BASE,
    Browser,
    House,
    a_house,
    browser_of,
    problem,
)
from tests.registry.builders import STUDY_DIGEST, facts
from tests.registry.test_registry_serve import address, home  # noqa: F401
from tests.registry.test_route_roles import whole

LOG_IN = {"name": "nobody", "password": "nine green bottles", "code": "123456"}
NUL = "%00"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return a_house(tmp_path_factory.mktemp("hostile") / "house").app()


@pytest.mark.parametrize(
    "origin",
    [
        "http://[",
        "https://x]",
        "null",
        "",
        "//register.test",
        "http://register.test",
        "https://register.test.evil.example",
        "https://evil@register.test",
        "https://register.test/",
        BASE + ":444",
    ],
)
def test_a_change_from_any_other_origin_is_refused_and_no_origin_is_a_fault(
    app: FastAPI, origin: str
) -> None:
    answer = Browser(app).post("/v1/session", json=LOG_IN, headers={"origin": origin})
    problem(answer, 403, "TF764")


def test_the_registers_own_origin_may_log_in(app: FastAPI) -> None:
    answer = Browser(app).post("/v1/session", json=LOG_IN, headers={"origin": BASE})
    problem(answer, 401, "TF760")


# --- NUL: SQLite keeps it, PostgreSQL cannot ------------------------------------------------


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> House:
    url = None
    if request.param == "postgresql":
        url = own_schema(str(request.getfixturevalue("postgres")))
    return a_house(tmp_path_factory.mktemp("nul") / "house", nouns=(), url=url)


def test_a_nul_in_an_address_or_a_body_is_the_senders_fault(full: House) -> None:
    roles = (Role.RAI_R, Role.RAI_A, Role.AUD)
    app = whole(full)
    known = browser_of(full, full.person("all", *roles, organisation="Centre One"), app)
    for path in (
        f"/v1/accounts?after={NUL}",
        f"/v1/accounts/{NUL}",
        f"/v1/evaluations?q={NUL}",
        f"/v1/evaluations?state={NUL}",
        f"/v1/evaluations?facet.site={NUL}",
        f"/v1/evaluations?facet.{NUL}=x",
        f"/v1/evaluations/{NUL}",
        f"/v1/evaluations/a{NUL}b/history",
        f"/v1/lineage/datasets/{NUL}",
        f"/v1/certification/items/evaluation/{NUL}",
        f"/console/records/evaluation?state={NUL}",
        f"/console/records/evaluation/{NUL}",
        f"/register?q={NUL}&hospital={NUL}",
    ):
        assert known.get(path).status_code in (200, 400, 404), path
    named = Browser(app).post("/v1/session", json=LOG_IN | {"name": "a\0b"})
    assert named.status_code in (400, 401)


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\u200b", "\ufeff", "\x1b", "\x85"])
def test_no_text_holds_what_is_not_seen_and_changes_what_is(tmp_path: Path, character: str) -> None:
    house = a_house(tmp_path / "house")
    dev = browser_of(house, house.person("dora", Role.DEV, organisation="Lamp Works"))
    new = {"if-none-match": "*"}
    colour = f"{character}evil" if character != "\x85" else f"a{character}b"
    answer = dev.put("/v1/lamps/l-1", json={"colour": colour}, headers=new)
    assert "colour" in problem(answer, 422, "TF736")["detail"]
    with pytest.raises(PlatformError):
        Author("dora", Role.DEV, f"Lamp{character}Works")
    changed = facts(house.register, study=a_study(f"Pneu{character}monia"))
    with pytest.raises(PlatformError):
        Candidate.from_json(canonical(changed))


def a_study(title: str) -> dict[str, object]:
    return {"id": "cxr-2026", "title": title, "digest": STUDY_DIGEST}


def test_line_feeds_tabs_chinese_and_emoji_are_text(tmp_path: Path) -> None:
    house = a_house(tmp_path / "house")
    dev = browser_of(house, house.person("dora", Role.DEV, organisation="臺南醫院"))
    body = {"colour": "紅色\n\t👩\u200d⚕️ é"}
    answer = dev.put("/v1/lamps/l-1", json=body, headers={"if-none-match": "*"})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"colour":"red\\u0000"}', 422),
        (b'{"colour":"red\\\\\\u0000"}', 422),
        (b'{"colour":"red\\\\u0000"}', 201),
    ],
    ids=["NUL", "backslash and NUL", "only spelled"],
)
def test_no_record_holds_nul_on_any_database(
    request: pytest.FixtureRequest, tmp_path: Path, body: bytes, status: int
) -> None:
    for url in (None, own_schema(str(request.getfixturevalue("postgres")))):
        house = a_house(tmp_path / str(url is None), url=url)
        dev = browser_of(house, house.person("dora", Role.DEV, organisation="Lamp Works"))
        new = {"if-none-match": "*"}
        assert dev.put("/v1/lamps/l-1", content=body, headers=new).status_code == status


def test_no_reason_holds_nul(tmp_path: Path) -> None:
    house = a_house(tmp_path / "house")
    app = house.app()
    dev = browser_of(house, house.person("dora", Role.DEV, organisation="Lamp Works"), app)
    rob = browser_of(house, house.person("rob", Role.RAI_A, organisation="Centre One"), app)
    dev.put("/v1/lamps/l-1", content=b'{"colour":"red"}', headers={"if-none-match": "*"})
    asked = {"move": "light", "reason": "dark\0"}
    answer = rob.post("/v1/lamps/l-1/moves", json=asked, headers={"if-match": '"1"'})
    problem(answer, 422, "TF736")


# --- many addresses, one sender -------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_of_ipv6_a_whole_network_counts_as_one_address(host: str, network: str) -> None:
    assert network_of(host) == network


def test_a_flood_from_one_network_of_ipv6_addresses_is_limited(tmp_path: Path) -> None:
    limits = Limits(Allowance(3, 0.001), Allowance(100, 100))
    app = a_house(tmp_path / "house", limits=limits).app()
    asked = [Browser(app, address=f"2001:db8::{n:x}").get("/v1/health") for n in range(1, 6)]
    assert [answer.status_code for answer in asked] == [200, 200, 200, 429, 429]
    assert Browser(app, address="2001:db8:0:1::1").get("/v1/health").status_code == 200


def test_guessing_many_names_from_one_network_of_ipv6_addresses_waits(tmp_path: Path) -> None:
    app = a_house(tmp_path / "house").app()
    for number in range(FREE_FOR_ADDRESS):
        browser = Browser(app, address=f"2001:db8::{number:x}")
        problem(browser.post("/v1/session", json=LOG_IN | {"name": f"n{number}"}), 401, "TF760")
    last = Browser(app, address="2001:db8::ffff").post("/v1/session", json=LOG_IN)
    problem(last, 429, "TF761")


# --- two lengths ----------------------------------------------------------------------------


@pytest.fixture
def line(home: Path, address: str) -> Iterator[ssl.SSLSocket]:  # noqa: F811
    """A bare TLS connection to a register that runs in a process of its own."""
    host, _, port = address.removeprefix("https://").partition(":")
    trust = ssl.create_default_context(cafile=home / "pki" / "ca.crt")
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        trust.wrap_socket(plain, server_hostname=host) as secure,
    ):
        yield secure


def _all(line: ssl.SSLSocket) -> bytes:
    found = b""
    while piece := line.recv(65536):
        found += piece
    return found


def test_a_request_hidden_behind_two_lengths_is_never_answered(line: ssl.SSLSocket) -> None:
    hidden = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    outer = b"POST /v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    line.sendall(outer + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden)
    answered = _all(line)  # to its end: the register hangs up
    assert answered.startswith(b"HTTP/1.1 400 ") and answered.count(b"HTTP/1.1 ") == 1


def test_two_lengths_are_refused_whatever_server_passes_them_on() -> None:
    sent: list[Any] = []

    async def app(*_given: Any) -> None:
        raise AssertionError("it was passed on")

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(RequestLimit(app, limit_bytes=10)(scope, receive, send))
    assert sent[0]["status"] == 400
    assert (b"connection", b"close") in sent[0]["headers"]
