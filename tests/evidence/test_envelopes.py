"""DSSE envelopes: the vector, and every way to forge or bend one."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from federation.domain.ids import Sha256, SiteId
from federation.errors.signed import (
    BadSignatureError,
    KeyFileError,
    MalformedEnvelopeError,
    StatementTooLargeError,
    UnknownSignerError,
    WrongPredicateError,
)
from federation.evidence.canonical import canonical
from federation.evidence.dsse import PAYLOAD_TYPE, Envelope, pae
from federation.evidence.keyring import SIGNER_OF, KeyRole, KnownKey, keys_for
from federation.evidence.signing import Signer, new_key, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey, trusted_keys, verify_envelope


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return new_key(tmp_path / "evidence.key")


def a_statement(**said: object) -> Statement:
    subject = Subject("study/cxr-2026", Sha256.of(b"study"))
    return Statement((subject,), PredicateType.APPROVAL, said or {"decision": "approved"})


def read(
    envelope: str | bytes, *signers: Signer, expected: PredicateType = PredicateType.APPROVAL
) -> Statement:
    trusted = trusted_keys([one.public_key for one in signers])
    return verify_envelope(envelope, trusted=trusted, expected=expected)


def signed(payload: bytes, signer: Signer) -> str:
    """Sign bytes that `sign_dsse` would never sign."""
    return Envelope(payload, signer.keyid, signer.sign(pae(PAYLOAD_TYPE, payload))).as_json()


def test_pae_is_that_of_the_dsse_specification() -> None:
    # github.com/secure-systems-lab/dsse, protocol.md, test vectors
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected


def test_pae_counts_bytes_not_characters() -> None:
    assert pae("臺", "灣".encode()) == "DSSEv1 3 臺 3 灣".encode()


def test_a_signed_statement_comes_back_as_it_was(signer: Signer) -> None:
    statement = a_statement(site="tainan-1", epsilon=7.5, rounds=[1, 2])
    assert read(sign_dsse(statement, signer), signer) == statement


def test_signing_twice_gives_the_same_bytes(signer: Signer) -> None:
    assert sign_dsse(a_statement(), signer) == sign_dsse(a_statement(), signer)


def test_the_key_file_gives_the_same_signer_again(signer: Signer, tmp_path: Path) -> None:
    again = Signer.load(tmp_path / "evidence.key")
    assert again.keyid == signer.keyid == PublicKey.load(tmp_path / "evidence.pub").keyid
    assert read(sign_dsse(a_statement(), again), signer) == a_statement()


def test_the_key_id_is_the_digest_of_the_spki(signer: Signer) -> None:
    body = b"".join(signer.public_key.pem.splitlines()[1:-1])
    assert signer.keyid == Sha256.of(base64.b64decode(body))
    assert PublicKey.from_raw(signer.public_key.raw).keyid == signer.keyid


def test_a_flip_of_any_byte_is_refused(signer: Signer) -> None:
    envelope = sign_dsse(a_statement(), signer).encode()
    for place in range(len(envelope)):
        for bit in (1, 0x20):
            changed = bytearray(envelope)
            changed[place] ^= bit
            with pytest.raises((MalformedEnvelopeError, UnknownSignerError, BadSignatureError)):
                read(bytes(changed), signer)


def test_a_signature_of_a_stranger_is_refused(signer: Signer, tmp_path: Path) -> None:
    stranger = new_key(tmp_path / "stranger.key")
    with pytest.raises(UnknownSignerError):
        read(sign_dsse(a_statement(), stranger), signer)


def test_a_stranger_who_claims_a_trusted_key_id_is_refused(signer: Signer, tmp_path: Path) -> None:
    stranger = new_key(tmp_path / "stranger.key")
    payload = a_statement().as_bytes()
    forged = Envelope(payload, signer.keyid, stranger.sign(pae(PAYLOAD_TYPE, payload)))
    with pytest.raises(BadSignatureError):
        read(forged.as_json(), signer)


def test_a_signature_over_the_bare_payload_is_refused(signer: Signer) -> None:
    payload = a_statement().as_bytes()
    with pytest.raises(BadSignatureError):
        read(Envelope(payload, signer.keyid, signer.sign(payload)).as_json(), signer)


def test_a_true_statement_of_another_kind_is_refused(signer: Signer) -> None:
    envelope = sign_dsse(a_statement(), signer)
    with pytest.raises(WrongPredicateError) as caught:
        read(envelope, signer, expected=PredicateType.EVALUATION)
    assert "approval" in caught.value.say_what()


def test_an_envelope_over_one_mebibyte_is_not_even_parsed(signer: Signer) -> None:
    with pytest.raises(StatementTooLargeError):
        read(b"{" * (2**20 + 1), signer)


def bent(envelope: str) -> dict[str, str]:
    """The same signed content in other spellings, or with something added."""
    raw = json.loads(envelope)
    (signature,) = raw["signatures"]
    return {
        "spaces": json.dumps(raw),
        "line feed": envelope + "\n",
        "extra key": canonical({**raw, "more": 1}).decode(),
        "extra in signature": canonical({**raw, "signatures": [{**signature, "x": 1}]}).decode(),
        "two signatures": canonical({**raw, "signatures": [signature, signature]}).decode(),
        "no signature": canonical({**raw, "signatures": []}).decode(),
        "other payload type": canonical({**raw, "payloadType": "text/plain"}).decode(),
        "base64 with a line feed": canonical({**raw, "payload": raw["payload"] + "\n"}).decode(),
        "base64 without padding": canonical(
            {**raw, "signatures": [{**signature, "sig": signature["sig"].rstrip("=")}]}
        ).decode(),
        "repeated key": envelope.replace('{"payload"', '{"payload":"","payload"', 1),
        "list": "[]",
        "empty": "",
        "not a key id": canonical(
            {**raw, "signatures": [{**signature, "keyid": "centre"}]}
        ).decode(),
    }


@pytest.mark.parametrize("how", list(bent('{"payload":"","signatures":[{"keyid":"","sig":""}]}')))
def test_an_envelope_in_another_spelling_is_refused(how: str, signer: Signer) -> None:
    with pytest.raises(MalformedEnvelopeError):
        read(bent(sign_dsse(a_statement(), signer))[how], signer)


def payloads() -> dict[str, bytes]:
    raw = json.loads(a_statement().as_bytes())
    (subject,) = raw["subject"]
    return {
        "not json": b"approved",
        "spaces": json.dumps(raw).encode(),
        "old statement type": canonical({**raw, "_type": "https://in-toto.io/Statement/v0.1"}),
        "no subject": canonical({**raw, "subject": []}),
        "subject twice": canonical({**raw, "subject": [subject, subject]}),
        "subject without digest": canonical({**raw, "subject": [{"name": "x"}]}),
        "weak digest": canonical({**raw, "subject": [{"name": "x", "digest": {"md5": "0"}}]}),
        "short digest": canonical({**raw, "subject": [{"name": "x", "digest": {"sha256": "0"}}]}),
        "nameless subject": canonical({**raw, "subject": [{**subject, "name": ""}]}),
        "unknown predicate": canonical({**raw, "predicateType": "urn:trifed:predicate:x:v1"}),
        "predicate not an object": canonical({**raw, "predicate": []}),
        "extra key": canonical({**raw, "more": 1}),
    }


@pytest.mark.parametrize("how", list(payloads()))
def test_a_correctly_signed_payload_that_is_no_statement_is_refused(
    how: str, signer: Signer
) -> None:
    with pytest.raises(MalformedEnvelopeError):
        read(signed(payloads()[how], signer), signer)


def test_a_statement_does_not_change_with_the_value_it_was_made_of(signer: Signer) -> None:
    said: dict[str, object] = {"decision": "refused"}
    statement = Statement(a_statement().subjects, PredicateType.APPROVAL, said)
    said["decision"] = "approved"
    assert read(sign_dsse(statement, signer), signer).predicate == {"decision": "refused"}


def test_a_private_key_that_others_can_read_is_not_used(signer: Signer, tmp_path: Path) -> None:
    path = tmp_path / "evidence.key"
    assert path.stat().st_mode & 0o777 == 0o600
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(KeyFileError):
            Signer.load(path)


def test_a_key_is_never_replaced(signer: Signer, tmp_path: Path) -> None:
    before = (tmp_path / "evidence.key").read_bytes()
    with pytest.raises(KeyFileError):
        new_key(tmp_path / "evidence.key")
    assert (tmp_path / "evidence.key").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evidence.key", "evidence.pub"]


def test_a_key_of_another_kind_or_a_broken_file_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "other.key"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    path.chmod(0o600)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(KeyFileError):
        Signer.load(path)
    path.write_bytes(b"nothing")
    for refused in (lambda: Signer.load(path), lambda: Signer.load(tmp_path / "missing.key")):
        with pytest.raises(KeyFileError):
            refused()
    for content in (public, b"nothing", b""):
        with pytest.raises(KeyFileError):
            PublicKey.from_pem(content)
    with pytest.raises(KeyFileError):
        PublicKey.from_raw(b"short")


def test_neither_key_is_shown_by_repr(signer: Signer) -> None:
    assert repr(signer) == f"Signer({signer.keyid})"


def test_every_kind_of_statement_has_one_party_that_may_sign_it() -> None:
    assert set(SIGNER_OF) == set(PredicateType)
    assert [PredicateType.of(kind.short) for kind in PredicateType] == list(PredicateType)


def test_a_nodes_key_may_not_sign_an_approval(tmp_path: Path) -> None:
    site = SiteId("tainan-1")
    node, officer = new_key(tmp_path / "node.key"), new_key(tmp_path / "officer.key")
    keys = [
        KnownKey(site, KeyRole.NODE, node.public_key),
        KnownKey(site, KeyRole.OFFICER, officer.public_key),
    ]
    assert list(keys_for(PredicateType.APPROVAL, site=site, keys=keys)) == [officer.keyid]
    assert list(keys_for(PredicateType.UPDATE, site=site, keys=keys)) == [node.keyid]
    assert not keys_for(PredicateType.UPDATE, site=SiteId("taipei-2"), keys=keys)
