"""`trifed impact fit` and `trifed node outcomes`, as people type them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from typer.testing import CliRunner

from clients import audit_log
from clients.proposals import take_proposal
from federation import notebooks
from federation.commands import impact_fit, running
from federation.commands.main import app
from federation.domain.audit import AuditKind
from federation.domain.ids import SiteId
from federation.domain.outcome_plan import Category
from federation.operations.embedded_registry import Actor
from federation.operations.impact import new_study, open_desk, report_of
from federation.operations.outcomes.plan_file import write_plan
from federation.operations.outcomes.submitting import NOUN, submit_plan
from federation.wording import Language
from registry.reports import outcome_report
from registry.reports.documents import read_outcomes
from tests.control.builders import a_proposal
from tests.evaluate.in_process import Federation
from tests.outcome_study.hospitals import hand_out, outcome_study, run
from tests.outcome_study.made_up import patients

LEAD = Actor("chen", "impact-centre", "IMP-P")
SITE = SiteId("taipei")


def trifed(*words: object) -> str:
    done = CliRunner().invoke(app, [str(one) for one in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIFED_LANG", "en")


def test_a_plan_is_written_from_the_roster_ready_to_run(fed: Federation, tmp_path: Path) -> None:
    file = tmp_path / "fit.toml"

    said = json.loads(
        trifed("impact", "fit", "plan", "wards", "--home", fed.centre.folder, "-o", file, "--json")
    )

    assert said["study"].startswith("outcomes-")
    text = file.read_text(encoding="utf-8")
    assert all(str(site) in text for site in fed.nodes) and "by-hospital" in text


def test_a_table_is_added_for_a_proposal_listed_logged_and_deleted(
    fed: Federation, tmp_path: Path
) -> None:
    data, node = patients(60, rare=0), fed.nodes[SITE]
    study = outcome_study(fed, data)
    take_proposal(node, a_proposal(fed.centre, study))
    file = tmp_path / "wards.csv"
    file.write_bytes(data.csv_of(0))

    trifed("node", "outcomes", "add", file, "--study", study.id, "--home", node.folder)

    assert "20 patients" in trifed("node", "outcomes", "list", "--home", node.folder)
    last = audit_log.verify(node.audit_log)[-1]
    assert last["kind"] == AuditKind.OUTCOMES_ADDED.value
    details: Any = last["details"]
    assert details["digest"].startswith("sha256:")
    proposal = trifed("node", "proposals", study.id, "--home", node.folder)
    assert "gradient and information" in proposal and "20+ patients with a line" in proposal
    assert "Deleted wards" in trifed("node", "outcomes", "delete", "wards", "--home", node.folder)


def test_a_result_is_shown_reported_and_named_in_its_impact_study(
    fed: Federation, tmp_path: Path
) -> None:
    desk = open_desk(fed.centre.folder)
    new_study(
        desk, "ward-study", "TWAI-2026-00001-4.v0.1.0", design="matched-cohort",
        sites=[str(site) for site in fed.nodes], folder=tmp_path / "new", actor=LEAD,
    )  # fmt: skip
    data = patients(rare=0)
    data = replace(data, variables=tuple(
        Category("sex", ("F", "M")) if one.name == "sex" else one for one in data.variables
    ))  # fmt: skip
    study = outcome_study(fed, data, impact_study="ward-study")
    hand_out(fed, data)
    submit_plan(fed.centre, study)
    assert run(fed, study).status == "completed"

    words = trifed("impact", "fit", "show", study.id, "--home", fed.centre.folder)
    named = trifed(
        "impact", "fit", "name", study.id, "--home", fed.centre.folder, "--person", "chen"
    )
    again = trifed(
        "impact", "fit", "name", study.id, "--home", fed.centre.folder, "--person", "chen"
    )

    said, document = notebooks.impact.fit.show(fed.centre, str(study.id))
    assert said["refused"] == {}
    assert "log-rank" in words and "180 patients of 3 hospitals" in words
    assert "ward-study" in named == again
    outcomes: Any = desk.get(NOUN, "ward-study").body["outcomes"]
    assert list(outcomes) == [said["document"]]
    content = (
        fed.centre.artefacts / "reports" / f"{said['document'].removeprefix('sha256:')}.json"
    ).read_bytes()
    for language in Language:
        page = outcome_report(read_outcomes(content), language)
        assert "svg" in page and str(study.id) in page
    assert document["about"]["impact_study"] == "ward-study"
    assert b"ward-study" in report_of(desk, "ward-study", Language.EN)


def test_a_finished_study_is_told_in_words_and_then_named(
    fed: Federation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`follow` ends the process; the result is named before it does."""
    data = patients(rare=0)
    found = outcome_study(fed, data)
    file = tmp_path / "fit.toml"
    write_plan(file, found)
    asked: list[str] = []

    def ends(*_: object) -> NoReturn:
        raise SystemExit(0)

    monkeypatch.setattr(running, "put_into_queue", lambda *_: True)
    monkeypatch.setattr(running, "follow", ends)
    monkeypatch.setattr(impact_fit, "_name", lambda *said: asked.append(said[2]))
    trifed("impact", "fit", "run", file, "--home", fed.centre.folder, "--person", "chen")

    assert asked == ["chen"]
    said = running._completed({"outcomes": {"refused": {"rare": "TF951"}}})
    assert "not shown: rare" in said
