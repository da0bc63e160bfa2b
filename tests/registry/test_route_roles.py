"""Every route and every role: what the one table says, and nothing else, is what is answered."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from registry.accounts.ports import Caller, Means, Scope
from registry.accounts.service import Accounts
from registry.api.rules import PERSON, PUBLIC, Place, Rule, Who, movers, readers
from registry.api.visibility import acts_on
from registry.api.whole import served_register
from registry.roles import GRANTABLE, Author, Role
from registry.service_app import served_app
from tests.registry.access_builders import (
    BASE,
    GENEROUS,
    Browser,
    House,
    a_house,
    browser_of,
    problem,
    with_token,
)
from tests.registry.record_builders import DEV, LAMP

NEW = {"if-none-match": "*"}
REFUSED = {"TF762", "TF766", "TF776"}


def whole(house: House) -> FastAPI:
    served = served_register(house.register.registrar, house.accounts, database_url=house.url)
    return served_app(replace(served, limits=GENEROUS))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return a_house(tmp_path_factory.mktemp("house") / "house", nouns=())


@pytest.fixture(scope="module")
def app(house: House) -> FastAPI:
    accounts = house.accounts
    parts = {one.name: getattr(accounts, one.name) for one in fields(accounts)}
    return whole(replace(house, accounts=Known(**parts)))


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every route with its method as it is reached, those outside the OpenAPI document too."""
    for route in app.routes:
        contexts = getattr(route, "effective_route_contexts", None)
        for found in [route] if contexts is None else contexts():
            for method in sorted(found.methods or ()):
                yield method, found.path


def concrete(path: str) -> str:
    for name in ("id", "entry", "name"):
        path = path.replace(f"{{{name}}}", "nothing")
    return path.replace("{index}", "0").replace("{size}", "1").replace("{noun}", "incident")


class Known(Accounts):
    """Accounts that know a caller by a token that says what they are: `session HAC`."""

    __slots__ = ()

    def of_token(self, secret: str) -> Caller:
        means, role, *scopes = secret.split(",")
        given = frozenset(Scope(name) for name in scopes)
        roles = frozenset({Role(role)})
        return Caller(Means(means), "somebody", roles, "House", None, given, csrf="c" * 64)


def codes(app: FastAPI, places: Iterable[Place], who: str | None) -> dict[Place, str]:
    """The code of each route's refusal, or nothing. No body is sent, so no deed is done."""

    async def go() -> dict[Place, str]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"x-csrf-token": "c" * 64} | ({"authorization": f"Bearer {who}"} if who else {})
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as http:
            answers = {
                (method, path): await http.request(method, concrete(path))
                for method, path in places
            }
        return {place: _code(answer) for place, answer in answers.items()}

    return asyncio.run(go())


def _code(answer: httpx.Response) -> str:
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    return str(answer.json()["code"]) if is_problem else ""


def api_of(app: FastAPI) -> dict[Place, Rule]:
    return {place: rule for place, rule in app.state.rules.items() if place[1].startswith("/v1/")}


def test_every_route_is_in_the_table_and_the_table_has_no_other(app: FastAPI) -> None:
    found = set(routes(app)) - {("HEAD", "/v1/openapi.json")}
    assert found == set(app.state.rules)
    assert len([place for place in found if place[1].startswith("/v1/")]) > 60


def test_what_needs_nobody_is_this_and_no_more(app: FastAPI) -> None:
    public = {place for place, rule in app.state.rules.items() if rule is PUBLIC}
    assert {place for place in public if place[1].startswith("/v1/")} == {
        ("GET", "/v1/health"),
        ("GET", "/v1/openapi.json"),
        ("GET", "/v1/model-versions/{entry}"),
        ("GET", "/v1/evidence/checkpoint"),
        ("GET", "/v1/evidence/growth"),
        ("GET", "/v1/evidence/{index}/proof"),
        ("POST", "/v1/session"),
        ("POST", "/v1/session/passkey-question"),
        ("POST", "/v1/session/passkey"),
        ("GET", "/v1/session/identity"),
        ("GET", "/v1/session/identity/answer"),
        ("POST", "/v1/enrolment/start"),
        ("POST", "/v1/enrolment"),
        ("GET", "/v1/cosignatures/witnesses"),
        ("GET", "/v1/cosignatures/witnesses/{name}/request"),
        ("GET", "/v1/cosignatures/checkpoint"),
    }


def test_nobody_gets_past_any_route_that_is_not_public(app: FastAPI) -> None:
    table = api_of(app)
    for place, code in codes(app, table, None).items():
        assert (code == "TF776") == (not table[place].is_public), place


@pytest.mark.parametrize("role", sorted(GRANTABLE, key=lambda role: role.value))
def test_each_role_gets_past_the_routes_of_its_rule_and_no_other(app: FastAPI, role: Role) -> None:
    table = {place: rule for place, rule in api_of(app).items() if not rule.is_public}
    as_person = codes(app, table, f"session,{role.value}")
    as_program = codes(app, table, f"token,{role.value},read,write,move")
    for place, rule in table.items():
        listed = rule.who is Who.KNOWN or role in rule.who
        assert (as_person[place] not in REFUSED) == listed, place
        allowed = listed and rule.scope is not None
        assert (as_program[place] not in REFUSED) == allowed, place


@pytest.mark.parametrize("who", [None, "session,AUD", "session,DEV", "token,CLI,read"])
def test_head_is_answered_as_get_without_content_on_every_route(
    app: FastAPI, who: str | None
) -> None:
    places = sorted(path for method, path in app.state.rules if method == "GET")
    assert len(places) > 60
    for path, (head, got) in both(app, places, who).items():
        assert head.content == b"", path
        assert head.status_code == got.status_code != 405, path
        assert _lasting(head) == _lasting(got), path


def both(
    app: FastAPI, paths: Iterable[str], who: str | None
) -> dict[str, tuple[httpx.Response, httpx.Response]]:
    """The answers to HEAD and to GET, by path."""

    async def go() -> dict[str, tuple[httpx.Response, httpx.Response]]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {who}"} if who else {}
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as http:
            return {
                path: (await http.head(concrete(path)), await http.get(concrete(path)))
                for path in paths
            }

    return asyncio.run(go())


def _lasting(answer: httpx.Response) -> dict[str, str]:
    """The headers of an answer but those that are new each time."""
    return {name: value for name, value in answer.headers.items() if name != "set-cookie"}


@pytest.mark.parametrize("scope", Scope)
def test_a_scope_lets_through_its_own_routes_only(app: FastAPI, scope: Scope) -> None:
    table = {
        place: rule
        for place, rule in api_of(app).items()
        if isinstance(rule.who, frozenset) and Role.HAC in rule.who
    }
    for place, code in codes(app, table, f"token,HAC,{scope.value}").items():
        assert (code != "TF766") == (table[place].scope is scope), place


def test_no_rule_names_the_clock_or_the_public(app: FastAPI) -> None:
    for place, rule in app.state.rules.items():
        if isinstance(rule.who, frozenset):
            assert not rule.who & {Role.CLOCK, Role.PUB, Role.SUB}, place


def test_a_developer_has_a_seat_but_never_reads_what_is_not_theirs_to_write() -> None:
    assert readers(LAMP) == LAMP.authors | movers(LAMP) | readers(LAMP)
    assert Role.CLI not in readers(LAMP)


def test_a_route_that_is_in_no_table_is_refused_to_all(house: House) -> None:
    app = whole(house)

    @app.get("/v1/forgotten")
    def forgotten() -> str:
        return "secret"

    problem(Browser(app).get("/v1/forgotten"), 401, "TF776")
    house.person("aud", Role.AUD)
    auditor = with_token(house, "aud", *Scope, app=app)
    assert "secret" not in auditor.get("/v1/forgotten").text
    assert auditor.get("/v1/forgotten").status_code == 403


def test_pages_that_are_not_public_are_for_people_in_a_session(app: FastAPI) -> None:
    pages = {
        place: rule for place, rule in app.state.rules.items() if not place[1].startswith("/v1/")
    }
    assert pages and set(pages.values()) <= {PUBLIC, PERSON}
    assert all(rule is PERSON for (_, path), rule in pages.items() if path.endswith("/sign"))


def test_the_answer_is_the_same_whether_a_record_is_there_or_not(tmp_path: Path) -> None:
    house = a_house(tmp_path / "house")
    app = house.app()
    dev = browser_of(house, house.person("dora", Role.DEV, organisation="Lamp Works"), app)
    assert dev.put("/v1/lamps/hidden", content=b'{"colour":"red"}', headers=NEW).status_code == 201
    rival = browser_of(house, house.person("rita", Role.DEV, organisation="Rival Ltd"), app)
    clinician = browser_of(house, house.person("cleo", Role.CLI), app)
    stale = {"if-match": '"1"'}
    asks: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/v1/lamps/{}", {}),
        ("GET", "/v1/lamps/{}/history", {}),
        ("PUT", "/v1/lamps/{}", {"content": b'{"colour":"red"}', "headers": stale}),
        ("POST", "/v1/lamps/{}/moves", {"content": b"{}", "headers": stale}),
    ]
    for browser in (Browser(app), rival, clinician):
        for method, path, given in asks:
            hidden = browser.ask(method, path.format("hidden"), **given)
            missing = browser.ask(method, path.format("missing"), **given)
            assert hidden.status_code == missing.status_code
            assert hidden.text.replace("hidden", "") == missing.text.replace("missing", "")
    assert rival.get("/v1/lamps").json() == {"items": [], "next": None}
    assert len(dev.get("/v1/lamps").json()["items"]) == 1


def test_a_full_page_is_found_among_many_that_are_not_seen(tmp_path: Path) -> None:
    house = a_house(tmp_path / "house")
    app = house.app()
    one = browser_of(house, house.person("one", Role.DEV, organisation="One"), app)
    two = browser_of(house, house.person("two", Role.DEV, organisation="Two"), app)
    for number in range(7):
        browser = two if number % 3 else one
        content = b'{"colour":"red"}'
        assert browser.put(f"/v1/lamps/l-{number}", content=content, headers=NEW).is_success
    seen, before = [], ""
    while before is not None:
        page = one.get(f"/v1/lamps?limit=2{before and f'&before={before}'}").json()
        seen += [item["id"] for item in page["items"]]
        before = page["next"]
    assert seen == ["l-6", "l-3", "l-0"]


def test_a_person_with_two_fitting_roles_says_which(tmp_path: Path) -> None:
    house = a_house(tmp_path / "house")
    both = browser_of(house, house.person("both", Role.DEV, Role.HAO), house.app())
    content = b'{"colour":"red"}'
    problem(both.put("/v1/lamps/l-1", content=content, headers=NEW), 422, "TF763")
    for wrong in ("RAI-A", "nonsense"):
        headers = NEW | {"x-role": wrong}
        problem(both.put("/v1/lamps/l-1", content=content, headers=headers), 422, "TF763")
    made = both.put("/v1/lamps/l-1", content=content, headers=NEW | {"x-role": "hao"})
    assert made.json()["author"]["role"] == "HAO"


def test_a_move_needs_two_people_over_http_too(tmp_path: Path) -> None:
    house = a_house(tmp_path / "house")
    app = house.app()
    dev = browser_of(house, house.person("dora", Role.DEV, organisation="Lamp Works"), app)
    rai = browser_of(house, house.person("rob", Role.RAI_A, organisation="Centre One"), app)
    hac = browser_of(house, house.person("hal", Role.HAC, organisation="Tainan Hospital"), app)
    dev.put("/v1/lamps/l-1", content=b'{"colour":"red"}', headers=NEW)
    asked: dict[str, Any] = {
        "json": {"move": "light", "reason": "it is dark"},
        "headers": {"if-match": '"1"'},
    }
    problem(dev.post("/v1/lamps/l-1/moves", **asked), 403, "TF762")
    first = rai.post("/v1/lamps/l-1/moves", **asked).json()
    assert (first["record"]["state"], first["missing"]) == ("new", [["HAC"]])
    problem(rai.post("/v1/lamps/l-1/moves", **asked), 409, "TF738")
    done = hac.post("/v1/lamps/l-1/moves", **asked)
    assert (done.json()["record"]["state"], done.headers["etag"]) == ("lit", '"2"')
    assert dev.get("/v1/lamps/l-1").json()["state"] == "lit"


def test_who_writes_a_noun_acts_on_their_own_houses_records_only() -> None:
    rival = Author("rita", Role.DEV, "Rival Ltd")
    assert acts_on(DEV, LAMP, "Lamp Works") and acts_on(DEV, LAMP, None)
    assert not acts_on(rival, LAMP, "Lamp Works")
    assert acts_on(Author("hal", Role.HAC, "Tainan Hospital"), LAMP, "Lamp Works")


def test_rules_say_what_they_take() -> None:
    assert Rule(frozenset({Role.HAC, Role.AUD})).names() == "AUD, HAC"
    assert Rule(frozenset()).names() == "none" and Rule(Who.KNOWN).names() == "known"
