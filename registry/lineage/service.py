"""Answer where a version came from, and what a dataset, a site or a run touched.

    lineage = Lineage(store, key=signer.public_key)
    lineage.of_entry("TWAI-2026-00001-4")          # everything it came from and what came of it
    lineage.of_dataset("sha256:...")               # which versions did these data touch
    lineage.of_site("tainan-1")                    # what is affected if this site withdraws
    lineage.of_run("cxr-2026.1")                   # which deployments run what came from it

Answers about data, sites and runs come in pages, newest versions first; `total` says how
many there are. `told` leaves out what whoever asks may not know of: then it is answered as
if it were not there. Nothing is said of patients, and no record's content is shown: only what
it is, where it stands and what it speaks of.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from federation.domain.ids import RunId, SiteId
from federation.errors.moves import RecordNotFoundError
from federation.errors.registry import EntryNotFoundError
from federation.evidence.verification import PublicKey
from registry.datasets.card import DATASET
from registry.datasets.card import NAME as CARD
from registry.lineage.drawing import (
    check_signed,
    dataset_key,
    draw_origin,
    run_key,
    signed_record,
    site_key,
    version_key,
    version_node,
)
from registry.lineage.graph import Fact, Graph, Key, Kind, Node, Told
from registry.lineage.index import Traced, TraceIndex
from registry.models.cards import state_of, states_of
from registry.models.service import find
from registry.models.version_card import NAME as VERSION
from registry.ports import Store, Transaction
from registry.records.ports import Link, Query, StoredRecord
from registry.records.sign_offs import NAME as SIGN_OFF

DEFAULT_PAGE = 20
MAX_PAGE = 200
SITES_NOUNS = ("dataset-card", "deployment", "evaluation", "impact-study")
"""The nouns whose records are found by the facet ``site``."""

_NOT_DRAWN = frozenset({SIGN_OFF})
_SHOWN_FACTS = ("dimension", "passed", "site", "target", "document", "severity", "decision", "due")
_LONGEST_FACT = 40
_PREFIX = "sha256:"
_SHORTEST = 8


def everything(_kind: str, _id: str) -> bool:
    """Tell all."""
    return True


@dataclass(frozen=True, slots=True)
class Answer:
    """A graph, and what is affected: how many versions in all, and how many are shown.

    `states` counts the versions that are shown by state, `affected` all nodes by kind.
    """

    graph: Graph
    total: int
    shown: int
    offset: int = 0

    @property
    def states(self) -> dict[str, int]:
        """Return how many versions that are shown stand in which state."""
        found = Counter(node.state or "" for node in self.graph.of_kind(VERSION))
        return dict(sorted(found.items()))

    @property
    def affected(self) -> dict[str, int]:
        """Return how many nodes of each kind are shown."""
        return dict(sorted(Counter(node.key.kind for node in self.graph.nodes).items()))

    def as_json(self) -> dict[str, object]:
        """Return the answer as JSON."""
        more = self.offset + self.shown < self.total
        return {
            "schema": "trifed.lineage/1",
            "versions": {
                "total": self.total,
                "shown": self.shown,
                "offset": self.offset,
                "next": self.offset + self.shown if more else None,
                "states": self.states,
            },
            "kinds": self.affected,
            **self.graph.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Lineage:
    """Who answers, over one store.

    Parameters
    ----------
    store
        The register's.
    key
        The register's key; with it every record is compared with what was signed.
    index
        Which versions touched what; shared between requests.
    """

    store: Store
    key: PublicKey | None = None
    index: TraceIndex = field(default_factory=TraceIndex)

    def of_entry(self, asked: str, *, told: Told = everything) -> Answer:
        """Return everything a version came from and everything that came of it.

        Raises
        ------
        EntryNotFoundError
            If there is no such entry.
        LogTamperedError
            If what is stored is not what was signed.
        """
        with self.store.reading() as transaction:
            stored = find(transaction.models, asked)
            if not told(VERSION, stored.entry):
                raise EntryNotFoundError(asked=asked)
            record = signed_record(transaction.log, stored, self.key)
            state = state_of(transaction, stored.entry) or stored.state
            graph = Graph(version_node(record, state))
            draw_origin(graph, record, transaction.log)
            _draw_corrections(graph, transaction, stored.entry, record.supersedes)
            _Records(graph, transaction).around_version(stored.entry)
            _Records(graph, transaction).around_data(record.run, graph.of_kind(DATASET))
        return Answer(graph.only(told), 1, 1)

    def of_dataset(
        self,
        asked: str,
        *,
        offset: int = 0,
        limit: int = DEFAULT_PAGE,
        told: Told = everything,
    ) -> Answer:
        """Return which versions were trained on data, and what came of them.

        `asked` is the data's digest or its first eight digits or more, or a dataset card.

        Raises
        ------
        RecordNotFoundError
            If no version was trained on it and no card describes it.
        """
        with self.store.reading() as transaction:
            digest = self._digest_of(transaction, asked)
            graph = Graph(Node(dataset_key(digest)))
            found = _told(self.index.of_dataset(transaction.models, digest), told)
            _Records(graph, transaction).draw_cards(digest)
            graph = graph.only(told)
            if not found and not graph.of_kind(CARD):
                raise RecordNotFoundError(noun=DATASET, id=repr(asked[:80]))
            answer = self._touched(graph, transaction, found, offset=offset, limit=limit)
        return replace(answer, graph=answer.graph.only(told))

    def of_site(
        self,
        asked: str,
        *,
        offset: int = 0,
        limit: int = DEFAULT_PAGE,
        told: Told = everything,
    ) -> Answer:
        """Return what is affected if a site withdraws: data, runs, versions, deployments.

        Raises
        ------
        InvalidIdError
            If that is no site's name.
        RecordNotFoundError
            If the register knows nothing of the site.
        """
        site = SiteId(asked)
        with self.store.reading() as transaction:
            graph = Graph(Node(site_key(site)))
            found = _told(self.index.of_site(transaction.models, site), told)
            _Records(graph, transaction).draw_at_site(site)
            graph = graph.only(told)
            if not found and len(graph.nodes) < 2:  # but for the site itself
                raise RecordNotFoundError(noun=Kind.SITE.value, id=repr(str(site)))
            answer = self._touched(graph, transaction, found, offset=offset, limit=limit, site=site)
        return replace(answer, graph=answer.graph.only(told))

    def of_run(
        self,
        asked: str,
        *,
        offset: int = 0,
        limit: int = DEFAULT_PAGE,
        told: Told = everything,
    ) -> Answer:
        """Return the versions of a run, and what came of them.

        Raises
        ------
        InvalidIdError
            If that is no run's name.
        RecordNotFoundError
            If no version came from it.
        """
        run = RunId(asked)
        with self.store.reading() as transaction:
            graph = Graph(Node(run_key(run)))
            found = _told(self.index.of_run(transaction.models, run), told)
            if not found:
                raise RecordNotFoundError(noun="training-run", id=repr(str(run)))
            answer = self._touched(graph, transaction, found, offset=offset, limit=limit)
        return replace(answer, graph=answer.graph.only(told))

    def _touched(
        self,
        graph: Graph,
        transaction: Transaction,
        found: Sequence[Traced],
        *,
        offset: int,
        limit: int,
        site: str | None = None,
    ) -> Answer:
        page = found[offset : offset + max(1, min(limit, MAX_PAGE))]
        states = states_of(transaction, [one.entry for one in page])
        records = _Records(graph, transaction)
        for one in page:
            stored = transaction.models.get(one.entry)
            if stored is None:
                continue  # the index is newer than this transaction
            check_signed(transaction.log, stored, self.key)
            _draw_traced(graph, one, states.get(one.entry) or stored.state, site)
            records.around_version(one.entry)
        return Answer(graph, len(found), len(page), offset)

    def _digest_of(self, transaction: Transaction, asked: str) -> str:
        card = transaction.records.head(CARD, asked)
        if card is not None:
            return str(card.body["prepared_data_hash"])
        beginning = _PREFIX + asked.removeprefix(_PREFIX)
        if len(beginning) < len(_PREFIX) + _SHORTEST:
            raise RecordNotFoundError(noun=DATASET, id=repr(asked[:80]))
        like = self.index.digests_like(transaction.models, beginning)
        return like[0] if len(like) == 1 else beginning


def _told(found: Sequence[Traced], told: Told) -> list[Traced]:
    return [one for one in found if told(VERSION, one.entry)]


@dataclass(frozen=True, slots=True)
class _Records:
    """Draws the records around what is drawn already: who speaks of it, and of what they do."""

    graph: Graph
    transaction: Transaction

    def around_version(self, entry: str) -> None:
        """Add the records that speak of a version, and those that speak of them."""
        for record in self._linking(VERSION, entry):
            if self._draw(record) and record.noun != VERSION:
                self._around(record)

    def around_data(self, run: str, data: Iterable[Node]) -> None:
        """Add the run's own record and the cards of its data, with what they rest on."""
        record = self.transaction.records.head(run_key(run).kind, run)
        if record is not None:
            self._draw(record)
        for node in data:
            self.draw_cards(node.key.id)

    def draw_cards(self, digest: str) -> int:
        """Add the cards that describe data; return how many."""
        cards = self.transaction.records.linking(DATASET, digest, by=CARD)
        for card in cards:
            if self._draw(card):
                self._around(card)
        return len(cards)

    def draw_at_site(self, site: str) -> int:
        """Add the newest records of a site; return how many."""
        found = [
            record
            for noun in SITES_NOUNS
            for record in self.transaction.records.find(
                Query(noun, facets={"site": site}, limit=DEFAULT_PAGE)
            ).items
        ]
        for record in found:
            self._draw(record)
            self.graph.join(Key(record.noun, record.id), "at", site_key(site))
        return len(found)

    def _around(self, record: StoredRecord) -> None:
        """Add who speaks of a record; other versions and their records are not followed."""
        for other in self._linking(record.noun, record.id):
            spoken = {link.id for link in self._links(other) if link.noun == VERSION}
            if not spoken or any(version_key(one) in self.graph for one in spoken):
                self._draw(other)

    def _draw(self, record: StoredRecord) -> bool:
        """Add a record and what it speaks of; say whether there was room for it."""
        key = self.graph.add(Node(Key(record.noun, record.id), record.state, _facts(record)))
        for link in self._links(record):
            target = Key(link.noun, link.id)
            if target not in self.graph:
                head = self.transaction.records.head(link.noun, link.id)
                facts: dict[str, Fact] = {} if head is None else _facts(head)
                self.graph.add(Node(target, None if head is None else head.state, facts))
            self.graph.join(key, link.relation, target)
        return key in self.graph

    def _linking(self, noun: str, id: str) -> list[StoredRecord]:
        found = self.transaction.records.linking(noun, id)
        return [record for record in found if record.noun not in _NOT_DRAWN]

    def _links(self, record: StoredRecord) -> Sequence[Link]:
        return self.transaction.records.links_of(record.noun, record.id)


def _draw_traced(graph: Graph, one: Traced, state: str, site: str | None) -> None:
    version = graph.add(Node(version_key(one.entry), state))
    run = graph.add(Node(run_key(one.run), facts={"study": one.study}))
    graph.join(version, "produced-by", run)
    for of, digest in one.data:
        if site in (None, of) or dataset_key(digest) in graph:
            data = graph.add(Node(dataset_key(digest)))
            graph.join(run, "trained-on", data)
            graph.join(data, "held-by", graph.add(Node(site_key(of))))
    if one.supersedes is not None and version_key(one.supersedes) in graph:
        graph.join(version, "supersedes", version_key(one.supersedes))


def _draw_corrections(
    graph: Graph, transaction: Transaction, entry: str, supersedes: str | None
) -> None:
    if supersedes is not None:
        graph.join(version_key(entry), "supersedes", graph.add(_version(transaction, supersedes)))
    successor = transaction.models.successor_of(entry)
    if successor is not None:
        graph.join(graph.add(_version(transaction, successor)), "supersedes", version_key(entry))


def _version(transaction: Transaction, entry: str) -> Node:
    return Node(version_key(entry), state_of(transaction, entry))


def _facts(record: StoredRecord) -> dict[str, Fact]:
    facts: dict[str, Fact] = {"revision": record.revision, "log_entry": record.log_index}
    for name in _SHOWN_FACTS:
        value = record.body.get(name)
        if isinstance(value, bool) or (isinstance(value, str) and len(value) <= _LONGEST_FACT):
            facts[name] = value
    return facts
