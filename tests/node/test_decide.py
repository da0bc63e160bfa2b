"""The desk with real files: what staff read, what they sign, and what they may not sign."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from clients import decide
from clients.approvals import Decision, decision_of
from clients.approved_data import ApprovedData
from clients.briefing import FIELDS, briefing_of
from clients.data import phantoms
from clients.data.cohort.choice import choose
from clients.data.intake.ingest import ingest
from clients.endorsements import Proposer
from clients.gate import REPORT_KEYS
from clients.ledger_store import LedgerStore
from clients.persons import People
from clients.policy import Rule
from clients.seen import Seen
from federation.commands.node import decisions, policy
from federation.domain.ids import StudyId
from federation.domain.study import PrivacyPlan, Study
from federation.errors import PlatformError
from federation.errors.approval import (
    AlreadyDecidedError,
    ApproverIsProposerError,
    ClockSetBackError,
    EndorsementMissingError,
    PersonRefusedError,
    PolicyRefusedError,
    PolicyUnsignedError,
    ProposalChangedError,
)
from federation.errors.control import ProposalUnsignedError
from federation.errors.data import CohortEmptyError
from federation.errors.signed import UnknownSignerError
from federation.evidence.dsse import read_envelope
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.privacy.accountants import epsilon_of
from federation.privacy.events import PoissonSampledGaussian
from federation.privacy.ledger import Budget
from federation.wording import Language
from tests.control.builders import a_proposal
from tests.node.hospital import NOW, RECIPE, Hospital, a_hospital, our_study


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    """Return a hospital that took in thirty invented patients and was asked for our study."""
    folder = tmp_path_factory.mktemp("desk")
    hospital = a_hospital(folder)
    (site,) = phantoms.generate(folder / "dicom", sites=["north"], patients=30, seed=7)
    ingest(hospital.home.data, site.folder, workers=1)
    hospital.propose(our_study())
    return hospital


@pytest.fixture
def hospital(filled: Hospital, tmp_path: Path) -> Iterator[Hospital]:
    shutil.copytree(filled.home.folder, tmp_path / "node")
    yield replace(filled, home=type(filled.home)(tmp_path / "node"))


def said(hospital: Hospital, study: Study | None = None) -> dict[str, Any]:
    path = hospital.desk.decision_file((study or our_study()).id)
    found: dict[str, Any] = json.loads(read_envelope(path.read_bytes()).payload)["predicate"]
    return found


def approve(hospital: Hospital, **changes: Any) -> Path:
    return decide.approve_study(hospital.home, our_study().id, **{"now": NOW, **changes})


def test_an_approval_binds_what_staff_were_shown(hospital: Hospital) -> None:
    approve(hospital)
    found = said(hospital)

    centre = PublicKey.load(hospital.home.centre_evidence_key)
    images = choose(hospital.home.data, RECIPE, cohort=our_study().cohort).images
    assert found["policy"]["number"] == 1
    assert found["centre_keyid"] == centre.keyid
    assert found["instances_digest"] == ApprovedData.of(images).digest
    assert found["endorsed_by"] is None
    assert len(hospital.ask(our_study()).data.contents) == len(images)


def test_what_is_admitted_after_the_approval_is_not_trained_on(
    hospital: Hospital, tmp_path: Path
) -> None:
    approve(hospital)
    before = choose(hospital.home.data, RECIPE).images
    (more,) = phantoms.generate(tmp_path / "more", sites=["north"], patients=12, seed=8)
    ingest(hospital.home.data, more.folder, workers=1)
    now = choose(hospital.home.data, RECIPE).images

    assert len(now) > len(before)
    assert set(hospital.ask(our_study()).data.only(now)) == set(before)


def test_nothing_is_approved_under_a_policy_that_nobody_signed(hospital: Hospital) -> None:
    (hospital.home.folder / "policy.dsse.json").unlink()

    with pytest.raises(PolicyUnsignedError):
        approve(hospital)


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"fewest_patients": 31}, "fewer patients than 31"),
        ({"largest_update_mb": 0.001}, "larger than"),
        ({"centres": '["Another centre"]'}, "may not ask"),
        ({"period_epsilon": 7.5}, "left in this period"),
        ({"cohorts": '["brain"]'}, "cohort"),
    ],
)
def test_a_rule_that_needs_the_node_is_asked_at_the_desk(
    hospital: Hospital, rules: dict[str, Any], reason: str
) -> None:
    hospital.sign_policy(**rules)

    with pytest.raises(PolicyRefusedError, match=reason):
        approve(hospital)


def spend(hospital: Hospital, study: StudyId, *, days_ago: int) -> None:
    """Enter a round of another study into the book, worth about half the budget."""
    LedgerStore(hospital.home.ledger).reserve(
        "chest-xray",
        study=study,
        key=f"{study}.1/1",
        events=(PoissonSampledGaussian(1.0, 0.5, 10),),
        budget=Budget(100.0, 1e-3),
        plan=Budget(100.0, 1e-3),
        accountant=epsilon_of,
        at=(NOW - timedelta(days=days_ago)).isoformat(),
    )


def test_a_year_of_other_studies_leaves_less_for_this_one(hospital: Hospital) -> None:
    spend(hospital, StudyId("earlier"), days_ago=30)

    with pytest.raises(PolicyRefusedError, match="left in this period"):
        approve(hospital)


@pytest.mark.parametrize(("study", "days_ago"), [("earlier", 400), ("cxr-2026", 30)])
def test_what_is_over_or_its_own_does_not_count_against_a_study(
    hospital: Hospital, study: str, days_ago: int
) -> None:
    spend(hospital, StudyId(study), days_ago=days_ago)

    approve(hospital)


def test_a_proposal_other_than_the_one_read_is_not_approved(hospital: Hospital) -> None:
    approve_with = our_study().digest.hex[:12]

    with pytest.raises(ProposalChangedError):
        approve(hospital, digest="0123456789ab")
    approve(hospital, digest=approve_with.upper())


def test_a_proposal_whose_signature_is_gone_or_another_ones_is_not_approved(
    hospital: Hospital,
) -> None:
    path = hospital.home.proposals / f"{our_study().id}.dsse"
    path.write_bytes(a_proposal(hospital.centre, our_study(seed=8)).envelope)
    with pytest.raises(ProposalUnsignedError):
        approve(hospital)

    path.unlink()
    with pytest.raises(ProposalUnsignedError):
        approve(hospital)


def test_a_proposal_of_another_centre_is_not_approved(hospital: Hospital, tmp_path: Path) -> None:
    other = a_hospital(tmp_path / "elsewhere")
    shutil.copy(other.home.centre_evidence_key, hospital.home.centre_evidence_key)

    with pytest.raises(UnknownSignerError):
        approve(hospital)


def test_a_decision_is_made_once(hospital: Hospital) -> None:
    approve(hospital)

    with pytest.raises(AlreadyDecidedError):
        approve(hospital)


def test_a_withdrawn_study_is_not_approved_again_under_the_same_digest(hospital: Hospital) -> None:
    approve(hospital)
    decide.withdraw_study(hospital.home, our_study().id, reason="audit", now=NOW)

    assert said(hospital)["reason"] == "audit"
    with pytest.raises(AlreadyDecidedError):
        approve(hospital)
    hospital.desk.decision_file(our_study().id).unlink()
    with pytest.raises(AlreadyDecidedError):
        approve(hospital)


def test_nothing_is_signed_with_a_clock_set_back(hospital: Hospital) -> None:
    later = NOW + timedelta(hours=1)
    Seen(later.isoformat()).remember(hospital.home.folder / "seen.json")

    with pytest.raises(ClockSetBackError):
        approve(hospital)


def test_a_refusal_carries_its_reason(hospital: Hospital) -> None:
    decide.refuse_study(hospital.home, our_study().id, reason="no capacity", now=NOW)

    assert said(hospital) == {
        "site": "north",
        "study": "cxr-2026",
        "decision": "refused",
        "at": NOW.isoformat(),
        "reason": "no capacity",
    }


# -- two persons -------------------------------------------------------------------------


@pytest.fixture
def careful(hospital: Hospital) -> Hospital:
    hospital.sign_policy(two_person="true")
    People.of(hospital.home).add("wang", now=NOW)
    return hospital


def endorse(hospital: Hospital, by: str = "wang", **changes: Any) -> Path:
    return decide.endorse_study(
        hospital.home, our_study().id, **{"by": by, "now": NOW, **changes}
    )  # fmt: skip


def test_the_officer_alone_is_not_enough(careful: Hospital) -> None:
    with pytest.raises(EndorsementMissingError, match="nobody"):
        approve(careful)
    assert decision_of(careful.desk, our_study(), People.of(careful.home).officer) is None


def test_a_second_person_endorses_and_the_officer_approves(careful: Hospital) -> None:
    endorse(careful)
    approve(careful)

    wang = People.of(careful.home).person("wang")
    assert said(careful)["endorsed_by"]["keyid"] == wang.key.keyid
    assert careful.ask(our_study()).approval.endorsement_digest is not None


def test_the_officer_is_not_the_second_person(careful: Hospital) -> None:
    endorse(careful, by="officer")

    with pytest.raises(EndorsementMissingError):
        approve(careful)


def test_the_officers_key_under_another_name_is_not_a_second_person(careful: Hospital) -> None:
    people = People.of(careful.home)

    with pytest.raises(PersonRefusedError, match="taken"):
        people.add("officer-again", now=NOW, key=people.officer)


def test_an_endorsement_of_another_version_is_not_one_of_this(careful: Hospital) -> None:
    endorse(careful)
    careful.propose(our_study(seed=8))

    with pytest.raises(EndorsementMissingError, match="does not hold"):
        approve(careful)


def test_an_endorsement_of_another_study_is_not_one_of_this(careful: Hospital) -> None:
    other = careful.propose(our_study(id=StudyId("other")))
    decide.endorse_study(careful.home, other.id, by="wang", now=NOW)
    shutil.copy(
        careful.desk.endorsement_file(other.id), careful.desk.endorsement_file(our_study().id)
    )

    with pytest.raises(EndorsementMissingError, match="does not hold"):
        approve(careful)


def test_who_proposed_a_study_neither_endorses_nor_approves_it(careful: Hospital) -> None:
    careful.propose(our_study(), by="wang")
    with pytest.raises(ApproverIsProposerError):
        endorse(careful)

    careful.propose(our_study(), by="officer")
    endorse(careful)
    with pytest.raises(ApproverIsProposerError):
        approve(careful)


def test_the_centres_key_is_nobody_of_the_hospital(careful: Hospital) -> None:
    centre = Signer.load(careful.centre.evidence_key)
    People.of(careful.home).add("chen", now=NOW, key=centre.public_key)

    with pytest.raises(ApproverIsProposerError):
        endorse(careful, by="chen", key=careful.centre.evidence_key)


def test_only_the_version_that_was_read_is_endorsed(careful: Hospital) -> None:
    with pytest.raises(ProposalChangedError):
        endorse(careful, digest="0123456789ab")


# -- what staff read ---------------------------------------------------------------------


def test_every_field_that_may_leave_is_said_in_words() -> None:
    assert {name for keys in REPORT_KEYS.values() for name in keys} <= set(FIELDS)


def test_a_briefing_says_who_what_which_data_what_leaves_and_what_it_costs(
    hospital: Hospital,
) -> None:
    spend(hospital, StudyId("earlier"), days_ago=30)
    found = briefing_of(hospital.home, our_study(), now=NOW, language=Language.EN)
    raw = found.as_json(Language.EN)

    assert raw["asked_by"] == {
        "centre": "Centre",
        "keyid": PublicKey.load(hospital.home.centre_evidence_key).keyid,
        "person": None,
    }
    assert found.leaves[0].bytes == 4 * sum(slot.size for slot in _manifest_slots())
    assert {one.field for one in found.leaves} >= {"update", "patients", "loss", "metrics"}
    assert found.cost is not None
    assert 0 < found.cost.spent < 20
    assert found.cost.left == max(0.0, 8.0 - found.cost.spent - 8.0)
    assert found.days > 0
    assert found.problem is None
    assert isinstance(found.counts["patients"], int | str)


def _manifest_slots() -> Any:
    from tests.node.hospital import MANIFEST

    return MANIFEST.slots


def test_a_loss_that_stays_inside_is_not_said_to_leave(hospital: Hospital) -> None:
    hospital.sign_policy(share_loss="false")
    found = briefing_of(hospital.home, our_study(), now=NOW, language=Language.EN)

    each_round = [one.field for one in found.leaves if one.when.en == "each round"]
    assert "loss" not in each_round


def test_a_proposal_can_be_read_before_the_policy_is_signed(hospital: Hospital) -> None:
    (hospital.home.folder / "policy.dsse.json").unlink()
    found = briefing_of(hospital.home, our_study(), now=NOW, language=Language.EN)

    assert isinstance(found.problem, PolicyUnsignedError)
    assert found.proposer == Proposer(PublicKey.load(hospital.home.centre_evidence_key).keyid)


def test_a_hospital_without_data_is_told_so(tmp_path: Path) -> None:
    empty = a_hospital(tmp_path)
    empty.propose(our_study())
    found = briefing_of(empty.home, our_study(), now=NOW, language=Language.EN)

    assert isinstance(found.problem, CohortEmptyError)


# -- the command line --------------------------------------------------------------------


def cli(application: typer.Typer, *arguments: str) -> Any:
    return CliRunner().invoke(application, list(arguments))


def test_staff_read_the_whole_proposal_in_words(hospital: Hospital) -> None:
    told = cli(decisions.app, "proposals", "--home", str(hospital.home.folder)).output

    wanted = ("Asked by Centre", "Data here:", "What leaves:", "model update", "Privacy:")
    for words in (*wanted, "How long:", "every rule allows it", our_study().digest.hex[:12]):
        assert words in told


def test_staff_read_it_in_chinese(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIFED_LANG", "zh-Hant-TW")
    told = cli(decisions.app, "proposals", "cxr-2026", "--home", str(hospital.home.folder)).output

    for words in ("離院內容", "院內資料", "隱私", "模型更新", "政策"):
        assert words in told


def test_an_explanation_names_every_rule(hospital: Hospital) -> None:
    study = hospital.propose(our_study(privacy=PrivacyPlan(9.0, 1e-3, 1.0)))
    home = ("--home", str(hospital.home.folder))
    told = cli(policy.policy_app, "explain", study.id, *home).output
    raw = json.loads(cli(policy.policy_app, "explain", study.id, *home, "--json").output)

    assert "NO   Largest epsilon of a study: asked 9.0, allowed 8.0" in told
    assert "yes  Purpose" in told
    assert raw["allowed"] is False
    assert len(raw["rules"]) == len(Rule)
    assert {rule["answer"] for rule in raw["rules"]} == {"yes", "no", "does-not-apply"}


def test_the_policy_is_shown_checked_signed_and_printed(hospital: Hospital) -> None:
    home = ("--home", str(hospital.home.folder))
    assert "In force: number 1" in cli(policy.policy_app, "show", *home).output

    hospital.write_policy(largest_epsilon=4.0)
    assert "NOT in force: [TF332]" in cli(policy.policy_app, "show", *home).output
    assert "is a valid policy" in cli(policy.policy_app, "check", *home).output
    assert json.loads(cli(policy.policy_app, "sign", *home, "--json").output)["number"] == 2
    shown = json.loads(cli(policy.policy_app, "show", *home, "--json").output)
    assert (shown["in_force"], shown["largest_epsilon"]) == (True, 4.0)
    assert "largest_epsilon = 8.0" in cli(policy.policy_app, "template").output


def test_a_broken_policy_file_is_not_correct(hospital: Hospital, tmp_path: Path) -> None:
    (tmp_path / "draft.toml").write_text("largest_epsilon = -1\n", encoding="utf-8")
    home = ("--home", str(hospital.home.folder))
    found = cli(policy.policy_app, "check", str(tmp_path / "draft.toml"), *home)

    assert isinstance(found.exception, PlatformError)
    assert "largest_epsilon" in found.exception.say()
    assert "purposes" in found.exception.say()


def test_two_persons_decide_at_the_command_line(hospital: Hospital) -> None:
    home = ("--home", str(hospital.home.folder))
    hospital.sign_policy(two_person="true")
    assert cli(policy.person_app, "add", "wang", *home).exit_code == 0
    listed = json.loads(cli(policy.person_app, "list", *home, "--json").output)
    assert [person["person"] for person in listed] == ["officer", "wang"]

    assert cli(decisions.app, "endorse", "cxr-2026", "--by", "wang", *home).exit_code == 0
    assert cli(decisions.app, "approve", "cxr-2026", *home).exit_code == 0
    officer = People.of(hospital.home).officer
    assert decision_of(hospital.desk, our_study(), officer) is Decision.APPROVED

    assert cli(policy.person_app, "remove", "wang", *home).exit_code == 0
    assert cli(decisions.app, "withdraw", "cxr-2026", "--reason", "audit", *home).exit_code == 0
