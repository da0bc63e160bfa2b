"""The centre's whole computation, with what it refuses and what it cannot do."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from itertools import product
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from federation.errors.evaluation import SummariesDifferError, SummaryInvalidError
from federation.evaluation.assessment import Assessment, Plan, SliceFigures, assess
from federation.evaluation.facts import facts_of
from federation.evaluation.fairness import Figure, Purpose
from federation.evaluation.operating_points import confusion
from federation.evaluation.policy import RiskClass, Verdict, decide, default_policy
from federation.evaluation.proportions import Proportion
from federation.evaluation.scores import GRID, ScoreHistogram, quantise
from federation.evaluation.sliced import SlicedScores
from federation.evaluation.suppression import Band, CellRule, Reason, Refusal

PLAN = Plan(
    threshold=0.5,
    decision_thresholds=(0.2, 0.3, 0.4),
    purpose=Purpose.CONFIRMATORY,
    rule=CellRule(),
    seed=20260101,
    references={"sex": "sex=M"},
)


def a_site(seed: int, cases: int = 2000, others: int = 0) -> SlicedScores:
    """Return calibrated scores of men and women, and of a few others."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(1, 2, cases)
    truths = rng.random(cases) < scores
    sex = np.where(np.arange(cases) < others, 2, rng.integers(0, 2, cases))
    masks = {f"sex={name}": sex == code for code, name in enumerate("FMX")}
    return SlicedScores.of(quantise(scores), truths, masks, bin_count=GRID + 1)


@pytest.fixture(scope="module")
def assessment() -> Assessment:
    return assess({f"site-{at}": a_site(at) for at in range(4)}, PLAN)


def test_the_parts_are_everyone_groups_and_sites(assessment: Assessment) -> None:
    assert assessment.slices.keys() == {"all", "sex=F", "sex=M"}
    assert assessment.sites.keys() == {f"site-{at}" for at in range(4)}
    assert assessment.slices["all"].cases == 8000
    assert assessment.bootstrap is not None
    interval = assessment.slices["all"].auroc_interval
    assert assessment.bootstrap.low == pytest.approx(interval.low, abs=0.01)
    assert assessment.heterogeneity is not None
    assert assessment.heterogeneity.sites == 4
    assert isinstance(assessment.slices["all"].rates["sensitivity"], Proportion)


def test_groups_are_compared_with_the_protocols_reference(assessment: Assessment) -> None:
    assert assessment.fairness is not None
    assert {one.reference for one in assessment.fairness.gaps} == {"sex=M"}
    assert {one.figure for one in assessment.fairness.gaps} == set(Figure)


def test_an_empty_group_is_refused_by_name(assessment: Assessment) -> None:
    names = {one.name for one in assessment.refusals}
    assert "sex=X" in names


def test_a_good_model_passes_the_default_policy(assessment: Assessment) -> None:
    facts = facts_of(assessment, PLAN, claim=0.80, psi={"age": 0.01})
    wanted = {"discrimination", "calibration", "fairness", "drift", "net-benefit"}
    assert decide(default_policy(), RiskClass.HIGH, facts, wanted).verdict is Verdict.MET
    assert decide(default_policy(), RiskClass.HIGH, facts).verdict is Verdict.FAIL


def test_the_document_is_json_with_six_decimals_and_no_histogram(assessment: Assessment) -> None:
    document = json.loads(json.dumps(assessment.as_json()))
    assert document["slices"]["all"]["brier"] == round(assessment.slices["all"].brier, 6)
    assert "positives" not in json.dumps(document)


def test_a_few_others_cannot_be_computed_from_everyone_and_the_rest() -> None:
    found = assess({f"site-{at}": a_site(at, others=7) for at in range(3)}, PLAN)
    reasons = {one.name: one.reason for one in found.refusals}
    assert reasons["sex=X"] is Reason.FEW_OF_A_CLASS
    assert sum(name in found.slices for name in ("sex=F", "sex=M")) == 1


def test_a_rare_miss_of_everyone_is_a_band_and_no_other_rate_gives_it_away() -> None:
    """155 of 162 found: with the precision's hits in full, 7 could be computed."""
    bins = np.repeat([900, 100, 900, 100], [155, 7, 32, 322])
    truths = np.repeat([True, True, False, False], [155, 7, 32, 322])
    found = assess({"a": SlicedScores.of(bins, truths, {}, bin_count=GRID + 1)}, PLAN)
    rates = found.slices["all"].rates
    assert isinstance(rates["sensitivity"], Band)
    assert isinstance(rates["specificity"], Proportion)
    for name in ("positive_predictive_value", "negative_predictive_value"):
        assert isinstance(rates[name], Refusal)


def test_two_thresholds_with_few_cases_between_them_are_not_both_shown() -> None:
    plan = replace(PLAN, decision_thresholds=(0.3, 0.301, 0.4))
    found = assess({"a": a_site(1), "b": a_site(2)}, plan)
    assert [one.threshold for one in found.decision_curve] == [0.3, 0.4]
    assert "net benefit 0.301" in {one.name for one in found.refusals}
    assert facts_of(found, plan, claim=0.8).decision_curve == ()


def test_a_small_site_hides_another_site() -> None:
    sites = {f"site-{at}": a_site(at) for at in range(3)} | {"small": a_site(9, cases=12)}
    found = assess(sites, PLAN)
    assert "small" not in found.sites
    assert len(found.sites) == 2
    assert Reason.HIDDEN_CELL in {one.reason for one in found.refusals}


def test_a_site_with_one_class_is_refused_and_the_others_are_summed() -> None:
    rng = np.random.default_rng(1)
    healthy = SlicedScores.of(
        quantise(rng.random(500)),
        np.zeros(500, dtype=bool),
        {f"sex={name}": np.arange(500) % 3 == at for at, name in enumerate("FMX")},
        bin_count=GRID + 1,
    )
    found = assess({"healthy": healthy, "a": a_site(1), "b": a_site(2)}, PLAN)
    assert found.slices["all"].cases == 4500
    assert "healthy" in {one.name for one in found.refusals}


def test_tied_scores_and_few_cases_fail_by_name() -> None:
    tied = SlicedScores.of(np.full(400, 500), np.arange(400) % 2 == 0, {}, bin_count=GRID + 1)
    found = assess({"tied": tied}, PLAN)
    assert found.slices == {}
    assert {one.error.code for one in found.failures} >= {"TF852"}
    few = assess({"few": a_site(1, cases=8)}, PLAN)
    assert few.slices == {}
    assert few.refusals[0].name == "all"


def test_sites_that_answer_another_protocol_are_not_added() -> None:
    other = SlicedScores.of(np.zeros(40, int), np.arange(40) < 20, {}, bin_count=GRID + 1)
    with pytest.raises(SummariesDifferError):
        assess({"a": a_site(1), "b": other}, PLAN)
    with pytest.raises(SummaryInvalidError):
        assess({}, PLAN)


# The attack: whole cells of every group, and everything the document says of them.

CELLS = ("tp", "fn", "fp", "tn")
RATES = {
    "sensitivity": ("tp", "fn"),
    "specificity": ("tn", "fp"),
    "positive_predictive_value": ("tp", "fp"),
    "negative_predictive_value": ("tn", "fn"),
}


def a_small_federation(seed: int, names: str) -> dict[str, SlicedScores]:
    """Return three sites of some hundred cases whose groups have rare cells."""
    rng = np.random.default_rng(seed)
    sites = {}
    for at in range(3):
        cases = int(rng.integers(60, 400))
        truths = rng.random(cases) < rng.uniform(0.1, 0.5)
        scores = np.clip(rng.normal(0.35 + 0.35 * truths, 0.12), 0, 1)
        group = rng.choice(len(names), cases, p=rng.dirichlet(np.full(len(names), 1.5)))
        masks = {f"sex={name}": group == code for code, name in enumerate(names)}
        sites[f"site-{at}"] = SlicedScores.of(quantise(scores), truths, masks, bin_count=GRID + 1)
    return sites


def cells_of(histogram: ScoreHistogram) -> dict[str, int]:
    found = confusion(histogram, PLAN.threshold)
    return {
        "tp": found.true_positives,
        "fn": found.false_negatives,
        "fp": found.false_positives,
        "tn": found.true_negatives,
    }


def known_of(figures: SliceFigures, truth: dict[str, int]) -> list[tuple[dict[str, int], int]]:
    """Return what a reader knows of a shown part: equations of its cells."""
    known = [
        ({"tp": 1, "fn": 1}, truth["tp"] + truth["fn"]),
        ({"fp": 1, "tn": 1}, truth["fp"] + truth["tn"]),
    ]
    for name, (hits, others) in RATES.items():
        rate = figures.rates[name]
        if isinstance(rate, Proportion):
            known += [({hits: 1}, rate.hits), ({others: 1}, rate.of - rate.hits)]
    return known


def narrowed(
    whole: tuple[SliceFigures, dict[str, int]], parts: dict[str, dict[str, int]],
    shown: Mapping[str, SliceFigures], k: int,
) -> list[str]:  # fmt: skip
    """Return the small cells of a part that a solver can tell apart from others below k."""
    place = {(part, cell): i for i, (part, cell) in enumerate(product(parts, CELLS))}
    rows, sides = [], []
    for cell in CELLS:
        fixed = [value for weights, value in known_of(*whole) if weights == {cell: 1}]
        if fixed:
            rows.append(row(place, {(part, cell): 1 for part in parts}))
            sides.append(fixed[0])
    for pair in (("tp", "fn"), ("fp", "tn")):
        rows.append(row(place, {(part, cell): 1 for part in parts for cell in pair}))
        sides.append(sum(whole[1][cell] for cell in pair))
    for part in parts:
        for weights, value in known_of(shown[part], parts[part]) if part in shown else []:
            rows.append(row(place, {(part, cell): w for cell, w in weights.items()}))
            sides.append(value)
    found = []
    for (part, cell), at in place.items():
        if 0 < parts[part][cell] < k:
            low, high = reach(np.array(rows), np.array(sides), at)
            if low > 1 or high < k - 1:
                found.append(f"{part} {cell} {low}-{high}")
    return found


def row(place: dict[tuple[str, str], int], weights: dict[tuple[str, str], int]) -> np.ndarray:
    found = np.zeros(len(place))
    for cell, weight in weights.items():
        found[place[cell]] = weight
    return found


def reach(rows: np.ndarray, sides: np.ndarray, at: int) -> tuple[float, float]:
    aim = np.zeros(rows.shape[1])
    aim[at] = 1
    found = []
    for sign in (1, -1):
        solved = milp(
            sign * aim,
            constraints=LinearConstraint(rows, sides, sides),
            bounds=Bounds(0, 100_000),
            integrality=np.ones(len(aim)),
        )
        assert solved.success
        found.append(sign * solved.fun)
    return found[0], found[1]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["FM", "FMX", "ABCDE"]), st.sampled_from([5, 10]))
def test_no_solver_can_narrow_a_small_cell_of_a_group_or_site(
    seed: int, names: str, k: int
) -> None:
    sites = a_small_federation(seed, names)
    plan = replace(PLAN, rule=CellRule(k=k), references={})
    found = assess(sites, plan)
    if "all" not in found.slices:
        return
    total = reduce(add, sites.values())
    whole = found.slices["all"], cells_of(total.histogram("all"))
    groups = {name: cells_of(total.histogram(name)) for name in total.slices[1:]}
    assert narrowed(whole, groups, found.slices, k) == []
    by_site = {name: cells_of(one.histogram("all")) for name, one in sites.items()}
    assert narrowed(whole, by_site, found.sites, k) == []
