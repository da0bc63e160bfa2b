from dataclasses import replace

import numpy as np
import pytest
import torch
from opacus.validators import ModuleValidator
from torch import nn

from clients.private_training import check_network, clipped_sum
from federation.errors.study import (
    ModelDoesNotFitError,
    NetworkHasBuffersError,
    NetworkNotBuiltError,
    UnknownNetworkError,
)
from federation.recipes.catalogue import recipe, recipe_names
from federation.recipes.flat import flatten, load_flat, manifest_of
from federation.recipes.networks import build

NAMES = recipe_names()


def batch(name, n):
    chosen = recipe(name)
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(n, *chosen.input_shape, generator=generator)
    shape = (n,) if len(chosen.input_shape) == 3 else (n, *chosen.input_shape[1:])
    return images, torch.randint(0, chosen.classes, shape, generator=generator)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_network_is_valid_for_opacus_and_for_us(name):
    module = build(recipe(name), seed=1)
    assert ModuleValidator.validate(module, strict=False) == []
    check_network(module)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_network_works_nowhere_in_place_and_has_no_buffers(name):
    module = build(recipe(name), seed=1)
    assert not any(getattr(layer, "inplace", False) for layer in module.modules())
    assert list(module.buffers()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_network_gives_one_number_a_class(name):
    images, targets = batch(name, 2)
    outputs = build(recipe(name), seed=1)(images)
    assert outputs.shape == (2, recipe(name).classes, *targets.shape[1:])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_private_step_works_for_every_batch_and_an_empty_one(name, n):
    module = build(recipe(name), seed=1)
    images, targets = batch(name, n)
    total, loss = clipped_sum(module, images, targets, clip_norm=0.5)
    assert total.shape == (manifest_of(module).size,)
    assert np.linalg.norm(total) <= 0.5 * n
    assert (loss == 0) is (n == 0)


@pytest.mark.parametrize("name", NAMES)
def test_the_flat_model_goes_round(name):
    module, other = build(recipe(name), seed=1), build(recipe(name), seed=2)
    load_flat(other, flatten(module))
    assert np.array_equal(flatten(other), flatten(module))
    assert manifest_of(other) == manifest_of(module)
    assert manifest_of(module).size == len(flatten(module))


def test_the_same_seed_gives_the_same_weights_and_leaves_torch_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = flatten(build(recipe("cxr-pneumonia"), seed=3))
    assert torch.equal(torch.rand(1), expected)
    assert np.array_equal(first, flatten(build(recipe("cxr-pneumonia"), seed=3)))
    assert not np.array_equal(first, flatten(build(recipe("cxr-pneumonia"), seed=4)))


def test_the_small_network_is_small():
    assert manifest_of(build(recipe("cxr-pneumonia-small"), seed=1)).size <= 50_000


def test_an_unknown_builder_is_refused():
    with pytest.raises(UnknownNetworkError, match="residual-2d"):
        build(replace(recipe("cxr-pneumonia"), network="os.system"), seed=1)


@pytest.mark.parametrize("args", [(), (("blocks_per_stage", 2), ("widths", "wide"))])
def test_arguments_that_a_builder_cannot_use_are_refused(args):
    with pytest.raises(NetworkNotBuiltError):
        build(replace(recipe("cxr-pneumonia"), network_args=args), seed=1)


def test_a_blur_keeps_a_flat_image_flat():
    module = build(recipe("cxr-pneumonia-private"), seed=1)
    features = module.features(torch.full((1, 1, 64, 64), 3.0))
    brightness, contrast = features[:, : 16 * 16], features[:, 16 * 16 :]
    assert torch.allclose(brightness, torch.full_like(brightness, 3.0), atol=1e-5)
    assert torch.allclose(contrast, torch.zeros_like(contrast), atol=1e-4)


def test_a_network_with_buffers_has_no_manifest():
    with pytest.raises(NetworkHasBuffersError, match="running_mean"):
        manifest_of(nn.BatchNorm2d(3))


@pytest.mark.parametrize(
    "change",
    [
        lambda flat: flat[:-1],
        lambda flat: np.append(flat, np.float32(0)),
        lambda flat: flat.astype(np.float64),
        lambda flat: flat[None],
        lambda flat: np.where(np.arange(len(flat)) == 3, np.float32("nan"), flat),
        lambda flat: np.where(np.arange(len(flat)) == 3, np.float32("inf"), flat),
    ],
)
def test_a_flat_model_that_does_not_fit_is_refused_and_changes_nothing(change):
    module = build(recipe("cxr-pneumonia-small"), seed=1)
    before = flatten(module)
    with pytest.raises(ModelDoesNotFitError):
        load_flat(module, change(before.copy()))
    assert np.array_equal(flatten(module), before)
