"""The streaming means are right, cheap in memory, and unmoved by what they refuse."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from federation.errors import PlatformError
from federation.errors.rounds import (
    NothingToAggregateError,
    TooFewUpdatesError,
    UpdateFormError,
    UpdateNotFiniteError,
    UpdateShapeError,
    UpdateTooLargeError,
    WeightInvalidError,
)
from strategies import aggregation
from strategies.aggregation import (
    BLOCK,
    CheckedUpdate,
    Flat,
    OrderFreeMean,
    StreamingMean,
    krum,
    median,
    squared_distances,
    trimmed_mean,
)

MEANS = [
    pytest.param(StreamingMean, id="streaming"),
    pytest.param(lambda size: OrderFreeMean(size, ceiling=1e6), id="order-free"),
]


def some_updates(count: int, size: int = 1000, seed: int = 1) -> list[Flat]:
    generator = np.random.default_rng(seed)
    return [generator.standard_normal(size, dtype=np.float32) for _ in range(count)]


def averaged(
    mean: StreamingMean | OrderFreeMean, updates: list[Flat], weights: list[float]
) -> Flat:
    for update, weight in zip(updates, weights, strict=True):
        mean.add(update, weight)
    return mean.result()


@st.composite
def updates_and_weights(draw: st.DrawFn) -> tuple[list[Flat], list[float]]:
    count = draw(st.integers(1, 12))
    updates = some_updates(count, draw(st.integers(1, 300)), draw(st.integers(0, 2**32)))
    weights = draw(st.lists(st.floats(0.5, 1e4), min_size=count, max_size=count))
    return updates, weights


@pytest.mark.parametrize("make", MEANS)
@given(given_data=updates_and_weights())
@settings(max_examples=60, deadline=None)
def test_the_mean_is_numpys_average(make, given_data) -> None:
    updates, weights = given_data
    mean = averaged(make(updates[0].size), updates, weights)

    assert mean.dtype == np.float32
    expected = np.average(np.array(updates, np.float64), axis=0, weights=weights)
    np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)


@given(given_data=updates_and_weights(), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_the_order_of_arrival_moves_the_mean_by_rounding_only(given_data, seed) -> None:
    updates, weights = given_data
    order = np.random.default_rng(seed).permutation(len(updates))
    mean = averaged(StreamingMean(updates[0].size), updates, weights)
    shuffled = averaged(
        StreamingMean(updates[0].size), [updates[i] for i in order], [weights[i] for i in order]
    )

    np.testing.assert_allclose(mean, shuffled, rtol=0, atol=1e-6)


@given(given_data=updates_and_weights(), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_the_order_free_mean_has_the_same_bits_in_every_order(given_data, seed) -> None:
    updates, weights = given_data
    order = np.random.default_rng(seed).permutation(len(updates))
    mean = averaged(OrderFreeMean(updates[0].size, ceiling=2e5), updates, weights)
    shuffled = averaged(
        OrderFreeMean(updates[0].size, ceiling=2e5),
        [updates[i] for i in order],
        [weights[i] for i in order],
    )

    assert mean.tobytes() == shuffled.tobytes()


def test_the_order_free_mean_of_half_grid_points_does_not_depend_on_the_order() -> None:
    half = np.float32(OrderFreeMean.GRID / 2)
    updates = [np.array([half]), np.array([3 * half]), np.array([np.float32(1.0)])]
    sums = {
        averaged(OrderFreeMean(1, ceiling=4), list(turned), [1.0, 1.0, 1.0]).tobytes()
        for turned in (updates, updates[::-1], [updates[1], updates[2], updates[0]])
    }

    assert len(sums) == 1


def test_the_same_order_gives_the_same_bits() -> None:
    updates = some_updates(5)
    first = averaged(StreamingMean(1000), updates, [1.0, 2.0, 3.0, 4.0, 5.0])
    second = averaged(StreamingMean(1000), updates, [1.0, 2.0, 3.0, 4.0, 5.0])

    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("make", MEANS)
def test_updates_longer_than_a_block_are_folded_to_their_end(make) -> None:
    updates = some_updates(3, size=2 * BLOCK + 17)
    mean = averaged(make(2 * BLOCK + 17), updates, [1.0, 2.0, 3.0])

    expected = np.average(updates, axis=0, weights=[1, 2, 3])
    np.testing.assert_allclose(mean, expected, atol=1e-6)


def with_element(value: float, position: int = -1, size: int = 2 * BLOCK + 17) -> Flat:
    update = np.ones(size, np.float32)
    update[position] = value
    return update


REFUSED = [
    pytest.param(with_element(float("nan")), 1.0, UpdateNotFiniteError, id="nan"),
    pytest.param(with_element(float("inf")), 1.0, UpdateNotFiniteError, id="inf"),
    pytest.param(with_element(float("-inf"), 0), 1.0, UpdateNotFiniteError, id="minus-inf"),
    pytest.param(with_element(1.0, size=5), 1.0, UpdateShapeError, id="too-short"),
    pytest.param(with_element(1.0).astype(np.float64), 1.0, UpdateFormError, id="float64"),
    pytest.param(with_element(1.0).reshape(1, -1), 1.0, UpdateFormError, id="two-dimensional"),
    pytest.param([1.0], 1.0, UpdateFormError, id="a-list"),
    pytest.param(with_element(3e38), 1e3, UpdateTooLargeError, id="would-overflow"),
    pytest.param(with_element(1.0), 0.0, WeightInvalidError, id="weight-zero"),
    pytest.param(with_element(1.0), -1.0, WeightInvalidError, id="weight-negative"),
    pytest.param(with_element(1.0), float("nan"), WeightInvalidError, id="weight-nan"),
    pytest.param(with_element(1.0), float("inf"), WeightInvalidError, id="weight-infinite"),
]


@pytest.mark.parametrize("make", MEANS)
@pytest.mark.parametrize(("update", "weight", "error"), REFUSED)
def test_a_refused_update_leaves_the_sum_as_it_was(make, update, weight, error) -> None:
    size = 2 * BLOCK + 17
    good = some_updates(2, size)
    undisturbed = averaged(make(size), good, [1.0, 2.0])
    mean = make(size)
    mean.add(good[0], 1.0)

    with pytest.raises(error):
        mean.add(update, weight)

    mean.add(good[1], 2.0)
    assert (mean.count, mean.total) == (2, 3.0)
    assert mean.result().tobytes() == undisturbed.tobytes()


def test_large_but_finite_numbers_are_accepted() -> None:
    mean = averaged(StreamingMean(4), [np.full(4, 1e30, np.float32)] * 2, [1.0, 1.0])

    np.testing.assert_allclose(mean, np.full(4, 1e30))


def test_a_mean_of_nothing_is_refused() -> None:
    with pytest.raises(NothingToAggregateError):
        StreamingMean(3).result()
    with pytest.raises(NothingToAggregateError):
        OrderFreeMean(3, ceiling=1).result()


@pytest.mark.parametrize("make", MEANS)
def test_a_mean_starts_over_after_its_result(make) -> None:
    mean = make(3)
    averaged(mean, some_updates(2, 3), [1.0, 1.0])
    ones = averaged(mean, [np.ones(3, np.float32)], [7.0])

    np.testing.assert_array_equal(ones, np.ones(3))


def test_the_updates_are_left_untouched_and_cannot_change_after_the_check() -> None:
    update = some_updates(1)[0]
    before = update.copy()
    checked = CheckedUpdate(update)
    mean = StreamingMean(1000)
    mean.add(checked, 2.0)
    mean.result()

    np.testing.assert_array_equal(update, before)
    with pytest.raises(ValueError, match="read-only"):
        checked.values[0] = 1


def test_the_norm_of_a_checked_update_is_its_l2_norm() -> None:
    update = some_updates(1, size=BLOCK + 5)[0]

    expected = float(np.linalg.norm(update.astype(np.float64)))
    assert CheckedUpdate(update).norm == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("sites", [2, 20])
def test_memory_is_one_model_and_one_block_whatever_the_number_of_sites(sites: int) -> None:
    size = 8 * BLOCK
    update = np.ones(size, np.float32)
    tracemalloc.start()
    averaged(StreamingMean(size), [update] * sites, [1.0] * sites)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < size * 4 + BLOCK * 4 + 100_000


@given(count=st.integers(1, 14), seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_the_median_is_numpys(count: int, seed: int) -> None:
    updates = some_updates(count, 50, seed)

    np.testing.assert_allclose(median(updates), np.median(updates, axis=0), atol=1e-6)


@given(count=st.integers(1, 14), seed=st.integers(0, 2**32), data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_trimmed_mean_leaves_out_both_ends(count: int, seed: int, data: st.DataObject) -> None:
    trim = data.draw(st.integers(0, (count - 1) // 2))
    updates = some_updates(count, 50, seed)
    middle = np.sort(np.array(updates, np.float64), axis=0)[trim : count - trim]

    np.testing.assert_allclose(trimmed_mean(updates, trim=trim), middle.mean(axis=0), atol=1e-6)


def test_robust_rules_go_through_every_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregation, "SIDE_BY_SIDE", 64)
    updates = some_updates(5, 64 * 3 + 7)

    np.testing.assert_allclose(median(updates), np.median(updates, axis=0), atol=1e-6)
    np.testing.assert_allclose(squared_distances(updates), brute_distances(updates), rtol=1e-5)


def brute_distances(updates: list[Flat]) -> NDArray[np.float64]:
    wide = np.array(updates, np.float64)
    return ((wide[:, None] - wide[None]) ** 2).sum(axis=2)


def test_distances_keep_their_digits_far_from_zero() -> None:
    far = [1000 + update for update in some_updates(4)]

    np.testing.assert_allclose(squared_distances(far), brute_distances(far), rtol=1e-3)


def test_one_hostile_site_moves_the_median_and_the_trimmed_mean_little() -> None:
    honest = some_updates(6)
    hostile = [*honest, np.full(1000, 1e9, np.float32)]

    assert np.abs(median(hostile)).max() < 4
    assert np.abs(trimmed_mean(hostile, trim=1)).max() < 4


def test_krum_never_chooses_the_hostile_sites() -> None:
    honest = some_updates(6)
    updates = [np.full(1000, 1e3, np.float32), *honest, np.full(1000, -1e3, np.float32)]

    assert set(krum(updates, hostile=2, keep=6)) == {1, 2, 3, 4, 5, 6}


def test_krum_is_the_definition_of_blanchard() -> None:
    updates = some_updates(9)
    distances = brute_distances(updates)
    scores = [np.sort(np.delete(row, i))[: 9 - 2 - 2].sum() for i, row in enumerate(distances)]

    assert krum(updates, hostile=2, keep=9) == tuple(np.argsort(scores))


def test_krum_refuses_what_it_cannot_promise() -> None:
    with pytest.raises(TooFewUpdatesError, match="needs 7 updates; 6 came"):
        krum(some_updates(6), hostile=2)


def test_a_trimmed_mean_of_too_few_is_refused() -> None:
    with pytest.raises(TooFewUpdatesError):
        trimmed_mean(some_updates(2), trim=1)


@pytest.mark.parametrize("rule", [median, lambda u: krum(u, hostile=0), squared_distances])
@pytest.mark.parametrize(
    "bad", [np.full(1000, np.nan, np.float32), np.ones(3, np.float32), np.ones(1000)]
)
def test_robust_rules_refuse_bad_updates_by_position(rule, bad) -> None:
    with pytest.raises(PlatformError, match="#3"):
        rule([*some_updates(2), bad])


def test_a_median_of_nothing_is_refused() -> None:
    with pytest.raises(NothingToAggregateError):
        median([])


def test_a_middle_that_overflows_is_refused() -> None:
    with pytest.raises(UpdateTooLargeError):
        median([np.full(3, 3e38, np.float32)] * 2)


def test_robust_rules_read_memory_maps(tmp_path: Path) -> None:
    updates = some_updates(5)
    for position, update in enumerate(updates):
        np.save(tmp_path / f"{position}.npy", update)
    maps = [np.load(tmp_path / f"{position}.npy", mmap_mode="r") for position in range(5)]

    np.testing.assert_array_equal(median(maps), median(updates))
