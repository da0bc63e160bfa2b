"""What a revoked key had signed by then counts; what it signs later does not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from federation.domain.ids import SiteId
from federation.errors.signed import UnknownSignerError
from federation.evidence.keyring import KeyRole, KnownKey
from registry.models.service import Registrar
from registry.models.trust import RetiredKey
from tests.registry.builders import NOW, SITES, Centre, approval, candidate, update, with_clock

GONE = SITES[0]
LATER = NOW + timedelta(days=2)


def without_site(centre: Centre, revoked: timedelta) -> Registrar:
    """The registrar two days later; one site was revoked some time after `NOW`."""
    every = centre.keys()
    kept = [known for known in every if known.site != GONE]
    gone = [known for known in every if known.site == GONE]
    retired = [RetiredKey(known, NOW + revoked) for known in gone]
    changed = replace(centre.registrar, keys=lambda: kept, retired=lambda: retired)
    return with_clock(changed, LATER)


def test_a_correction_may_rest_on_what_a_revoked_site_had_signed(centre: Centre) -> None:
    first, _ = centre.registrar.register(candidate(centre), actor="centre")
    later = without_site(centre, timedelta(days=1))
    again, is_new = later.register(candidate(centre), actor="centre")
    assert not is_new and again == first
    corrected = candidate(centre, supersedes=first.entry)
    stored, is_new = later.register(corrected, actor="centre")
    assert is_new and stored.supersedes == first.entry


@pytest.mark.parametrize("revoked", [timedelta(0), timedelta(seconds=-1), timedelta(days=-9)])
def test_what_was_logged_at_or_after_the_revocation_does_not_count(
    centre: Centre, revoked: timedelta
) -> None:
    first, _ = centre.registrar.register(candidate(centre), actor="centre")
    corrected = candidate(centre, supersedes=first.entry)
    with pytest.raises(UnknownSignerError):
        without_site(centre, revoked).register(corrected, actor="centre")


def test_what_was_never_logged_before_does_not_count(centre: Centre) -> None:
    with pytest.raises(UnknownSignerError):
        without_site(centre, timedelta(days=1)).register(candidate(centre), actor="centre")


def test_a_revoked_key_signs_nothing_new_beside_the_old(centre: Centre) -> None:
    first, _ = centre.registrar.register(candidate(centre), actor="centre")
    statements = [
        {"site": site, "kind": kind, "envelope": envelope}
        for site in SITES
        for kind, envelope in (
            ("approval", approval(centre, site)),
            ("update", update(centre, site, loss=0.1 if site == GONE else 0.2)),
        )
    ]
    changed = candidate(centre, supersedes=first.entry, statements=statements)
    with pytest.raises(UnknownSignerError):
        without_site(centre, timedelta(days=1)).register(changed, actor="centre")


def test_a_revoked_nodes_key_does_not_pass_for_its_officers(centre: Centre) -> None:
    every = centre.keys()
    known = next(one for one in every if one.site == GONE and one.role is KeyRole.NODE)
    assert known == KnownKey(SiteId(GONE), KeyRole.NODE, known.key)
    forged = approval(centre, GONE, signer=centre.nodes[GONE])
    given = candidate(centre, statements=[{"site": GONE, "kind": "approval", "envelope": forged}])
    with pytest.raises(UnknownSignerError):
        without_site(centre, timedelta(days=1)).register(given, actor="centre")
