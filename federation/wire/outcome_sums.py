"""What travels in an outcome study: the fits' coefficients to the sites, whole numbers back.

Both follow from the protocol alone. A round's "model" is the `State`: every fit's
coefficients as float64, each in four float32 of 16 bits. A site's row is the summaries of
that round's `blocks` one after the other, as fixed-point numbers whose scale and bound follow
from the protocol and the coefficients; all of that is bound into the masks.

    state = State.start(plan)                          # all zero
    layout = layout_of(plan, sum=1, state=state)
    row = layout.row({block.key: summary, ...})        # a site, int64
    found = layout.summaries(total)                    # the centre, of the sum
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from federation.domain.outcome_plan import (
    Analysis,
    Baseline,
    Binary,
    Category,
    Cox,
    Fit,
    OutcomePlan,
    Survival,
    Weighted,
    Weights,
)
from federation.domain.update import TensorSlot, UpdateManifest
from federation.errors.evaluation import SummaryInvalidError
from federation.errors.outcomes import CoefficientsRefusedError
from federation.evaluation.cox import CoxSums
from federation.evaluation.differencing import SharedGroups
from federation.evaluation.ipw import MeatSums, WeightedSums
from federation.evaluation.regression import LogisticSums
from federation.evaluation.stratified_cox import DesignCounts, StratifiedSums
from federation.evaluation.sums import Floats, Sums
from federation.evaluation.survival import SurvivalTable
from federation.evaluation.terms import Terms
from federation.evidence.canonical import digest_of
from federation.secure_sum import Cells, SummaryForm
from federation.secure_sum.port import LARGEST, Numbers
from federation.wire.messages import FlatModel
from federation.wire.statistics import LIMBS, as_floats, from_floats
from federation.wording import Text

COUNTS, STEP, WEIGHTED, FILLING = "counts", "step", "weighted", "filling"
SHARED = "shared"
FEWEST_BITS = 12
"""Fewer binary digits behind the point would not settle a fit."""
MOST_BITS = 44
ALL = "all"
GROWTH, SMALL_STEP = 1.5, 1e-6
"""Steps of a fit with a rare level grow a little before they shrink: see `is_too_long`."""

TOO_LARGE = Text(
    en="they are larger than the protocol allows, or than the numbers' scale can carry",
    zh="係數超出方案上限,或超出數值刻度所能承載的範圍",
)
NOT_NUMBERS = Text(en="they are not finite numbers", zh="係數並非有限數值")

Key = tuple[str, str]
"""An analysis' name, and which of its summaries."""


@dataclass(frozen=True, slots=True)
class State:
    """Where every fit stands: coefficients of the scaled columns, by analysis.

    After a weighted analysis' coefficients come the share of treated and the two
    coefficients of its outcome, zero until they are known.
    """

    vectors: Mapping[str, Floats]

    @classmethod
    def start(cls, plan: OutcomePlan) -> Self:
        """Return the state of the first sum: zero."""
        return cls({one.name: np.zeros(_length(plan, one)) for one in plan.fits})

    def at(self, plan: OutcomePlan, one: Fit) -> Floats:
        """Return the coefficients of a fit's columns."""
        return self.vectors[one.name][: len(terms_of(plan, one).names)]

    def share(self, one: Weighted) -> float:
        """Return the share of treated."""
        return float(self.vectors[one.name][-3])

    def effect(self, one: Weighted) -> Floats:
        """Return the outcome's coefficients, shape (2,): untreated, difference."""
        return self.vectors[one.name][-2:]

    def as_model(self) -> FlatModel:
        """Return the state as the flat array of a task."""
        values = np.concatenate([np.zeros(1), *self.vectors.values()])
        return as_floats(np.ascontiguousarray(values, dtype="<f8").view("<u8").astype(np.uint64))

    @classmethod
    def of_model(cls, plan: OutcomePlan, model: FlatModel) -> Self:
        """Return the state in a task's array.

        Raises
        ------
        CoefficientsRefusedError
            If it has another length, or a number is not finite.
        """
        start = cls.start(plan)
        try:
            values = from_floats(np.asarray(model)).astype("<u8").view("<f8")
        except SummaryInvalidError as error:
            raise CoefficientsRefusedError(why=NOT_NUMBERS) from error
        if (
            len(values) != 1 + sum(map(len, start.vectors.values()))
            or not np.isfinite(values).all()
        ):
            raise CoefficientsRefusedError(why=NOT_NUMBERS)
        ends = np.cumsum([1, *map(len, start.vectors.values())])
        parts = zip(start.vectors, ends, ends[1:], strict=False)
        return cls({name: values[first:last].astype(np.float64) for name, first, last in parts})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and np.array_equal(self.as_model(), other.as_model())

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Block:
    """One summary of a round, and how it is said in whole numbers."""

    key: Key
    form: SummaryForm[Any]


@dataclass(frozen=True, slots=True)
class OutcomeLayout:
    """The order of a round's whole numbers; `layout_of` makes it."""

    blocks: tuple[Block, ...]

    @property
    def cells(self) -> Cells:
        """Return the form of a row: the widest bounds, and what all blocks agree on."""
        forms = [one.form.cells for one in self.blocks]
        bound = max(one.high for one in forms)
        about = digest_of([one.as_json() for one in forms])
        return Cells(sum(one.length for one in forms), -bound, bound, about=about)

    @property
    def size(self) -> int:
        """Return how many numbers a row has."""
        return self.cells.length

    def is_within(self, row: Numbers) -> bool:
        """Say whether every number of a row is within its bounds."""
        cells = self.cells
        return bool((row >= cells.low).all() and (row <= cells.high).all())

    @property
    def floats(self) -> int:
        """Return how many float32 numbers carry a masked row on the wire."""
        return LIMBS * self.cells.sent

    def row(self, found: Mapping[Key, Sums]) -> Numbers:
        """Return summaries in their order, int64 of shape (cells.length,).

        Raises
        ------
        SumNumbersRefusedError
            If one is of another form, or a number is beyond its bound.
        """
        return np.concatenate([one.form.encode(found[one.key]) for one in self.blocks])

    def summaries(self, total: Numbers) -> dict[Key, Any]:
        """Return what a sum of rows says; raises as `SummaryForm.decode`."""
        ends = np.cumsum([0, *(one.form.cells.length for one in self.blocks)])
        parts = zip(self.blocks, ends, ends[1:], strict=False)
        return {one.key: one.form.decode(total[first:last]) for one, first, last in parts}


def terms_of(plan: OutcomePlan, one: Fit) -> Terms:
    """Return the columns of a fit."""
    by_name = {variable.name: variable for variable in plan.variables}
    return Terms(by_name, one.covariates, has_intercept=not isinstance(one, Cox))


def counted_of(plan: OutcomePlan, one: Fit) -> tuple[str, ...]:
    """Return what is counted of a fit: its columns of 0 and 1, and a weighted binary outcome."""
    names = tuple(term.name for term in terms_of(plan, one).listed if term.is_count)
    if isinstance(one, Weighted) and isinstance(plan.variable(one.outcome), Binary):
        return (*names, one.outcome)
    return names


def groups_of(plan: OutcomePlan, one: Survival) -> tuple[str, ...]:
    """Return the names of a survival analysis' groups."""
    return levels_of(plan, one.group)


def levels_of(plan: OutcomePlan, name: str | None) -> tuple[str, ...]:
    """Return the groups that a variable makes; None makes one."""
    if name is None:
        return (ALL,)
    variable = plan.variable(name)
    return variable.levels if isinstance(variable, Category) else ("0", "1")


def group_of(one: Analysis) -> str | None:
    """Return the variable by whose groups something is shown of an analysis, if there is one."""
    match one:
        case Survival(group=group):
            return group
        case Weighted(treatment=treatment):
            return treatment
    return None


def grouped_before(plan: OutcomePlan, one: Analysis) -> tuple[str, ...]:
    """Return the other variables by whose groups analyses before this one show something."""
    own = group_of(one)
    before = plan.analyses[: plan.analyses.index(one)] if own is not None else ()
    found = (group_of(other) for other in before)
    return tuple(dict.fromkeys(name for name in found if name not in (None, own)))


def shared_with(variable: str) -> str:
    """Return the key of the counts that an analysis' groups share with another variable's."""
    return f"{SHARED} {variable}"


def manifest_of(plan: OutcomePlan) -> UpdateManifest:
    """Return the form in which a state travels and is kept."""
    return UpdateManifest((TensorSlot("state", (len(State.start(plan).as_model()),)),))


def largest_row(plan: OutcomePlan) -> int:
    """Return how many numbers the largest row of a protocol has."""
    start = State.start(plan)
    rows = (layout_of(plan, number, start).cells.length for number in range(1, plan.sums + 1))
    return max(rows)


def largest_shares(plan: OutcomePlan) -> dict[str, int]:
    """Return how many numbers each analysis has in its largest sum, by name."""
    start, found = State.start(plan), dict.fromkeys((one.name for one in plan.analyses), 0)
    for number in range(1, plan.sums + 1):
        blocks = layout_of(plan, number, start).blocks
        for name in found:
            size = sum(one.form.cells.length for one in blocks if one.key[0] == name)
            found[name] = max(found[name], size)
    return found


def floats_of_sum(plan: OutcomePlan, number: int) -> int:
    """Return how many float32 numbers each reply to a sum brings, counted from 1."""
    return layout_of(plan, number, State.start(plan)).floats


def layout_of(plan: OutcomePlan, number: int, state: State) -> OutcomeLayout:
    """Return the order of one sum's numbers, counted from 1, at a state.

    Raises
    ------
    CoefficientsRefusedError
        If the coefficients are beyond what was declared.
    """
    check_within_limits(plan, state)
    return OutcomeLayout(tuple(_blocks(plan, number, state)))


def check_within_limits(plan: OutcomePlan, state: State) -> None:
    """Raise CoefficientsRefusedError for coefficients beyond what the protocol declares."""
    most = plan.limits.largest_coefficient
    for one in plan.fits:
        if (np.abs(state.at(plan, one)) > most).any():
            raise CoefficientsRefusedError(why=TOO_LARGE)
        if isinstance(one, Weighted):
            mean, effect = state.effect(one)
            if max(abs(mean), abs(mean + effect)) > 1 + 1e-9 or not 0 <= state.share(one) <= 1:
                raise CoefficientsRefusedError(why=TOO_LARGE)


def is_too_long(step: Floats, *, before: Floats, first: Floats) -> bool:
    """Say whether a fit's step is longer than any of a fit that settles.

    None is longer than the first, nor than `GROWTH` times the one before; steps so small that
    rounding decides are never too long. Sites do not answer after such a step, and the
    centre does not ask.
    """
    length, last, longest = (float(np.abs(one).max(initial=0.0)) for one in (step, before, first))
    return length > max(SMALL_STEP, min(longest, GROWTH * last))


def _blocks(plan: OutcomePlan, number: int, state: State) -> Iterator[Block]:
    for one in plan.analyses:
        if number == 1:
            yield Block((one.name, COUNTS), _counts(plan, one))
            for other in grouped_before(plan, one):
                yield Block((one.name, shared_with(other)), _shared(plan, one, other))
        if isinstance(one, Survival):
            continue
        if number <= plan.fitting:
            yield Block((one.name, STEP), step_form(plan, one, state.at(plan, one)))
        elif isinstance(one, Weighted):
            is_first = number == plan.fitting + 1
            key = WEIGHTED if is_first else FILLING
            yield Block((one.name, key), _weighted(plan, one, state, is_first=is_first))


def _counts(plan: OutcomePlan, one: Analysis) -> SummaryForm[Any]:
    if isinstance(one, Survival):
        assert plan.clock is not None  # the protocol was checked
        groups, times = groups_of(plan, one), np.array(plan.clock.times)
        none = np.zeros((len(groups), len(times)), dtype=np.int64)
        return _form(SurvivalTable(groups, times, none, none), plan.limits.most_patients)
    names = counted_of(plan, one)
    each = np.zeros(len(names), dtype=np.int64)
    return _form(DesignCounts(names, each, each, 0, 0, 0), plan.limits.most_patients)


def _shared(plan: OutcomePlan, one: Analysis, other: str) -> SummaryForm[Any]:
    rows, columns = levels_of(plan, other), levels_of(plan, group_of(one))
    none = np.zeros((len(rows), len(columns)), dtype=np.int64)
    return _form(SharedGroups(rows, columns, none), plan.limits.most_patients)


def step_form(plan: OutcomePlan, one: Fit, at: Floats) -> SummaryForm[Any]:
    """Return the form of a Newton step; columns are at most 1, so sums are at most the cases.

    Raises
    ------
    CoefficientsRefusedError
        If sums at these coefficients would be too large to have digits behind the point.
    """
    names, cases = terms_of(plan, one).names, plan.limits.most_patients
    p, reach = len(names), float(np.abs(at).sum())
    none, square = np.zeros(p), np.zeros((p, p))
    if not isinstance(one, Cox):
        return _form(LogisticSums(names, at, none, square, 0.0, 0, 0), cases * (1.0 + reach))
    if one.baseline is Baseline.BY_HOSPITAL:
        most = cases * (2 + 2 * reach + math.log(cases))
        return _form(StratifiedSums(names, at, none, square, 0.0, 0, 0, 0), most)
    assert plan.clock is not None  # the protocol was checked
    times = np.array(plan.clock.times)
    t = len(times)
    counts = np.zeros(t, dtype=np.int64)
    each = (np.zeros(t), np.zeros((t, p)), np.zeros((t, p, p)))
    like = CoxSums(names, times, at, counts, counts, none, *each, *each, 0)
    return _form(like, cases * math.exp(min(reach, 300.0)))


def _weighted(
    plan: OutcomePlan, one: Weighted, state: State, *, is_first: bool
) -> SummaryForm[Any]:
    cases, largest = plan.limits.most_patients, largest_weight(plan, one)
    pair, square = np.zeros(2), np.zeros((2, 2))
    most = cases * max(1.0, largest) ** 2
    if is_first:
        arms = np.zeros(2, dtype=np.int64)
        return _form(WeightedSums(square, pair, pair, pair, arms, 0), most)
    return _form(MeatSums(state.effect(one), square, 0, 0), 4 * most)


def largest_weight(plan: OutcomePlan, one: Weighted) -> float:
    """Return the largest weight of a patient that a protocol allows."""
    return 1.0 if one.weights is Weights.OVERLAP else plan.limits.largest_weight


def _form(like: Sums, most: float) -> SummaryForm[Any]:
    """Return a summary's form with as many binary digits as its largest number leaves."""
    bits = min(MOST_BITS, math.floor(math.log2(LARGEST) - math.log2(most)))
    if bits < FEWEST_BITS:
        raise CoefficientsRefusedError(why=TOO_LARGE)
    return SummaryForm(like, bits, most)


def _length(plan: OutcomePlan, one: Fit) -> int:
    return len(terms_of(plan, one).names) + (3 if isinstance(one, Weighted) else 0)
