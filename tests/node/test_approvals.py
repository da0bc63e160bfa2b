"""The hospital decides: what its signed approval does not cover is refused."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clients import approvals
from clients.approvals import Decision, Desk, Terms
from clients.endorsements import Proposer
from clients.persons import Person
from clients.policy import TEMPLATE, Policy, read_policy
from federation import provenance
from federation.domain.ids import Sha256, SiteId, StudyId
from federation.domain.study import PrivacyPlan, Purpose, Study
from federation.errors.approval import (
    AlreadyDecidedError,
    ApprovalReplayedError,
    ApproverIsProposerError,
    EndorsementMissingError,
    NotApprovedError,
    PolicyRefusedError,
    PolicyUnreadableError,
    ProposalMissingError,
)
from federation.errors.core import UnreadableRecordError
from federation.evidence.signing import Signer, new_key
from federation.wire.study import study_as_json
from tests.builders import a_recipe, a_study

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def officer(tmp_path: Path) -> Signer:
    return new_key(tmp_path / "officer.key")


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    (tmp_path / "policy.toml").write_text(TEMPLATE, encoding="utf-8")
    return read_policy(tmp_path / "policy.toml")


def a_desk(folder: Path, study: Study) -> Desk:
    for name in ("proposals", "decisions"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "proposals" / f"{study.id}.json").write_text(json.dumps(study_as_json(study)))
    return Desk(folder / "proposals", folder / "decisions", SiteId("north"))


def approve(desk: Desk, study: Study, policy: Policy, officer: Signer) -> Path:
    return approvals.approve(
        desk,
        study,
        policy=policy,
        recipe=a_recipe(),
        manifest_digest=Sha256.of(b"manifest"),
        dataset_digest=Sha256.of(b"data"),
        officer=officer,
        now=NOW,
    )


def check(desk: Desk, approved: Study, officer: Signer, **changes: Any) -> Study:
    asked: dict[str, Any] = {
        "study": approved.id,
        "study_digest": approved.digest,
        "recipe_digest_of": lambda name: a_recipe().digest,
        "officer": officer.public_key,
        "now": NOW,
    }
    return approvals.check_approval(desk, **{**asked, **changes})


def test_an_approved_study_may_run(tmp_path: Path, policy: Policy, officer: Signer) -> None:
    desk = a_desk(tmp_path, a_study())
    approve(desk, a_study(), policy, officer)

    assert check(desk, a_study(), officer) == a_study()
    assert approvals.decision_of(desk, a_study(), officer.public_key) is Decision.APPROVED


def test_without_a_decision_nothing_runs(tmp_path: Path, officer: Signer) -> None:
    with pytest.raises(NotApprovedError, match="nobody decided"):
        check(a_desk(tmp_path, a_study()), a_study(), officer)


def test_a_study_nobody_proposed_does_not_run(tmp_path: Path, officer: Signer) -> None:
    with pytest.raises(ProposalMissingError):
        check(a_desk(tmp_path, a_study()), a_study(), officer, study=StudyId("other"))


def test_a_refused_study_does_not_run(tmp_path: Path, officer: Signer) -> None:
    desk = a_desk(tmp_path, a_study())
    approvals.refuse(desk, a_study(), reason="no capacity", officer=officer, now=NOW)

    with pytest.raises(NotApprovedError, match="refused"):
        check(desk, a_study(), officer)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"study_digest": Sha256.of(b"changed")}, "another version"),
        ({"recipe_digest_of": lambda name: Sha256.of(b"new")}, "recipe changed"),
        ({"now": datetime(2037, 1, 1, tzinfo=UTC)}, "expired"),
    ],
)
def test_what_the_approval_does_not_cover_is_refused(
    tmp_path: Path, policy: Policy, officer: Signer, changes: dict[str, Any], why: str
) -> None:
    desk = a_desk(tmp_path, a_study())
    approve(desk, a_study(), policy, officer)

    with pytest.raises(NotApprovedError, match=why):
        check(desk, a_study(), officer, **changes)


def test_a_changed_installation_ends_the_approval(
    tmp_path: Path, policy: Policy, officer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = a_desk(tmp_path, a_study())
    approve(desk, a_study(), policy, officer)
    monkeypatch.setattr(provenance, "code_digest", lambda: Sha256.of(b"patched"))

    with pytest.raises(NotApprovedError, match="software changed"):
        check(desk, a_study(), officer)


def test_a_study_changed_after_the_approval_does_not_run(
    tmp_path: Path, policy: Policy, officer: Signer
) -> None:
    desk = a_desk(tmp_path, a_study())
    approve(desk, a_study(), policy, officer)
    changed = a_study(privacy=PrivacyPlan(epsilon=80.0, delta=1e-3, clip_norm=1.0))
    a_desk(tmp_path, changed)

    with pytest.raises(NotApprovedError, match="is about another version"):
        check(desk, changed, officer)


def test_an_approval_forged_with_another_key_does_not_count(
    tmp_path: Path, policy: Policy, officer: Signer
) -> None:
    desk = a_desk(tmp_path, a_study())
    approve(desk, a_study(), policy, new_key(tmp_path / "forger.key"))

    with pytest.raises(NotApprovedError, match="does not verify"):
        check(desk, a_study(), officer)


def test_a_proposal_whose_text_and_digest_disagree_is_not_shown(tmp_path: Path) -> None:
    desk = a_desk(tmp_path, a_study())
    path = desk.proposals / "cxr-2026.json"
    path.write_text(path.read_text().replace('"epsilon": 8.0', '"epsilon": 0.1'))

    with pytest.raises(UnreadableRecordError, match="digest"):
        desk.proposal(StudyId("cxr-2026"))


def test_a_decision_is_not_overwritten(tmp_path: Path, policy: Policy, officer: Signer) -> None:
    desk = a_desk(tmp_path, a_study())
    approve(desk, a_study(), policy, officer)

    with pytest.raises(AlreadyDecidedError):
        approvals.refuse(desk, a_study(), reason="changed my mind", officer=officer, now=NOW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"privacy": PrivacyPlan(epsilon=9.0, delta=1e-3, clip_norm=1.0)}, "epsilon 9.0"),
        ({"privacy": PrivacyPlan(epsilon=1.0, delta=1e-2, clip_norm=1.0)}, "delta 0.01"),
        ({"privacy": None}, "without differential privacy"),
        ({"quorum": 1}, "quorum of 1"),
        ({"expires": "2020-01-01T00:00:00+00:00"}, "expired"),
        ({"recipe_digest": Sha256.of(b"other")}, "differs from the one installed"),
        ({"sites": (SiteId("south"), SiteId("centre"))}, "not among its sites"),
    ],
)
def test_the_policy_refuses_in_words(
    tmp_path: Path, policy: Policy, officer: Signer, changes: dict[str, Any], reason: str
) -> None:
    study = a_study(**changes)

    with pytest.raises(PolicyRefusedError, match=reason):
        approve(a_desk(tmp_path, study), study, policy, officer)


def test_with_the_two_person_rule_the_officer_signs_nothing_alone(
    tmp_path: Path, policy: Policy, officer: Signer
) -> None:
    careful = policy.model_copy(update={"two_person": True})

    with pytest.raises(EndorsementMissingError):
        approve(a_desk(tmp_path, a_study()), a_study(), careful, officer)


def test_the_officers_key_under_another_name_is_not_a_second_person(
    tmp_path: Path, policy: Policy, officer: Signer
) -> None:
    again = Person("somebody", officer.public_key)
    terms = Terms(
        proposer=Proposer(Sha256.of(b"centre")),
        policy_number=1,
        policy_digest=Sha256.of(b"policy"),
        instances_digest=Sha256.of(b"images"),
        endorsement=(again, Sha256.of(b"endorsement")),
    )

    with pytest.raises(ApproverIsProposerError, match="other person"):
        approvals.approve(
            a_desk(tmp_path, a_study()),
            a_study(),
            policy=policy,
            recipe=a_recipe(),
            manifest_digest=Sha256.of(b"manifest"),
            dataset_digest=Sha256.of(b"data"),
            officer=officer,
            now=NOW,
            terms=terms,
        )


def test_a_decision_on_another_study_says_so(
    tmp_path: Path, policy: Policy, officer: Signer
) -> None:
    other = a_study(id=StudyId("other"))
    desk = a_desk(tmp_path, other)
    path = approve(desk, other, policy, officer)
    a_desk(tmp_path, a_study())
    path.rename(desk.decision_file(a_study().id))

    with pytest.raises(ApprovalReplayedError, match="another study"):
        check(desk, a_study(), officer)


def test_a_purpose_or_recipe_off_the_list_is_refused(tmp_path: Path, officer: Signer) -> None:
    narrow = TEMPLATE.replace('"public-health", "medical-care"', '"public-health"')
    (tmp_path / "policy.toml").write_text(narrow.replace('"*"', '"hippocampus-seg"'))
    study = a_study(purpose=Purpose.MEDICAL_CARE)

    with pytest.raises(PolicyRefusedError, match=r"purpose medical-care.*recipe cxr"):
        approve(a_desk(tmp_path, study), study, read_policy(tmp_path / "policy.toml"), officer)


@pytest.mark.parametrize(
    "text",
    [
        "not toml at all [",
        TEMPLATE + "\nsurprise = 1\n",
        TEMPLATE.replace("largest_epsilon = 8.0", "largest_epsilon = nan"),
        TEMPLATE.replace("fewest_patients = 20", ""),
    ],
)
def test_an_unreadable_policy_allows_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "policy.toml").write_text(text, encoding="utf-8")

    with pytest.raises(PolicyUnreadableError):
        read_policy(tmp_path / "policy.toml")


def test_a_missing_policy_allows_nothing(tmp_path: Path) -> None:
    with pytest.raises(PolicyUnreadableError, match="missing"):
        read_policy(tmp_path / "policy.toml")


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "harmless\x1b[2K\x1b[1A"},
        {"title": "two\nlines"},
        {"title": "turned \u202e round"},
        {"title": "long" * 60},
        {"cohort": "chest\r"},
        {"expires": "2036-01-01T00:00:00"},
        {"expires": "some day"},
        {"privacy": PrivacyPlan(epsilon=8.0, delta=1e-3, clip_norm=1e-40)},
        {"privacy": PrivacyPlan(epsilon=8.0, delta=1e-3, clip_norm=1e30)},
    ],
)
def test_a_proposal_that_a_terminal_or_a_float_would_twist_is_not_shown(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    study = a_study(**changes)

    with pytest.raises(UnreadableRecordError):
        a_desk(tmp_path, study).proposal(study.id)


def test_a_withdrawn_approval_ends_before_the_next_message(
    tmp_path: Path, policy: Policy, officer: Signer
) -> None:
    desk = a_desk(tmp_path, a_study())
    approve(desk, a_study(), policy, officer)
    approvals.withdraw(desk, a_study(), reason="audit", officer=officer, now=NOW)

    with pytest.raises(NotApprovedError, match="withdrawn"):
        check(desk, a_study(), officer)


def test_only_an_approval_can_be_withdrawn(tmp_path: Path, officer: Signer) -> None:
    desk = a_desk(tmp_path, a_study())
    approvals.refuse(desk, a_study(), reason="no", officer=officer, now=NOW)

    with pytest.raises(NotApprovedError, match="no approval to withdraw"):
        approvals.withdraw(desk, a_study(), reason="x", officer=officer, now=NOW)
