"""Draw one version: run, rounds, sites, data, approvals, code, privacy, from what was signed.

Every fact is from the version's signed record, or from a statement whose content id that
record names; a statement that is not the one named is not drawn but refused.
"""

import json
from collections.abc import Iterable, Mapping

from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.core import InvalidIdError
from federation.errors.registry import RecordInvalidError
from federation.errors.signed import LogTamperedError, NotCanonicalError, UnknownSignerError
from federation.evidence.dsse import PAYLOAD_TYPE, pae, read_envelope
from federation.evidence.model_version import LoggedStatement, Participant, PrivacyStatement, Record
from federation.evidence.statements import STATEMENT_TYPE, PredicateType, Statement
from federation.evidence.verification import PublicKey
from registry.evidence.ports import EvidenceLog
from registry.lineage.graph import Fact, Graph, Key, Kind, Node
from registry.models.ports import StoredVersion
from registry.models.version_card import NAME as VERSION
from registry.training.run import NAME as RUN

MAX_STATEMENTS = 400
"""So many statements of one version are opened; of more only the number is told."""


def version_key(entry: str) -> Key:
    """Return the key of a version's node."""
    return Key(VERSION, entry)


def site_key(site: str) -> Key:
    """Return the key of a site's node."""
    return Key(Kind.SITE.value, site)


def dataset_key(digest: str) -> Key:
    """Return the key of a node of data."""
    return Key(Kind.DATASET.value, digest)


def run_key(run: str) -> Key:
    """Return the key of a run's node, which is that of its record if it has one."""
    return Key(RUN, run)


def signed_record(log: EvidenceLog, stored: StoredVersion, key: PublicKey | None) -> Record:
    """Return a version's record, compared with what the register signed where its key is given.

    Raises
    ------
    LogTamperedError
        If it cannot be read, or is not what was signed.
    """
    check_signed(log, stored, key)
    try:
        return Record.from_json(stored.record.encode())
    except (NotCanonicalError, RecordInvalidError) as error:
        raise LogTamperedError(item=f"entry {stored.entry}", why="it cannot be read") from error


def check_signed(log: EvidenceLog, stored: StoredVersion, key: PublicKey | None) -> None:
    """Return if a stored version is word for word what the register signed.

    The signed bytes are compared as they are: a record is kept in its one canonical
    spelling, so nothing has to be parsed and spelled again, and a page of versions is quick.

    Raises
    ------
    LogTamperedError
        If it is not what was signed; PlatformError, what verifying a signature raises.
    """
    if key is None:
        return
    envelope = read_envelope(log.entry(stored.log_index).envelope)
    if envelope.keyid != key.keyid:
        raise UnknownSignerError(keyid=envelope.keyid)
    key.verify(envelope.signature, pae(PAYLOAD_TYPE, envelope.payload))
    if envelope.payload != _statement_bytes(stored):
        raise LogTamperedError(item=f"entry {stored.entry}", why="it is not what was signed")


def _statement_bytes(stored: StoredVersion) -> bytes:
    """Return the canonical statement of a stored version (registry.models.service.statement_of)."""
    try:
        weights = Sha256(json.loads(stored.record)["model"]["sha256"])
    except (ValueError, KeyError, TypeError, InvalidIdError) as error:
        raise LogTamperedError(item=f"entry {stored.entry}", why="it cannot be read") from error
    subject = f'{{"digest":{{"sha256":"{weights.hex}"}},"name":"model/{stored.entry}"}}'
    return (
        f'{{"_type":"{STATEMENT_TYPE}","predicate":{stored.record},'
        f'"predicateType":"{PredicateType.MODEL_VERSION.value}","subject":[{subject}]}}'
    ).encode()


def version_node(record: Record, state: str) -> Node:
    """Return the node of a version."""
    facts: dict[str, Fact] = {
        "title": record.study.title,
        "created": record.created,
        "weights": record.model.sha256,
        "parameters": record.model.parameters,
    }
    return Node(version_key(record.entry), state, facts)


def draw_origin(graph: Graph, record: Record, log: EvidenceLog) -> None:
    """Add everything a version came from."""
    version, run = version_key(record.entry), run_key(record.run)
    rounds: dict[str, Fact] = {
        "rounds_asked": record.rounds.asked,
        "rounds_done": record.rounds.done,
    }
    graph.join(version, "produced-by", graph.add(Node(run, facts=rounds)))
    for relation, node in _made_of(record):
        graph.join(run, relation, graph.add(node))
    for part in record.participants:
        _draw_part(graph, run, record, part)
    for refused in record.refused:
        site = graph.add(Node(site_key(refused.site), facts={"refused": refused.code}))
        graph.join(site, "refused", run)
    _draw_statements(graph, record, log)


def _made_of(record: Record) -> Iterable[tuple[str, Node]]:
    study, recipe = record.study, record.recipe
    yield (
        "of-study",
        Node(Key(Kind.STUDY.value, study.id), facts={"title": study.title, "digest": study.digest}),
    )
    yield (
        "by-recipe",
        Node(
            Key(Kind.RECIPE.value, f"{recipe.name} {recipe.version}"),
            facts={"digest": recipe.digest},
        ),
    )
    yield (
        "ran-code",
        Node(
            Key(Kind.CODE.value, record.code.wheel_digest), facts={"version": record.code.version}
        ),
    )
    packages = Key(Kind.ENVIRONMENT.value, record.environment.packages_digest)
    yield "in-environment", Node(packages, facts={"python": record.environment.python})


def _draw_part(graph: Graph, run: Key, record: Record, part: Participant) -> None:
    name = part.site
    site = graph.add(Node(site_key(name)))
    data = graph.add(Node(dataset_key(part.dataset_digest), facts={"patients": part.patients}))
    graph.join(run, "trained-on", data)
    graph.join(data, "held-by", site)
    stated = next(one for one in record.privacy if one.site == name)
    facts: dict[str, Fact] = {"site": name, "mechanism": stated.mechanism}
    if isinstance(stated, PrivacyStatement):
        facts |= {
            "epsilon": stated.epsilon,
            "delta": stated.delta,
            "noise_multiplier": stated.noise_multiplier,
            "steps": stated.steps,
        }
    spent = graph.add(Node(Key(Kind.PRIVACY.value, f"{record.run}/{name}"), facts=facts))
    graph.join(data, "spent", spent)


def _draw_statements(graph: Graph, record: Record, log: EvidenceLog) -> None:
    opened = record.statements[:MAX_STATEMENTS]
    graph.is_cut = graph.is_cut or len(record.statements) > len(opened)
    for logged in opened:
        statement = _opened(record, logged, log)
        match PredicateType.of(logged.kind):
            case PredicateType.UPDATE:
                _draw_update(graph, record, logged, statement)
            case PredicateType.APPROVAL:
                _draw_approval(graph, record, logged, statement)
            case PredicateType.EVALUATION:
                _draw_evaluation(graph, record, logged)
            case _:
                _draw_other(graph, record, logged)


def _opened(record: Record, logged: LoggedStatement, log: EvidenceLog) -> Statement:
    item = f"log entry {logged.log_index} of {record.entry}"
    try:
        envelope = log.entry(logged.log_index).envelope
        statement = Statement.from_bytes(read_envelope(envelope).payload)
    except PlatformError as error:
        raise LogTamperedError(item=item, why="it cannot be read") from error
    if Sha256.of(envelope.encode()) != logged.envelope_digest:
        raise LogTamperedError(item=item, why="it is another statement")
    return statement


def _draw_update(
    graph: Graph, record: Record, logged: LoggedStatement, statement: Statement
) -> None:
    number = statement.predicate.get("round")
    name = f"{record.run}/{number}"
    known = Key(Kind.ROUND.value, name)
    places = str(graph.node(known).facts["log_entries"]) + ", " if known in graph else ""
    told = f"{places}{logged.log_index}"
    models = {one.name: one.digest for one in statement.subjects}
    start = models.get(f"model/{name}")
    facts: dict[str, Fact] = {"log_entries": told, "model_before": start}
    graph.join(run_key(record.run), "had-round", graph.add(Node(known, facts=facts)))
    if logged.site is not None:
        graph.join(known, "heard", site_key(logged.site))


def _draw_approval(
    graph: Graph, record: Record, logged: LoggedStatement, statement: Statement
) -> None:
    said: Mapping[str, object] = statement.predicate
    facts: dict[str, Fact] = {"log_entry": logged.log_index, "site": logged.site}
    for name in ("decision", "purpose", "expires", "epsilon", "delta"):
        value = said.get(name)
        if isinstance(value, str | int | float):
            facts[name] = value
    approval = graph.add(Node(Key(Kind.APPROVAL.value, logged.envelope_digest), facts=facts))
    graph.join(approval, "approves", run_key(record.run))
    for part in record.participants:
        if part.site == logged.site:
            graph.join(approval, "approves-use-of", dataset_key(part.dataset_digest))


def _draw_evaluation(graph: Graph, record: Record, logged: LoggedStatement) -> None:
    facts: dict[str, Fact] = {"log_entry": logged.log_index, "site": logged.site}
    for metric in record.evaluations:
        if metric.site == logged.site:
            interval = f"{metric.value:.4g} ({metric.low:.4g}-{metric.high:.4g}), n={metric.n}"
            facts[metric.name] = interval
    found = graph.add(Node(Key(Kind.SITE_EVALUATION.value, logged.envelope_digest), facts=facts))
    graph.join(found, "evaluates", version_key(record.entry))
    if logged.site is not None and site_key(logged.site) in graph:
        graph.join(found, "at", site_key(logged.site))


def _draw_other(graph: Graph, record: Record, logged: LoggedStatement) -> None:
    facts: dict[str, Fact] = {
        "what": logged.kind,
        "log_entry": logged.log_index,
        "site": logged.site,
    }
    found = graph.add(Node(Key(Kind.STATEMENT.value, logged.envelope_digest), facts=facts))
    graph.join(found, "about", run_key(record.run))
