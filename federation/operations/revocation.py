"""Revoke a hospital without taking back what it had signed by then.

A statement carries no time that anybody vouches for; the evidence log does. So what the
centre had accepted from a hospital, and had not logged yet, is logged with the revocation:
decisions on studies, and replies in rounds that are still open. From then on nothing by
its keys counts that the log did not have (`registry.models.trust`).
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta

from federation.coordinator.home import CentreHome
from federation.coordinator.records import ControlRecords
from federation.domain.ids import SiteId
from federation.errors import PlatformError
from federation.errors.upkeep import RevokedUnloggedError
from federation.evidence.statements import PredicateType
from federation.evidence.verification import PublicKey, trusted_keys, verify_envelope
from federation.operations.enrolment import revoke_site
from federation.operations.evidence_entries import log_statements
from federation.operations.store.rounds import RoundStore
from federation.operations.store.studies import StudyStore

GRACE = timedelta(seconds=60)
"""Nothing new is accepted meanwhile; by then what was accepted before is in the log."""

_LATE = "it took too long"


def retire_site(
    home: CentreHome,
    *,
    site: SiteId,
    reason: str,
    clock: Callable[[], datetime],
    actor: str = "centre",
) -> None:
    """Shut a site out for ever, at once; its keys count no more from `GRACE` later on.

    Raises
    ------
    InvalidValueError, SiteUnknownError, TransitionRefusedError
        As `revoke_site`; nothing was done then.
    RevokedUnloggedError
        If the site is revoked, and what it had signed is not all in the log in time.
    """
    until = clock().replace(microsecond=0) + GRACE
    revoke_site(home, site=site, reason=reason, now=until, actor=actor)
    try:
        accepted = [*_decisions(home, site), *_replies(home, site)]
        if accepted:
            log_statements(home, accepted)
    except PlatformError as error:
        raise RevokedUnloggedError(site=site, why=error.code) from error
    if clock() >= until:
        raise RevokedUnloggedError(site=site, why=_LATE)


def _decisions(home: CentreHome, site: SiteId) -> Iterator[str]:
    """Yield what the site's data officer decided on studies, verified once more."""
    officer = home.roster().entry(site).officer_key
    if officer is None:
        return
    trusted = trusted_keys([PublicKey.from_pem(officer.encode())])
    for envelope in ControlRecords(home.folder).decisions_of(site):
        verify_envelope(envelope, trusted=trusted, expected=PredicateType.APPROVAL)
        yield envelope.decode()


def _replies(home: CentreHome, site: SiteId) -> list[str]:
    with closing(StudyStore.of(home)) as store:
        return [reply.signature for reply in RoundStore(store.database).unlogged(site)]
