"""Keep each reply until the study is over, so that a repeated request costs nothing.

The centre may ask for the same round twice: after its own crash, after a lost
message. It then gets the very bytes that left the first time; no patient is
touched again and no privacy is spent again.
"""

import io
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from federation.domain.ids import RunId, Sha256
from federation.storage import write_atomic
from federation.wire.messages import Reply, Task, TaskKind


@dataclass(frozen=True, slots=True)
class KeptReplies:
    """The replies of one node, as files of its home."""

    folder: Path

    def find(self, task: Task, model_digest: Sha256) -> Reply | None:
        """Return the reply already given to this very task, or None."""
        path = self._path(task, model_digest)
        if not path.exists():
            return None
        head = json.loads(path.read_text(encoding="utf-8"))
        arrays = path.with_suffix(".npy")
        update = np.load(arrays, allow_pickle=False) if head["has_update"] else None
        return Reply(update, head["report"], head["signature"])

    def keep(self, task: Task, model_digest: Sha256, reply: Reply) -> None:
        """Keep a reply; the arrays are written before the file that names them."""
        path = self._path(task, model_digest)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if reply.update is not None:
            buffer = io.BytesIO()
            np.save(buffer, reply.update, allow_pickle=False)
            write_atomic(path.with_suffix(".npy"), buffer.getvalue(), mode=0o600)
        head = {
            "has_update": reply.update is not None,
            "report": reply.report,
            "signature": reply.signature,
        }
        write_atomic(path, json.dumps(head).encode(), mode=0o600)

    def has_trained(self, run: RunId) -> bool:
        """Say whether an update of this run left."""
        return any((self.folder / run).glob(f"{TaskKind.TRAIN.value}-*.json"))

    def claim_evaluation(self, task: Task, model_digest: Sha256) -> bool:
        """Say whether this is the run's one model to evaluate; the first asked for becomes it."""
        path = self.folder / task.run / "evaluated"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError), path.open("x", encoding="ascii") as file:
            file.write(model_digest)
        return path.read_text(encoding="ascii") == model_digest

    def forget(self, run: RunId) -> None:
        """Delete the replies of a run that is over."""
        for path in self.folder.glob(f"{run}/*"):
            path.unlink()

    def _path(self, task: Task, model_digest: Sha256) -> Path:
        name = f"{task.kind.value}-{task.round:05d}-{model_digest.hex[:16]}.json"
        return self.folder / task.run / name
