"""A model from its file to all of its results."""

import json
from pathlib import Path

import pytest

import federation.economics
from federation.economics.analysis import analyse
from federation.economics.budget import Sector, Uptake, budget_impact
from federation.economics.model_file import Model, read_model
from federation.economics.parameters import Accuracy
from federation.economics.sensitivity import threshold_price
from federation.errors import PlatformError
from federation.errors.economics import (
    AccuracyMissingError,
    ModelFileError,
    ModelValueError,
    PriceBaseError,
    UtilityRangeError,
)

EXAMPLE = (Path(federation.economics.__file__).parent / "example.toml").read_text("utf-8")
WITH_AI = Accuracy("EVALUATION-ID", 90, 10, 850, 50)


def counts_of(strategy: str, evaluation: str) -> Accuracy:
    if evaluation != WITH_AI.evaluation:
        raise AccuracyMissingError(name=strategy, evaluation=evaluation, counts="true positives")
    return WITH_AI


def model(old: str = "", new: str = "") -> Model:
    assert old in EXAMPLE
    return read_model(EXAMPLE.replace(old, new, 1).encode(), counts_of)


def test_everything_comes_out_of_the_example_and_comes_out_again() -> None:
    found = analyse(model(), draws=2000, seed=5)
    said = found.as_json()
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert analyse(model(), draws=2000, seed=5).as_json() == said
    assert analyse(model(), draws=2000, seed=6).as_json() != said
    assert said["evaluations"] == {"reading with AI": "EVALUATION-ID"}
    assert [len(one) for one in (found.acceptability, found.best, found.information)] == [3, 3, 3]
    assert {bar.parameter for bar in found.tornado} >= {"prevalence", "sensitivity:reading with AI"}
    for group in found.information:
        assert all(0 <= value <= group.evpi for value in group.evppi.values())


def test_without_uncertainty_all_draws_are_the_base_case() -> None:
    found = analyse(model(), draws=4000, seed=1)
    base = {one.strategy.name: one.strategy for one in found.base_case}
    mean = {one.strategy.name: one.strategy for one in found.mean_case}
    for name, one in base.items():
        assert mean[name].cost == pytest.approx(one.cost, rel=0.05)
        assert mean[name].effect == pytest.approx(one.effect, rel=0.01)


def test_at_the_threshold_price_the_net_benefit_is_zero() -> None:
    found = analyse(model(), draws=1000, seed=1)
    assert found.price is not None and found.price > 150
    at_it = analyse(model("first = 150", f"first = {found.price!r}"), draws=1000, seed=1)
    assert at_it.outcome == pytest.approx(0, abs=1e-3)
    assert found.outcome > 0 > analyse(model("first = 150", "first = 1e6"), draws=1000).outcome
    assert threshold_price(lambda price: -1 - price, highest=10) is None
    assert threshold_price(lambda price: 100 - price, highest=10) is None
    with pytest.raises(ModelValueError):
        threshold_price(lambda price: price, highest=0)


def test_a_more_sensitive_reader_gains_life_years() -> None:
    found = analyse(model(), draws=1000, seed=2)
    assert found.draws.effect[:, 1].mean() > found.draws.effect[:, 0].mean()


def test_the_budget_counts_people_reached_and_what_care_costs_them_later() -> None:
    found = analyse(model(), draws=1000, seed=1)
    assert [round(one.people) for one in found.budget] == [20000, 41000, 63000, 86000, 110000]
    plain = budget_impact(
        Uptake((100.0,) * 5, (0.1, 0.2, 0.3, 0.4, 0.5)),
        {Sector.HOSPITAL: (150.0,) * 5, Sector.PATIENT: (10.0,) * 5},
        {Sector.CLINIC: (-500.0,) * 5},
    )
    # a worked example by hand: year 3 reaches 30 people
    assert plain[2].by_sector == {
        Sector.HOSPITAL: 4500.0,
        Sector.CLINIC: -500.0,
        Sector.PATIENT: 300.0,
    }
    assert (plain[2].insurance, plain[2].total) == (4000.0, 4300.0)
    without = EXAMPLE[: EXAMPLE.index("[budget]")]
    assert analyse(read_model(without.encode(), counts_of), draws=1000).budget == ()


@pytest.mark.parametrize(
    ("share", "amounts"),
    [
        ((0.1,) * 4, (1.0,) * 5),
        ((1.1,) * 5, (1.0,) * 5),
        ((0.1,) * 5, (1.0, float("nan"), 1, 1, 1)),
    ],
)
def test_a_budget_that_is_not_five_years_is_refused(
    share: tuple[float, ...], amounts: tuple[float, ...]
) -> None:
    with pytest.raises(ModelValueError):
        budget_impact(Uptake((100.0,) * 5, share), {Sector.HOSPITAL: amounts})


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("prevalence =", "prevalance =", ModelFileError),
        ('currency = "TWD"', 'currency = "TWD"\nextra = 1', ModelFileError),
        ('currency = "TWD"', "currency = ", ModelFileError),
        ('law = "beta"', 'law = "bta"', ModelFileError),
        ('evaluation = "EVALUATION-ID"', "", ModelFileError),
        ('evaluation = "EVALUATION-ID"', 'evaluation = "another"', AccuracyMissingError),
        ('name = "reading with AI"', 'name = "usual reading"', ModelFileError),
        (
            'evaluation = "EVALUATION-ID"',
            "counts = { true_positives = 99, false_negatives = 1, true_negatives = 99,"
            ' false_positives = 1, source = "us" }',
            ModelFileError,
        ),
        (
            "first = 4500, second = 600",
            'first = 150, second = 20, currency = "USD", price_year = 2026',
            PriceBaseError,
        ),
        (
            "first = 4500, second = 600",
            "first = 4500, second = 600, price_year = 2019",
            PriceBaseError,
        ),
        ("first = 60, second = 940", "first = -60, second = 940", ModelValueError),
        ("cycles = 20", "cycles = 0", ModelValueError),
    ],
)
def test_a_file_that_makes_no_model_is_refused(
    old: str, new: str, error: type[PlatformError]
) -> None:
    with pytest.raises(error):
        model(old, new)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (
            'utility_missed = { law = "beta", first = 55, second = 45',
            'utility_missed = { law = "normal", first = -0.9, second = 0.2',
            UtilityRangeError,
        ),
        (
            'prevalence = { law = "beta", first = 60, second = 940',
            'prevalence = { law = "normal", first = 0.5, second = 0.4',
            ModelValueError,
        ),
        (
            'cost_workup = { law = "gamma", first = 4500, second = 600',
            'cost_workup = { law = "normal", first = 100, second = 600',
            ModelValueError,
        ),
    ],
)
def test_draws_that_make_no_model_are_refused(
    old: str, new: str, error: type[PlatformError]
) -> None:
    with pytest.raises(error):
        analyse(model(old, new), draws=2000)


def test_too_few_draws_for_the_value_of_information_are_refused() -> None:
    with pytest.raises(ModelValueError):
        analyse(model(), draws=100)


def test_bytes_that_are_no_file_are_refused() -> None:
    for content in (b"\xff\xfe", b"a" * (2**20 + 1), b"a = [" * 10_000):
        with pytest.raises(ModelFileError):
            read_model(content, counts_of)


def test_a_name_with_braces_is_only_a_name() -> None:
    with pytest.raises(ModelFileError) as refused:
        model('name = "reading with AI"', 'name = "usual {why} reading"\nextra = "{0}"')
    assert refused.value.say()


WORKUP = "first = 4500, second = 600"
IN_USD = 'first = 100, second = 20, currency = "USD", price_year = 2024'
CONVERTED = """
[conversion]
source = "central bank, DGBAS"
rates = { "USD 2024" = 32.0 }
index = { "2024" = 100.0, "2026" = 104.0 }

[budget]
"""


def test_costs_are_converted_where_the_file_says_how() -> None:
    text = EXAMPLE.replace(WORKUP, IN_USD, 1).replace("[budget]", CONVERTED, 1)
    found = read_model(text.encode(), counts_of)
    cost = found.parameters["cost_workup"]
    assert (cost.first, cost.second) == pytest.approx((100 * 32 * 1.04, 20 * 32 * 1.04))
    assert "USD 2024 -> TWD 2026: central bank, DGBAS" in found.sources["cost_workup"]
    assert found.parameters["cost_treated"] == model().parameters["cost_treated"]
    assert found.digest != model().digest


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('"USD 2024" = 32.0', '"EUR 2024" = 32.0', PriceBaseError),
        ('"2026" = 104.0', '"2025" = 104.0', PriceBaseError),
        ('"USD 2024" = 32.0', '"USD 2024" = -1.0', ModelFileError),
        ('"USD 2024" = 32.0', '"dollars" = 32.0', ModelFileError),
        ('law = "gamma", first = 100', 'law = "beta", first = 100', ModelValueError),
    ],
)
def test_what_cannot_be_converted_is_refused(
    old: str, new: str, error: type[PlatformError]
) -> None:
    text = EXAMPLE.replace(WORKUP, IN_USD, 1).replace("[budget]", CONVERTED, 1)
    assert old in text
    with pytest.raises(error):
        read_model(text.replace(old, new, 1).encode(), counts_of)


def test_a_digest_is_of_what_the_file_says() -> None:
    assert read_model(f"# remark\n{EXAMPLE}".encode(), counts_of).digest == model().digest
    assert model("cycles = 20", "cycles = 21").digest != model().digest
