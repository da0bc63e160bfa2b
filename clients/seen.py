"""The newest policy, the latest time and every withdrawal this node knows of, in `seen.json`.

Signatures alone do not show that a newer one existed, and a clock alone does not
show that it was set back. Whoever can write the home can also change this file;
then the numbers and times inside signed decisions still stand against it, and
against a whole home put back from a copy the heads that the centre keeps.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from federation.domain.ids import Sha256
from federation.errors.approval import ClockSetBackError
from federation.errors.core import InvalidIdError, UnreadableRecordError
from federation.storage import write_atomic

FILE = "seen.json"
TOLERANCE = timedelta(minutes=5)
STEP = timedelta(minutes=1)
"""How much later it must be before the file is written again."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was in force last. Times are ISO 8601 with offset; empty before the first.

    `withdrawn` holds the digests of studies whose approval ended; none begins again.
    """

    latest: str = ""
    policy_number: int = 0
    policy_digest: str = ""
    withdrawn: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what the file says; the empty one when it was never written.

        Raises
        ------
        UnreadableRecordError
            If it is not what `remember` writes.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            found = cls(
                latest=str(raw["latest"]),
                policy_number=int(raw["policy_number"]),
                policy_digest=str(raw["policy_digest"]),
                withdrawn=tuple(Sha256(str(one)) for one in raw["withdrawn"]),
            )
            if found.latest and datetime.fromisoformat(found.latest).tzinfo is None:
                raise ValueError("a time without its offset")
            if found.policy_digest:
                Sha256(found.policy_digest)
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError, InvalidIdError) as error:
            raise UnreadableRecordError(kind=FILE, why=type(error).__name__) from error
        return found

    def remember(self, path: Path) -> None:
        """Write the later time, the newer policy and all withdrawals of this and the file."""
        known = Seen.read(path)
        newer = self if self.policy_number > known.policy_number else known
        latest = self.latest if _is_later(self.latest, known.latest) else known.latest
        withdrawn = tuple(sorted({*self.withdrawn, *known.withdrawn}))
        found = Seen(latest, newer.policy_number, newer.policy_digest, withdrawn)
        if found != known:
            found.replace(path)

    def replace(self, path: Path) -> None:
        """Write this, whatever the file said."""
        write_atomic(path, json.dumps(asdict(self)).encode())


def _is_later(ours: str, theirs: str) -> bool:
    if not ours or not theirs:
        return bool(ours)
    return datetime.fromisoformat(ours) >= datetime.fromisoformat(theirs) + STEP


def check_clock(now: datetime, *, known: list[datetime]) -> None:
    """Return if `now` is not more than five minutes before any time known to have been.

    Raises
    ------
    ClockSetBackError
        Otherwise: an expiry means nothing to a clock that was set back.
    """
    behind = max((moment - now for moment in known), default=timedelta())
    if behind > TOLERANCE:
        raise ClockSetBackError(minutes=int(behind.total_seconds() // 60))
