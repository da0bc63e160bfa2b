"""One parameter at a time: the tornado, and the price at which a decision turns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scipy.optimize import brentq

from federation.economics.parameters import Parameter
from federation.errors.economics import ModelValueError

Outcome = Callable[[Mapping[str, float]], float]
"""Returns what is looked at, for example incremental net benefit, of all parameters' values."""

LOW, HIGH = 0.025, 0.975


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a tornado: the outcome at a parameter's 2.5 % and 97.5 % quantile."""

    parameter: str
    low: float
    high: float
    at_low: float
    at_high: float

    @property
    def swing(self) -> float:
        """Return how far the outcome moves."""
        return abs(self.at_high - self.at_low)


def tornado(parameters: Mapping[str, Parameter], outcome: Outcome) -> tuple[float, tuple[Bar, ...]]:
    """Return the outcome at all means, and a bar for each parameter, the longest first."""
    means = {name: one.mean for name, one in parameters.items()}
    bars = []
    for name, one in parameters.items():
        low, high = one.quantile(LOW), one.quantile(HIGH)
        if low == high:
            continue
        ends = [outcome({**means, name: value}) for value in (low, high)]
        bars.append(Bar(name, low, high, ends[0], ends[1]))
    return outcome(means), tuple(sorted(bars, key=lambda bar: (-bar.swing, bar.parameter)))


def threshold_price(benefit: Callable[[float], float], *, highest: float) -> float | None:
    """Return the price at which incremental net benefit is zero: value-based pricing.

    Parameters
    ----------
    benefit
        Incremental net benefit at a price; falls with the price.
    highest
        Up to where to look.

    Returns
    -------
    None when even a price of zero is too high, or `highest` still is worth it.

    Raises
    ------
    ModelValueError
        If the highest price is not above zero.
    """
    if not highest > 0:
        raise ModelValueError(name="highest price", actual=highest, expected="above zero")
    if benefit(0.0) < 0 or benefit(highest) > 0:
        return None
    return float(brentq(benefit, 0.0, highest, xtol=1e-9 * highest))
