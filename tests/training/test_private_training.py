import dataclasses
import inspect

import numpy as np
import pytest
import torch
from torch import nn

from clients import private_training
from clients.data.cohort.arrays import PatientArrays
from clients.local_plan import LocalPlan
from clients.objective import losses
from clients.per_sample.layerwise import LayerwiseGradients
from clients.per_sample.vectorised import VectorisedGradients
from clients.private_training import (
    PatientLevelDpSgd,
    PrivateUpdate,
    check_network,
    clipped_sum,
    mechanism_of_round,
    train_privately,
)
from clients.randomness import SecureRandom
from federation.domain.study import PrivacyPlan, TrainingPlan
from federation.errors.privacy import (
    CohortDoesNotFitError,
    InvalidPrivacyEventError,
    InvalidTrainingPlanError,
    NetworkNotPrivateError,
    NoPatientsError,
    TrainingDivergedError,
)
from federation.privacy.events import PoissonSampledGaussian
from federation.recipes.catalogue import recipe
from federation.recipes.flat import flatten
from federation.recipes.networks import build
from tests.training.arrays import NoNoise, SeededRandom, a_cohort, a_network

SGD = LocalPlan("sgd", learning_rate=1.0, batch_size=4, local_epochs=1.0)


def a_mechanism(**changes):
    values = {"sample_rate": 1.0, "steps": 1, "noise_multiplier": 1.0, "clip_norm": 0.5}
    return PatientLevelDpSgd(**(values | changes))


def run(data, *, mechanism, noise=None, sampler=None, module=None, plan=SGD):
    return train_privately(
        module or a_network(),
        data,
        plan=plan,
        mechanism=mechanism,
        noise=noise or NoNoise(0),
        sampler=sampler or SeededRandom(0),
    )


# The events cannot be had apart from the update, nor differ from what ran.


def test_the_events_of_an_update_are_those_of_its_mechanism():
    mechanism = a_mechanism(sample_rate=0.25, steps=3, noise_multiplier=1.5)
    result = run(a_cohort(), mechanism=mechanism)
    assert result.events == (PoissonSampledGaussian(1.5, 0.25, 3),)
    assert result.steps == 3


def test_an_update_cannot_be_made_without_its_mechanism_or_given_other_events():
    with pytest.raises(TypeError):
        PrivateUpdate(update=np.zeros(1, np.float32), loss=None, steps=1, patients=1)
    result = run(a_cohort(), mechanism=a_mechanism())
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError)):
        result.events = ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.mechanism = a_mechanism(noise_multiplier=9.0)


def test_no_caller_can_bring_a_loader_or_a_batch():
    allowed = {"module", "data", "plan", "mechanism", "noise", "sampler", "progress", "patients"}
    assert set(inspect.signature(train_privately).parameters) == allowed


# One patient, one bounded influence.


def test_a_patient_with_forty_images_moves_the_sum_no_more_than_one_with_one():
    few = a_cohort(patients=6, images_each=1)
    loud = np.full((40, 1, 8, 8), 50.0, np.float32)
    many = PatientArrays(
        images=np.concatenate([few.images, loud]),
        targets=np.concatenate([few.targets, np.ones(40, np.int64)]),
        patient_of=np.concatenate([few.patient_of, np.full(40, 6)]),
        patients=7,
    )
    mechanism = a_mechanism(clip_norm=0.5)
    without = run(few, mechanism=mechanism).update * few.patients
    with_them = run(many, mechanism=mechanism).update * many.patients
    assert np.linalg.norm(with_them - without) <= 0.5 * (1 + 1e-5)


def test_each_step_uses_one_image_of_a_patient_and_in_time_all_of_them():
    data = a_cohort(patients=3, images_each=4)
    draw = private_training._PoissonPatients(data, 1.0, SeededRandom(1))
    seen = [draw.next() for _ in range(200)]
    assert all(np.array_equal(data.patient_of[places], [0, 1, 2]) for places in seen)
    assert set(np.concatenate(seen)) == set(range(12))


def test_no_image_has_more_influence_than_the_clip_norm():
    images = torch.randn(33, 1, 8, 8) * 100
    targets = torch.randint(0, 2, (33,))
    for place in range(33):
        one, _ = clipped_sum(
            a_network(), images[place : place + 1], targets[place : place + 1], clip_norm=0.1
        )
        assert np.linalg.norm(one) <= 0.1


def test_clipping_agrees_with_a_loop_over_images():
    module = build(recipe("cxr-pneumonia"), seed=2)
    images, targets = torch.randn(5, 1, 128, 128), torch.tensor([0, 1, 1, 0, 1])
    expected = 0.0
    for place in range(5):
        module.zero_grad()
        losses(module(images[place : place + 1]), targets[place : place + 1]).sum().backward()
        gradient = torch.cat([p.grad.flatten() for p in module.parameters()]).double().numpy()
        expected = expected + gradient * min(1, 0.7 / np.linalg.norm(gradient))
    total, _ = clipped_sum(module, images, targets, clip_norm=0.7)
    assert np.allclose(total, expected, atol=2e-5)


@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_gradients_agree_with_opacus():
    from opacus import GradSampleModule

    module = build(recipe("cxr-pneumonia"), seed=2)
    images, targets = torch.randn(3, 1, 128, 128), torch.tensor([0, 1, 1])
    total, _ = clipped_sum(module, images, targets, clip_norm=0.7)
    theirs = GradSampleModule(module, loss_reduction="sum")
    losses(theirs(images), targets).sum().backward()
    rows = torch.cat([p.grad_sample.flatten(1) for p in module.parameters()], dim=1)
    cut = rows * (0.7 / rows.norm(dim=1)).clamp(max=1)[:, None]
    assert np.allclose(total, cut.sum(0).numpy(), atol=2e-5)


def test_the_sum_does_not_depend_on_blocks():
    images, targets = torch.randn(21, 1, 8, 8), torch.randint(0, 2, (21,))
    module = a_network()
    whole, _ = clipped_sum(module, images, targets, clip_norm=0.3)
    parts = LayerwiseGradients(module, block=4)
    total, _ = clipped_sum(module, images, targets, clip_norm=0.3, method=parts)
    assert np.allclose(whole, total, atol=1e-6)


@pytest.mark.parametrize("augmentation", ["none", "chest"])
def test_fixed_features_are_computed_once_an_image_where_images_stay_as_they_are(
    augmentation, monkeypatch
):
    module = build(recipe("cxr-pneumonia-private"), seed=1)
    data = a_cohort(patients=3, images_each=1, side=128)
    seen = []
    forward = type(module.features).forward
    monkeypatch.setattr(
        type(module.features),
        "forward",
        lambda self, images: (seen.append(len(images)), forward(self, images))[1],
    )
    plan = dataclasses.replace(SGD, augmentation=augmentation)
    update = run(data, mechanism=a_mechanism(steps=4), module=module, plan=plan).update
    assert np.linalg.norm(update) > 0
    assert (sum(seen) == 3) is (augmentation == "none")


def test_features_computed_once_give_the_same_update_as_every_time(monkeypatch):
    data = a_cohort(patients=4, images_each=2, side=128)
    mechanism = a_mechanism(steps=3, clip_norm=1.0)
    once = run(data, mechanism=mechanism, module=build(recipe("cxr-pneumonia-private"), seed=1))
    monkeypatch.setattr(private_training, "FixedThenLearnt", ())
    always = run(data, mechanism=mechanism, module=build(recipe("cxr-pneumonia-private"), seed=1))
    assert np.allclose(once.update, always.update, atol=1e-5)


# The sampler is Poisson, and the divisor is what was expected.


def test_the_sampler_takes_each_patient_with_its_rate_and_independently():
    data = a_cohort(patients=40, images_each=1)
    draw = private_training._PoissonPatients(data, 0.3, SeededRandom(3))
    drawn = np.zeros((4000, 40))
    for row in drawn:
        row[draw.next()] = 1
    spread = 3.29 * np.sqrt(0.3 * 0.7 / 4000)
    assert np.abs(drawn.mean(0) - 0.3).max() < spread * 1.5
    # a shuffled loader of fixed size would have variance 0 here
    assert drawn.sum(1).var() == pytest.approx(40 * 0.3 * 0.7, rel=0.1)


def test_a_step_is_divided_by_the_expected_batch_not_by_who_came():
    data = a_cohort(patients=10, images_each=1)

    class Everyone(SeededRandom):
        def uniform(self, size):
            return np.zeros(size)

    half = run(data, mechanism=a_mechanism(sample_rate=0.5), sampler=Everyone(0))
    full = run(data, mechanism=a_mechanism(sample_rate=1.0), sampler=Everyone(0))
    assert np.allclose(half.update, 2 * full.update, rtol=1e-4)


def test_an_empty_batch_is_a_step_of_pure_noise():
    class Nobody(SeededRandom):
        def uniform(self, size):
            return np.ones(size)

    result = run(
        a_cohort(),
        mechanism=a_mechanism(sample_rate=0.1, steps=2),
        noise=SeededRandom(1),
        sampler=Nobody(0),
    )
    assert result.loss is None
    assert result.steps == 2
    assert np.linalg.norm(result.update) > 0


# The noise is measured, not assumed.


def test_the_noise_has_the_standard_deviation_that_was_promised():
    """Chi-square 99.9 % interval of sigma over the steps of a network without gradient."""
    sigma, clip, steps, patients = 1.3, 0.25, 40, 12
    data = a_cohort(patients=patients)
    dead = nn.Sequential(nn.Flatten(), nn.Linear(64, 200), nn.Linear(200, 2))
    for parameter in dead[2].parameters():
        nn.init.zeros_(parameter)

    class Nobody(SecureRandom):
        def uniform(self, size):
            return np.ones(size) if size == patients else super().uniform(size)

    result = run(
        data,
        mechanism=a_mechanism(sample_rate=0.5, steps=steps, noise_multiplier=sigma, clip_norm=clip),
        noise=SecureRandom(),
        sampler=Nobody(),
        module=dead,
    )
    # lr 1: the update is the sum of the steps' noise / (q N)
    measured = result.update.std() * (0.5 * patients) / (clip * np.sqrt(steps))
    reach = 3.29 / np.sqrt(2 * len(result.update))
    assert measured == pytest.approx(sigma, rel=reach)


def test_two_rounds_never_share_their_noise():
    first = run(a_cohort(), mechanism=a_mechanism(), noise=SecureRandom())
    second = run(a_cohort(), mechanism=a_mechanism(), noise=SecureRandom())
    assert not np.array_equal(first.update, second.update)


def test_a_seeded_source_gives_the_same_update_again():
    again = [run(a_cohort(), mechanism=a_mechanism(), noise=SeededRandom(4)) for _ in range(2)]
    assert np.array_equal(again[0].update, again[1].update)


# What must be refused.


@pytest.mark.parametrize(
    "layer", [nn.BatchNorm2d(1), nn.InstanceNorm2d(1, track_running_stats=True), nn.ReLU(True)]
)
def test_a_network_that_mixes_patients_is_refused(layer):
    module = nn.Sequential(layer, nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(NetworkNotPrivateError):
        check_network(module)
    with pytest.raises(NetworkNotPrivateError):
        run(a_cohort(), mechanism=a_mechanism(), module=module)


def test_batch_norm_without_running_statistics_is_refused_too():
    with pytest.raises(NetworkNotPrivateError):
        check_network(nn.BatchNorm2d(1, track_running_stats=False))


def test_a_model_that_is_not_finite_stops_training():
    module = a_network()
    with torch.no_grad():
        module[1].weight.fill_(float("inf"))
    with pytest.raises(TrainingDivergedError):
        run(a_cohort(), mechanism=a_mechanism(), module=module)


@pytest.mark.parametrize("method", [LayerwiseGradients, VectorisedGradients])
@pytest.mark.parametrize("bad", [3e38, -3e38])
def test_an_image_whose_gradient_is_not_finite_adds_nothing(method, bad):
    module = a_network()
    with torch.no_grad():
        module[1].weight[1] *= 10
    images, targets = torch.randn(5, 1, 8, 8), torch.tensor([0, 1, 0, 1, 0])
    images[2] = bad
    others = [0, 1, 3, 4]
    each = method(module, block=5)
    total, loss = clipped_sum(module, images, targets, clip_norm=0.3, method=each)
    expected, expected_loss = clipped_sum(module, images[others], targets[others], clip_norm=0.3)
    assert np.allclose(total, expected, atol=1e-6)
    assert loss == pytest.approx(expected_loss, rel=1e-5)


def test_a_crafted_model_cannot_make_training_fail_for_one_patient():
    """An image far out of range overflows the crafted weights; who else is there does not."""
    with_them = a_cohort(patients=6, images_each=1)
    with_them.images[0] = 3e38
    module = a_network()
    with torch.no_grad():
        module[1].weight[1] *= 10
    update = run(with_them, mechanism=a_mechanism(), module=module).update
    assert np.isfinite(update).all()
    assert np.linalg.norm(update) > 0


def test_an_image_that_is_not_finite_is_refused():
    data = a_cohort()
    data.images[3, 0, 0, 0] = np.nan
    with pytest.raises(CohortDoesNotFitError):
        run(data, mechanism=a_mechanism())


def test_nobody_to_train_on_is_refused():
    nobody = a_cohort().subset(np.array([], dtype=np.int64))
    with pytest.raises(NoPatientsError):
        run(nobody, mechanism=a_mechanism())


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("noise_multiplier", 0.0, InvalidPrivacyEventError),
        ("noise_multiplier", float("nan"), InvalidPrivacyEventError),
        ("sample_rate", 1.5, InvalidPrivacyEventError),
        ("steps", 0, InvalidPrivacyEventError),
        ("clip_norm", 0.0, InvalidTrainingPlanError),
        ("clip_norm", float("inf"), InvalidTrainingPlanError),
    ],
)
def test_a_mechanism_that_promises_nothing_cannot_be_made(field, value, error):
    with pytest.raises(error):
        a_mechanism(**{field: value})


# The plan of a study at a site.


def a_plan(**changes):
    values = {
        "rounds": 5,
        "local_epochs": 3.0,
        "learning_rate": 0.1,
        "batch_size": 60,
        "optimizer": "sgd",
    }
    return TrainingPlan(**(values | changes))


def test_the_noise_of_a_round_keeps_all_rounds_within_epsilon():
    from federation.privacy.accountants import epsilon_of

    privacy = PrivacyPlan(epsilon=8.0, delta=1e-3, clip_norm=1.0)
    mechanism = mechanism_of_round(patients=120, training=a_plan(), privacy=privacy)
    assert (mechanism.sample_rate, mechanism.steps) == (0.5, 6)
    assert 7.9 < epsilon_of(mechanism.events * 5, 1e-3) <= 8.0


def test_the_noise_of_the_study_is_taken_as_it_is():
    privacy = PrivacyPlan(epsilon=8.0, delta=1e-3, clip_norm=1.0, noise_multiplier=2.5)
    mechanism = mechanism_of_round(patients=30, training=a_plan(), privacy=privacy)
    assert mechanism == PatientLevelDpSgd(1.0, 3, 2.5, 1.0)


def test_private_training_learns():
    data = a_cohort(patients=200, images_each=1)
    plan = LocalPlan("sgd", learning_rate=0.5, batch_size=100, local_epochs=1.0)
    module = a_network()
    run(
        data,
        mechanism=a_mechanism(sample_rate=0.5, steps=20, clip_norm=1.0),
        noise=SeededRandom(1),
        module=module,
        plan=plan,
    )
    with torch.inference_mode():
        right = module(torch.from_numpy(data.images)).argmax(1).numpy() == data.targets
    assert right.mean() > 0.9
    assert np.isfinite(flatten(module)).all()
