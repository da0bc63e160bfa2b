"""What a hospital signed before it was revoked stays good, and nothing by its keys after it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from clients.home import NodeHome
from federation.coordinator.home import CentreHome
from federation.coordinator.records import ControlRecords
from federation.domain.ids import Sha256, StudyId
from federation.domain.site import SiteState
from federation.errors.signed import UnknownSignerError
from federation.errors.upkeep import RevokedUnloggedError
from federation.evidence.keyring import KeyRole, KnownKey
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.operations.embedded_registry import (
    known_keys,
    registrar,
    retired_keys,
    todays_keys,
)
from federation.operations.revocation import GRACE, retire_site
from federation.protocol.mapping import SignedDecision
from registry.models.checks import Vouched
from registry.models.trust import check_retired
from tests.pki.builders import TAINAN, a_centre, an_enrolled_node

STUDY = Sha256.of(b"study")


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def centre(tmp_path: Path) -> CentreHome:
    return a_centre(tmp_path / "C")


@pytest.fixture
def node(tmp_path: Path, centre: CentreHome) -> NodeHome:
    return an_enrolled_node(tmp_path / "N", centre)


def approval(node: NodeHome, decision: str = "approved") -> str:
    said = {"site": TAINAN, "decision": decision}
    statement = Statement((Subject("study/cxr", STUDY),), PredicateType.APPROVAL, said)
    return sign_dsse(statement, Signer.load(node.officer_key))


def decide(centre: CentreHome, envelope: bytes) -> None:
    decision = SignedDecision(StudyId("cxr"), STUDY, envelope)
    ControlRecords(centre.folder).decide(TAINAN, decision)


def check(centre: CentreHome, envelope: str) -> None:
    """What a registration does with a statement of a key that was revoked since."""
    keeper = registrar(centre)
    (officer,) = (one.known for one in retired_keys(centre) if one.known.role is KeyRole.OFFICER)
    given = [Vouched(TAINAN, PredicateType.APPROVAL, envelope, officer)]
    with keeper.store.reading() as transaction:
        check_retired(transaction, given, keeper.retired())


def names(keys: object) -> set[str]:
    assert hasattr(keys, "__iter__")
    return {one.name for one in keys if isinstance(one, KnownKey)}


def test_a_revoked_sites_keys_are_none_of_todays_and_are_known_with_their_time(
    centre: CentreHome, node: NodeHome
) -> None:
    key = Signer.load(centre.evidence_key).public_key
    both = {"tainan-1-node", "tainan-1-officer"}
    assert names(todays_keys(centre, centre=key)) == both | {"centre"}
    assert not list(retired_keys(centre))

    before = now().replace(microsecond=0)
    retire_site(centre, site=TAINAN, reason="left", clock=now)

    assert names(todays_keys(centre, centre=key)) == {"centre"}
    assert names(known_keys(centre, centre=key)) == both | {"centre"}
    found = list(retired_keys(centre))
    assert {one.known.name for one in found} == both
    assert all(before + GRACE <= one.at <= now() + GRACE for one in found)


def test_a_decision_that_the_centre_had_is_logged_by_then_and_stays_good(
    centre: CentreHome, node: NodeHome
) -> None:
    accepted, never = approval(node), approval(node, "approved for ever")
    decide(centre, accepted.encode())

    retire_site(centre, site=TAINAN, reason="left", clock=now)

    check(centre, accepted)
    with pytest.raises(UnknownSignerError):
        check(centre, never)


def test_a_site_is_revoked_even_where_what_it_signed_cannot_be_logged(
    centre: CentreHome, node: NodeHome
) -> None:
    bent = approval(node).replace('"payload":"', '"payload":"A')  # whatever is in it
    decide(centre, bent.encode())

    with pytest.raises(RevokedUnloggedError, match="TF70"):
        retire_site(centre, site=TAINAN, reason="left", clock=now)

    assert centre.roster().entry(TAINAN).state is SiteState.REVOKED


def test_what_was_logged_too_late_is_said(centre: CentreHome, node: NodeHome) -> None:
    times = iter([now(), now() + GRACE])
    with pytest.raises(RevokedUnloggedError, match="too long"):
        retire_site(centre, site=TAINAN, reason="left", clock=lambda: next(times))
