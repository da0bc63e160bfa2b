"""One-run privacy auditing (Steinke, Nasr & Jagielski 2023).

Many canaries, each in the data by its own coin; the mechanism runs once; from what it
released one guesses the coins of the clearest canaries. An (epsilon, delta) claim says
how often such guesses can be right, whatever the mechanism. More right guesses than
that refute the claim.
"""

import numpy as np
from scipy import stats


def right_guesses(scores, included, guesses):
    """Return how many of the most extreme scores are guessed right, half from each end."""
    order = np.argsort(scores)
    low, high = order[: guesses // 2], order[-(guesses // 2) :]
    return int((~included[low]).sum() + included[high].sum())


def chance_under(claim, *, canaries, guesses, right):
    """Return an upper bound on P[at least `right` guesses are right] (theorem 5.2).

    Parameters
    ----------
    claim
        (epsilon, delta).
    """
    epsilon, delta = claim
    rate = 1 / (1 + np.exp(-epsilon))
    at_least = stats.binom.sf(right - 1, guesses, rate)
    steps = np.arange(1, right + 1)
    mass = np.cumsum(stats.binom.pmf(right - steps, guesses, rate))
    return min(1.0, at_least + 2 * canaries * delta * (mass / steps).max())


def refutes(claim, *, canaries, guesses, right, error=1e-3):
    """Say whether the guesses refute the claim, wrongly so with chance `error` at most."""
    return chance_under(claim, canaries=canaries, guesses=guesses, right=right) < error
