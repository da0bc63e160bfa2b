"""A campaign that only pretends: `HOME STUDY WAY`. It writes its process id, then does its way.

completes, fails: writes that outcome. hangs: for ever. again: status 75. breaks:
status 1 without an outcome. heeds: until it is asked to stop.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from federation.coordinator.home import CentreHome
from federation.domain.ids import StudyId
from federation.domain.queue import Wish
from federation.operations.events import EventLog
from federation.operations.turns import Wishes


def main(folder: str, study: str, way: str) -> int:
    home = CentreHome.open(Path(folder))
    log = EventLog(home, StudyId(study))
    with (home.run / f"fake-{study}").open("a") as file:
        file.write(f"{os.getpid()}\n")
    if way == "hangs":
        time.sleep(60)
    if way == "heeds":
        wishes = Wishes(home, StudyId(study))
        while wishes() in (Wish.GO_ON, Wish.PAUSE):
            time.sleep(0.05)
        wishes.close()
        log.end({"status": "stopped"})
        return 1
    if way in ("completes", "fails"):
        log.end({"status": "completed" if way == "completes" else "failed"})
    return {"completes": 0, "again": 75}.get(way, 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
