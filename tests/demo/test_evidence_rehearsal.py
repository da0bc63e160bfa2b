"""What the demo does after its training, without the training: protocol, tables, study, dossier."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from federation.commands.evidence_rehearsal.chapter import (
    BETTER,
    COSTS,
    DOMINATED,
    LESS,
    Chapter,
    standing,
)
from federation.commands.evidence_rehearsal.dossier import open_with_evidence
from federation.commands.evidence_rehearsal.invented import PATIENTS, WARDS, tables
from federation.commands.evidence_rehearsal.operating_point import balanced
from federation.commands.evidence_rehearsal.protocol import economics_of, protocol_of
from federation.commands.evidence_rehearsal.study import STUDY, Studied, study_impact
from federation.commands.rehearsal import Hospital, Plan, Rehearsal
from federation.coordinator.home import CentreHome
from federation.domain.ids import SiteId
from federation.economics.frontier import Strategy, frontier
from federation.economics.model_file import read_given
from federation.errors.core import HomeMissingError
from federation.impact.plan import read_plan
from federation.impact.protocol import read_protocol, templates, unwritten
from federation.impact.site_table import read_table
from federation.operations.embedded_registry import audit
from tests.impact_cli.builders import Home, copied, make_home, operating_point

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SITES = ("taichung", "tainan", "taipei")


def files() -> dict[str, bytes]:
    return templates(study=STUDY, entry="an-entry", design="stepped-wedge", sites=SITES)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = make_home(tmp_path_factory.mktemp("rehearsal"))
    operating_point(home, "ev-1", home.entry)
    return home


@pytest.fixture
def home(built: Home, tmp_path: Path) -> Home:
    return copied(built, tmp_path)


def study(home: Home, folder: Path, *, evaluation: str | None) -> Studied:
    return study_impact(
        home.desk, home.entry, sites=SITES, evaluation=evaluation, folder=folder, now=NOW
    )


def test_the_protocol_is_the_template_with_every_word_written() -> None:
    said = read_protocol(protocol_of(files()["protocol.toml"], sites=3, now=NOW))
    assert unwritten(read_protocol(files()["protocol.toml"]))
    assert unwritten(said) == []
    assert said["clusters"] == 3 * WARDS
    assert "invented" in str(said["irb"]) and "虛構" in str(said["registration"])


def test_the_economic_model_names_the_evaluation() -> None:
    given = read_given(economics_of(files()["economics.toml"], "ev-1"))
    assert [one.evaluation for one in given.strategies] == [None, "ev-1"]


def test_invented_tables_are_the_same_again_and_show_no_small_cell() -> None:
    plan = read_plan(files()["plan.toml"])
    assert tables(SITES, plan) == tables(SITES, plan)
    for site, content in tables(SITES, plan).items():
        rows = read_table(content, site, plan)
        assert {row.count for row in rows} == {PATIENTS}
        assert len(rows) == 2 * WARDS * plan.periods


def test_every_hospital_of_the_wedge_begins_one_period_after_the_other() -> None:
    plan = read_plan(files()["plan.toml"])
    begun = [
        min(row.period for row in read_table(content, site, plan) if row.arm == plan.intervention)
        for site, content in tables(SITES, plan).items()
    ]
    assert begun == [1, 2, 3]


def test_the_operating_point_is_where_both_rates_meet() -> None:
    scores = np.array([0.1, 0.2, 0.35, 0.6, 0.3, 0.5, 0.7, 0.9])
    truths = np.array([False] * 4 + [True] * 4)
    assert balanced(scores, truths) == pytest.approx(0.36)


def test_the_study_is_taken_to_its_report_with_costs_from_the_evaluation(
    home: Home, tmp_path: Path
) -> None:
    found = study(home, tmp_path / "impact", evaluation="ev-1")
    opened = open_with_evidence(home.desk, home.entry)

    assert found.state == "reported"
    assert found.costs is not None
    assert found.as_json()["invented"] is True
    assert found.report.read_text("utf-8").lower().startswith("<!doctype html")
    assert {path.name for path in found.figures} >= {"plane.en.svg", "plane.zh-Hant-TW.svg"}
    assert 0 < opened.met < opened.applicable
    assert audit(CentreHome.open(home.path))["records"] > 15


def test_without_counts_the_study_has_no_costs_and_is_reported(home: Home, tmp_path: Path) -> None:
    found = study(home, tmp_path / "impact", evaluation=None)
    assert (found.state, found.costs, found.figures) == ("reported", None, ())


def test_a_step_that_cannot_be_done_is_left_out_and_said_to_be(home: Home, tmp_path: Path) -> None:
    told: list[str] = []
    rehearsal = Rehearsal(Plan(workdir=tmp_path))
    rehearsal.hospitals = [Hospital(SiteId("taipei"), tmp_path / "no-node", tmp_path)]

    found = Chapter(rehearsal, home.entry, SITES, told.append).run()

    assert found["evaluation"]["left_out"]["code"] == HomeMissingError.code
    assert any(f"[{HomeMissingError.code}]" in line for line in told)
    assert found["impact"]["state"] == "reported" and found["impact"]["costs"] is None
    assert found["records"]["left_out"]["code"] == HomeMissingError.code, "no node, no card"
    assert found["dossier"]["completeness"]["met"] > 0


@pytest.mark.parametrize(
    ("cost", "effect", "words", "icer"),
    [
        (200.0, 2.0, COSTS, 100.0),
        (50.0, 2.0, BETTER, None),
        (50.0, 0.5, LESS, 100.0),
        (200.0, 0.5, DOMINATED, None),
    ],
)
def test_each_corner_of_the_plane_has_its_words(
    cost: float, effect: float, words: object, icer: float | None
) -> None:
    ranked = frontier([Strategy("usual", 100.0, 1.0), Strategy("ai", cost, effect)])
    assert standing(ranked, "ai") == (words, icer)
