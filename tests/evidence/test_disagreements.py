"""Bundles that a register made by hand, with its own key: both verifiers refuse them alike.

Each case was once told apart by one verifier and not by the other, or by neither.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from safetensors.numpy import save

import federation.evidence.standalone as standalone
from federation.domain.ids import Sha256
from federation.evidence.bundle import verify_bundle
from federation.evidence.canonical import canonical
from federation.evidence.checkpoint import signature_line
from federation.evidence.inclusion import origin_of
from federation.evidence.members import CHAIN, CHECKPOINT, GROWTH, MANIFEST, MODEL, SIGNED_MANIFEST
from federation.evidence.pinning import Expected
from federation.evidence.signing import Signer, new_key, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.witness import Witness, cosign
from tests.registry.builders import Centre, make_centre
from tests.registry.bundles import ENTRY, Members, a_bundle, members_of, rebuilt, resigned, verdict

STOPS = "\x1b[2J\rOK 57 TWAI-2026-00001-4.v0.1.0"


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Centre:
    return make_centre(tmp_path_factory.mktemp("disagreements") / "centre")


@pytest.fixture(scope="module")
def bundle(centre: Centre) -> Path:
    return a_bundle(centre, centre.folder)


@pytest.fixture
def members(bundle: Path) -> Members:
    return members_of(bundle)


def item(folder: Path, members: Members, expected: Expected | None = None) -> str | None:
    """What both verifiers name."""
    return verdict(rebuilt(folder / "changed.zip", members), expected).item


def with_growth(members: Members, centre: Centre, **proofs: object) -> Members:
    growth = json.loads(members[GROWTH])
    growth["proofs"] |= proofs
    return resigned(members | {GROWTH: json.dumps(growth).encode()}, centre.signer)


@pytest.mark.parametrize(
    "proofs",
    [
        {"7": ""},
        {"7": {}},
        {"07": []},
        {"-7": []},
        {"99999999999999999": []},
        {str(size): [] for size in range(1, 1002)},
    ],
    ids=["text", "object", "zero", "minus", "large", "many"],
)
def test_proofs_of_another_form_are_named(
    tmp_path: Path, centre: Centre, members: Members, proofs: dict[str, object]
) -> None:
    assert item(tmp_path, with_growth(members, centre, **proofs)) == GROWTH


def test_a_proof_path_that_is_no_list_is_named(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    place = "log/inclusion/record.json"
    proof = json.loads(members[place])
    changed = members | {place: canonical(proof | {"path": "".join(proof["path"][:0])})}
    assert item(tmp_path, resigned(changed, centre.signer)) == place


@pytest.mark.parametrize("size", ["-7", "99999999999999999", "+7"])
def test_a_state_of_a_size_that_no_log_has_is_named(
    tmp_path: Path, centre: Centre, members: Members, size: str
) -> None:
    name = origin_of(centre.signer.public_key)
    _, _, root, *_ = members[CHECKPOINT].decode().split("\n")
    text = f"{name}\n{size}\n{root}\n"
    note = f"{text}\n{signature_line(text, name=name, signer=centre.signer)}"
    growth = json.loads(members[GROWTH]) | {"checkpoint": note}
    changed = members | {CHECKPOINT: note.encode(), GROWTH: canonical(growth)}
    assert item(tmp_path, resigned(changed, centre.signer)) == CHECKPOINT


@pytest.mark.parametrize("bad", ["other text", "year 10000"])
def test_every_line_of_a_named_witness_must_fit(
    tmp_path: Path, centre: Centre, members: Members, bad: str
) -> None:
    signer = new_key(tmp_path / "witness.key")
    note = members[CHECKPOINT].decode()
    text = note.rpartition("\n\n")[0] + "\n"
    now = datetime(2026, 9, 2, tzinfo=UTC)
    good = cosign(text, witness="tainan", signer=signer, at=now)
    other = cosign(text + "x", witness="tainan", signer=signer, at=now)
    lines = good + other if bad == "other text" else _late(text, signer)
    changed = {CHECKPOINT: (note + lines).encode()}
    growth = json.loads(members[GROWTH]) | {"checkpoint": note + lines}
    changed |= {GROWTH: canonical(growth)}
    expected = Expected(witnesses=(Witness("tainan", signer.public_key),))
    assert item(tmp_path, resigned(members | changed, centre.signer), expected) == CHECKPOINT


def _late(text: str, signer: Signer) -> str:
    """A line whose time no calendar has, signed."""
    import base64

    from federation.evidence.checkpoint import key_hash
    from federation.evidence.witness import COSIGNATURE

    seconds = 2**61
    marked = key_hash("tainan", signer.public_key, kind=COSIGNATURE) + seconds.to_bytes(8, "big")
    marked += signer.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
    return f"— tainan {base64.b64encode(marked).decode()}\n"


@pytest.mark.parametrize("uri", ["trifed://key/tainan-1/owner", "https://example.org/", None])
def test_certificates_that_say_no_owner_or_come_twice_are_named(
    tmp_path: Path, centre: Centre, members: Members, uri: str | None
) -> None:
    first, *issued = x509.load_pem_x509_certificates(members[CHAIN])
    more = issued[0] if uri is None else _certificate(centre.signer, first, uri)
    chain = members[CHAIN] + more.public_bytes(Encoding.PEM)
    assert item(tmp_path, resigned(members | {CHAIN: chain}, centre.signer)) == CHAIN


def _certificate(signer: Signer, issuer: x509.Certificate, uri: str) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    other = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject)
        .public_key(issuer.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
        .add_extension(other, critical=False)
    )
    return signer.certify(builder)


def _weights(**changes: object) -> bytes:
    """A model file whose order of tensors, or a tensor's place, is what it should not be."""
    content: bytes = save({"a": np.zeros(2, "<f4")}, {"trifed-manifest": json.dumps([["a", [2]]])})
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    if "told" in changes:
        header["__metadata__"]["trifed-manifest"] = json.dumps(changes["told"])
    if "place" in changes:
        header["a"]["data_offsets"] = changes["place"]
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + content[8 + length :]


@pytest.mark.parametrize(
    "changes",
    [
        {"told": [["a", [2]], ["a", [2]]]},
        {"told": {"ab": 1}},
        {"told": [["a", [2]]] * 1000},
        {"place": [-8, 0]},
        {"place": [0, 9]},
    ],
    ids=["twice", "object", "thousandfold", "before", "beyond"],
)
def test_both_read_the_same_weights_or_none(tmp_path: Path, changes: dict[str, object]) -> None:
    from federation.evidence.archive import open_archive
    from federation.evidence.tensors import weights_digest

    path = rebuilt(tmp_path / "w.zip", {MODEL: _weights(**changes)})
    with open_archive(path) as archive, pytest.raises((ValueError, KeyError, TypeError)):
        weights_digest(archive, MODEL)
    with path.open("rb") as file, pytest.raises(standalone.BROKEN):
        standalone.Archive(file).weights()


# --- what a bundle can do to whoever reads the answer --------------------------------------


def _manifest(members: Members, signer: Signer, **more: str) -> Members:
    said = {"schema": "trifed.bundle/2", "entry": ENTRY}
    rest = {name: c for name, c in members.items() if name not in (MANIFEST, SIGNED_MANIFEST)}
    listed = {name: str(Sha256.of(content)) for name, content in rest.items()} | more
    content = canonical({**said, "members": listed})
    statement = Statement((Subject(MANIFEST, Sha256.of(content)),), PredicateType.BUNDLE, said)
    return rest | {MANIFEST: content, SIGNED_MANIFEST: sign_dsse(statement, signer).encode()}


def test_a_name_that_would_steer_the_readers_screen_is_never_said(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    path = rebuilt(tmp_path / "b.zip", _manifest(members, centre.signer, **{STOPS: "x"}))
    assert verdict(path).item == MANIFEST
    assert standalone.shown(STOPS).isprintable() and standalone.shown("a\u202eb").isascii()


def _alone(path: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-I", str(standalone.__file__), str(path), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_whoever_names_no_root_is_told_that_little_is_shown(centre: Centre, bundle: Path) -> None:
    bare = _alone(bundle)
    assert (bare.returncode, bare.stdout[:3]) == (0, "OK ") and "--root" in bare.stderr
    assert "--root" in _alone(bundle, "--lang", "zh").stderr
    named = _alone(bundle, "--root", centre.signer.keyid)
    assert (named.returncode, named.stderr) == (0, "")


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"PK\5\6" + bytes(18), b"PK\6\6" + bytes(60), bytes(4096)],
    ids=["empty", "short", "no members", "zip64", "zeros"],
)
def test_what_is_no_bundle_is_refused_by_both_without_a_fault(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(content)
    assert not verify_bundle(path).verified
    assert verdict(path).item == "archive"


def _zip(path: Path, change: Callable[[bytearray], None]) -> Path:
    content = bytearray(rebuilt(path, {"a.txt": b"aaaa", "b.txt": b"bbbb"}).read_bytes())
    change(content)
    path.write_bytes(bytes(content))
    return path


def _flag(bit: int) -> Callable[[bytearray], None]:
    def change(content: bytearray) -> None:
        for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            content[content.index(mark) + place] |= bit

    return change


def _overlap(content: bytearray) -> None:
    second = content.index(b"PK\1\2", content.index(b"PK\1\2") + 4)
    content[second + 42 : second + 46] = bytes(4)


def _comment(content: bytearray) -> None:
    content[-2:] = b"\x04\x00note"


def _other_name(content: bytearray) -> None:
    content[content.index(b"b.txt")] = ord("c")


@pytest.mark.parametrize(
    "change",
    [
        _flag(0x01),
        _flag(0x08),
        _overlap,
        _other_name,
        lambda content: content.extend(b"trailing"),
        _comment,
        lambda content: content.__setitem__(slice(0, 0), b"MZ"),
    ],
    ids=["encrypted", "descriptor", "overlap", "names differ", "trailing", "comment", "prefix"],
)
def test_the_tricks_of_zip_files_are_refused_by_both(
    tmp_path: Path, change: Callable[[bytearray], None]
) -> None:
    found = verdict(_zip(tmp_path / "b.zip", change))
    assert (found.verified, found.item) == (False, "archive")
