"""A writer that another was faster than tries again, so often and no oftener."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from federation.errors.registry import BusyRegisterError
from registry.ports import WriteConflict
from registry.retrying import TRIES, in_one_transaction


class Attempts:
    """Transactions of which the first ones lose, on beginning or on leaving."""

    def __init__(self, lost: int, *, at_the_end: bool) -> None:
        self.lost, self.at_the_end, self.begun = lost, at_the_end, 0

    def begin(self) -> AbstractContextManager[int]:
        return self._begin()

    @contextmanager
    def _begin(self) -> Iterator[int]:
        self.begun += 1
        if self.begun <= self.lost and not self.at_the_end:
            raise WriteConflict
        yield self.begun
        if self.begun <= self.lost:
            raise WriteConflict


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.retrying._PAUSE_S", 0.0)


@pytest.mark.parametrize("at_the_end", [False, True])
def test_the_first_attempt_that_commits_is_the_answer(at_the_end: bool) -> None:
    attempts = Attempts(3, at_the_end=at_the_end)
    assert in_one_transaction(attempts.begin, lambda number: number * 10) == 40
    assert attempts.begun == 4


@pytest.mark.parametrize("at_the_end", [False, True])
def test_after_forty_attempts_the_register_says_that_it_is_busy(at_the_end: bool) -> None:
    attempts = Attempts(10**6, at_the_end=at_the_end)
    with pytest.raises(BusyRegisterError) as refused:
        in_one_transaction(attempts.begin, str)
    assert attempts.begun == refused.value.values["tries"] == TRIES == 40


def test_what_the_work_itself_refuses_is_not_tried_again() -> None:
    def work(number: int) -> None:
        raise ZeroDivisionError

    attempts = Attempts(0, at_the_end=True)
    with pytest.raises(ZeroDivisionError):
        in_one_transaction(attempts.begin, work)
    assert attempts.begun == 1
