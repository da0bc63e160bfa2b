"""What must hold of a candidate before it is signed. All problems are found, not the first.

Small counts: no number of patients between 1 and 9 is registered, and a pooled
number must be the sum of those shown, or a suppressed site could be computed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from federation.domain.cells import SMALL_CELL
from federation.domain.ids import Sha256, SiteId
from federation.errors import PlatformError, ProblemsFound
from federation.errors.registry import (
    RecordInconsistentError,
    SmallCountError,
    StatementOfAnotherError,
)
from federation.evidence.dsse import read_envelope
from federation.evidence.keyring import KnownKey, keys_for
from federation.evidence.model_version import (
    Candidate,
    PooledMetric,
    PrivacyStatement,
    SubmittedStatement,
)
from federation.evidence.statements import PredicateType, Statement
from federation.evidence.verification import verify_envelope

COUNTS = frozenset(
    {"n", "patients", "heldout_patients", "studies", "images", "positives", "excluded"}
)
_NOT_SIGNED = "it is not what the site signed"
_OF_A_RUN = frozenset(
    {
        PredicateType.UPDATE,
        PredicateType.EVALUATION,
        PredicateType.LEDGER,
        PredicateType.TRAINING_RUN,
    }
)
_OF_A_STUDY = _OF_A_RUN - {PredicateType.LEDGER} | {PredicateType.APPROVAL, PredicateType.PROPOSAL}


@dataclass(frozen=True, slots=True)
class Vouched:
    """A statement whose signature, signer and matter were checked."""

    site: SiteId | None
    kind: PredicateType
    envelope: str
    signer: KnownKey


def check_facts(candidate: Candidate) -> None:
    """Raise unless the candidate's facts agree with each other and show no small count.

    Raises
    ------
    ProblemsFound
        With every `SmallCountError` and `RecordInconsistentError`.
    """
    problems = [*_small_counts(candidate), *_contradictions(candidate)]
    if problems:
        raise ProblemsFound(problems)


def vouch(candidate: Candidate, keys: Iterable[KnownKey]) -> list[Vouched]:
    """Return every statement handed in, verified against the keys that may sign it.

    Raises
    ------
    PlatformError
        What `verify_envelope` raises; `StatementOfAnotherError` if it is about
        another study or run; `SmallCountError` if it tells a small count;
        `ProblemsFound` if a figure of the record is not what its site signed.
    """
    known = tuple(keys)
    both = [
        _vouched(candidate, number, given, known)
        for number, given in enumerate(candidate.statements, start=1)
    ]
    problems = [*_unlike_what_was_signed(candidate, [statement for _, statement in both])]
    if problems:
        raise ProblemsFound(problems)
    return [vouched for vouched, _ in both]


def _vouched(
    candidate: Candidate, number: int, given: SubmittedStatement, keys: tuple[KnownKey, ...]
) -> tuple[Vouched, Statement]:
    kind = PredicateType.of(given.kind)
    site = SiteId(given.site) if given.site is not None else None
    trusted = keys_for(kind, site=site, keys=keys)
    statement = verify_envelope(given.envelope, trusted=trusted, expected=kind)
    if not _is_about(statement, candidate, site):
        raise StatementOfAnotherError(
            number=number, kind=kind.short, study=candidate.study.id, run=candidate.run
        )
    for field, count in _counts(statement.predicate):
        if 0 < count < SMALL_CELL:
            raise SmallCountError(field=f"statements.{number}.{field}", highest=SMALL_CELL - 1)
    keyid = read_envelope(given.envelope).keyid
    signer = next(known for known in keys if known.key.keyid == keyid and known.site == site)
    return Vouched(site, kind, given.envelope, signer), statement


def _unlike_what_was_signed(
    candidate: Candidate, statements: Sequence[Statement]
) -> Iterator[PlatformError]:
    """Yield every figure of the record that differs from what its site signed of it."""
    parts = {part.site: part for part in candidate.participants}
    epsilons = {
        one.site: one.epsilon for one in candidate.privacy if isinstance(one, PrivacyStatement)
    }
    newest = sorted(statements, key=lambda one: str(one.predicate.get("round", "")).zfill(9))
    signed: dict[tuple[str, PredicateType], Mapping[str, object]] = {}
    for statement in newest:
        site, report = statement.predicate.get("site"), statement.predicate.get("report")
        if isinstance(site, str) and isinstance(report, Mapping):
            signed[site, statement.predicate_type] = report
    for (site, kind), report in signed.items():
        if kind is PredicateType.UPDATE and site in parts:
            wrong = "patients" in report and parts[site].patients not in (report["patients"], None)
            yield from _wrong(f"participants.{site}.patients", _NOT_SIGNED, wrong)
            wrong = "epsilon" in report and epsilons.get(site) != report["epsilon"]
            yield from _wrong(f"privacy.{site}.epsilon", _NOT_SIGNED, wrong)
        if kind is PredicateType.EVALUATION:
            shown = {m.name: m.value for m in candidate.evaluations if m.site == site}
            yield from _wrong(f"evaluations.{site}", _NOT_SIGNED, shown != _metrics_of(report))


def _metrics_of(report: Mapping[str, object]) -> dict[str, object]:
    metrics = report.get("metrics")
    listed = metrics if isinstance(metrics, list | tuple) else []
    return {str(one.get("name")): one.get("value") for one in listed if isinstance(one, Mapping)}


def _is_about(statement: Statement, candidate: Candidate, site: SiteId | None) -> bool:
    kind, said = statement.predicate_type, statement.predicate
    studies = {subject.digest for subject in statement.subjects}
    return (
        (site is None or said.get("site") == site)
        and (kind is not PredicateType.APPROVAL or said.get("decision") == "approved")
        and (kind not in _OF_A_RUN or said.get("run") == candidate.run)
        and (kind not in _OF_A_STUDY or Sha256(candidate.study.digest) in studies)
    )


def _counts(value: object, path: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in COUNTS and isinstance(item, int):
                yield f"{path}{key}", item
            yield from _counts(item, f"{path}{key}.")
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from _counts(item, f"{path}{place}.")


def _small_counts(candidate: Candidate) -> Iterator[PlatformError]:
    facts = candidate.model_dump(mode="json", exclude={"statements", "model"})
    for field, count in _counts(facts):
        if 0 < count < SMALL_CELL:
            yield SmallCountError(field=field, highest=SMALL_CELL - 1)


def _contradictions(candidate: Candidate) -> Iterator[PlatformError]:
    sites = [part.site for part in candidate.participants]
    yield from _wrong("participants", "a site occurs twice", len(sites) != len(set(sites)))
    done, asked = candidate.rounds.done, candidate.rounds.asked
    yield from _wrong("rounds", "more were done than asked", done > asked)
    too_many = any(part.rounds > done for part in candidate.participants)
    yield from _wrong("participants", "a site did more rounds than the run", too_many)
    privacy = sorted(part.site for part in candidate.privacy)
    yield from _wrong(
        "privacy", "it needs one statement for each participant", privacy != sorted(sites)
    )
    for number, metric in enumerate((*candidate.evaluations, *candidate.pooled)):
        wrong = not (metric.low <= metric.value <= metric.high and metric.n > 0)
        yield from _wrong(f"evaluations.{number}", "the interval does not hold the value", wrong)
    yield from _pooling(candidate)


def _pooling(candidate: Candidate) -> Iterator[PlatformError]:
    seen = Counter((metric.site, metric.name) for metric in candidate.evaluations)
    yield from _wrong(
        "evaluations", "a site has a metric twice", any(count > 1 for count in seen.values())
    )
    for number, pooled in enumerate(candidate.pooled):
        shown = [metric.n for metric in candidate.evaluations if metric.name == pooled.name]
        yield from _wrong(
            f"pooled.{number}.n", "it is not the sum over the sites shown", _not_sum(pooled, shown)
        )


def _not_sum(pooled: PooledMetric, shown: list[int]) -> bool:
    return pooled.n != sum(shown)


def _wrong(field: str, why: str, holds: bool) -> Iterator[PlatformError]:
    if holds:
        yield RecordInconsistentError(field=field, why=why)
