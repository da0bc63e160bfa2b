"""Incidents with a deployed model: told in time, corrected, closed by two people.

`shape` holds the eight contents the regulation asks for, `severity` its six classes and
the days to tell the authority, `guards` and `noun` the way to its close.
"""

from registry.incidents.noun import NOUN

__all__ = ["NOUN"]
