"""What the served API refuses of size, number, depth and content, and what every answer says."""

import sqlite3
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from registry.accounts.ports import Scope
from registry.api.limits import BODY_BYTES, MAX_BUCKETS, Allowance, Buckets, Limits
from registry.models.cards import new_card
from registry.models.numbers import model_id
from registry.roles import Role
from tests.registry.access_builders import Browser, House, a_house, browser_of, problem, with_token
from tests.registry.builders import candidate_of_study
from tests.registry.record_builders import DEV, LAMP, Lamp

RED = b'{"colour": "red"}'
NEW = {"if-none-match": "*"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return a_house(tmp_path / "house")


@pytest.fixture
def app(house: House) -> FastAPI:
    return house.app()


@pytest.fixture
def dev(house: House, app: FastAPI) -> Browser:
    return browser_of(house, house.person("dora", Role.DEV, organisation="Lamp Works"), app)


def test_ten_megabytes_are_refused_before_they_are_read(app: FastAPI, dev: Browser) -> None:
    content = b'{"colour": "' + b"x" * 10 * 2**20 + b'"}'
    problem(dev.put("/v1/lamps/l-1", content=content, headers=NEW), 413, "TF731")
    json = {"content-type": "application/json"}
    for path in ("/v1/session", "/v1/enrolment", "/v1/session/passkey"):
        problem(Browser(app).post(path, content=content, headers=json), 413, "TF731")


def test_a_body_that_hides_its_length_is_cut_off(dev: Browser) -> None:
    async def endless() -> object:
        for _ in range(BODY_BYTES // 1024 + 8):
            yield b" " * 1024

    answer = dev.put("/v1/lamps/l-1", content=endless(), headers=NEW)
    problem(answer, 413, "TF731")


@pytest.mark.parametrize("depth", [100, 5_000, 200_000])
def test_json_nested_too_deeply_is_a_coded_problem_on_every_route_with_a_body(
    house: House, app: FastAPI, dev: Browser, depth: int
) -> None:
    content = b'{"a":' * depth + b"1" + b"}" * depth
    json = {"content-type": "application/json"} | NEW
    for path, methods in app.openapi()["paths"].items():
        for method in methods:
            if "requestBody" not in methods[method]:
                continue
            place = path.replace("{id}", "l-1").replace("{name}", "n").replace("{entry}", "e")
            answer = dev.ask(method.upper(), place, content=content, headers=json)
            assert answer.status_code in {403, 413, 422}, (method, path, answer.text)
            assert answer.json()["code"] in {"TF701", "TF731", "TF762"}


INJECTIONS = (
    "'; DROP TABLE registry_records; --",
    '" OR 1=1 --',
    "%27%20UNION%20SELECT%20*%20FROM%20registry_access",
    "{{7*7}}",
    "${7*7}",
    "<script>alert(1)</script>",
    "{% include '/etc/passwd' %}",
    "../../etc/passwd",
    "a%00b",
)


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_looks_like_code_is_text_everywhere(house: House, dev: Browser, text: str) -> None:
    dev.put("/v1/lamps/l-1", content=RED, headers=NEW)
    reads = (
        ("/v1/lamps", {"q": text}),
        ("/v1/lamps", {"state": text[:40]}),
        ("/v1/lamps", {"facet.colour": text}),
        ("/v1/accounts", {"after": text}),
    )
    for path, query in reads:
        answer = dev.get(path, params=query)
        assert answer.status_code in {200, 400, 403}, answer.text
        assert "49" not in answer.text and answer.json().get("items", []) == []
    for path in ("/v1/lamps/{}", "/v1/model-versions/{}", "/v1/tokens/{}"):
        for method in ("GET", "DELETE"):
            answer = dev.ask(method, path.format(httpx.URL(f"/{text}").raw_path.decode()[1:]))
            assert answer.status_code in {200, 204, 404, 405, 422, 400}, answer.text
    body = f'{{"colour": "{text}"}}'.encode()
    stored = dev.put("/v1/lamps/l-2", content=body, headers=NEW)
    if stored.status_code == 201:
        assert dev.get("/v1/lamps/l-2").json()["body"]["colour"] == text
    assert dev.get("/v1/lamps/l-1").json()["body"]["colour"] == "red"
    database = sqlite3.connect(house.register.database)
    count = database.execute("SELECT count(*) FROM registry_records").fetchone()[0]
    database.close()
    assert count >= 1


def test_nothing_of_a_refused_body_is_repeated(app: FastAPI) -> None:
    given = {"name": "A123456789", "password": ["A123456789"], "code": 7}
    answer = Browser(app).post("/v1/session", json=given)
    problem(answer, 400, "TF732")
    assert "A123456789" not in answer.text and "password" in answer.text


def test_an_address_that_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    few = Limits(Allowance(at_once=5, per_second=0.1), Allowance(1000, 1000))
    app = a_house(tmp_path / "house", limits=few).app()
    browser = Browser(app)
    answers = [browser.get("/v1/health") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    problem(answers[-1], 429, "TF765")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
    assert Browser(app, address="192.0.2.7").get("/v1/health").status_code == 200


def test_an_account_shares_its_allowance_over_all_its_tokens(tmp_path: Path) -> None:
    few = Limits(Allowance(1000, 1000), Allowance(at_once=4, per_second=0.1))
    house = a_house(tmp_path / "house", limits=few)
    house.person("anna", Role.AUD)
    app = house.app()
    tokens = [with_token(house, "anna", Scope.READ, app=app) for _ in range(2)]
    answers = [tokens[number % 2].get("/v1/lamps") for number in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2


def test_an_allowance_fills_up_again_and_the_oldest_is_forgotten() -> None:
    now = [0.0]
    buckets = Buckets(Allowance(at_once=2, per_second=1), lambda: now[0])
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 1]
    now[0] = 1.5
    assert buckets.take("a") == 0 and buckets.take("a") == 0.5
    for number in range(MAX_BUCKETS):
        buckets.take(str(number))
    assert buckets.take("a") == 0 and buckets.take("a") == 0  # forgotten, so full


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/health"),
        ("GET", "/v1/nothing"),
        ("POST", "/v1/tokens"),
        ("GET", "/v1/openapi.json"),
    ],
)
def test_every_answer_carries_the_security_headers(app: FastAPI, method: str, path: str) -> None:
    headers = Browser(app).ask(method, path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["strict-transport-security"].startswith("max-age=")
    assert headers["cache-control"] == "no-store"


def test_a_limit_answers_with_the_security_headers_too(tmp_path: Path) -> None:
    few = Limits(Allowance(1000, 1000), Allowance(1000, 1000))
    browser = Browser(a_house(tmp_path / "house", limits=few).app())
    json = {"content-type": "application/json"}
    answer = browser.post("/v1/session", content=b" " * (BODY_BYTES + 1), headers=json)
    assert answer.status_code == 413 and "content-security-policy" in answer.headers


def test_the_document_is_openapi_3_1_and_names_every_body(app: FastAPI) -> None:
    document = Browser(app).get("/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    asked = {path for path, methods in document["paths"].items() if "requestBody" in str(methods)}
    assert {"/v1/session", "/v1/tokens", "/v1/accounts", "/v1/lamps/{id}"} <= asked
    assert all(path.startswith("/v1/") for path in document["paths"])


def test_records_carry_an_etag_and_a_stale_write_is_refused(dev: Browser) -> None:
    assert dev.put("/v1/lamps/l-1", content=RED, headers=NEW).headers["etag"] == '"1"'
    assert dev.get("/v1/lamps/l-1", headers={"if-none-match": '"1"'}).status_code == 304
    assert dev.put("/v1/lamps/l-1", content=RED, headers={"if-match": '"1"'}).status_code == 200
    problem(dev.put("/v1/lamps/l-1", content=RED, headers={"if-match": '"1"'}), 409, "TF735")
    problem(dev.put("/v1/lamps/l-1", content=RED), 400, "TF732")


def test_what_is_written_says_who_in_which_role(house: House, dev: Browser) -> None:
    author = dev.put("/v1/lamps/l-1", content=RED, headers=NEW).json()["author"]
    assert (author["person"], author["role"]) == ("dora", "DEV")
    assert author["organisation"] == "Lamp Works"


def test_a_fault_is_answered_without_its_cause(house: House) -> None:
    app = house.app()

    @app.get("/v1/health/broken")
    def broken() -> None:
        raise RuntimeError("A123456789")

    app.state.rules["GET", "/v1/health/broken"] = app.state.rules["GET", "/v1/health"]
    answer = Browser(app).get("/v1/health/broken")
    problem(answer, 500, "TF732")
    assert "A123456789" not in answer.text


def test_an_account_edited_in_the_database_is_a_coded_fault(house: House, dev: Browser) -> None:
    database = sqlite3.connect(house.register.database)
    database.execute("UPDATE registry_access SET content = replace(content, 'DEV', 'AUD')")
    database.commit()
    database.close()
    problem(dev.get("/v1/lamps"), 500, "TF779")


def test_registering_over_http_records_who_did_it(house: House, app: FastAPI, dev: Browser) -> None:
    given = candidate_of_study(house.register, "cxr")
    made = dev.post("/v1/model-versions", content=given.model_dump_json())
    assert made.status_code == 201, made.text
    with house.register.registrar.store.reading() as transaction:
        events = [event.content for event in transaction.audit.events()]
    assert '"actor":"dora"' in events[-1]
    entry = made.json()["entry"]
    assert dev.get(f"/v1/model-versions/{entry}").status_code == 200
    other = f"{model_id(year=2026, number=2)}.v0.1.0"
    hidden = Browser(app).get(f"/v1/model-versions/{entry}")
    missing = Browser(app).get(f"/v1/model-versions/{other}")
    for answer in (hidden, missing):
        assert problem(answer, 404, "TF726")["title"] == "EntryNotFoundError"
    assert hidden.text.replace(entry, "") == missing.text.replace(other, "")


def test_a_record_put_by_the_register_itself_is_listed(house: House, dev: Browser) -> None:
    from registry.records.service import Records

    registrar = house.register.registrar
    records = Records(registrar.store, registrar.signer, house.clock)
    records.put(LAMP, "l-9", Lamp(colour="blue"), author=DEV)
    assert [one["id"] for one in dev.get("/v1/lamps").json()["items"]] == ["l-9"]


def test_a_versions_card_is_written_and_its_move_held_back_by_what_is_missing(
    house: House, app: FastAPI, dev: Browser
) -> None:
    entry = house.register.registrar.register(
        candidate_of_study(house.register, "cxr"), actor="centre"
    )[0].entry
    card = new_card(house.register.registrar.store, entry)
    path, content = f"/v1/version-records/{entry}", card.model_dump_json()
    elsewhere = f"/v1/version-records/{model_id(year=2026, number=2)}.v0.1.0"
    problem(dev.put(elsewhere, content=content, headers=NEW), 422, "TF736")
    assert dev.put(path, content=content, headers=NEW).status_code == 201
    move = {"move": "T2", "reason": "complete"}
    seen = {"if-match": '"1"'}
    problem(dev.post(f"{path}/moves", json=move, headers=seen), 403, "TF737")
    registrar = browser_of(house, house.person("rae", Role.RAI_R, organisation="Centre One"), app)
    refused = registrar.post(f"{path}/moves", json=move, headers=seen)
    assert problem(refused, 422, "TF100")["problems"]
    assert registrar.get(path).json()["state"] == "draft"
