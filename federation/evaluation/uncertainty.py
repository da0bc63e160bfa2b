"""Split conformal prediction over hospitals (E13): its threshold, coverage and selective risk.

A hospital splits its patients by a rule that the protocol fixed and sends histograms of
all cases and of those that test; what is left over calibrates. `conformal` computes; here
is what of it may be shown beside an assessment of the same cases.

A case's non-conformity is 1 - p of its true class, on the grid. The prediction set of a
new case has every class whose non-conformity is at most the threshold.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from federation.errors.evaluation import SummaryInvalidError
from federation.evaluation.assessment import rate_json
from federation.evaluation.conformal import (
    ConformalThreshold,
    SelectivePoint,
    ValueCounts,
    threshold,
)
from federation.evaluation.differencing import least_difference
from federation.evaluation.operating_points import Confusion, confusion
from federation.evaluation.proportions import Proportion
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.sliced import EVERYONE, SlicedScores
from federation.evaluation.suppression import Band, CellRule, Reason, Refusal
from federation.evaluation.tables import publish
from federation.evaluation.tails import Interval

NAME = "uncertainty"
WITH_FINDING, WITHOUT_FINDING = "finding=yes", "finding=no"
_REST = "rest"
_CELLS = ("covered", "missed")

Rate = Proportion | Band | Refusal


@dataclass(frozen=True, slots=True)
class Selected:
    """How many cases are answered from a confidence on, and how often wrongly."""

    point: SelectivePoint
    interval: Interval

    def as_json(self) -> list[float]:
        """Return least confidence, share answered, risk and both ends of its interval."""
        one = self.point
        return [one.least_confidence, one.answered, one.risk, *self.interval.as_json()]


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """What may be shown of split conformal prediction.

    Parameters
    ----------
    found
        The threshold, from the calibrating cases.
    steps
        Of the grid: the threshold is `found.bin` / `steps`.
    coverage
        Of the testing cases: of everyone, of each class, of groups.
    certain
        Testing cases whose prediction set has exactly one answer.
    """

    alpha: float
    found: ConformalThreshold
    steps: int
    test_cases: int
    coverage: Mapping[str, Rate]
    certain: Rate
    selective: tuple[Selected, ...]

    def as_json(self) -> dict[str, object]:
        """Return it as data; what is hidden is null or a band."""
        return {
            "alpha": self.alpha,
            "calibration_cases": self.found.calibration_cases,
            "test_cases": self.test_cases,
            "rank": self.found.rank,
            "threshold": self.found.bin / self.steps,
            "promised": self.found.coverage.as_json(),
            "coverage": {name: rate_json(one) for name, one in self.coverage.items()},
            "certain": rate_json(self.certain),
            "selective": [one.as_json() for one in self.selective],
        }


@dataclass(frozen=True, slots=True)
class Parts:
    """All cases, split into those that calibrate and those that test.

    Raises
    ------
    SummaryInvalidError
        If more cases test than there are.
    """

    whole: SlicedScores
    tested: SlicedScores

    def __post_init__(self) -> None:
        fits = self.whole.slices == self.tested.slices and all(
            (getattr(self.tested, one) <= getattr(self.whole, one)).all()
            for one in ("positives", "negatives", "overlaps")
        )
        if not fits:
            expected = "a part of the cases of the same slices"
            raise SummaryInvalidError(field="test cases", actual="others", expected=expected)

    def calibrating(self, name: str) -> ScoreHistogram:
        """Return the histogram of a slice's calibrating cases."""
        whole, tested = self.whole.histogram(name), self.tested.histogram(name)
        return ScoreHistogram(
            whole.positives - tested.positives, whole.negatives - tested.negatives
        )

    def differing(self, name: str, shown: Sequence[str]) -> dict[str, int]:
        """Return how many cases are in one of two slices only, of either part."""
        tested = self.tested.differing(name, shown)
        whole = self.whole.differing(name, shown)
        left = {f"calibrating {one}": whole[one] - tested[one] for one in shown}
        return {**tested, **left}


def assess_uncertainty(
    parts: Parts, *, alpha: float, rule: CellRule, groups: Sequence[str], cuts: Sequence[float]
) -> Uncertainty | Refusal:
    """Return what may be shown, or why nothing may.

    Parameters
    ----------
    groups
        The slices that the assessment shows, by family and in its order.
    cuts
        The cuts of the ROC curve that are shown: selective risk is told at no others.

    Raises
    ------
    CalibrationTooSmallError
        If too few cases calibrate for `alpha`.
    SummaryInvalidError
        As `Parts`.
    """
    calibrating, tested = parts.calibrating(EVERYONE), parts.tested.histogram(EVERYONE)
    for part in (calibrating, tested):
        refused = rule.slice_of(NAME, part)
        if refused is not None:
            return refused
    found = threshold(nonconformity(calibrating), alpha)
    refused = rule.quantile(NAME, cases=calibrating.patients, probability=1 - alpha)
    if refused is not None:
        return refused
    classes = _by_class(parts, found, rule)
    return Uncertainty(
        alpha,
        found,
        len(tested.positives) - 1,
        tested.patients,
        {**classes, **_by_group(parts, found, rule, groups)},
        _certain(tested, found, rule),
        tuple(_selective(parts.whole.histogram(EVERYONE), cuts)),
    )


def refusals_of(found: Uncertainty) -> Iterator[Refusal]:
    """Yield what of it is not shown."""
    for one in (*found.coverage.values(), found.certain):
        if isinstance(one, Refusal):
            yield one


def nonconformity(cases: ScoreHistogram) -> ValueCounts:
    """Return the cases by 1 - p of their true class, on the grid."""
    return ValueCounts(cases.positives[::-1] + cases.negatives)


def _covered(cases: ScoreHistogram, found: ConformalThreshold) -> tuple[Proportion, Proportion]:
    """Return how many of those with the finding are covered, and of those without."""
    nobody = np.zeros_like(cases.positives)
    with_it, without = (
        ScoreHistogram(cases.positives, nobody),
        ScoreHistogram(nobody, cases.negatives),
    )
    return found.covers(nonconformity(with_it)), found.covers(nonconformity(without))


def _by_class(parts: Parts, found: ConformalThreshold, rule: CellRule) -> dict[str, Rate]:
    """Return the coverage of everyone and of each class.

    Everybody's curves are shown, so what calibrates is the rest of what tests: the classes
    are told only if no cell of either part is small.
    """
    tested = parts.tested.histogram(EVERYONE)
    cells = [_covered(one, found) for one in (tested, parts.calibrating(EVERYONE))]
    small = any(_has_small_part(one, rule) for pair in cells for one in pair)
    overall = rule.rate(f"{NAME} {EVERYONE}", found.covers(nonconformity(tested)))
    rates = dict(zip((WITH_FINDING, WITHOUT_FINDING), cells[0], strict=True))
    hidden = {name: rule.refuse(f"{NAME} {name}", Reason.HIDDEN_CELL) for name in rates}
    return {EVERYONE: overall, **(hidden if small else rates)}


def _has_small_part(rate: Proportion, rule: CellRule) -> bool:
    return rule.is_small(rate.hits) or rule.is_small(rate.of - rate.hits)


def _by_group(
    parts: Parts, found: ConformalThreshold, rule: CellRule, groups: Sequence[str]
) -> dict[str, Rate]:
    """Return the coverage of groups, family by family."""
    rates: dict[str, Rate] = {}
    shown, families = [EVERYONE], list[list[str]]()
    for family in dict.fromkeys(name.partition("=")[0] for name in groups):
        members: dict[str, Proportion] = {}
        for name in (one for one in groups if one.partition("=")[0] == family):
            refused = _refused_group(parts, name, shown, rule)
            if refused is None:
                members[name] = found.covers(nonconformity(parts.tested.histogram(name)))
            else:
                rates[name] = refused
        if _tells_apart(parts, list(members), families, rule):
            rates |= {name: rule.refuse(f"{NAME} {name}", Reason.DIFFERENCE) for name in members}
            continue
        rates |= _in_table(members, found.covers(_everyone(parts)), rule)
        families.append(list(members))
        shown += members
    return rates


def _tells_apart(
    parts: Parts, members: Sequence[str], families: Sequence[Sequence[str]], rule: CellRule
) -> bool:
    """Say whether unions of these groups differ from those of another family by few cases."""
    for other in families:
        tested, whole = (one.shared(members, other) for one in (parts.tested, parts.whole))
        if any(rule.is_small(least_difference(one)) for one in (tested, whole - tested)):
            return True
    return False


def _everyone(parts: Parts) -> ValueCounts:
    return nonconformity(parts.tested.histogram(EVERYONE))


def _refused_group(parts: Parts, name: str, shown: Sequence[str], rule: CellRule) -> Refusal | None:
    """Return why a group's coverage is not shown: it, or what calibrates of it, is small."""
    counts = parts.tested.histogram(name).patients, parts.calibrating(name).patients
    if min(counts) < rule.k:
        return rule.refuse(f"{NAME} {name}", Reason.SMALL_TOTAL)
    return rule.difference(f"{NAME} {name}", parts.differing(name, shown))


def _in_table(
    members: Mapping[str, Proportion], whole: Proportion, rule: CellRule
) -> dict[str, Rate]:
    """Return the rates of a family whose cells do not follow from the others and the total."""
    if not members:
        return {}
    rows = [[one.hits, one.of - one.hits] for one in members.values()]
    seen = np.array(rows, dtype=np.int64)
    rest = np.array([whole.hits, whole.of - whole.hits]) - seen.sum(axis=0)
    table = publish(np.vstack([seen, rest]), [*members, _REST], _CELLS, rule)
    return {
        name: rule.refuse(f"{NAME} {name}", Reason.HIDDEN_CELL) if None in table.cells[row] else one
        for row, (name, one) in enumerate(members.items())
    }


def _certain(tested: ScoreHistogram, found: ConformalThreshold, rule: CellRule) -> Rate:
    """Return how many prediction sets have exactly one answer.

    Those that are certain and right follow from the coverage, so they must not be few.
    """
    steps = len(tested.positives) - 1
    bins = np.arange(steps + 1)
    answers = (bins <= found.bin).astype(int) + (steps - bins <= found.bin)
    certain = int(tested.totals[answers == 1].sum())
    covered = found.covers(nonconformity(tested)).hits
    apart = (certain - covered, certain - (tested.patients - covered))
    name = f"{NAME} certain"
    if any(rule.is_small(abs(one)) for one in apart):
        return rule.refuse(name, Reason.HIDDEN_CELL)
    return rule.rate(name, Proportion(certain, tested.patients))


def _selective(whole: ScoreHistogram, cuts: Sequence[float]) -> Iterator[Selected]:
    """Yield risk by confidence at the cuts c where 1 - c is one too, so nothing new is told.

    A case is answered if its score is at least c, or below 1 - c.
    """
    known = {round(one, 9) for one in cuts}
    for least in sorted(one for one in known if one >= 0.5 and round(1 - one, 9) in known):
        high, low = confusion(whole, least), confusion(whole, round(1 - least, 9))
        answered, wrong = _answered(high, low)
        if answered:
            risk = Proportion(wrong, answered)
            point = SelectivePoint(least, answered / whole.patients, risk.rate)
            yield Selected(point, risk.wilson())


def _answered(high: Confusion, low: Confusion) -> tuple[int, int]:
    """Return how many score above the upper cut or below the lower one, and how many wrongly."""
    above = high.true_positives + high.false_positives
    below = low.true_negatives + low.false_negatives
    return above + below, high.false_positives + low.false_negatives
