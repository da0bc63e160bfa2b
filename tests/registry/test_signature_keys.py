"""A person's signature, made on their own machine: accepted over HTTP, and checked offline."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from fastapi import FastAPI

from federation.domain.ids import Sha256
from federation.errors.access import LogInRefusedError
from federation.errors.moves import PersonKeyError, StaleRecordError
from federation.errors.registry import RegistryAnswerError
from federation.errors.signed import LogTamperedError
from federation.errors.upkeep import KeyClaimRefusedError
from federation.evidence.canonical import canonical, digest_of
from federation.evidence.members import CHAIN, REVOKED
from federation.evidence.person_key import claim_key, verify_claim
from federation.evidence.signing import Signer
from federation.operations.register_signing import SigningDesk
from registry.accounts.items import Kind
from registry.accounts.ports import Scope
from registry.accounts.signature_keys import MAX_KEYS
from registry.api.whole import served_register
from registry.auditing import audit_log
from registry.bundle import export
from registry.records.statements import moment
from registry.roles import Role
from registry.service_app import served_app
from tests.registry.access_builders import (
    BASE,
    GENEROUS,
    PASSWORD,
    Browser,
    House,
    Person,
    a_house,
    browser_of,
    problem,
    with_token,
)
from tests.registry.builders import candidate
from tests.registry.bundles import ENTRY, members_of, statements, verdict
from tests.registry.nouns_a.bodies import HOSPITAL, deployment
from tests.registry.record_builders import new_signer

NEW = {"if-none-match": "*"}


class Inside(httpx.BaseTransport):
    """Asks an application in this process, without a network."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport) as http:
                return await http.request(
                    request.method, request.url, headers=request.headers, content=request.read()
                )

        answer = asyncio.run(go())
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def inside(app: FastAPI) -> httpx.Client:
    """The client of the command line, for an application in this process."""
    return httpx.Client(transport=Inside(app), base_url=BASE)


@dataclass
class Served:
    """A whole register at the present time, with one version and one deployment of it."""

    house: House
    app: FastAPI
    hal: Person

    def desk(self, person: Person) -> SigningDesk:
        """Somebody logged in, with the client that the command line uses."""
        desk = SigningDesk(inside(self.app))
        desk.log_in(person.name, password=PASSWORD, code=person.code())
        return desk

    def claim(self, signer: Signer, **changes: Any) -> str:
        keys = self.house.accounts.signature_keys
        said = {
            "person": "hal",
            "register": keys.register,
            "at": moment(self.house.clock.now),
        }
        return claim_key(signer, **(said | changes))

    def add(self, signer: Signer, **more: Any) -> str:
        keys = self.house.accounts.signature_keys
        return keys.add("hal", self.claim(signer), **({"days": 365} | more)).digest

    def export(self, path: Path) -> Path:
        registrar, keys = self.house.register.registrar, self.house.accounts.signature_keys
        return export(registrar, ENTRY, path, people=keys.of_person)

    def audit(self) -> None:
        audit_log(self.house.register.registrar.store, key=self.house.register.signer.public_key)


@pytest.fixture
def served(tmp_path: Path) -> Served:
    house = a_house(tmp_path / "house", nouns=())
    house.clock.now = datetime.now(UTC).replace(microsecond=0)
    centre = house.register
    centre.registrar.register(candidate(centre, statements=statements(centre)), actor="centre")
    registrar = replace(centre.registrar, clock=house.clock)
    whole = served_register(registrar, house.accounts, database_url=house.url)
    app = served_app(replace(whole, limits=GENEROUS))
    ola = browser_of(house, house.person("ola", Role.HAO, organisation=HOSPITAL), app)
    made = ola.put("/v1/deployments/d-1", content=canonical(deployment()), headers=NEW)
    assert made.status_code == 201, made.text
    return Served(house, app, house.person("hal", Role.HAC, organisation=HOSPITAL))


def sign(served: Served, signer: Signer) -> dict[str, Any]:
    with served.desk(served.hal) as desk:
        shown = desk.look("deployment", "d-1")
        done: dict[str, Any] = desk.sign(
            signer, shown, move="withdraw", role="HAC", reason="not needed"
        )
        return done


def test_a_move_is_signed_on_ones_own_machine_and_checked_offline_in_the_bundle(
    served: Served, tmp_path: Path
) -> None:
    signer = new_signer()
    with served.desk(served.hal) as desk:
        assert desk.add_key(signer, days=30) == signer.keyid.hex

    done = sign(served, signer)

    (mine,) = done["record"]["signatures"]
    assert (mine["author"]["person"], done["missing"]) == ("hal", [])
    assert mine["key"] == signer.public_key.raw.hex() and mine["envelope"]
    path = served.export(tmp_path / "bundle.zip")
    members = members_of(path)
    person = f"dsse/person-{Sha256(mine['envelope']).hex[:32]}.json"
    assert person in members and b"not needed" in members[person.replace("dsse", "items")]
    assert verdict(path).verified
    assert "trifed://person/hal" in owners(members[CHAIN])
    served.audit()


def owners(chain: bytes) -> set[str]:
    """The names in the certificates of a bundle."""
    _, *issued = x509.load_pem_x509_certificates(chain)
    return {
        name
        for one in issued
        for name in one.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value.get_values_for_type(x509.UniformResourceIdentifier)
    }


def test_a_key_that_was_not_added_signs_nothing(served: Served) -> None:
    with pytest.raises(PersonKeyError):
        sign(served, new_signer())
    other = new_signer()
    served.add(other)
    with pytest.raises(PersonKeyError):
        sign(served, new_signer())
    assert sign(served, other)["missing"] == []


def test_a_revoked_key_signs_nothing_more_and_what_it_signed_stays_good(
    served: Served, tmp_path: Path
) -> None:
    signer, again = new_signer(), new_signer()
    served.add(signer)
    served.add(again)
    with served.desk(served.hal) as desk:
        desk.revoke_key(again.keyid.hex)
    with pytest.raises(PersonKeyError):
        sign(served, again)
    sign(served, signer)
    served.house.clock.turn(seconds=60)
    with served.desk(served.hal) as desk:
        desk.revoke_key(signer.keyid.hex)
    path = served.export(tmp_path / "bundle.zip")
    assert verdict(path).verified
    assert len(x509.load_pem_x509_crl(members_of(path)[REVOKED])) == 1
    served.audit()


def test_what_was_signed_in_the_second_of_the_revocation_stays_good(
    served: Served, tmp_path: Path
) -> None:
    signer = new_signer()
    served.add(signer)
    sign(served, signer)
    served.house.accounts.signature_keys.revoke("hal", signer.keyid.hex, by="hal")
    assert verdict(served.export(tmp_path / "bundle.zip")).verified
    served.audit()


def test_a_clock_set_back_gives_a_revoked_key_nothing_and_takes_nothing_from_it(
    served: Served, tmp_path: Path
) -> None:
    signer, again = new_signer(), new_signer()
    served.add(signer)
    served.add(again)
    sign(served, signer)
    keys = served.house.accounts.signature_keys
    served.house.clock.turn(seconds=-600)
    for one in (signer, again):
        keys.revoke("hal", one.keyid.hex, by="hal")
    assert verdict(served.export(tmp_path / "bundle.zip")).verified
    assert not any(one.is_valid(served.house.clock.now) for one in keys.of_person("hal"))


def test_an_account_that_is_shut_or_not_enrolled_gets_no_key(served: Served) -> None:
    people = served.house.accounts.people
    for make in (people.invite_again, people.shut):
        make("hal")  # while a request of its last session was on the way
        with pytest.raises(KeyClaimRefusedError, match="shut or is not enrolled"):
            served.add(new_signer())


def test_an_ended_key_signs_nothing_more(served: Served) -> None:
    signer = new_signer()
    keys = served.house.accounts.signature_keys
    served.add(signer, days=1)
    (known,) = keys.of_person("hal")
    now = served.house.clock.now
    assert known.is_valid(now) and known.roles == {Role.HAC}
    assert not known.is_valid(now + timedelta(days=1))
    assert not list(keys.of_person("HAL")) and not list(keys.of_person("nobody"))


def test_what_was_shown_is_what_is_signed(served: Served) -> None:
    signer = new_signer()
    served.add(signer)
    with served.desk(served.hal) as desk:
        shown = desk.look("deployment", "d-1")
        with pytest.raises(StaleRecordError):
            desk.sign(signer, replace(shown, revision=2), move="withdraw", role="HAC", reason="x")
        with pytest.raises(PersonKeyError):
            other = replace(shown, digest=Sha256.of(b"other"))
            desk.sign(signer, other, move="withdraw", role="HAC", reason="x")


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        (lambda served, key: served.claim(key, person="ola"), "another account"),
        (lambda served, key: served.claim(key, register=Sha256.of(b"x")), "another account"),
        (lambda served, key: served.claim(key, at="2020-01-01T00:00:00Z"), "15 minutes"),
        (lambda served, key: served.claim(key, at="2020-01-01T00:00:00"), "15 minutes"),
        (lambda served, key: served.claim(key, at="now"), "15 minutes"),
        (
            lambda served, key: served.claim(key).replace('"sig":"', '"sig":"A'),
            "its own key signed",
        ),
        (lambda served, key: "{}", "its own key signed"),
        (lambda served, key: claim_of_anothers(served, key), "its own key signed"),
    ],
)
def test_a_claim_that_is_not_the_keys_own_here_and_now_is_refused(
    served: Served, claim: Callable[[Served, Signer], str], why: str
) -> None:
    keys = served.house.accounts.signature_keys
    with pytest.raises(KeyClaimRefusedError, match=why):
        keys.add("hal", claim(served, new_signer()), days=30)
    assert keys.of("hal") == []


def claim_of_anothers(served: Served, mine: Signer) -> str:
    """A claim of somebody else's public key, signed with one's own."""

    class Pretender(Signer):
        pass

    pretender = Pretender(mine._key)
    pretender.public_key = new_signer().public_key
    return served.claim(pretender)


def test_a_key_is_of_one_account_for_ever(served: Served) -> None:
    signer = new_signer()
    digest = served.add(signer)
    served.house.accounts.signature_keys.revoke("hal", digest, by="hal")
    with pytest.raises(KeyClaimRefusedError, match="added before"):
        served.add(signer)
    with pytest.raises(KeyClaimRefusedError, match="added before"):
        served.house.accounts.signature_keys.add("ola", served.claim(signer, person="ola"), days=9)


def test_an_account_has_five_keys_in_use_and_days_have_an_end(served: Served) -> None:
    for _ in range(MAX_KEYS):
        served.add(new_signer())
    with pytest.raises(KeyClaimRefusedError, match="5 keys"):
        served.add(new_signer())
    for days in (0, 732):
        with pytest.raises(KeyClaimRefusedError, match="days"):
            served.add(new_signer(), days=days)


def test_a_program_has_no_key_and_a_token_adds_none(served: Served) -> None:
    house = served.house
    house.invite("feed", Role.DST, organisation="H", kind=Kind.SERVICE)
    with pytest.raises(KeyClaimRefusedError, match="program"):
        keys = house.accounts.signature_keys
        keys.add("feed", served.claim(new_signer(), person="feed"), days=9)
    program = with_token(house, "hal", *Scope, app=served.app)
    body = {"claim": served.claim(new_signer())}
    problem(program.post("/v1/signature-keys", json=body), 403, "TF766")
    problem(Browser(served.app).post("/v1/signature-keys", json=body), 401, "TF776")


def test_whoever_is_invited_again_or_shut_has_no_key_left(served: Served) -> None:
    served.add(new_signer())
    served.house.accounts.people.invite_again("hal")
    assert all(one.revoked for one in served.house.accounts.signature_keys.of("hal"))
    served.audit()
    served.house.accounts.people.shut("hal")
    served.audit()


def test_one_sees_and_revokes_ones_own_keys_only(served: Served) -> None:
    digest = served.add(new_signer())
    mine = browser_of(served.house, served.hal, served.app)
    other = browser_of(served.house, served.house.people["ola"], served.app)
    assert [one["id"] for one in mine.get("/v1/signature-keys").json()["items"]] == [digest]
    assert other.get("/v1/signature-keys").json()["items"] == []
    assert other.delete(f"/v1/signature-keys/{digest}").status_code == 204
    assert mine.get("/v1/signature-keys").json()["items"][0]["revoked"] is None
    assert mine.delete(f"/v1/signature-keys/{digest}").status_code == 204
    assert mine.get("/v1/signature-keys").json()["items"][0]["revoked"]


@pytest.mark.parametrize("deed", ["put back", "deleted"])
def test_a_key_put_back_or_deleted_behind_the_register_is_named(served: Served, deed: str) -> None:
    digest = served.add(new_signer())
    database = sqlite3.connect(served.house.register.database)
    where = "WHERE kind = 'signature-key'"
    (before,) = database.execute(f"SELECT * FROM registry_access {where}").fetchall()
    served.house.accounts.signature_keys.revoke("hal", digest, by="hal")
    served.audit()
    with database:
        database.execute(f"DELETE FROM registry_access {where}")
        if deed == "put back":
            marks = ", ".join("?" * len(before))
            database.execute(f"INSERT INTO registry_access VALUES ({marks})", before)
    database.close()
    with pytest.raises(LogTamperedError, match="signature-key of account hal"):
        served.audit()


def test_the_client_refuses_a_record_whose_digest_does_not_fit(served: Served) -> None:
    with served.desk(served.hal) as desk:
        real = desk._ask

        def bent(method: str, path: str, *given: Any, **body: Any) -> Any:
            found = real(method, path, *given, **body)
            if "deployments" in path:
                assert isinstance(found, dict)
                found["body"] = {"entry": "another"}
            return found

        desk._ask = bent  # type: ignore[method-assign]
        with pytest.raises(RegistryAnswerError, match="digest"):
            desk.look("deployment", "d-1")


@pytest.mark.parametrize(
    "change",
    [
        {"state": "draft\n{}\x1b[2J"},
        {"state": ""},
        {"body": {"entry": "live\u202eevil"}},
        {"body": {"entry": "\x9b2J"}},
    ],
    ids=str,
)
def test_what_would_steer_the_screen_is_not_shown(served: Served, change: dict[str, Any]) -> None:
    with served.desk(served.hal) as desk:
        real = desk._ask

        def bent(method: str, path: str, *given: Any, **body: Any) -> Any:
            found = real(method, path, *given, **body)
            if "deployments" in path:
                assert isinstance(found, dict)
                found |= change
                found["digest"] = digest_of(found["body"])
            return found

        desk._ask = bent  # type: ignore[method-assign]
        with pytest.raises(RegistryAnswerError, match="not seen"):
            desk.look("deployment", "d-1")


@pytest.mark.parametrize(
    "change", [{"record": {"state": "x\x1b[2J"}}, {"missing": [["HAC\n"]]}, {"missing": ["HAC"]}]
)
def test_an_answer_that_would_steer_the_screen_is_not_passed_on(
    served: Served, change: dict[str, Any]
) -> None:
    signer = new_signer()
    served.add(signer)
    with served.desk(served.hal) as desk:
        shown, real = desk.look("deployment", "d-1"), desk._ask

        def bent(method: str, path: str, *given: Any, **body: Any) -> Any:
            found: Any = real(method, path, *given, **body)
            return found | change if path.endswith("/moves") else found

        desk._ask = bent  # type: ignore[method-assign]
        with pytest.raises(RegistryAnswerError, match="not a move"):
            desk.sign(signer, shown, move="withdraw", role="HAC", reason="not needed")


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(2**20)
            yield bytes(2**20)

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=endless())

    http = httpx.Client(transport=httpx.MockTransport(answer), base_url=BASE)
    with SigningDesk(http) as desk, pytest.raises(RegistryAnswerError, match="too large"):
        desk.look("deployment", "d-1")
    assert sum(sent) <= 5 * 2**20


def test_a_wrong_password_opens_no_session_and_only_https_is_asked(served: Served) -> None:
    with (
        SigningDesk(inside(served.app)) as desk,
        pytest.raises(LogInRefusedError),
    ):
        desk.log_in("hal", password="wrong wrong wrong", code="000000")
    with pytest.raises(RegistryAnswerError, match="https"):
        SigningDesk.of("http://register.test", authority=None)


def test_a_claim_says_person_key_register_and_time() -> None:
    signer = new_signer()
    envelope = claim_key(signer, person="hal", register=Sha256.of(b"r"), at="2026-09-01T08:00:00Z")
    claim = verify_claim(envelope)
    assert (claim.person, claim.key.keyid) == ("hal", signer.keyid)
    assert (claim.register, claim.at) == (Sha256.of(b"r"), "2026-09-01T08:00:00Z")
