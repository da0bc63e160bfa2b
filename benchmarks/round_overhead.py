"""What a round costs besides training: three real nodes that answer at once.

Everything is the product's: `trifed centre serve` with its front door, fleet
gate and SuperLink; nodes with agent, forwarder, SuperNode and executor; mutual
TLS, Flower's node keys, the round driver. Tasks are PING: each node sends the
model back. All run on this one machine, so that a round of 100 MB moves 700 MB
through TLS here, and whatever else runs counts; the CPU time of all processes
together is printed beside each figure and is the better one to compare.

    python benchmarks/round_overhead.py [--json] [--quick] [--profile]

| figure | meaning |
|---|---|
| empty_round_s | median of 25 rounds with a model of one number |
| update30mb_round_s, update100mb_round_s | median of 5 rounds |
| *_cpu_s | CPU time of all processes of such a round, median |
| coordinator_peak_mb | peak RSS of centre process and driver together, after 100 MB |
| peak30mb_3_sites_mb, peak30mb_6_sites_mb | the same after 30 MB, three and six sites |
| durable_round_s | median of 30 rounds of a campaign (benchmarks/durable.py) |
| durable_extra_s | median of what such a round takes longer than a plain one before it |
"""

import dataclasses
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import durable
from benchmarks.fleet import Fleet, write_model
from benchmarks.report import report
from federation.domain.ids import SiteId
from federation.server_app.rounds import RoundDriver, SiteReply

SITES = [SiteId(f"site-{number}") for number in range(1, 7)]


@dataclasses.dataclass(frozen=True)
class Timing:
    """Medians over the rounds of one size."""

    wall_s: float
    cpu_s: float


def weigh(_reply: SiteReply) -> float:
    return 1.0


def rounds(
    fleet: Fleet, driver: RoundDriver, sites: Sequence[SiteId], *, size_mb: float, count: int
) -> Timing:
    """Do some rounds of one size; the first, which warms up, does not count."""
    model = write_model(fleet.folder / "model.npy", size_mb)
    order = fleet.ping_order(model, 1, sites)
    walls, cpus = [], []
    for number in range(1, count + 2):
        before, started = cpu_of(fleet, driver), time.perf_counter()
        outcome = driver.run_round(dataclasses.replace(order, number=number), judge=weigh)
        walls.append(time.perf_counter() - started)
        after = cpu_of(fleet, driver)
        cpus.append(sum(after.values()) - sum(before.get(name, 0) for name in after))
        for refusal in outcome.refusals:
            print(f"{refusal.site} [{refusal.code}] {refusal.what}", file=sys.stderr, flush=True)
        outcome.check_quorum()
        if "--profile" in sys.argv:
            spent = {name: round(after[name] - before.get(name, 0), 2) for name in after}
            print(f"{size_mb} MB {walls[-1]:.3f} s", spent, file=sys.stderr, flush=True)
    return Timing(statistics.median(walls[1:]), statistics.median(cpus[1:]))


def cpu_of(fleet: Fleet, driver: RoundDriver) -> dict[str, float]:
    times = psutil.Process(driver.pid).cpu_times()
    return {**fleet.cpu_seconds(), "driver": times.user + times.system}


def peak_mb(pid: int | None) -> float:
    """Return a process's highest RSS so far, in 10^6 bytes (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    kib = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(kib) * 1024 / 1e6


def coordinator_mb(fleet: Fleet, driver: RoundDriver) -> float:
    parts = {"centre": peak_mb(fleet.children["centre"].pid), "driver": peak_mb(driver.pid)}
    if "--profile" in sys.argv:
        print(f"peak MB with {len(fleet.sites)} sites", parts, file=sys.stderr, flush=True)
    return sum(parts.values())


def measured(folder: Path, *, sites: int, plan: Sequence[tuple[float, int]]) -> dict[str, object]:
    """Run a fleet through a plan of (size in MB, rounds); return timings and peak memory."""
    fleet = Fleet(folder, SITES[:sites])
    try:
        fleet.make_homes()
        fleet.start_centre()
        for site in fleet.sites:
            fleet.start_node(site)
        if len(fleet.wait_online(fleet.sites, timeout_s=120)) < sites:
            raise TimeoutError(f"nodes are missing, see {folder}")
        with fleet.driver() as driver:
            fleet.announce(driver.start(), fleet.sites)
            timings = [
                rounds(fleet, driver, fleet.sites, size_mb=size, count=count)
                for size, count in plan
            ]
            return {"timings": timings, "peak_mb": coordinator_mb(fleet, driver)}
    finally:
        fleet.stop()


def main() -> None:
    quick = "--quick" in sys.argv
    large = 2 if quick else 5
    with tempfile.TemporaryDirectory(prefix="trifed-") as folder:
        base = Path(folder)
        for name in ("a", "b", "c", "d"):
            (base / name).mkdir()
        main_plan = [(0.0, 5 if quick else 25), (30.0, large), (100.0, large)]
        three = measured(base / "a", sites=3, plan=main_plan)
        small = measured(base / "b", sites=3, plan=[(30.0, 2)])
        six = measured(base / "c", sites=6, plan=[(30.0, 2)])
        lasting = durable.measured(base / "d", rounds=5 if quick else 30)
    empty, thirty, hundred = three["timings"]  # type: ignore[misc]
    figures = {
        "empty_round_s": empty.wall_s,
        "empty_cpu_s": empty.cpu_s,
        "update30mb_round_s": thirty.wall_s,
        "update30mb_cpu_s": thirty.cpu_s,
        "update100mb_round_s": hundred.wall_s,
        "update100mb_cpu_s": hundred.cpu_s,
        "coordinator_peak_mb": three["peak_mb"],
        "peak30mb_3_sites_mb": small["peak_mb"],
        "peak30mb_6_sites_mb": six["peak_mb"],
        "durable_round_s": lasting.durable_s,
        "durable_extra_s": lasting.extra_s,
    }
    units = {key: "MB" if "peak" in key else "s" for key in figures}
    report(
        "round_overhead",
        {key: round(float(str(value)), 4) for key, value in figures.items()},
        units,
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
