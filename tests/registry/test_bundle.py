"""A bundle proves its entry offline, and names what was changed in it."""

import io
import json
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from federation.domain.ids import Sha256
from federation.errors.registry import (
    ArtefactError,
    BundleItemError,
    BundleUnreadableError,
    EntryNotFoundError,
)
from federation.evidence.archive import write_archive
from federation.evidence.bundle import (
    CENTRE_KEY,
    MANIFEST,
    MODEL,
    RECORD,
    BundleReport,
    verified_bundle,
    verify_bundle,
)
from federation.evidence.signing import new_key, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.wording import Language
from registry.bundle import export
from tests.registry.builders import (
    Centre,
    candidate,
    candidate_of_study,
    make_centre,
    save_model,
)


@pytest.fixture
def bundle(centre: Centre, tmp_path: Path) -> Path:
    stored, _ = centre.registrar.register(candidate(centre), actor="centre")
    return export(centre.registrar, stored.entry, tmp_path / "bundle.zip", with_model=True)


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rebuilt(path: Path, members: dict[str, bytes]) -> Path:
    """The archive in its proper form, with these members."""
    with path.open("wb") as file:
        write_archive(file, members)
    return path


def item_of(report: BundleReport) -> str:
    assert report.failure is not None
    return str(report.failure.values["item"])


def test_a_fresh_bundle_verifies_against_the_centres_key(centre: Centre, bundle: Path) -> None:
    report = verify_bundle(bundle, centre_key=centre.signer.public_key)
    assert report.as_json() == {
        "verified": True,
        "checked": report.checked,
        "failure": None,
        "entry": "TWAI-2026-00001-4.v0.1.0",
        "model": verified_bundle(bundle).record.model.sha256,
        "signed_by": centre.signer.keyid,
        "key_known": True,
        "model_included": True,
    }
    assert report.checked > len(members_of(bundle))


def test_verifying_opens_no_socket(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    assert verify_bundle(bundle).verified


def test_without_a_key_the_report_says_that_the_key_is_not_known(bundle: Path) -> None:
    report = verify_bundle(bundle).as_json()
    assert report["verified"] is True and report["key_known"] is False


def test_a_bundle_of_another_centre_fails_at_its_key(bundle: Path, tmp_path: Path) -> None:
    other = new_key(tmp_path / "other.key").public_key
    assert item_of(verify_bundle(bundle, centre_key=other)) == CENTRE_KEY


def test_the_same_entry_gives_the_same_bytes_however_long_the_log_grew(
    centre: Centre, bundle: Path, tmp_path: Path
) -> None:
    centre.registrar.register(candidate_of_study(centre, "ct-2026"), actor="centre")
    again = export(
        centre.registrar, "TWAI-2026-00001-4.v0.1.0", tmp_path / "again.zip", with_model=True
    )
    assert again.read_bytes() == bundle.read_bytes()


def test_the_model_is_left_out_unless_asked_for(centre: Centre, bundle: Path) -> None:
    small = export(centre.registrar, "TWAI-2026-00001-4", bundle.with_name("small.zip"))
    assert MODEL not in members_of(small) and MODEL in members_of(bundle)
    assert verify_bundle(small).as_json()["model_included"] is False


def test_both_readmes_name_the_entry_and_the_key(centre: Centre, bundle: Path) -> None:
    members = members_of(bundle)
    for name in ("README.en.md", "README.zh-TW.md"):
        text = members[name].decode()
        assert "TWAI-2026-00001-4.v0.1.0" in text and centre.signer.keyid in text


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_flipped_byte_in_any_member_is_named(bundle: Path, place: str) -> None:
    members = members_of(bundle)
    for name, content in members.items():
        at = {"first": 0, "middle": len(content) // 2, "last": len(content) - 1}[place]
        changed = bytearray(content)
        changed[at] ^= 1
        path = rebuilt(bundle.with_name("changed.zip"), members | {name: bytes(changed)})
        report = verify_bundle(path)
        assert not report.verified
        assert item_of(report) == name


def test_a_missing_member_is_named(bundle: Path) -> None:
    members = members_of(bundle)
    for name in members:
        rest = {other: content for other, content in members.items() if other != name}
        assert item_of(verify_bundle(rebuilt(bundle.with_name("less.zip"), rest))) == name


def test_an_added_member_is_named(bundle: Path) -> None:
    more = members_of(bundle) | {"extra.txt": b"hello"}
    assert item_of(verify_bundle(rebuilt(bundle.with_name("more.zip"), more))) == "extra.txt"


def test_no_byte_of_the_file_can_be_changed(bundle: Path) -> None:
    small = bundle.read_bytes()
    path = bundle.with_name("changed.zip")
    for at in [*range(0, len(small), 97), *range(len(small) - 120, len(small))]:
        changed = bytearray(small)
        changed[at] ^= 0x10
        path.write_bytes(changed)
        assert not verify_bundle(path).verified, at


@pytest.mark.parametrize("extra", [b"\0", b"more"])
def test_bytes_before_or_after_the_archive_are_noticed(bundle: Path, extra: bytes) -> None:
    content = bundle.read_bytes()
    for changed in (content + extra, extra + content):
        path = bundle.with_name("longer.zip")
        path.write_bytes(changed)
        assert item_of(verify_bundle(path)) == "archive"


def resigned(members: dict[str, bytes], signer: object) -> dict[str, bytes]:
    """The same members under a manifest that lists them as they are now."""
    rest = {name: content for name, content in members.items() if name != MANIFEST}
    subjects = tuple(Subject(name, Sha256.of(rest[name])) for name in sorted(rest))
    predicate = {"schema": "trifed.bundle/1", "entry": "TWAI-2026-00001-4.v0.1.0"}
    manifest = Statement(subjects, PredicateType.BUNDLE, predicate)
    return rest | {MANIFEST: sign_dsse(manifest, signer).encode()}  # type: ignore[arg-type]


def test_even_the_centre_cannot_change_a_record_without_the_log(
    centre: Centre, bundle: Path
) -> None:
    members = members_of(bundle)
    members[RECORD] = members[RECORD].replace(b"0.87", b"0.97")
    path = rebuilt(bundle.with_name("resigned.zip"), resigned(members, centre.signer))
    assert item_of(verify_bundle(path)) == RECORD


def test_even_the_centre_cannot_put_in_another_model(centre: Centre, bundle: Path) -> None:
    members = members_of(bundle) | {MODEL: b"another"}
    path = rebuilt(bundle.with_name("resigned.zip"), resigned(members, centre.signer))
    assert item_of(verify_bundle(path)) == MODEL


def test_even_the_centre_cannot_swap_two_statements(centre: Centre, bundle: Path) -> None:
    members = members_of(bundle)
    first, second = sorted(name for name in members if name.startswith("statements/"))[:2]
    members[first], members[second] = members[second], members[first]
    path = rebuilt(bundle.with_name("resigned.zip"), resigned(members, centre.signer))
    assert item_of(verify_bundle(path)) == first


def test_even_the_centre_cannot_move_a_proof(centre: Centre, bundle: Path) -> None:
    members = members_of(bundle)
    name = "log/inclusion/record.json"
    proof = json.loads(members[name])
    members[name] = json.dumps(proof | {"index": 0}).encode()
    path = rebuilt(bundle.with_name("resigned.zip"), resigned(members, centre.signer))
    assert item_of(verify_bundle(path)) == name


def zip_with(path: Path, write: Callable[[zipfile.ZipFile], None]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        write(archive)
    return path


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a/../../b", "a\\b", "C:evil", ".hidden", "a//b", "臺"]
)
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = zip_with(tmp_path / "slip.zip", lambda archive: archive.writestr(name, b"x"))
    assert not verify_bundle(path).verified


def test_a_zip_bomb_is_refused_before_it_is_expanded(tmp_path: Path) -> None:
    def bomb(archive: zipfile.ZipFile) -> None:
        archive.writestr(RECORD, bytes(10**8), zipfile.ZIP_DEFLATED)

    path = zip_with(tmp_path / "bomb.zip", bomb)
    assert item_of(verify_bundle(path)) == "archive"


def test_a_member_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    def twice(archive: zipfile.ZipFile) -> None:
        archive.writestr(RECORD, b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(RECORD, b"2")

    assert item_of(verify_bundle(zip_with(tmp_path / "twice.zip", twice))) == "archive"


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    assert not verify_bundle(path).verified


def test_a_bundle_that_is_not_there_is_a_coded_error(tmp_path: Path) -> None:
    with pytest.raises(BundleUnreadableError):
        verify_bundle(tmp_path / "missing.zip")


def test_the_failure_is_told_in_both_languages(bundle: Path) -> None:
    members = members_of(bundle)
    path = rebuilt(bundle.with_name("less.zip"), members | {RECORD: b"{}"})
    report = verify_bundle(path)
    english, chinese = report.as_json(), report.as_json(Language.ZH_HANT_TW)
    assert english["verified"] is False
    assert str(english["failure"]).startswith("{'item': 'record.json'")
    assert "不成立" in str(chinese["failure"])
    with pytest.raises(BundleItemError):
        verified_bundle(path)


def test_an_export_that_cannot_be_written_leaves_nothing(centre: Centre, bundle: Path) -> None:
    with pytest.raises(BundleUnreadableError):
        export(centre.registrar, "TWAI-2026-00001-4", bundle.parent / "no folder" / "b.zip")
    with pytest.raises(EntryNotFoundError):
        export(centre.registrar, "TWAI-2026-00009-9", bundle.parent / "b.zip")
    assert not [path for path in bundle.parent.iterdir() if path.name.startswith((".", "b.zip"))]


def test_a_model_changed_after_registration_is_not_exported(centre: Centre, bundle: Path) -> None:
    record = verified_bundle(bundle).record
    (centre.registrar.artefacts / record.model.path).write_bytes(b"changed")
    with pytest.raises(ArtefactError):
        export(centre.registrar, record.entry, bundle.parent / "b.zip", with_model=True)


def test_a_bundle_of_one_centre_does_not_verify_as_anothers(bundle: Path, tmp_path: Path) -> None:
    impostor = make_centre(tmp_path / "impostor")
    save_model(impostor.registrar.artefacts)
    stored, _ = impostor.registrar.register(candidate(impostor), actor="centre")
    forged = export(impostor.registrar, stored.entry, tmp_path / "forged.zip")
    real = verified_bundle(bundle).key
    assert verify_bundle(forged).verified  # whole, but whose?
    assert item_of(verify_bundle(forged, centre_key=real)) == CENTRE_KEY


def test_an_archive_is_written_the_same_twice() -> None:
    one, two = io.BytesIO(), io.BytesIO()
    write_archive(one, {"b": b"2", "a": b"1"})
    write_archive(two, {"a": b"1", "b": b"2"})
    assert one.getvalue() == two.getvalue()
