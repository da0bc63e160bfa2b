"""The noun ``deployment``."""

from registry.deployments.guards import collect
from registry.deployments.shape import NAME, Deployment
from registry.deployments.states import EDITABLE, MOVES
from registry.records.shapes import Noun
from registry.roles import Role

NOUN = Noun(
    NAME,
    Deployment,
    MOVES,
    authors=frozenset({Role.HAO}),
    editable=EDITABLE,
    evidence=collect,
)
