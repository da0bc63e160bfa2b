"""The whole federation on one machine: what `trifed demo` starts, watches and stops.

Nothing is simulated. The centre and every hospital are processes of their own
that talk mutual TLS; this module only plays the people: it enrols the sites,
takes in their files and signs as their data officers.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from federation import settings
from federation.domain.ids import SiteId, StudyId
from federation.errors.machine import (
    DemoFolderError,
    DemoSitesError,
    ProcessEndedError,
    StepFailedError,
)
from federation.supervision.leash import leashed

MARKER = ".trifed-demo"
SITES = ("taipei", "taichung", "tainan", "hualien", "kaohsiung", "taoyuan")
STUDY = StudyId("pneumonia-demo")
COHORT = "chest-x-ray"
PATIENTS = 180
PATIENTS_OF_THE_STRICT = 60
HELDOUT = 0.4
"""Of each hospital's patients: so many that an evaluation may show its counts."""

STRICTER = 8.0
"""How many times less epsilon than asked the hospital allows that says no."""
EPSILON_ALLOWED = 8.0
POLICY_LINE = f"largest_epsilon = {EPSILON_ALLOWED}"
STOP_S = 8.0
READY_S = 90.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rehearsal is to do. `dicom` is the user's own folder, else files are made.

    With files of its own making there is one more hospital, whose policy says no.
    """

    workdir: Path
    sites: int = 3
    rounds: int = 5
    recipe: str = "cxr-pneumonia-small"
    epsilon: float = 8.0
    seed: int = 2026
    dicom: Path | None = None
    chaos: bool = False


@dataclass(slots=True)
class Hospital:
    """One hospital of the rehearsal."""

    site: SiteId
    home: Path
    files: Path
    is_strict: bool = False
    process: subprocess.Popen[bytes] | None = None
    ingested: dict[str, Any] = field(default_factory=dict)


class Rehearsal:
    """Everything running. Use as a context manager: leaving it stops all processes."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.hospitals: list[Hospital] = []
        self.centre = plan.workdir / "centre"
        self._processes: list[tuple[str, subprocess.Popen[bytes], Path]] = []
        self._commands: list[subprocess.Popen[str]] = []
        self._starting = threading.Lock()
        self._over = False
        self._ended = threading.Event()

    def __enter__(self) -> "Rehearsal":
        from federation.recipes import catalogue

        catalogue.recipe(self.plan.recipe)
        sources = self._sources()
        self.hospitals = [
            Hospital(
                site,
                self.plan.workdir / "hospitals" / site,
                files,
                is_strict=self.plan.dicom is None and place == self.plan.sites,
            )
            for place, (site, files) in enumerate(sources)
        ]
        _prepare(self.plan.workdir)
        return self

    def __exit__(self, *_: object) -> None:
        with self._starting:
            self._over = True
        _stop([*self._commands, *(process for _, process, _ in reversed(self._processes))])
        self._ended.set()

    def _check_not_over(self, name: str) -> None:
        if self._over:
            raise ProcessEndedError(process=name, status="the demo is over", log="logs")

    def start_centre(self) -> None:
        """Make the centre, write the study, start the centre's process."""
        from federation.operations.enrolment import init_centre

        address = f"localhost:{_free_port()}"
        init_centre(self.centre, name="AI centre", address=address, now=_now())
        self._start("centre", "centre", "serve", "--home", str(self.centre))

    def kill_centre(self) -> int:
        """Kill the centre's process as `kill -9` does, with all it runs; return its id."""
        place = self._place_of("centre")
        _, process, _ = self._processes[place]
        process.kill()
        process.wait()
        del self._processes[place]
        return process.pid

    def restart_centre(self) -> None:
        """Start the centre again, as an init system does."""
        self._start("centre", "centre", "serve", "--home", str(self.centre))

    def start_study(self) -> subprocess.Popen[str]:
        """Submit the study and launch it: a process that writes one JSON line per event."""
        from federation.coordinator.home import CentreHome
        from federation.operations.launch import submit
        from federation.operations.study_file import read_study_file

        file = self.plan.workdir / "study.toml"
        file.write_text(self._study_text(), encoding="utf-8")
        submit(CentreHome.open(self.centre), read_study_file(file, now=_now()))
        return self.launch(STUDY)

    def launch(self, study: StudyId) -> subprocess.Popen[str]:
        """Launch a study that the centre keeps: a process that writes one JSON line per event."""
        self._await(self.centre / "run" / "centre.json", "centre")
        log = self._log("study")
        with self._starting, log.open("ab") as errors:
            self._check_not_over("study")
            process = subprocess.Popen(
                leashed(_trifed("study", "launch", study, "--home", str(self.centre), "--events")),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                env=settings.child_environment(),
            )
            self._commands.append(process)
        return process

    def open_hospitals(self, told: Callable[[Hospital], None]) -> "Future[None]":
        """Enrol every hospital, start its node, take in its files, sign its approval.

        Runs in a thread; the future holds the first error.
        """
        done: Future[None] = Future()

        def work() -> None:
            try:
                self._open_hospitals(told)
            except BaseException as error:
                done.set_exception(error)
            else:
                done.set_result(None)
            self._ended.wait()  # the nodes are on this thread's leash

        threading.Thread(target=work, daemon=True, name="hospitals").start()
        return done

    def check_running(self) -> None:
        """Raise if a process of the centre or a hospital ended.

        Raises
        ------
        ProcessEndedError
            Naming the process and its log.
        """
        for name, process, log in self._processes:
            if process.poll() is not None:
                raise ProcessEndedError(process=name, status=process.returncode, log=_relative(log))

    def _place_of(self, name: str) -> int:
        return [one for one, _, _ in self._processes].index(name)

    def pid_of(self, site: str) -> int | None:
        """Return the process id of a hospital's node."""
        for hospital in self.hospitals:
            if hospital.site == site and hospital.process is not None:
                return hospital.process.pid
        return None

    def _open_hospitals(self, told: Callable[[Hospital], None]) -> None:
        from federation.recipes import catalogue

        recipe = catalogue.recipe(self.plan.recipe)
        for hospital in self.hospitals:
            _enrol(
                self.centre,
                hospital,
                largest_epsilon=self.largest_epsilon(hospital),
                modalities=recipe.modalities,
            )
        self._await(self.centre / "run" / "centre.json", "centre")
        if self.plan.dicom is None:
            self._make_files()
        for hospital in self.hospitals:
            hospital.ingested = self._ingest(hospital)
            told(hospital)
            hospital.process = self._start(
                f"node {hospital.site}", "node", "serve", "--home", str(hospital.home)
            )
        self.approve_everywhere(STUDY)

    def approve_everywhere(self, study: StudyId) -> None:
        """Sign every hospital's decision on a study, as its data officer, when it arrives."""
        for hospital in self.hospitals:
            self._approve(hospital, study)

    def _make_files(self) -> None:
        from clients.data.phantoms import generate

        for hospital in self.hospitals:
            patients = PATIENTS_OF_THE_STRICT if hospital.is_strict else PATIENTS
            scanner = self.hospitals.index(hospital)
            generate(
                self.plan.workdir / "dicom",
                sites=[str(hospital.site)],
                patients=patients,
                seed=self.plan.seed,
                first_scanner=scanner,
            )

    def largest_epsilon(self, hospital: Hospital) -> float:
        """Return what a hospital's policy allows per study."""
        return self.plan.epsilon / STRICTER if hospital.is_strict else EPSILON_ALLOWED

    def _ingest(self, hospital: Hospital) -> dict[str, Any]:
        return self._ask(
            f"node ingest {hospital.site}",
            *("node", "ingest", str(hospital.files), "--home", str(hospital.home)),
        )

    def _approve(self, hospital: Hospital, study: StudyId) -> None:
        from clients.decide import approve_study, refuse_study
        from clients.home import NodeHome
        from federation.errors.approval import PolicyRefusedError

        proposal = hospital.home / "proposals" / f"{study}.json"
        self._await(proposal, f"node {hospital.site}")
        node = NodeHome.open(hospital.home)
        try:
            approve_study(node, study, now=_now())
        except PolicyRefusedError as error:
            if not hospital.is_strict:
                raise
            refuse_study(node, study, reason=str(error.values["reasons"]), now=_now())

    def _ask(self, step: str, *arguments: str) -> dict[str, Any]:
        with self._starting:
            self._check_not_over(step)
            process = subprocess.Popen(
                _trifed(*arguments, "--json"),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env=settings.child_environment(),
            )
            self._commands.append(process)
        output, errors = process.communicate()
        if process.returncode != 0:
            raise failure_of(errors, step=step, status=process.returncode)
        answer: dict[str, Any] = json.loads(output.splitlines()[-1])
        return answer

    def _sources(self) -> list[tuple[SiteId, Path]]:
        given = self.plan.dicom
        if given is None:
            count = self.plan.sites + 1  # the last one is the one that says no
            names = [SITES[n] if n < len(SITES) else f"site-{n}" for n in range(count)]
            return [(SiteId(name), self.plan.workdir / "dicom" / name) for name in names]
        folders = (
            sorted(path for path in given.iterdir() if path.is_dir()) if given.is_dir() else []
        )
        if len(folders) < 2:
            raise DemoSitesError(found=len(folders))
        return [(SiteId(folder.name.lower().replace("_", "-")), folder) for folder in folders]

    def _study_text(self) -> str:
        from federation.recipes import catalogue

        defaults = catalogue.recipe(self.plan.recipe).training
        sites = [str(hospital.site) for hospital in self.hospitals]
        expires = (_now() + timedelta(days=30)).replace(microsecond=0).isoformat()
        return "\n".join(
            [
                "[study]",
                f'id = "{STUDY}"',
                'title = "Pneumonia on chest X-rays (demo)"',
                'purpose = "medical-care"',
                f'recipe = "{self.plan.recipe}"',
                f'cohort = "{COHORT}"',
                f"expires = {expires}",
                "seed = 2026",
                "[sites]",
                f"names = {json.dumps(sites)}",
                f"quorum = {max(2, len(sites) - 1 - any(one.is_strict for one in self.hospitals))}",
                "[training]",
                f"rounds = {self.plan.rounds}",
                f"batch_size = {defaults.batch_size}",
                "[privacy]",
                f"epsilon = {self.plan.epsilon}",
                "delta = 1e-3",
                "clip_norm = 1.0",
                "[evaluation]",
                f"heldout_fraction = {HELDOUT}",
                "",
            ]
        )

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        log = self._log(name.replace(" ", "-"))
        with self._starting, log.open("ab") as output:
            self._check_not_over(name)
            process = subprocess.Popen(
                leashed(_trifed(*arguments)),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env=settings.child_environment(),
                start_new_session=True,
            )
            self._processes.append((name, process, log))
        return process

    def _log(self, name: str) -> Path:
        folder = self.plan.workdir / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.log"

    def _await(self, path: Path, process: str) -> None:
        deadline = time.monotonic() + READY_S
        while not path.exists():
            self.check_running()
            if time.monotonic() > deadline:
                log = _relative(self._log(process.replace(" ", "-")))
                raise ProcessEndedError(process=process, status="not ready", log=log)
            time.sleep(0.05)


def failure_of(output: str, *, step: str, status: int) -> StepFailedError:
    """Return the error of a child command from what it wrote to stderr under `--json`."""
    for line in reversed(output.splitlines()):
        with contextlib.suppress(json.JSONDecodeError, KeyError, TypeError):
            said = json.loads(line)["error"]
            return StepFailedError(
                step=step, code=said["code"], what=said["what"], next=said["next_step"]
            )
    return StepFailedError(
        step=step, code=f"exit {status}", what=output.strip()[-300:] or "-", next="trifed doctor"
    )


def _enrol(
    centre: Path, hospital: Hospital, *, largest_epsilon: float, modalities: Sequence[str]
) -> None:
    """Do what the two sides do by hand: invite, init, sign, join."""
    from clients.enrolment import init_node, join_node
    from clients.policy import TEMPLATE, sign_policy
    from federation.coordinator.home import CentreHome
    from federation.operations.enrolment import invite_site, sign_request
    from federation.pki.requests import EnrolmentRequest
    from federation.storage import write_atomic

    home, name = CentreHome.open(centre), str(hospital.site).capitalize()
    hospital.home.parent.mkdir(parents=True, exist_ok=True)
    invitation = invite_site(home, site=hospital.site, name=f"{name} hospital", now=_now())
    node = init_node(hospital.home, invitation=invitation, now=_now())
    policy = TEMPLATE.replace(POLICY_LINE, f"largest_epsilon = {largest_epsilon:g}", 1)
    write_atomic(node.policy, policy.encode(), mode=0o600)
    rules = f"modalities = {json.dumps(list(modalities))}\n"
    write_atomic(node.folder / "intake.toml", rules.encode(), mode=0o600)
    sign_policy(node, now=_now())
    request = EnrolmentRequest.from_bytes(node.request_file.read_bytes())
    join_node(node, sign_request(home, request, now=_now()), now=_now())


def _prepare(workdir: Path) -> None:
    """Make an empty folder; only a folder that a demo made is replaced.

    Raises
    ------
    DemoFolderError
        If the folder holds anything else.
    """
    if workdir.exists() and any(workdir.iterdir()):
        if not (workdir / MARKER).exists():
            raise DemoFolderError(folder=workdir)
        shutil.rmtree(workdir)
    workdir.mkdir(parents=True, exist_ok=True, mode=0o700)
    (workdir / MARKER).touch()


def _stop(processes: Sequence[subprocess.Popen[Any]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, deadline - time.monotonic()))
        if process.poll() is None:
            process.kill()
            process.wait()


def _trifed(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "federation.commands.main", *arguments]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _relative(path: Path) -> str:
    return os.path.relpath(path)


def _now() -> datetime:
    return datetime.now(UTC)
