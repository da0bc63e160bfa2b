"""The register over HTTP: default-deny, coded problems, limits, and the client's one code path."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import pytest

from federation.errors import ProblemsFound
from federation.errors.registry import (
    EntryNotFoundError,
    NotAllowedError,
    RecordInvalidError,
    RegistryAnswerError,
    RunRegisteredError,
    SmallCountError,
)
from federation.errors.signed import LogRangeError
from federation.evidence.canonical import canonical
from federation.evidence.checkpoint import verify_checkpoint
from federation.evidence.inclusion import check_entry, origin_of
from federation.operations.registry_client import Registered, RegistryClient
from registry.problems import RequestLimit
from registry.service_app import MAX_REQUEST_BYTES, PUBLIC, registry_app
from tests.registry.builders import Centre, candidate, candidate_of_study, facts, metric

TOKEN = "t" * 43
BASE = "http://register.test"
Value = TypeVar("Value")


def ask(
    centre: Centre,
    method: str,
    path: str,
    *,
    token: str | None = TOKEN,
    content: bytes | None = None,
) -> httpx.Response:
    async def asked() -> httpx.Response:
        app = registry_app(centre.registrar, service_token=TOKEN)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
            return await http.request(method, path, headers=headers, content=content)

    return asyncio.run(asked())


def with_client(
    centre: Centre,
    use: Callable[[RegistryClient], Awaitable[Value]],
    *,
    token: str | None = TOKEN,
) -> Value:
    async def used() -> Value:
        app = registry_app(centre.registrar, service_token=TOKEN)
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE)
        async with RegistryClient(http, token=token) as client:
            return await use(client)

    return asyncio.run(used())


def problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["code"] == code and body["status"] == status
    assert body["type"] == f"urn:trifed:error:{code}"
    return dict(body)


def test_what_is_registered_is_listed_and_shown(centre: Centre) -> None:
    given = candidate(centre)
    made = with_client(centre, lambda client: client.register(given))
    again = with_client(centre, lambda client: client.register(given))
    listing = with_client(centre, lambda client: client.list(), token=None)
    shown = with_client(centre, lambda client: client.show(made.entry), token=None)
    assert made == again == Registered("TWAI-2026-00001-4.v0.1.0", "TWAI-2026-00001-4", "0.1.0")
    assert listing.total == 1 and listing.items[0]["entry"] == made.entry
    assert check_entry(shown, key=centre.signer.public_key).failure is None


def test_the_list_comes_in_pages_newest_first(centre: Centre) -> None:
    for number in range(3):
        centre.registrar.register(candidate_of_study(centre, f"s{number}"), actor="centre")
    page = with_client(centre, lambda client: client.list(offset=1, limit=1))
    assert page.total == 3
    assert [item["study"] for item in page.items] == ["s1"]


def test_the_checkpoint_is_signed_by_the_centre(centre: Centre) -> None:
    centre.registrar.register(candidate(centre), actor="centre")
    note = with_client(centre, lambda client: client.checkpoint(), token=None)
    key = centre.signer.public_key
    assert verify_checkpoint(note, origin=origin_of(key), key=key).size == 7


def test_an_empty_log_has_no_checkpoint(centre: Centre) -> None:
    with pytest.raises(LogRangeError):
        with_client(centre, lambda client: client.checkpoint())


def test_the_clients_errors_are_those_of_the_register(centre: Centre) -> None:
    with_client(centre, lambda client: client.register(candidate(centre)))
    changed = candidate(centre, rounds={"asked": 9, "done": 3})
    small = candidate(centre, pooled=[metric(5)], evaluations=[])
    for given, kind in ((changed, RunRegisteredError), (small, ProblemsFound)):
        with pytest.raises(kind) as caught:
            with_client(centre, lambda client, given=given: client.register(given))
    assert isinstance(caught.value, ProblemsFound)
    assert SmallCountError in [type(part) for part in caught.value.problems]
    with pytest.raises(EntryNotFoundError):
        with_client(centre, lambda client: client.show("TWAI-2026-00001-4.v9.9.9"))
    with pytest.raises(EntryNotFoundError):
        with_client(centre, lambda client: client.show("../evidence/0?x=/\n"))


def test_a_client_without_the_token_cannot_register(centre: Centre) -> None:
    for token in (None, "", "x" * 43, TOKEN[:-1]):
        with pytest.raises(NotAllowedError):
            with_client(centre, lambda client: client.register(candidate(centre)), token=token)


def test_every_route_that_is_not_public_needs_the_token(centre: Centre) -> None:
    app = registry_app(centre.registrar, service_token=TOKEN)
    seen = set()
    for path, methods in app.openapi()["paths"].items():
        for method in map(str.upper, methods):
            response = ask(
                centre, method, path.replace("{index}", "0").replace("{entry}", "x"), token=None
            )
            seen.add((method, path))
            assert (response.status_code != 401) == ((method, path) in PUBLIC), (method, path)
    assert seen > PUBLIC
    assert ("POST", "/v1/model-versions") in seen - PUBLIC
    assert ("GET", "/v1/evidence/{index}") in seen - PUBLIC


def test_the_token_must_be_long() -> None:
    with pytest.raises(ValueError, match="32 characters"):
        registry_app(None, service_token="short")  # type: ignore[arg-type]


def test_a_refusal_without_token_says_how_to_ask(centre: Centre) -> None:
    response = ask(centre, "POST", "/v1/model-versions", token=None, content=b"{}")
    body = problem(response, 401, "TF730")
    assert response.headers["www-authenticate"] == "Bearer"
    assert "權杖" in str(body["detail_zh_tw"])


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "TF701"),
        (b"{", "TF701"),
        (b'{"run":1,"run":2}', "TF701"),
        (b'{"rounds":NaN}', "TF701"),
        (b"[" * 50_000, "TF701"),
        (b"{}", "TF720"),
        (b"[]", "TF720"),
    ],
    ids=lambda value: str(value[:10]),
)
def test_a_body_that_is_no_candidate_is_a_coded_problem(
    centre: Centre, content: bytes, code: str
) -> None:
    problem(ask(centre, "POST", "/v1/model-versions", content=content), 422, code)


def test_nothing_of_a_refused_body_is_repeated(centre: Centre) -> None:
    given = facts(centre) | {"run": "A123456789 Wang"}
    response = ask(centre, "POST", "/v1/model-versions", content=canonical(given))
    problem(response, 422, "TF720")
    assert "A123456789" not in response.text and "Wang" not in response.text


def test_a_body_over_the_limit_is_refused_before_it_is_read(centre: Centre) -> None:
    content = b" " * (MAX_REQUEST_BYTES + 1)
    problem(ask(centre, "POST", "/v1/model-versions", content=content), 413, "TF731")


def test_a_body_that_hides_its_length_is_cut_off(centre: Centre) -> None:
    async def asked() -> httpx.Response:
        async def endless() -> object:
            for _ in range(64):
                yield b" " * 1024

        app = RequestLimit(
            registry_app(centre.registrar, service_token=TOKEN), limit_bytes=8 * 1024
        )
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
            return await http.post(
                "/v1/model-versions",
                content=endless(),
                headers={"Authorization": f"Bearer {TOKEN}"},
            )

    problem(asyncio.run(asked()), 413, "TF731")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "TF732"),
        ("DELETE", "/v1/model-versions", 405, "TF732"),
        ("GET", "/v1/model-versions?limit=100000", 400, "TF732"),
        ("GET", "/v1/model-versions?offset=-1", 400, "TF732"),
        ("GET", "/v1/evidence/x/proof", 400, "TF732"),
        ("GET", "/v1/evidence/5/proof", 404, "TF710"),
        ("GET", "/v1/evidence/growth?old=1&new=5", 404, "TF710"),
        ("GET", "/v1/model-versions/TWAI-2026-00001-4", 404, "TF726"),
        ("GET", "/v1/model-versions/%27%3B%20DROP%20TABLE", 404, "TF726"),
    ],
)
def test_every_refusal_is_a_problem_with_a_code(
    centre: Centre, method: str, path: str, status: int, code: str
) -> None:
    problem(ask(centre, method, path), status, code)


def test_the_openapi_document_is_version_3_1_and_names_the_body(centre: Centre) -> None:
    document = ask(centre, "GET", "/v1/openapi.json", token=None).json()
    assert document["openapi"].startswith("3.1")
    post = document["paths"]["/v1/model-versions"]["post"]
    assert post["requestBody"]["content"]["application/json"]["schema"]["title"] == "Candidate"


def test_a_register_that_cannot_be_reached_is_a_coded_error() -> None:
    async def asked() -> None:
        async with RegistryClient.at("http://127.0.0.1:9") as client:
            await client.list()

    with pytest.raises(RegistryAnswerError):
        asyncio.run(asked())


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(502, content=b"bad gateway"),
        httpx.Response(500, json={"code": "TF999", "values": {}}),
        httpx.Response(500, json={"code": "TF726", "values": {"other": "x"}}),
    ],
    ids=["html", "list", "gateway", "unknown code", "other fields"],
)
def test_an_answer_that_is_not_the_registers_is_a_coded_error(answer: httpx.Response) -> None:
    async def asked() -> None:
        http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer), base_url=BASE)
        async with RegistryClient(http) as client:
            await client.show("TWAI-2026-00001-4")

    with pytest.raises(RegistryAnswerError):
        asyncio.run(asked())


def test_the_register_is_healthy(centre: Centre) -> None:
    response = ask(centre, "GET", "/v1/health", token=None)
    assert response.json() == {"status": "ok", "versions": 0}


def test_a_missing_field_is_named_to_the_client(centre: Centre) -> None:
    given = facts(centre)
    del given["code"]
    response = ask(centre, "POST", "/v1/model-versions", content=canonical(given))
    body = problem(response, 422, RecordInvalidError.code)
    assert "code: Field required" in str(body["detail"])


def test_an_unreadable_record_is_the_registers_fault_not_the_readers(centre: Centre) -> None:
    stored, _ = centre.registrar.register(candidate(centre), actor="centre")
    database = sqlite3.connect(centre.database)
    database.execute("UPDATE model_versions SET record = '{}'")
    database.commit()
    database.close()
    for path in ("/v1/model-versions", f"/v1/model-versions/{stored.entry}"):
        problem(ask(centre, "GET", path), 500, "TF713")
