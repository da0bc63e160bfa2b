"""A served register with accounts, people who are logged in, and a client over its application."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pyotp
from argon2 import PasswordHasher, Type
from fastapi import FastAPI

from registry.accounts.identity import Provider
from registry.accounts.passkeys import Site
from registry.accounts.passwords import Passwords
from registry.accounts.people import Wanted
from registry.accounts.ports import Opened
from registry.accounts.sealing import Sealing, new_key
from registry.accounts.service import Accounts, accounts_of
from registry.api.limits import Allowance, Limits
from registry.roles import CENTRE_OF, Centre, Role
from registry.service_app import Served, served_app
from tests.registry.builders import Centre as Register
from tests.registry.builders import make_centre
from tests.registry.record_builders import LAMP, TurnableClock

BASE = "https://register.test"
PASSWORD = "nine green bottles"
FAST = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1, type=Type.ID))
GENEROUS = Limits(Allowance(10_000, 1000), Allowance(10_000, 1000))


@dataclass
class Person:
    """Somebody with an account, what they know, and what their phone shows."""

    name: str
    seed: str
    recovery: list[str]
    clock: TurnableClock

    def code(self) -> str:
        """The code of the phone now; the clock goes on to the next, so each is new."""
        self.clock.turn(seconds=30)
        return pyotp.TOTP(self.seed).at(self.clock.now)


@dataclass
class House:
    """A register with accounts and a clock to turn."""

    register: Register
    accounts: Accounts
    clock: TurnableClock
    sealing: Sealing
    url: str
    served: Served
    people: dict[str, Person] = field(default_factory=dict)

    def invite(self, name: str, *roles: Role, organisation: str = "House", **more: Any) -> str:
        centre = next((CENTRE_OF[role] for role in roles if role in CENTRE_OF), None)
        wanted = Wanted(name, frozenset(roles), organisation, more.pop("centre", centre), **more)
        return self.accounts.people.invite(wanted).secret or ""

    def person(self, name: str, *roles: Role, **more: Any) -> Person:
        """Somebody invited and enrolled."""
        return self.enrol(self.invite(name, *roles, **more))

    def enrol(self, secret: str) -> Person:
        started = self.accounts.people.start_enrolment(secret)
        self.clock.turn(seconds=30)
        code = pyotp.TOTP(started.seed).at(self.clock.now)
        codes = self.accounts.people.enrol(secret, password=PASSWORD, code=code)
        person = Person(started.name, started.seed, codes, self.clock)
        self.people[started.name] = person
        return person

    def log_in(self, person: Person, *, address: str = "192.0.2.1", **more: Any) -> Opened:
        logins = self.accounts.log_ins
        return logins.log_in(person.name, PASSWORD, person.code(), address=address, **more)

    def app(self) -> FastAPI:
        return served_app(self.served)


def a_house(
    folder: Path,
    *,
    url: str | None = None,
    nouns: Iterable[Any] = (LAMP,),
    limits: Limits = GENEROUS,
    provider: Provider | None = None,
    passwords: Passwords = FAST,
) -> House:
    from registry.records.routes import record_routes

    register = make_centre(folder, url=url)
    url = url or f"sqlite:///{register.database}"
    clock, sealing, given = TurnableClock(), Sealing.of_file(new_key()), tuple(nouns)
    accounts = accounts_of(
        database_url=url,
        signer=register.signer,
        sealing=sealing,
        site=Site("register.test", BASE),
        passwords=passwords,
        provider=provider,
        clock=clock,
    )
    served = Served(
        register.registrar,
        accounts,
        nouns=tuple((noun, None) for noun in given),
        noun_routers=lambda records, author_of: [
            record_routes(records, noun, author_of=author_of) for noun in given
        ],
        limits=limits,
    )
    return House(register, accounts, clock, sealing, url, served)


class Browser:
    """Asks the application inside this process, keeping cookies as a browser does."""

    def __init__(self, app: FastAPI, *, address: str = "192.0.2.1") -> None:
        self._app = app
        self._address = (address, 4711)
        self.cookies = httpx.Cookies()
        self.headers: dict[str, str] = {}

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(
                self._app, raise_app_exceptions=False, client=self._address
            )
            headers = {**self.headers, **given.pop("headers", {})}
            async with httpx.AsyncClient(
                transport=transport, base_url=BASE, cookies=self.cookies
            ) as http:
                answer = await http.request(method, path, headers=headers, **given)
                self.cookies = http.cookies
                return answer

        return asyncio.run(go())

    def get(self, path: str, **given: Any) -> httpx.Response:
        return self.ask("GET", path, **given)

    def post(self, path: str, **given: Any) -> httpx.Response:
        return self.ask("POST", path, **given)

    def put(self, path: str, **given: Any) -> httpx.Response:
        return self.ask("PUT", path, **given)

    def delete(self, path: str, **given: Any) -> httpx.Response:
        return self.ask("DELETE", path, **given)

    def log_in(self, person: Person) -> httpx.Response:
        """Log in over HTTP and send the form token from then on."""
        body = {"name": person.name, "password": PASSWORD, "code": person.code()}
        answer = self.post("/v1/session", json=body)
        assert answer.status_code == 200, answer.text
        self.headers["x-csrf-token"] = answer.json()["csrf"]
        return answer


def browser_of(house: House, person: Person, app: FastAPI | None = None) -> Browser:
    """A browser in which a person is logged in."""
    browser = Browser(app or house.app())
    browser.log_in(person)
    return browser


def with_token(house: House, name: str, *scopes: Any, app: FastAPI | None = None) -> Browser:
    """A program with a token of an account."""
    made = house.accounts.tokens.make(name, label="t", scopes=scopes, days=30)
    browser = Browser(app or house.app())
    browser.headers["authorization"] = f"Bearer {made.secret}"
    return browser


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = dict(answer.json())
    assert (body["code"], body["status"]) == (code, status)
    return body


def centre_of(role: Role) -> Centre | None:
    return CENTRE_OF.get(role)
