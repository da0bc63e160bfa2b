"""Sessions over HTTP: new at each log-in, ended by time and by word, useless to other pages."""

from pathlib import Path
from statistics import median
from time import perf_counter

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI

from federation.errors.access import LogInRefusedError
from registry.accounts.log_in import LogIns
from registry.accounts.passwords import Passwords
from registry.accounts.ports import COOKIE
from registry.roles import Role
from tests.registry.access_builders import (
    PASSWORD,
    Browser,
    House,
    Person,
    a_house,
    browser_of,
    problem,
)

COMPARED: list[bool] = []


class Counting(Passwords):
    """Passwords that note for whom a comparison was made: somebody or nobody."""

    def fits(self, password: str, stored: str | None) -> bool:
        COMPARED.append(stored is not None)
        return Passwords.fits(self, password, stored)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return a_house(tmp_path_factory.mktemp("house") / "house")


@pytest.fixture(scope="module")
def app(house: House) -> FastAPI:
    return house.app()


@pytest.fixture
def anna(house: House) -> Person:
    house.clock.turn(hours=25)  # refused tries of the test before are forgotten
    return house.person(f"anna-{len(house.people)}", Role.RAI_R, organisation="Centre One")


def test_the_cookie_is_only_for_this_host_and_no_script(app: FastAPI, anna: Person) -> None:
    answer = Browser(app).log_in(anna)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-") and "Path=/" in cookie and "Domain" not in cookie
    for flag in ("Secure", "HttpOnly", "SameSite=strict", "Max-Age=36000"):
        assert flag in cookie
    assert answer.json()["roles"] == ["RAI-R"]


def test_a_session_set_before_the_log_in_is_never_taken_up(app: FastAPI, anna: Person) -> None:
    browser = Browser(app)
    browser.cookies.set(COOKIE, "fixed-by-somebody-else")
    browser.log_in(anna)
    given = browser.cookies.get(COOKIE, domain="register.test")
    assert given and given != "fixed-by-somebody-else"
    attacker = Browser(app)
    attacker.cookies.set(COOKIE, "fixed-by-somebody-else")
    problem(attacker.get("/v1/session"), 401, "TF776")


def test_logging_in_again_ends_the_earlier_session(app: FastAPI, anna: Person) -> None:
    browser = Browser(app)
    browser.log_in(anna)
    earlier = Browser(app)
    earlier.cookies = browser.cookies
    thief = Browser(app)
    thief.cookies.set(COOKIE, str(browser.cookies.get(COOKIE)))
    browser.log_in(anna)
    assert browser.get("/v1/session").json()["account"] == anna.name
    problem(thief.get("/v1/session"), 401, "TF776")


def test_a_session_ends_after_half_an_hour_without_use(
    house: House, app: FastAPI, anna: Person
) -> None:
    browser = browser_of(house, anna, app)
    for _ in range(3):
        house.clock.turn(minutes=29)
        assert browser.get("/v1/session").status_code == 200
    house.clock.turn(minutes=30)
    problem(browser.get("/v1/session"), 401, "TF776")


def test_a_session_ends_after_ten_hours_of_use(house: House, app: FastAPI, anna: Person) -> None:
    browser = browser_of(house, anna, app)
    for _ in range(21):
        house.clock.turn(minutes=28)
        assert browser.get("/v1/session").status_code == 200
    house.clock.turn(minutes=12)
    problem(browser.get("/v1/session"), 401, "TF776")


def test_logging_out_ends_this_session(house: House, app: FastAPI, anna: Person) -> None:
    here, there = browser_of(house, anna, app), browser_of(house, anna, app)
    copy = Browser(app)
    copy.cookies.set(COOKIE, str(here.cookies.get(COOKIE)))
    assert here.delete("/v1/session").status_code == 204
    assert here.cookies.get(COOKIE) is None
    problem(copy.get("/v1/session"), 401, "TF776")
    assert there.get("/v1/session").status_code == 200


def test_logging_out_everywhere_ends_all(house: House, app: FastAPI, anna: Person) -> None:
    here, there = browser_of(house, anna, app), browser_of(house, anna, app)
    assert here.delete("/v1/sessions").status_code == 204
    for browser in (here, there):
        problem(browser.get("/v1/session"), 401, "TF776")


@pytest.mark.parametrize("token", [None, "", "0" * 64, "übel"])
def test_a_change_by_cookie_needs_the_forms_token(
    house: House, app: FastAPI, anna: Person, token: str | None
) -> None:
    browser = browser_of(house, anna, app)
    browser.headers = {} if token is None else {"x-csrf-token": token.encode()}  # type: ignore[dict-item]
    body = {"label": "t", "scopes": ["read"], "days": 1}
    problem(browser.post("/v1/tokens", json=body), 403, "TF764")
    assert house.accounts.tokens.of(anna.name) == []


def test_the_forms_token_is_of_one_session(house: House, app: FastAPI, anna: Person) -> None:
    here, there = browser_of(house, anna, app), browser_of(house, anna, app)
    here.headers, there.headers = there.headers, here.headers
    problem(here.post("/v1/passkeys/question"), 403, "TF764")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"origin": "https://register.test.evil.test"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_sites_page_changes_nothing_and_logs_nobody_in(
    house: House, app: FastAPI, anna: Person, headers: dict[str, str]
) -> None:
    browser = browser_of(house, anna, app)
    problem(browser.post("/v1/passkeys/question", headers=headers), 403, "TF764")
    body = {"name": anna.name, "password": PASSWORD, "code": anna.code()}
    answer = Browser(app).post("/v1/session", json=body, headers=headers)
    problem(answer, 403, "TF764")
    assert "set-cookie" not in answer.headers


def test_a_page_of_the_register_itself_may(house: House, app: FastAPI, anna: Person) -> None:
    browser = browser_of(house, anna, app)
    headers = {"origin": "https://register.test", "sec-fetch-site": "same-origin"}
    assert browser.post("/v1/passkeys/question", headers=headers).status_code == 200


def test_a_log_in_that_no_script_would_send_is_refused(app: FastAPI, anna: Person) -> None:
    body = f"name={anna.name}&password={PASSWORD}&code={anna.code()}"
    form = {"content-type": "application/x-www-form-urlencoded"}
    problem(Browser(app).post("/v1/session", content=body, headers=form), 400, "TF732")
    plain = {"content-type": "text/plain"}
    problem(Browser(app).post("/v1/session", content="{}", headers=plain), 400, "TF732")


@pytest.mark.parametrize("name", ["", "nobody", "A'; DROP TABLE registry_access;--"])
def test_a_refused_log_in_looks_the_same_for_every_name(
    app: FastAPI, anna: Person, name: str
) -> None:
    body = {"name": name or anna.name, "password": "another sentence", "code": "000000"}
    answer = Browser(app).post("/v1/session", json=body)
    body = problem(answer, 401, "TF760")
    assert body["values"] == {} and "set-cookie" not in answer.headers
    assert "www-authenticate" not in answer.headers


def test_a_name_without_account_takes_as_long(tmp_path: Path) -> None:
    passwords = Counting(PasswordHasher(time_cost=4, memory_cost=8192, parallelism=1))
    house = a_house(tmp_path / "house", passwords=passwords)
    house.person("anna", Role.RAI_R)
    times: dict[str, list[float]] = {"anna": [], "nobody": []}
    passwords.fits("warm", None)
    for turn in range(4):
        for name, taken in times.items():
            begun = perf_counter()
            with pytest.raises(LogInRefusedError):
                house.accounts.log_ins.log_in(name, "another", "000000", address=f"10.0.{turn}.1")
            taken.append(perf_counter() - begun)
    assert COMPARED[1:] == [True, False] * 4  # one comparison each, whoever it is
    assert 0.4 < median(times["anna"]) / median(times["nobody"]) < 2.5


def test_a_password_hashed_at_other_costs_is_hashed_anew_at_the_next_log_in(
    tmp_path: Path,
) -> None:
    house = a_house(tmp_path / "house")
    person = house.person("anna", Role.RAI_R)
    dearer = Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    LogIns(house.accounts.log_ins.desk, dearer).log_in(
        "anna", PASSWORD, person.code(), address="192.0.2.1"
    )
    assert "t=2" in str(house.accounts.people.get("anna").password)
    assert house.log_in(person)


def test_throttling_says_how_long_over_http(app: FastAPI, anna: Person) -> None:
    browser = Browser(app)
    body = {"name": anna.name, "password": "another sentence", "code": "000000"}
    answers = [browser.post("/v1/session", json=body) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert answers[-1].headers["retry-after"] == "5"
    problem(answers[-1], 429, "TF761")


def test_enrolment_over_http_ends_in_a_log_in(house: House, app: FastAPI) -> None:
    import pyotp

    secret, browser = house.invite("ben", Role.HAC), Browser(app)
    started = browser.post("/v1/enrolment/start", json={"secret": secret}).json()
    assert started["address"].startswith("otpauth://totp/TriFed:ben?")
    body = {
        "secret": secret,
        "password": PASSWORD,
        "code": pyotp.TOTP(started["seed"]).at(house.clock.now),
    }
    codes = browser.post("/v1/enrolment", json=body).json()["recovery_codes"]
    assert len(set(codes)) == 10
    problem(browser.post("/v1/enrolment", json=body), 401, "TF770")
    browser.log_in(Person("ben", started["seed"], codes, house.clock))
    assert browser.get("/v1/session").json()["account"] == "ben"


def test_a_registrar_proposes_and_another_person_confirms(house: House, app: FastAPI) -> None:
    one = house.person("rae", Role.RAI_R, organisation="Centre One")
    two = house.person("rob", Role.RAI_A, organisation="Centre One")
    registrar, reviewer = browser_of(house, one, app), browser_of(house, two, app)
    asked = {"name": "hal", "roles": ["HAC"], "organisation": "Tainan Hospital"}
    made = registrar.post("/v1/accounts", json=asked)
    assert made.status_code == 201 and made.json()["state"] == "proposed"
    problem(registrar.post("/v1/accounts", json=asked), 409, "TF767")
    problem(registrar.post("/v1/accounts/hal/confirmation"), 403, "TF762")
    start = {"secret": made.json()["enrolment"]}
    problem(Browser(app).post("/v1/enrolment/start", json=start), 401, "TF770")
    assert reviewer.post("/v1/accounts/hal/confirmation").json()["state"] == "invited"
    assert Browser(app).post("/v1/enrolment/start", json=start).status_code == 200
    assert registrar.delete("/v1/accounts/hal").json()["state"] == "shut"
    problem(reviewer.get("/v1/accounts/nobody"), 404, "TF768")


def test_accounts_come_in_pages_by_name(tmp_path: Path) -> None:
    house = a_house(tmp_path / "house")
    app = house.app()
    auditor = browser_of(house, house.person("zara", Role.AUD), app)
    for name in ("b", "a", "c"):
        house.invite(name, Role.HAC)
    seen, after = [], ""
    while after is not None:
        page = auditor.get(f"/v1/accounts?limit=2&after={after}").json()
        seen += [one["name"] for one in page["items"]]
        after = page["next"]
    assert seen == ["a", "b", "c", "zara"]
    assert "password" not in auditor.get("/v1/accounts").text


def test_a_token_is_shown_once_and_reads_without_a_cookie(
    house: House, app: FastAPI, anna: Person
) -> None:
    browser = browser_of(house, anna, app)
    body = {"label": "reports", "scopes": ["read"], "days": 30}
    made = browser.post("/v1/tokens", json=body).json()
    listed = browser.get("/v1/tokens")
    assert made["secret"] not in listed.text and listed.json()["items"][0]["id"] == made["id"]
    program = Browser(app)
    program.headers["authorization"] = f"Bearer {made['secret']}"
    assert program.get("/v1/session").json()["means"] == "token"
    problem(program.post("/v1/tokens", json=body), 403, "TF766")
    assert browser.delete(f"/v1/tokens/{made['id']}").status_code == 204
    problem(program.get("/v1/session"), 401, "TF776")


def test_a_wrong_token_is_nobody_even_beside_a_good_cookie(
    house: House, app: FastAPI, anna: Person
) -> None:
    browser = browser_of(house, anna, app)
    for value in ("Bearer x", "Bearer ", "Basic YTpi", "Bearer trifed_" + "x" * 4000):
        answer = browser.get("/v1/session", headers={"authorization": value})
        problem(answer, 401, "TF776")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("cookie", ["x" * 9000, "a" * 100_000, '"; bad', "__Host-trifed=;;;=,"])
def test_a_cookie_that_is_none_is_nobody(app: FastAPI, cookie: str) -> None:
    for header in (cookie, f"{COOKIE}={cookie}"):
        problem(Browser(app).get("/v1/session", headers={"cookie": header}), 401, "TF776")
