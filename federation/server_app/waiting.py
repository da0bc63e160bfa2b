"""Know whom a round still waits for: which messages are out, whose reply is on its way.

A site may be asked several times, because its node may lose a task: the SuperNode
or the executor was killed, or the SuperLink took the node for gone. The first reply
that arrives whole counts. A site without any message out is asked again when its
node is there, with growing pauses and not for ever. Decides and does no I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from federation.errors.base import PlatformError
from federation.errors.transport import AskedInVainError
from federation.wire.flwr_internals.centre import Announced

MOST_ASKS = 8
"""A ninth message to the same site in one round would be lost as the others were."""

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


@dataclass(slots=True)
class _Site:
    node: int
    asks: int = 0
    out: list[str] = field(default_factory=list)
    arriving: list[Announced] = field(default_factory=list)
    trouble: PlatformError | None = None
    again_at: float = 0.0

    @property
    def is_idle(self) -> bool:
        """Return whether nothing of it can arrive any more."""
        return not self.out and not self.arriving


@dataclass(frozen=True, slots=True)
class Leftover:
    """What may still come from a site that is settled: to be thrown away."""

    out: frozenset[str]
    arriving: tuple[Announced, ...]


class Waiting:
    """The sites of one round that have neither answered nor been given up.

    Parameters
    ----------
    nodes
        Flower's node id of each site to ask.
    """

    def __init__(self, nodes: Mapping[str, int]) -> None:
        self._sites = {site: _Site(node) for site, node in nodes.items()}
        self._asked: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._sites)

    def __contains__(self, site: object) -> bool:
        return site in self._sites

    @property
    def sites(self) -> list[str]:
        """Return who is waited for, by name."""
        return sorted(self._sites)

    @property
    def out(self) -> list[str]:
        """Return the messages whose reply has not begun to arrive, each site's in order."""
        return [message for state in self._sites.values() for message in state.out]

    @property
    def arriving(self) -> list[tuple[str, Announced]]:
        """Return the replies on their way, each with its site."""
        return [(site, reply) for site, state in self._sites.items() for reply in state.arriving]

    def trouble_of(self, site: str) -> PlatformError | None:
        """Return what went wrong last with a site."""
        return self._sites[site].trouble

    def site_of(self, message: str) -> str | None:
        """Return whose answer to a message is waited for."""
        return self._asked.get(message)

    def nodes_of(self, sites: list[str]) -> dict[int, str]:
        """Return the sites by their nodes, as they are asked next."""
        return {self._sites[site].node: site for site in sites}

    def moved(self, site: str, node: int) -> None:
        """Note under which id the SuperLink knows a site's node now."""
        self._sites[site].node = node

    def asked(self, site: str, message: str) -> None:
        """Note that a message to a site is out."""
        state = self._sites[site]
        state.asks += 1
        state.out.append(message)
        self._asked[message] = site

    def announced(self, reply: Announced) -> None:
        """Note that a reply begins to arrive."""
        self._answered(reply.asked).arriving.append(reply)

    def lost(self, message: str, trouble: PlatformError, *, now: float) -> None:
        """Note that a message will never be answered."""
        self._pause(self._answered(message), trouble, now)

    def cut_short(self, site: str, reply: Announced, trouble: PlatformError, *, now: float) -> None:
        """Note that a reply which began to arrive never will as a whole."""
        state = self._sites[site]
        state.arriving.remove(reply)
        self._pause(state, trouble, now)

    def not_taken(self, site: str, trouble: PlatformError, *, now: float) -> None:
        """Note that the SuperLink did not take a message to a site."""
        self._sites[site].asks += 1
        self._pause(self._sites[site], trouble, now)

    def due(self, *, now: float) -> list[str]:
        """Return the sites to ask again, as far as their nodes are there."""
        return [
            site
            for site, state in sorted(self._sites.items())
            if state.is_idle and state.again_at <= now
        ]

    def check_asks(self, site: str) -> None:
        """Raise if a site was asked often enough.

        Raises
        ------
        AskedInVainError
            If it was, and all was lost.
        """
        state = self._sites[site]
        if state.asks >= MOST_ASKS:
            raise AskedInVainError(site=site, times=state.asks)

    def settle(self, site: str) -> Leftover:
        """Wait no longer for a site; return what of it may still come."""
        state = self._sites.pop(site)
        for message in state.out:
            del self._asked[message]
        return Leftover(frozenset(state.out), tuple(state.arriving))

    def _answered(self, message: str) -> _Site:
        state = self._sites[self._asked.pop(message)]
        state.out.remove(message)
        return state

    @staticmethod
    def _pause(state: _Site, trouble: PlatformError, now: float) -> None:
        pause_s = min(_FIRST_PAUSE_S * 2.0 ** max(state.asks - 1, 0), _LONGEST_PAUSE_S)
        state.trouble, state.again_at = trouble, now + pause_s
