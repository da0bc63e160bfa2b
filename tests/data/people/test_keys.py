"""Keys behind one port: every body gives the same names, none gives a key out."""

from collections.abc import Callable
from pathlib import Path

import pytest

from clients.data.people.keys import FileKeys, KeyProvider, MemoryKeys
from clients.data.people.pseudonyms import Names, Pseudonyms
from federation.errors.data import PseudonymKeyError
from federation.errors.people import KeyUnknownError

ONE, TWO = b"1" * 32, b"2" * 32
Provide = Callable[[Path, bytes], KeyProvider]


def of_file(folder: Path, ring: bytes) -> KeyProvider:
    path = folder / "pseudonym.key"
    path.write_bytes(ring)
    path.chmod(0o600)
    return FileKeys(path)


def of_memory(_: Path, ring: bytes) -> KeyProvider:
    return MemoryKeys.of(ring)


each_body = pytest.mark.parametrize("provide", [of_file, of_memory])


@each_body
def test_the_last_key_is_current_and_each_is_found_by_its_name(
    provide: Provide, tmp_path: Path
) -> None:
    provider = provide(tmp_path, ONE + TWO)
    old, new = provider.ring()
    assert provider.current().id == new.id != old.id
    assert provider.by_id(old.id).hmac("x", b"y") == old.hmac("x", b"y")
    with pytest.raises(KeyUnknownError):
        provider.by_id("0" * 16)


@each_body
def test_names_from_a_provider_are_the_names_from_the_raw_keys(
    provide: Provide, tmp_path: Path
) -> None:
    names, raw = Names(provide(tmp_path, ONE + TWO).ring()), Pseudonyms(ONE + TWO)
    assert names.patient("PID1") == raw.patient("PID1")
    assert names.uid("1.2.3") == raw.uid("1.2.3")
    assert names.content(b"c" * 32) == raw.content(b"c" * 32)
    assert names.pixels(b"p" * 32) == raw.pixels(b"p" * 32)


@each_body
def test_a_key_is_not_shown_and_its_name_says_nothing_of_it(
    provide: Provide, tmp_path: Path
) -> None:
    provider = provide(tmp_path, ONE)
    shown = repr(provider) + repr(provider.current()) + repr(Pseudonyms(ONE))
    assert "1111" not in shown
    assert ONE.hex() not in shown
    assert provider.current().id not in ONE.hex()


@each_body
def test_purposes_do_not_share_digests(provide: Provide, tmp_path: Path) -> None:
    key = provide(tmp_path, ONE).current()
    assert key.hmac("patient", b"x") != key.hmac("uid", b"x")


@pytest.mark.parametrize("ring", [b"", b"short", ONE + b"x", ONE * 65])
def test_a_ring_that_is_no_whole_number_of_keys_is_refused(ring: bytes, tmp_path: Path) -> None:
    with pytest.raises(PseudonymKeyError):
        MemoryKeys.of(ring)
    with pytest.raises(PseudonymKeyError):
        of_file(tmp_path, ring).ring()


def test_a_key_file_open_to_others_is_refused(tmp_path: Path) -> None:
    provider = of_file(tmp_path, ONE)
    (tmp_path / "pseudonym.key").chmod(0o640)
    with pytest.raises(PseudonymKeyError, match="mode"):
        provider.ring()


def test_a_name_under_two_keys_is_the_name_of_the_name() -> None:
    first, second, both = Pseudonyms(ONE), Pseudonyms(TWO), Pseudonyms(ONE + TWO)
    assert both.patient("PID1") == second.patient(first.patient("PID1"))
    assert both.uid("1.2.3") == second.uid(first.uid("1.2.3"))
    digest = b"d" * 32
    assert both.content(digest) == second.content(bytes.fromhex(first.content(digest)))
    assert both.shift_days("PID1") == first.shift_days("PID1")
    assert both.patient_over_time("PID1") == (first.patient("PID1"), both.patient("PID1"))
    assert both.patient("PID1") in both.patient_since(first.patient("PID1"))


def test_one_key_gives_the_names_it_always_gave() -> None:
    """HMAC-SHA-256 over purpose, zero byte and source, by another implementation."""
    from cryptography.hazmat.primitives import hashes, hmac

    engine = hmac.HMAC(ONE, hashes.SHA256())
    engine.update(b"patient\0PID1")
    assert Pseudonyms(ONE).patient("PID1") == "P" + engine.finalize().hex()[:32]


def test_pseudonyms_of_two_projects_share_no_more_than_chance() -> None:
    """Bits at the same place agree in half of the cases: 4 sigma of 256,000 coin throws."""
    first, second = Pseudonyms(ONE), Pseudonyms(TWO)
    agree = total = 0
    names: set[str] = set()
    for number in range(2000):
        a, b = (int(p.patient(f"PID{number}")[1:], 16) for p in (first, second))
        agree += 128 - (a ^ b).bit_count()
        total += 128
        names |= {f"{a:032x}", f"{b:032x}"}
    assert len(names) == 4000
    assert abs(agree / total - 0.5) < 4 * 0.5 / total**0.5
