"""A register with entries in many states, and the pages over it as an application."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI

from federation.domain.ids import Sha256
from federation.evidence.model_version import Bilingual
from federation.evidence.model_version import ModelVersionState as State
from registry.accounts.service import Accounts
from registry.bundle import export
from registry.exchange.attributes import ATTRIBUTES
from registry.models.attributes import Answer
from registry.models.cards import new_card, submit_card, version_noun
from registry.models.service import Registrar
from registry.models.version_card import Code, Organisation, Risk, RiskLevel, VersionCard
from registry.pages.desk import Desk
from registry.pages.report_reading import kept_in
from registry.pages.routes import PUBLIC_PAGES, page_routes
from registry.pages.tables import sql_index
from registry.records.moves import Move, Moves, Seat
from registry.records.ports import Link
from registry.records.service import Records
from registry.records.shapes import Body, Noun
from registry.roles import Role
from tests.registry.access_builders import PASSWORD, Browser, House, a_house
from tests.registry.builders import Centre, candidate, candidate_of_study
from tests.registry.record_builders import DEV, HAC, VAL_E, TurnableClock

DIGEST = Sha256.of(b"something")
QUANTITATIVE = frozenset({"7a", "7b", "7c", "7d", "8b", "8d"})


def both(zh: str, en: str) -> Bilingual:
    return Bilingual.model_validate({"zh-TW": zh, "en": en})


def started(noun: Noun[Any], state: Any) -> Noun[Any]:
    """The same noun, its records beginning in another state."""
    return replace(noun, moves=Moves(start=state, moves=noun.moves.moves))


@dataclass
class Register:
    """A served register with records and pages."""

    house: House
    records: Records
    versions: Noun[VersionCard]
    made: FastAPI | None = None

    @property
    def centre(self) -> Centre:
        return self.house.register

    @property
    def clock(self) -> TurnableClock:
        return self.house.clock

    def app(self) -> FastAPI:
        self.made = self.made or self.house.app()
        return self.made

    def browser(self, *roles: Role, name: str = "anna", **more: Any) -> Browser:
        """A browser in which somebody with these roles is logged in."""
        person = self.house.people.get(name) or self.house.person(name, *roles, **more)
        browser = Browser(self.app())
        given = {"name": name, "password": PASSWORD, "code": person.code()}
        answer = browser.post("/console/login", data=given)
        assert answer.status_code == 303, answer.text
        return browser

    def candidate(self, study: str | None = None, **changes: Any) -> str:
        centre = self.centre
        given = candidate_of_study(centre, study) if study else candidate(centre, **changes)
        return self.centre.registrar.register(given, actor="centre")[0].entry

    def enter(self, entry: str, state: State = State.LIVE, **changes: object) -> str:
        """Give an entry a card whose record begins in a state."""
        card = a_card(self.centre, entry, **changes)
        submit_card(self.records, started(self.versions, state), card, author=DEV)
        return entry

    def deploy(self, entry: str, site: str, state: str = "live") -> str:
        id = f"dep-{site}-{entry[5:15]}"
        body = Placed(entry=entry, site=site)
        self.records.put(a_noun("deployment", Placed, state), id, body, author=HAC)
        return id

    def evaluate(self, entry: str, dimension: str, state: str = "judged", **changes: Any) -> str:
        id = f"ev-{dimension}-{entry[5:15]}"
        body = Measured(**({"entry": entry, "dimension": dimension, "metrics": METRICS} | changes))
        self.records.put(a_noun("evaluation", Measured, state), id, body, author=VAL_E)
        return id


def make_register(
    folder: Path, *, url: str | None = None, nouns: Sequence[Noun[Any]] = ()
) -> Register:
    house = a_house(folder / "house", url=url, nouns=())
    house.served = replace(
        house.served,
        nouns=tuple((noun, None) for noun in nouns),
        pages=partial(_pages, house.url, house.register.registrar, house.accounts),
        public_pages=PUBLIC_PAGES,
    )
    registrar = house.register.registrar
    records = Records(registrar.store, registrar.signer, house.clock)
    versions = version_noun(artefacts=registrar.artefacts, key=registrar.signer.public_key)
    return Register(house, records, versions)


def _pages(
    url: str, registrar: Registrar, accounts: Accounts, records: Records, nouns: Sequence[Noun[Any]]
) -> APIRouter:
    documents = kept_in(registrar.artefacts)
    desk = Desk(records, sql_index(url), nouns, partial(export, registrar), documents)
    return page_routes(desk, accounts.log_ins)


def a_card(centre: Centre, entry: str, **changes: object) -> VersionCard:
    fields: dict[str, object] = {
        "name": both("胸部 X 光肺炎輔助判讀", "Pneumonia on chest films"),
        "intended_use": both(
            "協助急診醫師於胸部 X 光影像辨識疑似肺炎,供優先判讀。",
            "Helps emergency physicians find suspected pneumonia on chest films, to read first.",
        ),
        "organisation": Organisation(
            name=both("臺南醫院", "Tainan Hospital"), contact="ai@tainan.example"
        ),
        "codes": (
            Code(kind="modality", system="DICOM", code="DX", display="digital radiography"),
            Code(kind="body-part", system="DICOM", code="CHEST"),
            Code(kind="condition", system="ICD-10", code="J18.9", display="pneumonia"),
        ),
        "attributes": {
            name: Answer(text=both("說明文字", "Words that answer it"))
            for name in ATTRIBUTES
            if name not in QUANTITATIVE
        },
        "risk": Risk(
            level=RiskLevel.HIGH,
            tfda_class="2",
            imdrf="III",
            warning=both("不得作為診斷的唯一依據。", "Never the only ground of a diagnosis."),
        ),
        "limitations": (both("未於 12 歲以下病人評估。", "Not evaluated on patients under 12."),),
    }
    return new_card(centre.registrar.store, entry).model_copy(update=fields | changes)


class Placed(Body):
    """A deployment with what the pages read of one; names as in `registry.deployments`."""

    entry: str
    site: str
    hospital: str = "0421040011"
    ward: str = "Emergency"

    def facets(self) -> dict[str, list[str]]:
        return {"site": [self.site], "hospital": [self.hospital]}

    def links(self) -> list[Link]:
        return [Link("deploys", "model-version", self.entry)]


class Measured(Body):
    """An evaluation with what the pages read of one; names as in `registry.evaluations`."""

    entry: str
    dimension: str
    sites: tuple[str, ...] = ("yilan-4", "taichung-5")
    passed: bool | None = True
    metrics: tuple[dict[str, str | int | float], ...] = ()

    def links(self) -> list[Link]:
        return [Link("evaluates", "model-version", self.entry)]


def a_noun(name: str, shape: type[Body], state: str) -> Noun[Any]:
    """A noun whose records stay in one state."""
    states = Enum("states", {"HERE": state, "ENDED": "ended"})
    end = Move("end", states.HERE, states.ENDED, seats=(Seat(Role.VAL_A),))
    moves = Moves(start=states.HERE, moves=(end,))
    return Noun(name, shape, moves, authors=frozenset({Role.HAC, Role.VAL_E}))


def a_metric(group: str, value: float, low: float, high: float, n: int) -> dict[str, Any]:
    return {
        "name": "auroc",
        "slice": group,
        "value": value,
        "low": low,
        "high": high,
        "n": n,
        "method": "DeLong",
    }


METRICS = (
    a_metric("all", 0.91, 0.88, 0.94, 412),
    a_metric("women", 0.90, 0.85, 0.94, 201),
    a_metric("65 and older", 0.87, 0.79, 0.93, 118),
)
