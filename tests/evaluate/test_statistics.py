"""Counts keep their place on the wire: rows add up to the statistics of all cases together."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.evaluation_study.cases import Traits
from clients.evaluation_study.counting import statistics_of, unseen_histogram
from clients.evaluation_study.disjointness import Checked
from clients.evaluation_study.predictions import Predictions
from clients.evaluation_study.scoring import Scored
from federation.domain.evaluation_plan import SEVERITIES, EvaluationPlan, Family
from federation.domain.ids import RunId, Sha256
from federation.errors.evaluation import SummaryInvalidError
from federation.evaluation.sliced import EVERYONE
from federation.wire.statistics import SiteStatistics, as_floats, from_floats, layout_of
from tests.evaluate.plans import a_plan

COLUMNS = 1 + 2 * SEVERITIES
CHECKED = Checked((RunId("cxr-2026.1"),), Sha256.of(b"whom it saw"))


def predictions(patients: int, *, seed: int, members: float = 0.5) -> Predictions:
    """Return made-up predictions; members are the first patients."""
    rng = np.random.default_rng(seed)
    keys = [f"{seed}-{one}" for one in range(patients)]
    trained = np.arange(patients) < members * patients
    traits = Traits(rng.integers(-1, 2, (patients, 1)), rng.uniform(18, 90, patients))
    bins = rng.integers(0, 1001, (patients, COLUMNS))
    scored = Scored(
        np.arange(patients), rng.random(patients) < 0.4, bins, rng.exponential(0.5, patients)
    )
    return Predictions.of(keys, trained, traits, scored, CHECKED)


def joined(parts: list[Predictions]) -> Predictions:
    """Return the predictions of all hospitals' patients in one place."""
    first = np.cumsum([0, *(len(one.keys) for one in parts)])
    scored = [one.scored for one in parts]
    return Predictions(
        np.concatenate([one.keys for one in parts]),
        np.concatenate([one.members for one in parts]),
        Traits(
            np.concatenate([one.traits.values for one in parts]),
            np.concatenate([one.traits.ages for one in parts]),
        ),
        Scored(
            np.concatenate([one.patient + at for one, at in zip(scored, first, strict=False)]),
            np.concatenate([one.truths for one in scored]),
            np.concatenate([one.bins for one in scored]),
            np.concatenate([one.losses for one in scored]),
        ),
        CHECKED,
    )


def row(found: Predictions, plan: EvaluationPlan) -> np.ndarray:
    return layout_of(plan, 1).row(statistics_of(found, plan, seed=5))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=3, max_size=6), st.integers(0, 2**16))
def test_the_sum_of_hospitals_is_what_all_their_cases_together_give(
    sizes: list[int], seed: int
) -> None:
    plan = a_plan()
    parts = [predictions(size, seed=seed + at) for at, size in enumerate(sizes)]

    total = sum(row(one, plan) for one in parts)

    assert np.array_equal(total, row(joined(parts), plan))


def test_a_row_gives_back_the_statistics_it_was_made_of() -> None:
    plan = a_plan()
    found = statistics_of(predictions(80, seed=1), plan, seed=5)

    read: SiteStatistics = layout_of(plan, 1).statistics(layout_of(plan, 1).row(found))

    assert read.scores == found.scores
    assert read.corrupted == found.corrupted
    assert read.closeness == found.closeness
    assert read.drift == found.drift


def test_only_unseen_patients_are_scored_and_members_are_the_reference() -> None:
    found = predictions(40, seed=3, members=0.25)
    counted = statistics_of(found, a_plan(), seed=5)
    reference, now = counted.drift["score"]

    assert counted.scores.histogram(EVERYONE).patients == unseen_histogram(found).patients == 30
    assert (int(reference.cases.sum()), int(now.cases.sum())) == (10, 30)
    assert counted.closeness is not None and int(counted.closeness.positives.sum()) == 10


def test_a_hospital_that_did_not_train_a_version_says_nothing_of_members_or_drift() -> None:
    counted = statistics_of(predictions(40, seed=3, members=0.0), a_plan(), seed=5)

    assert counted.closeness is not None and counted.closeness.patients == 0
    assert all(int(one.cases.sum()) == 0 for pair in counted.drift.values() for one in pair)


def test_who_is_gone_since_is_in_no_count() -> None:
    found = predictions(40, seed=3, members=0.0)

    assert unseen_histogram(found.without({"3-0", "3-39", "stranger"})).patients == 38


def test_what_is_not_asked_for_takes_no_place() -> None:
    families = (Family.DISCRIMINATION,)
    small = layout_of(a_plan(families=families, corruptions=(), slices=()), 1)

    assert small.size == 2 * 1001 + 1
    assert layout_of(a_plan(), 1).size > 10 * small.size


def test_floats_carry_numbers_modulo_two_to_the_64_without_loss() -> None:
    numbers = np.array([0, 1, 2**16, 2**53 + 1, 2**64 - 1], dtype=np.uint64)

    assert np.array_equal(from_floats(as_floats(numbers)), numbers)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, 65_536.0, 0.5])
def test_floats_that_carry_no_number_are_refused(bad: float) -> None:
    floats = as_floats(np.zeros(2, np.uint64)).copy()
    floats[3] = bad

    with pytest.raises(SummaryInvalidError):
        from_floats(floats)


def test_worse_images_of_other_cases_are_refused() -> None:
    plan = a_plan()
    layout = layout_of(plan, 1)
    good = row(predictions(30, seed=2), plan)
    first = next(place for place, (name, _) in enumerate(layout._parts()) if name == "corrupted")
    start = sum(size for _, size in list(layout._parts())[:first])
    good[start] += 5

    with pytest.raises(SummaryInvalidError, match="corrupted"):
        layout.statistics(good)


def test_counts_that_contradict_each_other_are_refused() -> None:
    layout = layout_of(a_plan(), 1)
    good = row(predictions(30, seed=2), a_plan())
    wrong = good.copy()
    wrong[0] += 1  # a case that no slice has in its overlaps

    layout.statistics(good)
    other: list[Any] = [wrong, good[:-1], good - 1, good.astype(np.float64)]
    for bad in other:
        with pytest.raises(SummaryInvalidError):
            layout.statistics(bad)
