"""The way to the nodes through Flower: a driver process, a Flower run, nodes that know of it.

TriFed's run keeps its name for ever; Flower's is made anew whenever the driver or
the SuperLink was lost. The nodes are told the new one and asked the same again,
which costs nothing: who answered before answers from what it kept.
"""

from collections.abc import Sequence

from federation.coordinator.admin import AdminClient
from federation.coordinator.home import CentreHome
from federation.domain.ids import RunId, SiteId, StudyId
from federation.errors.base import PlatformError
from federation.pki.keys import flower_key_pem
from federation.protocol.mapping import RunNotice
from federation.server_app.rounds import OpenedRun, RoundDriver, wait_online
from federation.server_app.superlink import RegisteredSite, list_nodes, superlink_address

ONLINE_S = 10.0
"""How long a node may take to bring its SuperNode up before it is asked all the same."""

NOTICE_S = 10.0
"""How long the nodes may take to confirm that they know of a run."""


class Link:
    """The driver and the Flower run of one run of a study; opened when needed."""

    def __init__(self, home: CentreHome, study: StudyId, admin: AdminClient) -> None:
        self._home, self._study, self._admin = home, study, admin
        self._driver: RoundDriver | None = None
        self._opened: OpenedRun | None = None
        self._told: frozenset[SiteId] = frozenset()

    def open(self, run: RunId, sites: Sequence[SiteId]) -> RoundDriver:
        """Return the driver; start it and tell the sites where that was not done.

        Raises
        ------
        SuperLinkUnreachableError, FlowerRefusedError, RoundDriverDiedError
            If Flower does not start the run.
        CentreNotRunningError, CentreBusyError
            If the centre does not pass the notice on.
        """
        if self._driver is None:
            driver = RoundDriver(
                home=self._home.folder, address=superlink_address(self._home.folder)
            )
            self._driver = driver
            self._opened = driver.start()
        if not self._told.issuperset(sites):
            self._announce(run, sites)
        return self._driver

    def wake(self, sites: Sequence[SiteId]) -> None:
        """Tell sites that a task waits; raises as `AdminClient.wake`."""
        self._admin.wake(sites)

    def node_of(self, site: SiteId) -> int | None:
        """Return Flower's node id of a site; None while its SuperNode is not online."""
        found = self._look((site,)).get(site)
        return found.node if found is not None and found.online else None

    def nodes(self, sites: Sequence[SiteId]) -> dict[SiteId, int]:
        """Return Flower's node ids of sites, once all are online or the time is over.

        Raises
        ------
        SuperLinkUnreachableError, FlowerRefusedError
            If the SuperLink does not answer.
        """
        seen: dict[SiteId, RegisteredSite] = {}

        def look() -> dict[SiteId, RegisteredSite]:
            seen.update(self._look(sites))
            return seen

        wait_online(look, sites, timeout_s=ONLINE_S)
        return {site: seen[site].node for site in sites if site in seen}

    def lose(self) -> None:
        """Drop what may be broken; the next `open` makes it new."""
        driver, self._driver, self._opened = self._driver, None, None
        self._told = frozenset()
        if driver is not None:
            driver.close()

    def end(self, run: RunId) -> None:
        """Close the Flower run and tell the sites that the run is over, if that can be done."""
        opened, told = self._opened, tuple(sorted(self._told))
        self.lose()
        if opened is None:
            return
        try:
            self._admin.notify(self._notice(run, opened, over=True), sites=told, wait_s=0.0)
        except PlatformError:
            return  # a notice of an ended run lets nothing happen: its Flower run is closed

    def _look(self, sites: Sequence[SiteId]) -> dict[SiteId, RegisteredSite]:
        keys = {
            entry.site: flower_key_pem(entry.flower_key)
            for entry in self._home.roster().entries()
            if entry.site in sites and entry.flower_key
        }
        return list_nodes(superlink_address(self._home.folder), keys)

    def _announce(self, run: RunId, sites: Sequence[SiteId]) -> None:
        """Tell the sites of the run: those that are there must know it before a task comes."""
        assert self._opened is not None
        told = tuple(sorted(self._told.union(sites)))
        there = tuple(view.site for view in self._admin.status(told).sites if view.connected)
        notice = self._notice(run, self._opened, over=False)
        if there:
            self._admin.notify(notice, sites=there, wait_s=NOTICE_S)
        if there != told:  # the others are told when they connect
            self._admin.notify(notice, sites=told, wait_s=0.0)
        self._told = frozenset(told)

    def _notice(self, run: RunId, opened: OpenedRun, *, over: bool) -> RunNotice:
        return RunNotice(
            study=self._study,
            run=run,
            flower_run=opened.flower_run,
            bundle_digest=opened.bundle_digest,
            over=over,
        )
