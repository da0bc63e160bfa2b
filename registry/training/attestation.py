"""What a centre attests of a run when it ended, and how a record is held against it.

The attestation is a statement in the log, signed by the centre. It has the digest of
everything in the record that machines know, and names, for every round and site, the
statement in which the site signed its update. What only people know (hardware, energy,
the application, the cards of the data) is not in it.
"""

from collections.abc import Iterator, Mapping

from federation.domain.ids import Sha256
from federation.errors.records import StatementNotLoggedError
from federation.evidence.canonical import digest_of
from federation.evidence.statements import PredicateType, Statement
from registry.evidence.logged import logged_statement
from registry.ports import Transaction
from registry.training.run import TrainingRun

TYPED = ("hardware", "energy_kwh", "application", "versions", "attestation", "schema")
"""What the attestation leaves out: words of people, and what came after the run."""


def attested_digest(run: TrainingRun) -> Sha256:
    """Return the digest of what machines know of a run."""
    plain = run.as_json()
    parts = plain["participants"]
    assert isinstance(parts, list)  # the shape says so
    known = {name: value for name, value in plain.items() if name not in TYPED}
    without_cards = [{**part, "dataset_card": None} for part in parts]
    return digest_of({**known, "participants": without_cards})


def attests(statement: Statement, run: TrainingRun) -> bool:
    """Say whether a centre's statement is of exactly this run."""
    said = statement.predicate
    return said.get("run") == run.run and said.get("record") == str(attested_digest(run))


def unsigned_updates(
    transaction: Transaction, run: TrainingRun, statement: Statement
) -> Iterator[tuple[int, str]]:
    """Yield round and site of every update that the log does not have as its site signed it."""
    listed = statement.predicate.get("statements")
    rounds = listed if isinstance(listed, Mapping) else {}
    for one in run.round_log:
        named = rounds.get(str(one.round))
        by_site = named if isinstance(named, Mapping) else {}
        for site, update in one.updates.items():
            if not _is_signed(transaction, run.run, one.round, site, update, by_site.get(site)):
                yield one.round, site


def _is_signed(
    transaction: Transaction, run: str, number: int, site: str, update: str, digest: object
) -> bool:
    try:
        found = logged_statement(transaction, str(digest), PredicateType.UPDATE, site=site)
    except StatementNotLoggedError:
        return False
    said = tuple(found.predicate.get(name) for name in ("site", "run", "round"))
    sent = {one.name: str(one.digest) for one in found.subjects}
    return said == (site, run, number) and sent.get(f"update/{run}/{number}") == update
