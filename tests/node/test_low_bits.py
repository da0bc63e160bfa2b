"""Low bits: what training leaves there passes, what somebody wrote there does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from clients.low_bits import (
    LARGEST_Z,
    LEAST_NUMBERS,
    SAMPLE,
    carries_payload,
    unevenness,
    without_low_bits,
)
from tests.training.arrays import SeededRandom

SIZE = 50_000


def trained(
    *, seed: int, size: int = SIZE, weights: float = 0.05, step: float = 1e-3, steps: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Return a model and its update: float32 weights, many rounded steps."""
    rng = np.random.default_rng(seed)
    model = (weights * rng.standard_normal(size)).astype(np.float32)
    after = model.copy()
    for _ in range(steps):
        after -= (step * rng.standard_normal(size)).astype(np.float32)
    return model, after - model


def written_over(update: np.ndarray, payload: bytes) -> np.ndarray:
    bits = update.copy().view(np.uint32)
    count = len(payload)
    bits[:count] = (bits[:count] & ~np.uint32(0xFF)) | np.frombuffer(payload, np.uint8)
    return bits.view(np.float32)


def text(size: int) -> bytes:
    return (b"chest film of a person with a name and a date of birth; " * size)[:size]


def image(size: int) -> bytes:
    grey = np.random.default_rng(1).normal(90, 30, size)
    return np.clip(grey, 0, 255).astype(np.uint8).tobytes()


def cipher(size: int) -> bytes:
    return np.random.default_rng(2).bytes(size)


@pytest.mark.parametrize("weights", [1e-3, 0.05, 1.0])
@pytest.mark.parametrize("step", [1e-5, 1e-3, 0.1])
def test_honest_updates_pass(weights: float, step: float) -> None:
    """36 updates here; 600 in the slow test have deviates of at most 3.1, the limit is 7."""
    for seed in range(4):
        model, update = trained(seed=seed, weights=weights, step=step, steps=1 + 7 * seed)
        assert not carries_payload(update, model=model, source=SeededRandom(seed))
        assert unevenness(update) < LARGEST_Z - 1


@pytest.mark.slow
def test_the_rate_of_false_alarms_is_that_of_a_normal_deviate() -> None:
    rng = np.random.default_rng(9)
    found = [
        unevenness(
            trained(
                seed=seed,
                size=20_000,
                weights=10 ** rng.uniform(-3, 0),
                step=10 ** rng.uniform(-5, -1),
                steps=int(rng.integers(1, 30)),
            )[1]
        )
        for seed in range(600)
    ]
    assert max(found) < 5
    assert abs(np.mean(found)) < 0.3
    assert np.std(found) < 1.4


@pytest.mark.parametrize("payload", [text, image])
@pytest.mark.parametrize("share", [0.2, 1.0])
def test_text_and_pixels_are_found_without_the_model(payload, share: float) -> None:
    _, update = trained(seed=3)
    loaded = written_over(update, payload(int(share * SIZE)))

    assert carries_payload(loaded, model=None, source=SeededRandom(0))


@pytest.mark.parametrize("share", [0.05, 1.0])
def test_what_is_encrypted_is_found_with_the_model(share: float) -> None:
    model, update = trained(seed=3)
    loaded = written_over(update, cipher(int(share * SIZE)))

    assert carries_payload(loaded, model=model, source=SeededRandom(0))


def test_a_large_update_is_judged_by_a_sample() -> None:
    model, update = trained(seed=4, size=2 * SAMPLE, steps=2)

    assert not carries_payload(update, model=model, source=SeededRandom(0))
    loaded = written_over(update, text(2 * SAMPLE))
    assert carries_payload(loaded, model=None, source=SeededRandom(0))


@pytest.mark.parametrize("update", [np.zeros(10_000), np.ones(10_000), np.zeros(0)])
def test_an_update_without_anything_to_judge_passes(update: np.ndarray) -> None:
    assert unevenness(update.astype(np.float32)) == 0.0
    assert LEAST_NUMBERS > 1000


@given(arrays.arrays(np.float32, 64, elements=st.floats(width=32, allow_nan=False)))
def test_rounding_clears_eight_bits_and_keeps_sixteen(values: np.ndarray) -> None:
    values = np.nan_to_num(values, posinf=1, neginf=-1).astype(np.float32)
    rounded = without_low_bits(values)

    assert not (rounded.view(np.uint32) & 0xFF).any()
    assert np.isfinite(rounded).all()
    error = np.abs(rounded.astype(np.float64) - values)
    least = np.finfo(np.float32).tiny
    assert (error <= np.maximum(np.abs(values.astype(np.float64)), least) * 2**-15).all()
    assert np.array_equal(without_low_bits(rounded), rounded)
