"""A study may ask for noisy counts: released once, paid within the study's epsilon, signed."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clients import decide
from clients.briefing import briefing_of
from clients.data import phantoms
from clients.data.catalogue.cards import COUNTED, patient_counts
from clients.data.cohort.choice import choose
from clients.data.intake.ingest import ingest
from clients.ledger_store import LedgerStore
from clients.noisy_counts import counts_file, counts_key, release_counts
from clients.policy import policy_in_force
from clients.private_training import mechanism_of_round
from clients.randomness import SecureRandom
from federation.domain.study import CentralPlan, CountsPlan, PrivacyPlan, Study
from federation.errors.approval import PolicyRefusedError
from federation.errors.ledger import BudgetExceededError, LedgerEntryRefusedError
from federation.evidence.statements import PredicateType
from federation.evidence.verification import PublicKey, verify_envelope
from federation.privacy.accountants import epsilon_of
from federation.privacy.counts import CELLS_OF_A_CARD, mechanism_of_counts
from federation.privacy.events import DiscreteGaussian, PoissonSampledGaussian
from federation.privacy.ledger import EntryKind
from federation.wording import Language
from tests.node.hospital import NOW, RECIPE, Hospital, a_hospital, our_study

PLAN = PrivacyPlan(8.0, 1e-3, 1.0, counts=CountsPlan(sigma=8.0))


def counting_study(**changes: Any) -> Study:
    return our_study(**{"privacy": PLAN, **changes})


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    """Return a hospital with thirty invented patients that is asked for noisy counts."""
    folder = tmp_path_factory.mktemp("counts")
    hospital = a_hospital(folder)
    (site,) = phantoms.generate(folder / "dicom", sites=["north"], patients=30, seed=7)
    ingest(hospital.home.data, site.folder, workers=1)
    hospital.propose(counting_study())
    return hospital


@pytest.fixture
def hospital(filled: Hospital, tmp_path: Path) -> Iterator[Hospital]:
    shutil.copytree(filled.home.folder, tmp_path / "node")
    yield replace(filled, home=type(filled.home)(tmp_path / "node"))


def approve(hospital: Hospital) -> None:
    decide.approve_study(hospital.home, counting_study().id, now=NOW)


def card(hospital: Hospital) -> dict[str, Any]:
    path = hospital.home.cards / f"{counting_study().id}.json"
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def book(hospital: Hospital) -> list[tuple[EntryKind, str]]:
    entries = LedgerStore(hospital.home.ledger).book("chest-xray").entries
    return [(entry.kind, entry.key) for entry in entries]


def test_the_approval_releases_noisy_counts_paid_for_and_signed(hospital: Hospital) -> None:
    approve(hospital)
    noisy, key = card(hospital)["noisy_counts"], counts_key(counting_study())

    assert book(hospital) == [
        (EntryKind.OPENED, ""), (EntryKind.RESERVED, key), (EntryKind.COMMITTED, key)
    ]  # fmt: skip
    signer = PublicKey.load(hospital.home.node_public_key)
    said = verify_envelope(
        noisy["signed"], trusted={signer.keyid: signer}, expected=PredicateType.DATASET_CARD
    ).predicate
    assert said["counts"] == noisy["counts"]
    assert noisy["events"] == [DiscreteGaussian(8.0, CELLS_OF_A_CARD, 1).as_json()]
    assert not COUNTED & set(card(hospital))


def test_one_patient_is_in_as_many_cells_as_are_paid_for(hospital: Hospital) -> None:
    images = choose(hospital.home.data, RECIPE).images
    patients = sorted({image.patient for image in images})
    all_ = patient_counts(hospital.home.data, images)
    one = patient_counts(hospital.home.data, [i for i in images if i.patient == patients[0]])
    nobody = patient_counts(hospital.home.data, [])

    assert all_["patients"] == len(patients)
    assert sum(one.values()) == CELLS_OF_A_CARD
    assert set(all_) == set(one) == set(nobody)  # the cells tell nothing of who is there
    assert set(nobody.values()) == {0}


def test_asking_again_gives_the_same_counts_and_costs_nothing(hospital: Hospital) -> None:
    approve(hospital)
    before, first = book(hospital), card(hospital)["noisy_counts"]
    policy = policy_in_force(hospital.home, now=NOW).policy
    again = release_counts(
        hospital.home, counting_study(), {"patients": 999}, policy=policy, source=SecureRandom(),
        now=NOW,
    )  # fmt: skip

    assert again == first["signed"]
    assert book(hospital) == before


def test_released_counts_that_are_gone_are_not_drawn_again(hospital: Hospital) -> None:
    approve(hospital)
    counts_file(hospital.home, counting_study()).unlink()
    policy = policy_in_force(hospital.home, now=NOW).policy

    with pytest.raises(LedgerEntryRefusedError):
        release_counts(
            hospital.home, counting_study(), {"patients": 30}, policy=policy,
            source=SecureRandom(), now=NOW,
        )  # fmt: skip


def test_a_crash_before_the_commit_pays_once(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("clients.noisy_counts._commit", _die)
        with pytest.raises(KeyboardInterrupt):
            approve(hospital)
    approve(hospital)

    assert [kind for kind, _ in book(hospital)] == [
        EntryKind.OPENED, EntryKind.RESERVED, EntryKind.COMMITTED
    ]  # fmt: skip


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_counts_that_the_study_cannot_afford_are_not_drawn_and_it_is_not_approved(
    hospital: Hospital,
) -> None:
    dear = counting_study(privacy=replace(PLAN, epsilon=0.1))
    hospital.propose(dear)

    with pytest.raises(BudgetExceededError):
        decide.approve_study(hospital.home, dear.id, now=NOW)

    assert not hospital.desk.decision_file(dear.id).exists()
    assert not counts_file(hospital.home, dear).exists()


def test_a_policy_that_wants_more_noise_refuses(hospital: Hospital) -> None:
    hospital.sign_policy(smallest_count_noise=8.5)

    with pytest.raises(PolicyRefusedError, match="noise"):
        approve(hospital)
    assert book(hospital) == []


def test_training_leaves_room_for_the_counts_in_the_studys_epsilon() -> None:
    training = counting_study().training
    mechanism = mechanism_of_round(patients=40, training=training, privacy=PLAN)
    rounds = PoissonSampledGaussian(
        mechanism.noise_multiplier, mechanism.sample_rate, mechanism.steps * training.rounds
    )
    counts = mechanism_of_counts(CountsPlan(8.0)).events
    without = mechanism_of_round(patients=40, training=training, privacy=replace(PLAN, counts=None))

    assert epsilon_of((rounds, *counts), PLAN.delta) <= PLAN.epsilon
    assert mechanism.noise_multiplier > without.noise_multiplier


def test_staff_read_what_leaves_with_the_approval_and_what_hides_the_hospital(
    hospital: Hospital,
) -> None:
    hidden = replace(PLAN, central=CentralPlan(clip_norm=1.0, noise_multiplier=2.0))
    study = hospital.propose(counting_study(privacy=hidden, quorum=3))
    for language, words in (
        (Language.EN, "noise of 8 patients"),
        (Language.ZH_HANT_TW, "8 位病人"),
    ):
        found = briefing_of(hospital.home, study, now=NOW, language=language)
        assert found.problem is None
        assert words in found.leaves[0].words
        assert found.leaves[0].field == "noisy_counts"
    told = briefing_of(hospital.home, study, now=NOW, language=Language.EN).leaves[1].words
    assert "hides one hospital among 3: epsilon" in told
