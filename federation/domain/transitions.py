"""The one table behind every state machine.

A machine is a mapping from each state to the states that may follow it. The
table is the only place a transition is written; the diagram in ARCHITECTURE.md
is drawn from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from federation.errors.core import TransitionRefusedError

State = TypeVar("State", bound=Enum)


@dataclass(frozen=True, slots=True)
class Transitions(Generic[State]):
    """Which state may follow which.

    Parameters
    ----------
    start
        The state a new thing is in.
    table
        For every state, the states that may follow; empty for a final state.

    Raises
    ------
    ValueError
        If a member of the enum has no row.
    """

    start: State
    table: Mapping[State, frozenset[State]]

    def __post_init__(self) -> None:
        missing = set(type(self.start)) - set(self.table)
        if missing:
            names = ", ".join(sorted(state.name for state in missing))
            raise ValueError(f"no row for {names}; add one, empty if it is final")

    def check(self, current: State, wanted: State) -> None:
        """Raise unless `wanted` may follow `current`."""
        if not self.allows(current, wanted):
            raise TransitionRefusedError(current, wanted, self.table[current])

    def allows(self, current: State, wanted: State) -> bool:
        """Say whether `wanted` may follow `current`."""
        return wanted in self.table[current]

    def mermaid(self) -> str:
        """Return the machine as a Mermaid state diagram."""
        lines = ["stateDiagram-v2", f"    [*] --> {self.start.value}"]
        for state, following in self.table.items():
            after = sorted(following, key=lambda item: str(item.value))
            lines += [f"    {state.value} --> {item.value}" for item in after]
        return "\n".join(lines)
