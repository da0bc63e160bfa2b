"""`trifed node optout|keys|lineage` at the terminal: words in two languages, no identity shown."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from clients import approvals, audit_log
from clients.data.layout import KEY_FILE
from clients.data.people.lineage import Lineage, RoundState, TrainedRound
from clients.data.people.pseudonyms import Pseudonyms
from clients.home import FOLDERS, NodeHome, NodeSettings
from clients.policy import TEMPLATE
from federation.commands.node import keys, optout
from federation.domain.ids import RunId, Sha256, SiteId
from federation.errors.people import RotationRefusedError
from federation.evidence.signing import new_key
from tests.data.people.conftest import NOW, a_list
from tests.node.test_handler import approve, our_study

PERSON = "A123456789"

app = typer.Typer()
app.add_typer(optout.app)
app.add_typer(optout.optout_app, name="optout")
app.add_typer(keys.keys_app, name="keys")


def run(home: NodeHome, *words: str, stdin: str = "") -> Result:
    result = CliRunner().invoke(app, [*words, "--home", str(home.folder)], input=stdin)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def home(tmp_path: Path) -> NodeHome:
    node = NodeHome(tmp_path)
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
    node.write_settings(NodeSettings(SiteId("north"), "North", "Centre", "localhost:1"))
    node.policy.write_text(TEMPLATE, encoding="utf-8")
    new_key(node.node_key)
    officer = new_key(node.officer_key)
    node.officer_public_key.write_bytes(officer.public_key.pem)
    people = []
    for name in ("lin", "chen"):
        new_key(tmp_path / f"{name}.key")
        people.append(f'[[person]]\nname = "{name}"\npublic_key = "{name}.pub"\n')
    (tmp_path / "people.toml").write_text("\n".join(people))
    return node


def test_a_list_is_imported_checked_and_reported_without_names(home: NodeHome) -> None:
    listed = a_list(home.folder / "list.txt", PERSON)
    said = run(home, "optout", "import", str(listed)).output
    checked = run(home, "optout", "check", stdin=f"{PERSON}\nOTHER\n\n")
    report = json.loads(run(home, "optout", "report", "--json").output)

    assert checked.output.splitlines() == ["1\tyes", "2\tno", "3\tunknown"]
    assert report["number"] == 1
    assert report["listed"] == "<10"
    for text in (said, checked.output, home.audit_log.read_text()):
        assert PERSON not in text
    (event,) = audit_log.verify(home.audit_log)
    assert (event["kind"], event["subject"]) == ("opt-out-imported", report["version"])


def test_lineage_answers_by_line_and_leaves_a_trace(home: NodeHome) -> None:
    digest = Sha256.of(b"x")
    name = Pseudonyms.open_or_create(home.data / KEY_FILE).patient(PERSON)
    book = Lineage(home.data)
    book.begin(TrainedRound("s", RunId("s.1"), 3, digest, digest, "v", [name]), now=NOW)
    book.end(RunId("s.1"), 3, RoundState.RELEASED, model_out=digest)
    run(home, "name-version", "s.1", "cxr 1.0.0")
    listed = a_list(home.folder / "list.txt", PERSON, "OTHER")
    found = json.loads(run(home, "lineage", "--patient-ids", str(listed), "--json").output)

    assert [len(one["rounds"]) for one in found] == [1, 0]
    assert found[0]["rounds"][0]["version"] == "cxr 1.0.0"
    assert "s.1 round 3" in run(home, "lineage", "--pseudonym", name).output
    kinds = [event["kind"] for event in audit_log.verify(home.audit_log)]
    assert kinds == ["lineage-asked", "lineage-asked"]
    assert PERSON not in home.audit_log.read_text()


def test_two_persons_resolve_a_pseudonym_and_the_audit_log_names_them_alone(
    home: NodeHome,
) -> None:
    name = Pseudonyms.open_or_create(home.data / KEY_FILE).patient(PERSON)
    lin, chen = (("--by", who, "--key", str(home.folder / f"{who}.key")) for who in ("lin", "chen"))
    why = ("--reason", "incidental-finding", "--ticket", "IT-7", "--json")
    request = json.loads(run(home, "keys", "request-reveal", name, *why, *lin).output)["request"]
    run(home, "keys", "approve-reveal", request, *chen)
    listed = a_list(home.folder / "list.txt", "OTHER", PERSON)
    found = run(home, "keys", "reveal", request, "--candidates", str(listed), *lin)

    assert found.output == f"{PERSON}\n"
    events = audit_log.verify(home.audit_log)
    assert [(one["kind"], one["actor"]) for one in events] == [
        ("reveal-requested", "lin"),
        ("reveal-approved", "chen"),
        ("reveal-done", "lin"),
    ]
    assert PERSON not in home.audit_log.read_text()
    assert name not in home.audit_log.read_text()
    (shown,) = json.loads(run(home, "keys", "requests", "--json").output)
    assert shown["state"] == "used"


def test_keys_are_not_rotated_while_a_study_is_approved(home: NodeHome) -> None:
    study = our_study()
    approve(home, study)
    with pytest.raises(RotationRefusedError, match=study.id):
        run(home, "keys", "rotate")
    desk = approvals.Desk(home.proposals, home.decisions, SiteId("north"))
    desk.decision_file(study.id).unlink()
    done = json.loads(run(home, "keys", "rotate", "--json").output)
    assert done["keys"] == 2
    listed = json.loads(run(home, "keys", "list", "--json").output)
    assert listed["current"] == done["key_id"]


def test_templates_are_what_their_readers_understand(home: NodeHome) -> None:
    from clients.data.people.rules import read_rules

    text = CliRunner().invoke(app, ["optout", "template"]).output
    uncommented = "\n".join(line.removeprefix("# ") for line in text.splitlines()[3:])
    (home.folder / "optout.toml").write_text(uncommented.replace("#    ", "# "), encoding="utf-8")
    rules = read_rules(home.data)
    assert rules.source is not None
    assert rules.source.max_age_hours == 48
    people = CliRunner().invoke(app, ["keys", "people-template"]).output
    assert people.count("[[person]]") == 2


def test_purge_asks_before_it_deletes(home: NodeHome) -> None:
    assert run(home, "optout", "purge", stdin="n\n").exit_code == 1
    assert json.loads(run(home, "optout", "purge", "--yes", "--json").output)["images"] == 0
