"""Hold an evaluation's proof of unseen patients against what its hospitals signed.

A record names the proof by digest. Nothing of it is taken on trust: the proof is in the
log, by the centre, about this version and this protocol; for every site of the record it
names a statement in the log by that site's own node, of the same run of the evaluation,
which says that the patients of the run that trained the version were left out.
"""

from collections.abc import Mapping
from typing import Any

from federation.errors import PlatformError
from federation.errors.records import DisjointnessProofError
from federation.evidence.model_version import Record
from federation.evidence.statements import PredicateType, Statement
from federation.wording import Text
from registry.evidence.logged import logged_statement
from registry.ports import Transaction
from registry.records.ports import StoredRecord

_NONE = Text(en="none is named", zh="未列證明")
_OTHER = Text(en="it is of another version or protocol", zh="屬於其他版本或方案")
_SITE = Text(en="site {site} signed no such statement", zh="院所 {site} 未簽署此聲明")
_RUN = Text(
    en="site {site} left out the patients of other runs, not of {run}",
    zh="院所 {site} 排除的是其他訓練的病人,並非 {run}",
)


def is_disjoint(transaction: Transaction, record: StoredRecord, signed: Record | None) -> bool:
    """Say whether an evaluation's proof holds for a version's signed record."""
    if signed is None:
        return False
    try:
        check_disjoint(transaction, record, signed)
    except PlatformError:
        return False
    return True


def check_disjoint(transaction: Transaction, record: StoredRecord, signed: Record) -> None:
    """Return if every site of an evaluation signed that it left out whom the version saw.

    Raises
    ------
    DisjointnessProofError
        If the proof is missing, of something else, or does not name every site.
    StatementNotLoggedError
        If what it names is not in the log, by whom it must be.
    """
    body, id = record.body, record.id
    named = body.get("disjointness")
    if not isinstance(named, str):
        raise DisjointnessProofError(evaluation=id, why=_NONE)
    proof = logged_statement(transaction, named, PredicateType.DISJOINTNESS)
    if not _is_of(proof, body, signed):
        raise DisjointnessProofError(evaluation=id, why=_OTHER)
    for site in _sites(body):
        _check_site(transaction, record, proof, site, signed.run)


def _is_of(proof: Statement, body: Mapping[str, Any], signed: Record) -> bool:
    """Say whether a proof is of this version, as it was trained, and of this protocol."""
    said, about = proof.predicate, {one.name: str(one.digest) for one in proof.subjects}
    study = body.get("protocol_id")
    return (
        said.get("entry") == signed.entry == body.get("entry")
        and said.get("trained_in") == signed.run
        and said.get("study") == study
        and about.get(f"version/{signed.entry}") == signed.model.sha256
        and about.get(f"protocol/{study}") == body.get("protocol_hash")
    )


def _check_site(
    transaction: Transaction, record: StoredRecord, proof: Statement, site: str, trained_in: str
) -> None:
    """Look at what a site signed when it prepared the version, and at its part of the sum."""
    named = (_of(proof.predicate, "statements"), _of(record.body, "attestations"))
    said = [
        logged_statement(transaction, str(one[site]), PredicateType.EVALUATION, site=site).predicate
        for one in named
        if site in one
    ]
    evaluated_in = proof.predicate.get("evaluated_in")
    if len(said) < len(named) or any(
        (one.get("site"), one.get("run")) != (site, evaluated_in) for one in said
    ):
        raise DisjointnessProofError(evaluation=record.id, why=_said(_SITE, site=site))
    if trained_in not in _runs(said[0]):
        why = _said(_RUN, site=site, run=trained_in)
        raise DisjointnessProofError(evaluation=record.id, why=why)


def _runs(said: Mapping[str, Any]) -> tuple[str, ...]:
    match said.get("report"):
        case {"disjointness": {"runs": list(runs)}}:
            return tuple(str(run) for run in runs)
    return ()


def _sites(body: Mapping[str, Any]) -> set[str]:
    """Return every site that a record counts or names as having signed."""
    listed, absent = (body.get(name) for name in ("sites", "absent"))
    counted = set(listed) if isinstance(listed, list) else set()
    gone = set(absent) if isinstance(absent, list) else set()
    return (counted - gone) | set(_of(body, "attestations"))


def _of(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = said.get(name)
    return found if isinstance(found, Mapping) else {}


def _said(text: Text, **values: str) -> Text:
    return Text(en=text.en.format(**values), zh=text.zh.format(**values))
