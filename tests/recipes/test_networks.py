from dataclasses import replace

import numpy as np
import pytest
import torch
from opacus.validators import ModuleValidator
from torch import nn
from torch.nn import functional

from clients.private_training import check_network, clipped_sum
from federation.errors.study import (
    ModelDoesNotFitError,
    NetworkHasBuffersError,
    NetworkNotBuiltError,
    UnknownNetworkError,
)
from federation.recipes.catalogue import recipe, recipe_names
from federation.recipes.convolutional import FilterBank
from federation.recipes.flat import flatten, load_flat, manifest_of
from federation.recipes.networks import build
from federation.recipes.oriented import LENGTH, _morlets

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
    features = FilterBank(sides=(64, 64), scales=(1, 2, 4), grid=16)(
        torch.full((1, 1, 64, 64), 3.0)
    )
    brightness, contrast = features[:, : 16 * 16], features[:, 16 * 16 :]
    assert torch.allclose(brightness, torch.full_like(brightness, 3.0), atol=1e-5)
    assert torch.allclose(contrast, torch.zeros_like(contrast), atol=1e-4)


def oriented_features(images):
    return build(recipe("cxr-pneumonia-private"), seed=1).features(images)


def test_oriented_bands_are_one_length_and_blind_to_contrast_mirror_and_brightness():
    noise, _ = batch("cxr-pneumonia-private", 3)
    images = 3 * functional.avg_pool2d(noise, 5, stride=1, padding=2)
    features = oriented_features(images)
    assert torch.allclose(features.norm(dim=1), torch.full((3,), LENGTH), atol=1e-5)
    mirrored = functional.cosine_similarity(oriented_features(images.flip(3)), features)
    assert (mirrored > 0.999).all()
    assert torch.allclose(oriented_features(images + 2), features, atol=1e-4)
    brighter = functional.cosine_similarity(oriented_features(1.5 * images), features)
    assert (brighter > 0.999).all()


def test_oriented_bands_of_a_flat_image_are_finite():
    features = oriented_features(torch.ones(1, 1, 128, 128))
    assert features.isfinite().all()
    assert features.norm() <= LENGTH * 1.001


def test_oriented_bands_of_one_image_do_not_depend_on_another():
    images, _ = batch("cxr-pneumonia-private", 3)
    assert torch.allclose(oriented_features(images)[1:2], oriented_features(images[1:2]), atol=1e-5)


def test_an_oriented_band_answers_to_its_own_direction_and_scale():
    """Stripes 2.7, 5.3, 10.7 and 21.3 pixels apart, in each of eight directions."""
    down, across = torch.meshgrid(torch.arange(160.0), torch.arange(160.0), indexing="ij")
    for scale in range(4):
        bank = _morlets(160, scale, 8)
        for turn in range(8):
            angle = torch.tensor(torch.pi * turn / 8)
            phase = 3 * torch.pi / 4 / 2**scale * (across * angle.cos() + down * angle.sin())
            energy = torch.fft.ifft2(torch.fft.fft2(phase.cos()) * bank).abs().mean((1, 2))
            assert int(energy.argmax()) == turn


@pytest.mark.parametrize(
    "changes",
    [
        {"input_shape": (1, 128, 96)},
        {"input_shape": (3, 128, 128)},
        {"input_shape": (1, 16, 16)},
        {"network_args": (("grid", 6), ("orientations", 0), ("scales", 4))},
        {"network_args": (("grid", 6), ("orientations", 8), ("scales", "all"))},
    ],
)
def test_oriented_bands_refuse_what_they_cannot_use(changes):
    with pytest.raises(NetworkNotBuiltError):
        build(replace(recipe("cxr-pneumonia-private"), **changes), seed=1)


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
