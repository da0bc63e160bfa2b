"""Where a version came from and what came of it, as a tree: pure functions over the graph."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from registry.lineage.graph import Branch, Fact, Graph, Kind, Node
from registry.models.version_card import NAME as VERSION
from registry.pages.visibility import SHOWN_MODES, TOLD_EVALUATIONS, TOLD_FIGURES

PUBLIC_KINDS = frozenset(kind.value for kind in Kind) | {"training-run", "dataset-card"}
"""Kinds of nodes that the public record of a version tells of already, or that it rests on."""

Told = Callable[[Node], bool]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One thing in the tree: how it was reached, what it is, what hangs from it."""

    kind: str
    id: str
    state: str | None
    relation: str | None
    forward: bool
    facts: Mapping[str, Fact]
    children: Sequence["Leaf"]


def lineage_tree(graph: Graph, told: Told) -> Leaf:
    """Return the tree from the root; what is not told is left out with all that hangs from it."""
    branches = list(graph.branches())
    leaf, _ = _grown(branches, 0, told)
    return leaf


def everything(_node: Node) -> bool:
    """Tell all: for those who may see the record."""
    return True


def only_public(public_entries: Callable[[str], bool]) -> Told:
    """Return what the public is told, given which entries it may know of."""

    def told(node: Node) -> bool:
        kind, state = node.key.kind, node.state or ""
        if kind == VERSION:
            return public_entries(node.key.id)
        if kind == "deployment":
            return state in SHOWN_MODES
        if kind == "evaluation":
            return state in TOLD_EVALUATIONS
        return kind in PUBLIC_KINDS

    return told


def _grown(branches: Sequence[Branch], place: int, told: Told) -> tuple[Leaf, int]:
    """Return the leaf at a place with its children, and the place after them."""
    branch = branches[place]
    children: list[Leaf] = []
    after = place + 1
    while after < len(branches) and branches[after].depth > branch.depth:
        is_told = told(branches[after].node)
        child, after = _grown(branches, after, told)
        children += [child] if is_told else []
    return _leaf(branch, children), after


def _leaf(branch: Branch, children: Sequence[Leaf]) -> Leaf:
    node = branch.node
    is_open = node.key.kind == "evaluation" and node.state not in TOLD_FIGURES
    facts = {
        name: value
        for name, value in node.facts.items()
        if value is not None and not (is_open and name == "passed")
    }
    return Leaf(
        node.key.kind,
        node.key.id,
        node.state,
        branch.relation,
        branch.forward,
        facts,
        children,
    )
