"""`trifed registry record`: any noun of a real centre's home, from the command line."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from federation.commands.registry_nouns import record_app
from federation.errors import PlatformError
from federation.operations.registry import audit_register
from tests.registry.nouns_a.bodies import application, deployment, opt_out_list

WHO = ("--person", "lin", "--organisation", "Tainan Hospital", "--role", "HAO")


def record(*words: str | Path, home: Path | None = None, as_json: bool = True) -> str:
    """Return what the command says; what it refuses with is raised."""
    at = ["--home", str(home)] if home is not None else []
    given = [*map(str, words), *at, *(["--json"] if as_json else [])]
    done = CliRunner().invoke(record_app, given)
    if isinstance(done.exception, PlatformError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def a_file(tmp_path: Path, body: object) -> Path:
    path = tmp_path / "body.json"
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


def test_a_record_is_put_moved_shown_and_listed(home: Path, tmp_path: Path) -> None:
    file = a_file(tmp_path, deployment())
    put = json.loads(record("put", "deployment", "dep-1", file, *WHO, home=home))
    assert (put["revision"], put["state"]) == (1, "planned")
    again = json.loads(
        record("put", "deployment", "dep-1", file, *WHO, "--revision", "1", home=home)
    )
    assert again["revision"] == 2
    who = ("--person", "chen", "--organisation", "Tainan Hospital", "--role", "HAC")
    moved = record(
        *("move", "deployment", "dep-1", "withdraw", *who),
        *("--revision", "2", "--reason", "not bought"),
        home=home,
    )
    assert json.loads(moved)["record"]["state"] == "withdrawn"
    assert json.loads(record("show", "deployment", "dep-1", home=home))["moves"] == []
    listed = json.loads(record("list", "deployment", "--state", "withdrawn", home=home))
    assert [one["id"] for one in listed["items"]] == ["dep-1"]
    assert audit_register(home)["records"] == 3


def test_people_read_words_and_who_may_move(home: Path, tmp_path: Path) -> None:
    assert "none" in record("list", "opt-out-list", home=home, as_json=False)
    staff = ("--person", "wu", "--organisation", "NHIA", "--role", "NHI-S")
    file = a_file(tmp_path, opt_out_list())
    said = record("put", "opt-out-list", "list-3", file, *staff, home=home, as_json=False)
    assert "revision 1" in said
    shown = record("show", "opt-out-list", "list-3", home=home, as_json=False)
    assert "issue -> issued: NHI-C + SEC (2 signatures)" in shown
    council = ("--person", "ho", "--organisation", "Council", "--role", "NHI-C")
    waits = record(
        *("move", "opt-out-list", "list-3", "issue", *council),
        *("--revision", "1", "--reason", "decided"),
        home=home,
        as_json=False,
    )
    assert "Still missing" in waits and "SEC" in waits
    assert "list-3  draft" in record("list", "opt-out-list", home=home, as_json=False)
    assert "deployment: start" in record("nouns", as_json=False)
    assert "deployment" in json.loads(record("nouns"))


def test_what_is_due_is_listed_by_the_homes_own_calendar(home: Path, tmp_path: Path) -> None:
    who = ("--person", "wu", "--organisation", "Tainan Hospital", "--role", "HAO")
    record("put", "data-application", "app-1", a_file(tmp_path, later()), *who, home=home)
    for number, person, house, role, revision in (
        ("submit", "wu", "Tainan Hospital", "HAO", 1),
        ("find-deficient", "ho", "NHIA", "NHI-S", 2),
    ):
        signer = ("--person", person, "--organisation", house, "--role", role)
        seen = ("--revision", str(revision), "--reason", "as decided")
        record("move", "data-application", "app-1", number, *signer, *seen, home=home)
    soon = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%d")
    assert json.loads(record("due", home=home)) == []
    (line,) = json.loads(record("due", "--at", soon, home=home))
    assert (line["record"], line["move"]) == ("data-application/app-1", None)
    years = {datetime.now(UTC).year, datetime.now(UTC).year + 1}
    tables = [f'[{y}]\nsource = "test"\nholidays = [{y}-01-01]\n' for y in sorted(years)]
    (home / "working-days.toml").write_text("".join(tables), encoding="utf-8")
    (line,) = json.loads(record("due", "--at", soon, home=home))
    assert line["move"] == "return"
    said = record("due", "--at", soon, home=home, as_json=False)
    assert "the clock will: return" in said
    assert "none" in record("due", home=home, as_json=False)


def later() -> object:
    """Return an application whose dates are ahead whenever the test runs."""
    year = datetime.now(UTC).year + 2
    ethics = {"board": "B", "number": "1", "expires": f"{year}-12-31"}
    return application(ethics=ethics, period={"begins": "2026-09-10", "ends": f"{year}-03-09"})


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("list", "patient"), "TF732"),
        (("show", "deployment", "dep-9"), "TF734"),
        (("put", "deployment", "dep-1", "none.json", *WHO), "TF106"),
        (("put", "deployment", "dep-1", "FILE", *WHO[:-1], "CLOCK"), "TF103"),
        (("put", "deployment", "dep-1", "FILE", *WHO[:-1], "CLI"), "TF737"),
        (("put", "deployment", "dep-1", "FILE", *WHO, "--centre", "none"), "TF103"),
        (("put", "deployment", "dep-1", "LARGE", *WHO), "TF736"),
        (("put", "deployment", "dep-1", "OTHER", *WHO), "TF736"),
    ],
    ids=["noun", "not-there", "no-file", "clock", "role", "centre", "large", "shape"],
)
def test_what_cannot_be_done_is_a_coded_error(
    home: Path, tmp_path: Path, words: tuple[str, ...], code: str
) -> None:
    (tmp_path / "FILE").write_text(json.dumps(deployment()), encoding="utf-8")
    (tmp_path / "LARGE").write_text("x" * 600_000, encoding="utf-8")
    (tmp_path / "OTHER").write_text('{"patient": "A123456789"}', encoding="utf-8")
    files = {"FILE", "LARGE", "OTHER"}
    given = [str(tmp_path / word) if word in files else word for word in words]
    with pytest.raises(PlatformError) as refused:
        record(*given, home=home)
    assert refused.value.code == code and "A123456789" not in refused.value.say()


def test_the_command_starts_without_heavy_imports() -> None:
    import subprocess
    import sys

    program = (
        "import sys, federation.commands.registry_nouns;"
        "heavy = ('fastapi', 'sqlalchemy', 'torch', 'registry.nouns');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
