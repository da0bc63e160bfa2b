"""Keep each reply until its run is over, and longer: a repeated request costs nothing.

The centre may ask for the same round twice: after its own crash, after a lost
message. It then gets the very bytes that left the first time; no patient is
touched again and no privacy is spent again. The first reply kept is the one that
leaves, whoever else was working on it: send what `keep` returns.
"""

import fcntl
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from clients.gate import digest_of_array
from federation.domain.ids import RunId, Sha256
from federation.errors.core import InvalidIdError
from federation.errors.ledger import KeptReplyDamagedError, RoundBusyError
from federation.storage import write_atomic, write_new
from federation.wire.messages import FlatModel, Reply, Task, TaskKind

MOST_HEAD_BYTES = 1 << 20
_OVER = "over"
_ENDED = "ended"
_PATIENTS = "patients"
_EXAMPLES = "examples"


@dataclass(frozen=True, slots=True)
class KeptReplies:
    """The replies of one node, as files of its home."""

    folder: Path

    def find(self, task: Task, model_digest: Sha256) -> Reply | None:
        """Return the reply already given to this very task, or None.

        Raises
        ------
        KeptReplyDamagedError
            If there is one that is not what was kept.
        """
        path = self._path(task, model_digest)
        if not path.exists():
            return None
        try:
            return _read(path)
        except (OSError, ValueError, KeyError, TypeError, EOFError, InvalidIdError) as error:
            raise KeptReplyDamagedError(round=task.round, run=task.run) from error

    def keep(self, task: Task, model_digest: Sha256, reply: Reply) -> Reply:
        """Keep a reply if there is none yet, and return the one that is kept.

        The array is written before the file that names it, and that file can be
        made once.

        Raises
        ------
        KeptReplyDamagedError
            If one was kept before and is damaged.
        DiskFullError
            If there is no room; nothing is kept.
        """
        path = self._path(task, model_digest)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        head = {
            "array": None if reply.update is None else _keep_array(path.parent, reply.update),
            "report": reply.report,
            "signature": reply.signature,
        }
        with suppress(FileExistsError):
            write_new(path, json.dumps(head).encode(), mode=0o600)
        kept = self.find(task, model_digest)
        assert kept is not None  # just written, or there before
        return kept

    def has_answered(self, task: Task) -> bool:
        """Say whether a round was answered for any model, or its run is over."""
        folder = self.folder / task.run
        pattern = f"{task.kind.value}-{task.round:05d}-*.json"
        return (folder / _OVER).exists() or any(folder.glob(pattern))

    def has_trained(self, run: RunId) -> bool:
        """Say whether an update of this run left."""
        return any((self.folder / run).glob(f"{TaskKind.TRAIN.value}-*.json"))

    def claim_evaluation(self, task: Task, model_digest: Sha256) -> bool:
        """Say whether this is the run's one model to evaluate; the first asked for becomes it."""
        return self._claim(task.run, "evaluated", model_digest) == model_digest

    def declare_patients(self, run: RunId, patients: int) -> int:
        """Return the number of patients a run goes by: the one first declared.

        A count that followed the cohort from round to round would tell of the one
        person who left it.

        Raises
        ------
        KeptReplyDamagedError
            If what was declared cannot be read.
        """
        return self._declared(run, _PATIENTS, patients)

    def declare_examples(self, run: RunId, examples: int) -> int:
        """Return the number of images a run goes by; as `declare_patients`."""
        return self._declared(run, _EXAMPLES, examples)

    def runs(self) -> tuple[RunId, ...]:
        """Return the runs of which something is kept and that are not forgotten, by name."""
        found = sorted(path.name for path in self.folder.glob("*.*") if path.is_dir())
        return tuple(
            RunId(name)
            for name in found
            if RunId.pattern.fullmatch(name) and not (self.folder / name / _OVER).exists()
        )

    def note_ended(self, run: RunId, at: datetime) -> datetime:
        """Write when a run was first found ended, and return that.

        Raises
        ------
        KeptReplyDamagedError
            If what was written cannot be read.
        """
        try:
            ended = datetime.fromisoformat(self._claim(run, _ENDED, at.isoformat()))
        except ValueError as error:
            raise KeptReplyDamagedError(round=0, run=run) from error
        if ended.tzinfo is None:
            raise KeptReplyDamagedError(round=0, run=run)
        return ended

    def note_open(self, run: RunId) -> None:
        """Write that a run goes on after all."""
        (self.folder / run / _ENDED).unlink(missing_ok=True)

    @contextmanager
    def working_on(self, task: Task) -> Iterator[None]:
        """Hold one round for this process; the system lets go when it ends.

        Raises
        ------
        RoundBusyError
            If another process holds it.
        """
        folder = self.folder / task.run
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = folder / f"{task.kind.value}-{task.round:05d}.lock"
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor, task)
            yield
        finally:
            os.close(descriptor)

    def forget(self, run: RunId) -> None:
        """Delete the replies of a run that is over; none of its rounds is answered again."""
        folder = self.folder / run
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(folder / _OVER, b"", mode=0o600)
        for path in folder.glob("*"):
            if path.name != _OVER:
                path.unlink()

    def _declared(self, run: RunId, name: str, number: int) -> int:
        said = self._claim(run, name, str(number))
        if not said.isascii() or not said.isdecimal() or len(said) > 9:
            raise KeptReplyDamagedError(round=0, run=run)
        return int(said)

    def _claim(self, run: RunId, name: str, value: str) -> str:
        """Return what a run's file of that name says; the first to ask writes it."""
        path = self.folder / run / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            write_new(path, value.encode("ascii"), mode=0o600)
        return path.read_text(encoding="ascii")

    def _path(self, task: Task, model_digest: Sha256) -> Path:
        name = f"{task.kind.value}-{task.round:05d}-{model_digest.hex[:16]}.json"
        return self.folder / task.run / name


def _lock(descriptor: int, task: Task) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RoundBusyError(round=task.round, run=task.run) from error


def _keep_array(folder: Path, array: FlatModel) -> str:
    """Write an array under its content id and return that."""
    digest = digest_of_array(array)
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_atomic(folder / f"{digest.hex}.npy", buffer.getvalue(), mode=0o600)
    return str(digest)


def _read(path: Path) -> Reply:
    with path.open("rb") as file:
        raw = file.read(MOST_HEAD_BYTES + 1)
    if len(raw) > MOST_HEAD_BYTES:
        raise ValueError("larger than any reply")
    head = json.loads(raw)
    update = None if head["array"] is None else _array(path.parent, Sha256(head["array"]))
    return Reply(update, dict(head["report"]), str(head["signature"]))


def _array(folder: Path, digest: Sha256) -> FlatModel:
    array: FlatModel = np.load(folder / f"{digest.hex}.npy", allow_pickle=False)
    if digest_of_array(array) != digest:
        raise ValueError("not the array that was kept")
    return array
