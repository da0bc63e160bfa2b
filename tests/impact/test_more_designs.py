"""Medians, imputed tables, cohorts and changes: hospitals' tables against all cases together."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy.stats import binom, norm

from federation.errors.evaluation import WeightsError
from federation.errors.impact import (
    NotEstimableError,
    ProtocolFileError,
    TableInvalidError,
    TableTooSmallError,
    TooFewClustersError,
)
from federation.errors.impact_designs import (
    BeyondGridError,
    BeyondRangeError,
    CohortEmptyError,
    CohortUnbalancedError,
    GridTooCoarseError,
    ImputationsDifferError,
)
from federation.impact.analysis import Result, analyse
from federation.impact.arms import ArmSums, difference_of_means
from federation.impact.clusters import Cell, Cluster, Correction, cluster_robust
from federation.impact.gathering import gather
from federation.impact.hospital import make_table
from federation.impact.measure_report import as_report, read_report
from federation.impact.plan import Plan, read_plan
from federation.impact.sensitivity import pooled_by_rubin
from federation.impact.site_table import Row, as_csv, read_table
from federation.impact.tabulate import tabulate
from federation.impact.weighted import weighted_difference

Floats = NDArray[np.float64]
SITES = ("hualien-3", "tainan-1", "taipei-2")

HEAD = """
study = "impact-2"
design = "matched-cohort"
intervention = "ai"
comparator = "usual"
periods = {periods}
{top}
[[measures]]
id = "{measure}"
role = "primary"
analysis = "{analysis}"
unit = "min"
better = "lower"
"""


def plan(
    analysis: str, more: str = "", *, top: str = "", periods: int = 1, measure: str = "time"
) -> Plan:
    head = HEAD.format(analysis=analysis, top=top, periods=periods, measure=measure)
    return read_plan((head + more).encode())


MEDIAN = "grid = { step = 5, top = 500 }\n"
CALIPER = '[cohort]\nmethod = "caliper"\ncovariates = ["age", "sex"]\nlargest_gap = 0.25\n'
OVERLAP = CALIPER.replace("caliper", "overlap")
CHANGE = "[change]\nbegan = 3\n"


def csv(lines: Sequence[tuple[object, ...]], *names: str) -> bytes:
    head = ",".join(("cluster", "period", "arm", *names))
    return "\n".join([head, *(",".join(map(str, line)) for line in lines)]).encode()


def only(asked: Plan, cases: Mapping[str, bytes]) -> Result:
    """Return the one result of hospitals' files of cases, through the files that they send."""
    sent = {site: make_table(content, site, asked).content for site, content in cases.items()}
    found = gather(sent, asked)
    (result,) = analyse(asked, found.rows, found.readings)
    return result


def times(site: str, shift: float = 0.0, people: int = 400) -> tuple[Floats, Floats]:
    chance = np.random.default_rng([*site.encode()])
    one, other = chance.lognormal(4, 0.5, people), chance.lognormal(4 + shift, 0.5, people)
    return np.minimum(one, 500), np.minimum(other, 500)


def coarse(value: float) -> int:
    """Return 60 or 120."""
    return int(min(max(round(value / 60) * 60, 60), 120))


def skewed(site: str, shift: float = 0.0, people: int = 400, *, wide: bool = False) -> bytes:
    """The cases of a hospital, put on a grid of 60 where the cells must be large."""
    ai, usual = times(site, shift, people)
    listed = (("ai", ai), ("usual", usual))
    lines: list[tuple[object, ...]] = [("w", 0, arm, value) for arm, own in listed for value in own]
    if wide:
        lines = [(*head, coarse(float(str(value)))) for *head, value in lines]
    return csv(lines, "time")


def price_bonett(values: Floats) -> tuple[float, float]:
    """Return median and variance of cases, from the paper's formula."""
    ordered, people = np.sort(values), len(values)
    rank = round((people + 1) / 2 - people**0.5)
    reach = -norm.ppf(binom.cdf(rank - 1, people, 0.5))
    error = (ordered[people - rank] - ordered[rank - 1]) / (2 * reach)
    return float(np.median(values)), float(error**2)


def test_medians_are_those_of_all_cases_on_the_grid() -> None:
    # every grid value was had by ten people or more of each hospital and arm
    asked, cases = plan("median-difference", MEDIAN), {}
    pooled: dict[str, list[int]] = {"ai": [], "usual": []}
    for number, site in enumerate(SITES):
        chance = np.random.default_rng(number)
        lines = []
        for arm, low in (("ai", 0), ("usual", 3)):
            values = 5 * chance.permutation(np.repeat(np.arange(low, low + 21), 12 + number))
            pooled[arm] += values.tolist()
            lines += [("w", 0, arm, value + 1.9) for value in values]  # rounded back to the grid
        cases[site] = csv(lines, "time")
    found = only(asked, cases)
    (one, first), (other, second) = (price_bonett(np.array(pooled[arm])) for arm in pooled)
    assert [arm.value for arm in found.arms] == [one, other] == [50, 65]
    assert found.estimate == one - other
    reach = 1.959963984540054 * (first + second) ** 0.5
    assert found.high - found.estimate == pytest.approx(reach)
    assert all(arm.low < arm.value < arm.high for arm in found.arms)


def test_the_interval_of_a_difference_of_medians_is_of_its_paper() -> None:
    asked = plan("median-difference", MEDIAN, top="least_cell = 3")
    chance = np.random.default_rng(3)
    ai = np.repeat(np.arange(0, 100, 5), chance.integers(3, 30, 20))
    usual = np.repeat(np.arange(20, 120, 5), chance.integers(3, 30, 20))
    lines = [("w", 0, "ai", one) for one in ai] + [("w", 0, "usual", one) for one in usual]
    found = only(asked, {"tainan-1": csv(lines, "time")})
    (one, first), (other, second) = (price_bonett(one.astype(np.float64)) for one in (ai, usual))
    assert found.estimate == pytest.approx(one - other)
    reach = 1.959963984540054 * (first + second) ** 0.5
    assert (found.low, found.high) == pytest.approx((one - other - reach, one - other + reach))


def test_a_difference_of_medians_covers_as_often_as_it_says() -> None:
    asked = plan("median-difference", "grid = { step = 1, top = 1000 }\n", top="least_cell = 3")
    chance, runs, held = np.random.default_rng(6), 300, 0
    for _ in range(runs):
        rows = []
        for arm, mean in (("ai", 3.0), ("usual", 3.5)):
            values = np.round(np.minimum(chance.lognormal(mean, 1.0, 200), 1000))
            for value, count in zip(*np.unique(values, return_counts=True), strict=True):
                sums = (int(count), float(count * value), float(count * value**2))
                rows.append(Row("s", "time", "all", 0, arm, *sums, value=float(value)))
        (found,) = analyse(asked, rows)
        held += found.low <= np.exp(3.0) - np.exp(3.5) <= found.high
    assert held / runs == pytest.approx(0.95, abs=0.035)


def test_a_grid_too_coarse_for_an_interval_is_refused() -> None:
    asked = plan("median-difference", "grid = { step = 500, top = 500 }\n")
    rows = [Row("s", "time", "all", 0, arm, 90, 0.0, 0.0, value=0.0) for arm in ("ai", "usual")]
    with pytest.raises(GridTooCoarseError):
        analyse(asked, rows)


def test_a_median_of_few_people_is_refused() -> None:
    asked = plan("median-difference", MEDIAN)
    rows = [
        Row("s", "time", "all", 0, arm, 12, 12 * value, 12 * value**2, value=value)
        for arm in ("ai", "usual")
        for value in (5.0, 10.0)
    ]
    with pytest.raises(TooFewClustersError):
        analyse(asked, rows)


def test_values_beyond_the_grid_are_refused_and_not_cut_off() -> None:
    asked = plan("median-difference", MEDIAN)
    for beyond in (503, -7):
        with pytest.raises(BeyondGridError) as refused:
            tabulate(csv([("w", 0, "ai", beyond)] * 30, "time"), "tainan-1", asked)
        assert "503" not in refused.value.say() and "-7" not in refused.value.say()


def test_grid_values_of_few_people_do_not_leave() -> None:
    with pytest.raises(TableTooSmallError):
        tabulate(skewed("tainan-1"), "tainan-1", plan("median-difference", MEDIAN))


def imputed(site: str, times: int = 5) -> tuple[list[tuple[object, ...]], list[list[Floats]]]:
    """The lines of a hospital with missing values filled in so often, and the arms of each."""
    chance = np.random.default_rng([*site.encode()])
    known = [chance.normal(50, 10, 40), chance.normal(55, 10, 40)]
    each: list[list[Floats]] = []
    lines: list[tuple[object, ...]] = []
    for number in range(1, times + 1):
        arms = [np.concatenate([one, chance.normal(one.mean(), 10, 8)]) for one in known]
        each.append(arms)
        for arm, values in zip(("ai", "usual"), arms, strict=True):
            lines += [("w", 0, arm, number, value) for value in values]
    return lines, each


def test_imputed_tables_are_pooled_as_rubin_says() -> None:
    asked = plan("difference", top="imputations = 5")
    cases = {site: csv(imputed(site)[0], "imputation", "time") for site in SITES}
    found = only(asked, cases)
    estimates = []
    for number in range(5):
        arms = [np.concatenate([imputed(site)[1][number][arm] for site in SITES]) for arm in (0, 1)]
        sums = [ArmSums.of(name, "time", own) for name, own in zip("ab", arms, strict=True)]
        estimates.append(difference_of_means(*sums))
    pooled = pooled_by_rubin(estimates)
    assert found.estimate == pytest.approx(pooled.value, rel=1e-12)
    assert found.freedom == pytest.approx(pooled.freedom, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((pooled.interval().low, pooled.interval().high))
    assert found.people == 3 * 96 and "5 imputations" in found.method
    normal = 1.959963984540054 * pooled.estimate.error
    assert found.high - found.estimate > normal  # t, not the normal law


@pytest.mark.parametrize("wrong", ["one person fewer", "one imputation fewer"])
def test_imputations_of_other_people_are_refused(wrong: str) -> None:
    lines, _ = imputed("tainan-1")
    fewer = lines[:-1] if wrong == "one person fewer" else [one for one in lines if one[3] != 5]
    with pytest.raises(ImputationsDifferError):
        tabulate(
            csv(fewer, "imputation", "time"), "tainan-1", plan("difference", top="imputations = 5")
        )


def test_an_imputation_that_the_plan_does_not_have_is_refused() -> None:
    lines = [("w", 0, "ai", 9, 5.0)] * 12
    with pytest.raises(TableInvalidError):
        tabulate(
            csv(lines, "imputation", "time"), "tainan-1", plan("difference", top="imputations = 5")
        )


def confounded(site: str, effect: float = -5.0, people: int = 900) -> Floats:
    """Return treated, outcome, age and sex of a hospital where the old get the AI more often."""
    chance = np.random.default_rng([*site.encode()])
    age, sex = chance.normal(60, 10, people), chance.integers(0, 2, people)
    treated = chance.random(people) < 1 / (1 + np.exp(-(age - 63) / 8 - 0.4 * sex))
    outcome = 50 + 0.8 * (age - 60) + 3 * sex + effect * treated + chance.normal(0, 6, people)
    return np.column_stack([treated, outcome, age, sex])


def cohort(site: str) -> bytes:
    lines = [
        ("w", 0, "ai" if one else "usual", outcome, age, sex)
        for one, outcome, age, sex in confounded(site)
    ]
    return csv(lines, "time", "age", "sex")


def test_a_cohort_of_pairs_is_comparable_where_all_people_are_not() -> None:
    cases = {site: cohort(site) for site in SITES}
    crude = [confounded(site) for site in SITES]
    gap = np.concatenate([one[one[:, 0] == 1, 1] for one in crude]).mean()
    gap -= np.concatenate([one[one[:, 0] == 0, 1] for one in crude]).mean()
    found = only(plan("difference", CALIPER), cases)
    assert gap > 0 > found.high and found.low < -5 < found.high
    assert found.people < 2700 and "matched 1:1" in found.method


def test_overlap_weights_are_those_of_a_hospitals_own_propensity() -> None:
    found = only(plan("weighted-difference", OVERLAP), {site: cohort(site) for site in SITES})
    weights, outcomes, arms = [], [], []
    for site in SITES:
        treated, outcome, age, sex = confounded(site).T
        model = sm.Logit(treated, sm.add_constant(np.column_stack([age, sex]))).fit(disp=0)
        chance = model.predict()
        weights.append(np.where(treated == 1, 1 - chance, chance))
        outcomes.append(outcome)
        arms.append(treated == 1)
    w, y, on = (np.concatenate(one) for one in (weights, outcomes, arms))
    means = [np.average(y[arm], weights=w[arm]) for arm in (on, ~on)]
    variance = sum(
        (w[arm] ** 2 * (y[arm] - mean) ** 2).sum() / w[arm].sum() ** 2
        for arm, mean in zip((on, ~on), means, strict=True)
    )
    assert found.estimate == pytest.approx(means[0] - means[1], rel=1e-7)
    assert found.high - found.estimate == pytest.approx(1.959963984540054 * variance**0.5, rel=1e-6)
    assert found.low < -5 < found.high and found.people == 2700


@pytest.mark.parametrize("kind", [CALIPER, OVERLAP])
def test_a_cohort_does_not_depend_on_the_order_of_cases(kind: str) -> None:
    asked = plan("difference" if kind is CALIPER else "weighted-difference", kind)
    head, *lines = cohort("tainan-1").decode().split("\n")
    back = "\n".join([head, *lines[::-1]]).encode()
    one, other = (tabulate(content, "tainan-1", asked) for content in (cohort("tainan-1"), back))
    assert as_csv(one) == as_csv(other)


def test_a_case_without_a_covariate_is_left_out_of_the_cohort() -> None:
    asked = plan("weighted-difference", OVERLAP)
    head, first, *lines = cohort("tainan-1").decode().split("\n")
    without = ",".join([*first.split(",")[:-1], ""])
    rows = tabulate("\n".join([head, without, *lines]).encode(), "tainan-1", asked)
    assert sum(row.count for row in rows) == 899


def test_arms_that_still_differ_leave_nothing() -> None:
    asked = plan("difference", CALIPER.replace("= 0.25", "= 0.001"))
    with pytest.raises(CohortUnbalancedError):
        tabulate(cohort("tainan-1"), "tainan-1", asked)


def test_arms_that_nobody_could_compare_are_refused() -> None:
    old = [("w", 0, "ai", 1.0, 80 + one % 7, one % 2) for one in range(60)]
    young = [("w", 0, "usual", 1.0, 40 + one % 7, one % 2) for one in range(60)]
    for kind, analysis in ((CALIPER, "difference"), (OVERLAP, "weighted-difference")):
        for lines in (old + young, old, old + young[:2]):
            with pytest.raises(CohortEmptyError):
                tabulate(csv(lines, "time", "age", "sex"), "tainan-1", plan(analysis, kind))


def test_weights_that_sum_to_zero_are_refused() -> None:
    rows = [Row("s", "time", "w", 0, arm, 20, 1.0, 1.0) for arm in ("ai", "usual")]
    with pytest.raises(WeightsError):
        weighted_difference(rows[:1], rows[1:])


WEIGHTS = b"weight,weight_squares,weighted,weighted_twice,weighted_squares"


@pytest.mark.parametrize(
    "sums", ["-1,1,0,0,0", "30,10,0,0,0", "10,20,0,0,0", "5,4,1,9,1", "nan,1,1,1,1"]
)
def test_sums_that_no_weights_have_are_refused(sums: str) -> None:
    head = b"measure,cluster,period,arm,count,total,squares," + WEIGHTS
    line = f"time,w,0,ai,20,20,40,{sums}".encode()
    with pytest.raises(TableInvalidError):
        read_table(head + b"\n" + line, "tainan-1", plan("weighted-difference", OVERLAP))


def wards(site: str) -> list[tuple[object, ...]]:
    """Six periods of four wards, of which two change in period 3; with a baseline."""
    chance = np.random.default_rng([*site.encode()])
    lines: list[tuple[object, ...]] = []
    for ward in range(4):
        own = chance.normal(0, 2)
        for period in range(6):
            before = chance.normal(50, 8, 15)
            values = 10 + own + period + 3 * (ward < 2) + 0.9 * before + chance.normal(0, 3, 15)
            values -= 4 * (ward < 2 and period >= 3)
            arm = "ai" if ward < 2 else "usual"
            lines += [
                (f"ward-{ward}", period, arm, y, x) for y, x in zip(values, before, strict=True)
            ]
    return lines


def design(lines: list[tuple[object, ...]], *, baseline: bool) -> tuple[Floats, Floats]:
    """Return columns of periods, group, (baseline), change and the outcomes, of all cases."""
    rows = [
        [
            *(float(period == one) for one in range(6)),
            *([float(str(before))] if baseline else [float(arm == "ai")]),
            float(arm == "ai" and (baseline or int(str(period)) >= 3)),
        ]
        for _, period, arm, _, before in lines
    ]
    return np.array(rows), np.array([float(str(line[3])) for line in lines])


def test_a_change_is_least_squares_with_period_and_group() -> None:
    cases = {site: wards(site) for site in SITES}
    sent = {site: csv([line[:4] for line in own], "time") for site, own in cases.items()}
    found = only(plan("difference-in-differences", CHANGE, periods=6), sent)
    columns, outcomes = design([line for own in cases.values() for line in own], baseline=False)
    pooled = sm.OLS(outcomes, columns).fit()
    assert found.estimate == pytest.approx(pooled.params[-1], rel=1e-9)
    assert found.low < -4 < found.high


def changing(site: str) -> bytes:
    """People of two wards in both arms, before and after; the old get the AI and decline faster."""
    chance = np.random.default_rng([*site.encode()])
    lines: list[tuple[object, ...]] = []
    for ward in range(2):
        for period in range(4):
            age = chance.normal(60, 10, 150)
            treated = chance.random(150) < 1 / (1 + np.exp(-(age - 62) / 9))
            outcome = 50 + ward + 0.05 * period * (age - 60) + chance.normal(0, 3, 150)
            outcome -= 3 * (treated & (period >= 2))
            arms = np.where(treated, "ai", "usual")
            listed = zip(arms.tolist(), outcome.tolist(), age.tolist(), strict=True)
            lines += [(f"w-{ward}", period, *one) for one in listed]
    return csv(lines, "time", "age")


def test_pairs_are_made_before_and_after_apart_in_a_change() -> None:
    one_covariate = CALIPER.replace('"age", "sex"', '"age"')
    asked = plan("difference-in-differences", "[change]\nbegan = 2\n" + one_covariate, periods=4)
    found = only(asked, {site: changing(site) for site in SITES})
    assert found.low < -3 < found.high and found.high < -2
    rows = tabulate(changing("tainan-1"), "tainan-1", asked)
    for side in (True, False):
        pairs = [sum(row.count for row in rows if row.arm == arm and (row.period >= 2) == side)
                 for arm in ("ai", "usual")]  # fmt: skip
        assert pairs[0] == pairs[1] > 0
    assert "difference in differences" in found.method and "matched" in found.method


def test_a_change_without_wards_on_both_sides_is_refused() -> None:
    asked = plan("difference-in-differences", CHANGE, periods=6)
    lines = [line[:4] for line in wards("tainan-1")]
    for lacking in ([one for one in lines if one[2] == "ai"], lines[:270]):
        with pytest.raises(TooFewClustersError):
            only(asked, {"tainan-1": csv(lacking, "time")})
    mixed = lines + [("ward-0", 0, "usual", 40.0 + one) for one in range(12)]
    with pytest.raises(NotEstimableError):
        only(asked, {"tainan-1": csv(mixed, "time")})
    late = [one for one in lines if int(str(one[1])) >= 3]
    with pytest.raises(NotEstimableError):
        only(asked, {"tainan-1": csv(late, "time")})


def test_a_baseline_makes_a_ward_trial_more_certain_and_is_least_squares() -> None:
    cases = {site: wards(site) for site in SITES}
    sent = {site: csv(own, "time", "time@baseline") for site, own in cases.items()}
    plain = {site: csv([line[:4] for line in own], "time") for site, own in cases.items()}
    adjusted = only(plan("adjusted-cluster-robust", periods=6), sent)
    alone = only(plan("cluster-robust", periods=6), plain)
    columns, outcomes = design([line for own in cases.values() for line in own], baseline=True)
    pooled = sm.OLS(outcomes, columns).fit()
    assert adjusted.estimate == pytest.approx(pooled.params[-1], rel=1e-8)
    assert adjusted.high - adjusted.low < alone.high - alone.low


def test_the_sandwich_of_an_adjusted_trial_is_that_over_clusters() -> None:
    lines = wards("tainan-1") + [(f"b-{line[0]}", *line[1:]) for line in wards("taipei-2")]
    cells: dict[str, list[Cell]] = {}
    for ward in dict.fromkeys(str(line[0]) for line in lines):
        for period in range(6):
            own = [one for one in lines if one[0] == ward and one[1] == period]
            y = np.array([one[3] for one in own], dtype=float)
            x = np.array([one[4] for one in own], dtype=float)
            sums = (y.sum(), (y**2).sum(), x.sum(), (x**2).sum(), (x * y).sum())
            cells.setdefault(ward, []).append(Cell(period, own[0][2] == "ai", len(own), *sums))
    clusters = [Cluster(name, tuple(own)) for name, own in cells.items()]
    mine = cluster_robust(clusters, adjusted=True, correction=Correction.NONE)
    columns, outcomes = design(lines, baseline=True)
    groups = np.unique([str(line[0]) for line in lines], return_inverse=True)[1]
    theirs = sm.OLS(outcomes, columns).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
    )
    assert mine.value == pytest.approx(theirs.params[-1], rel=1e-8)
    assert mine.error == pytest.approx(theirs.bse[-1], rel=1e-7)


def test_a_period_that_one_ward_alone_was_seen_in_leaves_the_result_as_it_is() -> None:
    sent = {site: csv([one[:4] for one in wards(site)], "time") for site in SITES}
    alone = csv([*(one[:4] for one in wards("tainan-1")), *ALONE], "time")
    asked = plan("cluster-robust", periods=7)
    usual, more = only(asked, sent), only(asked, {**sent, "tainan-1": alone})
    assert more.estimate == pytest.approx(usual.estimate, rel=1e-9)
    assert (more.low, more.high) == pytest.approx((usual.low, usual.high), rel=0.05)


ALONE = [("ward-0", 6, "ai", 40.0 + one) for one in range(12)]
"""A seventh period, in which nobody else was seen."""


@pytest.mark.parametrize(
    ("asked", "cases"),
    [
        (plan("difference", top="imputations = 5"), csv(imputed("s")[0], "imputation", "time")),
        (plan("weighted-difference", OVERLAP), cohort("s")),
        (
            plan("median-difference", "grid = { step = 60, top = 180 }\n"),
            skewed("s", wide=True),
        ),
        (plan("adjusted-cluster-robust", periods=6), csv(wards("s"), "time", "time@baseline")),
    ],
)
def test_a_fhir_report_says_the_same_cells(asked: Plan, cases: bytes) -> None:
    rows = tabulate(cases, "tainan-1", asked)
    report = as_report(rows, asked, start="2026-01-01", end="2026-06-30")
    key = lambda row: row.key  # noqa: E731
    assert sorted(read_report(report, "tainan-1", asked), key=key) == sorted(rows, key=key)
    assert read_table(as_csv(rows), "tainan-1", asked) == rows


UTILITY = "range = [-1.0259, 1.0]\n"


def test_a_utility_beyond_the_value_set_is_refused() -> None:
    asked = plan("difference", UTILITY, measure="eq-5d-5l")
    good = [("w", 0, arm, -1.0259) for arm in ("ai", "usual") for _ in range(10)]
    assert len(tabulate(csv(good, "eq-5d-5l"), "tainan-1", asked)) == 2
    for beyond in (-1.03, 1.0001):
        lines = [*good, ("w", 0, "ai", beyond)]
        with pytest.raises(BeyondRangeError) as refused:
            tabulate(csv(lines, "eq-5d-5l"), "tainan-1", asked)
        assert "-1.0259 to 1" in refused.value.say() and "-1.03" not in refused.value.say()
    head = b"measure,cluster,period,arm,count,total,squares\n"
    with pytest.raises(TableInvalidError):
        read_table(head + b"eq-5d-5l,w,0,ai,10,-11,12.2", "tainan-1", asked)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: plan("median-difference"),
        lambda: plan("difference", MEDIAN),
        lambda: plan("median-difference", "grid = { step = 7, top = 100 }\n"),
        lambda: plan("median-difference", "grid = { step = 1, top = 100000 }\n"),
        lambda: plan("difference", OVERLAP),
        lambda: plan("weighted-difference", CALIPER),
        lambda: plan("weighted-difference"),
        lambda: plan("difference", CALIPER.replace('"sex"', '"age"')),
        lambda: plan("difference-in-differences"),
        lambda: plan("difference-in-differences", CHANGE, periods=3),
        lambda: plan("difference", CHANGE, periods=6),
        lambda: plan("difference", top="sealed = true"),
        lambda: plan("difference", CALIPER, top="imputations = 5"),
        lambda: plan("difference", "range = [1.0, -1.0]\n"),
        lambda: plan("difference", 'figure = "auroc"\n'),
        lambda: plan("reader-study", 'figure = "auroc"\n'),
    ],
)
def test_a_plan_whose_parts_do_not_fit_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(ProtocolFileError):
        wrong()


def test_a_plan_that_uses_nothing_new_has_the_digest_it_always_had() -> None:
    # made before the fields of this page existed; logged digests of running studies stay good
    text = HEAD.format(analysis="difference", top="", periods=4, measure="time")
    assert read_plan(text.encode()).digest == DIGEST


DIGEST = "sha256:0c48a8fbb04d8abd2a118d8b4386f1db38082d952059ba2a2ee6e3457eff9f78"
