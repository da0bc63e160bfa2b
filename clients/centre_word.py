"""What arrives from the centre about its own log: verified, kept, or written down as wrong.

hear_centre(home, content, now=now)    # the channel: the first heartbeat of a connection,
                                       # and every later one that says something
"""

import json
from dataclasses import dataclass
from datetime import datetime

from clients.centre_heads import note_refused, take_centre_head
from clients.home import NodeHome
from clients.loss_acceptance import take_agreement
from clients.losses import Agreement
from federation.errors.heads import CentreHeadRefusedError
from federation.evidence.growth import Growth

MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class CentreWord:
    """The state of the centre's log, and its agreement to a loss of this hospital, if any.

    `agreed` is not looked into yet.
    """

    growth: Growth | None = None
    agreed: object | None = None

    @classmethod
    def from_bytes(cls, content: bytes) -> "CentreWord":
        """Return what the centre sent; nothing said is an empty word.

        Raises
        ------
        CentreHeadRefusedError
            If it is anything else.
        """
        if not content:
            return cls()
        if len(content) > MOST_BYTES:
            raise CentreHeadRefusedError(why="it is too large")
        try:
            raw = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise CentreHeadRefusedError(why="it is not JSON") from error
        match raw:
            case {"growth": growth, "agreed": agreed, **rest} if not rest:
                return cls(None if growth is None else Growth.from_json(growth), agreed)
        raise CentreHeadRefusedError(why="it has another form")


def hear_centre(home: NodeHome, content: bytes, *, now: datetime) -> None:
    """Take in what the centre says of its log and of a loss.

    Raises
    ------
    CentreLogForkedError, CentreLogRolledBackError, CentreHeadRefusedError
        If its log is not what it was, or its word is none; that is written down and
        nothing is answered.
    LossRefusedError, LedgerChainBrokenError
        If its agreement is not one to what waits here.
    """
    try:
        word = CentreWord.from_bytes(content)
    except CentreHeadRefusedError as error:
        note_refused(home, error, now=now)
        raise
    take_centre_head(home, word.growth, now=now)
    if word.agreed is not None:
        take_agreement(home, Agreement.from_json(word.agreed), now=now)
