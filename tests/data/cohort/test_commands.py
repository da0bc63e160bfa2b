"""`trifed node labels|cohort`, in JSON and in words."""

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from federation.commands.node import cohorts
from federation.errors.cohorts import CohortUnknownError
from tests.data.conftest import Ingested

RUN = CliRunner()


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.add_typer(cohorts.app)
    made.add_typer(cohorts.cohort_app, name="cohort")
    return made


@pytest.fixture
def home(ingested: Ingested, tmp_path: Path) -> Path:
    shutil.copytree(ingested.data, tmp_path / "data")
    (tmp_path / "cohorts").mkdir()
    (tmp_path / "cohorts" / "adults.toml").write_text('title = "成人"\nage = { from = 18 }\n')
    return tmp_path


def run(app: typer.Typer, home: Path, *words: str) -> str:
    done = RUN.invoke(app, [*words, "--home", str(home)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_cohorts_are_listed_shown_and_counted(app: typer.Typer, home: Path) -> None:
    assert json.loads(run(app, home, "cohort", "list", "--json")) == [
        {"name": "adults", "title": "成人"}
    ]
    shown = json.loads(run(app, home, "cohort", "show", "adults", "--json"))
    assert shown["query"] == {"age_from_y": 18}
    counted = json.loads(run(app, home, "cohort", "count", "adults", "--json"))
    assert counted["patients"] in (20, 30, 40)
    file = str(home / "cohorts" / "adults.toml")
    again = json.loads(run(app, home, "cohort", "count", file, "--json"))
    assert again == counted
    words = run(app, home, "cohort", "count", "adults")
    assert f"{counted['patients']} patients" in words
    assert "成人" in run(app, home, "cohort", "list")


def test_a_cohort_that_is_not_defined_has_a_code(app: typer.Typer, home: Path) -> None:
    done = RUN.invoke(app, ["cohort", "show", "nobody", "--home", str(home)])
    assert isinstance(done.exception, CohortUnknownError)


def test_labels_are_counted_in_words_and_in_json(app: typer.Typer, home: Path) -> None:
    given = home / "labels.csv"
    given.write_text("patient_id,fracture\nNOBODY,1\n")
    counted = json.loads(run(app, home, "labels", str(given), "--json"))
    assert (counted["applied"], counted["TF516"]) == (0, 1)
    words = run(app, home, "labels", str(given))
    assert "0 labels written." in words
    assert "TF516" in words
