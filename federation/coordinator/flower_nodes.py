"""Keep the SuperLink's list of nodes equal to the roster's enrolled sites.

The SuperLink keeps its list in memory and loses it when it restarts; sites are
enrolled and revoked while it runs. `FlowerNodes` compares and corrects; it may
be asked as often as one likes.
"""

import logging

from federation.domain.ids import SiteId
from federation.domain.site import SiteState
from federation.pki.keys import flower_key_pem
from federation.pki.roster import Roster
from federation.server_app.superlink import list_nodes, register_nodes, unregister_node

log = logging.getLogger(__name__)


class FlowerNodes:
    """The sites let in at one SuperLink."""

    def __init__(self, roster: Roster, address: str) -> None:
        self._roster = roster
        self._address = address
        self._let_in: dict[SiteId, bytes] = {}
        self._keys: dict[SiteId, bytes] = {}

    def enrolled_key(self, site: SiteId) -> bytes | None:
        """Return the Flower key (PEM) of an enrolled site as of the last correction.

        A site that was not known then is looked up in the roster; None if it has
        no key there.
        """
        if site not in self._keys:
            self._keys = self._enrolled()
        return self._keys.get(site)

    def forget(self) -> None:
        """Note that the SuperLink was restarted and knows nobody."""
        self._let_in = {}

    def correct(self) -> list[SiteId]:
        """Let in every enrolled site, shut out every other; return who was new. Blocks.

        Raises
        ------
        FlowerRefusedError, SuperLinkUnreachableError
            If the SuperLink refuses or does not answer; ask again later.
        """
        self._keys = wanted = self._enrolled()
        list_nodes(self._address, {})  # loads Flower's client before the first site needs it
        for site in [site for site, key in self._let_in.items() if wanted.get(site) != key]:
            unregister_node(self._address, self._let_in[site])
            del self._let_in[site]
            log.info("site %s was taken off the SuperLink", site)
        new = [site for site in wanted if site not in self._let_in]
        register_nodes(self._address, [wanted[site] for site in new])
        self._let_in |= {site: wanted[site] for site in new}
        return new

    def _enrolled(self) -> dict[SiteId, bytes]:
        return {
            entry.site: flower_key_pem(entry.flower_key)
            for entry in self._roster.entries()
            if entry.state is SiteState.ENROLLED and entry.flower_key
        }
