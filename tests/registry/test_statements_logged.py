"""Statements entered between registrations: each growth of the log has its audit event."""

from datetime import timedelta

import pytest

from federation.domain.ids import SiteId
from federation.errors.signed import UnknownSignerError
from federation.evidence.canonical import parse
from federation.evidence.keyring import KeyRole, KnownKey
from registry.auditing import audit_log
from registry.ledger.evidence import enter_statements
from registry.models.checks import vouch
from registry.models.trust import RetiredKey, check_retired
from tests.registry.builders import NOW, SITES, Centre, candidate, update


def enter(centre: Centre, *envelopes: str) -> None:
    enter_statements(
        centre.registrar.store,
        envelopes,
        keys=centre.keys(),
        signer=centre.signer,
        actor="centre",
        at=NOW,
    )


def events(centre: Centre) -> list[dict[str, object]]:
    with centre.registrar.store.reading() as transaction:
        return [parse(event.content) for event in transaction.audit.events()]  # type: ignore[misc]


def test_a_growth_of_the_log_is_one_event_and_entering_again_is_none(centre: Centre) -> None:
    replies = [update(centre, site) for site in SITES]
    enter(centre, *replies[:2])
    enter(centre, *replies)
    enter(centre, *replies)
    said = [(one["kind"], one["actor"], one["subject"], one["details"]) for one in events(centre)]
    assert said == [
        ("statements-logged", "centre", "log", {"log_size": "2", "added": "2"}),
        ("statements-logged", "centre", "log", {"log_size": "3", "added": "1"}),
    ]
    assert audit_log(centre.registrar.store, key=centre.signer.public_key).entries == 3


def test_a_stranger_among_them_leaves_neither_entry_nor_event(centre: Centre) -> None:
    every = centre.keys()
    known = [key for key in every if key.site != SITES[0]]
    with pytest.raises(UnknownSignerError):
        enter_statements(
            centre.registrar.store,
            [update(centre, SITES[1]), update(centre, SITES[0])],
            keys=known,
            signer=centre.signer,
            actor="centre",
            at=NOW,
        )
    assert events(centre) == []
    with centre.registrar.store.reading() as transaction:
        assert transaction.log.size() == 0


def test_the_event_is_what_shows_that_a_revoked_node_had_signed_by_then(centre: Centre) -> None:
    gone = SITES[0]
    enter(centre, update(centre, gone))
    key = KnownKey(SiteId(gone), KeyRole.NODE, centre.nodes[gone].public_key)
    given = [one for one in vouch(candidate(centre), centre.keys()) if one.signer == key]
    with centre.registrar.store.reading() as transaction:
        check_retired(transaction, given, [RetiredKey(key, NOW + timedelta(seconds=1))])
        with pytest.raises(UnknownSignerError):
            check_retired(transaction, given, [RetiredKey(key, NOW)])
