"""Where a model version is used, in which mode, under whose watch.

`shape` is what a hospital writes, `guards` and `states` the way from planning to routine
use and out of it, `clocks` what the passing of time asks for.
"""

from registry.deployments.noun import NOUN

__all__ = ["NOUN"]
