"""Cases dealt to sites, and sums over them, as a federation does."""

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from hypothesis import strategies as st

from federation.evaluation.sums import Sums

Parts = list[np.ndarray]


def dealt(cases: int, sites: int, seed: int) -> Parts:
    """Return for each site the indices of its cases; every site has some."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(cases)
    cuts = np.sort(rng.choice(np.arange(1, cases), sites - 1, replace=False))
    return np.split(order, cuts)


def sum_over(parts: Parts, send: Callable[[np.ndarray], Sums]) -> Any:
    """Return the sum of what each site sends, each through its JSON form."""
    return reduce(add, (type(one).read(one.as_json()) for one in map(send, parts)))


partitions = st.tuples(st.integers(3, 6), st.integers(0, 2**32 - 1))
"""How many sites, and the seed by which cases are dealt."""
