"""Everything the centre computes from the sites' sliced histograms, in one call.

E1 to E8 and E16 of EVALUATION.md C.1: overall, by slice, by site, between groups and
between sites. What may not be shown is in `refusals`, what cannot be computed in
`failures`, each by name. Time and memory depend on bins and slices, not on cases.

    assessment = assess({"site-a": scores_a, "site-b": scores_b}, plan)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

from federation.errors import PlatformError
from federation.errors.evaluation import SummaryInvalidError
from federation.evaluation.auroc import bootstrap
from federation.evaluation.bounds import error_narrows, ranking_narrows
from federation.evaluation.calibration import (
    brier,
    equal_mass,
    in_the_large,
    joined_width,
    recalibration,
)
from federation.evaluation.differencing import least_difference
from federation.evaluation.discrimination import (
    auroc_estimate,
    auroc_interval,
    average_precision,
    logit_estimate,
)
from federation.evaluation.fairness import Fairness, Purpose, compare_groups
from federation.evaluation.heterogeneity import Heterogeneity, combine
from federation.evaluation.operating_points import Confusion, NetBenefit, confusion, net_benefit
from federation.evaluation.parts import CELLS, hidden_cells, rest_of, shown_parts, small_pairs
from federation.evaluation.proportions import Proportion
from federation.evaluation.rounding import coarse, coarse_estimate, coarse_interval, rounded
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.sliced import EVERYONE, SlicedScores
from federation.evaluation.suppression import Band, CellRule, Reason, Refusal
from federation.evaluation.tails import Estimate, Interval

BEHIND = {
    "sensitivity": frozenset({"true_positives", "false_negatives"}),
    "specificity": frozenset({"true_negatives", "false_positives"}),
    "positive_predictive_value": frozenset({"true_positives", "false_positives"}),
    "negative_predictive_value": frozenset({"true_negatives", "false_negatives"}),
}
"""The rates at the threshold, and the cells from which each is made."""

_CALLED = ("true_positives", "false_positives")

_Hidden = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the protocol fixed before the run.

    Parameters
    ----------
    threshold
        The operating point.
    decision_thresholds
        The declared range of threshold probabilities.
    purpose
        Whether group comparisons are confirmatory.
    references
        The reference group by family; the largest where none is named.
    """

    threshold: float
    decision_thresholds: tuple[float, ...]
    purpose: Purpose
    rule: CellRule
    seed: int
    references: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SliceFigures:
    """What is known of one slice or site, all on the grid."""

    cases: int
    auroc: Estimate
    auroc_interval: Interval
    average_precision: float
    brier: float | None
    ece: float
    ece_equal_mass: float
    mce: float
    rates: Mapping[str, Proportion | Band | Refusal]
    in_the_large: Estimate | None
    slope: Estimate | None

    def as_json(self) -> dict[str, object]:
        """Return the figures as data; what is hidden is null or a band."""
        return {
            "cases": self.cases,
            "auroc": {"value": self.auroc.value, "interval": self.auroc_interval.as_json()},
            "average_precision": self.average_precision,
            "brier": self.brier,
            "ece": self.ece,
            "ece_equal_mass": self.ece_equal_mass,
            "mce": self.mce,
            "rates": {name: rate_json(rate) for name, rate in self.rates.items()},
            "in_the_large": _estimate_json(self.in_the_large),
            "slope": _estimate_json(self.slope),
        }


@dataclass(frozen=True, slots=True)
class Failure:
    """A figure that cannot be computed, and the coded reason."""

    name: str
    error: PlatformError


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything computed, everything refused, everything impossible.

    `slices` and `sites` hold what may be shown; `bootstrap` is the interval of the
    overall AUROC by E3; `heterogeneity` is on the logit AUROC of the sites.
    """

    slices: Mapping[str, SliceFigures]
    sites: Mapping[str, SliceFigures]
    bootstrap: Interval | None
    decision_curve: tuple[NetBenefit, ...]
    fairness: Fairness | None
    heterogeneity: Heterogeneity | None
    refusals: tuple[Refusal, ...]
    failures: tuple[Failure, ...]

    def as_json(self) -> dict[str, object]:
        """Return what may be shown, as data for pages and statements, to six decimals."""
        document = self._document()
        return {name: rounded(document[name]) for name in document}

    def _document(self) -> dict[str, object]:
        return {
            "slices": {name: one.as_json() for name, one in self.slices.items()},
            "sites": {name: one.as_json() for name, one in self.sites.items()},
            "bootstrap": self.bootstrap.as_json() if self.bootstrap else None,
            "net_benefit": [
                {"threshold": one.threshold, "model": one.model, "treat_all": one.treat_all}
                for one in self.decision_curve
            ],
            "fairness": _fairness_json(self.fairness) if self.fairness else None,
            "heterogeneity": _heterogeneity_json(self.heterogeneity),
            "refusals": [one.as_json() for one in self.refusals],
            "failures": [{"name": one.name, "code": one.error.code} for one in self.failures],
        }


@dataclass(slots=True)
class _Notes:
    """What was refused or failed on the way."""

    refusals: list[Refusal]
    failures: list[Failure]


def assess(by_site: Mapping[str, SlicedScores], plan: Plan) -> Assessment:
    """Return all figures of the sum of sites and of each site.

    Raises
    ------
    SummaryInvalidError
        If there is no site.
    SummariesDifferError
        If sites do not have the same slices and grid.
    """
    if not by_site:
        raise SummaryInvalidError(field="sites", actual="none", expected="one or more")
    total, notes = reduce(add, (by_site[name] for name in sorted(by_site))), _Notes([], [])
    whole = total.histogram(EVERYONE)
    if not _is_shown(EVERYONE, whole, plan.rule, notes):
        return Assessment({}, {}, None, (), None, None, tuple(notes.refusals), ())
    families = _families(total, plan, notes)
    with_error = not _error_narrows(whole, plan)
    slices = _figures(
        {EVERYONE: whole}, {EVERYONE: _hidden_of_all(whole, plan)}, plan, notes, with_error
    )
    withheld: dict[str, frozenset[str]] = {}
    for family in families.values():
        hidden = _hidden(whole, family, plan)
        withheld |= hidden
        slices |= _figures(
            family, hidden, plan, notes, with_error and _have_errors(whole, family, plan)
        )
    everyone = {name: by_site[name].histogram(EVERYONE) for name in sorted(by_site)}
    open_sites = _shown(whole, _not_narrowed(everyone, plan, notes), plan.rule, notes)
    with_error = with_error and _have_errors(whole, open_sites, plan)
    sites = _figures(open_sites, _hidden(whole, open_sites, plan), plan, notes, with_error)
    return Assessment(
        slices,
        sites,
        _bootstrap(whole, plan),
        tuple(_net_benefits(whole, plan, notes)),
        _fairness(families, withheld, plan, notes),
        _between(sites, notes),
        tuple(notes.refusals),
        tuple(notes.failures),
    )


def _families(
    total: SlicedScores, plan: Plan, notes: _Notes
) -> dict[str, dict[str, ScoreHistogram]]:
    """Return by family the groups that may be shown, beside everyone and earlier slices."""
    shown, families = [EVERYONE], dict[str, dict[str, ScoreHistogram]]()
    for family in sorted({name.partition("=")[0] for name in total.slices[1:]}):
        parts = {}
        for name in (one for one in total.slices[1:] if one.partition("=")[0] == family):
            refused = plan.rule.difference(name, total.differing(name, shown))
            if refused is None:
                parts[name] = total.histogram(name)
            else:
                notes.refusals.append(refused)
        parts = _not_narrowed(parts, plan, notes)
        families[family] = _told_apart(total, parts, list(families.values()), plan.rule, notes)
        shown += families[family]
    return families


def _not_narrowed(
    parts: Mapping[str, ScoreHistogram], plan: Plan, notes: _Notes
) -> dict[str, ScoreHistogram]:
    """Return the groups without those whose ranking would narrow a small cell of theirs."""
    found = {}
    for name, part in parts.items():
        if part.patients and ranking_narrows(part, confusion(part, plan.threshold), plan.rule):
            notes.refusals.append(plan.rule.refuse(name, Reason.HIDDEN_CELL))
        else:
            found[name] = part
    return found


def _told_apart(
    total: SlicedScores, parts: Mapping[str, ScoreHistogram],
    earlier: Sequence[Mapping[str, ScoreHistogram]], rule: CellRule, notes: _Notes,
) -> dict[str, ScoreHistogram]:  # fmt: skip
    """Return the groups that may be shown: no union of them is near one of another family."""
    found = _shown(total.histogram(EVERYONE), parts, rule, notes)
    while found and any(
        rule.is_small(least_difference(total.shared(list(found), list(other)))) for other in earlier
    ):
        smallest = min(found, key=lambda name: (found[name].patients, name))
        notes.refusals.append(rule.refuse(smallest, Reason.DIFFERENCE))
        rest = {name: one for name, one in found.items() if name != smallest}
        found = _shown(total.histogram(EVERYONE), rest, rule, notes)
    return found


def _shown(
    whole: ScoreHistogram, parts: Mapping[str, ScoreHistogram], rule: CellRule, notes: _Notes
) -> dict[str, ScoreHistogram]:
    found = shown_parts(whole, parts, rule)
    notes.refusals += found.refusals
    return {name: parts[name] for name in found.names}


def _is_shown(name: str, histogram: ScoreHistogram, rule: CellRule, notes: _Notes) -> bool:
    refused = rule.slice_of(name, histogram)
    notes.refusals += [refused] if refused is not None else []
    return refused is None


def _hidden(whole: ScoreHistogram, parts: Mapping[str, ScoreHistogram], plan: Plan) -> _Hidden:
    """Return by group the cells that stay hidden; all of them where all of everyone do."""
    counts = {name: confusion(one, plan.threshold) for name, one in parts.items()}
    if _hidden_of_all(whole, plan) == frozenset(CELLS):
        return dict.fromkeys(counts, frozenset(CELLS))
    return hidden_cells(confusion(whole, plan.threshold), counts, plan.rule) if counts else {}


def _hidden_of_all(whole: ScoreHistogram, plan: Plan) -> frozenset[str]:
    """Return the cells of everyone that stay hidden: all, where the ranking would narrow one."""
    counts = confusion(whole, plan.threshold)
    if ranking_narrows(whole, counts, plan.rule):
        return frozenset(CELLS)
    return small_pairs(counts, plan.rule)


def _have_errors(whole: ScoreHistogram, parts: Mapping[str, ScoreHistogram], plan: Plan) -> bool:
    """Say whether the Brier scores of groups may be shown, and with them that of the rest."""
    rest = rest_of(whole, list(parts.values()))
    return not any(_error_narrows(one, plan) for one in (*parts.values(), rest))


def _error_narrows(part: ScoreHistogram, plan: Plan) -> bool:
    if not part.patients:
        return False
    return error_narrows(part, confusion(part, plan.threshold), plan.threshold, plan.rule)


def _figures(
    histograms: Mapping[str, ScoreHistogram], hidden: _Hidden, plan: Plan, notes: _Notes,
    with_error: bool,
) -> dict[str, SliceFigures]:  # fmt: skip
    found = {}
    for name, histogram in histograms.items():
        try:
            one = _of_slice(name, histogram, hidden.get(name, frozenset()), plan, notes)
        except PlatformError as error:
            notes.failures.append(Failure(name, error))
            continue
        found[name] = one if with_error else replace(one, brier=None)
        if not with_error:
            notes.refusals.append(plan.rule.refuse(f"brier {name}", Reason.HIDDEN_CELL))
    return found


def _of_slice(
    name: str, histogram: ScoreHistogram, hidden: frozenset[str], plan: Plan, notes: _Notes
) -> SliceFigures:
    n, width = histogram.patients, joined_width(histogram, plan.rule)
    auroc = coarse_estimate(auroc_estimate(histogram), n)
    large, slope = _calibration(name, histogram, notes)
    return SliceFigures(
        n,
        auroc,
        coarse_interval(auroc_interval(auroc), n),
        coarse(average_precision(histogram), n),
        coarse(brier(histogram), n),
        coarse(width.ece, n),
        coarse(equal_mass(histogram).ece, n),
        coarse(width.mce, n),
        _rates(name, confusion(histogram, plan.threshold), hidden, plan.rule, notes),
        large,
        slope,
    )


def _calibration(
    name: str, histogram: ScoreHistogram, notes: _Notes
) -> tuple[Estimate | None, Estimate | None]:
    """Return calibration in the large and slope, or note why there are none."""
    try:
        found = in_the_large(histogram), recalibration(histogram).estimate("slope")
    except PlatformError as error:
        notes.failures.append(Failure(f"{name} calibration", error))
        return None, None
    return coarse_estimate(found[0], histogram.patients), coarse_estimate(
        found[1], histogram.patients
    )


def _rates(
    name: str, counts: Confusion, hidden: frozenset[str], rule: CellRule, notes: _Notes
) -> dict[str, Proportion | Band | Refusal]:
    """Return the rates; one made of a hidden cell is refused.

    Of a part not even a band is shown: two bands and a total would narrow both. Nor of
    everyone where all cells are hidden.
    """
    found: dict[str, Proportion | Band | Refusal] = {}
    for rate, cells in BEHIND.items():
        shown = rule.rate(f"{name} {rate}", getattr(counts, rate))
        if rate.endswith("value") and isinstance(shown, Band):
            shown = rule.refuse(f"{name} {rate}", Reason.HIDDEN_CELL)
        is_banded = name == EVERYONE and isinstance(shown, Band) and hidden != frozenset(CELLS)
        if cells & hidden and not is_banded:
            shown = rule.refuse(f"{name} {rate}", Reason.HIDDEN_CELL)
        notes.refusals += [shown] if isinstance(shown, Refusal) else []
        found[rate] = shown
    return found


def _fairness(
    families: Mapping[str, Mapping[str, ScoreHistogram]],
    withheld: _Hidden,
    plan: Plan,
    notes: _Notes,
) -> Fairness:
    """Return the comparisons within all families, corrected together."""
    found = compare_groups(
        families,
        threshold=plan.threshold,
        rule=plan.rule,
        purpose=plan.purpose,
        references=plan.references,
        withheld=withheld,
    )
    notes.refusals += found.refusals
    notes.failures += [Failure("fairness", error) for error in found.failures]
    return found


def _between(sites: Mapping[str, SliceFigures], notes: _Notes) -> Heterogeneity | None:
    """Return the heterogeneity of the shown sites' AUROCs on the logit scale."""
    try:
        inside = [one.auroc for one in sites.values() if 0 < one.auroc.value < 1]
        return combine([logit_estimate(one) for one in inside])
    except PlatformError as error:
        notes.failures.append(Failure("heterogeneity", error))
        return None


def _bootstrap(histogram: ScoreHistogram, plan: Plan) -> Interval:
    metric = bootstrap(histogram, seed=plan.seed)
    return coarse_interval(Interval(metric.low, metric.high), histogram.patients)


def _net_benefits(histogram: ScoreHistogram, plan: Plan, notes: _Notes) -> Iterator[NetBenefit]:
    """Yield the points of the decision curve that give no small cell away.

    Neither at a threshold nor between two of them, or a threshold and the operating point,
    may there be a small number of cases.
    """
    shown = [confusion(histogram, plan.threshold)]
    for threshold in plan.decision_thresholds:
        counts = confusion(histogram, threshold)
        apart = [getattr(counts, one) - getattr(other, one) for other in shown for one in _CALLED]
        if small_pairs(counts, plan.rule) or any(plan.rule.is_small(abs(n)) for n in apart):
            name = f"net benefit {threshold}"
            notes.refusals.append(plan.rule.refuse(name, Reason.SMALL_CELL))
        else:
            shown.append(counts)
            yield net_benefit(counts, threshold)


def rate_json(rate: Proportion | Band | Refusal) -> dict[str, object]:
    """Return a rate as data: its value, a band, or why there is neither."""
    if isinstance(rate, Refusal):
        return {"value": None, **rate.as_json()}
    if isinstance(rate, Band):
        return {"value": None, "band": [rate.low, rate.high], "of": rate.of}
    return {"value": rate.rate, "interval": rate.wilson().as_json(), "of": rate.of}


def _estimate_json(estimate: Estimate | None) -> dict[str, object] | None:
    if estimate is None:
        return None
    return {"value": estimate.value, "interval": estimate.interval().as_json()}


def _fairness_json(fairness: Fairness) -> dict[str, object]:
    return {
        "purpose": fairness.purpose.value,
        "gaps": [
            {
                "figure": one.figure.value,
                "group": one.group,
                "reference": one.reference,
                "gap": one.gap,
                "interval": one.interval.as_json(),
                "adjusted_p": one.adjusted,
                "detectable": one.detectable,
            }
            for one in fairness.gaps
        ],
    }


def _heterogeneity_json(found: Heterogeneity | None) -> dict[str, object] | None:
    if found is None:
        return None
    return {
        "scale": "logit AUROC",
        "pooled": _estimate_json(found.pooled),
        "tau_squared": found.tau_squared,
        "i_squared": found.i_squared,
        "q": found.q,
        "p_value": found.p_value,
        "prediction": found.prediction.as_json() if found.prediction else None,
        "sites": found.sites,
    }
