"""Kill anything at any moment: the study completes as if nothing had happened, at no further cost.

Six deaths in one study: each moment of the study another kind of process, so that six
studies are the whole matrix (a Latin square). With PostgreSQL as the database, where its
server is installed. The undisturbed study of the comparison has SQLite.

One cell alone: `pytest tests/scenarios/test_matrix.py -k "one_death and node and evidence"`.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.postgres import PROGRAMS, Server, a_killable_server
from tests.scenarios.federation import a_federation
from tests.scenarios.homes import PAIR, Homes
from tests.scenarios.launched import Digests
from tests.scenarios.words import MATRIX, Kind, Moment

pytestmark = pytest.mark.timeout(1_800)

HAS_POSTGRESQL = any(PROGRAMS.glob("*/bin/postgres"))
KINDS = MATRIX if HAS_POSTGRESQL else tuple(kind for kind in MATRIX if kind is not Kind.DATABASE)
SMALLER = (
    Kind.CAMPAIGN,
    Kind.SUPERNODE,
    Kind.DRIVER,
    Kind.CONDUCTOR,
    Kind.CAMPAIGN,
    Kind.CAMPAIGN,
)
"""Which of the other processes dies at each moment, in one study."""

SITE = PAIR[0]

ROUND_OF = {
    Moment.BEFORE_DISPATCH: 1,
    Moment.WHILE_TRAINING: 1,
    Moment.WHILE_REPLYING: 2,
    Moment.WHILE_AGGREGATING: 2,
    Moment.AT_EVIDENCE: 3,
    Moment.AT_REGISTRATION: 3,
}
"""In which round of the three each moment is hit."""

Death = tuple[Kind, Moment]


def diagonal(shift: int) -> list[Death]:
    """Return another kind for each moment; all shifts together are the matrix."""
    return [(KINDS[(at + shift) % len(KINDS)], moment) for at, moment in enumerate(Moment)]


@contextlib.contextmanager
def the_database(deaths: Sequence[Death]) -> Iterator[Server | None]:
    """Give a PostgreSQL server if one is to be killed; else the centre keeps its SQLite."""
    if any(kind is Kind.DATABASE for kind, _ in deaths):
        with a_killable_server() as server:
            yield server
    else:
        yield None


def play(homes: Homes, folder: Path, deaths: Sequence[Death]) -> Digests:
    """Play the launched study to its end while processes die; return what it came to."""
    gates = [(kind, moment.gate(round=ROUND_OF[moment], site=SITE)) for kind, moment in deaths]
    with (
        the_database(deaths) as database,
        a_federation(homes, folder, sites=PAIR, database=database) as fed,
    ):
        for _, gate in gates:
            fed.gates.close(gate)
        fed.start()
        for kind, gate in gates:
            with fed.held_at(gate):
                fed.strike(kind, at=SITE)
        return Digests.of(fed.finish(), fed)


@pytest.mark.parametrize(
    "shift", [0, *(pytest.param(one, marks=pytest.mark.slow) for one in range(1, len(KINDS)))]
)
def test_six_deaths_in_one_study_change_nothing(
    shift: int, launched: Homes, undisturbed: Digests, tmp_path: Path
) -> None:
    found = play(launched, tmp_path, diagonal(shift))

    found.check_whole()
    assert found == undisturbed


@pytest.mark.slow
def test_deaths_of_the_smaller_processes_change_nothing(
    launched: Homes, undisturbed: Digests, tmp_path: Path
) -> None:
    found = play(launched, tmp_path, list(zip(SMALLER, Moment, strict=True)))

    found.check_whole()
    assert found == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("moment", Moment, ids=lambda one: one.name.lower())
@pytest.mark.parametrize("kind", KINDS, ids=lambda one: one.name.lower())
def test_one_death_changes_nothing(
    kind: Kind, moment: Moment, launched: Homes, undisturbed: Digests, tmp_path: Path
) -> None:
    found = play(launched, tmp_path, [(kind, moment)])

    found.check_whole()
    assert found == undisturbed


def test_the_six_studies_are_the_whole_matrix() -> None:
    deaths = {death for shift in range(len(KINDS)) for death in diagonal(shift)}

    assert deaths == {(kind, moment) for kind in KINDS for moment in Moment}
