"""What slices need of the patients that are scored: sex, age and scanner of each.

Who is scored are the approved patients, without those who opted out; `disjointness` tells
them from those that a version was trained on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.data.catalogue.cards import age_band
from clients.data.catalogue.store import Catalogue
from clients.data.catalogue.tables import years_of
from clients.data.cohort.load import Cases
from clients.home import NodeHome
from federation.domain.evaluation_plan import Slices

NO_SLICE = -1
SEX, AGE_BAND, SCANNER = "sex", "age-band", "scanner"


@dataclass(frozen=True)
class Traits:
    """What slices need of patients, in the order of the cases' patients.

    Parameters
    ----------
    values
        int64, shape (patients, families of slices): the place of the value in its
        family, `NO_SLICE` for none of them.
    ages
        Years, NaN where unknown, shape (patients,).
    """

    values: NDArray[np.int64]
    ages: NDArray[np.float64]


def traits_of(home: NodeHome, cases: Cases, slices: Sequence[Slices]) -> Traits:
    """Return the slices of every patient, by the first image of each."""
    with Catalogue(home.data) as catalogue:
        rows = catalogue.described(list(cases.instances))
    first: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        first.setdefault(str(row["patient"]), row)
    described = [first[key] for key in cases.keys]
    values = [[_place(one, _value(one.family, row)) for one in slices] for row in described]
    ages = [years_of(str(row["age"])) for row in described]
    return Traits(
        np.array(values, dtype=np.int64).reshape(len(described), len(slices)),
        np.array([np.nan if one is None else float(one) for one in ages]),
    )


def _place(slices: Slices, value: str) -> int:
    return slices.values.index(value) if value in slices.values else NO_SLICE


def _value(family: str, row: Mapping[str, Any]) -> str:
    """Return a patient's value; a family that no catalogue knows has none."""
    match family:
        case "sex":
            return str(row["sex"])
        case "age-band":
            return age_band(str(row["age"]))
        case "scanner":
            return f"{row['manufacturer']} {row['model']}".strip()
        case _:
            return ""
