"""Two studies at once at the same hospitals: both complete, and take fair turns."""

from itertools import pairwise
from pathlib import Path

import pytest

from federation.domain.audit import AuditKind
from federation.domain.run import RunState
from tests.scenarios.federation import Federation, a_federation
from tests.scenarios.homes import SITES
from tests.scenarios.launched import Shared

pytestmark = [pytest.mark.timeout(1_800), pytest.mark.slow]

USUAL, URGENT = "usual", "urgent"
ROUNDS = {USUAL: 5, URGENT: 3}

Deed = tuple[str, str]


def turns(fed: Federation) -> list[Deed]:
    """Return which study took and gave back its turn, in the order of the audit trail."""
    kinds = (AuditKind.TURN_GIVEN.value, AuditKind.TURN_OVER.value)
    with fed.store() as store:
        events = store.database.audit_events()
    return [(str(one["kind"]), str(one["subject"])) for one in events if one["kind"] in kinds]


def test_two_studies_at_the_same_hospitals_complete_and_take_turns(
    shared: Shared, tmp_path: Path
) -> None:
    with a_federation(shared.homes(), tmp_path, sites=SITES) as fed:
        fed.start()
        fed.queue(USUAL, rounds=ROUNDS[USUAL], quorum=3, private=False)
        fed.queue(URGENT, rounds=ROUNDS[URGENT], quorum=3, private=False, priority=8)
        fed.approve(USUAL)
        fed.approve(URGENT)
        first = fed.finish(study=URGENT)
        was_over = fed.run_state(USUAL)
        second = fed.finish(study=USUAL)
        deeds = turns(fed)

    for study, outcome in ((URGENT, first), (USUAL, second)):
        assert outcome.state is RunState.COMPLETED
        assert outcome.rounds == [(number, "done") for number in range(1, ROUNDS[study] + 1)]
    assert was_over is RunState.RUNNING, "the urgent study is done first"
    assert set(first.models).isdisjoint(second.models)
    taken, given_back = deeds[::2], deeds[1::2]
    assert {kind for kind, _ in taken} == {AuditKind.TURN_GIVEN.value}
    assert [study for _, study in taken] == [study for _, study in given_back], "never two at once"
    changes = sum(one != other for one, other in pairwise(study for _, study in taken))
    assert changes > 2, "neither waited until the other was done"
