"""What the centre sees of its sites just now: who is connected, how, doing what.

Lives in memory and is rebuilt by the nodes' next hellos; nothing decides on it
but people and the flow that picks sites for a round.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from federation.domain.ids import SiteId
from federation.errors import PlatformError
from federation.protocol.mapping import Hello, Progress


@dataclass(frozen=True, slots=True)
class SiteView:
    """One site as seen just now.

    `since` is when `connected` last changed; `clock_skew_ms` is the node's clock
    minus the centre's; `refused` the last refusal since it was last welcome. `epoch`
    changes when its SuperNode or executor started anew, which lost the tasks it had;
    `bytes_in` and `bytes_out` are the models and updates that came from it and went to
    it since the centre started.
    """

    site: SiteId
    connected: bool = False
    since: datetime | None = None
    last_heard: datetime | None = None
    software_version: str = ""
    wheel_digest: str = ""
    capabilities: tuple[str, ...] = ()
    clock_skew_ms: int = 0
    progress: Progress = field(default_factory=Progress)
    refused_code: str = ""
    refused_what: str = ""
    epoch: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


class Sites:
    """The views of all sites that were heard of since the centre started."""

    def __init__(self) -> None:
        self._views: dict[SiteId, SiteView] = {}
        self._bytes: dict[SiteId, tuple[int, int]] = {}

    def welcomed(self, hello: Hello, *, now: datetime, clock_skew_ms: int) -> None:
        """Note that a site connected."""
        self._views[hello.site] = SiteView(
            site=hello.site,
            connected=True,
            since=now,
            last_heard=now,
            software_version=hello.software_version,
            wheel_digest=hello.wheel_digest,
            capabilities=hello.capabilities,
            clock_skew_ms=clock_skew_ms,
            epoch=self.view(hello.site).epoch,
        )

    def heard(self, site: SiteId, *, now: datetime, progress: Progress | None = None) -> None:
        """Note that a site said something; an epoch of 0 says nothing of it."""
        view = self.view(site)
        told = progress or view.progress
        epoch = told.epoch or view.epoch
        self._views[site] = replace(view, last_heard=now, progress=told, epoch=epoch)

    def moved(self, site: SiteId, came: int, went: int) -> None:
        """Note bytes of models and updates that came from a site or went to it."""
        bytes_in, bytes_out = self._bytes.get(site, (0, 0))
        self._bytes[site] = bytes_in + came, bytes_out + went

    def refused(self, site: SiteId, error: PlatformError) -> None:
        """Note that a site was told no, or said no."""
        self._views[site] = replace(
            self.view(site), refused_code=error.code, refused_what=error.say_what()
        )

    def left(self, site: SiteId, *, now: datetime) -> None:
        """Note that a site's connection ended."""
        self._views[site] = replace(
            self.view(site), connected=False, since=now, progress=Progress()
        )

    def view(self, site: SiteId) -> SiteView:
        """Return what is seen of one site."""
        bytes_in, bytes_out = self._bytes.get(site, (0, 0))
        view = self._views.get(site) or SiteView(site)
        return replace(view, bytes_in=bytes_in, bytes_out=bytes_out)

    def views(self, sites: Iterable[SiteId] = ()) -> list[SiteView]:
        """Return the views of `sites`, or of all that were heard of, by name."""
        return [self.view(site) for site in sorted(set(sites) or self._views)]
