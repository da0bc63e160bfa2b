"""Patients that were made up, for what published data do not have."""

import numpy as np

from federation.domain.outcome_plan import (
    Analysis,
    Baseline,
    Binary,
    Category,
    Clock,
    Cox,
    Limits,
    Logistic,
    Numeric,
    Survival,
    TiesBy,
    Unit,
    Weighted,
    Weights,
)
from tests.outcome_study.published import Data

QUICK = Limits(newton_rounds=5, most_patients=1000, smallest_cell=10)
VARIABLES = (
    Binary("ai"), Numeric("age", 18, 100), Category("sex", ("F", "M", "X")), Binary("died"),
)  # fmt: skip
CLOCK = Clock(Unit.MONTH, 1.0, 24.0)
ANALYSES: tuple[Analysis, ...] = (
    Survival("curves", "sex", 6.0),
    Cox("hazard", ("ai", "age"), TiesBy.BRESLOW, Baseline.BY_HOSPITAL),
    Logistic("rare", "died", ("ai", "sex")),
    Weighted("effect", "ai", "died", ("age",), Weights.OVERLAP),
)


def patients(count: int = 180, *, rare: int = 4, seed: int = 3) -> Data:
    """Return patients of whom `rare` are of sex X."""
    random = np.random.default_rng(seed)
    rows = []
    for place in range(count):
        age, ai = float(random.integers(30, 90)), int(random.random() < 0.5)
        time = float(random.exponential(10 + 5 * ai))
        rows.append(
            {
                "time": round(min(time, 30.0), 1),
                "event": int(time < 20),
                "ai": ai,
                "age": age,
                "sex": "X" if place < rare else ("F", "M")[place % 2],
                "died": int(random.random() < 0.2 + 0.004 * (age - 30) - 0.1 * ai),
            }
        )
    return Data("wards", rows, VARIABLES, ANALYSES, CLOCK, QUICK)
