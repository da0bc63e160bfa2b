"""The transition table refuses, explains and draws."""

from enum import Enum

import pytest

from federation.domain.run import ROUND, RUN
from federation.domain.site import SITE
from federation.domain.study import STUDY
from federation.domain.transitions import Transitions
from federation.errors.core import TransitionRefusedError


class Lamp(Enum):
    OFF = "off"
    ON = "on"
    BROKEN = "broken"


LAMP = Transitions(
    start=Lamp.OFF,
    table={
        Lamp.OFF: frozenset({Lamp.ON}),
        Lamp.ON: frozenset({Lamp.OFF, Lamp.BROKEN}),
        Lamp.BROKEN: frozenset(),
    },
)


def test_a_listed_transition_is_allowed() -> None:
    LAMP.check(Lamp.OFF, Lamp.ON)


def test_a_refusal_names_both_states_and_what_may_follow() -> None:
    with pytest.raises(TransitionRefusedError) as refused:
        LAMP.check(Lamp.ON, Lamp.ON)

    assert str(refused.value) == (
        "Lamp cannot go from ON to ON. States that may follow: BROKEN, OFF."
    )


def test_a_final_state_says_so() -> None:
    with pytest.raises(TransitionRefusedError, match="none, final"):
        LAMP.check(Lamp.BROKEN, Lamp.ON)


def test_a_table_with_a_missing_row_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="no row for BROKEN, ON"):
        Transitions(start=Lamp.OFF, table={Lamp.OFF: frozenset()})


def test_the_diagram_is_drawn_from_the_table() -> None:
    assert LAMP.mermaid().splitlines() == [
        "stateDiagram-v2",
        "    [*] --> off",
        "    off --> on",
        "    on --> broken",
        "    on --> off",
    ]


MACHINES = [SITE, STUDY, RUN, ROUND]


@pytest.mark.parametrize("machine", MACHINES, ids=["site", "study", "run", "round"])
def test_every_state_of_the_platform_can_be_reached(machine: Transitions[Enum]) -> None:
    reached, waiting = set(), {machine.start}
    while waiting:
        state = waiting.pop()
        reached.add(state)
        waiting |= machine.table[state] - reached

    assert reached == set(type(machine.start))


@pytest.mark.parametrize("machine", MACHINES, ids=["site", "study", "run", "round"])
def test_no_state_follows_itself(machine: Transitions[Enum]) -> None:
    assert all(state not in following for state, following in machine.table.items())
