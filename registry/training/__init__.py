"""Training runs: plan, sites, rounds, privacy, code and machines, checked against what was signed.

`run` is the shape, `noun` states, moves and guards.
"""

from registry.training.noun import NOUN

__all__ = ["NOUN"]
