"""The noun ``data-application``."""

from registry.applications.guards import collect
from registry.applications.shape import NAME, DataApplication
from registry.applications.states import APPLICANTS, EDITABLE, MOVES
from registry.records.shapes import Noun

NOUN = Noun(
    NAME,
    DataApplication,
    MOVES,
    authors=frozenset(APPLICANTS),
    editable=EDITABLE,
    evidence=collect,
)
