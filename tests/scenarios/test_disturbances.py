"""What is not a death: a cut line, a slow one, a full disk, a wrong clock, a shut laptop.

Each ends as its page in docs/runbooks says.
"""

import contextlib
import time
from pathlib import Path

import pytest

from federation.domain.ids import SiteId
from federation.domain.run import RunState
from tests.scenarios.disk import a_small_disk
from tests.scenarios.federation import Federation, a_federation
from tests.scenarios.homes import PAIR, SITES, STUDY, Homes
from tests.scenarios.launched import Digests, Shared
from tests.scenarios.words import Kind, Moment

pytestmark = [pytest.mark.timeout(1_800), pytest.mark.slow]

TAIPEI, TAICHUNG = PAIR
TAINAN = SITES[2]
SLOW_BITS_PER_S = 1e6
SMALL_DISK_MB = 96


def replied(fed: Federation, number: int) -> list[str]:
    """Return whose replies counted in a round."""
    return sorted(fed.round_record(number)["reports"])


def refused(fed: Federation, number: int) -> dict[str, str]:
    """Return who was asked in a round and did not count, with the code."""
    return {one["site"]: one["code"] for one in fed.round_record(number)["refused"]}


def test_a_site_cut_off_for_two_rounds_is_left_out_and_comes_back(
    shared: Shared, tmp_path: Path
) -> None:
    gates = [Moment.WHILE_TRAINING.gate(round=2, site=TAINAN), "closing.3"]
    with a_federation(shared.homes(), tmp_path, sites=SITES) as fed:
        for gate in gates:
            fed.gates.close(gate)
        fed.start()
        fed.launch(rounds=4, quorum=2)
        with fed.held_at(gates[0]):
            fed.proxies[TAINAN].cut()
        with fed.held_at(gates[1]):
            fed.proxies[TAINAN].heal()
            fed.wait_until(lambda: fed.is_connected(TAINAN), "the healed line")
        outcome = fed.finish()

        assert outcome.state is RunState.COMPLETED
        assert outcome.rounds == [(number, "done") for number in (1, 2, 3, 4)]
        assert refused(fed, 2) == {TAINAN: "TF460"}
        assert replied(fed, 3) == sorted(PAIR)
        assert not refused(fed, 3)
        assert replied(fed, 1) == replied(fed, 4) == sorted(SITES)
        assert fed.committed(TAINAN) == [f"{STUDY}.1/{number}" for number in (1, 2, 4)]


def test_a_link_of_one_megabit_takes_part_and_changes_nothing(
    launched: Homes, undisturbed: Digests, tmp_path: Path
) -> None:
    with a_federation(launched, tmp_path, sites=PAIR) as fed:
        fed.proxies[TAICHUNG].slow(bits_per_s=SLOW_BITS_PER_S)
        fed.start()
        found = Digests.of(fed.finish(), fed)

    assert found == undisturbed


def test_a_full_disk_at_the_centre_pauses_the_run_until_there_is_room(
    launched: Homes, undisturbed: Digests, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(a_small_disk(tmp_path / "f" / "centre", size_mb=SMALL_DISK_MB))
        fed = stack.enter_context(a_federation(launched, tmp_path, sites=PAIR))
        fed.gates.close("dispatch.2")
        fed.start()
        with fed.held_at("dispatch.2"):
            disk.fill(leave_bytes=fed.model_bytes() * 3)
        fed.wait_until(lambda: fed.run_state() is RunState.PAUSED, "the pause")
        reason = fed.run_record()["paused"]["reason"]
        disk.fill(leave_bytes=0)
        time.sleep(3.0)
        disk.make_room()
        found = Digests.of(fed.finish(), fed)

    assert reason in ("TF802", "TF113")
    assert found == undisturbed


def test_a_site_whose_clock_is_ten_minutes_off_is_let_in_once_it_is_right(
    launched: Homes, undisturbed: Digests, tmp_path: Path
) -> None:
    with a_federation(launched, tmp_path, sites=PAIR) as fed:
        fed.set_clock(TAICHUNG, minutes=10)
        fed.start()
        fed.wait_until(lambda: code_at(fed, TAICHUNG) == "TF233", "the refusal of the clock")
        fed.wait_until(lambda: "waiting" in fed.stages(), "that the round waits")
        fed.set_clock(TAICHUNG, minutes=0)
        found = Digests.of(fed.finish(), fed)

    assert found == undisturbed


def test_a_centre_that_slept_through_a_lease_gives_nobody_up(
    launched: Homes, undisturbed: Digests, tmp_path: Path
) -> None:
    gate = Moment.WHILE_TRAINING.gate(round=2, site=TAIPEI)
    with a_federation(launched, tmp_path, sites=PAIR) as fed:
        fed.gates.close(gate)
        fed.start()
        with fed.held_at(gate), contextlib.ExitStack() as asleep:
            for kind in (Kind.COORDINATOR, Kind.CAMPAIGN, Kind.DRIVER, Kind.SUPERLINK):
                asleep.enter_context(fed.frozen(kind, at=TAIPEI))
            time.sleep(40.0)
        found = Digests.of(fed.finish(), fed)

    assert found == undisturbed


def test_a_superlink_that_hangs_is_started_anew_and_nothing_changes(
    launched: Homes, undisturbed: Digests, tmp_path: Path
) -> None:
    gate = Moment.WHILE_TRAINING.gate(round=2, site=TAIPEI)
    with a_federation(launched, tmp_path, sites=PAIR) as fed:
        fed.gates.close(gate)
        fed.start()
        with fed.held_at(gate):
            before = pids(fed, Kind.SUPERLINK)
            with fed.frozen(Kind.SUPERLINK, at=TAIPEI):
                fed.wait_until(lambda: pids(fed, Kind.SUPERLINK) - before, "another SuperLink")
        found = Digests.of(fed.finish(), fed)

    assert found == undisturbed


def pids(fed: Federation, kind: Kind) -> set[int]:
    """Return the process ids of a kind at the centre."""
    return {one.pid for one in fed.find(kind, at=TAIPEI)}


def code_at(fed: Federation, site: SiteId) -> str | None:
    """Return the code that a node shows of its channel."""
    error = fed.node_state(site).get("error")
    return error["code"] if error else None
