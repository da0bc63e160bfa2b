"""What the centre shows every hospital of its own log.

    shown = CentreHead(home)
    shown(site)      # bytes for the control channel; b"" before anything was ever logged

Shown are the newest signed checkpoint and the proofs that the log only grew from each
earlier one, so a hospital that was away for long can compare too. Beside it travels
the centre's agreement to a lost book of this site (`site_losses`), if there is one.
"""

import json
import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from federation.coordinator.home import CentreHome
from federation.domain.ids import SiteId
from federation.evidence import merkle
from federation.evidence.growth import MOST_PROOFS, Growth
from federation.operations.site_losses import agreement_for

if TYPE_CHECKING:
    from registry.ports import Store

LOOK_EVERY_S = 2.0
"""The database is not read for every heartbeat of every site."""


class CentreHead:
    """What to show a site of the centre's log; safe to ask from several threads."""

    def __init__(self, home: CentreHome, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._home, self._clock_s = home, clock_s
        self._store: Store | None = None
        self._growth: Growth | None = None
        self._read_at_s = -LOOK_EVERY_S
        self._lock = Lock()

    def __call__(self, site: SiteId) -> bytes:
        """Return what travels to a site; empty when there is nothing to show."""
        growth, agreed = self._newest(), agreement_for(self._home, site)
        if growth is None and agreed is None:
            return b""
        word = {"growth": None if growth is None else growth.as_json(), "agreed": agreed}
        return json.dumps(word, separators=(",", ":")).encode()

    def _newest(self) -> Growth | None:
        with self._lock:
            if self._clock_s() - self._read_at_s >= LOOK_EVERY_S:
                self._store = self._store or _store(self._home)
                known = None if self._growth is None else self._growth.note
                self._growth = growth_of(self._store, known=known) or self._growth
                self._read_at_s = self._clock_s()
            return self._growth


def growth_of(store: "Store", *, known: str | None = None) -> Growth | None:
    """Return a log's newest checkpoint with its proofs; None when it is the `known` one."""
    with store.reading() as transaction:
        log = transaction.log
        newest = log.latest_checkpoint()
        if newest is None or newest == known:
            return None
        sizes = [size for size, _ in log.checkpoints()]
        earlier = [size for size in sizes[:-1] if size > 0][-MOST_PROOFS:]
        proofs = {size: merkle.consistency_proof(size, sizes[-1], log.node) for size in earlier}
        return Growth(newest, proofs)


def _store(home: CentreHome) -> "Store":
    from registry.ledger.evidence import open_log

    return open_log(home.database_url)
