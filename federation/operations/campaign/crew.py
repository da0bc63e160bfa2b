"""Who can be asked in the next round: approved, not paused in this run, and there.

A site that is away for a moment - a restart, a short cut of the line - is waited
for; one that is away for longer is left out until it is back. While fewer than
the quorum are there, the round waits and says so.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from federation.coordinator.admin import AdminClient, LiveCentre
from federation.coordinator.sites import SiteView
from federation.domain.ids import SiteId
from federation.operations.campaign.gathering import Gathering
from federation.operations.campaign.voice import Voice

GRACE = timedelta(seconds=30)
"""How long a site may be away and still be asked: longer than its restart, or the centre's."""

LOOK_S = 0.25


class Crew:
    """The sites of one run.

    Parameters
    ----------
    paused
        Returns the sites that are paused in this run after too many failed rounds.
    heed
        Called while waiting; raises when the study is to stop.
    """

    def __init__(
        self,
        gathering: Gathering,
        admin: AdminClient,
        voice: Voice,
        *,
        quorum: int,
        paused: Callable[[], frozenset[SiteId]],
        heed: Callable[[], None],
    ) -> None:
        self._gathering, self._admin, self._voice = gathering, admin, voice
        self._quorum, self._paused, self._heed = quorum, paused, heed

    def members(self) -> tuple[SiteId, ...]:
        """Return the sites that may take part, whether they are there or not."""
        paused = self._paused()
        return tuple(site for site in self._gathering.members() if site not in paused)

    def gather(self) -> tuple[SiteId, ...]:
        """Return the sites to choose from, once the quorum is there and nobody is on the way.

        Fewer than the quorum only if no more have approved: then waiting helps nobody.
        """
        while True:
            self._heed()
            members = self.members()
            there, coming = self._seen(members)
            if len(members) < self._quorum or (len(there) >= self._quorum and not coming):
                self._voice.back()
                return there if len(members) >= self._quorum else members
            self._say_waiting(there, members)
            time.sleep(LOOK_S)

    def wait_for(self, sites: Sequence[SiteId], *, count: int) -> None:
        """Return once so many of these sites are there.

        Raises
        ------
        StudyStoppedError
            If the study is to stop meanwhile.
        """
        while len(self._seen(sites)[0]) < count:
            self._heed()
            self._say_waiting((), sites)
            time.sleep(LOOK_S)
        self._voice.back()

    def _seen(self, sites: Sequence[SiteId]) -> tuple[tuple[SiteId, ...], tuple[SiteId, ...]]:
        """Return who is there, and who is away for no longer than a restart takes."""
        live = self._admin.status(sites)
        views = {view.site: view for view in live.sites}
        there = tuple(site for site in sites if site in views and views[site].connected)
        away = [site for site in sites if site not in there]
        now = self._voice.now()
        return there, tuple(site for site in away if _is_coming(views.get(site), live, now))

    def _say_waiting(self, there: Sequence[SiteId], members: Sequence[SiteId]) -> None:
        missing = ", ".join(sorted(set(members) - set(there)))
        self._voice.aside("waiting", sites=missing)


def _is_coming(view: SiteView | None, live: LiveCentre, now: datetime) -> bool:
    """Say whether a site that is away may be on its way back.

    A centre that started just now has seen nobody yet; everybody may be coming.
    """
    since = None if view is None else view.since
    return now - max(since or live.started, live.started) < GRACE
