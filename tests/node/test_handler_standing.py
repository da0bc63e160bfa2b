"""A message is answered only while everything it stands on stands; what leaves tells no one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clients import audit_log, client_app, gate
from clients.client_app import HospitalHandler
from clients.data import phantoms
from clients.data.cohort.choice import choose
from clients.data.cohort.load import Permitted
from clients.data.intake.ingest import ingest
from clients.data.intake.rules import IntakeRules
from clients.data.people.lineage import Lineage
from clients.decide import withdraw_study
from clients.gate import digest_of_array, digest_of_reply
from clients.home import NodeHome
from clients.local_plan import local_plan
from clients.policy.signed import signature_file
from clients.private_training import PatientLevelDpSgd, train_privately
from clients.replies import KeptReplies
from federation.domain.audit import AuditEvent, AuditKind
from federation.errors import PlatformError
from federation.errors.approval import (
    ApprovalWithdrawnError,
    ApprovedDataMissingError,
    ApprovedThingChangedError,
    ClockSetBackError,
    NotApprovedError,
    OutsideHoursError,
    PolicyChangedError,
    PolicyPatientsError,
    PolicyRefusedError,
    PolicyUnsignedError,
)
from federation.errors.ledger import BudgetExceededError, GateRefusedError, RoundAnsweredError
from federation.evidence.signing import new_key
from federation.privacy.ledger import EntryKind
from federation.recipes import flat
from federation.wire.messages import FlatModel
from tests.builders import a_manifest
from tests.node.handling import (
    IMAGES,
    PATIENT,
    PLAN,
    RECIPE,
    a_home,
    a_model,
    a_task,
    approve,
    change_policy,
    details,
    hold,
    our_study,
    states,
    write_policy,
)
from tests.training.arrays import SeededRandom, a_cohort, a_network


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NodeHome:
    """Return a hospital with forty patients that approved the study."""
    node = a_home(tmp_path)
    hold(monkeypatch, a_cohort(patients=40, images_each=1, side=64))
    return node


def edit_the_policy(home: NodeHome) -> None:
    write_policy(home, "largest_epsilon = 8.0", "largest_epsilon = 90.0")


def unsign_the_policy(home: NodeHome) -> None:
    signature_file(home).unlink()


def withdraw(home: NodeHome) -> None:
    withdraw_study(home, our_study().id, reason="enough", now=datetime.now(UTC))


def lose_the_decision(home: NodeHome) -> None:
    (home.decisions / f"{our_study().id}.dsse.json").unlink()


def lengthen_the_list(home: NodeHome) -> None:
    with (home.decisions / f"{our_study().id}.instances").open("a", encoding="ascii") as file:
        file.write(f"{99:064x}\n")


def close_for_the_day(home: NodeHome) -> None:
    day = (datetime.now(UTC) + timedelta(days=3)).strftime("%a").lower()
    change_policy(home, "hours = []", f'hours = ["{day} 10:00-11:00"]')


def run_ahead(home: NodeHome) -> None:
    """Write into the log as if an hour had passed, so that now is before it."""
    later = datetime.now(UTC) + timedelta(hours=1)
    audit_log.append(home.audit_log, AuditEvent(AuditKind.DATA_INGESTED, "staff", "x", later))


def belong_to_another_centre(home: NodeHome) -> None:
    home.centre_evidence_key.write_bytes(new_key(home.run / "other.key").public_key.pem)


def refuse_large_updates(home: NodeHome) -> None:
    change_policy(home, "largest_update_mb = 500.0", "largest_update_mb = 0.001")


@pytest.mark.parametrize(
    ("happened", "refusal"),
    [
        (edit_the_policy, PolicyChangedError),
        (unsign_the_policy, PolicyUnsignedError),
        (withdraw, ApprovalWithdrawnError),
        (lose_the_decision, NotApprovedError),
        (lengthen_the_list, ApprovedDataMissingError),
        (close_for_the_day, OutsideHoursError),
        (run_ahead, ClockSetBackError),
        (belong_to_another_centre, NotApprovedError),
        (refuse_large_updates, PolicyRefusedError),
    ],
)
def test_what_happened_since_the_approval_ends_it_before_the_next_message(
    home: NodeHome, happened: Callable[[NodeHome], None], refusal: type[PlatformError]
) -> None:
    handler = HospitalHandler(home)
    handler(a_task())
    happened(home)

    with pytest.raises(refusal):
        handler(a_task(round=2))

    assert states(home).count(EntryKind.RESERVED) == 1
    assert details(home, AuditKind.UPDATE_WITHHELD)[-1]["code"].startswith(refusal.code[:3])


def test_a_withdrawn_approval_keeps_back_even_the_reply_that_was_kept(home: NodeHome) -> None:
    HospitalHandler(home)(a_task())
    withdraw(home)

    with pytest.raises(ApprovalWithdrawnError):
        HospitalHandler(home)(a_task())


def test_a_withdrawal_while_the_round_trains_keeps_the_update_inside(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def then_withdraw(*given: object, **named: object) -> object:
        found = train_privately(*given, **named)
        withdraw(home)
        return found

    train_privately = client_app.train_privately
    monkeypatch.setattr(client_app, "train_privately", then_withdraw)

    with pytest.raises(ApprovalWithdrawnError):
        HospitalHandler(home)(a_task())

    assert not KeptReplies(home.replies).has_answered(a_task())


def test_an_update_of_another_shape_than_the_approved_is_not_built(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flat, "manifest_of", lambda model: a_manifest(4))

    with pytest.raises(ApprovedThingChangedError):
        HospitalHandler(home)(a_task())


def test_images_admitted_after_the_approval_are_left_out(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = replace(IMAGES[0], instance="1.99", sha256=f"{99:064x}")
    asked: list[Permitted] = []
    load_cohort = client_app.load_cohort

    def load(*given: Any, **named: Any) -> Any:
        asked.append(named["permitted"])
        return load_cohort(*given, **named)

    monkeypatch.setattr(client_app, "load_cohort", load)
    HospitalHandler(home)(a_task())

    (permitted,) = asked
    assert permitted((*IMAGES, later)) == list(IMAGES)


def test_a_round_trains_on_the_approved_images_and_not_on_those_admitted_later(
    tmp_path: Path,
) -> None:
    (tmp_path / "node").mkdir()
    hospital, study = a_home(tmp_path / "node"), our_study(id="later")
    sites = phantoms.generate(tmp_path / "dicom", sites=["old", "new"], patients=40, seed=7)
    rules = IntakeRules(modalities=("CR", "DX"))
    ingest(hospital.data, sites[0].folder, rules=rules, workers=1)
    approve(hospital, study)
    first = HospitalHandler(hospital)(a_task(study))

    ingest(hospital.data, sites[1].folder, rules=rules, workers=1)
    second = HospitalHandler(hospital)(a_task(study, round=2))

    assert len(choose(hospital.data, RECIPE).images) > 40
    assert second.report["dataset_digest"] == first.report["dataset_digest"]


def test_an_image_that_is_gone_since_the_approval_stops_nothing(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(monkeypatch, a_cohort(patients=39, images_each=1, side=64), IMAGES[1:])

    assert HospitalHandler(home)(a_task()).update is not None


def test_who_leaves_between_two_rounds_changes_no_number_that_leaves(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(monkeypatch, a_cohort(patients=40, images_each=1, side=64))
    first = HospitalHandler(home)(a_task()).report
    hold(monkeypatch, a_cohort(patients=39, images_each=1, side=64), IMAGES[1:])
    second = HospitalHandler(home)(a_task(round=2)).report

    told = ("patients", "sample_rate", "steps", "noise_multiplier")
    assert [second[key] for key in told] == [first[key] for key in told]


@pytest.mark.parametrize("patients", [40, 47])
def test_the_rate_and_the_divisor_tell_only_whole_tens_of_patients(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch, patients: int
) -> None:
    hold(monkeypatch, a_cohort(patients=patients, images_each=1, side=64))
    declared: list[object] = []

    def note(*given: object, **named: object) -> object:
        declared.append(named["patients"])
        return train_privately(*given, **named)

    train_privately = client_app.train_privately
    monkeypatch.setattr(client_app, "train_privately", note)
    report = HospitalHandler(home)(a_task()).report

    assert declared == [40]
    assert (report["patients"], report["sample_rate"]) == (40, PLAN.batch_size / 40)


def test_the_noisy_sum_is_divided_by_the_declared_number_and_not_by_the_true_one() -> None:
    mechanism = PatientLevelDpSgd(sample_rate=0.5, steps=1, noise_multiplier=1.0, clip_norm=1.0)
    plan = local_plan(PLAN, RECIPE, round_number=1)

    def update(patients: int | None) -> FlatModel:
        given = {"noise": SeededRandom(1), "sampler": SeededRandom(2), "patients": patients}
        cohort = a_cohort(patients=19)
        return train_privately(
            a_network(),
            cohort,
            plan=plan,
            mechanism=mechanism,
            **given,  # type: ignore[arg-type]
        ).update

    assert update(10) == pytest.approx(2 * update(20), rel=1e-3, abs=1e-6)
    assert update(19) == pytest.approx(update(None))


def test_fewer_patients_than_the_policy_wants_are_not_trained_on(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(monkeypatch, a_cohort(patients=19, images_each=1, side=64), IMAGES[:19])

    with pytest.raises(PolicyPatientsError):
        HospitalHandler(home)(a_task())


def test_a_round_is_not_answered_for_a_second_model(home: NodeHome) -> None:
    handler = HospitalHandler(home)
    reply = handler(a_task())

    with pytest.raises(RoundAnsweredError):
        handler(a_task(model=a_model(1.0)))

    assert handler(a_task()).signature == reply.signature
    (seen,) = Lineage(home.data).sightings([PATIENT])
    assert seen.model_in == digest_of_array(a_model())


def test_what_leaves_is_in_the_audit_log_with_its_digest_each_time(home: NodeHome) -> None:
    replies = [HospitalHandler(home)(a_task()) for _ in range(2)]

    said = [one["reply"] for one in details(home, AuditKind.UPDATE_RELEASED)]
    assert said == [str(digest_of_reply(reply)) for reply in replies]


def test_what_the_gate_keeps_inside_costs_nothing_and_its_rule_is_written_down(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def holds_never(departure: gate.Departure) -> bool:
        return False

    monkeypatch.setattr(gate, "RULES", (holds_never,))

    with pytest.raises(GateRefusedError):
        HospitalHandler(home)(a_task())

    assert states(home)[-1] is EntryKind.VOIDED
    assert details(home, AuditKind.UPDATE_WITHHELD)[-1]["rule"] == "holds_never"


def test_the_budget_of_a_period_holds_over_all_studies(home: NodeHome) -> None:
    change_policy(home, "period_epsilon = 8.0", "period_epsilon = 0.5")

    with pytest.raises(BudgetExceededError):
        HospitalHandler(home)(a_task())

    assert states(home) == [EntryKind.OPENED]
