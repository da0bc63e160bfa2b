"""What the sums come to: figures that may be shown, a decision by policy, and coded refusals."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from clients.disclosure import report_of
from clients.evaluation import of_histogram
from clients.evaluation_study.counting import statistics_of, unseen_histogram
from clients.evaluation_study.predictions import Predictions
from federation.domain.evaluation_plan import EvaluationPlan, Family
from federation.domain.ids import Sha256, SiteId
from federation.errors.ledger import SmallGroupError
from federation.errors.privacy import SingleClassError
from federation.evaluation.drift import jensen_shannon
from federation.evaluation.policy import Verdict, default_policy
from federation.evidence.canonical import canonical
from federation.operations.campaign.summing import SumFound
from federation.operations.evaluations.concluding import (
    Found,
    Ran,
    SiteFigure,
    conclude,
    figure_of,
    heterogeneity_of,
    matrix_of,
)
from federation.operations.evaluations.records import metrics_of, planned_bodies
from federation.wire.statistics import layout_of
from tests.builders import SITES
from tests.evaluate.plans import ALL_OF_ONE, VERSION, a_plan, an_evaluation
from tests.evaluate.test_statistics import joined, predictions

SIZES = (400, 300, 200)


def skilled(found: Predictions, *, seed: int) -> Predictions:
    """Return predictions of a version that is worth something and well calibrated."""
    rng = np.random.default_rng(seed)
    risk = rng.beta(0.7, 0.9, len(found.scored.truths))
    truths = rng.random(len(risk)) < risk
    bins = np.column_stack([np.rint(1000 * risk).astype(np.int64)] * found.scored.bins.shape[1])
    likely = np.clip(np.where(truths, risk, 1 - risk), 1e-6, 1)
    return replace(
        found, scored=replace(found.scored, truths=truths, bins=bins, losses=-np.log(likely))
    )


def hospitals(sizes: tuple[int, ...] = SIZES) -> list[Predictions]:
    return [
        skilled(predictions(size, seed=at, members=0.3), seed=at) for at, size in enumerate(sizes)
    ]


def concluded(parts: list[Predictions], plan: EvaluationPlan | None = None) -> Found:
    """Return what a sum over these hospitals comes to."""
    plan = plan or a_plan()
    layout = layout_of(plan, 1)
    total = np.sum([layout.row(statistics_of(one, plan, seed=5)) for one in parts], axis=0)
    sites = [SiteId(f"site-{at}") for at in range(len(parts))]
    digests: Mapping[SiteId, Sha256] = {site: Sha256.of(site.encode()) for site in sites}
    found = SumFound(VERSION, layout.statistics(total), digests, Sha256.of(b"transcript"))
    figures = [figure_of(site, shown(one)) for site, one in zip(sites, parts, strict=True)]
    ran = Ran(an_evaluation(plan), "eval-1.1", str(Sha256.of(b"protocol")), 7)
    (one,) = conclude(ran, [found], {VERSION.entry: figures}, default_policy())
    return one


def shown(found: Predictions) -> dict[str, Any]:
    """Return what a hospital shows of itself, as its report does."""
    histogram = unseen_histogram(found)
    return report_of(of_histogram(histogram, patients=histogram.patients, loss=0.5))


def test_sums_of_hospitals_come_to_what_all_cases_in_one_place_do() -> None:
    parts = hospitals()

    federated, central = concluded(parts).document, concluded([joined(parts)]).document

    for name in ("curves", "robustness", "drift", "attack", "decision", "plan"):
        assert federated[name] == central[name], name
    one, other = (dict(found["assessment"]) for found in (federated, central))  # type: ignore[call-overload]
    one.pop("heterogeneity"), other.pop("heterogeneity")
    assert one == other


def test_a_good_version_passes_what_was_measured() -> None:
    found = concluded(hospitals(), replace(a_plan(), decision_thresholds=(0.3, 0.5)))
    verdicts = {one.rule: one.verdict for one in found.decision.findings}

    assert verdicts["claim"] is verdicts["ece"] is verdicts["psi"] is Verdict.MET
    assert verdicts["net-benefit"] is Verdict.MET


def test_only_the_dimensions_of_the_protocol_are_judged() -> None:
    plan = a_plan(families=(Family.DISCRIMINATION, Family.CALIBRATION), corruptions=())

    judged = {one.dimension for one in concluded(hospitals(), plan).decision.findings}

    assert judged == {"discrimination", "calibration"}


def test_heterogeneity_comes_from_what_the_hospitals_show_of_themselves() -> None:
    found = concluded(hospitals()).assessment.heterogeneity

    assert found is not None and found.sites == 3
    assert math.isfinite(found.i_squared)


def test_hospitals_whose_figures_cannot_be_pooled_do_not_stop_a_conclusion() -> None:
    figures = [
        SiteFigure(SiteId(f"site-{at}"), 0.9, 0.8, 0.95, variance, None)
        for at, variance in enumerate((1e-300, 1e-300, 0.0))
    ]
    assert heterogeneity_of(figures) is None


def test_drift_is_measured_between_the_distributions_that_are_shown() -> None:
    found = concluded(hospitals((80, 60, 50)))
    assert found.beside.drift, "something of it may be shown"
    for one in found.beside.drift:
        assert one.distribution is not None
        old, new = np.array(one.distribution.reference), np.array(one.distribution.now)
        assert one.distances.ks == pytest.approx(np.abs(np.cumsum(old) - np.cumsum(new)).max())
        assert one.distances.jensen_shannon == pytest.approx(jensen_shannon(old, new))


def test_images_so_bad_that_a_version_says_the_same_of_all_are_a_finding() -> None:
    parts = hospitals()
    for one in parts:
        one.scored.bins[:, -1] = 500
    found = concluded(parts).beside.robustness[-1]
    assert (found.aurocs[-1].value, found.relative[-1]) == (0.5, 1.0)


def test_a_sum_of_one_class_alone_is_a_coded_refusal() -> None:
    parts = [
        replace(one, scored=replace(one.scored, truths=np.ones(len(one.scored.truths), bool)))
        for one in hospitals()
    ]

    with pytest.raises(SingleClassError):
        concluded(parts)


def test_a_hospital_with_one_class_alone_shows_its_code_and_counts_in_the_sum() -> None:
    parts = hospitals()
    truths = np.zeros(len(parts[2].scored.truths), bool)
    parts[2] = replace(parts[2], scored=replace(parts[2].scored, truths=truths))

    found = concluded(parts)

    assert shown(parts[2])["refused"] == SingleClassError.code
    assert found.document["matrix"]["values"][0][2] is None  # type: ignore[index]
    unseen = sum(unseen_histogram(one).patients for one in parts)
    assert found.assessment.slices["all"].cases == unseen


def test_a_small_hospital_shows_nothing_of_itself() -> None:
    (small,) = hospitals((25,))

    report = shown(small)

    assert report["refused"] == SmallGroupError.code and report["metrics"] == []


def test_an_attack_that_finds_few_members_is_told_neither_as_a_rate_nor_by_its_interval() -> None:
    parts = hospitals()
    parts[0].scored.losses[:3] = 1e-9  # three members whom the version remembers

    found = concluded(parts)

    assert found.beside.attack is not None
    hidden = {one.name for one in found.assessment.refusals}
    text = canonical(found.document["decision"]).decode()
    assert "membership 0.001" in hidden
    assert 0.001 not in {one.allowed for one in found.beside.attack.points}
    assert found.facts.attack is None and "membership attack finds" not in text


def test_a_sum_of_few_cases_shows_nothing() -> None:
    found = concluded(hospitals((12, 11, 10)))

    assert found.assessment.slices == {} and found.document["curves"] is None
    assert found.decision.verdict is Verdict.FAIL


def test_no_count_below_k_stands_in_a_document() -> None:
    text = canonical(concluded(hospitals((60, 50, 40))).document).decode()

    for name in ('"cases":', '"of":'):
        for part in text.split(name)[1:]:
            number = part.partition(",")[0].partition("}")[0]
            assert int(number) >= 10


def test_the_matrix_has_a_row_for_each_version_and_a_column_for_each_hospital() -> None:
    site = SITES[0]
    figure = figure_of(site, {"metrics": [], "refused": "TF641"})

    found = matrix_of({"a": [figure], "b": []})

    assert (found.versions, found.sites, found.values) == (["a", "b"], [site], [[None], [None]])


@pytest.mark.parametrize("family", ALL_OF_ONE)
def test_every_metric_of_a_record_holds_its_value(family: Family) -> None:
    for one in metrics_of(concluded(hospitals()), family):
        assert one["low"] <= one["value"] <= one["high"]  # type: ignore[operator]
        assert one["n"] >= 10  # type: ignore[operator]


def test_planned_records_name_the_protocol_and_no_result() -> None:
    bodies = dict(planned_bodies(an_evaluation(), default_policy(), runner="centre"))

    assert len(bodies) == len(ALL_OF_ONE)
    assert {one["protocol_hash"] for one in bodies.values()} == {
        bodies["eval-1.1.drift"]["protocol_hash"]
    }
    assert all("metrics" not in one for one in bodies.values())
    assert bodies["eval-1.1.discrimination"]["thresholds"] == [
        {"metric": "auroc", "bound": "low", "at_least": 0.75}
    ]
