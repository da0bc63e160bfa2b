"""The OpenSSF signature of the weights is in the bundle, and holds for the file of the record."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import federation.evidence.standalone as standalone
from federation.domain.ids import Sha256
from federation.errors.witness import WeightsSignatureError
from federation.evidence.members import MODEL, MODEL_SIGNATURE, WEIGHTS_KEY
from federation.evidence.model_version import ModelFile
from federation.evidence.pinning import Expected
from federation.evidence.weights import vouch_for
from registry.bundle import export
from registry.evidence.weights import sign_model
from tests.evidence.test_log_weights import REASON, a_payload, own
from tests.registry.builders import Centre, candidate, make_centre
from tests.registry.bundles import (
    ENTRY,
    Members,
    forged,
    members_of,
    named,
    rebuilt,
    resigned,
    statements,
    verdict,
)
from tests.registry.record_builders import new_signer

KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Centre, Path]:
    """A register whose one version's weights are signed, and its bundle."""
    folder = tmp_path_factory.mktemp("weights")
    home = make_centre(folder / "centre")
    stored, _ = home.registrar.register(
        candidate(home, statements=statements(home)), actor="centre"
    )
    digest = json.loads(stored.record)["model"]["sha256"].removeprefix("sha256:")
    keep(home, a_payload(digest))
    return home, export(home.registrar, ENTRY, folder / "bundle.zip", with_model=True)


@pytest.fixture
def members(signed: tuple[Centre, Path]) -> Members:
    return members_of(signed[1])


def keep(home: Centre, payload: dict[str, object]) -> None:
    """Put a signature beside the model, as `sign_model` does, without the tool."""
    signature, pem = own(payload, KEY)
    (model,) = home.registrar.artefacts.glob("*.safetensors")
    hint = hashlib.sha256(pem).hexdigest()[:32]
    model.with_suffix(".sig").write_bytes(signature)
    model.with_name(f"{hint}.weights-key.json").write_text(vouch_for(pem, home.signer))


def test_the_signature_and_the_registers_word_for_its_key_are_inside(
    signed: tuple[Centre, Path], members: Members
) -> None:
    (model,) = signed[0].registrar.artefacts.glob("*.sig")
    assert members[MODEL_SIGNATURE] == model.read_bytes()
    assert verdict(signed[1]).verified
    assert {"@id": MODEL_SIGNATURE} in _files(members)


def _files(members: Members) -> list[object]:
    graph = json.loads(members["ro-crate-metadata.json"])["@graph"]
    return [part for one in graph if one["@id"] == "./" for part in one["hasPart"]]


def test_a_version_without_a_signature_has_none_in_its_bundle(
    tmp_path: Path, centre: Centre
) -> None:
    home = make_centre(tmp_path / "unsigned")
    home.registrar.register(candidate(home, statements=statements(home)), actor="centre")
    path = export(home.registrar, ENTRY, tmp_path / "bundle.zip")
    assert not {MODEL_SIGNATURE, WEIGHTS_KEY} & members_of(path).keys()
    assert verdict(path).verified


def test_a_signature_of_another_file_is_not_exported(tmp_path: Path) -> None:
    home = make_centre(tmp_path / "other")
    home.registrar.register(candidate(home, statements=statements(home)), actor="centre")
    keep(home, a_payload("ab" * 32))
    with pytest.raises(WeightsSignatureError, match="another file"):
        export(home.registrar, ENTRY, tmp_path / "bundle.zip")
    assert not (tmp_path / "bundle.zip").exists()


def test_a_signature_of_another_file_is_named_by_its_digest(
    tmp_path: Path, signed: tuple[Centre, Path], members: Members
) -> None:
    other, _ = own(a_payload("ab" * 32), KEY)
    path = rebuilt(
        tmp_path / "other.zip", resigned(members | {MODEL_SIGNATURE: other}, signed[0].signer)
    )
    found = verdict(path)
    assert (found.item, found.what) == (
        MODEL_SIGNATURE,
        "it is not the one that the record names",
    )


def test_one_of_the_two_without_the_other_is_named(
    tmp_path: Path, signed: tuple[Centre, Path], members: Members
) -> None:
    for gone in (MODEL_SIGNATURE, WEIGHTS_KEY):
        assert forged(tmp_path, signed[0], members, {}, gone=gone) == gone


def test_a_key_that_the_root_does_not_vouch_for_is_named(
    tmp_path: Path, signed: tuple[Centre, Path], members: Members
) -> None:
    _, pem = own(a_payload("ab" * 32), ec.generate_private_key(ec.SECP256R1()))
    foreign = vouch_for(pem, new_signer()).encode()
    assert forged(tmp_path, signed[0], members, {WEIGHTS_KEY: foreign}) == WEIGHTS_KEY
    vouched = vouch_for(pem, signed[0].signer).encode()
    assert forged(tmp_path, signed[0], members, {WEIGHTS_KEY: vouched}) == MODEL_SIGNATURE


def _bent(members: Members, *path: str | int, value: object) -> bytes:
    said = json.loads(members[MODEL_SIGNATURE])
    inside = said
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = value
    return json.dumps(said).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("mediaType",), "application/other"),
        (("verificationMaterial", "publicKey", "hint"), "0" * 64),
        (("verificationMaterial", "publicKey", "hint"), 5),
        (("dsseEnvelope", "payloadType"), "text/plain"),
        (("dsseEnvelope", "payload"), "not base64!"),
        (("dsseEnvelope", "payload"), "e30="),
        (("dsseEnvelope", "signatures"), []),
        (("dsseEnvelope", "signatures", 0, "sig"), "AAAA"),
        (("dsseEnvelope",), None),
    ],
    ids=str,
)
def test_a_signature_of_another_form_is_named_by_both(
    tmp_path: Path,
    signed: tuple[Centre, Path],
    members: Members,
    path: tuple[str | int, ...],
    value: object,
) -> None:
    bent = _bent(members, *path, value=value)
    assert forged(tmp_path, signed[0], members, {MODEL_SIGNATURE: bent}) == MODEL_SIGNATURE


@pytest.mark.parametrize("place", ["_type", "predicateType", "subject", "predicate"])
def test_a_signed_payload_of_another_form_is_named_by_both(
    tmp_path: Path, signed: tuple[Centre, Path], members: Members, place: str
) -> None:
    good = a_payload(json.loads(members["items/record.json"])["model"]["sha256"][7:])
    others: tuple[object, ...] = (None, [], {}, "x", [{"digest": {"sha256": "0" * 64}}])
    for value in others:
        signature, _ = own(good | {place: value}, KEY)
        named_ = forged(tmp_path, signed[0], members, {MODEL_SIGNATURE: signature})
        assert named_ == MODEL_SIGNATURE


def test_what_is_no_json_or_too_large_is_named(
    tmp_path: Path, signed: tuple[Centre, Path], members: Members
) -> None:
    large = members[MODEL_SIGNATURE] + b" " * 65_536
    for content in (b"", b"{", b"[]", b"null", b"\xff", large):
        changes = {MODEL_SIGNATURE: content}
        assert forged(tmp_path, signed[0], members, changes) == MODEL_SIGNATURE


def test_weights_that_the_reader_has_are_compared_by_both(
    tmp_path: Path, signed: tuple[Centre, Path], members: Members
) -> None:
    _, path = signed
    assert verdict(path, Expected(model=Sha256.of(members[MODEL]))).verified
    found = verdict(path, Expected(model=Sha256.of(b"others")))
    assert (found.item, found.what) == ("--model", "it is not the one that the record names")
    (tmp_path / "mine").write_bytes(members[MODEL])
    (tmp_path / "other").write_bytes(b"others")
    for name, code in (("mine", 0), ("other", 1)):
        command = [sys.executable, standalone.__file__, str(path), "--model", name]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == code, done.stderr


def test_a_byte_of_the_signature_changed_on_the_way_is_named(
    tmp_path: Path, members: Members
) -> None:
    for name in (MODEL_SIGNATURE, WEIGHTS_KEY):
        bent = bytearray(members[name])
        bent[len(bent) // 2] ^= 1
        assert named(tmp_path, members | {name: bytes(bent)}) == name


def test_what_the_tool_itself_signed_verifies_in_the_bundle(tmp_path: Path) -> None:
    pytest.importorskip("model_signing", reason=REASON)
    home = make_centre(tmp_path / "tool")
    stored, _ = home.registrar.register(
        candidate(home, statements=statements(home)), actor="centre"
    )
    model = ModelFile.model_validate(json.loads(stored.record)["model"])
    key = tmp_path / "weights.key"
    sign_model(home.registrar.artefacts, model, key=key, signer=home.signer)
    path = export(home.registrar, ENTRY, tmp_path / "bundle.zip")
    assert MODEL_SIGNATURE in members_of(path) and verdict(path).verified
