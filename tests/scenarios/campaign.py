"""A study's campaign with gates between its steps: `python -m tests.scenarios.campaign`.

Gates, N being a round of training, or `evaluate`: `dispatch.N` before the sites are
asked, `aggregating.N` when every reply is kept, `evidence.N` before the privacy book
is written, `closing.N` before the round is DONE, `registering` before the registry is
asked, `registered` when it has the entry and the centre has not noted it.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from federation.domain.run import RoundKind
from federation.flows import campaign as product
from federation.operations import launch
from federation.operations.campaign.campaign import Campaign
from federation.operations.campaign.playing import DurableRound
from tests.scenarios.gates import Gates, gates_of

STEPS = {
    "collect": "dispatch",
    "aggregate": "aggregating",
    "evidence": "evidence",
    "finish": "closing",
}


def put_gates(gates: Gates) -> None:
    """Put a gate before each step of a round, and around the registration."""
    for method, name in STEPS.items():
        setattr(DurableRound, method, _gated(getattr(DurableRound, method), name, gates))
    register = launch.register

    def registered(campaign: Campaign) -> Any:
        gates.pass_through("registering")
        found = register(campaign)
        gates.pass_through("registered")
        return found

    launch.register = registered


def _gated(step: Callable[..., Any], name: str, gates: Gates) -> Callable[..., Any]:
    def held(self: DurableRound, *arguments: Any) -> Any:
        key = self._key
        which = key.number if key.kind is RoundKind.TRAIN else key.kind.value
        gates.pass_through(f"{name}.{which}")
        return step(self, *arguments)

    return held


def main() -> int:
    """Run the product's campaign."""
    home = Path(sys.argv[sys.argv.index("--home") + 1])
    put_gates(gates_of(home))
    return product.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
