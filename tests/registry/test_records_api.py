"""Records over HTTP: the revision is the ETag, a write names what it saw, refusals are coded."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from federation.errors import PlatformError
from registry.problems import answer_platform_error
from registry.records.routes import record_routes
from registry.roles import Author
from tests.registry.record_builders import DEV, HAC, LAMP, RAI_A, a_desk, sqlite_url

PEOPLE = {author.person: author for author in (DEV, HAC, RAI_A)}


def author_of(request: Request) -> Author:
    return PEOPLE[request.headers["x-person"]]


class Client:
    """Asks the application inside this process."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://r") as http:
                return await http.request(method, path, **given)

        return asyncio.run(go())

    def get(self, path: str, **given: Any) -> httpx.Response:
        return self.ask("GET", path, **given)

    def put(self, path: str, **given: Any) -> httpx.Response:
        return self.ask("PUT", path, **given)

    def post(self, path: str, **given: Any) -> httpx.Response:
        return self.ask("POST", path, **given)


@pytest.fixture
def client(tmp_path: Path) -> Client:
    desk = a_desk(sqlite_url(tmp_path))
    app = FastAPI()
    app.include_router(record_routes(desk.records, LAMP, author_of=author_of))
    app.add_exception_handler(PlatformError, answer_platform_error)
    return Client(app)


NEW = {"x-person": "dev-1", "if-none-match": "*"}
RED = b'{"colour": "red"}'


def put(client: Client, id: str = "l-1", content: bytes = RED, **headers: str) -> object:
    return client.put(f"/v1/lamps/{id}", content=content, headers=NEW | headers)


def test_a_record_is_written_read_and_not_sent_again(client: Client) -> None:
    made = client.put("/v1/lamps/l-1", content=RED, headers=NEW)
    assert made.status_code == 201 and made.headers["etag"] == '"1"'
    shown = client.get("/v1/lamps/l-1")
    assert shown.json()["body"]["colour"] == "red" and shown.headers["etag"] == '"1"'
    again = client.get("/v1/lamps/l-1", headers={"if-none-match": '"1"'})
    assert again.status_code == 304 and again.content == b""
    assert len(client.get("/v1/lamps/l-1/history").json()["items"]) == 1


def test_a_write_without_or_with_an_older_revision_is_refused(client: Client) -> None:
    put(client)
    for headers, code in (
        ({"x-person": "dev-1"}, "TF732"),
        ({"x-person": "dev-1", "if-match": '"x"'}, "TF732"),
        ({"x-person": "dev-1", "if-match": '"7"'}, "TF735"),
        (NEW, "TF735"),
    ):
        refused = client.put("/v1/lamps/l-1", content=RED, headers=headers)
        assert refused.json()["code"] == code and refused.status_code >= 400
    changed = client.put(
        "/v1/lamps/l-1",
        content=b'{"colour": "blue"}',
        headers={"x-person": "dev-1", "if-match": '"1"'},
    )
    assert changed.status_code == 200 and changed.headers["etag"] == '"2"'


def test_a_move_says_whose_signature_is_missing(client: Client) -> None:
    put(client)
    asked = {"move": "light", "reason": "it works"}
    seen = {"if-match": '"1"'}
    first = client.post("/v1/lamps/l-1/moves", json=asked, headers=seen | {"x-person": "rai-1"})
    assert first.json()["missing"] == [["HAC"]]
    second = client.post("/v1/lamps/l-1/moves", json=asked, headers=seen | {"x-person": "hac-1"})
    assert second.json()["missing"] == [] and second.json()["record"]["state"] == "lit"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"move": 7, "reason": "x"}', b'{"move": "light"}'], ids=str
)
def test_a_move_that_is_none_is_a_coded_error(client: Client, content: bytes) -> None:
    put(client)
    headers = {"x-person": "hac-1", "if-match": '"1"'}
    refused = client.post("/v1/lamps/l-1/moves", content=content, headers=headers)
    assert refused.status_code < 500 and refused.json()["code"] in ("TF701", "TF732")


def test_records_are_listed_filtered_and_paged(client: Client) -> None:
    for number in range(3):
        put(client, f"l-{number}", b'{"colour": "c%d"}' % number)
    page = client.get("/v1/lamps", params={"limit": 2}).json()
    assert [item["id"] for item in page["items"]] == ["l-2", "l-1"]
    rest = client.get("/v1/lamps", params={"before": page["next"]}).json()
    assert [item["id"] for item in rest["items"]] == ["l-0"] and rest["next"] is None
    found = client.get("/v1/lamps", params={"facet.colour": "c1"}).json()["items"]
    assert [item["id"] for item in found] == ["l-1"]
    many = {f"facet.{number}": "x" for number in range(6)}
    assert client.get("/v1/lamps", params=many).json()["code"] == "TF732"
    assert client.get("/v1/lamps", params={"q": "lamp C2"}).json()["items"][0]["id"] == "l-2"


def test_what_is_not_there_is_not_found(client: Client) -> None:
    assert client.get("/v1/lamps/l-9").json()["code"] == "TF734"
    assert client.get("/v1/lamps/%2e%2e").status_code in (404, 422)
