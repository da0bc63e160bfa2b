"""A typed graph of where a version came from and what came of it.

A node is a thing by kind and id; a record of the register has its noun as kind. An edge
says how two are related, always from the one that speaks to the one spoken of. Nodes are
added once; a graph that would grow beyond `MAX_NODES` says that it was cut.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

MAX_NODES = 2000
Fact = str | int | float | bool | None
Told = Callable[[str, str], bool]
"""Says of a kind and an id whether whoever asks may know of it."""


class Kind(Enum):
    """The kinds of nodes that are not records of a noun."""

    STUDY = "study"
    RECIPE = "recipe"
    ROUND = "round"
    SITE = "site"
    DATASET = "dataset"
    APPROVAL = "site-approval"
    SITE_EVALUATION = "site-evaluation"
    STATEMENT = "statement"
    PRIVACY = "privacy"
    CODE = "code"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What a node is called: its kind and its id within the kind."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Node:
    """A thing: where it stands, if it moves, and what is said of it, never of a patient."""

    key: Key
    state: str | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Edge:
    """That one node speaks of another."""

    source: Key
    relation: str
    target: Key


@dataclass(frozen=True, slots=True)
class Branch:
    """A node in the tree that hangs from the root: how deep, and by which edge it was reached.

    `forward` says whether the edge points away from the root.
    """

    node: Node
    depth: int
    relation: str | None = None
    forward: bool = True


class Graph:
    """Nodes and edges around one root, in the order they were found."""

    def __init__(self, root: Node) -> None:
        self.root = root.key
        self.is_cut = False
        self._nodes: dict[Key, Node] = {root.key: root}
        self._edges: dict[Edge, None] = {}

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Return all nodes, the root first."""
        return tuple(self._nodes.values())

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Return all edges."""
        return tuple(self._edges)

    def __contains__(self, key: Key) -> bool:
        return key in self._nodes

    def node(self, key: Key) -> Node:
        """Return one node; raises `KeyError`."""
        return self._nodes[key]

    def of_kind(self, kind: str) -> list[Node]:
        """Return the nodes of a kind."""
        return [node for node in self._nodes.values() if node.key.kind == kind]

    def add(self, node: Node) -> Key:
        """Keep a node, or say more of one that is there; return its key."""
        known = self._nodes.get(node.key)
        if known is None and len(self._nodes) >= MAX_NODES:
            self.is_cut = True
        elif known is None:
            self._nodes[node.key] = node
        else:
            facts = {**known.facts, **node.facts}
            self._nodes[node.key] = Node(node.key, node.state or known.state, facts)
        return node.key

    def join(self, source: Key, relation: str, target: Key) -> None:
        """Keep an edge between two nodes that are there; with one cut away, nothing."""
        if source in self._nodes and target in self._nodes:
            self._edges[Edge(source, relation, target)] = None

    def only(self, told: Told) -> "Graph":
        """Return what is left where some nodes are not told, and what hangs from those alone."""
        made = Graph(self._nodes[self.root])
        made.is_cut = self.is_cut
        beside, queue = self._beside(), deque([self.root])
        while queue:
            for _, other, _ in beside[queue.popleft()]:
                if other not in made and told(other.kind, other.id):
                    made.add(self._nodes[other])
                    queue.append(other)
        for edge in self._edges:
            made.join(edge.source, edge.relation, edge.target)
        return made

    def branches(self) -> Iterator[Branch]:
        """Yield every node once, as a tree from the root by shortest ways, depth first."""
        children: dict[Key, list[Branch]] = {key: [] for key in self._nodes}
        seen, queue = {self.root}, deque([(self.root, 0)])
        beside = self._beside()
        while queue:
            key, depth = queue.popleft()
            for relation, other, forward in beside[key]:
                if other not in seen:
                    seen.add(other)
                    branch = Branch(self._nodes[other], depth + 1, relation, forward)
                    children[key].append(branch)
                    queue.append((other, depth + 1))
        stack = [Branch(self._nodes[self.root], 0)]
        while stack:
            branch = stack.pop()
            yield branch
            stack += reversed(children[branch.node.key])

    def as_json(self) -> dict[str, object]:
        """Return the graph as plain JSON; an edge names its nodes as ``kind:id``."""
        return {
            "root": str(self.root),
            "cut": self.is_cut,
            "nodes": [
                {
                    "key": str(node.key),
                    "kind": node.key.kind,
                    "id": node.key.id,
                    "state": node.state,
                    "facts": dict(node.facts),
                }
                for node in self.nodes
            ],
            "edges": [
                {"from": str(one.source), "relation": one.relation, "to": str(one.target)}
                for one in self.edges
            ],
        }

    def _beside(self) -> dict[Key, list[tuple[str, Key, bool]]]:
        found: dict[Key, list[tuple[str, Key, bool]]] = {key: [] for key in self._nodes}
        for edge in self._edges:
            found[edge.source].append((edge.relation, edge.target, True))
            found[edge.target].append((edge.relation, edge.source, False))
        return found
