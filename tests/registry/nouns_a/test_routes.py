"""Every noun over HTTP: written, read, moved, refused with a code; and two summaries."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from federation.errors import PlatformError
from federation.errors.registry import RequestInvalidError
from registry.nouns import ALL_NOUNS, GOVERNANCE, PLURALS, noun_named, noun_routers
from registry.problems import answer_platform_error
from registry.records.shapes import Noun
from registry.roles import Author, Role
from tests.registry.nouns_a.bodies import BODIES, feedback, opt_out_list, person, propagation
from tests.registry.record_builders import Desk


def author_of(request: Request) -> Author:
    return person(Role(request.headers["x-role"]))


@pytest.fixture
def app(desk: Desk) -> FastAPI:
    app = FastAPI()
    for router in noun_routers(desk.records, author_of):
        app.include_router(router)
    app.add_exception_handler(PlatformError, answer_platform_error)
    return app


def ask(app: FastAPI, method: str, path: str, **given: Any) -> httpx.Response:
    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://r") as http:
            return await http.request(method, path, **given)

    return asyncio.run(go())


def write(app: FastAPI, path: str, body: Any, role: Role) -> httpx.Response:
    headers = {"x-role": role.value, "if-none-match": "*"}
    return ask(app, "PUT", path, content=json.dumps(body).encode(), headers=headers)


def move(app: FastAPI, path: str, number: str, role: Role, revision: int) -> httpx.Response:
    headers = {"x-role": role.value, "if-match": f'"{revision}"'}
    asked = {"move": number, "reason": "as decided"}
    return ask(app, "POST", f"{path}/moves", json=asked, headers=headers)


@pytest.mark.parametrize("noun", GOVERNANCE, ids=lambda noun: noun.name)
def test_a_record_of_every_noun_is_written_read_listed_and_refused(
    app: FastAPI, noun: Noun[Any]
) -> None:
    path = f"/v1/{PLURALS.get(noun.name, noun.name + 's')}"
    writer = min(noun.authors, key=lambda role: role.value)
    made = write(app, f"{path}/r-1", BODIES[noun.name], writer)
    assert made.status_code == 201 and made.headers["etag"] == '"1"'
    assert made.json()["state"] == noun.start
    assert [one["id"] for one in ask(app, "GET", path).json()["items"]] == ["r-1"]
    assert len(ask(app, "GET", f"{path}/r-1/history").json()["items"]) == 1
    refused = move(app, f"{path}/r-1", "no-such-move", writer, 1)
    assert (refused.status_code, refused.json()["code"]) == (403, "TF737")
    wrong = write(app, f"{path}/r-2", {"patient": "A123456789"}, writer)
    assert wrong.json()["code"] == "TF736" and "A123456789" not in wrong.text


def test_every_noun_has_an_address_of_its_own(app: FastAPI) -> None:
    paths = set(app.openapi()["paths"])
    each = [f"/v1/{PLURALS.get(noun.name, noun.name + 's')}" for noun in ALL_NOUNS]
    assert len(set(each)) == len(ALL_NOUNS) and set(each) <= paths
    assert noun_named("incident").name == "incident"
    with pytest.raises(RequestInvalidError):
        noun_named("sign-off")


def test_where_a_list_was_applied_is_told(app: FastAPI) -> None:
    write(app, "/v1/opt-out-lists/list-3", opt_out_list(), Role.NHI_S)
    for role in (Role.NHI_C, Role.SEC):
        done = move(app, "/v1/opt-out-lists/list-3", "issue", role, 1)
    assert done.json()["record"]["state"] == "issued"
    write(app, "/v1/opt-out-propagations/p-1", propagation(), Role.DST)
    move(app, "/v1/opt-out-propagations/p-1", "confirm", Role.SEC, 1)
    shown = ask(app, "GET", "/v1/opt-out-lists/list-3/applied").json()
    assert shown["missing"] == ["hualien"] and shown["state"] == "issued"
    assert ask(app, "GET", "/v1/opt-out-lists/none/applied").json()["code"] == "TF734"


def test_what_users_said_is_told_in_counts(app: FastAPI) -> None:
    write(app, "/v1/deployments/dep-1", BODIES["deployment"], Role.HAO)
    write(app, "/v1/feedback/fb-1", feedback(), Role.HAO)
    assert move(app, "/v1/feedback/fb-1", "confirm", Role.DST, 1).status_code == 200
    shown = ask(app, "GET", "/v1/deployments/dep-1/feedback").json()
    assert shown["by_role"] == {"CLI": {"agree": 80, "disagree": 20, "unsure": 0}}
    assert ask(app, "GET", "/v1/deployments/none/feedback").json()["code"] == "TF734"


def test_what_a_guard_holds_back_is_said_in_both_languages(app: FastAPI) -> None:
    write(app, "/v1/deployments/dep-1", BODIES["deployment"], Role.HAO)
    held = move(app, "/v1/deployments/dep-1", "start", Role.HAC, 1)
    assert held.status_code == 422 and held.json()["code"] == "TF100"
    first = held.json()["problems"][0]
    assert first["code"] == "TF836" and "版本" in first["detail_zh_tw"]
