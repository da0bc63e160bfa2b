"""The noun ``export-request``."""

from registry.exports.guards import collect
from registry.exports.shape import NAME, ExportRequest
from registry.exports.states import MOVES
from registry.records.shapes import Noun
from registry.roles import Role

NOUN = Noun(
    NAME,
    ExportRequest,
    MOVES,
    authors=frozenset({Role.HAO, Role.DEV, Role.IMP_P}),
    evidence=collect,
)
