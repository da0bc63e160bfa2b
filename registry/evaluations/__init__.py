"""Evaluations of versions: planned and logged first, then run, then judged.

`evaluation` is the shape, `noun` states, moves and guards.
"""

from registry.evaluations.noun import NOUN

__all__ = ["NOUN"]
