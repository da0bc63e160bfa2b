"""A model's covariates as columns: bounded, so that sums of them have a known largest number.

A number is brought to -1..1 by its declared bounds, a word becomes a column of 0 and 1
for each level but the first. Fits are made of these columns; `Terms.in_units` says the
coefficients and their covariance in the units that people gave, exactly: the columns are a
linear map of the variables, their squares and one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from federation.domain.outcome_plan import SQUARED, Binary, Category, Numeric, Variable
from federation.evaluation.sums import Floats

INTERCEPT = "(intercept)"


@dataclass(frozen=True, slots=True)
class Term:
    """One column: its name, what a level is compared with, and whether it is 0 or 1."""

    name: str
    reference: str | None
    is_count: bool


@dataclass(frozen=True, slots=True)
class Terms:
    """The columns of one model.

    Parameters
    ----------
    variables
        By name, at least those of the covariates.
    covariates
        In their order; ``age^2`` is the square of a number.
    """

    variables: Mapping[str, Variable]
    covariates: tuple[str, ...]
    has_intercept: bool

    @property
    def listed(self) -> tuple[Term, ...]:
        """Return the columns in their order, the intercept first."""
        first = [Term(INTERCEPT, None, False)] if self.has_intercept else []
        return (*first, *(term for one in self.covariates for term in self._of(one)))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the columns' names."""
        return tuple(term.name for term in self.listed)

    def design(self, values: Mapping[str, Floats], rows: int) -> Floats:
        """Return the columns, shape (rows, columns).

        Parameters
        ----------
        values
            By variable, shape (rows,): numbers as given, words as the place of the level.
        """
        columns = [np.ones(rows)] if self.has_intercept else []
        for covariate in self.covariates:
            one = self.variables[covariate.removesuffix(SQUARED)]
            columns += self._columns(one, values[one.name], is_square=covariate != one.name)
        return np.column_stack(columns) if columns else np.zeros((rows, 0))

    def in_units(self, at: Floats, covariance: Floats) -> tuple[Floats, Floats]:
        """Return coefficients and covariance of the variables as given, in the same order."""
        back = self._map().T
        kept = slice(None) if self.has_intercept else slice(1, None)
        there = (back if self.has_intercept else back[:, 1:])[kept]
        return there @ at, there @ covariance @ there.T

    def _map(self) -> Floats:
        """Return how columns (rows, one first) follow from one and the variables as given."""
        names = (INTERCEPT, *(name for name in self.names if name != INTERCEPT))
        mapped = np.eye(len(names))
        for covariate in self.covariates:
            one = self.variables[covariate.removesuffix(SQUARED)]
            if isinstance(one, Numeric):
                row = names.index(covariate)
                middle, half = middle_of(one)
                mapped[row, row] = 1 / half ** (1 if covariate == one.name else 2)
                if covariate == one.name:
                    mapped[row, 0] = -middle / half
                else:
                    mapped[row, names.index(one.name)] = -2 * middle / half**2
                    mapped[row, 0] = (middle / half) ** 2
        return mapped

    def _of(self, covariate: str) -> Sequence[Term]:
        one = self.variables[covariate.removesuffix(SQUARED)]
        if isinstance(one, Category):
            first, *others = one.levels
            return [Term(f"{one.name}={level}", first, True) for level in others]
        return [Term(covariate, None, isinstance(one, Binary))]

    def _columns(self, one: Variable, given: Floats, *, is_square: bool) -> list[Floats]:
        if isinstance(one, Category):
            return [(given == place).astype(np.float64) for place in range(1, len(one.levels))]
        scaled = scaled_to_one(one, given)
        return [scaled**2 if is_square else scaled]


def middle_of(one: Numeric) -> tuple[float, float]:
    """Return the middle of a number's bounds and half their distance."""
    return (one.low + one.high) / 2, (one.high - one.low) / 2


def scaled_to_one(one: Variable, given: Floats) -> Floats:
    """Return a variable's numbers between -1 and 1; 0 and 1 stay what they are."""
    if not isinstance(one, Numeric):
        return np.asarray(given, dtype=np.float64)
    middle, half = middle_of(one)
    return np.asarray((given - middle) / half, dtype=np.float64)
