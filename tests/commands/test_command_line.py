"""The command line: quick, bilingual, one JSON contract, honest exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from federation.commands import output
from federation.commands.main import run
from federation.commands.pages import page_of
from federation.errors import all_errors

HEAVY = ("torch", "monai", "prefect", "flwr", "pydicom", "sqlalchemy", "fastapi", "grpc", "opacus")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from federation.commands.main import run; run(['--help']);"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("group", ["", "centre", "node", "study", "registry", "evidence"])
@pytest.mark.parametrize(("language", "word"), [("en", "Usage"), ("zh-Hant-TW", "Usage")])
def test_every_group_explains_itself(group: str, language: str, word: str) -> None:
    arguments = [*([group] if group else []), "--help"]
    done = subprocess.run(
        [sys.executable, "-m", "federation.commands.main", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "TRIFED_LANG": language},
        check=True,
    )

    assert word in done.stdout
    assert ("登錄" in done.stdout or "中心" in done.stdout or "節點" in done.stdout
            or "研究" in done.stdout or "證據" in done.stdout) == (language != "en")  # fmt: skip


def test_an_error_is_one_json_object_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["centre", "status", "--home", str(tmp_path), "--json"])

    said = json.loads(capsys.readouterr().err)["error"]
    assert code == 1
    assert said.keys() >= {"code", "what", "next_step", "docs"}
    assert said["code"] == "TF104"
    assert Path(said["docs"]).exists()


def test_an_error_for_people_says_what_what_next_and_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["centre", "status", "--home", str(tmp_path)]) == 1

    said = capsys.readouterr().err
    assert "[TF104]" in said
    assert "trifed centre init" in said
    assert "trifed explain TF104" in said


def test_an_unknown_option_is_exit_code_two() -> None:
    assert run(["centre", "init", "--nonsense"]) == 2


def test_every_code_can_be_explained() -> None:
    missing = [code for code in all_errors() if page_of(code) is None]

    assert missing == []


@pytest.mark.parametrize("code", ["TF000", "nonsense", "../../etc/passwd", "TF104/../TF105"])
def test_what_is_no_code_is_not_explained(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", code]) == 1
    assert code in capsys.readouterr().out


def test_the_version_names_the_code_by_digest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version", "--json"]) == 0

    said = json.loads(capsys.readouterr().out)
    assert said["code"].startswith("sha256:")


def test_the_whole_enrolment_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    centre, node = str(tmp_path / "c"), str(tmp_path / "n")
    invitation, kit = str(tmp_path / "i.json"), str(tmp_path / "k.json")
    for command in (
        ["centre", "init", "--home", centre, "--address", "localhost:18443"],
        ["centre", "invite", "tainan", "--home", centre, "--out", invitation],
        ["node", "init", "--home", node, "--invitation", invitation],
        ["centre", "sign", f"{node}/request.json", "--home", centre, "--out", kit],
        ["node", "join", kit, "--home", node],
        ["centre", "status", "--home", centre],
    ):
        assert run(command) == 0, capsys.readouterr().err

    assert "tainan  enrolled" in capsys.readouterr().out
    assert Path(invitation).stat().st_mode & 0o777 == 0o600
    assert run(["node", "join", kit, "--home", centre]) == 1


def test_a_study_file_with_several_faults_lists_all_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "study.toml"
    assert run(["study", "new", str(file)]) == 0
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace("quorum = ", "quorum = 9").replace("epsilon = ", "epsilon = -"),
        encoding="utf-8",
    )
    capsys.readouterr()

    assert run(["study", "validate", str(file), "--json"]) == 1

    said = json.loads(capsys.readouterr().err)["error"]
    assert said["code"] == "TF100"
    assert len(said["problems"]) >= 2
    assert all("line" in problem["what"].lower() for problem in said["problems"])


def test_a_file_without_end_is_refused_not_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "LARGEST_FILE", 2**16)
    assert run(["node", "policy", "check", "/dev/zero"]) == 1
    assert "more than 512 MiB" in capsys.readouterr().err


def test_launching_without_a_running_centre_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    centre, file = str(tmp_path / "c"), str(tmp_path / "study.toml")
    assert run(["centre", "init", "--home", centre]) == 0
    assert run(["study", "new", file]) == 0
    assert run(["study", "submit", file, "--home", centre]) == 0
    capsys.readouterr()

    done = subprocess.run(
        [sys.executable, "-m", "federation.commands.main", "study", "launch", "my-study",
         "--home", centre, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "TF238" in done.stderr + done.stdout


def test_a_node_without_proposals_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["node", "proposals", "--home", str(tmp_path)]) == 1
    assert "TF104" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--dicom", "nowhere"], "TF823"),
        (["--recipe", "nope"], "TF310"),
    ],
)
def test_a_demo_that_cannot_start_leaves_nothing(
    arguments: list[str], code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"

    assert run(["demo", "--workdir", str(work), *arguments, "--json"]) == 1

    assert json.loads(capsys.readouterr().err.splitlines()[-1])["error"]["code"] == code
    assert not work.exists()


def test_a_demo_never_replaces_a_folder_it_did_not_make(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")

    assert run(["demo", "--workdir", str(tmp_path), "--json"]) == 1

    assert "TF822" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "mine"
