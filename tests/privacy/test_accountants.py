import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.errors.privacy import InvalidPrivacyEventError, PrivacyPlanUnreachableError
from federation.privacy.accountants import (
    RDP_ORDERS,
    _epsilon_rdp,
    _rdp_of_one_step,
    epsilon_of,
    smallest_noise,
    spent,
)
from federation.privacy.events import Gaussian, PoissonSampledGaussian

GRID = [
    (noise, rate, steps, delta)
    for noise in (0.8, 1.5, 4.0)
    for rate in (0.01, 0.3)
    for steps in (1, 500)
    for delta in (1e-3, 1e-5)
]


def test_the_moments_accountant_gives_the_known_answer():
    """Abadi et al. 2016, section 3.2: q=0.01, sigma=4, T=10000, delta 1e-5 -> 1.26."""
    curve = _rdp_of_one_step(4.0, 0.01)
    pairs = zip(RDP_ORDERS, curve, strict=True)
    classic = min(10_000 * rdp + math.log(1e5) / (order - 1) for order, rdp in pairs)
    assert classic == pytest.approx(1.26, abs=0.01)
    assert spent([PoissonSampledGaussian(4.0, 0.01, 10_000)], 1e-5).epsilon < classic


def test_the_published_cifar_like_plan_gives_the_known_answers():
    """q=256/60000, sigma=1.1, 14062 steps, delta 1e-5: RDP 2.5966, PLD 2.3817."""
    cost = spent([PoissonSampledGaussian(1.1, 256 / 60_000, 14_062)], 1e-5)
    assert cost.epsilon_rdp == pytest.approx(2.596556, abs=5e-7)
    assert cost.epsilon_pld == pytest.approx(2.3817, abs=0.003)  # a coarser grid, from above
    assert cost.epsilon_pld >= 2.3817
    assert cost.epsilon == cost.epsilon_rdp
    assert cost.accountant == "rdp"


def test_the_published_plan_lies_between_the_other_accountants():
    """Gopi et al. 2021 (PRV, in opacus): 2.3917 for the plan above."""
    from opacus.accountants import PRVAccountant

    prv = PRVAccountant()
    prv.history = [(1.1, 256 / 60_000, 14_062)]
    epsilon = prv.get_epsilon(1e-5)
    assert epsilon == pytest.approx(2.3917, abs=5e-5)
    cost = spent([PoissonSampledGaussian(1.1, 256 / 60_000, 14_062)], 1e-5)
    assert cost.epsilon_pld == pytest.approx(epsilon, abs=0.01)  # its own stated error
    assert epsilon < cost.epsilon_rdp


def test_one_gaussian_agrees_with_the_analytic_mechanism():
    """Balle & Wang 2018: epsilon 1 at delta 1e-5 needs sigma 3.7306."""
    cost = spent([Gaussian(3.7306, 1)], 1e-5)
    assert cost.epsilon_pld == pytest.approx(1.0, abs=2e-5)
    assert cost.epsilon >= cost.epsilon_pld


def test_the_classic_noise_of_one_gaussian_costs_less_than_it_promises():
    """Dwork & Roth 2014, A.1: sqrt(2 ln(1.25/delta))/epsilon, for (1, 1e-5) 4.8448."""
    classic = math.sqrt(2 * math.log(1.25 / 1e-5))
    assert classic == pytest.approx(4.8448, abs=5e-5)
    assert spent([Gaussian(classic, 1)], 1e-5).epsilon_pld < 0.76


@pytest.mark.filterwarnings("ignore:Optimal order is")
@pytest.mark.parametrize(("noise", "rate", "steps", "delta"), GRID)
def test_opacus_agrees_on_epsilon(noise, rate, steps, delta):
    from opacus.accountants.analysis import rdp

    curve = rdp.compute_rdp(q=rate, noise_multiplier=noise, steps=steps, orders=RDP_ORDERS)
    theirs, _ = rdp.get_privacy_spent(orders=RDP_ORDERS, rdp=curve, delta=delta)
    ours = _epsilon_rdp((PoissonSampledGaussian(noise, rate, steps),), delta)
    if theirs < 60:
        assert ours == pytest.approx(theirs, abs=1e-3)


@pytest.mark.parametrize(("noise", "rate", "steps", "delta"), GRID)
def test_dp_accounting_agrees_on_epsilon_at_whole_orders(noise, rate, steps, delta):
    import dp_accounting
    from dp_accounting.rdp import RdpAccountant, compute_epsilon

    orders = [order for order in RDP_ORDERS if order == int(order) and order < 300]
    theirs = RdpAccountant(orders)
    sampled = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    theirs.compose(sampled, steps)
    curve = dict(zip(RDP_ORDERS, _rdp_of_one_step(noise, rate), strict=True))
    ours, _ = compute_epsilon(orders, [steps * curve[order] for order in orders], delta)
    assert ours == pytest.approx(theirs.get_epsilon(delta), abs=1e-3, rel=1e-6)


@pytest.mark.parametrize(
    ("noise", "rate", "order", "exact"),
    [
        (6.0, 0.5, 2.1, 0.007373121864491829),
        (4.0, 0.3, 2.5, 0.007283974270176673),
        (1.1, 0.3, 2.4, 0.14526604869304482),
        (2.0, 0.5, 3.5, 0.13289554040636092),
    ],
)
def test_fractional_orders_agree_with_forty_digit_quadrature(noise, rate, order, exact):
    """Values by mpmath.quad with 40 digits."""
    curve = dict(zip(RDP_ORDERS, _rdp_of_one_step(noise, rate), strict=True))
    assert curve[order] == pytest.approx(exact, rel=1e-9)


def test_an_empty_book_costs_nothing():
    assert spent([], 1e-5).epsilon == 0.0


def test_the_order_and_the_cut_of_events_do_not_matter():
    halves = [PoissonSampledGaussian(1.0, 0.2, 5), Gaussian(5.0, 1)]
    whole = [Gaussian(5.0, 1), PoissonSampledGaussian(1.0, 0.2, 10)]
    again = [*halves, PoissonSampledGaussian(1.0, 0.2, 5)]
    assert spent(again, 1e-5) == spent(whole, 1e-5)


@settings(max_examples=10, deadline=None)
@given(
    noise=st.floats(0.8, 8.0),
    rate=st.floats(0.01, 1.0),
    steps=st.integers(1, 200),
    more=st.integers(1, 200),
)
def test_more_steps_never_cost_less(noise, rate, steps, more):
    short = epsilon_of([PoissonSampledGaussian(noise, rate, steps)], 1e-4)
    long = epsilon_of([PoissonSampledGaussian(noise, rate, steps + more)], 1e-4)
    assert long >= short - 1e-9


@settings(max_examples=10, deadline=None)
@given(noise=st.floats(0.8, 4.0), rate=st.floats(0.01, 0.9), steps=st.integers(1, 100))
def test_less_noise_and_more_sampling_never_cost_less(noise, rate, steps):
    base = epsilon_of([PoissonSampledGaussian(noise, rate, steps)], 1e-4)
    assert epsilon_of([PoissonSampledGaussian(0.9 * noise, rate, steps)], 1e-4) >= base - 1e-9
    assert epsilon_of([PoissonSampledGaussian(noise, 1.1 * rate, steps)], 1e-4) >= base - 1e-9


@pytest.mark.parametrize(("rate", "steps"), [(0.3, 30), (1.0, 40), (0.02, 500)])
def test_the_smallest_noise_is_enough_and_a_hair_less_is_not(rate, steps):
    noise = smallest_noise(epsilon=4.0, delta=1e-4, sample_rate=rate, steps=steps)
    assert epsilon_of([PoissonSampledGaussian(noise, rate, steps)], 1e-4) <= 4.0
    assert epsilon_of([PoissonSampledGaussian(noise - 0.002, rate, steps)], 1e-4) > 4.0


def test_a_plan_beyond_all_noise_is_refused():
    with pytest.raises(PrivacyPlanUnreachableError):
        smallest_noise(epsilon=1e-5, delta=1e-9, sample_rate=1.0, steps=10**6)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5, float("nan")])
def test_a_delta_outside_its_range_is_refused(delta):
    with pytest.raises(InvalidPrivacyEventError):
        spent([], delta)


def test_hopeless_noise_is_charged_by_the_renyi_figure_alone():
    cost = spent([PoissonSampledGaussian(0.1, 0.5, 10)], 1e-5)
    assert cost.epsilon > 60
    assert cost.epsilon == cost.epsilon_rdp
