"""FedAvg chooses sites by lot, averages, and goes on from a checkpoint."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.domain.ids import SiteId
from federation.errors.core import InvalidValueError, UnreadableRecordError
from federation.errors.rounds import (
    DuplicateReplyError,
    NothingToAggregateError,
    TooFewSitesError,
    UpdateNotFiniteError,
    UpdateShapeError,
)
from strategies.aggregation import CheckedUpdate, Flat
from strategies.fedavg import FedAvg, FedAvgOptions, RoundOutcome, StrategyState, Weighting

SITES = [SiteId(f"site-{number}") for number in range(1, 8)]
A, B, C = SITES[:3]
ZERO = np.zeros(4, np.float32)


def fedavg(size: int = 4, **options: object) -> FedAvg:
    return FedAvg(size, FedAvgOptions(seed=1, **options))


def full(value: float) -> CheckedUpdate:
    return CheckedUpdate(np.full(4, value, np.float32))


def one_round(strategy: FedAvg, model: Flat, **updates: tuple[float, int]) -> RoundOutcome:
    folding = strategy.begin()
    for name, (value, examples) in updates.items():
        folding.fold(SiteId(name), full(value), examples=examples)
    return folding.finish(model)


def test_sites_count_by_their_examples() -> None:
    outcome = one_round(fedavg(), np.ones(4, np.float32), a=(1.0, 30), b=(5.0, 10))

    np.testing.assert_allclose(outcome.model, np.full(4, 3.0))
    assert outcome.total_weight == 40
    assert outcome.mean_norm == pytest.approx(4.0)


def test_a_large_site_is_capped() -> None:
    outcome = one_round(fedavg(most_examples=10), ZERO, a=(0.0, 1_000_000), b=(4.0, 10))

    np.testing.assert_allclose(outcome.model, np.full(4, 2.0))


def test_uniform_weights_ignore_the_number_of_examples() -> None:
    strategy = fedavg(weighting=Weighting.UNIFORM)
    outcome = one_round(strategy, ZERO, a=(1.0, 1), b=(3.0, 99), c=(5.0, 0))

    np.testing.assert_allclose(outcome.model, np.full(4, 3.0))


def test_the_outcome_says_in_which_order_the_sites_were_added() -> None:
    outcome = one_round(fedavg(), ZERO, c=(1.0, 1), a=(1.0, 1), b=(1.0, 1))

    assert outcome.folded == ("c", "a", "b")


def test_order_free_rounds_have_the_same_bits_in_any_order() -> None:
    first = one_round(fedavg(order_free=True), ZERO, a=(0.1, 3), b=(0.7, 5), c=(0.3, 11))
    second = one_round(fedavg(order_free=True), ZERO, c=(0.3, 11), b=(0.7, 5), a=(0.1, 3))

    assert first.model.tobytes() == second.model.tobytes()
    assert first.total_weight == second.total_weight


def test_the_model_that_was_given_is_left_as_it_was() -> None:
    model = np.ones(4, np.float32)
    one_round(fedavg(), model, a=(1.0, 1))

    np.testing.assert_array_equal(model, np.ones(4))


def test_momentum_follows_its_recurrence() -> None:
    strategy = fedavg(momentum=0.5, server_learning_rate=2.0)
    model = one_round(strategy, ZERO, a=(1.0, 1)).model
    model = one_round(strategy, model, a=(3.0, 1)).model

    np.testing.assert_allclose(model, np.full(4, 2 * 1.0 + 2 * (0.5 * 1.0 + 3.0)))


def test_a_site_cannot_be_counted_twice() -> None:
    folding = fedavg().begin()
    folding.fold(A, full(1.0), examples=1)

    with pytest.raises(DuplicateReplyError):
        folding.fold(A, full(1.0), examples=1)

    np.testing.assert_allclose(folding.finish(ZERO).model, np.ones(4))


def test_a_refused_reply_may_come_again_in_order() -> None:
    folding = fedavg().begin()
    with pytest.raises(UpdateShapeError):
        folding.fold(A, CheckedUpdate(np.ones(3, np.float32)), examples=1)
    folding.fold(A, full(2.0), examples=1)

    assert folding.finish(ZERO).folded == (A,)


def test_a_round_without_updates_does_not_advance_the_strategy() -> None:
    strategy = fedavg()
    with pytest.raises(NothingToAggregateError):
        strategy.begin().finish(ZERO)

    assert strategy.rounds == 0


def test_a_model_of_another_size_is_refused_before_anything_is_added() -> None:
    folding = fedavg().begin()
    folding.fold(A, full(1.0), examples=1)
    with pytest.raises(UpdateShapeError):
        folding.finish(np.ones(1, np.float32))

    np.testing.assert_allclose(folding.finish(ZERO).model, np.ones(4))


def test_a_next_model_beyond_float32_is_refused_and_the_strategy_stays() -> None:
    strategy = fedavg(server_learning_rate=100.0, momentum=0.9)
    with pytest.raises(UpdateNotFiniteError):
        one_round(strategy, ZERO, a=(4e37, 1))

    assert strategy.rounds == 0
    assert strategy.state().arrays == {}


@given(seed=st.integers(0, 10**9), number=st.integers(1, 1000), order=st.permutations(SITES))
@settings(max_examples=50, deadline=None)
def test_the_lot_does_not_depend_on_who_connected_first(seed, number, order) -> None:
    strategy = FedAvg(4, FedAvgOptions(seed=seed, fraction=0.5))
    chosen = strategy.select(order, quorum=2, round_number=number)

    assert chosen == strategy.select(SITES, quorum=2, round_number=number)
    assert len(chosen) == 4
    assert list(chosen) == sorted(set(chosen))


def test_the_lot_changes_with_round_and_seed() -> None:
    chosen = {
        FedAvg(4, FedAvgOptions(seed=seed, fraction=0.4)).select(SITES, quorum=1, round_number=n)
        for seed in range(5)
        for n in range(1, 6)
    }

    assert len(chosen) > 10


def test_a_fraction_never_goes_below_the_quorum() -> None:
    assert len(fedavg(fraction=0.1).select(SITES, quorum=5, round_number=1)) == 5


def test_fewer_sites_than_the_quorum_do_not_start_a_round() -> None:
    with pytest.raises(TooFewSitesError, match="2 of the study's sites are available"):
        fedavg().select([A, B, B], quorum=3, round_number=1)


def test_a_restored_strategy_goes_on_as_if_nothing_had_happened() -> None:
    undisturbed, killed = fedavg(momentum=0.9), fedavg(momentum=0.9)
    model = one_round(undisturbed, ZERO, a=(1.0, 1)).model
    one_round(killed, ZERO, a=(1.0, 1))
    saved = killed.state()
    again = fedavg(momentum=0.9)
    again.restore(StrategyState(json.loads(json.dumps(saved.values)), saved.arrays))

    after = one_round(undisturbed, model, a=(2.0, 1)).model
    assert one_round(again, model, a=(2.0, 1)).model.tobytes() == after.tobytes()
    assert again.rounds == 2


def damaged(**changes: object) -> StrategyState:
    strategy = fedavg(momentum=0.9)
    one_round(strategy, ZERO, a=(1.0, 1))
    saved = strategy.state()
    arrays = changes.pop("arrays", saved.arrays)
    return StrategyState({**saved.values, **changes}, arrays)


@pytest.mark.parametrize(
    "state",
    [
        damaged(strategy="krum"),
        damaged(version=2),
        damaged(size=5),
        damaged(rounds=-1),
        damaged(rounds="many"),
        damaged(rounds=True),
        damaged(options={}),
        damaged(more=1),
        damaged(arrays={}),
        damaged(arrays={"velocity": np.ones(3, np.float32)}),
        damaged(arrays={"speed": np.ones(4, np.float32)}),
        damaged(rounds=0),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(state: StrategyState) -> None:
    strategy = fedavg(momentum=0.9)
    with pytest.raises(UnreadableRecordError):
        strategy.restore(state)

    assert strategy.rounds == 0


def test_a_checkpoint_with_a_nan_is_refused() -> None:
    with pytest.raises(UpdateNotFiniteError, match="checkpoint"):
        fedavg(momentum=0.9).restore(damaged(arrays={"velocity": np.full(4, np.nan, np.float32)}))


@pytest.mark.parametrize(
    "options",
    [
        {"fraction": 0.0},
        {"fraction": float("nan")},
        {"momentum": 1.0},
        {"server_learning_rate": 0.0},
        {"most_examples": 0},
    ],
)
def test_options_outside_their_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError):
        fedavg(**options)
