"""What an evaluation measures beside the model's own figures, where its plan asked for it.

Paired comparison (E2), uncertainty by split conformal prediction (E13) and sanity of
explanations (E12). A part is absent where its family was not asked for.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from federation.evidence.model_version import Count, Line
from registry.records.shapes import Body
from registry.reports.documents.shapes import Estimated, Number, Range, Rate, Share

Steps = Annotated[int, Field(ge=1, le=100_000)]


class Paired(Body):
    """This version against another on the same patients; the difference is this minus it.

    Both AUROCs are those of scores rounded to 1/`steps`.
    """

    against: Line
    steps: Steps
    cases: Count
    positives: Count
    negatives: Count
    auroc: Share
    auroc_against: Share
    difference: Estimated
    z: Number
    p_value: Share

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.positives + self.negatives != self.cases:
            raise ValueError("cases: positives and negatives")
        return self


class Uncertainty(Body):
    """Split conformal prediction: what is promised, what was found, and what abstaining buys.

    `selective` holds (least confidence, share answered, share of these wrong, low, high),
    the lowest confidence first.
    """

    alpha: Share
    calibration_cases: Count
    test_cases: Count
    rank: Count
    threshold: Share
    promised: Range
    coverage: Annotated[dict[Line, Rate], Field(max_length=200)]
    certain: Rate
    selective: Annotated[
        tuple[tuple[Share, Share, Share, Share, Share], ...], Field(max_length=400)
    ]


class CaseStatistic(Body):
    """One number a case: mean with interval, standard deviation, shares by interval of value."""

    cases: Count
    mean: Estimated
    deviation: Number
    span: Range
    histogram: Annotated[tuple[tuple[Number, Number, Share], ...], Field(max_length=200)]

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if any(low >= high for low, high, _ in self.histogram):
            raise ValueError("histogram: each interval from its low to its high end")
        return self


class Explainability(Body):
    """Sanity of attributions on a bounded number of cases of each site."""

    cases_per_site: Count
    path_steps: Steps
    statistics: Annotated[dict[Line, CaseStatistic], Field(max_length=20)]
