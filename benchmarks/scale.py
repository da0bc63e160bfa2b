"""A thousand sites at one centre on one machine: memory, and seconds for each round.

Real: SuperLink, round driver with its spool, Flower's messages with node
signatures, replies signed and checked, each accepted reply committed to the
centre's database and adopted by its artefact store, the mean over kept updates.
Simulated: the sites, all in one process (benchmarks/simulated.py), which shares
the two cores. By-passed: front door, fleet gate, TLS and control channel; a
thousand TLS connections cost the centre's process memory of their own.

    python benchmarks/scale.py [--json] [--sites 1000] [--rounds 10] [--size-mb 0.4] [--profile]

| figure | meaning |
|---|---|
| rss_mb_at_10, rss_mb_at_1000 | highest RSS (VmHWM) of SuperLink, driver and campaign together |
| seconds_per_round_at_1000 | median; the first round, which also warms up, does not count |
| seconds_register_at_1000 | letting the sites in, as after a restart of the SuperLink |
| rounds_at_1000 | rounds that completed with every site |
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.fleet import ROOT, write_model
from benchmarks.report import report
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.evidence.statements import PredicateType
from federation.evidence.verification import PublicKey, trusted_keys, verify_envelope
from federation.operations.artefacts import Artefacts
from federation.operations.store.database import Database
from federation.server_app.rounds import RoundDriver, RoundOrder, SiteReply
from federation.server_app.superlink import plan_superlink, register_nodes, wait_healthy
from federation.settings import CHILD_THREADS
from federation.wire.child_environment import LARGE_BUFFERS
from federation.wire.messages import TaskKind

STUDY, RUN = StudyId("scale"), RunId("scale.1")
DIGEST = Sha256.of(b"scale")
PUBLIC = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclasses.dataclass(frozen=True)
class Identity:
    """A simulated site with both its keys."""

    site: SiteId
    flower: ec.EllipticCurvePrivateKey
    node: Ed25519PrivateKey

    @classmethod
    def new(cls, number: int) -> "Identity":
        flower = ec.generate_private_key(ec.SECP384R1())
        return cls(SiteId(f"site-{number:04d}"), flower, Ed25519PrivateKey.generate())

    @property
    def flower_public(self) -> bytes:
        return self.flower.public_key().public_bytes(*PUBLIC)

    @property
    def node_public(self) -> PublicKey:
        return PublicKey.from_pem(self.node.public_key().public_bytes(*PUBLIC))

    def as_json(self) -> dict[str, str]:
        private = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return {
            "site": self.site,
            "flower_key": self.flower.private_bytes(*private).decode(),
            "node_key": self.node.private_bytes(*private).decode(),
        }


@dataclasses.dataclass
class Centre:
    """SuperLink, driver, database and artefact store in one folder."""

    folder: Path
    identities: list[Identity]
    address: str = ""
    seconds_register: float = 0.0
    nodes: dict[SiteId, int] = dataclasses.field(default_factory=dict)
    children: dict[str, "subprocess.Popen[Any]"] = dataclasses.field(default_factory=dict)

    @contextmanager
    def running(self) -> Iterator["Centre"]:
        try:
            self._start_superlink()
            self._let_in()
            self._start_sites()
            yield self
        finally:
            for child in self.children.values():
                child.kill()
                child.wait()
                for stream in (child.stdin, child.stdout):
                    if stream is not None:
                        stream.close()

    def _start_superlink(self) -> None:
        (self.folder / "run").mkdir(mode=0o700)
        (self.folder / "logs").mkdir(mode=0o700)
        plan = plan_superlink(self.folder)
        self.address = plan.address
        with (self.folder / "superlink.log").open("wb") as log:
            self.children["superlink"] = subprocess.Popen(
                plan.command, env={**plan.environment, **CHILD_THREADS}, stdout=log, stderr=log
            )
        wait_healthy(plan.address)

    def _let_in(self) -> None:
        started = time.perf_counter()
        found = register_nodes(self.address, [one.flower_public for one in self.identities])
        self.nodes = {one.site: found[one.flower_public] for one in self.identities}
        self.seconds_register = time.perf_counter() - started

    def _start_sites(self) -> None:
        with (self.folder / "sites.log").open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.simulated"], cwd=ROOT, text=True, stderr=log,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env={**os.environ, **LARGE_BUFFERS, **CHILD_THREADS},
            )  # fmt: skip
        self.children["sites"] = child
        assert child.stdin is not None
        assert child.stdout is not None
        sites = [one.as_json() for one in self.identities]
        order = {"address": self.address, "sites": sites}
        child.stdin.write(json.dumps(order) + "\n")
        child.stdin.flush()
        if child.stdout.readline() != "connected\n":
            raise ConnectionError(f"the sites did not connect, see {self.folder / 'sites.log'}")


class Campaign:
    """What a campaign does with each reply: believe the signature, keep the update, commit."""

    def __init__(self, centre: Centre, driver: RoundDriver) -> None:
        self._centre, self._driver = centre, driver
        self._keys = {one.site: one.node_public for one in centre.identities}
        self._artefacts = Artefacts(centre.folder / "artefacts")
        self._database = Database.at(centre.folder / "centre.db")
        self._database.make_tables()

    def play(self, order: RoundOrder) -> float:
        started = time.perf_counter()
        outcome = self._driver.run_round(order, judge=self._judge, kept=self._keep)
        if outcome.check_quorum().counted != len(self._centre.nodes):
            raise RuntimeError(f"only {outcome.counted} counted: {outcome.refusals[:3]}")
        return time.perf_counter() - started

    def close(self) -> None:
        self._database.close()

    def _judge(self, reply: SiteReply) -> float:
        key: PublicKey = self._keys[reply.site]
        said = verify_envelope(
            reply.signature, trusted=trusted_keys([key]), expected=PredicateType.UPDATE
        )
        if reply.update_digest not in {subject.digest for subject in said.subjects}:
            raise RuntimeError(f"{reply.site} signed another update")
        return 1.0

    def _keep(self, reply: SiteReply, _weight: float, path: Path | None) -> None:
        assert path is not None
        assert reply.update_digest is not None
        self._artefacts.adopt(path, reply.update_digest)
        audit = AuditEvent(AuditKind.ROUND_DONE, "centre", f"{RUN}/{reply.site}", datetime.now(UTC))
        with self._database.write(audit):
            pass


def order_of(centre: Centre, number: int, model: Path) -> RoundOrder:
    return RoundOrder(
        number=number, kind=TaskKind.TRAIN, study=STUDY, run=RUN, study_digest=DIGEST,
        model=model, result=model.with_name("result.npy"), nodes=centre.nodes,
        quorum=len(centre.nodes), spool=centre.folder / "spool",
    )  # fmt: skip


def peak_mb(pid: int) -> float:
    """Return a process's highest RSS so far, in 10^6 bytes (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    kib = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(kib) * 1024 / 1e6


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(folder: Path, *, sites: int, rounds: int, size_mb: float) -> dict[str, float]:
    """Play some rounds with so many sites; return peak memory and times."""
    identities = [Identity.new(number) for number in range(1, sites + 1)]
    (folder / "spool").mkdir()
    with (
        Centre(folder, identities).running() as centre,
        RoundDriver(home=folder, address=centre.address) as driver,
    ):
        driver.start()
        campaign, model = Campaign(centre, driver), write_model(folder / "model.npy", size_mb)
        pids = {"superlink": centre.children["superlink"].pid, "driver": driver.pid or 0}
        pids |= {"campaign": os.getpid(), "sites": centre.children["sites"].pid}
        walls = []
        for number in range(1, rounds + 1):
            before = {name: cpu_s(pid) for name, pid in pids.items()}
            walls.append(campaign.play(order_of(centre, number, model)))
            if "--profile" in sys.argv:
                cpu = {name: round(cpu_s(pid) - before[name], 1) for name, pid in pids.items()}
                rss = {name: round(peak_mb(pid)) for name, pid in pids.items()}
                print(sites, number, f"{walls[-1]:.2f} s", cpu, rss, file=sys.stderr, flush=True)
        campaign.close()
        own = [peak_mb(pid) for name, pid in pids.items() if name != "sites"]
        return {
            "rss_mb": sum(own),
            "seconds": statistics.median(walls[1:] or walls),
            "register": centre.seconds_register,
        }


def alone(sites: int, rounds: int, size_mb: float) -> dict[str, float]:
    """Measure in a process of its own, so that the highest RSS is this measurement's."""
    command = [sys.executable, __file__, "--child", str(sites), str(rounds), str(size_mb)]
    command += ["--profile"] if "--profile" in sys.argv else []
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    if "--child" in sys.argv:
        sites, rounds, size_mb = sys.argv[2:5]
        with tempfile.TemporaryDirectory(prefix="trifed-") as folder:
            found = measured(
                Path(folder), sites=int(sites), rounds=int(rounds), size_mb=float(size_mb)
            )
        print(json.dumps(found))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--size-mb", type=float, default=0.4)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    few = alone(10, given.rounds, given.size_mb)
    many = alone(given.sites, given.rounds, given.size_mb)
    report(
        "scale",
        {
            "rss_mb_at_10": round(few["rss_mb"], 1),
            f"rss_mb_at_{given.sites}": round(many["rss_mb"], 1),
            f"seconds_per_round_at_{given.sites}": round(many["seconds"], 2),
            f"seconds_register_at_{given.sites}": round(many["register"], 2),
            f"rounds_at_{given.sites}": given.rounds,
        },
        {
            "rss_mb_at_10": "MB",
            f"rss_mb_at_{given.sites}": "MB",
            f"seconds_per_round_at_{given.sites}": "s",
            f"seconds_register_at_{given.sites}": "s",
            f"rounds_at_{given.sites}": "rounds",
        },
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
