"""Impact studies: what a version changes, planned and locked before anybody looks.

`study` is the shape, `noun` states, moves and guards.
"""

from registry.impact.noun import NOUN

__all__ = ["NOUN"]
