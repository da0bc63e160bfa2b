"""Invented numbers of a stepped wedge, as the hospitals' small tables.

Every period one more hospital begins to use the model. The people, minutes and costs in
the tables never existed: they rehearse what happens with real ones. Same sites, same bytes.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from federation.impact.plan import Plan
from federation.impact.site_table import as_csv
from federation.impact.tabulate import KEYS, tabulate

SEED = 2026
WARDS = 2
"""Of each hospital: fewer than four clusters in all give no honest interval."""

PATIENTS = 20
"""Of a ward in a period: above the smallest cell, so that the table may leave."""

_MINUTES, _SPREAD, _WARD_SPREAD, _FASTER, _DRIFT = 52.0, 14.0, 2.0, 7.0, 0.4
_COST_TWD, _COST_SHAPE, _CHEAPER = 9000.0, 4.0, 0.96


def tables(sites: Sequence[str], plan: Plan) -> dict[str, bytes]:
    """Return each hospital's table, tabulated from invented cases as a hospital does.

    Parameters
    ----------
    plan
        Its measures are turnaround (min) and cost (TWD), its periods one more than the sites.
    """
    return {
        site: as_csv(tabulate(_cases(place, plan), site, plan)) for place, site in enumerate(sites)
    }


def _cases(place: int, plan: Plan) -> bytes:
    """Return one line a case of the hospital that begins with period `place` + 1."""
    source = np.random.default_rng([SEED, place])
    lines = [",".join([*KEYS, "turnaround", "cost"])]
    for ward in range(WARDS):
        shift = source.normal(0, _WARD_SPREAD)
        for period in range(plan.periods):
            lines += _cell(source, f"ward-{ward + 1}", period, period > place, shift, plan)
    return "\n".join(lines).encode()


def _cell(
    source: np.random.Generator, ward: str, period: int, treated: bool, shift: float, plan: Plan
) -> Iterator[str]:
    arm = plan.intervention if treated else plan.comparator
    minutes = _MINUTES + shift - _DRIFT * period - (_FASTER if treated else 0.0)
    cost = _COST_TWD * (_CHEAPER if treated else 1.0)
    for _ in range(PATIENTS):
        taken = max(5.0, source.normal(minutes, _SPREAD))
        paid = source.gamma(_COST_SHAPE, cost / _COST_SHAPE)
        yield f"{ward},{period},{arm},{taken:.0f},{paid:.0f}"
