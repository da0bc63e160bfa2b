"""What the data officer signs to set the budget of one book.

The statement names the book's head, so it holds for the book as the officer saw
it: it cannot be used a second time, nor for another book.
"""

import math
from dataclasses import dataclass

from federation.domain.ids import Sha256
from federation.errors.ledger import BudgetChangeRefusedError
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.privacy.ledger import Budget, Limit, Scope

_WHAT = "budget"
MOST_DAYS = 36_600


@dataclass(frozen=True, slots=True)
class BudgetChange:
    """A new budget of a dataset's book, signed when `head` was its newest entry.

    Raises
    ------
    BudgetChangeRefusedError
        If epsilon, delta or the number of days cannot be.
    """

    dataset: str
    head: Sha256
    budget: Budget
    days: int | None

    def __post_init__(self) -> None:
        epsilon, delta = self.budget.epsilon, self.budget.delta
        if not (math.isfinite(epsilon) and epsilon > 0 and 0 < delta < 1):
            raise BudgetChangeRefusedError(why="epsilon and delta must be above 0, delta below 1")
        if self.days is not None and not 1 <= self.days <= MOST_DAYS:
            raise BudgetChangeRefusedError(why=f"a period has 1 to {MOST_DAYS} days")

    @property
    def limit(self) -> Limit:
        """Return the limit it sets."""
        return Limit(Scope.DATASET, self.budget, self.days)

    def statement(self) -> Statement:
        """Return what the officer signs."""
        subject = Subject(f"ledger/{self.dataset}", self.head)
        said = {
            "what": _WHAT,
            "dataset": self.dataset,
            "epsilon": self.budget.epsilon,
            "delta": self.budget.delta,
            "days": self.days,
        }
        return Statement((subject,), PredicateType.LEDGER, said)

    @classmethod
    def from_statement(cls, statement: Statement) -> "BudgetChange":
        """Return the change in a verified statement.

        Raises
        ------
        BudgetChangeRefusedError
            If it says anything else.
        """
        match dict(statement.predicate):
            case {
                "what": "budget",
                "dataset": str(dataset),
                "epsilon": int() | float() as epsilon,
                "delta": int() | float() as delta,
                "days": int() | None as days,
                **rest,
            } if not rest:
                change = cls(
                    dataset, statement.subjects[0].digest, Budget(float(epsilon), delta), days
                )
                if change.statement() == statement:
                    return change
        raise BudgetChangeRefusedError(why="it is not a statement about a budget")
