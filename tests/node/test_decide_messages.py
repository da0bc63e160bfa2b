"""Every message stands on a signed policy and a signed approval of exactly this, or is refused."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clients import audit_log
from clients.approvals import approve, withdraw
from clients.approved_data import ApprovedData
from clients.decide import withdraw_study
from clients.persons import People
from clients.policy import seen_file, sign_policy
from clients.policy.signed import signature_file
from federation import provenance
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.domain.study import PrivacyPlan
from federation.domain.update import TensorSlot, UpdateManifest
from federation.errors import PlatformError
from federation.errors.approval import (
    ApprovalExpiredError,
    ApprovalReplayedError,
    ApprovalSignerError,
    ApprovalUnreadableError,
    ApprovalWithdrawnError,
    ApprovedDataMissingError,
    ApprovedThingChangedError,
    ClockSetBackError,
    EndorsementMissingError,
    NotApprovedError,
    OutsideHoursError,
    PolicyChangedError,
    PolicyExpiredError,
    PolicyRefusedError,
    PolicyRolledBackError,
    PolicyUnsignedError,
    RunLimitError,
)
from federation.evidence.signing import Signer, new_key
from tests.control.builders import a_centre
from tests.node.hospital import (
    MANIFEST,
    NOW,
    PICTURES,
    RECIPE,
    Hospital,
    Picture,
    a_hospital,
    our_study,
)

OPEN = {"without_privacy": "true", "runs_without_privacy": 2}


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    """Return a hospital that approved our study."""
    found = a_hospital(tmp_path)
    found.propose(our_study())
    found.approve(our_study())
    return found


def test_an_approved_study_stands(hospital: Hospital) -> None:
    found = hospital.ask(our_study())

    assert found.study == our_study()
    assert found.recipe == RECIPE
    assert found.data.only(PICTURES) == list(PICTURES)
    found.check_update(MANIFEST)


def drop_the_signature(hospital: Hospital) -> None:
    signature_file(hospital.home).unlink()


def weaken_the_policy(hospital: Hospital) -> None:
    hospital.write_policy(largest_epsilon=90.0)


def put_an_old_policy_back(hospital: Hospital) -> None:
    old = (hospital.home.policy.read_bytes(), signature_file(hospital.home).read_bytes())
    hospital.sign_policy(share_loss="false")
    hospital.ask(our_study())
    hospital.home.policy.write_bytes(old[0])
    signature_file(hospital.home).write_bytes(old[1])


def put_an_old_policy_back_and_forget(hospital: Hospital) -> None:
    """As somebody who can write the whole home; the signed approval still knows better."""
    hospital.desk.decision_file(our_study().id).unlink()
    old = (hospital.home.policy.read_bytes(), signature_file(hospital.home).read_bytes())
    hospital.sign_policy(share_loss="false")
    hospital.approve(our_study())
    hospital.home.policy.write_bytes(old[0])
    signature_file(hospital.home).write_bytes(old[1])
    seen_file(hospital.home).unlink()


def make_the_policy_stricter(hospital: Hospital) -> None:
    hospital.sign_policy(largest_epsilon=1.0)


def shut_the_centre_out(hospital: Hospital) -> None:
    hospital.sign_policy(centres='["Another centre"]')


def edit_the_decision(hospital: Hospital) -> None:
    path = hospital.desk.decision_file(our_study().id)
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)


def refuse_to_read_a_huge_decision(hospital: Hospital) -> None:
    hospital.desk.decision_file(our_study().id).write_bytes(b"x" * (2**20 + 1))


def sign_with_the_nodes_key(hospital: Hospital) -> None:
    hospital.desk.decision_file(our_study().id).unlink()
    approve(
        hospital.desk,
        our_study(),
        policy=hospital_policy(hospital),
        recipe=RECIPE,
        manifest_digest=MANIFEST.digest,
        dataset_digest=Sha256.of(b"data"),
        officer=Signer.load(hospital.home.node_key),
        now=NOW,
    )


def hospital_policy(hospital: Hospital) -> Any:
    from clients.policy import policy_in_force

    return policy_in_force(hospital.home, now=NOW).policy


def put_the_decision_of_another_study(hospital: Hospital) -> None:
    other = hospital.propose(our_study(id=StudyId("other")))
    hospital.approve(other)
    shutil.copy(
        hospital.desk.decision_file(other.id), hospital.desk.decision_file(our_study().id)
    )  # fmt: skip


def pass_the_policys_signature_off_as_a_decision(hospital: Hospital) -> None:
    shutil.copy(signature_file(hospital.home), hospital.desk.decision_file(our_study().id))


def take_the_approval_of_another_site(hospital: Hospital) -> None:
    settings = hospital.home.settings()
    hospital.home.write_settings(
        type(settings)(SiteId("south"), settings.name, settings.centre, settings.address)
    )
    sign_policy(hospital.home, now=NOW)


def take_the_approval_for_another_centre(hospital: Hospital) -> None:
    other = a_centre(hospital.centre.folder.parent / "other")
    shutil.copy(other.evidence_public_key, hospital.home.centre_evidence_key)


def take_the_approval_back(hospital: Hospital) -> None:
    withdraw(
        hospital.desk,
        our_study(),
        reason="audit",
        officer=Signer.load(hospital.home.officer_key),
        now=NOW,
    )


def put_an_approval_back_that_was_withdrawn(hospital: Hospital) -> None:
    path = hospital.desk.decision_file(our_study().id)
    approved = path.read_bytes()
    withdraw_study(hospital.home, our_study().id, reason="audit", now=NOW)
    path.write_bytes(approved)


def put_an_approval_back_that_a_message_saw_withdrawn(hospital: Hospital) -> None:
    path = hospital.desk.decision_file(our_study().id)
    approved = path.read_bytes()
    take_the_approval_back(hospital)
    with pytest.raises(ApprovalWithdrawnError):
        hospital.ask(our_study())
    path.write_bytes(approved)


def lose_the_list_of_images(hospital: Hospital) -> None:
    hospital.desk.instances_file(our_study().id).unlink()


def add_an_image_to_the_list(hospital: Hospital) -> None:
    more = (*PICTURES, Picture("f" * 64))
    ApprovedData.of(more).write(hospital.desk.instances_file(our_study().id))


def drop_the_decision(hospital: Hospital) -> None:
    hospital.desk.decision_file(our_study().id).unlink()


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (drop_the_signature, PolicyUnsignedError),
        (weaken_the_policy, PolicyChangedError),
        (put_an_old_policy_back, PolicyRolledBackError),
        (put_an_old_policy_back_and_forget, PolicyRolledBackError),
        (make_the_policy_stricter, PolicyRefusedError),
        (shut_the_centre_out, PolicyRefusedError),
        (drop_the_decision, NotApprovedError),
        (edit_the_decision, ApprovalUnreadableError),
        (refuse_to_read_a_huge_decision, ApprovalUnreadableError),
        (sign_with_the_nodes_key, ApprovalSignerError),
        (put_the_decision_of_another_study, ApprovalReplayedError),
        (pass_the_policys_signature_off_as_a_decision, ApprovalUnreadableError),
        (take_the_approval_of_another_site, ApprovalReplayedError),
        (take_the_approval_for_another_centre, ApprovalReplayedError),
        (take_the_approval_back, ApprovalWithdrawnError),
        (put_an_approval_back_that_was_withdrawn, ApprovalWithdrawnError),
        (put_an_approval_back_that_a_message_saw_withdrawn, ApprovalWithdrawnError),
        (lose_the_list_of_images, ApprovedDataMissingError),
        (add_an_image_to_the_list, ApprovedDataMissingError),
    ],
)
def test_what_was_tampered_with_is_refused_with_its_own_code(
    hospital: Hospital, spoil: Callable[[Hospital], None], error: type[PlatformError]
) -> None:
    hospital.ask(our_study())
    spoil(hospital)

    with pytest.raises(error) as refused:
        hospital.ask(our_study())
    assert refused.value.code == error.code


def test_a_new_version_of_the_study_is_not_covered(hospital: Hospital) -> None:
    changed = hospital.propose(our_study(privacy=PrivacyPlan(7.0, 1e-3, 1.0)))

    with pytest.raises(ApprovalReplayedError, match="version"):
        hospital.ask(changed)


def test_an_approval_ends_with_its_study(tmp_path: Path) -> None:
    hospital = a_hospital(tmp_path)
    study = hospital.propose(our_study(expires=(NOW + timedelta(days=1)).isoformat()))
    hospital.approve(study)
    hospital.ask(study, now=NOW + timedelta(hours=23))

    with pytest.raises(ApprovalExpiredError):
        hospital.ask(study, now=NOW + timedelta(days=1))


def test_a_policy_that_ran_out_ends_every_study(hospital: Hospital) -> None:
    with pytest.raises(PolicyExpiredError):
        hospital.ask(our_study(), now=NOW + timedelta(days=366))


def test_other_software_is_not_covered(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "code_digest", lambda: Sha256.of(b"patched"))

    with pytest.raises(ApprovedThingChangedError, match="software"):
        hospital.ask(our_study())


def test_an_update_of_another_shape_is_not_covered(hospital: Hospital) -> None:
    wider = UpdateManifest((*MANIFEST.slots, TensorSlot("payload", (1,))))

    with pytest.raises(ApprovedThingChangedError, match="shape"):
        hospital.ask(our_study()).check_update(wider)


def test_an_update_larger_than_the_policy_allows_is_not_built(hospital: Hospital) -> None:
    hospital.sign_policy(largest_update_mb=0.001)

    with pytest.raises(PolicyRefusedError, match="larger"):
        hospital.ask(our_study()).check_update(MANIFEST)


def test_images_admitted_later_are_left_out_and_those_who_left_are_no_matter(
    hospital: Hospital,
) -> None:
    later = Picture("a" * 64)

    assert hospital.ask(our_study()).data.only([later, *PICTURES[1:]]) == list(PICTURES[1:])


# -- the clock ---------------------------------------------------------------------------


def test_a_clock_set_back_behind_an_answered_message_is_refused(hospital: Hospital) -> None:
    hospital.ask(our_study(), now=NOW + timedelta(hours=2))

    hospital.ask(our_study(), now=NOW + timedelta(hours=1, minutes=56))
    with pytest.raises(ClockSetBackError, match="60 minutes"):
        hospital.ask(our_study(), now=NOW + timedelta(hours=1))


def test_a_clock_set_back_stays_refused_after_a_refusal_was_recorded(hospital: Hospital) -> None:
    hospital.ask(our_study(), now=NOW + timedelta(hours=2))
    event = AuditEvent(AuditKind.UPDATE_WITHHELD, "executor", "cxr-2026.1/1", NOW)
    audit_log.append(hospital.home.audit_log, event)

    for _ in range(2):
        with pytest.raises(ClockSetBackError):
            hospital.ask(our_study())


def test_signed_times_and_the_audit_log_stand_against_a_deleted_memory(hospital: Hospital) -> None:
    seen_file(hospital.home).unlink()
    with pytest.raises(ClockSetBackError):
        hospital.ask(our_study(), now=NOW - timedelta(minutes=6))

    later = AuditEvent(AuditKind.DATA_INGESTED, "staff", "data", NOW + timedelta(hours=3))
    audit_log.append(hospital.home.audit_log, later)
    with pytest.raises(ClockSetBackError):
        hospital.ask(our_study())


def test_the_officer_can_put_a_clock_right_that_was_ahead(hospital: Hospital) -> None:
    hospital.ask(our_study(), now=NOW + timedelta(days=30))
    with pytest.raises(ClockSetBackError):
        hospital.ask(our_study())

    sign_policy(hospital.home, now=NOW, resets_clock=True)

    hospital.ask(our_study())
    with pytest.raises(ClockSetBackError):
        hospital.ask(our_study(), now=NOW - timedelta(minutes=6))


# -- hours, runs and rounds --------------------------------------------------------------

NOON = datetime(2036, 1, 5, 12, tzinfo=UTC)  # a Saturday evening in Taipei


@pytest.fixture
def night_hospital(tmp_path: Path) -> Hospital:
    found = a_hospital(tmp_path, valid_days=3650, hours='["mon-fri 20:00-06:00"]')
    found.propose(our_study(expires="2036-12-01T00:00:00+00:00"))
    found.approve(our_study(expires="2036-12-01T00:00:00+00:00"))
    return found


def test_a_message_outside_the_hours_is_refused_and_told_when(night_hospital: Hospital) -> None:
    study = our_study(expires="2036-12-01T00:00:00+00:00")

    with pytest.raises(OutsideHoursError, match="2036-01-07 20:00"):
        night_hospital.ask(study, now=NOON)
    night_hospital.ask(study, now=NOON + timedelta(days=2, hours=1))


def test_what_was_begun_in_time_may_leave_after_the_hours(night_hospital: Hospital) -> None:
    study = our_study(expires="2036-12-01T00:00:00+00:00")

    night_hospital.ask(study, now=NOON, is_leaving=True)


@pytest.mark.parametrize("changes", [{"round": 0}, {"round": 3}])
def test_a_round_that_is_not_of_the_study_is_refused(
    hospital: Hospital, changes: dict[str, Any]
) -> None:
    with pytest.raises(NotApprovedError, match="round"):
        hospital.ask(our_study(), **changes)


def test_a_run_of_another_study_is_refused(hospital: Hospital) -> None:
    from clients.standing import Asked, standing_of

    study = our_study()
    asked = Asked(study.id, study.digest, RunId("other.1"), 1)

    with pytest.raises(NotApprovedError, match=r"other\.1"):
        standing_of(hospital.home, asked, now=NOW)


def test_a_study_without_privacy_starts_as_often_as_the_policy_says(tmp_path: Path) -> None:
    hospital = a_hospital(tmp_path, **OPEN)
    study = hospital.propose(our_study(privacy=None))
    hospital.approve(study)
    hospital.ask(study, run=2)

    with pytest.raises(RunLimitError):
        hospital.ask(study, run=3)


def test_a_private_study_is_limited_by_its_budget_and_not_by_runs(hospital: Hospital) -> None:
    hospital.ask(our_study(), run=400)


# -- two persons -------------------------------------------------------------------------


@pytest.fixture
def careful(tmp_path: Path) -> Hospital:
    """Return a hospital with the two-person rule that endorsed and approved our study."""
    found = a_hospital(tmp_path, two_person="true")
    found.propose(our_study())
    found.endorse(our_study())
    found.approve(our_study())
    return found


def test_two_persons_are_enough(careful: Hospital) -> None:
    said = json.loads(_payload(careful))

    careful.ask(our_study())
    assert said["predicate"]["endorsed_by"]["person"] == "wang"


def test_a_rule_made_later_asks_for_the_second_person_too(hospital: Hospital) -> None:
    hospital.sign_policy(two_person="true")

    with pytest.raises(EndorsementMissingError):
        hospital.ask(our_study())


def test_an_endorsement_that_disappears_ends_the_approval(careful: Hospital) -> None:
    careful.desk.endorsement_file(our_study().id).unlink()

    with pytest.raises(EndorsementMissingError, match="nobody"):
        careful.ask(our_study())


def test_an_endorsement_swapped_for_another_persons_ends_the_approval(careful: Hospital) -> None:
    careful.endorse(our_study(), "chen")

    with pytest.raises(EndorsementMissingError, match="not the one"):
        careful.ask(our_study())


def test_a_person_who_was_removed_endorses_nothing_any_more(careful: Hospital) -> None:
    People.of(careful.home).remove("wang", now=NOW)

    with pytest.raises(EndorsementMissingError, match="may not sign"):
        careful.ask(our_study())


def test_a_person_whom_the_officer_did_not_sign_endorses_nothing(careful: Hospital) -> None:
    folder = careful.home.folder / "people"
    (folder / "wang.pub").write_bytes(new_key(folder.parent / "eve.key").public_key.pem)

    with pytest.raises(EndorsementMissingError):
        careful.ask(our_study())


def _payload(hospital: Hospital) -> bytes:
    from federation.evidence.dsse import read_envelope

    return read_envelope(hospital.desk.decision_file(our_study().id).read_bytes()).payload


def test_the_names_of_the_images_do_not_leave_with_the_decision(hospital: Hospital) -> None:
    said = _payload(hospital)

    assert not [picture for picture in PICTURES if picture.sha256.encode() in said]
    assert hospital.desk.instances_file(our_study().id).stat().st_mode & 0o777 == 0o600
