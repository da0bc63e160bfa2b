"""A key counts for what was logged while it was valid, for its owner and its purpose."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from federation.domain.ids import SiteId
from federation.errors.evidence import ExportUnsoundError
from federation.evidence.canonical import canonical
from federation.evidence.certificates import (
    KeyOwner,
    certificates,
    root_certificate,
)
from federation.evidence.keyring import KeyRole, KnownKey
from federation.evidence.members import (
    CHAIN,
    REVOKED,
    ROOT,
)
from federation.evidence.signing import Signer
from federation.evidence.statements import PredicateType
from federation.evidence.trail import EVENT_CONTEXT, event_member
from registry.bundle import export
from registry.ledger.evidence import enter_statements
from registry.models.service import Registrar
from registry.models.trust import RetiredKey
from tests.registry.builders import (
    NOW,
    SITES,
    Centre,
    candidate,
    make_centre,
    with_clock,
)
from tests.registry.bundles import (
    Members,
    certified,
    forged,
    keys_of,
    members_of,
    named,
    rebuilt,
    resigned,
    signed_as,
    statements,
    verdict,
    with_keys,
)
from tests.registry.record_builders import new_signer


@pytest.mark.parametrize(
    ("dates", "holds"),
    [
        ({"until": NOW + timedelta(seconds=1)}, True),
        ({"until": NOW}, False),
        ({"until": NOW - timedelta(days=300)}, False),
        ({"since": NOW}, True),
        ({"since": NOW + timedelta(seconds=1)}, False),
        ({"revoked": NOW + timedelta(seconds=1)}, True),
        ({"revoked": NOW}, False),
        ({"revoked": NOW - timedelta(days=1)}, False),
    ],
)
def test_a_key_counts_for_what_was_logged_while_it_was_valid(
    tmp_path: Path, centre: Centre, members: Members, dates: dict[str, datetime], holds: bool
) -> None:
    keys = certified(centre, {f"{SITES[0]}-officer": dates})
    found = verdict(rebuilt(tmp_path / "keys.zip", with_keys(centre, members, keys)))
    assert found.verified is holds
    if not holds:
        assert found.item == f"dsse/00001-{SITES[0]}-approval.json"
        assert found.what == "nothing shows that its key was valid by then"


def test_a_key_without_a_certificate_counts_for_nothing(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    keys = [key for key in certified(centre, {}) if key.owner.site != SITES[1]]
    assert (
        named(tmp_path, with_keys(centre, members, keys)) == f"dsse/00004-{SITES[1]}-approval.json"
    )


@pytest.mark.parametrize(
    "owner",
    [
        KeyOwner(SiteId(SITES[0]), KeyRole.NODE),
        KeyOwner(SiteId(SITES[1]), KeyRole.OFFICER),
        KeyOwner(None, KeyRole.CENTRE),
        KeyOwner(person="somebody"),
    ],
)
def test_a_key_of_another_role_or_site_may_not_sign(
    tmp_path: Path, centre: Centre, members: Members, owner: KeyOwner
) -> None:
    keys = [
        replace(key, owner=owner)
        if (key.owner.site, key.owner.role) == (SITES[0], KeyRole.OFFICER)
        else key
        for key in certified(centre, {})
    ]
    found = verdict(rebuilt(tmp_path / "role.zip", with_keys(centre, members, keys)))
    assert found.item == f"dsse/00001-{SITES[0]}-approval.json"
    assert found.what == "its signer may not sign this for this site"


def test_certificates_of_another_issuer_are_named(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    other = new_signer()
    foreign = certificates(certified(centre, {}), other)
    mixed = members[ROOT] + foreign.removeprefix(root_certificate(other))
    assert forged(tmp_path, centre, members, {CHAIN: mixed}) == CHAIN
    assert forged(tmp_path, centre, members, {CHAIN: foreign}) == CHAIN


def test_what_a_site_signed_before_it_was_revoked_holds_in_a_later_correction(
    tmp_path: Path,
) -> None:
    home = make_centre(tmp_path / "own")
    given = candidate(home, statements=statements(home))
    first, _ = home.registrar.register(given, actor="centre")
    gone = keys_of(home, SITES[0])
    later = retiring(home, gone, NOW + timedelta(days=1), now=NOW + timedelta(days=2))
    corrected = candidate(home, statements=statements(home), supersedes=first.entry)
    stored, _ = later.register(corrected, actor="centre")
    path = export(later, stored.entry, tmp_path / "corrected.zip")
    assert verdict(path).verified
    members = members_of(path)
    assert json.loads(members["items/earlier-00001.json"])["version"] == "0.1.0"
    other = json.loads(members["items/earlier-00001.json"]) | {"version": "0.1.9"}
    forged = members | signed_as(home, "earlier-00001", other, PredicateType.MODEL_VERSION)
    assert named(tmp_path, resigned(forged, home.signer, entry=stored.entry)) == (
        "items/earlier-00001.json"
    )


def test_an_entry_whose_keys_were_revoked_before_it_is_not_exported(tmp_path: Path) -> None:
    home = make_centre(tmp_path / "own")
    given = candidate(home, statements=statements(home))
    stored, _ = home.registrar.register(given, actor="centre")
    gone = keys_of(home, SITES[0])
    with pytest.raises(ExportUnsoundError, match="valid by then"):
        export(retiring(home, gone, NOW, now=NOW), stored.entry, tmp_path / "b.zip")
    later = retiring(home, gone, NOW + timedelta(days=1), now=NOW)
    assert verdict(export(later, stored.entry, tmp_path / "b.zip")).verified


def retiring(home: Centre, gone: list[KnownKey], at: datetime, *, now: datetime) -> Registrar:
    """The registrar after some keys were revoked."""
    every = home.keys()
    kept = [known for known in every if known not in gone]
    changed = replace(
        home.registrar, keys=lambda: kept, retired=lambda: [RetiredKey(one, at) for one in gone]
    )
    return with_clock(changed, now)


def test_times_in_the_bundle_are_utc(members: Members) -> None:
    listed = x509.load_pem_x509_crl(members[REVOKED])
    assert listed.last_update_utc == NOW.astimezone(UTC)


# --- logged before the revocation, registered after it -------------------------------------

REVOKED_AT = NOW + timedelta(seconds=30)
DATED = "log/dated/00001.json"


@pytest.fixture
def retired(tmp_path: Path) -> tuple[Centre, Path]:
    """A version that rests on what a site signed before it was revoked, exported since."""
    home = make_centre(tmp_path / "retired")
    enter_statements(
        home.registrar.store,
        [str(one["envelope"]) for one in statements(home)],
        keys=home.keys(),
        signer=home.signer,
        actor="centre",
        at=REVOKED_AT - timedelta(milliseconds=1),
    )
    later = retiring(home, keys_of(home, SITES[0]), REVOKED_AT, now=NOW + timedelta(days=2))
    given = candidate(home, statements=statements(home))
    stored, _ = later.register(given, actor="centre")
    return home, export(later, stored.entry, tmp_path / "retired.zip")


def an_event(signer: Signer, **changes: object) -> bytes:
    """An event of the trail that says how large the log was, in a bundle's form."""
    event = {"at": NOW.isoformat(), "details": {"log_size": "9"}} | changes
    return event_member(canonical(event).decode(), signer.sign(EVENT_CONTEXT + canonical(event)))


def test_what_the_log_had_before_a_revocation_stays_good_in_a_version_registered_after_it(
    retired: tuple[Centre, Path],
) -> None:
    _, path = retired
    event = json.loads(members_of(path)[DATED])["event"]
    assert (event["kind"], event["details"]["log_size"]) == ("statements-logged", "9")
    assert verdict(path).verified


def test_without_the_date_nothing_shows_that_the_key_counted(
    tmp_path: Path, retired: tuple[Centre, Path]
) -> None:
    home, path = retired
    rest = {name: content for name, content in members_of(path).items() if name != DATED}
    found = verdict(rebuilt(tmp_path / "undated.zip", resigned(rest, home.signer)))
    assert (found.item, found.what) == (
        f"dsse/00001-{SITES[0]}-approval.json",
        "nothing shows that its key was valid by then",
    )


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"at": (REVOKED_AT - timedelta(seconds=1)).isoformat()}, True),
        ({"at": REVOKED_AT.isoformat()}, False),
        ({"details": {"log_size": "0"}}, False),
        ({"details": {"log_size": "1"}}, False),
    ],
)
def test_an_event_dates_what_lies_before_the_size_that_it_says(
    tmp_path: Path, retired: tuple[Centre, Path], changes: dict[str, object], holds: bool
) -> None:
    home, path = retired
    members = members_of(path) | {DATED: an_event(home.signer, **changes)}
    found = verdict(rebuilt(tmp_path / "dated.zip", resigned(members, home.signer)))
    assert found.verified is holds
    assert holds or found.what == "nothing shows that its key was valid by then"


@pytest.mark.parametrize(
    "changes",
    [
        {"at": "2026-09-01T08:00:00"},
        {"at": "yesterday"},
        {"at": 5},
        {"details": {}},
        {"details": {"log_size": 9}},
        {"details": {"log_size": "-9"}},
        {"details": {"log_size": "٩"}},
        {"details": {"log_size": "9" * 17}},
    ],
    ids=str,
)
def test_an_event_of_another_form_is_named(
    tmp_path: Path, retired: tuple[Centre, Path], changes: dict[str, object]
) -> None:
    home, path = retired
    members = members_of(path) | {DATED: an_event(home.signer, **changes)}
    assert named(tmp_path, resigned(members, home.signer)) == DATED


def test_an_event_that_another_key_signed_or_that_is_respelled_is_named(
    tmp_path: Path, retired: tuple[Centre, Path]
) -> None:
    home, path = retired
    good = an_event(home.signer)
    respelled = json.dumps(json.loads(good)).encode()
    more = canonical(json.loads(good) | {"more": 1})
    for content in (an_event(new_signer()), respelled, more, b"{}", b"[]", b"null"):
        members = members_of(path) | {DATED: content}
        assert named(tmp_path, resigned(members, home.signer)) == DATED
