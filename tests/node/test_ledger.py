"""The privacy book: nothing is spent twice, nothing is spent past the budget."""

import multiprocessing
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from clients.ledger_store import LedgerStore
from federation.domain.ids import StudyId
from federation.errors.ledger import (
    BudgetExceededError,
    LedgerChainBrokenError,
    LedgerEntryRefusedError,
)
from federation.privacy.events import PoissonSampledGaussian, PrivacyEvent
from federation.privacy.ledger import Accountant, Book, Budget, EntryKind, verify_chain

STUDY = StudyId("cxr-2026")
EVENT = PoissonSampledGaussian(noise_multiplier=1.0, sample_rate=0.1, steps=10)
COSTLIER = PoissonSampledGaussian(noise_multiplier=0.5, sample_rate=0.2, steps=10)
NO_LIMIT = Budget(1e9, 1e-3)
AT = "2026-11-21T00:00:00+00:00"


def one_each(events: Sequence[PrivacyEvent], delta: float) -> float:
    """Cost one epsilon an event, so that budgets are easy to read in a test."""
    return float(len(events))


def reserve(
    store: LedgerStore,
    key: str,
    *,
    epsilon: float = 8.0,
    study: StudyId = STUDY,
    plan: Budget = NO_LIMIT,
    dataset: str = "chest",
    event: PrivacyEvent = EVENT,
    accountant: Accountant = one_each,
) -> float:
    return store.reserve(
        dataset,
        study=study,
        key=key,
        events=[event],
        budget=Budget(epsilon, 1e-3),
        plan=plan,
        accountant=accountant,
        at=AT,
    )


def settle(store: LedgerStore, key: str, kind: EntryKind) -> None:
    store.settle("chest", study=STUDY, key=key, kind=kind, at=AT)


@pytest.fixture
def store(tmp_path: Path) -> LedgerStore:
    return LedgerStore(tmp_path / "ledger.db")


def test_a_reservation_counts_before_it_is_committed(store: LedgerStore) -> None:
    assert reserve(store, "cxr-2026.1/1") == 1.0
    assert reserve(store, "cxr-2026.1/2") == 2.0


def test_past_the_budget_nothing_is_written(store: LedgerStore) -> None:
    reserve(store, "cxr-2026.1/1", epsilon=1.0)

    with pytest.raises(BudgetExceededError):
        reserve(store, "cxr-2026.1/2", epsilon=1.0)

    assert len(store.book("chest").entries) == 1


def test_another_study_on_the_same_patients_spends_the_same_budget(store: LedgerStore) -> None:
    reserve(store, "cxr-2026.1/1", epsilon=1.0)

    with pytest.raises(BudgetExceededError):
        reserve(store, "other.1/1", epsilon=1.0, study=StudyId("other"))


def test_another_name_for_the_dataset_spends_the_same_budget(store: LedgerStore) -> None:
    reserve(store, "cxr-2026.1/1", epsilon=1.0)

    with pytest.raises(BudgetExceededError):
        reserve(store, "other.1/1", epsilon=1.0, study=StudyId("other"), dataset="thorax")


def test_past_the_studys_own_plan_nothing_is_written(store: LedgerStore) -> None:
    reserve(store, "other.1/1", study=StudyId("other"))
    reserve(store, "cxr-2026.1/1", plan=Budget(1.0, 1e-3))

    with pytest.raises(BudgetExceededError):
        reserve(store, "cxr-2026.2/1", plan=Budget(1.0, 1e-3), dataset="thorax")


def test_a_cost_that_is_no_number_is_refused(store: LedgerStore) -> None:
    with pytest.raises(BudgetExceededError):
        reserve(store, "cxr-2026.1/1", accountant=lambda events, delta: float("nan"))


def test_a_voided_reservation_does_not_pay_for_the_costlier_round_that_follows(
    store: LedgerStore,
) -> None:
    reserve(store, "cxr-2026.1/1", event=COSTLIER)
    settle(store, "cxr-2026.1/1", EntryKind.VOIDED)
    reserve(store, "cxr-2026.1/1", event=EVENT)

    with pytest.raises(LedgerEntryRefusedError):
        reserve(store, "cxr-2026.1/1", event=COSTLIER)


def test_one_study_does_not_train_on_the_reservation_of_another(store: LedgerStore) -> None:
    reserve(store, "cxr-2026.1/1")

    with pytest.raises(LedgerEntryRefusedError):
        reserve(store, "cxr-2026.1/1", study=StudyId("other"))


def test_a_voided_round_costs_nothing(store: LedgerStore) -> None:
    reserve(store, "cxr-2026.1/1", epsilon=1.0)
    settle(store, "cxr-2026.1/1", EntryKind.VOIDED)

    assert reserve(store, "cxr-2026.1/2", epsilon=1.0) == 1.0


def test_a_voided_round_may_be_tried_again_and_then_counts(store: LedgerStore) -> None:
    reserve(store, "cxr-2026.1/1", epsilon=1.0)
    settle(store, "cxr-2026.1/1", EntryKind.VOIDED)
    reserve(store, "cxr-2026.1/1", epsilon=1.0)

    with pytest.raises(BudgetExceededError):
        reserve(store, "cxr-2026.1/2", epsilon=1.0)


def test_a_reservation_without_an_end_counts_as_spent_after_a_restart(tmp_path: Path) -> None:
    reserve(LedgerStore(tmp_path / "ledger.db"), "cxr-2026.1/1")

    assert LedgerStore(tmp_path / "ledger.db").book("chest").events() == (EVENT,)


def test_the_same_round_asked_again_before_it_settled_costs_nothing_more(
    store: LedgerStore,
) -> None:
    reserve(store, "cxr-2026.1/1", epsilon=1.0)

    assert reserve(store, "cxr-2026.1/1", epsilon=1.0) == 1.0
    assert len(store.book("chest").entries) == 1


def test_a_committed_round_cannot_be_reserved_again(store: LedgerStore) -> None:
    reserve(store, "cxr-2026.1/1")
    settle(store, "cxr-2026.1/1", EntryKind.COMMITTED)

    with pytest.raises(LedgerEntryRefusedError):
        reserve(store, "cxr-2026.1/1")


def test_a_committed_round_cannot_be_voided(store: LedgerStore) -> None:
    reserve(store, "cxr-2026.1/1")
    settle(store, "cxr-2026.1/1", EntryKind.COMMITTED)

    with pytest.raises(LedgerEntryRefusedError):
        settle(store, "cxr-2026.1/1", EntryKind.VOIDED)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM entries WHERE idx = 0",
        "UPDATE entries SET entry = replace(entry, '\"steps\": 10', '\"steps\": 1') WHERE idx = 0",
    ],
)
def test_an_edit_behind_the_back_is_found(tmp_path: Path, statement: str) -> None:
    store = LedgerStore(tmp_path / "ledger.db")
    reserve(store, "cxr-2026.1/1")
    reserve(store, "cxr-2026.1/2")

    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()

    with pytest.raises(LedgerChainBrokenError):
        store.book("chest")


def test_an_unknown_kind_of_entry_is_refused() -> None:
    raw = Book().next_entry(
        EntryKind.RESERVED, dataset="chest", study=STUDY, key="k", events=(EVENT,), at=AT
    )

    with pytest.raises(LedgerChainBrokenError):
        type(raw).from_json({**raw.as_json(), "kind": "forgiven"})


def test_entries_out_of_order_do_not_verify() -> None:
    first = Book().next_entry(EntryKind.RESERVED, dataset="c", study=STUDY, key="a", at=AT)
    book = Book().with_entry(first)
    second = book.next_entry(EntryKind.RESERVED, dataset="c", study=STUDY, key="b", at=AT)

    with pytest.raises(LedgerChainBrokenError):
        verify_chain([second, first])


def _spend(path: Path, key: str, results: "multiprocessing.Queue[str]") -> None:
    try:
        reserve(LedgerStore(path), key, epsilon=3.0)
        results.put("spent")
    except BudgetExceededError as error:
        results.put(error.code)


def test_six_processes_cannot_spend_a_budget_of_three_six_times(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[str] = context.Queue()
    workers = [
        context.Process(target=_spend, args=(tmp_path / "ledger.db", f"cxr.1/{n}", results))
        for n in range(1, 7)
    ]
    for worker in workers:
        worker.start()
    outcomes = sorted(results.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()

    assert outcomes == ["TF630"] * 3 + ["spent"] * 3
