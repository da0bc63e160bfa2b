"""Take a folder of DICOM files into the hospital's store, file by file, and lose none.

Every file walks through `INCOMING`: received -> screened -> de-identified ->
admitted, or quarantined with a code at any step. Reading happens in worker
processes (`workers.py`); the parent settles one file at a time, in path order,
in one SQLite transaction, so an intake that is killed goes on where it stopped
and a second run changes nothing. What is admitted lies in ``data/dicom``;
nothing of a quarantined file is kept but its code.
"""

import fcntl
import hashlib
import json
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from clients.data.catalogue.store import Catalogue, KnownFile
from clients.data.deidentification.profile import Option, load_table
from clients.data.deidentification.safe_private import load_safe_table
from clients.data.intake.fingerprints import Stamp, fingerprints
from clients.data.intake.rules import IntakeRules, read_rules
from clients.data.intake.walk import count_below, files_below
from clients.data.intake.workers import WorkerPool
from clients.data.labels import labelling
from clients.data.labels.table import NAME, LabelTable, read_labels
from clients.data.layout import KEY_FILE, LOCK, STAGING, stored_path
from clients.data.people.optout import OptOuts, load_optouts
from clients.data.people.pseudonyms import Pseudonyms
from clients.data.pixeltext.policy import PixelText
from clients.data.pixeltext.reader import SHA256
from federation.domain.transitions import Transitions
from federation.errors.cohorts import CatalogueDatabaseError
from federation.errors.data import (
    DuplicateError,
    InstanceConflictError,
    IntakeBusyError,
    IntakeDiskError,
    OptedOutError,
    PatientWithTwoIdentitiesError,
)

FILES_PER_WORKER = 12
READING = 3
"""Number of the way files are read; raised whenever the same file would end otherwise."""


class IncomingState(Enum):
    """Where an incoming file stands."""

    RECEIVED = "received"
    SCREENED = "screened"
    DEIDENTIFIED = "de-identified"
    ADMITTED = "admitted"
    QUARANTINED = "quarantined"


INCOMING = Transitions(
    start=IncomingState.RECEIVED,
    table={
        IncomingState.RECEIVED: frozenset({IncomingState.SCREENED, IncomingState.QUARANTINED}),
        IncomingState.SCREENED: frozenset({IncomingState.DEIDENTIFIED, IncomingState.QUARANTINED}),
        IncomingState.DEIDENTIFIED: frozenset({IncomingState.ADMITTED, IncomingState.QUARANTINED}),
        IncomingState.ADMITTED: frozenset(),
        IncomingState.QUARANTINED: frozenset(),
    },
)

Progress = Callable[[int, int], None]
"""Called with files done and files given."""
Outcome = Callable[[Path, str, str], None]
"""Called with each file, the state it ended in and its code; for the hospital's own eyes."""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of every file given: admitted + quarantined by code = given.

    Files known from an earlier run count by what became of them then; `new` is
    how many were admitted by this run. A file with the same bytes as another one
    of this run is counted under `duplicates` alone; the same picture in other
    bytes is quarantined (TF512). Never holds anything of a patient.
    """

    given: int
    admitted: int
    quarantined: dict[str, int]
    duplicates: int
    new: int
    labels: dict[str, int]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the JSON contract's object."""
        return {
            "given": self.given,
            "admitted": self.admitted,
            "quarantined": self.quarantined,
            "duplicates": self.duplicates,
            "new": self.new,
            "labels": self.labels,
            "seconds": round(self.seconds, 3),
        }


def ingest(
    data: Path,
    path: Path,
    *,
    labels: Path | None = None,
    rules: IntakeRules | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    outcome: Outcome | None = None,
) -> IngestReport:
    """Take every file below `path` into the data folder `data`.

    Parameters
    ----------
    data
        The node's data folder (``<home>/data``); made when absent.
    path
        A folder, searched to any depth, or one file.
    labels
        The label file; ``labels.csv`` in `path` is found by itself.
    rules
        What is accepted; as the home's `intake.toml` says when None.
    workers
        Reader processes; as many as cores when None.
    outcome
        Told what became of each file, with its path.

    Raises
    ------
    IntakeRulesError
        If the home's rules are not understood.
    IntakeFolderError
        If there is no file at `path`.
    LabelFileError
        If the label file is unusable; checked before anything is taken in.
    IntakeBusyError
        If another intake holds this data folder.
    IntakeDiskError
        If the disk does not take what must be written; run again later.
    """
    started = time.monotonic()
    rules = rules or read_rules(data)
    label_file = labels or _label_file_of(path)
    table = None if label_file is None else read_labels(label_file)
    without = _companions(label_file, table) | _own_folder(data, path)
    given = count_below(path, without=without)
    try:
        with _locked(data), Catalogue(data) as catalogue:
            work = _Intake(data, catalogue, rules)
            work.keep_paths = table is not None
            work.tell = (progress or _no_progress, outcome or _no_outcome)
            work.root = path
            work.run(files_below(path, without=without), given, workers or _worker_count(given))
            counted = (
                {}
                if table is None or label_file is None
                else labelling.apply_labels(
                    data,
                    catalogue,
                    table,
                    folder=label_file.parent,
                    root=path if path.is_dir() else path.parent,
                    instance_of=work.instance_of,
                    pseudonyms=work.pseudonyms,
                )
            )
    except OSError as error:
        raise IntakeDiskError(why=error.strerror or type(error).__name__) from error
    except CatalogueDatabaseError as error:
        raise IntakeDiskError(why=str(error.values["why"])) from error
    return work.report(labels=counted, seconds=time.monotonic() - started)


def _no_progress(done: int, given: int) -> None:
    """Tell nobody."""


def _no_outcome(path: Path, state: str, code: str) -> None:
    """Tell nobody."""


@dataclass
class _Intake:
    """One run: the tallies, and what each path turned out to be where labels need it."""

    data: Path
    catalogue: Catalogue
    rules: IntakeRules
    root: Path = Path()
    keep_paths: bool = False
    tell: tuple[Progress, Outcome] = (_no_progress, _no_outcome)
    admitted: int = 0
    duplicates: int = 0
    new: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    instance_of: dict[Path, str] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    unsettled: dict[str, KnownFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pseudonyms = Pseudonyms.open_or_create(self.data / KEY_FILE)
        self.optouts: OptOuts = load_optouts(self.data)
        self.rules_key = _rules_key(self.rules)
        self.staging = self.data / STAGING
        self.staging.mkdir(mode=0o700, exist_ok=True)
        for left in self.staging.glob("*.part"):  # of a run that was killed
            left.unlink()

    def run(self, files: Iterator[Path], given: int, workers: int) -> None:
        """Settle every file in order; only files not known yet go to a worker."""
        told, outcome = self.tell
        with (
            closing(
                fingerprints(files, threads=workers, most_bytes=self.rules.limits.file_bytes)
            ) as prints,
            WorkerPool(
                count=workers,
                pseudonyms=self.pseudonyms,
                rules=self.rules,
                staging=self.staging,
                root=self.root,
            ) as pool,
        ):
            plan = (
                (path, self.pseudonyms.content(found.digest), found.stamp) for path, found in prints
            )
            for number, (path, content, found) in enumerate(self._answers(pool, plan), 1):
                known = self._settle(content, found) if found is not None else None
                outcome(path, *self._count(path, content, known))
                told(number, max(given, number))

    def _answers(
        self, pool: WorkerPool, plan: Iterator[tuple[Path, str, Stamp | None]]
    ) -> Iterator[tuple[Path, str, dict[str, Any] | None]]:
        """Yield every file with its worker's answer, None where its content is known."""
        order: deque[tuple[Path, str, bool]] = deque()
        asked: set[str] = set()

        def unknown() -> Iterator[tuple[Path, Stamp | None]]:
            for path, content, stamp in plan:
                fresh = content not in asked and not self._is_known(content)
                order.append((path, content, fresh))
                if fresh:
                    asked.add(content)
                    yield path, stamp

        for answer in pool.read(unknown()):
            while not order[0][2]:
                path, content, _ = order.popleft()
                yield path, content, None
            path, content, _ = order.popleft()
            yield path, content, answer
            asked.discard(content)
        for path, content, _ in order:
            yield path, content, None

    def _is_known(self, content: str) -> bool:
        known = self.catalogue.known(content)
        return known is not None and known.rules == self.rules_key

    def _settle(self, content: str, found: dict[str, Any]) -> KnownFile:
        """Decide one file and write it with its outcome, in one transaction."""
        if "disk" in found:
            raise IntakeDiskError(why=found["disk"])
        state = IncomingState(found["state"])
        code = found.get("code")
        with self.catalogue.transaction():
            instance = found.get("instance")
            if code is None:
                code, instance = self._verdict(found)
            if code is None:
                INCOMING.check(state, IncomingState.ADMITTED)
                self._store(found)
                self.catalogue.admit(found)
                self.new += 1
            else:
                INCOMING.check(state, IncomingState.QUARANTINED)
            ended = IncomingState.QUARANTINED if code else IncomingState.ADMITTED
            known = KnownFile(ended.value, code, instance, self.rules_key)
            if "changed" in found:  # read in the middle of a change: the next run will know
                self.unsettled[content] = known
            else:
                self.catalogue.remember(content, known)
        if code is not None and "staged" in found:
            (self.staging / found["staged"]).unlink()
        return known

    def _verdict(self, found: dict[str, Any]) -> tuple[str | None, str | None]:
        """Return the code that keeps a clean file out, and the instance it stands for."""
        if {found["patient"], found["patient_any_issuer"]} & self.optouts.patients:
            return OptedOutError.code, None
        instance = str(found["instance"])
        there = self.catalogue.pixels_of(instance)
        if there is not None:
            same = there == found["pixels"]
            if same:
                self.catalogue.complete(found)
            return (DuplicateError.code, instance) if same else (InstanceConflictError.code, None)
        twin = self.catalogue.instance_of_pixels(found["pixels"])
        if twin is not None:
            return DuplicateError.code, twin
        owner = self.catalogue.owner_of_study(found["study"])
        study = self.catalogue.study_of_series(found["series"])
        if owner not in (None, found["patient"]) or study not in (None, found["study"]):
            return PatientWithTwoIdentitiesError.code, None
        return None, instance

    def _store(self, found: dict[str, Any]) -> None:
        target = stored_path(self.data, found["instance"])
        staged = self.staging / found["staged"]
        try:
            staged.replace(target)
        except FileNotFoundError:  # the first of its folder
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            staged.replace(target)

    def _count(self, path: Path, content: str, known: KnownFile | None) -> tuple[str, str]:
        """Count one file; return the state it ended in and its code."""
        known = known or self.catalogue.known(content) or self.unsettled.get(content)
        assert known is not None
        short = int(content[:16], 16)
        again = short in self.seen
        self.seen.add(short)
        if known.instance is not None and self.keep_paths:
            self.instance_of[path] = known.instance
        if again:
            self.duplicates += 1
            return "duplicate", DuplicateError.code
        if known.code is None:
            self.admitted += 1
        else:
            self.quarantined[known.code] += 1
        return known.state, known.code or ""

    def report(self, *, labels: dict[str, int], seconds: float) -> IngestReport:
        """Return the tallies."""
        return IngestReport(
            given=self.admitted + self.duplicates + self.quarantined.total(),
            admitted=self.admitted,
            quarantined=dict(sorted(self.quarantined.items())),
            duplicates=self.duplicates,
            new=self.new,
            labels=labels,
            seconds=seconds,
        )


def _label_file_of(path: Path) -> Path | None:
    try:
        beside = (path if path.is_dir() else path.parent) / NAME
        return beside if beside.is_file() else None
    except OSError:  # what lies there may not be looked at; the walk says so
        return None


def _companions(labels: Path | None, table: LabelTable | None) -> frozenset[Path]:
    """Return the label file and the masks it names: they are no images to take in."""
    if labels is None or table is None:
        return frozenset()
    return frozenset({labels} | {labels.parent / row.mask for row in table.rows if row.mask})


def _own_folder(data: Path, path: Path) -> frozenset[Path]:
    """Return the data folder as it is found below `path`: what is in it was taken in already."""
    own, given = (Path(os.path.realpath(place)) for place in (data, path))
    return frozenset({path / own.relative_to(given)} if own.is_relative_to(given) else ())


def _worker_count(files: int) -> int:
    return max(1, min(len(os.sched_getaffinity(0)), files // FILES_PER_WORKER + 1))


def _rules_key(rules: IntakeRules) -> str:
    """Return a short name of the rules: a file is read again when they change."""
    parts = [sorted(rules.modalities), sorted(option.name for option in rules.options)]
    parts += [sorted(rules.body_parts), [rules.pixel_text.value]]
    parts += [sorted(SHA256.values())] if rules.pixel_text is not PixelText.DECLARED else []
    parts += [[load_safe_table().sha256]] if Option.SAFE_PRIVATE in rules.options else []
    packed = json.dumps([READING, *parts, load_table().sha256, rules.limits.file_bytes])
    return hashlib.sha256(packed.encode()).hexdigest()[:16]


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise IntakeBusyError() from error
    else:
        yield
    finally:
        os.close(descriptor)
