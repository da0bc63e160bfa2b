"""A policy counts when the data officer signed this text, not too long ago, and no newer one."""

from datetime import timedelta
from pathlib import Path

import pytest

from clients.policy import policy_in_force, seen_file, sign_policy
from clients.policy.signed import signature_file
from clients.seals import Matter, seal
from clients.seen import Seen
from federation.domain.ids import Sha256, SiteId
from federation.errors.approval import (
    PolicyChangedError,
    PolicyExpiredError,
    PolicyRolledBackError,
    PolicySignerError,
    PolicyUnreadableError,
    PolicyUnsignedError,
)
from federation.errors.core import UnreadableRecordError
from federation.evidence.signing import Signer
from tests.node.hospital import NOW, Hospital, a_hospital


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    return a_hospital(tmp_path)


def test_a_signed_policy_is_in_force_with_its_number_and_end(hospital: Hospital) -> None:
    found = policy_in_force(hospital.home, now=NOW)

    assert (found.number, found.signed_at) == (1, NOW)
    assert found.expires == NOW + timedelta(days=365)
    assert found.policy.largest_epsilon == 8.0


def test_a_policy_that_nobody_signed_allows_nothing(hospital: Hospital) -> None:
    signature_file(hospital.home).unlink()

    with pytest.raises(PolicyUnsignedError, match="trifed node policy sign"):
        policy_in_force(hospital.home, now=NOW)


def test_a_missing_policy_allows_nothing(hospital: Hospital) -> None:
    hospital.home.policy.unlink()

    with pytest.raises(PolicyUnreadableError):
        policy_in_force(hospital.home, now=NOW)


def test_a_policy_edited_after_signing_allows_nothing(hospital: Hospital) -> None:
    hospital.write_policy(largest_epsilon=99.0)

    with pytest.raises(PolicyChangedError):
        policy_in_force(hospital.home, now=NOW)


def test_a_policy_changed_by_one_space_allows_nothing(hospital: Hospital) -> None:
    content = hospital.home.policy.read_bytes()
    hospital.home.policy.write_bytes(content + b" ")

    with pytest.raises(PolicyChangedError):
        policy_in_force(hospital.home, now=NOW)


def forged(
    hospital: Hospital, *, key: Path, site: str = "north", matter: Matter = Matter.POLICY
) -> bytes:
    return seal(
        matter,
        "policy.toml",
        Sha256.of(hospital.home.policy.read_bytes()),
        site=SiteId(site),
        signer=Signer.load(key),
        now=NOW,
        said={"number": 9, "expires": (NOW + timedelta(days=9)).isoformat(), "resets_clock": False},
    )


def test_the_nodes_own_key_may_not_sign_the_policy(hospital: Hospital) -> None:
    signature_file(hospital.home).write_bytes(forged(hospital, key=hospital.home.node_key))

    with pytest.raises(PolicySignerError, match="data officer"):
        policy_in_force(hospital.home, now=NOW)


@pytest.mark.parametrize(
    "changes", [{"site": "south"}, {"matter": Matter.PERSON}, {"matter": Matter.ENDORSEMENT}]
)
def test_an_officers_word_about_something_else_is_no_policy(
    hospital: Hospital, changes: dict[str, object]
) -> None:
    content = forged(hospital, key=hospital.home.officer_key, **changes)  # type: ignore[arg-type]
    signature_file(hospital.home).write_bytes(content)

    with pytest.raises(PolicySignerError):
        policy_in_force(hospital.home, now=NOW)


def test_no_byte_of_the_signature_may_change(hospital: Hospital) -> None:
    content = signature_file(hospital.home).read_bytes()

    for place in range(0, len(content), 7):
        changed = bytearray(content)
        changed[place] ^= 1
        signature_file(hospital.home).write_bytes(changed)
        with pytest.raises(PolicySignerError):
            policy_in_force(hospital.home, now=NOW)


def test_a_policy_expires(hospital: Hospital) -> None:
    with pytest.raises(PolicyExpiredError):
        policy_in_force(hospital.home, now=NOW + timedelta(days=365))


def test_a_policy_is_valid_as_long_as_it_says(hospital: Hospital) -> None:
    hospital.sign_policy(valid_days=2)

    with pytest.raises(PolicyExpiredError):
        policy_in_force(hospital.home, now=NOW + timedelta(days=2))


def kept(hospital: Hospital) -> tuple[bytes, bytes]:
    return hospital.home.policy.read_bytes(), signature_file(hospital.home).read_bytes()


def put_back(hospital: Hospital, copy: tuple[bytes, bytes]) -> None:
    hospital.home.policy.write_bytes(copy[0])
    signature_file(hospital.home).write_bytes(copy[1])


def test_an_older_signed_policy_put_back_allows_nothing(hospital: Hospital) -> None:
    weaker = kept(hospital)
    hospital.sign_policy(largest_epsilon=1.0)
    assert policy_in_force(hospital.home, now=NOW).number == 2
    put_back(hospital, weaker)

    with pytest.raises(PolicyRolledBackError):
        policy_in_force(hospital.home, now=NOW)


def test_two_texts_of_one_number_are_noticed(hospital: Hospital) -> None:
    seen, first = seen_file(hospital.home).read_bytes(), kept(hospital)
    signature_file(hospital.home).unlink()
    seen_file(hospital.home).unlink()
    hospital.sign_policy(largest_epsilon=1.0)
    assert first != kept(hospital)
    seen_file(hospital.home).write_bytes(seen)

    with pytest.raises(PolicyRolledBackError):
        policy_in_force(hospital.home, now=NOW)


def test_the_number_grows_even_when_the_memory_is_gone(hospital: Hospital) -> None:
    hospital.sign_policy()
    seen_file(hospital.home).unlink()
    hospital.sign_policy()

    assert policy_in_force(hospital.home, now=NOW).number == 3


def test_a_damaged_memory_is_not_an_empty_one(hospital: Hospital) -> None:
    seen_file(hospital.home).write_text("{}", encoding="utf-8")

    with pytest.raises(UnreadableRecordError):
        policy_in_force(hospital.home, now=NOW)


def test_a_text_that_is_no_policy_is_not_signed(hospital: Hospital) -> None:
    hospital.write_policy(largest_delta=2)

    with pytest.raises(PolicyUnreadableError, match="largest_delta"):
        sign_policy(hospital.home, now=NOW)


def test_what_was_seen_only_grows(hospital: Hospital) -> None:
    path, later = seen_file(hospital.home), (NOW + timedelta(hours=1)).isoformat()
    Seen(later, 7, str(Sha256.of(b"seven"))).remember(path)
    Seen(NOW.isoformat(), 3, str(Sha256.of(b"three"))).remember(path)

    assert Seen.read(path) == Seen(later, 7, str(Sha256.of(b"seven")))
