"""Whatever dies in between: nothing is spent twice, nothing leaves unaccounted."""

import itertools
import multiprocessing
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients import one_answer
from clients.gate import digest_of_array
from clients.ledger_store import LedgerStore
from clients.replies import KeptReplies
from federation.errors.base import PlatformError
from federation.errors.ledger import (
    BudgetExceededError,
    KeptReplyDamagedError,
    LedgerEntryRefusedError,
    RoundAnsweredError,
    RoundBusyError,
)
from federation.errors.machine import DiskFullError
from federation.evidence.signing import Signer, new_key
from federation.privacy.bookkeeping import Bookkeeper, MemoryShelves
from federation.privacy.ledger import EntryKind
from tests.node.crashes import (
    POINTS,
    RUN,
    Hospital,
    Killed,
    a_task,
    check_accounted,
    kill_at,
    watch,
)

CRASHES = (None, *POINTS)
DIGEST = digest_of_array(a_task().model)


class Fuse:
    """Kills at the chosen step of a request."""

    point: str | None = None

    def __call__(self, step: str) -> None:
        if step == self.point:
            raise Killed


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return new_key(tmp_path_factory.mktemp("key") / "node.key")


@pytest.fixture
def fuse(monkeypatch: pytest.MonkeyPatch) -> Fuse:
    fuse = Fuse()
    watch(monkeypatch, fuse)
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # a killed process loses no page
    return fuse


def story(hospital: Hospital, fuse: Fuse, requests: list[tuple[int, str | None]]) -> None:
    """Send requests (model, step at which the node dies), then each model once without."""
    for model, point in [*requests, (0, None), (1, None)]:
        fuse.point = point
        with suppress(Killed, PlatformError):
            hospital.answer(a_task(model))
        check_accounted(hospital)


def a_hospital(folder: Path, signer: Signer, fuse: Fuse) -> Hospital:
    folder.mkdir()
    return Hospital(folder, Bookkeeper(MemoryShelves()), signer, on=fuse)


def test_two_requests_that_die_anywhere_never_pay_twice_nor_leave_unpaid(
    tmp_path: Path, signer: Signer, fuse: Fuse
) -> None:
    requests = list(itertools.product((0, 1), CRASHES))
    for number, both in enumerate(itertools.product(requests, requests)):
        hospital = a_hospital(tmp_path / str(number), signer, fuse)
        story(hospital, fuse, list(both))
        assert len(hospital.books.events()) == 1
        assert hospital.left, "the round could be answered after all"


@pytest.mark.slow
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(CRASHES)), max_size=8))
def test_any_story_of_requests_and_deaths_pays_once(
    tmp_path_factory: pytest.TempPathFactory,
    signer: Signer,
    fuse: Fuse,
    requests: list[tuple[int, str | None]],
) -> None:
    hospital = a_hospital(tmp_path_factory.mktemp("story") / "home", signer, fuse)
    story(hospital, fuse, requests)


def test_without_the_look_at_other_models_a_round_would_leave_twice(
    tmp_path: Path, signer: Signer, fuse: Fuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KeptReplies, "has_answered", lambda self, task: False)
    hospital = a_hospital(tmp_path / "home", signer, fuse)

    with pytest.raises(AssertionError, match="two releases"):
        story(hospital, fuse, [(1, "commit")])


def test_without_the_kept_reply_being_the_one_sent_a_round_would_leave_twice(
    tmp_path: Path, signer: Signer, fuse: Fuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KeptReplies, "keep", lambda self, task, digest, reply: reply)
    monkeypatch.setattr(one_answer.OneAnswer, "_commit", lambda self: None)
    hospital = a_hospital(tmp_path / "home", signer, fuse)

    with pytest.raises(AssertionError, match="two releases"):
        story(hospital, fuse, [(0, None)])


def test_a_lost_book_keeps_the_kept_reply_inside(
    tmp_path: Path, signer: Signer, fuse: Fuse
) -> None:
    hospital = a_hospital(tmp_path / "home", signer, fuse)
    hospital.answer(a_task())
    hospital.books = Bookkeeper(MemoryShelves())

    with pytest.raises(LedgerEntryRefusedError):
        hospital.answer(a_task())


def test_a_damaged_kept_reply_is_neither_sent_nor_computed_again(
    tmp_path: Path, signer: Signer, fuse: Fuse
) -> None:
    hospital = a_hospital(tmp_path / "home", signer, fuse)
    hospital.answer(a_task())
    (array,) = (hospital.folder / "replies" / RUN).glob("*.npy")
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)

    with pytest.raises(KeptReplyDamagedError):
        hospital.answer(a_task())


def test_a_round_of_a_run_that_is_over_is_not_answered_again(
    tmp_path: Path, signer: Signer, fuse: Fuse
) -> None:
    hospital = a_hospital(tmp_path / "home", signer, fuse)
    fuse.point = "commit"
    with pytest.raises(Killed):
        hospital.answer(a_task())
    KeptReplies(hospital.folder / "replies").forget(RUN)
    fuse.point = None

    with pytest.raises(RoundAnsweredError):
        hospital.answer(a_task())


def test_two_processes_do_not_work_on_one_round(tmp_path: Path, signer: Signer, fuse: Fuse) -> None:
    hospital = a_hospital(tmp_path / "home", signer, fuse)

    with (
        KeptReplies(hospital.folder / "replies").working_on(a_task()),
        pytest.raises(RoundBusyError),
    ):
        hospital.answer(a_task())


@pytest.mark.parametrize("kept_inside", [True, False])
def test_only_what_the_gate_kept_inside_is_given_back(
    tmp_path: Path, signer: Signer, fuse: Fuse, kept_inside: bool
) -> None:
    hospital = a_hospital(tmp_path / "home", signer, fuse)
    one = one_answer.OneAnswer(
        a_task(),
        DIGEST,
        hospital.charge(),
        hospital.books,
        KeptReplies(hospital.folder / "replies"),
        lambda reply: None,
        lambda: "2026-11-21T00:00:00+00:00",
    )
    one.reserve()
    one.give_up(nothing_left=kept_inside)

    wanted = EntryKind.VOIDED if kept_inside else EntryKind.COMMITTED
    assert hospital.books.book("chest").state_of(one.key) is wanted


def test_a_reservation_is_not_given_back_once_a_reply_is_kept(
    tmp_path: Path, signer: Signer, fuse: Fuse
) -> None:
    hospital = a_hospital(tmp_path / "home", signer, fuse)
    fuse.point = "commit"
    with pytest.raises(Killed):
        hospital.answer(a_task())
    fuse.point = None
    one = one_answer.OneAnswer(
        a_task(),
        DIGEST,
        hospital.charge(),
        hospital.books,
        KeptReplies(hospital.folder / "replies"),
        lambda reply: None,
        lambda: "2026-11-21T00:00:00+00:00",
    )
    one.give_up(nothing_left=True)

    assert hospital.books.book("chest").state_of(one.key) is EntryKind.COMMITTED


def test_a_full_disk_at_commit_lets_nothing_leave_until_there_is_room(
    tmp_path: Path, signer: Signer, fuse: Fuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital = a_hospital(tmp_path / "home", signer, fuse)
    settle = Bookkeeper.settle

    def full(self, *_: object, **__: object) -> None:
        raise DiskFullError(needed="0.1", free="0.0")

    monkeypatch.setattr(Bookkeeper, "settle", full)
    with pytest.raises(DiskFullError):
        hospital.answer(a_task())
    assert hospital.left == []

    monkeypatch.setattr(Bookkeeper, "settle", settle)
    hospital.answer(a_task())
    check_accounted(hospital)


def test_a_budget_that_is_spent_lets_nobody_be_touched(
    tmp_path: Path, signer: Signer, fuse: Fuse
) -> None:
    hospital = a_hospital(tmp_path / "home", signer, fuse)
    hospital.budget = 1.0
    hospital.answer(a_task(0, 1))
    touched: list[str] = []
    hospital.on = touched.append

    with pytest.raises(BudgetExceededError):
        hospital.answer(a_task(0, 2))
    assert "train" not in touched


def killed(folder: Path, key: Path, point: str) -> list[str]:
    """Kill a process at a step, ask again in two new ones, and return what was sent."""
    context = multiprocessing.get_context("spawn")
    for when in (point, "never", "never"):
        worker = context.Process(target=kill_at, args=(folder, key, when, 1, a_task()))
        worker.start()
        worker.join(60)
        assert worker.exitcode == (-signal.SIGKILL if when == point else 0)
    return (folder / "sent").read_text(encoding="ascii").split()


def check_killed(tmp_path: Path, point: str) -> None:
    new_key(tmp_path / "node.key")
    sent = killed(tmp_path, tmp_path / "node.key", point)

    assert len(sent) == 2
    assert len(set(sent)) == 1, "the same bytes both times"
    store = LedgerStore(tmp_path / "ledger.db")
    kinds = [entry.kind for entry in store.book("chest").entries]
    assert kinds == [EntryKind.RESERVED, EntryKind.COMMITTED]


def test_a_node_killed_before_it_committed_answers_after_restart_and_pays_once(
    tmp_path: Path,
) -> None:
    check_killed(tmp_path, "commit")


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_node_killed_at_any_step_answers_after_restart_and_pays_once(
    tmp_path: Path, point: str
) -> None:
    check_killed(tmp_path, point)
