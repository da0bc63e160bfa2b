"""After a crash the rounds go on before Prefect's pages are back; the flow takes over then."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from federation.domain.queue import Wish
from federation.domain.run import RunState
from federation.flows.meanwhile import play_until
from federation.operations.campaign.parts import at_once
from federation.operations.launch import Result
from federation.operations.store.studies import StudyStore
from tests.operations.fakes import Federation, Killed, a_federation, prepared


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[Federation]:
    with a_federation(*prepared(tmp_path)) as made:
        yield made


def killed(fed: Federation, *, at: int) -> None:
    fed.fuse.at = at
    with pytest.raises(Killed):
        fed.run()
    fed.fuse.at = None
    fed.flower.asked.clear()


def played(fed: Federation, is_there: Callable[[], bool]) -> Result | None:
    return play_until(
        is_there, fed.centre, fed.study.id, emit=fed.told.append, wish=go_on, turn=at_once
    )


def go_on() -> Wish:
    return Wish.GO_ON


def rounds_asked(fed: Federation) -> set[int]:
    return {number for kind, number, _ in fed.flower.asked if kind == "train"}


def state_of(fed: Federation) -> RunState:
    store = StudyStore.of(fed.centre)
    try:
        return store.runs(fed.study.id)[-1].state
    finally:
        store.close()


def test_a_study_that_has_no_open_run_is_the_flow_s_from_the_start(fed: Federation) -> None:
    assert played(fed, lambda: False) is None
    assert fed.flower.asked == []


def test_the_rounds_of_an_open_run_are_played_and_the_end_is_left_to_the_flow(
    fed: Federation,
) -> None:
    killed(fed, at=20)

    assert played(fed, lambda: False) is None

    assert 3 in rounds_asked(fed)
    assert state_of(fed) is RunState.RUNNING
    assert [kind for kind, _, _ in fed.flower.asked if kind == "evaluate"] == []
    assert fed.run().status == "completed"
    assert set(fed.flower.paid.values()) == {1}


def test_it_stops_after_the_round_in_which_prefect_came_back(fed: Federation) -> None:
    killed(fed, at=8)
    looks: list[None] = []

    def after_one_round() -> bool:
        looks.append(None)
        return len(looks) > 2

    assert played(fed, after_one_round) is None
    assert rounds_asked(fed) <= {1}


def test_with_prefect_there_the_flow_begins_at_once(fed: Federation) -> None:
    killed(fed, at=20)

    assert played(fed, lambda: True) is None
    assert fed.flower.asked == []


def test_a_run_that_is_stopped_meanwhile_ends_with_its_result(fed: Federation) -> None:
    killed(fed, at=20)

    result = play_until(
        lambda: False,
        fed.centre,
        fed.study.id,
        emit=fed.told.append,
        wish=lambda: Wish.STOP,
        turn=at_once,
    )

    assert result is not None and result.status == "stopped"
    assert state_of(fed) is RunState.STOPPED
