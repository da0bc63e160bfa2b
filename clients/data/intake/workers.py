"""Keep a few reader processes at work and survive each of their deaths.

`WorkerPool.read(paths)` yields one answer a path, in the order given, whatever
order they finish in. A worker that crashes, answers nonsense or passes its time
costs the file it held (TF509) and is replaced. JSON lines over pipes: nothing
is pickled, and a worker whose parent dies reads end-of-file and ends.
"""

import base64
import json
import os
import queue
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from clients.data.deidentification.charsets import readings
from clients.data.intake.fingerprints import Stamp
from clients.data.intake.rules import IntakeRules
from clients.data.people.pseudonyms import Pseudonyms
from federation.errors.data import WorkerLostError

START_S = 60.0
AHEAD = 8
LONGEST_ANSWER = 64 * 1024 * 1024
TIME = "time"
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "HOME")


class WorkerPool:
    """A context manager around `count` workers that stage into one folder.

    `root` is the folder that was given: what a path says below it may name a patient.
    """

    def __init__(
        self,
        *,
        count: int,
        pseudonyms: Pseudonyms,
        rules: IntakeRules,
        staging: Path,
        root: Path,
    ) -> None:
        self.root = root
        self.rules = rules
        self.count = count
        self.setup = json.dumps(
            {
                "key": base64.b64encode(pseudonyms.key).decode(),
                "options": sorted(option.name for option in rules.options),
                "modalities": list(rules.modalities),
                "body_parts": list(rules.body_parts),
                "pixel_text": rules.pixel_text.value,
                "limits": asdict(rules.limits),
                "memory_bytes": rules.memory_bytes,
                "staging": str(staging),
            }
        )
        self.idle: queue.SimpleQueue[_Worker | None] = queue.SimpleQueue()
        self.threads = ThreadPoolExecutor(count, thread_name_prefix="intake")
        for _ in range(count):
            self.idle.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.threads.shutdown(wait=True, cancel_futures=True)
        while not self.idle.empty():
            worker = self.idle.get()
            if worker is not None:
                worker.stop()

    def read(self, asked: Iterable[tuple[Path, Stamp | None]]) -> Iterator[dict[str, Any]]:
        """Yield the answer of each file in order; at most a few are held ahead.

        Raises
        ------
        WorkerLostError
            If a worker cannot even start.
        """
        waiting: deque[Future[dict[str, Any]]] = deque()
        for path, stamp in asked:
            waiting.append(self.threads.submit(self._one, path, stamp))
            if len(waiting) > AHEAD * self.count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _one(self, path: Path, stamp: Stamp | None) -> dict[str, Any]:
        """Ask for one file; again when its worker died, for that may not be the file's fault."""
        worker = self.idle.get()
        try:
            for last in (False, True):
                try:
                    worker = worker or _Worker(self.setup)
                except WorkerLostError:
                    if last:
                        raise
                    continue
                try:
                    return worker.ask(
                        path,
                        words=words_of(path, self.root),
                        stamp=stamp,
                        timeout_s=self.rules.timeout_s,
                    )
                except WorkerLostError as lost:
                    worker.stop()
                    worker = None
                    if lost.values["why"] == TIME:
                        break
            return {"state": "received", "code": WorkerLostError.code}
        finally:
            self.idle.put(worker)


class _Worker:
    """One reader process."""

    def __init__(self, setup: str) -> None:
        kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        self.process = subprocess.Popen(  # the set-up, with its key, goes through the pipe
            [sys.executable, "-P", "-W", "ignore", "-m", "clients.data.intake.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        self.buffer = b""
        try:
            if self._exchange(setup, START_S) != "ready":
                raise WorkerLostError(why="no start")
        except WorkerLostError:
            self.stop()
            raise

    def ask(
        self, path: Path, *, words: tuple[str, ...], stamp: Stamp | None, timeout_s: float
    ) -> dict[str, Any]:
        asked = json.dumps({"path": str(path), "words": words, "stamp": stamp})
        answer = self._exchange(asked, timeout_s)
        if not isinstance(answer, dict):
            raise WorkerLostError(why="answer")
        return answer

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _exchange(self, line: str, timeout_s: float) -> object:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
            return json.loads(self._line(time.monotonic() + timeout_s))
        except (BrokenPipeError, ValueError) as error:
            raise WorkerLostError(why="crash") from error

    def _line(self, deadline: float) -> bytes:
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while b"\n" not in self.buffer:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise WorkerLostError(why=TIME)
                part = os.read(descriptor, 1 << 16)
                if not part or len(self.buffer) > LONGEST_ANSWER:
                    raise WorkerLostError(why="crash or memory")
                self.buffer += part
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line


def words_of(path: Path, root: Path) -> tuple[str, ...]:
    """Return the parts of a path from the given folder down, without the file's ending.

    A name that is no UTF-8 is given in everything that its bytes may say.
    """
    below = path.relative_to(root.parent) if path.is_relative_to(root.parent) else Path(path.name)
    return tuple(
        reading for part in (*below.parts[:-1], below.stem) for reading in _readings_of(part)
    )


def _readings_of(part: str) -> list[str]:
    try:
        part.encode()
    except UnicodeEncodeError:
        return sorted(readings(os.fsencode(part), ()))
    return [part]
