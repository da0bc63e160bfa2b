import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors.privacy import InvalidPrivacyEventError, UnknownPrivacyEventError
from federation.privacy.events import (
    EVENT_KINDS,
    DiscreteGaussian,
    Gaussian,
    PoissonSampledGaussian,
    event_from_json,
)

NOISE = st.floats(1e-3, 1e3)


@given(NOISE, st.floats(1e-6, 1.0), st.integers(1, 10**6))
def test_a_sampled_event_survives_json(noise, rate, steps):
    event = PoissonSampledGaussian(noise, rate, steps)
    assert event_from_json(json.loads(json.dumps(event.as_json()))) == event


@given(NOISE, st.integers(1, 10**6))
def test_a_gaussian_event_survives_json(noise, count):
    event = Gaussian(noise, count)
    assert event_from_json(json.loads(json.dumps(event.as_json()))) == event


@given(NOISE, st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_discrete_event_survives_json(sigma, cells, count):
    event = DiscreteGaussian(sigma, cells, count)
    assert event_from_json(json.loads(json.dumps(event.as_json()))) == event


def test_every_kind_names_exactly_its_fields():
    for kind, (made, fields) in EVENT_KINDS.items():
        assert made.kind == kind
        assert {field.name for field in dataclasses.fields(made)} == fields


@pytest.mark.parametrize(
    "raw", [{}, {"kind": "laplace", "scale": 1.0}, {"kind": ["gaussian"]}, "gaussian", None, 3]
)
def test_an_unknown_kind_is_refused(raw):
    with pytest.raises(UnknownPrivacyEventError):
        event_from_json(raw)


@pytest.mark.parametrize(
    "changed",
    [
        {"noise_multiplier": float("nan")},
        {"noise_multiplier": float("inf")},
        {"noise_multiplier": 0},
        {"noise_multiplier": -1.0},
        {"noise_multiplier": True},
        {"noise_multiplier": "1"},
        {"sample_rate": 0.0},
        {"sample_rate": 1.0000001},
        {"sample_rate": float("nan")},
        {"steps": 0},
        {"steps": 1.0},
        {"steps": True},
        {"steps": 10**10},
        {"more": 1},
    ],
)
def test_a_number_that_cannot_be_is_refused(changed):
    raw = PoissonSampledGaussian(1.0, 0.1, 10).as_json() | changed
    with pytest.raises(InvalidPrivacyEventError):
        event_from_json(raw)


def test_a_missing_field_is_refused():
    raw = Gaussian(1.0, 2).as_json()
    del raw["count"]
    with pytest.raises(InvalidPrivacyEventError):
        event_from_json(raw)
