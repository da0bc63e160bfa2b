"""Where a version came from and what came of it, from a register as a run leaves it."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI

from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.core import InvalidIdError
from federation.errors.moves import RecordNotFoundError
from federation.errors.registry import EntryNotFoundError
from federation.errors.signed import LogTamperedError
from federation.evidence.signing import new_key
from federation.wording import Language
from registry import datasets, evaluations, training
from registry.lineage import graph as graphs
from registry.lineage.graph import Graph, Key, Node
from registry.lineage.routes import lineage_routes
from registry.lineage.service import Answer, Lineage
from registry.lineage.tree import tree
from registry.problems import answer_platform_error
from registry.records.moves import Move, Moves, Seat
from registry.records.ports import Link
from registry.records.service import Records
from registry.records.shapes import Body, Noun
from registry.roles import Role
from tests.registry.builders import SITES, Centre, candidate, candidate_of_study
from tests.registry.builders import evaluation as site_evaluation
from tests.registry.nouns_b.bodies import (
    data_digest,
    dataset_card,
    evaluation,
    person,
    put,
    training_run,
)
from tests.registry.record_builders import Desk, TurnableClock
from tests.registry.test_records_api import Client


class Deployment(Body):
    """A deployment, an incident or a review, as far as a lineage cares."""

    about: tuple[tuple[str, str], ...]
    site: str = "tainan-1"

    def facets(self) -> dict[str, list[str]]:
        return {"site": [self.site]}

    def links(self) -> list[Link]:
        return [Link("is-about", noun, id) for noun, id in self.about]


def plain(name: str) -> Noun[Deployment]:
    state = training.noun.RunState.RECORDED
    only = Move("x", state, training.noun.RunState.DISPUTED, seats=(Seat(Role.HAC),))
    moves = Moves(start=state, moves=(only,))
    return Noun(name, Deployment, moves, authors=frozenset({Role.HAC}))


def about(desk: Desk, noun: str, id: str, *targets: tuple[str, str]) -> None:
    desk.records.put(
        plain(noun), id, Deployment(about=targets), author=person(Role.HAC), revision=0
    )


@pytest.fixture
def register(centre: Centre) -> tuple[Centre, Desk, str]:
    """A centre with one version of three sites, whose statements are in the log."""
    statements = candidate(centre).as_json()["statements"]
    assert isinstance(statements, list)
    evaluated = [
        {"site": site, "kind": "evaluation", "envelope": site_evaluation(centre, site, value=0.87)}
        for site in SITES
    ]
    found = candidate(centre, statements=[*statements, *evaluated])
    stored, _ = centre.registrar.register(found, actor="centre")
    clock = TurnableClock()
    records = Records(centre.registrar.store, centre.signer, clock)
    return centre, Desk(records, clock, centre.signer), stored.entry


def lineage_of(centre: Centre) -> Lineage:
    return Lineage(centre.registrar.store, centre.signer.public_key)


def ids(answer: Answer, kind: str) -> set[str]:
    return {node.key.id for node in answer.graph.of_kind(kind)}


def edges(answer: Answer) -> set[tuple[str, str, str]]:
    return {(str(one.source), one.relation, str(one.target)) for one in answer.graph.edges}


def test_a_version_leads_to_everything_it_was_made_of(register: tuple[Centre, Desk, str]) -> None:
    centre, _, entry = register
    answer = lineage_of(centre).of_entry(entry.partition(".v")[0])
    assert answer.graph.root == Key("model-version", entry)
    assert ids(answer, "training-run") == {"cxr-2026.1"}
    assert ids(answer, "study") == {"cxr-2026"} and ids(answer, "recipe") == {"cxr-pneumonia 1"}
    assert ids(answer, "code") == {Sha256.of(b"wheel")}
    assert ids(answer, "environment") == {Sha256.of(b"packages")}
    assert ids(answer, "dataset") == {data_digest(site) for site in SITES}
    assert ids(answer, "site") == {*SITES, "yilan-4"}, "also who refused"
    assert ids(answer, "round") == {"cxr-2026.1/1"}
    assert len(ids(answer, "site-approval")) == len(ids(answer, "site-evaluation")) == 3
    spent = {node.key.id: node.facts["epsilon"] for node in answer.graph.of_kind("privacy")}
    assert spent == {f"cxr-2026.1/{site}": 7.5 for site in SITES}
    data = f"dataset:{data_digest('tainan-1')}"
    assert (data, "held-by", "site:tainan-1") in edges(answer)
    assert any(one[1:] == ("approves-use-of", data) for one in edges(answer))
    assert ("round:cxr-2026.1/1", "heard", "site:taipei-2") in edges(answer)


def test_records_that_speak_of_a_version_are_drawn_and_what_speaks_of_them(
    register: tuple[Centre, Desk, str],
) -> None:
    centre, desk, entry = register
    card = dataset_card("tainan-1")
    put(desk, datasets.NOUN, "card-1", card, person(Role.DST))
    run = training_run(versions=[entry])
    put(desk, training.NOUN, "cxr-2026.1", run, person(Role.DEV))
    planned = evaluation(entry=entry, dataset_cards=["card-1"])
    put(desk, evaluations.NOUN, "ev-1", planned, person(Role.VAL_E))
    about(desk, "deployment", "dep-1", ("model-version", entry))
    about(desk, "incident", "inc-1", ("deployment", "dep-1"))
    about(desk, "feedback", "fb-1", ("deployment", "dep-1"))
    other = ("model-version", "TWAI-2026-00099-1.v0.1.0")
    about(desk, "incident", "inc-other", ("evaluation", "ev-1"), other)
    answer = lineage_of(centre).of_entry(entry)
    assert ids(answer, "evaluation") == {"ev-1"} and ids(answer, "dataset-card") >= {"card-1"}
    assert ids(answer, "incident") == {"inc-1"}, "not another version's"
    assert ids(answer, "feedback") == {"fb-1"}
    (evaluated,) = answer.graph.of_kind("evaluation")
    assert evaluated.state == "planned" and evaluated.facts["dimension"] == "discrimination"
    assert ("dataset-card:card-1", "describes", f"dataset:{data_digest('tainan-1')}") in edges(
        answer
    )
    assert ids(answer, "data-application") == {"app-1"}


def test_a_dataset_leads_back_to_the_versions_it_touched(
    register: tuple[Centre, Desk, str],
) -> None:
    centre, desk, entry = register
    other = candidate_of_study(centre, "ct-2026")
    renewed = [
        part.model_copy(update={"dataset_digest": Sha256.of(b"new data")})
        if part.site == "tainan-1"
        else part
        for part in other.participants
    ]
    fresh = other.model_copy(update={"participants": tuple(renewed)})
    second, _ = centre.registrar.register(fresh, actor="centre")
    about(desk, "deployment", "dep-1", ("model-version", entry))
    about(desk, "deployment", "dep-2", ("model-version", second.entry))
    lineage = lineage_of(centre)
    first = lineage.of_dataset(data_digest("tainan-1"))
    assert ids(first, "model-version") == {entry} and ids(first, "deployment") == {"dep-1"}
    both = lineage.of_dataset(data_digest("taipei-2").removeprefix("sha256:")[:12])
    assert ids(both, "model-version") == {entry, second.entry}
    assert both.states == {"draft": 2} and both.total == 2
    put(desk, datasets.NOUN, "card-1", dataset_card("taipei-2"), person(Role.DST))
    assert ids(lineage.of_dataset("card-1"), "model-version") == {entry, second.entry}


def test_a_site_that_withdraws_shows_all_that_is_affected(
    register: tuple[Centre, Desk, str],
) -> None:
    centre, desk, entry = register
    lineage = lineage_of(centre)
    before = lineage.of_site("tainan-1")
    second, _ = centre.registrar.register(candidate_of_study(centre, "ct-2026"), actor="centre")
    about(desk, "deployment", "dep-1", ("model-version", entry))
    put(desk, datasets.NOUN, "card-1", dataset_card("tainan-1"), person(Role.DST))
    after = lineage.of_site("tainan-1")
    assert (before.total, after.total) == (1, 2), "an index made earlier sees what is new"
    assert ids(after, "model-version") == {entry, second.entry}
    assert ids(after, "training-run") == {"cxr-2026.1", "ct-2026.1"}
    assert ids(after, "dataset") == {data_digest("tainan-1")}, "of no other site"
    assert ids(after, "dataset-card") == {"card-1"} and ids(after, "deployment") == {"dep-1"}


def test_a_run_leads_to_the_deployments_of_its_versions(register: tuple[Centre, Desk, str]) -> None:
    centre, desk, entry = register
    corrected = candidate(centre, supersedes=entry)
    second, _ = centre.registrar.register(corrected, actor="centre")
    about(desk, "deployment", "dep-1", ("model-version", entry))
    answer = lineage_of(centre).of_run("cxr-2026.1")
    assert ids(answer, "model-version") == {entry, second.entry}
    assert ids(answer, "deployment") == {"dep-1"}
    shown = lineage_of(centre).of_entry(entry)
    edge = (f"model-version:{second.entry}", "supersedes", f"model-version:{entry}")
    assert edge in edges(shown) and edge in edges(lineage_of(centre).of_entry(second.entry))


def test_answers_come_in_pages_newest_first(register: tuple[Centre, Desk, str]) -> None:
    centre, _, entry = register
    for number in range(4):
        found = candidate_of_study(centre, f"study-{number}")
        centre.registrar.register(found, actor="centre")
    lineage = lineage_of(centre)
    first, last = lineage.of_site("taipei-2", limit=2), lineage.of_site("taipei-2", offset=4)
    assert (first.total, first.shown, last.shown) == (5, 2, 1)
    assert ids(last, "model-version") == {entry} and entry not in ids(first, "model-version")
    said: Any = first.as_json()["versions"]
    assert (said["next"], said["total"]) == (2, 5)
    assert "2 of 5 versions" in "\n".join(tree(first, Language.EN))


def test_what_is_not_there_is_said(register: tuple[Centre, Desk, str]) -> None:
    centre, _, _ = register
    lineage = lineage_of(centre)
    with pytest.raises(EntryNotFoundError):
        lineage.of_entry("TWAI-2026-00009-9")
    for ask, value in (
        (lineage.of_dataset, Sha256.of(b"unknown")),
        (lineage.of_dataset, "sha256:ab"),
        (lineage.of_dataset, "' OR 1=1 --"),
        (lineage.of_site, "nowhere-1"),
        (lineage.of_run, "unknown.1"),
    ):
        with pytest.raises(RecordNotFoundError):
            ask(value)
    for ask in (lineage.of_site, lineage.of_run):
        with pytest.raises(InvalidIdError):
            ask("No Such/Name")


def test_a_version_edited_behind_the_registers_back_has_no_lineage(
    register: tuple[Centre, Desk, str],
) -> None:
    centre, _, entry = register
    old, new = data_digest("tainan-1"), str(Sha256.of(b"other data"))
    with closing(sqlite3.connect(centre.database)) as database, database:
        database.execute("UPDATE model_versions SET record = replace(record, ?, ?)", (old, new))
    lineage = lineage_of(centre)
    with pytest.raises(LogTamperedError):
        lineage.of_entry(entry)
    with pytest.raises(LogTamperedError):
        lineage.of_dataset(new)
    with pytest.raises(LogTamperedError):
        lineage.of_site("tainan-1")


def test_another_key_than_the_registers_vouches_for_nothing(
    register: tuple[Centre, Desk, str],
) -> None:
    centre, _, entry = register
    other = new_key(centre.folder / "other.key").public_key
    with pytest.raises(PlatformError):
        replace(lineage_of(centre), key=other).of_entry(entry)


def test_a_register_that_was_replaced_is_read_again(register: tuple[Centre, Desk, str]) -> None:
    centre, _, entry = register
    lineage = lineage_of(centre)
    assert lineage.of_site("tainan-1").total == 1
    with closing(sqlite3.connect(centre.database)) as database, database:
        database.execute("DELETE FROM model_versions")
    with pytest.raises(RecordNotFoundError):
        lineage.of_site("tainan-1")
    assert entry


def test_a_graph_is_cut_where_it_would_grow_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "MAX_NODES", 3)
    graph = Graph(Node(Key("site", "a")))
    for number in range(5):
        graph.join(graph.root, "has", graph.add(Node(Key("round", str(number)))))
    assert (len(graph.nodes), len(graph.edges), graph.is_cut) == (3, 2, True)


def test_a_lineage_is_told_in_both_languages_each_thing_once(
    register: tuple[Centre, Desk, str],
) -> None:
    centre, desk, entry = register
    about(desk, "deployment", "dep-1", ("model-version", entry))
    answer = lineage_of(centre).of_entry(entry)
    english = list(tree(answer, Language.EN))
    chinese = "\n".join(tree(answer, Language.ZH_HANT_TW))
    assert len(english) == len(answer.graph.nodes)
    assert english[0].startswith(f"version {entry} [draft]")
    assert any(line.startswith("  produced by training run cxr-2026.1") for line in english)
    assert any("has deployment dep-1 [recorded]" in line for line in english)
    assert "產生自 訓練執行 cxr-2026.1" in chinese and "隱私耗用" in chinese


def test_lineage_over_http(register: tuple[Centre, Desk, str]) -> None:
    centre, _, entry = register
    app = FastAPI()
    app.include_router(lineage_routes(lineage_of(centre)))
    app.add_exception_handler(PlatformError, answer_platform_error)
    client = Client(app)
    said = client.get(f"/v1/lineage/versions/{entry}").json()
    assert said["schema"] == "trifed.lineage/1" and said["root"] == f"model-version:{entry}"
    keys = {node["key"] for node in said["nodes"]}
    assert all({edge["from"], edge["to"]} <= keys for edge in said["edges"])
    for path in ("sites/tainan-1", "runs/cxr-2026.1", f"datasets/{data_digest('tainan-1')}"):
        assert client.get(f"/v1/lineage/{path}?limit=1").json()["versions"]["total"] == 1
    text = client.get(f"/v1/lineage/versions/{entry}?as=text&lang=zh-Hant-TW")
    assert text.headers["content-type"].startswith("text/plain") and "訓練執行" in text.text
    assert client.get("/v1/lineage/sites/nowhere-1").status_code == 404
    assert client.get("/v1/lineage/versions/TWAI-2026-00009-9").status_code == 404
    assert client.get("/v1/lineage/sites/tainan-1?limit=1000").status_code == 422
