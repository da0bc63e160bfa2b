"""What is not on the public register: who may know of it, by every way there is to ask."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from federation.domain.ids import Sha256
from federation.errors.access import AccountTakenError
from federation.evidence.canonical import canonical
from federation.evidence.model_version import ModelVersionState as State
from registry.accounts.people import NO_PERSON
from registry.accounts.ports import NOBODY, Scope
from registry.deployments.noun import NOUN as DEPLOYMENT
from registry.models.cards import submit_card, version_noun
from registry.models.numbers import model_id
from registry.records.service import Records
from registry.roles import Author, Role
from tests.registry.access_builders import Browser, House, a_house, browser_of, problem
from tests.registry.builders import candidate_of_study, facts
from tests.registry.nouns_a.bodies import deployment
from tests.registry.page_builders import a_card, started
from tests.registry.record_builders import DEV
from tests.registry.test_route_roles import whole

NEW = {"if-none-match": "*"}
PEOPLE = {
    "dora": (Role.DEV, "Lamp Works"),
    "rita": (Role.DEV, "Rival Ltd"),
    "hana": (Role.HAO, "Tainan Hospital"),
    "hugo": (Role.HAO, "Taipei Hospital"),
    "sue": (Role.SUB, "Herself"),
    "cleo": (Role.CLI, "Tainan Hospital"),
    "aud": (Role.AUD, "Audit Office"),
}


class World:
    """A register with people of several houses, and the application they all ask."""

    def __init__(self, folder: Path) -> None:
        self.house: House = a_house(folder / "house", nouns=())
        self.app: FastAPI = whole(self.house)
        self.registrar = self.house.register.registrar
        for name, (role, organisation) in PEOPLE.items():
            self.house.person(name, role, organisation=organisation)
        self.browsers = {
            name: browser_of(self.house, person, self.app)
            for name, person in self.house.people.items()
        } | {"nobody": Browser(self.app)}
        self.records = Records(self.registrar.store, self.registrar.signer, self.house.clock)

    def entry(self, study: str, *, actor: str = "centre") -> str:
        given = candidate_of_study(self.house.register, study)
        return self.registrar.register(given, actor=actor)[0].entry

    def enter(self, entry: str, state: State, author: Author = DEV) -> str:
        noun = version_noun(
            artefacts=self.registrar.artefacts, key=self.registrar.signer.public_key
        )
        card = a_card(self.house.register, entry)
        submit_card(self.records, started(noun, state), card, author=author)
        return entry

    def who_gets(self, path: str) -> set[str]:
        return {name for name, one in self.browsers.items() if one.get(path).status_code == 200}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


def alike(hidden: httpx.Response, missing: httpx.Response, *names: str) -> bool:
    said = [hidden.text, missing.text]
    for name in names:
        said = [one.replace(name, "") for one in said]
    return (hidden.status_code, said[0]) == (missing.status_code, said[1])


def test_a_draft_is_known_to_its_house_and_to_those_who_watch_over_all(world: World) -> None:
    draft = world.enter(world.entry("drawer"), State.DRAFT)
    assert world.who_gets(f"/v1/model-versions/{draft}") == {"dora", "aud"}
    assert world.who_gets(f"/v1/version-records/{draft}") == {"dora", "aud"}
    assert world.who_gets(f"/v1/lineage/versions/{draft}") == {"aud"}
    assert world.who_gets("/v1/model-versions") == {"aud"}
    missing = f"{model_id(year=2026, number=9)}.v0.1.0"
    for name in ("nobody", "rita", "hana", "sue", "cleo"):
        ask = world.browsers[name].get
        found = ask(f"/v1/model-versions/{draft}"), ask(f"/v1/model-versions/{missing}")
        assert alike(*found, draft, missing), name
    ask = world.browsers["hana"].get
    found = ask(f"/v1/lineage/versions/{draft}"), ask(f"/v1/lineage/versions/{missing}")
    assert alike(*found, draft, missing)


def test_what_was_once_on_the_register_everybody_may_read(world: World) -> None:
    live = world.enter(world.entry("window"), State.LIVE)
    assert world.who_gets(f"/v1/model-versions/{live}") == {*PEOPLE, "nobody"}


def test_what_somebody_handed_in_is_theirs_until_it_has_a_card(world: World) -> None:
    content = canonical(facts(world.house.register, statements=[]))
    handed = world.browsers["dora"].post("/v1/model-versions", content=content).json()["entry"]
    assert world.who_gets(f"/v1/model-versions/{handed}") == {"dora", "aud"}
    card = canonical(a_card(world.house.register, handed).as_json())
    taken = world.browsers["rita"].put(f"/v1/version-records/{handed}", content=card, headers=NEW)
    problem(taken, 404, "TF734")
    mine = world.browsers["dora"].put(f"/v1/version-records/{handed}", content=card, headers=NEW)
    assert mine.status_code == 201


def test_for_what_the_centre_made_whoever_may_write_a_card_may_read_it(world: World) -> None:
    made = world.entry("attic")
    assert world.who_gets(f"/v1/model-versions/{made}") == {"dora", "rita", "hana", "hugo", "aud"}


def put_deployment(world: World, id: str, entry: str, author: Author, site: str) -> None:
    body = DEPLOYMENT.read(canonical(deployment(entry=entry, site=site)))
    world.records.put(DEPLOYMENT, id, body, author=author)


def nodes(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    assert all({edge["from"], edge["to"]} <= _keys(said) for edge in said["edges"])
    return _keys(said)


def _keys(said: dict[str, Any]) -> set[str]:
    return {node["key"] for node in said["nodes"]}


def test_a_lineage_names_no_record_of_another_hospital(world: World) -> None:
    live = world.enter(world.entry("cellar"), State.LIVE)
    hidden = world.enter(world.entry("secret"), State.DRAFT)
    mine = Author("hana", Role.HAO, "Tainan Hospital")
    theirs = Author("hugo", Role.HAO, "Taipei Hospital")
    put_deployment(world, "dep-mine", live, mine, "tainan-1")
    put_deployment(world, "dep-theirs", live, theirs, "taipei-2")
    hana, aud = world.browsers["hana"], world.browsers["aud"]
    path = f"/v1/lineage/versions/{live}"
    assert nodes(aud.get(path)) - nodes(hana.get(path)) == {"deployment:dep-theirs"}
    assert "dep-theirs" not in hana.get(f"{path}?as=text").text
    site = "/v1/lineage/sites/tainan-1"
    assert f"model-version:{hidden}" in nodes(aud.get(site))
    assert f"model-version:{hidden}" not in nodes(hana.get(site))
    seen, all_there = (one.get(site).json()["versions"]["total"] for one in (hana, aud))
    assert seen < all_there
    problem(hana.get("/v1/lineage/runs/secret.1"), 404, "TF734")
    digest = Sha256.of(b"data of tainan-1").hex
    assert f"model-version:{hidden}" not in nodes(hana.get(f"/v1/lineage/datasets/{digest}"))
    page = hana.get(f"/console/records/model-version/{live}/lineage")
    assert page.status_code == 200 and "dep-theirs" not in page.text and "dep-mine" in page.text


def test_only_a_developers_own_answer_says_that_a_name_is_taken(world: World) -> None:
    entry = world.enter(world.entry("closet"), State.DRAFT)
    hugo, hana = world.browsers["hugo"], world.browsers["hana"]
    put_deployment(world, "dep-1", entry, Author("hugo", Role.HAO, "Taipei Hospital"), "taipei-2")
    assert hugo.get("/v1/deployments/dep-1").status_code == 200
    hidden, missing = (hana.get(f"/v1/deployments/dep-{n}") for n in (1, 2))
    assert alike(hidden, missing, "dep-1", "dep-2")


@pytest.mark.parametrize("name", sorted(NO_PERSON))
def test_nobody_takes_the_name_of_the_clock_or_of_the_register(world: World, name: str) -> None:
    with pytest.raises(AccountTakenError):
        world.house.invite(name, Role.AUD)
    with pytest.raises(AccountTakenError):
        world.house.invite(name.upper(), Role.AUD)


def test_inviting_somebody_again_voids_tokens_made_meanwhile(world: World) -> None:
    accounts = world.house.accounts
    stolen = accounts.tokens.make("aud", label="t", scopes=list(Scope), days=300)
    assert accounts.of_token(stolen.secret).account == "aud"
    world.house.enrol(accounts.people.invite_again("aud").secret or "")
    assert accounts.of_token(stolen.secret) == NOBODY
    assert accounts.tokens.of("aud") == []
