"""Single gradients agree with Opacus and autograd; the faster method is never silently wrong."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from clients.objective import losses
from clients.per_sample import method as choice
from clients.per_sample.layers import RULES
from clients.per_sample.layerwise import LayerwiseGradients, NotCoveredError
from clients.per_sample.method import gradients_of
from clients.per_sample.vectorised import VectorisedGradients
from clients.private_training import CLIP_MARGIN, _squares, clipped_sum
from federation.errors.privacy import NetworkNotPrivateError
from federation.recipes.catalogue import recipe, recipe_names
from federation.recipes.networks import build, without_inplace

CLIP = 0.7


def a_densenet():
    from monai.networks.nets import DenseNet121

    torch.manual_seed(3)
    return without_inplace(
        DenseNet121(
            spatial_dims=2, in_channels=1, out_channels=2, norm=("group", {"num_groups": 8})
        )
    )


def a_batch(image, target, *, n=3):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(n, *image, generator=generator)
    return images, torch.randint(0, 2, (n, *target), generator=generator)


def shaken(module):
    """Move every weight a little: a layer that starts at zero hides what is before it."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return module


def by_opacus(module, images, targets):
    """Return one gradient an image, shape (n, parameters), by Opacus' own hooks.

    Volumes in float64: there the float32 sums of Opacus alone are off by up to 6e-6.
    """
    from opacus import GradSampleModule

    kind = torch.float64 if images.ndim == 5 else torch.float32
    theirs = GradSampleModule(copy.deepcopy(module).to(kind), loss_reduction="sum")
    losses(theirs(images.to(kind)), targets).sum().backward()
    return torch.cat([p.grad_sample.flatten(1) for p in theirs.parameters()], dim=1)


def by_loop(module, images, targets):
    """Return one gradient an image, shape (n, parameters), one backward pass each."""
    rows = []
    for place in range(len(images)):
        loss = losses(module(images[place : place + 1]), targets[place : place + 1]).sum()
        found = torch.autograd.grad(loss, list(module.parameters()))
        rows.append(torch.cat([grad.flatten() for grad in found]))
    return torch.stack(rows)


def cut_and_summed(rows):
    factors = (CLIP * (1 - CLIP_MARGIN) / rows.double().norm(dim=1)).clamp(max=1)
    return (factors[:, None] * rows.double()).sum(0).numpy()


def assert_close(actual, expected):
    assert np.linalg.norm(actual - expected) <= 1e-5 * max(1.0, np.linalg.norm(expected))


CASES = [
    *(
        (name, lambda name=name: build(recipe(name), seed=2), recipe(name).input_shape)
        for name in recipe_names()
    ),
    ("densenet121-groupnorm", a_densenet, (1, 64, 64)),
]


@pytest.mark.filterwarnings("ignore:Full backward hook")
@pytest.mark.parametrize(("name", "make", "image"), CASES, ids=[case[0] for case in CASES])
def test_every_network_trains_layer_by_layer_and_agrees_with_opacus(name, make, image):
    module = shaken(make())
    images, targets = a_batch(image, image[1:] if len(image) == 4 else ())
    method = gradients_of(module, image=image, target=targets.shape[1:])
    assert isinstance(method, LayerwiseGradients)
    rows, values = method(images, targets)
    expected = by_opacus(module, images, targets)
    for mine, theirs in zip(torch.cat(rows, dim=1), expected, strict=True):
        assert_close(mine.numpy(), theirs.numpy())
    assert torch.allclose(values, losses(module(images), targets).detach(), atol=1e-5)
    total, _ = clipped_sum(module, images, targets, clip_norm=CLIP, method=method)
    assert_close(total, cut_and_summed(expected))


def test_a_recipe_upsamples_with_a_transposed_convolution():
    layers = {type(layer) for layer in build(recipe("hippocampus-seg"), seed=1).modules()}
    assert {nn.ConvTranspose3d, nn.Conv3d, nn.InstanceNorm3d} <= layers


class Everything(nn.Module):
    """Every layer that has a rule, with settings away from their defaults."""

    def __init__(self):
        super().__init__()
        self.flat = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1, dilation=2, groups=1),
            nn.GroupNorm(2, 4),
            nn.PReLU(4),
            nn.Conv2d(4, 6, 3, groups=2, bias=False),
            nn.InstanceNorm2d(6, affine=True),
            nn.PReLU(),
            nn.ConvTranspose2d(6, 4, 3, stride=2, output_padding=1, groups=2),
            nn.Conv2d(4, 4, 1),
        )
        self.line = nn.Sequential(
            nn.Conv1d(4, 5, 3),
            nn.InstanceNorm1d(5, affine=True),
            nn.ConvTranspose1d(5, 4, 2, stride=2),
        )
        self.tokens = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 8))
        self.space = nn.Sequential(
            nn.Conv3d(1, 3, 2),
            nn.InstanceNorm3d(3, affine=True),
            nn.ConvTranspose3d(3, 2, 2, bias=False),
        )
        self.head = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3, bias=False), nn.Linear(3, 2))

    def forward(self, images):
        words = self.line(self.flat(images).flatten(2)).transpose(1, 2)
        words = self.tokens(words).tanh()
        cube = words[:, :64].reshape(len(images), 1, 8, 8, 8)
        return self.head(self.space(cube).tanh().amax((2, 3, 4)))


def test_every_rule_agrees_with_autograd():
    torch.manual_seed(4)
    module = shaken(Everything())
    used = {type(layer) for layer in module.modules() if list(layer.parameters(recurse=False))}
    assert used == set(RULES)
    images, targets = a_batch((1, 16, 16), ())
    method = gradients_of(module, image=(1, 16, 16), target=())
    assert isinstance(method, LayerwiseGradients)
    rows, _ = method(images, targets)
    expected = by_loop(module, images, targets)
    for mine, theirs in zip(torch.cat(rows, dim=1), expected, strict=True):
        assert_close(mine.numpy(), theirs.numpy())


# What the faster method does not cover goes the general way, and is right there.


class Scaled(nn.Module):
    """A weight of a type that has no rule."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))
        self.linear = nn.Linear(64, 2)

    def forward(self, images):
        return self.scale * self.linear(images.flatten(1))


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 2)
        self.second.weight = self.first.weight

    def forward(self, images):
        return self.head(self.second(self.first(images.flatten(1)).tanh()))


class Twice(nn.Module):
    """One layer that runs twice."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(64, 64), nn.Linear(64, 2)

    def forward(self, images):
        return self.head(self.body(self.body(images.flatten(1)).tanh()))


class Borrowed(nn.Module):
    """A weight that is used outside the layer that owns it; at the start nothing shows it."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(64, 64), nn.Linear(64, 2)
        nn.init.zeros_(self.head.weight)

    def forward(self, images):
        hidden = self.body(images.flatten(1)).tanh()
        return self.head(functional.linear(hidden, self.body.weight.T))


class Halved(nn.Linear):
    """A subclass that computes otherwise than the layer it comes from."""

    def forward(self, values):
        return super().forward(values) / 2


def circular():
    layer = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
    return nn.Sequential(layer, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def same_padding():
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding="same"), nn.AdaptiveMaxPool2d(1), nn.Flatten())


UNCOVERED = {
    "an unknown layer": Scaled,
    "a shared weight": Tied,
    "a layer twice": Twice,
    "a borrowed weight": Borrowed,
    "a subclass": lambda: nn.Sequential(nn.Flatten(), Halved(64, 2)),
    "circular padding": circular,
    "same padding": same_padding,
}


@pytest.mark.parametrize("make", UNCOVERED.values(), ids=UNCOVERED)
def test_what_no_rule_covers_goes_the_general_way_and_is_right(make):
    module = make()
    images, targets = a_batch((1, 8, 8), ())
    method = gradients_of(module, image=(1, 8, 8), target=())
    assert isinstance(method, VectorisedGradients)
    rows, _ = method(images, targets)
    assert_close(torch.cat(rows, dim=1).numpy(), by_loop(module, images, targets).numpy())


def test_a_rule_that_is_wrong_is_found_out(monkeypatch):
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    before = LayerwiseGradients._row
    monkeypatch.setattr(LayerwiseGradients, "_row", lambda *given: before(*given) * 1.01)
    assert isinstance(gradients_of(module, image=(1, 8, 8), target=()), VectorisedGradients)


def test_the_choice_does_not_depend_on_weights():
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with torch.no_grad():
        module[1].weight.fill_(float("nan"))
    assert isinstance(gradients_of(module, image=(1, 8, 8), target=()), LayerwiseGradients)


def test_a_network_whose_path_hangs_on_the_image_is_refused():
    class Fork(Twice):
        def forward(self, images):
            hidden = self.body(images.flatten(1)).tanh()
            return self.head(self.body(hidden) if images.amax() > 100 else hidden)

    module = Fork()
    images, targets = a_batch((1, 8, 8), ())
    with pytest.raises(NetworkNotPrivateError):
        clipped_sum(module, images * 1000, targets, clip_norm=1.0)


def test_a_layer_that_does_not_run_has_a_gradient_of_zero():
    class Idle(Twice):
        def forward(self, images):
            return self.head(images.flatten(1))

    module = Idle()
    images, targets = a_batch((1, 8, 8), ())
    rows, _ = gradients_of(module, image=(1, 8, 8), target=())(images, targets)
    assert [bool(row.any()) for row in rows] == [False, False, True, True]


# It leaves things as they were, and stays small.


@pytest.mark.parametrize("make", [Twice, lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 2))])
def test_the_network_is_left_as_it_was(make):
    module = make()
    before = copy.deepcopy(module.state_dict())
    images, targets = a_batch((1, 8, 8), ())
    method = LayerwiseGradients(module, block=4)
    try:
        method(images, targets)
    except NotCoveredError:
        assert isinstance(module, Twice)
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    assert all("forward" not in vars(layer) for layer in module.modules())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_a_large_network_goes_in_smaller_blocks(monkeypatch):
    small = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    assert gradients_of(small, image=(1, 8, 8), target=()).block == choice.MOST_IMAGES
    monkeypatch.setattr(choice, "BLOCK_BYTES", 4 * 4 * (64 * 2 + 2 + 64))
    assert gradients_of(small, image=(1, 8, 8), target=()).block == 4
    monkeypatch.setattr(choice, "BLOCK_BYTES", 1)
    assert gradients_of(small, image=(1, 8, 8), target=()).block == 1
    assert gradients_of(Twice(), image=(1, 8, 8), target=()).block == 1


@pytest.mark.parametrize("numbers", [1, 1000, 1024, 300_000, 1 << 20])
def test_the_norm_of_a_long_gradient_is_exact_to_less_than_the_margin(numbers):
    row = torch.randn(3, numbers, generator=torch.Generator().manual_seed(1)) + 0.5
    exact = row.double().square().sum(1)
    assert float(((_squares(row) - exact) / exact).abs().max()) < 1e-6
