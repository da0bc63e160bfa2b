"""Names and numbers that the analyses of an outcome study share."""

from collections.abc import Mapping

from federation.figures.canvas import filled
from federation.wording import Text
from registry.reports import wording
from registry.reports.layout import named

UNITS: Mapping[str, Text] = {
    "day": Text(en="days", zh="天"),
    "week": Text(en="weeks", zh="週"),
    "month": Text(en="months", zh="月"),
    "year": Text(en="years", zh="年"),
}
_INTERCEPT = Text(en="intercept", zh="截距")
_AGAINST = Text(en="{name} against {reference}", zh="{name} 對 {reference}")
_SQUARED = Text(en="{name} squared", zh="{name} 平方")


def term_named(term: str, reference: str | None) -> Text:
    """Return a coefficient's name: a category against its reference, or a plain covariate."""
    if term in {"intercept", "const", "1"}:
        return _INTERCEPT
    family, is_category, _ = term.partition("=")
    if is_category and reference is not None:
        against = wording.value_named(family, reference)
        return filled(_AGAINST, name=wording.slice_named(term), reference=against)
    base, is_square, power = term.rpartition("^")
    if is_square and power == "2":
        return filled(_SQUARED, name=wording.variable(base))
    return wording.slice_named(term) if is_category else wording.variable(term)


def group_named(name: str) -> Text:
    """Return a group's name as it was given; everybody together has one in words."""
    return wording.slice_named(name) if name == "all" else named(name)
