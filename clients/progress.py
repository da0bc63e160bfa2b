"""What the node does just now, told by the executor and read by the agent.

The executor writes one small file, replaced in one step and not synced: it is
worth nothing after a crash. The agent sends it to the centre as heartbeat. It
holds counts only, nothing of a patient.
"""

import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path

from federation.protocol.mapping import Progress

FILE = "progress.json"


def write_progress(run_folder: Path, progress: Progress) -> None:
    """Say what is done just now; `run_folder` is the node home's `run`."""
    path = run_folder / FILE
    draft = path.with_name(f".{FILE}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(progress)), encoding="utf-8")
    draft.replace(path)


def read_progress(run_folder: Path) -> Progress:
    """Return what was said last, with the free disk space of now; idle when nothing readable."""
    free = shutil.disk_usage(run_folder).free
    try:
        raw = json.loads((run_folder / FILE).read_text(encoding="utf-8"))
        return replace(Progress(**raw), free_disk_bytes=free)
    except (OSError, ValueError, TypeError):
        return Progress(free_disk_bytes=free)
