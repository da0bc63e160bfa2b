"""A hospital agrees to sums with the hospitals that it knows, not with what a centre invents."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clients.sum_peers import PeerRule, check_peers, describe_peers, pinned_of
from federation.domain.evaluation_plan import Peer
from federation.domain.ids import SiteId
from federation.errors.secure_sum import SumPeersRefusedError, TooFewInSumError
from federation.evidence.signing import Signer

ME, FRIEND, OTHER = SiteId("tainan-1"), SiteId("taipei-2"), SiteId("hualien-3")
KEYS = {name: Signer(Ed25519PrivateKey.generate()).public_key for name in (ME, FRIEND, OTHER)}
PEERS = tuple(Peer(name, key.raw.hex()) for name, key in KEYS.items())
STRANGER = Signer(Ed25519PrivateKey.generate()).public_key
LINES = [f"{FRIEND} {KEYS[FRIEND].keyid}", f"{OTHER} {KEYS[OTHER].keyid}"]


def rule(*lines: str, fewest_known: int = 0, fewest: int = 3) -> PeerRule:
    return PeerRule.of(lines, fewest_known=fewest_known, fewest=fewest)


def check(peers: tuple[Peer, ...], asked: PeerRule) -> None:
    check_peers(peers, site=ME, own=KEYS[ME], rule=asked)


def with_key(at: int, key: str) -> tuple[Peer, ...]:
    return (*PEERS[:at], replace(PEERS[at], node_key=key), *PEERS[at + 1 :])


def test_three_hospitals_whose_keys_were_compared_are_agreed_to() -> None:
    check(PEERS, rule(*LINES, fewest_known=2))
    assert pinned_of(PEERS).keys() == KEYS.keys()
    assert [key.keyid for key in pinned_of(PEERS).values()] == [k.keyid for k in KEYS.values()]


@pytest.mark.parametrize("lines", [[], LINES[:1]])
def test_hospitals_that_nobody_compared_are_too_few_where_the_policy_asks(
    lines: list[str],
) -> None:
    with pytest.raises(SumPeersRefusedError, match="too few of the others"):
        check(PEERS, rule(*lines, fewest_known=2))


def test_this_hospital_itself_does_not_count_as_another() -> None:
    with pytest.raises(SumPeersRefusedError, match="too few of the others"):
        check(PEERS, rule(LINES[0], f"{ME} {KEYS[ME].keyid}", fewest_known=2))


def test_a_known_hospital_with_another_key_is_refused() -> None:
    """The centre puts a key of its own under a hospital's name."""
    with pytest.raises(SumPeersRefusedError, match="another key"):
        check(with_key(1, STRANGER.raw.hex()), rule(*LINES))


def test_a_study_that_names_this_hospital_with_a_key_that_is_not_its_own_is_refused() -> None:
    with pytest.raises(SumPeersRefusedError, match="the key of its node"):
        check(with_key(0, STRANGER.raw.hex()), rule())
    with pytest.raises(SumPeersRefusedError, match="the key of its node"):
        check((*PEERS[1:], Peer(SiteId("chiayi-4"), STRANGER.raw.hex())), rule())


def test_one_key_under_two_names_is_refused() -> None:
    with pytest.raises(SumPeersRefusedError, match="twice"):
        check(with_key(2, KEYS[FRIEND].raw.hex()), rule())
    with pytest.raises(SumPeersRefusedError, match="twice"):
        check((*PEERS, PEERS[0]), rule())


@pytest.mark.parametrize("key", ["", "zz", "00" * 31, "00" * 33])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(SumPeersRefusedError, match="cannot be read"):
        check(with_key(1, key), rule())


def test_two_hospitals_or_fewer_than_the_policy_asks_are_refused() -> None:
    with pytest.raises(TooFewInSumError):
        check(PEERS[:2], rule())
    with pytest.raises(TooFewInSumError):
        check(PEERS[:2], rule(fewest=1))
    with pytest.raises(TooFewInSumError):
        check(PEERS, rule(fewest=4))


@pytest.mark.parametrize(
    "lines",
    [["tainan-1"], ["tainan-1 sha256:12"], ["Tainan " + LINES[0].split()[1]], [""], LINES[:1] * 2],
)
def test_a_policy_line_of_another_form_allows_nothing(lines: list[str]) -> None:
    with pytest.raises(SumPeersRefusedError):
        rule(*lines)


def test_staff_see_every_site_with_its_key_and_whether_it_was_compared() -> None:
    lines = describe_peers(PEERS, site=ME, rule=rule(LINES[0]))

    assert [(one.site, one.is_own, one.is_known) for one in lines] == [
        (ME, True, False),
        (FRIEND, False, True),
        (OTHER, False, False),
    ]
    assert lines[1].as_json() == {
        "site": "taipei-2", "keyid": str(KEYS[FRIEND].keyid), "own": False, "compared": True,
    }  # fmt: skip
