"""Commands take what people type, refuse the rest with a code, and have a notebook's twin."""

import json
from pathlib import Path

import pytest
import typer

from federation import notebooks
from federation.commands import dossier, evaluate, impact, reimbursement
from federation.commands.main import run
from federation.wording import Language
from tests.impact_cli.builders import STUDY, Home, new_study

GROUPS = {
    "evaluate": evaluate.app,
    "impact": impact.app,
    "dossier": dossier.app,
    "reimbursement": reimbursement.app,
}
LEADING = ["--person", "lead-1", "--organisation", "Impact Centre"]


@pytest.fixture
def drafted(home: Home, tmp_path: Path) -> Home:
    new_study(home, tmp_path / "s")
    return home


@pytest.mark.parametrize("name", GROUPS)
def test_every_command_has_a_notebook_function_of_its_name(name: str) -> None:
    space = getattr(notebooks, name)
    for command in GROUPS[name].registered_commands:
        called = (command.name or command.callback.__name__).replace("-", "_")  # type: ignore[union-attr]
        assert callable(getattr(space, called)), f"{name} {called}"


def test_a_notebook_opens_the_same_register(home: Home) -> None:
    desk = notebooks.open_desk(str(home.path))
    assert desk.get("evaluation", "ev-1").state == "judged"
    assert notebooks.open_centre(home.path).folder == home.path
    kept = notebooks.dossier.open(
        desk,
        "d-9",
        home.entry,
        device=notebooks.dossier.Device("CADt"),
        device_id="x",
        actor=notebooks.Actor("hao-1", "Tainan Hospital", "HAO"),
    )
    assert kept.revision == 1


@pytest.mark.parametrize("name", GROUPS)
def test_help_is_in_both_languages(name: str) -> None:
    for command in GROUPS[name].registered_commands:
        assert command.help, command.callback
    assert isinstance(GROUPS[name], typer.Typer)
    assert set(Language) == {Language.EN, Language.ZH_HANT_TW}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["power", "--set", "kind"], "TF103"),
        (["power", "--set", "kind=magic"], "TF885"),
        (["power", "nowhere.toml"], "TF1"),
        (["freeze", STUDY, "PLAN", "--table", "tainan-1", *LEADING], "TF103"),
        (["conclude", STUDY, "PLAN", "--harm", "fall=some", *LEADING], "TF103"),
        (["conclude", STUDY, "PLAN", "--harm", "fall=0", *LEADING], "TF907"),
        (["move", STUDY, "I4", *LEADING, "--role", "IMP-P", "--reason", "x"], "TF737"),
        (["move", STUDY, "I1", *LEADING, "--role", "KING", "--reason", "x"], "TF103"),
        (["new", "s", "ENTRY", "--design", "x", "--site", "a-1", "-o", "o", *LEADING], "TF885"),
        (["show", "nothing"], "TF73"),
        (["log-plan", STUDY, "PLAN", *LEADING, "--model", "PLAN"], "TF874"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_with_its_code(
    drafted: Home,
    tmp_path: Path,
    arguments: list[str],
    code: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = {"PLAN": str(tmp_path / "s" / "plan.toml"), "ENTRY": drafted.entry}
    given = [words.get(one, one) for one in arguments]
    home = [] if "power" in given else ["--home", str(drafted.path)]
    assert run(["impact", *given, *home, "--json"]) == 1
    told = json.loads(capsys.readouterr().err)["error"]
    assert told["code"].startswith(code), told


def test_power_needs_no_home(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["kind=means", "effect.difference=-5", "effect.deviation=18", "sizes=[204]"]
    options = [part for one in given for part in ("--set", one)]
    assert run(["impact", "power", *options, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["needed"] == 204 and told["table"][0]["power"] == pytest.approx(0.8011, abs=1e-4)


def test_a_centres_home_is_needed_where_something_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["dossier", "status", "d-1", "--home", str(tmp_path)]) == 1
    assert "[TF104]" in capsys.readouterr().err


def test_reports_are_written_in_the_users_language(
    drafted: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = ["--home", str(drafted.path)]
    page = tmp_path / "study.html"
    assert run(["impact", "report", STUDY, "-o", str(page), *at]) == 0
    assert 'lang="en' in page.read_text("utf-8") and drafted.entry in page.read_text("utf-8")
    assert run(["impact", "report", STUDY, "-o", str(page), *at]) == 1, "nothing is written over"
    monkeypatch.setenv("TRIFED_LANG", "zh")
    assert run(["impact", "report", STUDY, "-o", str(tmp_path / "zh.html"), *at]) == 0
    assert 'lang="zh' in (tmp_path / "zh.html").read_text("utf-8")


def test_a_dossiers_state_can_be_printed(home: Home, tmp_path: Path) -> None:
    at, who = ["--home", str(home.path)], ["--person", "h", "--organisation", "Tainan Hospital"]
    opening = ["dossier", "open", "d-1", home.entry, "--task", "CADe", "--device-id", "x"]
    assert run([*opening, *who, *at]) == 0
    assert run(["dossier", "report", "d-1", "-o", str(tmp_path / "d.html"), *at]) == 0
    assert "TFDA-AI-21" in (tmp_path / "d.html").read_text("utf-8")
