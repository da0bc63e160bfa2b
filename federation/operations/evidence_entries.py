"""Enter what was signed in the centre's evidence log at once, not only at registration."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from federation.coordinator.home import CentreHome
from federation.operations.embedded_registry import known_keys, registrar

if TYPE_CHECKING:
    from registry.models.service import Registrar

ACTOR = "centre"


class EvidenceEntries:
    """The centre's evidence log, open for one run; the register is opened at the first entry."""

    def __init__(self, home: CentreHome) -> None:
        self._home = home
        self._keeper: Registrar | None = None

    def enter(self, envelopes: Iterable[str]) -> None:
        """Enter verified statements at once and sign the log's new state.

        One that is there already changes nothing. For every accepted reply, so that
        the log that hospitals are shown grows with each round.

        Raises
        ------
        UnknownSignerError
            If a statement names a key that is not of the centre or an enrolled site.
        BusyRegisterError
            If other writers were always faster.
        """
        from registry.ledger.evidence import enter_statements

        self._keeper = self._keeper or registrar(self._home)
        keys = known_keys(self._home, centre=self._keeper.signer.public_key)
        enter_statements(
            self._keeper.store,
            list(envelopes),
            keys=keys,
            signer=self._keeper.signer,
            actor=ACTOR,
            at=datetime.now(UTC),
        )


def log_statements(home: CentreHome, envelopes: Iterable[str]) -> None:
    """Enter statements once; raises as `EvidenceEntries.enter`."""
    EvidenceEntries(home).enter(envelopes)
