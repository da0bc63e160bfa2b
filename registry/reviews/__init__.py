"""Periodic reviews of what is in use (REGISTRY.md B.3, B.5).

A review counts for the clock when it is decided; deployments and versions whose review
is missed by more than 30 days are suspended (`registry.timers`, `registry.deployments.clocks`).
"""

from registry.reviews.noun import NOUN

__all__ = ["NOUN"]
