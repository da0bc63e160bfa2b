from dataclasses import replace

import numpy as np
import pytest
import torch

from clients import training
from clients.augmentation import AUGMENTATIONS, augment
from clients.local_plan import LocalPlan, local_plan
from clients.objective import losses
from clients.training import PlainUpdate, Precision, precision_of, train
from federation.domain.study import TrainingPlan
from federation.errors.privacy import (
    InvalidTrainingPlanError,
    NoPatientsError,
    TrainingDivergedError,
    UnknownOptimizerError,
)
from federation.recipes.catalogue import recipe
from federation.recipes.flat import flatten
from federation.recipes.networks import build
from tests.training.arrays import a_cohort, a_network

PLAN = LocalPlan("sgd", learning_rate=0.1, batch_size=5, local_epochs=1.0)


def test_the_update_is_what_was_learnt():
    module = a_network()
    before = flatten(module)
    result = train(module, a_cohort(), plan=PLAN, seed=1)
    assert isinstance(result, PlainUpdate)
    assert np.array_equal(result.update, flatten(module) - before)
    assert (result.steps, result.patients, result.events) == (5, 12, ())


def test_the_same_seed_gives_the_same_update_and_another_does_not():
    one, two, other = (train(a_network(), a_cohort(), plan=PLAN, seed=s) for s in (1, 1, 2))
    assert np.array_equal(one.update, two.update)
    assert not np.array_equal(one.update, other.update)


def test_every_image_is_used_once_an_epoch():
    from clients.training import _Shuffled

    order = _Shuffled(10, torch.Generator().manual_seed(0))
    first = np.concatenate([order.next(5), order.next(5)])
    assert sorted(first) == list(range(10))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_every_optimizer_learns(optimizer):
    plan = LocalPlan(optimizer, learning_rate=0.05, batch_size=8, local_epochs=10)
    module, data = a_network(), a_cohort(patients=60)
    train(module, data, plan=plan, seed=1)
    with torch.inference_mode():
        right = module(torch.from_numpy(data.images)).argmax(1).numpy() == data.targets
    assert right.mean() > 0.9


def test_bfloat16_gives_nearly_the_same_update_and_leaves_weights_float32():
    data = a_cohort(side=128)
    results = []
    for precision in Precision:
        module = build(recipe("cxr-pneumonia-private"), seed=1)
        results.append(train(module, data, plan=PLAN, seed=1, precision=precision).update)
        assert all(p.dtype == torch.float32 for p in module.parameters())
    assert np.linalg.norm(results[0] - results[1]) < 0.05 * np.linalg.norm(results[0])


def test_progress_is_told_after_every_step():
    told = []
    train(a_network(), a_cohort(), plan=PLAN, seed=1, progress=lambda *now: told.append(now))
    assert told == [(step, 5) for step in range(1, 6)]


def test_training_that_diverges_stops():
    plan = LocalPlan("sgd", learning_rate=1e38, batch_size=4, local_epochs=3.0)
    with pytest.raises(TrainingDivergedError):
        train(a_network(), a_cohort(), plan=plan, seed=1)


def test_nobody_to_train_on_is_refused():
    with pytest.raises(NoPatientsError):
        train(a_network(), a_cohort().subset(np.array([], np.int64)), plan=PLAN, seed=1)


@pytest.mark.parametrize("field", ["learning_rate", "batch_size", "local_epochs"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_plan_that_cannot_be_is_refused(field, value):
    values = {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 4, "local_epochs": 1.0}
    with pytest.raises(InvalidTrainingPlanError):
        LocalPlan(**(values | {field: value}))


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(UnknownOptimizerError, match="adamw"):
        LocalPlan("magic", learning_rate=0.1, batch_size=4, local_epochs=1.0)


def test_a_cosine_schedule_falls_over_the_rounds_but_never_to_nothing():
    training = TrainingPlan(10, 1.0, 0.002, 32, "adamw")
    chosen = recipe("cxr-pneumonia")
    rates = [local_plan(training, chosen, round_number=n).learning_rate for n in range(1, 11)]
    assert rates[0] == 0.002
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] > 0


def test_a_round_takes_decay_and_augmentation_from_the_recipe():
    plan = local_plan(
        TrainingPlan(10, 1.0, 0.002, 32, "adamw"), recipe("cxr-pneumonia"), round_number=1
    )
    assert (plan.weight_decay, plan.augmentation) == (0.05, "chest")


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_changes_each_image_by_itself(name):
    images = torch.randn(4, 1, 16, 16)
    changed = augment(images, name, torch.Generator().manual_seed(1))
    others = images.clone()
    others[1:] = 0
    again = augment(others, name, torch.Generator().manual_seed(1))
    assert changed.shape == images.shape
    assert torch.equal(changed[0], again[0])


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_of_nothing_is_nothing(name):
    assert augment(torch.zeros(0, 1, 8, 8), name, torch.Generator()).shape == (0, 1, 8, 8)


def test_an_unknown_augmentation_is_refused():
    with pytest.raises(InvalidTrainingPlanError):
        augment(torch.zeros(1, 1, 8, 8), "mixup", torch.Generator())


def test_the_loss_of_an_image_does_not_depend_on_its_neighbours():
    for outputs, targets in (
        (torch.randn(3, 2), torch.tensor([0, 1, 1])),
        (torch.randn(3, 3, 4, 4, 4), torch.randint(0, 3, (3, 4, 4, 4))),
    ):
        together = losses(outputs, targets)
        alone = torch.cat([losses(outputs[n : n + 1], targets[n : n + 1]) for n in range(3)])
        assert torch.allclose(together, alone)


def test_the_soft_dice_loss_agrees_with_monai():
    from monai.losses import DiceLoss

    outputs, targets = torch.randn(2, 3, 6, 6, 6), torch.randint(0, 3, (2, 6, 6, 6))
    theirs = DiceLoss(
        include_background=False, to_onehot_y=True, softmax=True, squared_pred=True, batch=False
    )(outputs, targets[:, None])
    entropy = torch.nn.functional.cross_entropy(outputs, targets)
    assert torch.allclose(losses(outputs, targets).mean(), theirs + entropy, atol=1e-4)


def test_plain_sgd_trains_in_float32_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bfloat16 gradients have uneven low bits, which the gate takes for a payload."""
    monkeypatch.setattr(training, "fastest_precision", lambda: Precision.BFLOAT16)

    assert precision_of(replace(PLAN, optimizer="sgd")) is Precision.FLOAT32
    assert precision_of(replace(PLAN, optimizer="adamw")) is Precision.BFLOAT16
