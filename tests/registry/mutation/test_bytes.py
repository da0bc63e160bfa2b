"""Whatever byte of a bundle somebody changes on the way, both verifiers name it alike."""

from pathlib import Path

import pytest

from federation.evidence.certificates import (
    root_certificate,
)
from federation.evidence.members import (
    DOSSIER,
    ROOT,
)
from federation.evidence.pinning import Expected
from tests.registry.builders import (
    Centre,
)
from tests.registry.bundles import (
    Members,
    named,
    resigned,
    verdict,
)
from tests.registry.record_builders import new_signer


@pytest.mark.parametrize(
    "place",
    ["middle", *(pytest.param(one, marks=pytest.mark.slow) for one in ("first", "second", "last"))],
)
def test_a_flipped_byte_in_any_member_is_named(
    tmp_path: Path, members: Members, place: str
) -> None:
    for name, content in members.items():
        last = len(content) - 1
        at = {"first": 0, "second": min(1, last), "middle": last // 2, "last": last}[place]
        changed = bytearray(content)
        changed[at] ^= 1
        assert named(tmp_path, members | {name: bytes(changed)}) == name


def test_a_missing_member_is_named(tmp_path: Path, members: Members) -> None:
    for name in members:
        rest = {other: content for other, content in members.items() if other != name}
        assert named(tmp_path, rest) == name


def test_an_added_member_is_named(tmp_path: Path, members: Members) -> None:
    assert named(tmp_path, members | {"extra.txt": b"hello"}) == "extra.txt"


def test_two_members_that_changed_places_are_named(tmp_path: Path, members: Members) -> None:
    for one, other in (("README.en.md", "README.zh-TW.md"), ("verify.py", DOSSIER)):
        swapped = members | {one: members[other], other: members[one]}
        assert named(tmp_path, swapped) in (one, other)


def test_a_byte_flipped_where_it_lies_in_the_file_is_named(tmp_path: Path, bundle: Path) -> None:
    """Also where the zip's own checksum was not mended: every 1009th byte of the file."""
    content, path = bundle.read_bytes(), tmp_path / "changed.zip"
    for at in range(0, len(content), 1009):
        changed = bytearray(content)
        changed[at] ^= 0x10
        path.write_bytes(changed)
        assert verdict(path).item is not None, at


def test_no_byte_of_the_zip_files_own_structure_can_be_changed(
    tmp_path: Path, bundle: Path
) -> None:
    content, path = bundle.read_bytes(), tmp_path / "changed.zip"
    listed = content.index(b"PK\1\2")
    starts = [at for at in range(listed) if content.startswith(b"PK\3\4", at)]
    heads = [at + step for at in starts[:3] for step in range(30)]
    for at in [*heads, *range(listed, len(content), 7), *range(len(content) - 22, len(content))]:
        changed = bytearray(content)
        changed[at] ^= 1
        path.write_bytes(changed)
        assert verdict(path).item == "archive", at


@pytest.mark.parametrize("extra", [b"\0", b"more"])
def test_bytes_before_or_after_the_archive_are_noticed(
    tmp_path: Path, bundle: Path, extra: bytes
) -> None:
    content, path = bundle.read_bytes(), tmp_path / "longer.zip"
    for changed in (content + extra, extra + content, content[:-1], content[1:]):
        path.write_bytes(changed)
        assert verdict(path).item == "archive"


def test_a_bundle_under_another_root_is_not_the_registers(
    tmp_path: Path, centre: Centre, members: Members
) -> None:
    """Somebody makes a root of their own, signs the manifest again, and leaves the rest."""
    own = new_signer()
    forged = resigned(members | {ROOT: root_certificate(own)}, own)
    assert named(tmp_path, forged) == "dsse/record.json"
    assert named(tmp_path, forged, Expected(root=centre.signer.keyid)) == ROOT
