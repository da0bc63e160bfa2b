"""Privacy books for tests, light to import: processes of their own start with it."""

import multiprocessing
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clients.ledger_store import LedgerStore
from federation.domain.ids import StudyId
from federation.errors.ledger import BudgetExceededError
from federation.evidence.signing import Signer
from federation.evidence.statements import PredicateType
from federation.evidence.verification import verify_envelope
from federation.privacy.bookkeeping import Bookkeeper, MemoryShelves, Verify
from federation.privacy.events import PoissonSampledGaussian, PrivacyEvent
from federation.privacy.ledger import Accountant, Budget, EntryKind, Limit

if TYPE_CHECKING:
    import pytest

STUDY = StudyId("cxr-2026")
EVENT = PoissonSampledGaussian(noise_multiplier=1.0, sample_rate=0.1, steps=10)
COSTLIER = PoissonSampledGaussian(noise_multiplier=0.5, sample_rate=0.2, steps=10)
NO_LIMIT = Budget(1e9, 1e-3)
AT = "2026-11-21T00:00:00+00:00"
BODIES = ("file", "memory", "registry")
SERVED = "postgresql"
"""The registry's body at a database server; its tests skip where none is installed."""


def one_each(events: Sequence[PrivacyEvent], delta: float) -> float:
    """Cost one epsilon an event, so that budgets are easy to read in a test."""
    return float(len(events))


def reserve(
    store: Bookkeeper,
    key: str,
    *,
    epsilon: float = 8.0,
    study: StudyId = STUDY,
    plan: Budget = NO_LIMIT,
    limits: Sequence[Limit] = (),
    dataset: str = "chest",
    event: PrivacyEvent = EVENT,
    accountant: Accountant = one_each,
    at: str = AT,
) -> float:
    return store.reserve(
        dataset,
        study=study,
        key=key,
        events=[event],
        budget=Budget(epsilon, 1e-3),
        plan=plan,
        limits=limits,
        accountant=accountant,
        at=at,
    )


def settle(store: Bookkeeper, key: str, kind: EntryKind) -> None:
    store.settle("chest", study=STUDY, key=key, kind=kind, at=AT)


def verifier(signer: Signer) -> Verify:
    key = signer.public_key
    trusted = {key.keyid: key}
    return lambda text: verify_envelope(text, trusted=trusted, expected=PredicateType.LEDGER)


def a_body(name: str, folder: Path, officer: Signer) -> Bookkeeper:
    if name == "file":
        return LedgerStore(folder / "ledger.db", officer=officer.public_key)
    if name == "memory":
        return Bookkeeper(MemoryShelves(), verify=verifier(officer))
    from registry.ledger.tables import SqlShelves

    url = name if name.startswith(SERVED) else f"sqlite:///{folder}/registry.db"
    return Bookkeeper(SqlShelves(url), verify=verifier(officer))


def name_of(body: str, request: "pytest.FixtureRequest") -> str:
    """Return what `a_body` makes a body from: its name, or the URL of a schema of its own."""
    if body != SERVED:
        return body
    from tests.databases import own_schema

    return own_schema(str(request.getfixturevalue("postgres")))


def spend(body: str, folder: Path, key: str, results: "multiprocessing.Queue[str]") -> None:
    """Spend one of three in a process of its own, and say how it went."""
    officer = Signer.load(folder / "officer.key")
    try:
        reserve(a_body(body, folder, officer), key, epsilon=3.0)
        results.put("spent")
    except BudgetExceededError as error:
        results.put(error.code)
