"""Enter what was signed in the centre's evidence log at once, not only at registration."""

from collections.abc import Iterable

from federation.coordinator.home import CentreHome
from federation.operations.embedded_registry import known_keys, registrar


def log_statements(home: CentreHome, envelopes: Iterable[str]) -> None:
    """Enter verified statements in the centre's log at once and sign its new state.

    One that is there already changes nothing. For every accepted reply, so that the
    log that hospitals are shown grows with each round.

    Raises
    ------
    UnknownSignerError
        If a statement names a key that is not of the centre or an enrolled site.
    BusyRegisterError
        If other writers were always faster.
    """
    from registry.ledger.evidence import enter_statements

    keeper = registrar(home)
    keys = known_keys(home, centre=keeper.signer.public_key)
    enter_statements(keeper.store, list(envelopes), keys=keys, signer=keeper.signer)
