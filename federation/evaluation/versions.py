"""A version against the first of its plan, on the patients that neither was trained on (E2).

`paired` computes; here is what of it may be shown. Each version's own figures stand beside
the comparison, so the patients of one that are not in the other are a group that anybody
can compute: none of few cases may follow.
"""

from dataclasses import dataclass

from federation.errors.evaluation import SummaryInvalidError
from federation.evaluation.paired import JointHistogram, PairedComparison, compare
from federation.evaluation.rounding import coarse, coarse_estimate
from federation.evaluation.scores import ScoreHistogram
from federation.evaluation.suppression import CellRule, Reason, Refusal


@dataclass(frozen=True, slots=True)
class VersionsCompared:
    """A version against the first, both on the joint grid of so many steps.

    `found` is as fine as so many cases allow to be shown.
    """

    against: str
    steps: int
    positives: int
    negatives: int
    found: PairedComparison

    @property
    def cases(self) -> int:
        """Return how many cases both scored."""
        return self.positives + self.negatives

    def as_json(self) -> dict[str, object]:
        """Return the comparison as data, this version minus the first."""
        difference = self.found.difference
        return {
            "against": self.against,
            "steps": self.steps,
            "cases": self.cases,
            "positives": self.positives,
            "negatives": self.negatives,
            "auroc": self.found.first,
            "auroc_against": self.found.second,
            "difference": {
                "value": difference.value,
                "interval": self.found.interval.as_json(),
            },
            "z": self.found.z,
            "p_value": self.found.p_value,
        }


def compare_versions(
    joint: JointHistogram,
    *,
    own: ScoreHistogram,
    first: ScoreHistogram,
    against: str,
    rule: CellRule,
) -> VersionsCompared | Refusal:
    """Return the comparison, or why it is not shown.

    Parameters
    ----------
    joint
        This version's bins by those of the first, of the cases that both scored.
    own, first
        All cases of this version and of the first.
    against
        The first version's entry.

    Raises
    ------
    SummaryInvalidError
        If a class has more cases in common than this version has.
    SingleClassError, AllTiedError
        As `paired.compare`.
    """
    name = f"paired {against}"
    refused = rule.slice_of(name, joint.first)
    if refused is not None:
        return refused
    m, n = int(joint.positives.sum()), int(joint.negatives.sum())
    left = [int(own.positives.sum()) - m, int(own.negatives.sum()) - n]
    if min(left) < 0:
        expected = "no more cases than the version has"
        raise SummaryInvalidError(field="joint scores", actual="too many", expected=expected)
    apart = [*left, int(first.positives.sum()) - m, int(first.negatives.sum()) - n]
    if any(rule.is_small(abs(one)) for one in apart):
        return rule.refuse(name, Reason.DIFFERENCE)
    return VersionsCompared(against, len(joint.positives) - 1, m, n, _coarse(compare(joint), m + n))


def _coarse(found: PairedComparison, cases: int) -> PairedComparison:
    return PairedComparison(
        coarse(found.first, cases),
        coarse(found.second, cases),
        coarse_estimate(found.difference, cases),
    )
