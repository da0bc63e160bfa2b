"""Signed weights: made by model-signing, verified with and without it, and how to bend one."""

import base64
import hashlib
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.commands.evidence_log import log_app
from federation.coordinator.home import CentreHome
from federation.domain.ids import Sha256
from federation.errors.registry import ArtefactError
from federation.errors.witness import WeightsSignatureError
from federation.evidence.canonical import canonical
from federation.evidence.dsse import PAYLOAD_TYPE, pae
from federation.evidence.model_version import Candidate, ModelFile
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.evidence.weights import (
    key_hint,
    new_weights_key,
    public_pem,
    sign_weights,
    verify_weights,
    vouch_for,
    vouched_key,
)
from federation.operations.enrolment import init_centre
from federation.operations.registry import register_candidate
from registry.evidence.weights import sign_model, signed_weights, weights_problems
from tests.registry.builders import facts, make_centre, save_model

REASON = "the package model-signing is not installed"


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    pytest.importorskip("model_signing", reason=REASON)
    folder = tmp_path_factory.mktemp("weights")
    model = folder / "model.safetensors"
    model.write_bytes(b"weights" * 100)
    pem = new_weights_key(folder / "weights.key")
    signature = sign_weights(model, folder / "weights.key")
    return {
        "folder": folder,
        "model": model,
        "pem": pem,
        "signature": signature,
        "sha256": Sha256.of(model.read_bytes()),
    }


def a_signer() -> Signer:
    return Signer(Ed25519PrivateKey.generate())


def test_what_the_tool_signed_verifies_without_it(signed: dict[str, Any]) -> None:
    verify_weights(signed["signature"], sha256=signed["sha256"], pem=signed["pem"])
    assert key_hint(signed["signature"]) == hashlib.sha256(signed["pem"]).hexdigest()


def test_what_verifies_here_verifies_with_the_tool(signed: dict[str, Any], tmp_path: Path) -> None:
    from model_signing import verifying

    (tmp_path / "model.sig").write_bytes(signed["signature"])
    (tmp_path / "weights.pub").write_bytes(signed["pem"])
    config = verifying.Config().use_elliptic_key_verifier(public_key=tmp_path / "weights.pub")
    config.verify(signed["model"], tmp_path / "model.sig")


def test_the_signature_needs_no_online_log(signed: dict[str, Any]) -> None:
    assert json.loads(signed["signature"])["verificationMaterial"]["tlogEntries"] == []


def test_signing_leaves_nothing_else_behind(signed: dict[str, Any]) -> None:
    names = {path.name for path in signed["folder"].iterdir()}
    assert names == {"model.safetensors", "weights.key", "weights.pub"}
    assert stat.S_IMODE((signed["folder"] / "weights.key").stat().st_mode) == 0o600


def test_a_key_is_never_replaced(signed: dict[str, Any]) -> None:
    with pytest.raises(FileExistsError):
        new_weights_key(signed["folder"] / "weights.key")


def test_a_changed_model_is_another_file(signed: dict[str, Any]) -> None:
    with pytest.raises(WeightsSignatureError, match="another file"):
        verify_weights(signed["signature"], sha256=Sha256.of(b"other"), pem=signed["pem"])


def test_another_key_is_named(signed: dict[str, Any], tmp_path: Path) -> None:
    other = new_weights_key(tmp_path / "other.key")
    with pytest.raises(WeightsSignatureError, match="another key"):
        verify_weights(signed["signature"], sha256=signed["sha256"], pem=other)


def test_a_flip_in_what_is_signed_or_in_the_signature_is_refused(signed: dict[str, Any]) -> None:
    bundle = json.loads(signed["signature"])
    envelope = bundle["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    for content, place in ((payload, len(payload) // 2), (signature, 40)):
        changed = bytearray(content)
        changed[place] ^= 1
        again = json.loads(signed["signature"])
        text = base64.b64encode(changed).decode()
        if content is payload:
            again["dsseEnvelope"]["payload"] = text
        else:
            again["dsseEnvelope"]["signatures"][0]["sig"] = text
        with pytest.raises(WeightsSignatureError):
            verify_weights(json.dumps(again).encode(), sha256=signed["sha256"], pem=signed["pem"])


def own(payload: dict[str, object], key: ec.EllipticCurvePrivateKey) -> tuple[bytes, bytes]:
    """A bundle of the tool's form over any payload, with its public key."""
    content = json.dumps(payload).encode()
    signature = key.sign(pae(PAYLOAD_TYPE, content), ec.ECDSA(hashes.SHA256()))
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    bundle = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "publicKey": {"hint": hashlib.sha256(pem).hexdigest()},
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": base64.b64encode(content).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(bundle).encode(), pem


def a_payload(digest: str) -> dict[str, Any]:
    total = hashlib.sha256(bytes.fromhex(digest)).hexdigest()
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": total}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256"},
            "resources": [{"algorithm": "sha256", "digest": digest, "name": "."}],
        },
    }


def set_in(path: str, value: object) -> Callable[[Any], None]:
    def change(payload: Any) -> None:
        *steps, last = path.split(".")
        for step in steps:
            payload = payload[int(step) if step.isdigit() else step]
        payload[int(last) if last.isdigit() else last] = value

    return change


BENT = {
    "another predicate": set_in("predicateType", "https://example.org/other"),
    "in shards": set_in("predicate.serialization.method", "shards"),
    "another hash": set_in("predicate.serialization.hash_type", "blake2"),
    "no file": set_in("predicate.resources", []),
    "two files": set_in("predicate.resources", [{}, {}]),
    "a file inside": set_in("predicate.resources.0.name", "model.bin"),
    "no digest": set_in("predicate.resources.0.digest", "x"),
    "a total of something else": set_in("subject.0.digest.sha256", "0" * 64),
}


@pytest.mark.parametrize("what", BENT)
def test_a_correct_signature_over_something_else_is_refused(what: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    digest = Sha256.of(b"weights")
    payload = a_payload(digest.hex)
    verify_weights(own(payload, key)[0], sha256=digest, pem=own(payload, key)[1])
    BENT[what](payload)
    signature, pem = own(payload, key)
    with pytest.raises(WeightsSignatureError):
        verify_weights(signature, sha256=digest, pem=pem)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"mediaType":"x"}', b'{"a":1,"a":2}', b" " * 70_000]
)
def test_what_is_no_signature_is_refused(content: bytes, tmp_path: Path) -> None:
    pem = new_weights_key(tmp_path / "k.key")
    with pytest.raises(WeightsSignatureError):
        verify_weights(content, sha256=Sha256.of(b""), pem=pem)


def test_a_key_on_another_curve_or_open_to_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "k.key"
    new_weights_key(path)
    path.chmod(0o644)
    for bad in (path, tmp_path / "missing.key"):
        with pytest.raises(WeightsSignatureError):
            public_pem(bad)


def test_only_the_register_vouches_for_a_key(tmp_path: Path) -> None:
    register, stranger = a_signer(), a_signer()
    pem = new_weights_key(tmp_path / "k.key")
    word = vouch_for(pem, register)
    assert vouched_key(word, register=register.public_key) == pem
    for bad in (vouch_for(pem, stranger), word.replace("a", "b", 1), "", "{}"):
        with pytest.raises(WeightsSignatureError):
            vouched_key(bad, register=register.public_key)


def a_model(folder: Path, *, fill: float = 0.5) -> ModelFile:
    return ModelFile.model_validate(save_model(folder, fill=fill), strict=False)


def test_a_registered_model_is_signed_once_and_checked_from_its_folder(tmp_path: Path) -> None:
    pytest.importorskip("model_signing", reason=REASON)
    register, folder = a_signer(), tmp_path / "artefacts"
    folder.mkdir()
    model, other = a_model(folder), a_model(folder, fill=0.25)
    (problem,) = weights_problems(folder, model, register=register.public_key)
    assert isinstance(problem, WeightsSignatureError)
    path = sign_model(folder, model, key=tmp_path / "weights.key", signer=register)
    sign_model(folder, other, key=tmp_path / "weights.key", signer=register)
    assert weights_problems(folder, model, register=register.public_key) == []
    signature, pem = signed_weights(folder, model, register=register.public_key)
    assert signature == path.read_bytes() and pem == public_pem(tmp_path / "weights.key")
    (problem,) = weights_problems(folder, model, register=a_signer().public_key)
    assert isinstance(problem, WeightsSignatureError)


def test_a_signature_of_another_version_does_not_pass(tmp_path: Path) -> None:
    pytest.importorskip("model_signing", reason=REASON)
    register, key = a_signer(), tmp_path / "weights.key"
    model, other = a_model(tmp_path), a_model(tmp_path, fill=0.25)
    copied = sign_model(tmp_path, other, key=key, signer=register).read_bytes()
    sign_model(tmp_path, model, key=key, signer=register).write_bytes(copied)
    (problem,) = weights_problems(tmp_path, model, register=register.public_key)
    assert "another file" in problem.say_what()
    (tmp_path / model.path).write_bytes(b"other")
    (problem,) = weights_problems(tmp_path, model, register=register.public_key)
    assert isinstance(problem, ArtefactError)


def test_the_command_signs_the_weights_of_an_entry(tmp_path: Path) -> None:
    pytest.importorskip("model_signing", reason=REASON)
    home = tmp_path / "C"
    init_centre(home, name="Centre", address="localhost:7443", now=datetime.now(UTC))
    content = facts(make_centre(tmp_path / "other")) | {
        "model": save_model(home / "artefacts"),
        "statements": [],
        "refused": [],
    }
    candidate = Candidate.from_json(canonical(content))
    entry = register_candidate(home, candidate).entry
    log_app(["sign-model", entry, "--home", str(home), "--json"], standalone_mode=False)
    register = PublicKey.load(CentreHome.open(home).evidence_public_key)
    signed_weights(home / "artefacts", candidate.model, register=register)
