"""`trifed evaluate` as a person types it: plan, refuse what cannot run, show, draw."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from federation.commands import evaluate, running
from federation.commands.node import decisions, predictions
from federation.domain.ids import SiteId
from federation.errors.base import PlatformError
from federation.errors.control import CentreNotRunningError
from federation.errors.evaluating import (
    EvaluationMissingError,
    EvaluationPlanError,
)
from federation.errors.records import NotItsPlannerError
from federation.operations.evaluations.plan_file import read_plan
from tests.evaluate.in_process import Federation
from tests.evaluate.test_federated import NOW

COHORT = "chest-x-ray"


def typed(*arguments: object, app: Any = evaluate.app) -> str:
    """Return what a command prints; raise the coded error it ends with."""
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    if isinstance(done.exception, PlatformError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_a_plan_is_written_run_and_shown(fed: Federation, entry: str, tmp_path: Path) -> None:
    home, plan, figures = fed.centre.folder, tmp_path / "plan.toml", tmp_path / "figures"
    claim = f"{entry}=0.7"
    options = ("--home", home, "--cohort", COHORT, "-o", plan, "--id", "eval-1", "--claim", claim)
    said = json.loads(typed("plan", entry, *options, "--json"))
    study = read_plan(plan, now=NOW)
    assert said["digest"] == study.digest
    with pytest.raises(EvaluationPlanError):  # the file is there
        typed("plan", entry, *options)
    with pytest.raises(EvaluationMissingError):
        typed("show", entry, "--home", home)
    with pytest.raises(CentreNotRunningError):  # it is handed in; nobody would run it
        typed("run", plan, "--home", home)

    fed.evaluate(study)
    shown = json.loads(typed("show", "eval-1", "--home", home, "--figures", figures, "--json"))
    words = typed("show", "eval-1.1", "--home", home)
    enter = ("enter", "eval-1", "--home", home, "--json", "--organisation", evaluate.HOUSE)
    with pytest.raises(NotItsPlannerError):
        typed(*enter, "--person", "somebody-else")
    later = json.loads(typed(*enter, "--person", running.actor()))

    assert shown["documents"][entry]["schema"] == "trifed.evaluation-report/1"
    drawn = {Path(one).name.removeprefix(f"{entry}.") for one in shown["drawn"]}
    assert {"roc.en.svg", "roc.zh.svg", "sites.en.svg", "sites.zh.svg"} <= drawn
    assert entry in words and "AUROC" in words and "trifed evaluate enter eval-1" in words
    assert later["documents"][entry] == shown["documents"][entry]["digest"]
    assert set(later["records"].values()) == {"planned"}

    node = fed.nodes[SiteId("taipei")].folder
    asked = typed("proposals", "eval-1", "--home", node, app=decisions.app)
    assert f"evaluates {entry}" in asked and "masked" in asked
    assert asked.count("not compared") == 2 and asked.count("this hospital") == 1
    listed = json.loads(typed("list", "--home", node, "--json", app=predictions.app))
    gone = json.loads(typed("delete", "eval-1", "--home", node, "--json", app=predictions.app))
    assert listed == {"eval-1": gone["deleted"]}
    assert json.loads(typed("list", "--home", node, "--json", app=predictions.app)) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("claim = 0.7", "claim = 0.71"),
        ("trained_at = [", 'trained_at = ["elsewhere", '),
        ("quorum = 3", "quorum = 4"),
    ],
)
def test_an_edited_plan_runs_only_as_the_register_and_the_roster_say(
    fed: Federation, entry: str, tmp_path: Path, old: str, new: str
) -> None:
    plan = tmp_path / "plan.toml"
    options = ("--home", fed.centre.folder, "--cohort", COHORT, "--claim", f"{entry}=0.7")
    typed("plan", entry, *options, "-o", plan)
    text = plan.read_text(encoding="utf-8")
    assert old in text
    plan.write_text(text.replace(old, new), encoding="utf-8")
    wanted = EvaluationPlanError if "trained_at" in old else CentreNotRunningError

    with pytest.raises(wanted):
        typed("run", plan, "--home", fed.centre.folder)


def test_fewer_than_three_hospitals_make_no_plan(
    fed: Federation, entry: str, tmp_path: Path
) -> None:
    sites = ("--site", "taipei", "--site", "tainan")
    options = ("--home", fed.centre.folder, "--cohort", COHORT, "-o", tmp_path / "plan.toml")

    with pytest.raises(EvaluationPlanError, match="three"):
        typed("plan", entry, *options, *sites)
    with pytest.raises(EvaluationPlanError, match="nowhere"):
        typed("plan", entry, *options, "--site", "nowhere")
