"""Pairs of versions, conformal prediction and explanations: what the sums come to, and what hides.

The same numbers as all cases in one place, published values, and MAPIE as a second opinion.
"""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.evaluation_study.counting import statistics_of
from clients.evaluation_study.explained import Explained
from clients.evaluation_study.predictions import Predictions
from federation.domain.evaluation_plan import Conformal, EvaluationPlan, Explaining, Pairing
from federation.domain.ids import Sha256, SiteId
from federation.evaluation.explained import SPANS, shown_checks
from federation.evaluation.paired import JointHistogram, compare
from federation.evaluation.policy import default_policy
from federation.evaluation.proportions import Proportion
from federation.evaluation.scores import GRID, ScoreHistogram
from federation.evaluation.sliced import SlicedScores
from federation.evaluation.suppression import CellRule, Reason, Refusal
from federation.evaluation.uncertainty import (
    Parts,
    Uncertainty,
    assess_uncertainty,
    nonconformity,
    refusals_of,
)
from federation.evaluation.versions import VersionsCompared, compare_versions
from federation.evidence.canonical import canonical
from federation.operations.campaign.summing import SumFound
from federation.operations.evaluations.concluding import Found, Ran, conclude
from federation.operations.evaluations.records import metrics_of, planned_bodies, recorded
from federation.wire.statistics import layout_of
from registry.evaluations.evaluation import Metric
from tests.evaluate.plans import VERSION, a_plan, a_plan_of_two, an_evaluation
from tests.evaluate.test_concluding import SIZES, skilled
from tests.evaluate.test_statistics import joined, predictions

RULE = CellRule(10)
SEED = 5


def hospital(size: int, *, seed: int, version: int = 1) -> Predictions:
    """Return a hospital's predictions with explanations; the second version is a better one."""
    found = skilled(predictions(size, seed=seed, members=0.2), seed=seed)
    rng = np.random.default_rng([seed, version])
    unseen = np.flatnonzero(~found.members)[:40]
    checks = rng.uniform(0, 0.1, (len(unseen), len(SPANS)))
    found = replace(found, explained=Explained.of(unseen.tolist(), checks))
    if version == 1:
        return found
    truths = found.scored.truths
    better = (
        found.scored.bins[:, 0] + np.where(truths, 60, -60) + rng.integers(-90, 90, len(truths))
    )
    bins = found.scored.bins.copy()
    bins[:, 0] = np.clip(better, 0, GRID)
    return replace(found, scored=replace(found.scored, bins=bins))


def both_versions(size: int, *, seed: int) -> tuple[Predictions, Predictions]:
    return hospital(size, seed=seed), hospital(size, seed=seed, version=2)


def rows(parts: list[tuple[Predictions, Predictions]], plan: EvaluationPlan) -> list[np.ndarray]:
    """Return the sum of the rows of both versions."""
    first = [layout_of(plan, 1).row(statistics_of(one, plan, seed=SEED)) for one, _ in parts]
    second = [
        layout_of(plan, 2).row(statistics_of(two, plan, seed=SEED, first=one)) for one, two in parts
    ]
    return [np.sum(first, axis=0), np.sum(second, axis=0)]


def concluded(
    parts: list[tuple[Predictions, Predictions]], plan: EvaluationPlan | None = None
) -> list[Found]:
    """Return what two versions come to."""
    plan = plan or a_plan_of_two()
    digests = {SiteId("taipei"): Sha256.of(b"part")}
    sums = [
        SumFound(version, layout_of(plan, at).statistics(row), digests, Sha256.of(b"t"))
        for at, (version, row) in enumerate(zip(plan.versions, rows(parts, plan), strict=True), 1)
    ]
    ran = Ran(an_evaluation(plan), "eval-1.1", str(Sha256.of(b"protocol")), 7)
    return conclude(ran, sums, {one.entry: [] for one in plan.versions}, default_policy())


def in_one_place(
    parts: list[tuple[Predictions, Predictions]],
) -> list[tuple[Predictions, Predictions]]:
    """Return all hospitals' patients as those of one."""
    one, two = zip(*parts, strict=True)
    found = joined(list(one)), joined(list(two))
    offsets = np.cumsum([0, *(len(part.keys) for part in one)])
    explained = []
    for side in (one, two):
        places = [part.explained.patient + at for part, at in zip(side, offsets, strict=False)]
        checks = np.concatenate([part.explained.checks for part in side])
        explained.append(Explained(np.concatenate(places), checks))
    return [tuple(replace(f, explained=e) for f, e in zip(found, explained, strict=True))]  # type: ignore[list-item]


PARTS = [both_versions(size, seed=at) for at, size in enumerate(SIZES)]


# -- all together ---------------------------------------------------------------------------


def test_the_sum_of_hospitals_is_what_all_their_cases_in_one_place_give() -> None:
    plan = a_plan_of_two()

    federated, central = rows(PARTS, plan), rows(in_one_place(PARTS), plan)

    for at, (one, other) in enumerate(zip(federated, central, strict=True), 1):
        counted = layout_of(plan, at)._counted
        assert np.array_equal(one[:counted], other[:counted])
        assert np.abs(one[counted:] - other[counted:]).max() <= len(PARTS)  # rounded once a site


def test_a_row_gives_back_pairs_test_cases_and_checks() -> None:
    plan, (first, second) = a_plan_of_two(), PARTS[0]
    layout, found = layout_of(plan, 2), statistics_of(second, plan, seed=SEED, first=first)

    read = layout.statistics(layout.row(found))

    assert read.joint == found.joint and read.tested == found.tested
    for name, moments in found.explained.items():
        assert np.array_equal(read.explained[name].bins, moments.bins)
        assert read.explained[name].total == pytest.approx(moments.total, abs=2**-30)


def test_the_document_has_what_was_asked_for_and_only_that() -> None:
    first, second = concluded(PARTS)
    plain = a_plan(families=a_plan().families[:3], corruptions=())

    assert "paired" not in first.document and len(second.document["paired"]) == 1  # type: ignore[arg-type]
    assert {"uncertainty", "explainability"} <= first.document.keys()
    total = layout_of(plain, 1).row(statistics_of(PARTS[0][0], plain, seed=SEED))
    sums = [SumFound(VERSION, layout_of(plain, 1).statistics(total), {}, Sha256.of(b"t"))]
    (found,) = conclude(
        Ran(an_evaluation(plain), "eval-1.1", str(Sha256.of(b"p")), 7),
        sums, {VERSION.entry: []}, default_policy(),
    )  # fmt: skip
    assert not {"paired", "uncertainty", "explainability"} & found.document.keys()


def test_no_count_below_k_stands_in_a_document() -> None:
    for found in concluded(PARTS):
        text = canonical(found.document).decode()
        for name in ('"cases":', '"of":', '"positives":', '"negatives":', '"test_cases":'):
            for part in text.split(name)[1:]:
                assert int(part.partition(",")[0].partition("}")[0]) >= 10


def test_the_register_takes_the_metrics_and_pairs_stand_with_the_discrimination() -> None:
    plan, (_, second) = a_plan_of_two(), concluded(PARTS)
    study = an_evaluation(plan)
    bodies = dict(planned_bodies(study, default_policy(), runner="centre"))

    metrics = [one for family in recorded(plan) for one in metrics_of(second, family)]
    names = {Metric.model_validate_json(json.dumps(one)).name for one in metrics}

    assert {"auroc-difference", "coverage", "completeness-gap", "deletion-gain"} <= names
    assert len(bodies) == 2 * len(recorded(plan))


# -- pairs (E2) -----------------------------------------------------------------------------


def test_the_comparison_is_delongs_on_the_cases_that_both_scored() -> None:
    plan = a_plan_of_two(paired=Pairing(GRID))
    (one, two) = in_one_place(PARTS)[0]
    unseen = ~one.members[one.scored.patient]
    bins = [side.scored.bins[unseen, 0] for side in (two, one)]
    wanted = compare(
        JointHistogram.of_bins(bins[0], bins[1], one.scored.truths[unseen], (GRID + 1, GRID + 1))
    )

    pair = concluded(PARTS, plan)[1].further.paired

    assert pair is not None and pair.found == wanted
    assert pair.cases == int(unseen.sum())
    discrimination = concluded(PARTS, plan)[1].assessment.slices["all"].auroc.value
    assert pair.found.first == pytest.approx(discrimination, abs=1e-12)  # on the grid 1/1000


def test_a_patient_trained_on_by_either_version_is_in_no_pair() -> None:
    first, second = both_versions(200, seed=3)
    other = np.zeros(200, dtype=bool)
    other[60:80] = True
    second = replace(second, members=other)

    found = statistics_of(second, a_plan_of_two(), seed=SEED, first=first)

    assert found.joint is not None
    pairs = int(found.joint.positives.sum() + found.joint.negatives.sum())
    assert pairs == int((~first.members & ~other).sum())


def joint(table: np.ndarray) -> JointHistogram:
    return JointHistogram(table, table[::-1].copy())


def of_sizes(positives: int, negatives: int) -> ScoreHistogram:
    return ScoreHistogram(np.array([0, positives]), np.array([negatives, 0]))


@pytest.mark.parametrize(
    ("own", "first", "reason"),
    [
        ((60, 60), (60, 60), None),
        ((80, 60), (60, 75), None),
        ((63, 60), (60, 60), Reason.DIFFERENCE),
        ((60, 69), (60, 60), Reason.DIFFERENCE),
        ((60, 60), (60, 61), Reason.DIFFERENCE),
    ],
)
def test_a_comparison_that_tells_of_a_few_patients_by_difference_is_refused(
    own: tuple[int, int], first: tuple[int, int], reason: Reason | None
) -> None:
    table = joint(np.array([[10, 20], [14, 16]]))

    found = compare_versions(
        table, own=of_sizes(*own), first=of_sizes(*first), against="v1", rule=RULE
    )

    if reason is None:
        assert isinstance(found, VersionsCompared)
    else:
        assert isinstance(found, Refusal) and found.reason is reason


def test_a_comparison_of_few_cases_is_refused() -> None:
    table = joint(np.array([[2, 3], [1, 3]]))

    found = compare_versions(
        table, own=of_sizes(9, 9), first=of_sizes(9, 9), against="v1", rule=RULE
    )

    assert isinstance(found, Refusal) and found.reason is Reason.FEW_OF_A_CLASS


# -- conformal prediction (E13) ---------------------------------------------------------------


def sliced(bins: np.ndarray, truths: np.ndarray, sex: np.ndarray) -> SlicedScores:
    masks = {"sex=F": sex == 0, "sex=M": sex == 1}
    return SlicedScores.of(bins, truths, masks, bin_count=GRID + 1)


def population(size: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    risk = rng.beta(0.8, 1.0, size)
    return np.rint(GRID * risk).astype(np.int64), rng.random(size) < risk, rng.integers(0, 2, size)


def parts_of(size: int, seed: int) -> tuple[Parts, np.ndarray, np.ndarray, np.ndarray]:
    bins, truths, sex = population(size, seed)
    tests = np.random.default_rng(seed + 1).random(size) < 0.5
    whole = sliced(bins, truths, sex)
    tested = sliced(bins[tests], truths[tests], sex[tests])
    return Parts(whole, tested), bins, truths, tests


def shown(size: int = 1200, seed: int = 1, alpha: float = 0.1) -> Uncertainty:
    parts, *_ = parts_of(size, seed)
    found = assess_uncertainty(
        parts, alpha=alpha, rule=RULE, groups=["sex=F", "sex=M"], cuts=(0.9, 0.7, 0.5, 0.3)
    )
    assert isinstance(found, Uncertainty)
    return found


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.1, 0.2, 0.3]))
def test_threshold_and_coverage_are_those_of_the_cases_themselves(seed: int, alpha: float) -> None:
    parts, bins, truths, tests = parts_of(1200, seed)
    scores = np.where(truths, GRID - bins, bins)
    calibrating = np.sort(scores[~tests])
    rank = int(np.ceil((len(calibrating) + 1) * (1 - alpha) - 1e-9))

    found = assess_uncertainty(parts, alpha=alpha, rule=RULE, groups=[], cuts=())

    assert isinstance(found, Uncertainty)
    assert found.found.bin == calibrating[rank - 1] and found.found.rank == rank
    covered = scores[tests] <= found.found.bin
    rate = found.coverage["all"]
    assert isinstance(rate, Proportion) and rate == Proportion(int(covered.sum()), int(tests.sum()))


def test_prediction_sets_are_those_of_mapie() -> None:
    """MAPIE's split conformal classifier with the LAC score is the second opinion."""
    mapie = pytest.importorskip("mapie.classification", reason="MAPIE is an oracle only")
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Known(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """A classifier whose probability is its input."""

        def fit(self, x: Any, y: Any) -> "Known":
            del x, y
            self.classes_ = np.array([0, 1])
            return self

        def predict_proba(self, x: Any) -> Any:
            return np.column_stack([1 - x[:, 0], x[:, 0]])

        def predict(self, x: Any) -> Any:
            return (x[:, 0] >= 0.5).astype(int)

        def __sklearn_is_fitted__(self) -> bool:
            return True

    parts, bins, truths, tests = parts_of(1200, 4)
    x, y = (bins / GRID)[:, None], truths.astype(int)
    estimator = Known().fit(x, y)
    oracle = mapie.SplitConformalClassifier(
        estimator, confidence_level=0.9, conformity_score="lac", prefit=True
    )
    oracle.conformalize(x[~tests], y[~tests])
    _, sets = oracle.predict_set(x[tests])
    inside = sets[np.arange(int(tests.sum())), y[tests], 0]

    found = assess_uncertainty(parts, alpha=0.1, rule=RULE, groups=[], cuts=())

    assert isinstance(found, Uncertainty)
    assert found.coverage["all"] == Proportion(int(inside.sum()), int(tests.sum()))
    certain = int((sets[:, :, 0].sum(axis=1) == 1).sum())
    assert found.certain == Proportion(certain, int(tests.sum()))


def test_coverage_keeps_its_promise_and_is_told_by_class_and_group() -> None:
    found = shown()

    assert set(found.coverage) == {"all", "finding=yes", "finding=no", "sex=F", "sex=M"}
    overall = found.coverage["all"]
    assert isinstance(overall, Proportion) and overall.wilson().contains(0.9)
    classes = [found.coverage[name] for name in ("finding=yes", "finding=no")]
    assert all(isinstance(one, Proportion) for one in classes)
    assert sum(one.hits for one in classes) == overall.hits  # type: ignore[union-attr]


def test_risk_falls_when_the_least_sure_are_left_out_and_is_told_at_shown_cuts_only() -> None:
    selective = shown().selective

    assert [one.point.least_confidence for one in selective] == [0.5, 0.7]
    assert selective[0].point.answered == 1.0 > selective[1].point.answered
    assert selective[0].point.risk > selective[1].point.risk


def test_four_hundred_and_ninety_nine_cases_give_the_published_rank() -> None:
    """EVALUATION.md E13: n=499, alpha=.1 -> rank 450, coverage in [.900, .902]."""
    positives = np.zeros(GRID + 1, dtype=np.int64)
    negatives = positives.copy()
    positives[500:750] = 1
    negatives[250:499] = 1
    calibrating = ScoreHistogram(positives, negatives)
    from federation.evaluation.conformal import threshold

    found = threshold(nonconformity(calibrating), 0.1)

    assert (found.calibration_cases, found.rank) == (499, 450)
    assert found.coverage.low == pytest.approx(0.900) and found.coverage.high == pytest.approx(
        0.902
    )


@pytest.mark.parametrize(
    ("size", "reason"), [(30, Reason.FEW_OF_A_CLASS), (120, Reason.EXTREME_QUANTILE)]
)
def test_a_threshold_of_few_cases_is_not_shown(size: int, reason: Reason) -> None:
    parts, *_ = parts_of(size, 2)

    found = assess_uncertainty(parts, alpha=0.1, rule=RULE, groups=[], cuts=())

    assert isinstance(found, Refusal) and found.reason is reason


def test_a_class_whose_misses_are_few_hides_both_classes() -> None:
    parts, *_ = parts_of(300, 6)

    found = assess_uncertainty(parts, alpha=0.1, rule=RULE, groups=["sex=F", "sex=M"], cuts=())

    assert isinstance(found, Uncertainty)
    hidden = {one.name for one in refusals_of(found)}
    assert {"uncertainty finding=yes", "uncertainty finding=no"} <= hidden


def test_groups_that_differ_from_another_familys_by_few_test_cases_have_no_coverage() -> None:
    bins, truths, sex = population(1200, 1)
    tests = np.random.default_rng(2).random(1200) < 0.5
    nearly = sex.copy()
    nearly[np.flatnonzero(tests)[:3]] ^= 1
    nearly[np.flatnonzero(~tests)[:40]] ^= 1
    masks = {"age-band=a": nearly == 0, "age-band=b": nearly == 1,
             "sex=F": sex == 0, "sex=M": sex == 1}  # fmt: skip
    whole = SlicedScores.of(bins, truths, masks, bin_count=GRID + 1)
    tested = SlicedScores.of(
        bins[tests], truths[tests], {n: m[tests] for n, m in masks.items()}, bin_count=GRID + 1
    )

    found = assess_uncertainty(
        Parts(whole, tested), alpha=0.1, rule=RULE, groups=list(masks), cuts=()
    )

    assert isinstance(found, Uncertainty)
    reasons = {
        name: rate.reason for name, rate in found.coverage.items() if isinstance(rate, Refusal)
    }
    assert reasons == {"sex=F": Reason.DIFFERENCE, "sex=M": Reason.DIFFERENCE}


def test_patients_are_split_by_the_seed_alone_and_the_same_for_every_version() -> None:
    plan, (first, second) = a_plan_of_two(uncertainty=Conformal(0.1, 0.3)), PARTS[0]
    once = statistics_of(first, plan, seed=1).tested
    again = statistics_of(second, plan, seed=1, first=first).tested
    other = statistics_of(first, plan, seed=2).tested
    assert once is not None and again is not None and other is not None

    assert np.array_equal(once.overlaps, again.overlaps)
    assert not np.array_equal(once.overlaps, other.overlaps)
    whole = statistics_of(first, plan, seed=1).scores.overlaps[0, 0]
    assert 0.6 < once.overlaps[0, 0] / whole < 0.8


# -- explanations (E12) ------------------------------------------------------------------------


def checks_of(cases: int, missing: int = 0) -> dict[str, Any]:
    found = np.random.default_rng(1).uniform(0, 0.09, (cases, len(SPANS)))
    found[:missing, 1] = np.nan
    return Explained.of(list(range(cases)), found).moments()


def test_means_and_histograms_of_checks_are_shown_with_no_small_bar() -> None:
    found = shown_checks(checks_of(96), RULE)

    assert set(found.shown) == set(SPANS) and not found.refusals
    for one in found.shown.values():
        assert sum(share for *_, share in one.histogram) == pytest.approx(1)
        assert all(share * 96 >= 10 - 1e-9 for *_, share in one.histogram)
        assert one.span[0] <= one.mean.value <= one.span[1]


@pytest.mark.parametrize(
    ("missing", "reason"), [(3, Reason.DIFFERENCE), (20, None), (95, Reason.SMALL_TOTAL)]
)
def test_a_check_that_a_few_cases_lack_is_not_shown_beside_the_others(
    missing: int, reason: Reason | None
) -> None:
    found = shown_checks(checks_of(96, missing), RULE)

    assert [one.reason for one in found.refusals] == ([] if reason is None else [reason])


def test_more_cases_than_declared_stay_inside() -> None:
    from federation.errors.secure_sum import SumNumbersRefusedError

    plan = a_plan(explainability=Explaining(10, 8))
    found = hospital(80, seed=1)
    many = replace(found, explained=Explained.of(list(range(40)), np.ones((40, len(SPANS)))))

    with pytest.raises(SumNumbersRefusedError):
        layout_of(plan, 1).row(statistics_of(many, plan, seed=SEED))
