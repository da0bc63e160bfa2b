"""Proportional hazards with a baseline of each hospital's own: gradient and information only.

Each hospital computes its partial likelihood's step at home; the sum over hospitals is the
step of the stratified model on all cases (Kalbfleisch and Prentice, section 4.4). No sum at a
single time leaves, so that nobody can be read from a risk set.
"""

from dataclasses import dataclass, field

import numpy as np

from federation.evaluation.cox import CoxSums, Ties, newton_terms
from federation.evaluation.regression import check_step
from federation.evaluation.sums import AGREED, COUNTED, SUMMED, Counts, Floats, Sums, refuse_shape


@dataclass(frozen=True, eq=False)
class StratifiedSums(Sums):
    """One site's part of a Newton step at agreed coefficients, as `LogisticSums`.

    `cases` and `events` are over the whole follow-up.
    """

    kind = "cox-by-hospital"
    names: tuple[str, ...] = field(metadata=AGREED)
    at: Floats = field(metadata=AGREED)
    gradient: Floats = field(metadata=SUMMED)
    information: Floats = field(metadata=SUMMED)
    log_likelihood: float = field(metadata=SUMMED)
    cases: int = field(metadata=COUNTED)
    events: int = field(metadata=COUNTED)
    sites: int = field(metadata=COUNTED)

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError unless all have the covariates' number."""
        check_step(len(self.names), self.at, self.gradient, self.information)


@dataclass(frozen=True, eq=False)
class DesignCounts(Sums):
    """How many cases a model is of, how many had the event, and how many are 1 in each column.

    `ones_with` counts those who are 1 in a column and had the event.
    """

    kind = "design-counts"
    names: tuple[str, ...] = field(metadata=AGREED)
    ones: Counts = field(metadata=COUNTED)
    ones_with: Counts = field(metadata=COUNTED)
    cases: int = field(metadata=COUNTED)
    events: int = field(metadata=COUNTED)
    sites: int = field(metadata=COUNTED)

    def check_shapes(self) -> None:
        """Raise SummaryInvalidError unless every column of 0 and 1 has a count."""
        wanted = (len(self.names),)
        if np.shape(self.ones) != wanted or np.shape(self.ones_with) != wanted:
            raise refuse_shape("ones", f"{len(self.names)} counts")


def stratified_sums(sums: CoxSums, ties: Ties) -> StratifiedSums:
    """Return what leaves of a site's sums at every time."""
    terms = newton_terms(sums, ties)
    return StratifiedSums(
        sums.names,
        sums.at,
        terms.gradient,
        terms.information,
        terms.log_likelihood,
        int(sums.at_risk[0]) if len(sums.at_risk) else 0,
        int(sums.events.sum()),
        sums.sites,
    )
