"""Kill the centre in the middle of a round, for people to see: `trifed demo --chaos`.

Told of every event, it waits until a hospital trains in the chosen round, ends the
centre's process as `kill -9` does (SuperLink, conductor, campaign and round driver
die with it), starts the centre again as an init system does, and notes when the
round went on.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from federation.commands.output import t
from federation.operations.progress import EventKind, Progress
from federation.wording import Text

if TYPE_CHECKING:
    from federation.commands.rehearsal import Rehearsal

KILLED = Text(
    en="- Chaos: kill -9 on the centre (process {pid}) in the middle of round {round}; every "
    "process of the centre is gone",
    zh="- 混亂測試:於第 {round} 輪中以 kill -9 終止中心(程序 {pid});中心所有程序皆已消失",
)
RECOVERED = Text(
    en="- Chaos: {seconds:.1f} s after the kill round {round} goes on",
    zh="- 混亂測試:終止後 {seconds:.1f} 秒,第 {round} 輪繼續進行",
)

DOWN_S = 1.0
_MID_ROUND = frozenset({EventKind.SITE_PROGRESS, EventKind.SITE_REPLIED})
_GOES_ON = frozenset({EventKind.SITE_PROGRESS, EventKind.SITE_REPLIED, EventKind.ROUND_DONE})


@dataclass(slots=True)
class Chaos:
    """One kill in one round of a rehearsal; `say` prints a line."""

    rehearsal: "Rehearsal"
    round: int
    say: Callable[[str], None]
    pid: int | None = None
    recovered_s: float | None = None
    _killed_at: float = 0.0
    _is_new_campaign: bool = field(default=False)

    def tell(self, event: Progress) -> None:
        """Take in one event: kill when it is time, or note that the round goes on."""
        if self.pid is None:
            if event.round == self.round and event.kind in _MID_ROUND:
                self._strike()
        elif self.recovered_s is None:
            self._look_for_recovery(event)

    def as_json(self) -> dict[str, object]:
        """Return what was done, for the demo's result."""
        return {"killed": self.pid, "round": self.round, "recovered_s": self.recovered_s}

    def _strike(self) -> None:
        self.pid = self.rehearsal.kill_centre()
        self._killed_at = time.monotonic()
        self.say(t(KILLED, pid=self.pid, round=self.round))
        time.sleep(DOWN_S)
        self.rehearsal.restart_centre()

    def _look_for_recovery(self, event: Progress) -> None:
        """Lines of the campaign that died may still arrive; the next one begins with a stage."""
        if event.kind is EventKind.STAGE:
            self._is_new_campaign = True
        elif self._is_new_campaign and event.kind in _GOES_ON:
            self.recovered_s = round(time.monotonic() - self._killed_at, 1)
            self.say(t(RECOVERED, seconds=self.recovered_s, round=self.round))
