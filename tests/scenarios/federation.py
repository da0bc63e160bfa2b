"""A small federation of real processes that a test can disturb.

    with a_federation(homes, folder, sites=SITES) as fed:
        fed.gates.close("training.taipei.2")
        fed.start()
        fed.launch(rounds=3)
        with fed.held_at("training.taipei.2"):
            fed.strike(Kind.EXECUTOR, at=SiteId("taipei"))
        outcome = fed.finish()

Everything is started by the product's own commands; `tests.scenarios.centre` and
`tests.scenarios.node` only put the test's noise and gates into what they start. The
harness is the init system: a centre, node or database that was killed is started again.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from clients.home import NodeHome
from federation.coordinator.home import CentreHome
from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.domain.run import RoundKey, RoundKind, RunState
from federation.operations.artefacts import Artefacts
from federation.operations.store.rounds import RoundStore
from federation.operations.store.studies import Stored, StudyStore
from federation.settings import CHILD_THREADS
from federation.storage import write_atomic
from federation.wire.child_environment import LARGE_BUFFERS
from tests.postgres import Server
from tests.scenarios.gates import Gates
from tests.scenarios.homes import STUDY, Homes, move_to_postgresql, study_text
from tests.scenarios.node import clock_file
from tests.scenarios.proxy import Proxy
from tests.scenarios.words import Kind

READY_S = 180.0
FINISH_S = 420.0
LOOK_S = 0.05
DOWN_S = 0.5
"""How long an init system waits before it starts what died again."""


@dataclass(frozen=True)
class Outcome:
    """What became of a run: its states, and the digest of every round's model."""

    state: RunState
    rounds: list[tuple[int, str]]
    models: list[str]
    record: dict[str, object]


@dataclass
class Federation:
    """One centre and its hospitals. Use `a_federation`."""

    homes: Homes
    sites: Sequence[SiteId]
    proxies: dict[SiteId, Proxy]
    database: Server | None = None
    environment: dict[str, str] = field(default_factory=dict)
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    # -- starting and stopping ---------------------------------------------------------

    def start(self) -> None:
        """Start the centre and every node."""
        self.start_centre()
        for site in self.sites:
            self.start_node(site)

    def start_centre(self) -> None:
        """Start the centre and wait until it serves."""
        state = self.homes.centre / "run" / "centre.json"
        state.unlink(missing_ok=True)
        self._start("centre", "-m", "tests.scenarios.centre", "--home", str(self.homes.centre))
        self.wait_until(state.exists, "the centre")

    def start_node(self, site: SiteId) -> None:
        """Start a hospital's node."""
        home = self.homes.node(site)
        (home / "run" / "node.json").unlink(missing_ok=True)
        self._start(site, "-m", "tests.scenarios.node", "--home", str(home))

    def stop(self) -> None:
        """End every process."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # -- a study -----------------------------------------------------------------------

    def launch(self, *, rounds: int = 3, quorum: int = 2, private: bool = True) -> None:
        """Submit and launch the study, and sign every hospital's approval."""
        self.queue(STUDY, rounds=rounds, quorum=quorum, private=private)
        self.approve(STUDY)

    def queue(
        self, study: str, *, rounds: int, quorum: int, private: bool = True, priority: int = 5
    ) -> None:
        """Submit and launch a study; the hospitals have not decided on it."""
        file = self.homes.folder / f"{study}.toml"
        text = study_text(
            study=study, rounds=rounds, sites=self.sites, quorum=quorum, private=private
        )
        file.write_text(text, encoding="utf-8")
        home = ("--home", str(self.homes.centre))
        self.trifed("study", "submit", str(file), *home)
        self.trifed("study", "launch", study, *home, "--priority", str(priority), "--detach")

    def approve(self, study: str) -> None:
        """Sign every hospital's approval of a study."""
        from clients.decide import approve_study

        for site in self.sites:
            node = NodeHome.open(self.homes.node(site))
            self.wait_until(node.proposal(StudyId(study)).exists, f"the proposal at {site}")
            approve_study(node, StudyId(study), now=datetime.now(UTC))

    def finish(self, *, timeout_s: float = FINISH_S, study: str = STUDY) -> Outcome:
        """Wait for the end of the run and return what became of it."""
        self.wait_until(lambda: self.run_state(study) in ENDED, "the end of the run", timeout_s)
        with self.store() as store:
            run = store.runs(StudyId(study))[-1]
            rounds = RoundStore(store.database).rounds(RunId(run.id), RoundKind.TRAIN)
        return Outcome(
            run.state,
            [(one.key.number, one.state.value) for one in rounds],
            [str(one.record.get("model")) for one in rounds],
            run.record,
        )

    def run_state(self, study: str = STUDY) -> RunState | None:
        """Return the state of the newest run, None before there is one."""
        with self.store() as store:
            runs: list[Stored[RunState]] = store.runs(StudyId(study))
        return runs[-1].state if runs else None

    @contextlib.contextmanager
    def store(self) -> Iterator[StudyStore]:
        """Give the centre's records."""
        store = StudyStore.of(CentreHome.open(self.homes.centre))
        try:
            yield store
        finally:
            store.close()

    # -- disturbing --------------------------------------------------------------------

    @property
    def gates(self) -> Gates:
        """Return the gates of this federation's processes."""
        return Gates(self.homes.folder / "gates")

    @contextlib.contextmanager
    def held_at(self, *names: str, timeout_s: float = READY_S) -> Iterator[None]:
        """Run the body while somebody is held at each of the moments; then let them go.

        Close the gates with `fed.gates.close` before anybody can have passed.
        """
        for name in names:
            self.gates.await_somebody_at(name, timeout_s=timeout_s)
        try:
            yield
        finally:
            for name in names:
                self.gates.open(name)

    def strike(self, kind: Kind, *, at: SiteId) -> None:
        """Kill the processes of a kind; start again what an init system would start.

        `at` is the hospital that is struck where each has such a process.
        """
        if kind is Kind.DATABASE:
            assert self.database is not None
            self.database.kill()
            time.sleep(DOWN_S)
            self.database.start()
            return
        self.kill(kind, at=at)
        if kind is Kind.COORDINATOR:
            self.restart("centre")
        elif kind is Kind.NODE:
            self.restart(at)

    def kill(self, kind: Kind, *, at: SiteId) -> list[int]:
        """Kill the processes of a kind with SIGKILL and leave it at that; return their ids."""
        self.wait_until(lambda: bool(self.find(kind, at=at)), f"a {kind.name} to kill")
        found = self.find(kind, at=at)
        for process in found:
            process.kill()
        self.wait_until(lambda: all(map(_is_over, found)), f"the end of a {kind.name}")
        return [process.pid for process in found]

    def find(self, kind: Kind, *, at: SiteId) -> list[psutil.Process]:
        """Return the running processes of a kind, at the centre or at one hospital."""
        root = self.processes[at if kind.is_at_a_hospital else "centre"]
        if root.poll() is not None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            top = psutil.Process(root.pid)
            return [one for one in [top, *top.children(recursive=True)] if _is(one, kind)]
        return []

    @contextlib.contextmanager
    def frozen(self, kind: Kind, *, at: SiteId) -> Iterator[None]:
        """Stop the processes of a kind (SIGSTOP) while the body runs."""
        found = self.find(kind, at=at)
        assert found, f"no {kind.name} runs"
        for process in found:
            process.suspend()
        try:
            yield
        finally:
            for process in found:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def restart(self, name: str) -> None:
        """Start the centre or a node again, as an init system does."""
        self.processes[name].wait(15)
        time.sleep(DOWN_S)
        self.start_centre() if name == "centre" else self.start_node(SiteId(name))

    def set_clock(self, site: SiteId, *, minutes: int) -> None:
        """Put a hospital's clock so many minutes off; 0 sets it right."""
        file = clock_file(self.homes.node(site), site)
        file.parent.mkdir(exist_ok=True)
        write_atomic(file, str(minutes).encode())

    # -- looking -----------------------------------------------------------------------

    def wait_until(self, done: Callable[[], object], what: str, timeout_s: float = READY_S) -> None:
        """Wait until `done` says so."""
        end = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"{what} did not come in {timeout_s:.0f} s\n{self.last_words()}")
            time.sleep(LOOK_S)

    def run_record(self) -> dict[str, Any]:
        """Return the record of the newest run."""
        with self.store() as store:
            return dict(store.runs(StudyId(STUDY))[-1].record)

    def round_record(self, number: int) -> dict[str, Any]:
        """Return the record of a round of training of the first run."""
        key = RoundKey(RunId(f"{STUDY}.1"), RoundKind.TRAIN, number)
        with self.store() as store:
            row = RoundStore(store.database).round(key)
        assert row is not None, f"round {number} was never planned"
        return dict(row.record)

    def model_bytes(self) -> int:
        """Return the size of the study's first model as it is kept."""
        home, digest = CentreHome.open(self.homes.centre), Sha256(self.run_record()["model"])
        return Artefacts(home.artefacts).path_of(digest).stat().st_size

    def committed(self, site: SiteId) -> list[str]:
        """Return for which rounds a hospital's book has privacy committed, sorted."""
        from clients.ledger_store import LedgerStore
        from federation.evidence.verification import PublicKey

        node = NodeHome.open(self.homes.node(site))
        books = LedgerStore(node.ledger, officer=PublicKey.load(node.officer_public_key))
        entries = books.book("chest-x-ray").entries
        return sorted(one.key for one in entries if one.kind.value == "committed")

    def spent_once(self, site: SiteId, *, rounds: int) -> bool:
        """Say whether a hospital's book has every round committed exactly once."""
        return self.committed(site) == [f"{STUDY}.1/{one}" for one in range(1, rounds + 1)]

    def node_state(self, site: SiteId) -> dict[str, Any]:
        """Return what a node says of itself; empty while it says nothing."""
        try:
            text = (self.homes.node(site) / "run" / "node.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        state: dict[str, Any] = json.loads(text)
        return state

    def is_connected(self, site: SiteId) -> bool:
        """Say whether the node's control channel stands, as the node sees it."""
        return self.node_state(site).get("state") == "connected"

    def said(self) -> list[dict[str, Any]]:
        """Return the events of the study, oldest first."""
        path = CentreHome.open(self.homes.centre).logs / "events" / f"{STUDY}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def stages(self) -> list[str]:
        """Return the stages that the study was said to be in, oldest first."""
        return [str(one["stage"]) for one in self.said() if one.get("event") == "stage"]

    def last_words(self) -> str:
        """Return the end of every log, for a failure's message."""
        logs = sorted(self.homes.folder.rglob("logs/*.log"))
        return "\n".join(
            f"--- {path.relative_to(self.homes.folder)}\n{path.read_text(errors='replace')[-1500:]}"
            for path in logs
            if path.stat().st_size
        )

    def trifed(self, *arguments: str) -> dict[str, object]:
        """Run a command of the product and return its JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "federation.commands.main", *arguments, "--json"],
            capture_output=True,
            text=True,
            timeout=READY_S,
            env=self._environment(),
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        lines = done.stdout.splitlines()
        answer: dict[str, object] = json.loads(lines[-1]) if lines else {}
        return answer

    def _start(self, name: str, *command: str) -> None:
        folder = self.homes.folder / "logs"
        folder.mkdir(exist_ok=True)
        with (folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *command],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self._environment(),
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        here = {"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "TRIFED_LANG": "en"}
        return {**os.environ, **LARGE_BUFFERS, **CHILD_THREADS, **here, **self.environment}


ENDED = (RunState.COMPLETED, RunState.FAILED, RunState.STOPPED)


@contextlib.contextmanager
def a_federation(
    homes: Homes, folder: Path, *, sites: Sequence[SiteId], database: Server | None = None
) -> Iterator[Federation]:
    """Give a federation on a copy of `homes` in `folder`, not started; stop what runs at the end.

    With `database` the centre's rows are moved there.
    """
    port = free_port()
    with contextlib.ExitStack() as stack:
        proxies = {site: stack.enter_context(Proxy(port)) for site in sites}
        ports = {site: proxy.at for site, proxy in proxies.items()}
        copy = homes.copied(folder / "f", port=port, node_ports=ports)
        if database is not None:
            move_to_postgresql(copy, database.url)
        fed = Federation(copy, sites, proxies, database)
        stack.callback(fed.stop)
        yield fed


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_over(process: psutil.Process) -> bool:
    """Say whether a process has ended, its parent not having asked for its status perhaps."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _is(process: psutil.Process, kind: Kind) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return kind.value in words[1:]
