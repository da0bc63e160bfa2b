"""Published data as hospitals' tables: split over three sites, a patient's id is its row."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from federation.domain.outcome_plan import (
    Analysis,
    Baseline,
    Binary,
    Category,
    Clock,
    Cox,
    Limits,
    Numeric,
    Survival,
    TiesBy,
    Unit,
    Variable,
    Weighted,
    Weights,
)
from tests.evaluation.published import PLACEBO, SIX_MP

ROSSI = ("fin", "age", "race", "wexp", "mar", "paro", "prio")
SMALL = Limits(newton_rounds=6, most_patients=1000, smallest_cell=5)


@dataclass(frozen=True)
class Data:
    """A set of patients with what is asked of them."""

    name: str
    rows: Sequence[Mapping[str, Any]]
    variables: tuple[Variable, ...]
    analyses: tuple[Analysis, ...]
    clock: Clock | None
    limits: Limits

    def csv_of(self, site: int, sites: int = 3) -> bytes:
        """Return one site's table."""
        return as_csv(self.rows[site::sites], first=site, step=sites)


def as_csv(rows: Sequence[Mapping[str, Any]], *, first: int = 0, step: int = 1) -> bytes:
    """Return a table of rows, with made-up ids."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["patient_id", *rows[0]])
    for place, row in enumerate(rows):
        writer.writerow([f"chart-{first + place * step:05d}", *row.values()])
    return text.getvalue().encode()


def leukaemia() -> Data:
    """Return Freireich's 42 children: weeks of remission with 6-MP and placebo."""
    weeks = [("placebo", week) for week in PLACEBO] + [("6-MP", week) for week in SIX_MP]
    rows = [
        {"time": abs(week), "event": int(week > 0), "arm": arm, "rx": int(arm == "placebo")}
        for arm, week in weeks
    ]
    cox = [Cox(f"rx-{ties.value}", ("rx",), ties, Baseline.SHARED) for ties in TiesBy]
    return Data(
        "leukaemia",
        rows,
        (Category("arm", ("6-MP", "placebo")), Binary("rx")),
        (Survival("remission", "arm", 20.0), *cox),
        Clock(Unit.WEEK, 1.0, 35.0),
        SMALL,
    )


def rossi() -> Data:
    """Return lifelines' 432 released prisoners: week of arrest, seven covariates."""
    table = pytest.importorskip("lifelines.datasets").load_rossi()
    names = {"week": "time", "arrest": "event"}
    rows = table[["week", "arrest", *ROSSI]].rename(columns=names).to_dict("records")
    numbers: dict[str, Variable] = {
        "age": Numeric("age", 15, 50), "prio": Numeric("prio", 0, 20),
    }  # fmt: skip
    return Data(
        "rossi",
        rows,
        tuple(numbers.get(name, Binary(name)) for name in ROSSI),
        tuple(Cox(one.value, ROSSI, TiesBy.EFRON, one) for one in Baseline),
        Clock(Unit.WEEK, 1.0, 52.0),
        SMALL,
    )


def nhefs() -> Data:
    """Return 1,566 smokers: who quit, and what they weighed ten years later."""
    module = pytest.importorskip("causaldata.nhefs_complete")
    table = module.load_pandas().data
    numbers = {"age": (20, 80), "smokeintensity": (0, 80), "smokeyrs": (0, 70), "wt71": (30, 180)}
    words = {"education": range(1, 6), "exercise": range(3), "active": range(3)}
    columns = ["sex", "race", *words, *numbers]
    given = table[["qsmk", "wt82_71", *columns]]
    rows = [
        {
            name: int(value) if name not in {"wt82_71", "wt71"} else float(value)
            for name, value in row.items()
        }
        for row in given.astype(float).to_dict("records")
    ]
    squares = [one for name in numbers for one in (name, f"{name}^2")]
    covariates = ("sex", "race", *words, *squares)
    return Data(
        "nhefs",
        rows,
        (
            Binary("qsmk"),
            Numeric("wt82_71", -50, 60),
            Binary("sex"),
            Binary("race"),
            *(Category(name, tuple(map(str, levels))) for name, levels in words.items()),
            *(Numeric(name, low, high) for name, (low, high) in numbers.items()),
        ),
        (Weighted("quitting", "qsmk", "wt82_71", covariates, Weights.INVERSE),),
        None,
        SMALL,
    )


def array(data: Data, name: str) -> np.ndarray:
    """Return a column of all sites together."""
    return np.array([row[name] for row in data.rows], dtype=float)
