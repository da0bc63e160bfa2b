"""Release the noisy counts that a study asks for: once, paid for, signed.

Of the approved cohort: all patients, by sex, by age band, in cells that are fixed
beforehand. Each count gets fresh discrete Gaussian noise; the cost is entered in the
book under the study before anything is drawn. What was released is kept and given
again, so that approving twice neither costs nor tells more.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from clients.charges import charge_of
from clients.home import NodeHome
from clients.ledger_store import LedgerStore
from clients.one_answer import Charge
from clients.policy.rules import Policy
from clients.seals import read_limited
from federation.domain.study import CountsPlan, Study
from federation.errors.base import PlatformError
from federation.errors.ledger import LedgerEntryRefusedError
from federation.evidence.dsse import read_envelope
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey, verify_envelope
from federation.privacy.counts import mechanism_of_counts
from federation.privacy.ledger import EntryKind
from federation.privacy.randomness import IntegerSource
from federation.storage import write_atomic


def counts_file(home: NodeHome, study: Study) -> Path:
    """Return where the released counts of a study lie."""
    return home.decisions / f"{study.id}.counts"


def counts_key(study: Study) -> str:
    """Return what the book calls the release: one for each version of a study."""
    return f"{study.id}.counts/{study.digest.hex[:12]}"


def release_counts(
    home: NodeHome,
    study: Study,
    counts: Mapping[str, int],
    *,
    policy: Policy,
    source: IntegerSource,
    now: datetime,
) -> str | None:
    """Return the signed noisy counts of a study, a DSSE envelope; None if it asks for none.

    Parameters
    ----------
    counts
        The exact numbers of patients by cell; a patient is in three cells at most.

    Raises
    ------
    BudgetExceededError
        If the study, the dataset or the period does not allow what they cost.
    LedgerEntryRefusedError
        If they were paid for and the released ones are gone: none are drawn again.
    """
    privacy = study.privacy
    if privacy is None or privacy.counts is None:
        return None
    kept = _kept(home, study)
    if kept is None:
        mechanism = mechanism_of_counts(privacy.counts)
        charge = charge_of(study, privacy, policy, events=mechanism.events)
        kept = _draw(home, study, counts, privacy.counts, charge, source=source, now=now)
        write_atomic(counts_file(home, study), kept.encode())
    _commit(home, study, now=now)
    return kept


def noisy_counts_in(envelope: str) -> dict[str, object]:
    """Return what a release says, for the dataset card; its signature is looked at elsewhere."""
    said = Statement.from_bytes(read_envelope(envelope).payload).predicate
    return {name: said[name] for name in ("counts", "sigma", "events")}


def _draw(
    home: NodeHome,
    study: Study,
    counts: Mapping[str, int],
    plan: CountsPlan,
    charge: Charge,
    *,
    source: IntegerSource,
    now: datetime,
) -> str:
    """Reserve what the counts cost, draw them and sign them."""
    key, books = counts_key(study), _books(home)
    state = books.book(study.cohort).state_of(key)
    if state is EntryKind.COMMITTED:
        raise LedgerEntryRefusedError(key=key, wanted="reserved", current=state.value)
    books.open_book(study.cohort, at=now.isoformat())
    books.reserve(
        charge.dataset,
        study=charge.study,
        key=key,
        events=charge.events,
        budget=charge.budget,
        plan=charge.plan,
        limits=charge.limits,
        accountant=charge.accountant,
        at=now.isoformat(),
    )
    release = mechanism_of_counts(plan).release(list(counts.values()), source=source)
    said: dict[str, object] = {
        "what": "noisy-counts",
        "site": str(home.settings().site),
        "study": str(study.id),
        "at": now.isoformat(),
        "counts": dict(zip(counts, release.counts, strict=True)),
        "sigma": float(release.mechanism.sigma),
        "events": [event.as_json() for event in release.events],
    }
    subject = Subject(f"study/{study.id}", study.digest)
    statement = Statement((subject,), PredicateType.DATASET_CARD, said)
    return sign_dsse(statement, Signer.load(home.node_key))


def _kept(home: NodeHome, study: Study) -> str | None:
    """Return what was released for this version; what does not verify was never released."""
    try:
        content = read_limited(counts_file(home, study))
        key = PublicKey.load(home.node_public_key)
        found = verify_envelope(
            content, trusted={key.keyid: key}, expected=PredicateType.DATASET_CARD
        )
    except (FileNotFoundError, PlatformError):
        return None
    is_ours = [subject.digest for subject in found.subjects] == [study.digest]
    return content.decode() if is_ours else None


def _commit(home: NodeHome, study: Study, *, now: datetime) -> None:
    books, key = _books(home), counts_key(study)
    if books.book(study.cohort).state_of(key) is EntryKind.RESERVED:
        kind, at = EntryKind.COMMITTED, now.isoformat()
        books.settle(study.cohort, study=study.id, key=key, kind=kind, at=at)


def _books(home: NodeHome) -> LedgerStore:
    return LedgerStore(home.ledger, officer=PublicKey.load(home.officer_public_key))
