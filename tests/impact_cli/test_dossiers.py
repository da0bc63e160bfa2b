"""Evidence is looked at before it is named; what is missing is said in words."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest

from federation.commands.main import run
from federation.errors import PlatformError, ProblemsFound
from federation.errors.evidence_nouns import RequirementGapError
from federation.errors.impact_commands import (
    EvidenceExpiredError,
    EvidenceNotAsSignedError,
    EvidenceNotFittingError,
    EvidenceNotInForceError,
    OtherVersionEvidenceError,
)
from federation.errors.moves import RecordNotFoundError, RecordShapeError
from federation.operations.dossier import (
    NOUN,
    Decision,
    Device,
    Document,
    attach,
    attach_all,
    bundle,
    classify_change,
    confirm_document,
    decide,
    file_document,
    note_licence,
    note_submission,
    open_dossier,
    status,
)
from federation.operations.registry import verify_bundle
from registry import datasets
from registry.datasets.noun import CardState
from registry.roles import Role
from tests.impact_cli.builders import (
    APPROVER,
    DAY,
    EVALUATOR,
    LIAISON,
    MAKER,
    Home,
    operating_point,
)
from tests.registry.nouns_b.bodies import dataset_card, person, read, starting_in

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()


@pytest.fixture
def opened(home: Home) -> Home:
    open_dossier(
        home.desk, "d-1", home.entry, device=Device("CADe"), device_id="device-1", actor=MAKER
    )
    return home


def filed(home: Home, name: str, kind: str, *, entry: str = "", until: str | None = DAY) -> None:
    said = Document(kind, "A document", "文件", "Tainan Hospital", "2026-01-01", until)
    file_document(home.desk, name, entry or home.entry, b"content", said, actor=MAKER)
    confirm_document(home.desk, name, actor=EVALUATOR, reason="read")


def tampered(home: Home, noun: str, id: str, old: str, new: str) -> None:
    """Change a record past the register, as somebody with the database file could."""
    with closing(sqlite3.connect(home.path / "centre.db")) as database, database:
        triggers = "select name from sqlite_master where type = 'trigger'"
        for (name,) in database.execute(triggers).fetchall():
            database.execute(f'drop trigger "{name}"')
        done = database.execute(
            "update registry_records set body = replace(body, ?, ?) where noun = ? and id = ?",
            (old, new, noun, id),
        )
        assert done.rowcount > 0


def statuses(home: Home) -> dict[str, str]:
    return {one.requirement.id: one.status.value for one in status(home.desk, "d-1").findings}


def test_an_empty_dossier_says_what_is_missing_and_what_to_do(opened: Home) -> None:
    found = status(opened.desk, "d-1")
    assert not found.is_complete and len(found.gaps) > 25
    for gap in found.gaps:
        assert gap.why.en and gap.why.zh and gap.next_step.en and gap.next_step.zh
    assert {"TFDA-AI-12", "TFDA-AI-19"} <= {
        name for name, one in statuses(opened).items() if one == "not-applicable"
    }


def test_evidence_is_named_wherever_it_fits(opened: Home) -> None:
    filed(opened, "qms", "qms-certificate")
    found = attach(opened.desk, "d-1", "evidence-document", "qms", actor=MAKER)
    assert found.items == {"evidence-document-qms": ("TFDA-AI-21",)}
    found = attach(opened.desk, "d-1", "evaluation", "ev-1", actor=MAKER)
    assert found.items["evaluation-ev-1"] == ("TFDA-AI-05", "TFDA-AI-09")
    found = attach(opened.desk, "d-1", "signed-version", opened.entry, actor=MAKER)
    assert "TFDA-AI-01" in next(iter(found.items.values()))
    item = next(one for one in found.record.body["items"] if one["noun"] == "evaluation")  # type: ignore[union-attr,index]
    record = opened.desk.get("evaluation", "ev-1")
    assert (item["sha256"], item["log_index"]) == (record.digest, record.log_index)


def test_naming_it_again_takes_its_newest_revision(opened: Home) -> None:
    filed(opened, "qms", "qms-certificate")
    attach(opened.desk, "d-1", "evidence-document", "qms", actor=MAKER)
    said = Document("qms-certificate", "Renewed", "展延", "Tainan Hospital", "2026-02-01", DAY)
    with pytest.raises(PlatformError):  # confirmed ones are not written over
        file_document(opened.desk, "qms", opened.entry, b"2", said, actor=MAKER)
    again = attach(opened.desk, "d-1", "evidence-document", "qms", actor=MAKER)
    assert len(again.record.body["items"]) == 1  # type: ignore[arg-type]


def test_evidence_of_another_version_is_refused(opened: Home) -> None:
    with pytest.raises(OtherVersionEvidenceError):
        attach(opened.desk, "d-1", "evaluation", "ev-other", actor=MAKER)
    filed(opened, "qms", "qms-certificate", entry=opened.other)
    with pytest.raises(OtherVersionEvidenceError):
        attach(opened.desk, "d-1", "evidence-document", "qms", actor=MAKER)
    with pytest.raises(OtherVersionEvidenceError):
        attach(opened.desk, "d-1", "signed-version", opened.other, actor=MAKER)


def test_an_expired_certificate_is_refused_and_one_that_expires_later_is_a_gap(
    opened: Home,
) -> None:
    filed(opened, "qms", "qms-certificate", until=TOMORROW)
    attach(opened.desk, "d-1", "evidence-document", "qms", actor=MAKER)
    desk = opened.desk
    later = replace(desk.records, clock=lambda: datetime.now(UTC) + timedelta(days=3))
    late = replace(desk, records=later)
    with pytest.raises(EvidenceExpiredError):
        attach(late, "d-1", "evidence-document", "qms", actor=MAKER)
    (gap,) = [
        one
        for one in status(late, "d-1").gaps
        if one.requirement == "TFDA-AI-21" and one.status.value == "expired"
    ]
    assert "expired" in gap.why.en and "逾" in gap.why.zh
    with pytest.raises(EvidenceExpiredError):  # also where only the dossier knows the day
        attach(desk, "d-1", "evaluation", "ev-1", valid_until="2020-01-01", actor=MAKER)


def test_what_is_not_judged_or_does_not_fit_is_refused(opened: Home) -> None:
    with pytest.raises(EvidenceNotInForceError):
        attach(opened.desk, "d-1", "evaluation", "ev-draft", actor=MAKER)
    with pytest.raises(EvidenceNotFittingError) as refused:
        attach(opened.desk, "d-1", "evaluation", "ev-1", requirement="TFDA-AI-11", actor=MAKER)
    assert "TFDA-AI-09" in refused.value.say()
    with pytest.raises(RecordNotFoundError):
        attach(opened.desk, "d-1", "evaluation", "nothing", actor=MAKER)
    assert opened.desk.get(NOUN, "d-1").revision == 1, "nothing was written"


def test_a_record_changed_past_the_register_is_refused(opened: Home) -> None:
    tampered(opened, "evaluation", "ev-1", "0.944444", "0.955556")
    with pytest.raises(EvidenceNotAsSignedError):
        attach(opened.desk, "d-1", "evaluation", "ev-1", actor=MAKER)
    assert "evaluation-ev-1" not in attach_all(opened.desk, "d-1", actor=MAKER).items


def test_everything_that_counts_is_named_at_once(opened: Home) -> None:
    filed(opened, "qms", "qms-certificate")
    filed(opened, "other-qms", "qms-certificate", entry=opened.other)
    found = attach_all(opened.desk, "d-1", actor=MAKER)
    assert {"evaluation-ev-1", "evidence-document-qms"} <= set(found.items)
    assert not any("other" in item or "draft" in item for item in found.items)
    again = attach_all(opened.desk, "d-1", actor=MAKER)
    assert again.items == found.items
    assert {**again.record.body, "items": 0} == {**found.record.body, "items": 0}


def test_an_incomplete_dossier_is_not_decided_complete(opened: Home) -> None:
    with pytest.raises(ProblemsFound) as refused:
        decide(opened.desk, "d-1", Decision.COMPLETE, actor=EVALUATOR, reason="looked")
    assert all(isinstance(one, RequirementGapError) for one in refused.value.problems)


def test_the_bundle_is_named_by_its_digest_and_verifies(opened: Home, tmp_path: Path) -> None:
    done = bundle(opened.desk, "d-1", tmp_path / "d.zip", actor=MAKER)
    assert done.record.body["bundle"] == done.digest
    assert verify_bundle(done.path).verified


def test_a_bundle_holds_what_the_dossier_rests_on_besides_the_version(
    opened: Home, tmp_path: Path
) -> None:
    in_use = starting_in(datasets.NOUN, CardState.IN_USE)
    card = read(datasets.NOUN, dataset_card("tainan-1"))
    opened.desk.records.put(in_use, "card-1", card, author=person(Role.DST))
    attach(opened.desk, "d-1", "dataset-card", "card-1", actor=MAKER)
    done = bundle(opened.desk, "d-1", tmp_path / "d.zip", actor=MAKER)
    assert verify_bundle(done.path).verified
    with ZipFile(done.path) as file:
        claims = next(name for name in file.namelist() if name.endswith("dossier.json"))
        assert "dataset-card card-1" in file.read(claims).decode()


@pytest.mark.parametrize(
    ("parts", "fix", "route"),
    [
        ([], "bug", "record-only"),
        ([], "user-interface", "record-only"),
        ([], "system", "record-only"),
        (["architecture"], None, "amendment"),
        (["architecture"], "bug", "amendment"),
        (["intended-use"], None, "amendment"),
    ],
)
def test_a_change_is_classified(
    opened: Home, parts: list[str], fix: str | None, route: str
) -> None:
    assert classify_change(opened.desk, parts, fix=fix).route.value == route


def test_a_change_of_which_nothing_is_said_is_not_a_small_one(opened: Home) -> None:
    for fix in (None, "nothing much"):
        with pytest.raises(RecordShapeError):
            classify_change(opened.desk, fix=fix)


def test_an_unknown_part_or_plan_is_refused(opened: Home) -> None:
    with pytest.raises(RecordShapeError):
        classify_change(opened.desk, ["colour"])
    with pytest.raises(RecordNotFoundError):
        classify_change(opened.desk, ["architecture"], plan="none")


def test_submission_and_licence_are_noted(opened: Home) -> None:
    note_submission(
        opened.desk, "d-1", date="2026-09-01", number="115-1", result="pending", actor=MAKER
    )
    kept = note_licence(
        opened.desk, "d-1", number="MD-1", issued="2026-12-01", expires="2031-12-01", actor=MAKER
    )
    assert kept.body["licence"] and kept.body["submissions"]
    with pytest.raises(PlatformError):
        decide(opened.desk, "d-1", Decision.LICENSE, actor=LIAISON, reason="granted")
    with pytest.raises(PlatformError):
        decide(opened.desk, "d-1", Decision.SIGN, actor=APPROVER, reason="signed")


def test_the_commands_say_it_in_words(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = ["--home", str(home.path)]
    who = ["--person", "hao-1", "--organisation", "Tainan Hospital"]
    opening = ["dossier", "open", "d-2", home.entry, "--task", "CADe", "--device-id", "x"]
    assert run([*opening, *who, *at]) == 0
    assert run(["dossier", "attach", "d-2", "evaluation", "ev-1", *who, *at]) == 0
    assert run(["dossier", "attach", "d-2", "evaluation", "ev-other", *who, *at]) == 1
    assert "[TF900]" in capsys.readouterr().err
    assert run(["dossier", "status", "d-2", *at]) == 0
    said = capsys.readouterr().out
    assert "TFDA-AI-09" in said and "discrimination" in said and "Record an evaluation" in said
    monkeypatch.setenv("TRIFED_LANG", "zh")
    assert run(["dossier", "status", "d-2", *at]) == 0
    assert "請為此版本登錄" in capsys.readouterr().out
    assert run(["dossier", "status", "d-2", "--json", *at]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["complete"] is False and told["dossier"] == "d-2"
    signing = ["--reason", "x", "--person", "e", "--organisation", "V", "--role", "VAL-E"]
    assert run(["dossier", "decide", "d-2", "complete", *signing, "--json", *at]) == 1
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "TF100"
    assert run(["dossier", "decide", "d-2", "bless", *signing, *at]) == 1
    assert run(["dossier", "change", "--part", "architecture", "--json", *at]) == 0


def test_an_evaluation_beside_the_whole_way(opened: Home) -> None:
    operating_point(opened, "ev-2", opened.entry)
    attach(opened.desk, "d-1", "evaluation", "ev-2", requirement="TFDA-AI-09", actor=MAKER)
    assert statuses(opened)["TFDA-AI-05"] == "missing"
