"""How long after kill -9 the next message of a study leaves: for each kind of process.

A centre and two hospitals as real processes play one study; in each round another kind
is killed at the worst moment. For what serves the centre that is the moment before the
sites are asked: the time runs from the kill to the task at the SuperLink. For what serves
a hospital it is the moment before its finished reply leaves: the time runs from the kill to
that reply, kept at the centre. Centre and node are started again at once, as an init system
does; the others by the product itself. Everything runs on this one machine.

    python benchmarks/recovery.py [--json] [--quick]

| figure | meaning |
|---|---|
| coordinator_s | `trifed centre serve`, which takes all processes of the centre with it |
| superlink_s, prefect_s, conductor_s, campaign_s, driver_s | one child of the centre alone |
| node_s | `trifed node serve`, which takes SuperNode and executor with it |
| executor_s, supernode_s | one child of the node alone |

Each is the longest of three kills (`--quick`: of one).
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.report import report
from federation.domain.ids import RunId
from federation.domain.run import RoundKey, RoundKind, RoundState
from federation.operations.store.rounds import RoundStore
from tests.scenarios import federation as scenario
from tests.scenarios.federation import Federation, a_federation
from tests.scenarios.homes import PAIR, STUDY, Homes, make_homes
from tests.scenarios.words import Kind, Moment

AT_THE_CENTRE = (
    Kind.COORDINATOR,
    Kind.SUPERLINK,
    Kind.PREFECT,
    Kind.CONDUCTOR,
    Kind.CAMPAIGN,
    Kind.DRIVER,
)
AT_A_HOSPITAL = (Kind.NODE, Kind.EXECUTOR, Kind.SUPERNODE)
SITE = PAIR[0]
LONGEST_S = 300.0
LOOK_S = 0.01


def gate_for(kind: Kind, number: int) -> str:
    """Return where a kind is killed in a round."""
    moment = Moment.WHILE_REPLYING if kind in AT_A_HOSPITAL else Moment.BEFORE_DISPATCH
    return moment.gate(round=number, site=SITE)


def measure(fed: Federation, kind: Kind, number: int) -> float:
    """Kill a kind of process in a round; return the seconds to the next message."""
    goes_on = has_replied if kind in AT_A_HOSPITAL else is_asked
    fed.gates.await_somebody_at(gate_for(kind, number))
    began = time.monotonic()
    fed.kill(kind, at=SITE)
    fed.gates.open(gate_for(kind, number))
    if kind in (Kind.COORDINATOR, Kind.NODE):
        fed.restart("centre" if kind is Kind.COORDINATOR else SITE)
    while not goes_on(fed, number):
        if time.monotonic() - began > LONGEST_S:
            raise TimeoutError(f"{kind.name}: the study did not go on\n{fed.last_words()}")
        time.sleep(LOOK_S)
    return time.monotonic() - began


def is_asked(fed: Federation, number: int) -> bool:
    """Say whether a round's tasks are at the SuperLink."""
    with fed.store() as store:
        row = RoundStore(store.database).round(_key(number))
    return row is not None and row.state is not RoundState.PLANNED


def has_replied(fed: Federation, number: int) -> bool:
    """Say whether the struck hospital's reply is kept at the centre."""
    with fed.store() as store:
        replies = RoundStore(store.database).replies(_key(number))
    return SITE in {reply.site for reply in replies}


def _key(number: int) -> RoundKey:
    return RoundKey(RunId(f"{STUDY}.1"), RoundKind.TRAIN, number)


def play(folder: Path, kinds: list[Kind]) -> dict[str, float]:
    """Play one study in which the kinds die one after the other, from the second round on."""
    homes: Homes = make_homes(folder / "made", sites=PAIR)
    found: dict[str, float] = {}
    with a_federation(homes, folder, sites=PAIR) as fed:
        for number, kind in enumerate(kinds, start=2):
            fed.gates.close(gate_for(kind, number))
        fed.start()
        fed.launch(rounds=len(kinds) + 1, quorum=len(PAIR))
        for number, kind in enumerate(kinds, start=2):
            name = f"{kind.name.lower()}_s"
            found[name] = max(found.get(name, 0.0), measure(fed, kind, number))
            print(f"{name} {found[name]:.2f}", file=sys.stderr, flush=True)
        fed.finish()
    return found


def main() -> None:
    """Measure and report."""
    scenario.DOWN_S = 0.0
    times = 1 if "--quick" in sys.argv else 3
    with tempfile.TemporaryDirectory(prefix="trifed-recovery-") as folder:
        figures = play(Path(folder), [*AT_THE_CENTRE, *AT_A_HOSPITAL] * times)
    rounded = {key: round(value, 2) for key, value in figures.items()}
    report("recovery", rounded, dict.fromkeys(rounded, "s"))


if __name__ == "__main__":
    main()
