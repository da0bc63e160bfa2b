"""The privacy book: nothing is spent twice, nothing is spent past the budget.

One suite for every body that keeps it: the hospital's file, memory, the registry's
database in a file and at a PostgreSQL server. What only a file can suffer is in
`test_ledger_file.py`.
"""

import json
from pathlib import Path

import pytest

from clients.ledger_store import LedgerStore
from federation.domain.ids import Sha256, StudyId
from federation.errors.ledger import (
    BudgetChangeRefusedError,
    BudgetExceededError,
    LedgerChainBrokenError,
    LedgerClockError,
    LedgerEntryRefusedError,
    LedgerRolledBackError,
)
from federation.evidence.signing import Signer, new_key, sign_dsse
from federation.evidence.statements import PredicateType, Statement
from federation.privacy.accountants import epsilon_of
from federation.privacy.bookkeeping import Bookkeeper, LedgerHead, MemoryShelves
from federation.privacy.budget_change import BudgetChange
from federation.privacy.events import PoissonSampledGaussian
from federation.privacy.ledger import (
    Book,
    Budget,
    Entry,
    EntryKind,
    Limit,
    Scope,
    verify_chain,
)
from tests.node.books import (
    AT,
    BODIES,
    COSTLIER,
    EVENT,
    SERVED,
    STUDY,
    a_body,
    name_of,
    reserve,
    settle,
)


@pytest.fixture(scope="module")
def officer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return new_key(tmp_path_factory.mktemp("keys") / "officer.key")


@pytest.fixture(params=(*BODIES, SERVED))
def store(request: pytest.FixtureRequest, tmp_path: Path, officer: Signer) -> Bookkeeper:
    return a_body(name_of(request.param, request), tmp_path, officer)


def test_a_reservation_counts_before_it_is_committed(store: Bookkeeper) -> None:
    assert reserve(store, "cxr-2026.1/1") == 1.0
    assert reserve(store, "cxr-2026.1/2") == 2.0


def test_past_the_budget_nothing_is_written(store: Bookkeeper) -> None:
    reserve(store, "cxr-2026.1/1", epsilon=1.0)

    with pytest.raises(BudgetExceededError):
        reserve(store, "cxr-2026.1/2", epsilon=1.0)

    assert len(store.book("chest").entries) == 1


def test_another_study_on_the_same_patients_spends_the_same_budget(store: Bookkeeper) -> None:
    reserve(store, "cxr-2026.1/1", epsilon=1.0)

    with pytest.raises(BudgetExceededError):
        reserve(store, "other.1/1", epsilon=1.0, study=StudyId("other"))


def test_another_name_for_the_dataset_spends_the_same_budget(store: Bookkeeper) -> None:
    reserve(store, "cxr-2026.1/1", epsilon=1.0)

    with pytest.raises(BudgetExceededError):
        reserve(store, "other.1/1", epsilon=1.0, study=StudyId("other"), dataset="thorax")


def test_past_the_studys_own_plan_nothing_is_written(store: Bookkeeper) -> None:
    reserve(store, "other.1/1", study=StudyId("other"))
    reserve(store, "cxr-2026.1/1", plan=Budget(1.0, 1e-3))

    with pytest.raises(BudgetExceededError):
        reserve(store, "cxr-2026.2/1", plan=Budget(1.0, 1e-3), dataset="thorax")


def test_a_cost_that_is_no_number_is_refused(store: Bookkeeper) -> None:
    with pytest.raises(BudgetExceededError):
        reserve(store, "cxr-2026.1/1", accountant=lambda events, delta: float("nan"))


def test_a_voided_reservation_does_not_pay_for_the_costlier_round_that_follows(
    store: Bookkeeper,
) -> None:
    reserve(store, "cxr-2026.1/1", event=COSTLIER)
    settle(store, "cxr-2026.1/1", EntryKind.VOIDED)
    reserve(store, "cxr-2026.1/1", event=EVENT)

    with pytest.raises(LedgerEntryRefusedError):
        reserve(store, "cxr-2026.1/1", event=COSTLIER)


def test_one_study_does_not_train_on_the_reservation_of_another(store: Bookkeeper) -> None:
    reserve(store, "cxr-2026.1/1")

    with pytest.raises(LedgerEntryRefusedError):
        reserve(store, "cxr-2026.1/1", study=StudyId("other"))


def test_a_voided_round_costs_nothing(store: Bookkeeper) -> None:
    reserve(store, "cxr-2026.1/1", epsilon=1.0)
    settle(store, "cxr-2026.1/1", EntryKind.VOIDED)

    assert reserve(store, "cxr-2026.1/2", epsilon=1.0) == 1.0


def test_a_voided_round_may_be_tried_again_and_then_counts(store: Bookkeeper) -> None:
    reserve(store, "cxr-2026.1/1", epsilon=1.0)
    settle(store, "cxr-2026.1/1", EntryKind.VOIDED)
    reserve(store, "cxr-2026.1/1", epsilon=1.0)

    with pytest.raises(BudgetExceededError):
        reserve(store, "cxr-2026.1/2", epsilon=1.0)


@pytest.mark.parametrize("body", ["file", "registry"])
def test_a_reservation_without_an_end_counts_as_spent_after_a_restart(
    tmp_path: Path, officer: Signer, body: str
) -> None:
    reserve(a_body(body, tmp_path, officer), "cxr-2026.1/1")

    assert a_body(body, tmp_path, officer).book("chest").events() == (EVENT,)


def test_the_same_round_asked_again_before_it_settled_costs_nothing_more(
    store: Bookkeeper,
) -> None:
    reserve(store, "cxr-2026.1/1", epsilon=1.0)

    assert reserve(store, "cxr-2026.1/1", epsilon=1.0) == 1.0
    assert len(store.book("chest").entries) == 1


def test_a_committed_round_cannot_be_reserved_again(store: Bookkeeper) -> None:
    reserve(store, "cxr-2026.1/1")
    settle(store, "cxr-2026.1/1", EntryKind.COMMITTED)

    with pytest.raises(LedgerEntryRefusedError):
        reserve(store, "cxr-2026.1/1")


def test_a_committed_round_cannot_be_voided(store: Bookkeeper) -> None:
    reserve(store, "cxr-2026.1/1")
    settle(store, "cxr-2026.1/1", EntryKind.COMMITTED)

    with pytest.raises(LedgerEntryRefusedError):
        settle(store, "cxr-2026.1/1", EntryKind.VOIDED)


# Periods and slices.


def test_a_year_allows_what_it_allows_however_many_studies_ask(store: Bookkeeper) -> None:
    year = [Limit(Scope.HOSPITAL, Budget(2.0, 1e-3), days=365)]
    reserve(store, "a.1/1", study=StudyId("a"), limits=year)
    reserve(store, "b.1/1", study=StudyId("b"), dataset="thorax", limits=year)

    with pytest.raises(BudgetExceededError):
        reserve(store, "c.1/1", study=StudyId("c"), dataset="lung", limits=year)


def test_what_was_spent_more_than_a_year_ago_leaves_the_year(store: Bookkeeper) -> None:
    year = [Limit(Scope.HOSPITAL, Budget(1.0, 1e-3), days=365)]
    reserve(store, "cxr-2026.1/1", limits=year)
    with pytest.raises(BudgetExceededError):
        reserve(store, "cxr-2026.1/2", limits=year, at="2027-11-20T00:00:00+00:00")

    reserve(store, "cxr-2026.1/2", limits=year, at="2027-11-22T00:00:00+00:00")


def test_a_limit_of_one_dataset_does_not_count_another(store: Bookkeeper) -> None:
    own = [Limit(Scope.DATASET, Budget(1.0, 1e-3))]
    reserve(store, "cxr-2026.1/1", limits=own)
    reserve(store, "cxr-2026.1/2", limits=own, dataset="hand")

    with pytest.raises(BudgetExceededError):
        reserve(store, "cxr-2026.1/3", limits=own)


def test_a_budget_asked_for_in_small_slices_ends_where_it_would_in_one(
    store: Bookkeeper,
) -> None:
    """Each slice alone costs little; together they are charged as one plan."""
    limit = 1.0
    slice_ = PoissonSampledGaussian(noise_multiplier=10.0, sample_rate=0.1, steps=100)
    taken = 0
    with pytest.raises(BudgetExceededError):
        for taken in range(100):
            study = StudyId(f"slice-{taken}")
            reserve(
                store,
                f"{study}.1/1",
                study=study,
                dataset=study,
                epsilon=limit,
                event=slice_,
                accountant=epsilon_of,
            )
    assert taken > 1
    whole = PoissonSampledGaussian(noise_multiplier=10.0, sample_rate=0.1, steps=100 * taken)
    more = PoissonSampledGaussian(noise_multiplier=10.0, sample_rate=0.1, steps=100 * (taken + 1))
    assert epsilon_of([whole], 1e-3) <= limit < epsilon_of([more], 1e-3)
    assert epsilon_of(store.events(), 1e-3) <= limit


def test_a_clock_set_back_reserves_nothing(store: Bookkeeper) -> None:
    reserve(store, "cxr-2026.1/1")

    with pytest.raises(LedgerClockError):
        reserve(store, "cxr-2026.1/2", at="2026-11-20T23:54:00+00:00")
    reserve(store, "cxr-2026.1/2", at="2026-11-20T23:56:00+00:00")


def test_what_is_dated_ahead_counts_in_every_period(store: Bookkeeper) -> None:
    day = [Limit(Scope.HOSPITAL, Budget(1.0, 1e-3), days=1)]
    reserve(store, "cxr-2026.1/1", limits=day, at="2026-11-21T00:04:00+00:00")

    with pytest.raises(BudgetExceededError):
        reserve(store, "cxr-2026.1/2", limits=day)


# Opening, closing, and what the data officer signs.


def test_a_book_is_opened_once_and_first(store: Bookkeeper) -> None:
    store.open_book("chest", at=AT)
    store.open_book("chest", at=AT)
    reserve(store, "cxr-2026.1/1")

    kinds = [entry.kind for entry in store.book("chest").entries]
    assert kinds == [EntryKind.OPENED, EntryKind.RESERVED]


def test_a_closed_book_reserves_nothing_and_goes_on_counting(store: Bookkeeper) -> None:
    reserve(store, "cxr-2026.1/1")
    settle(store, "cxr-2026.1/1", EntryKind.COMMITTED)
    store.close_book("chest", at=AT)

    with pytest.raises(LedgerEntryRefusedError):
        reserve(store, "cxr-2026.1/2")
    with pytest.raises(BudgetExceededError):
        reserve(store, "cxr-2026.1/2", dataset="thorax", epsilon=1.0)


def test_a_book_with_an_open_reservation_is_not_closed(store: Bookkeeper) -> None:
    reserve(store, "cxr-2026.1/1")

    with pytest.raises(LedgerEntryRefusedError):
        store.close_book("chest", at=AT)


def a_change(store: Bookkeeper, *, epsilon: float = 1.0, dataset: str = "chest") -> BudgetChange:
    return BudgetChange(dataset, store.book(dataset).head, Budget(epsilon, 1e-3), 365)


def test_a_budget_the_officer_signed_binds_until_he_signs_another(
    store: Bookkeeper, officer: Signer
) -> None:
    store.change_budget("chest", sign_dsse(a_change(store).statement(), officer), at=AT)
    reserve(store, "cxr-2026.1/1")
    with pytest.raises(BudgetExceededError):
        reserve(store, "cxr-2026.1/2")

    raised = sign_dsse(a_change(store, epsilon=2.0).statement(), officer)
    store.change_budget("chest", raised, at=AT)
    reserve(store, "cxr-2026.1/2")


def test_a_budget_somebody_else_signed_is_refused(store: Bookkeeper, tmp_path: Path) -> None:
    stranger = new_key(tmp_path / "stranger.key")

    with pytest.raises(BudgetChangeRefusedError, match="TF"):
        store.change_budget("chest", sign_dsse(a_change(store).statement(), stranger), at=AT)


def test_a_signed_budget_cannot_be_used_twice_or_for_another_book(
    store: Bookkeeper, officer: Signer
) -> None:
    signed = sign_dsse(a_change(store, epsilon=9.0).statement(), officer)
    store.change_budget("chest", signed, at=AT)

    with pytest.raises(BudgetChangeRefusedError, match="another state"):
        store.change_budget("chest", signed, at=AT)
    with pytest.raises(BudgetChangeRefusedError, match="another state"):
        store.change_budget("hand", signed, at=AT)


def test_a_signed_statement_about_something_else_is_no_budget(
    store: Bookkeeper, officer: Signer
) -> None:
    statement = a_change(store).statement()
    other = Statement(statement.subjects, PredicateType.LEDGER, {"what": "heads"})

    with pytest.raises(BudgetChangeRefusedError, match="not a statement"):
        store.change_budget("chest", sign_dsse(other, officer), at=AT)


@pytest.mark.parametrize(
    ("epsilon", "delta", "days"),
    [(0.0, 1e-3, 1), (float("nan"), 1e-3, 1), (1.0, 1.0, 1), (1.0, 1e-3, 0)],
)
def test_a_budget_that_cannot_be_is_refused(epsilon: float, delta: float, days: int) -> None:
    with pytest.raises(BudgetChangeRefusedError):
        BudgetChange("chest", Book().head, Budget(epsilon, delta), days)


def test_a_book_with_a_signed_budget_is_refused_where_nobody_can_check_it(
    tmp_path: Path, officer: Signer
) -> None:
    store = LedgerStore(tmp_path / "ledger.db", officer=officer.public_key)
    store.change_budget("chest", sign_dsse(a_change(store).statement(), officer), at=AT)

    with pytest.raises(BudgetChangeRefusedError, match="no officer"):
        reserve(LedgerStore(tmp_path / "ledger.db"), "cxr-2026.1/1")


# Heads: a book that lost its end is a whole chain all the same.


def test_a_book_continues_the_one_its_head_was_signed_of(store: Bookkeeper) -> None:
    heads = [store.head()]
    for number in range(3):
        reserve(store, f"cxr-2026.1/{number}", dataset=f"d{number % 2}")
        heads.append(store.head())

    assert [store.check_follows(old).entries for old in heads] == [3, 3, 3, 3]


@pytest.mark.parametrize("kept", [0, 1])
def test_a_book_that_lost_entries_or_has_others_does_not(
    tmp_path: Path, officer: Signer, kept: int
) -> None:
    store, older = (Bookkeeper(MemoryShelves()) for _ in range(2))
    for number in range(2):
        reserve(store, f"cxr-2026.1/{number}")
    for number in range(kept):
        reserve(older, f"cxr-2026.1/{number}")

    with pytest.raises(LedgerRolledBackError):
        older.check_follows(store.head())
    reserve(older, "cxr-2026.9/1")
    reserve(older, "cxr-2026.9/2")
    with pytest.raises(LedgerRolledBackError):
        older.check_follows(store.head())


def test_a_head_that_was_never_is_not_followed(store: Bookkeeper) -> None:
    with pytest.raises(LedgerRolledBackError):
        store.check_follows(LedgerHead(0, Sha256.of(b"other")))
    with pytest.raises(LedgerRolledBackError):
        store.check_follows(LedgerHead(-1, Book().head))


# Entries.


def test_an_unknown_kind_of_entry_is_refused() -> None:
    with pytest.raises(LedgerChainBrokenError):
        Entry.from_json({**an_entry().as_json(), "kind": "forgiven"})


def an_entry() -> Entry:
    return Book().next_entry(
        EntryKind.RESERVED, dataset="chest", study=STUDY, key="k", events=(EVENT,), at=AT
    )


def test_an_entry_survives_json() -> None:
    assert Entry.from_json(json.loads(json.dumps(an_entry().as_json()))) == an_entry()


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"study": None},
        {"study": "Not A Study"},
        {"key": ""},
        {"events": [{"kind": "laplace"}]},
        {"events": 3},
        {"previous": "sha256:x"},
        {"statement": "signed"},
        {"kind": "committed"},
        {"kind": "budget-changed"},
    ],
)
def test_an_entry_with_fields_of_another_kind_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(LedgerChainBrokenError):
        Entry.from_json({**an_entry().as_json(), **change})


@pytest.mark.parametrize("raw", [None, [], "entry", {}])
def test_what_is_no_entry_is_refused(raw: object) -> None:
    with pytest.raises(LedgerChainBrokenError):
        Entry.from_json(raw)


@pytest.mark.parametrize("at", ["yesterday", "2026-11-21T00:00:00"])
def test_an_entry_whose_time_has_no_zone_is_refused(store: Bookkeeper, at: str) -> None:
    with pytest.raises(LedgerChainBrokenError, match="time"):
        reserve(store, "cxr-2026.1/1", at=at)


def test_entries_out_of_order_do_not_verify() -> None:
    first = Book().next_entry(EntryKind.RESERVED, dataset="c", study=STUDY, key="a", at=AT)
    book = Book().with_entry(first)
    second = book.next_entry(EntryKind.RESERVED, dataset="c", study=STUDY, key="b", at=AT)

    with pytest.raises(LedgerChainBrokenError):
        verify_chain([second, first])
