"""The store keeps bytes under their digest and never returns others, with a bucket or without."""

import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import numpy as np
import pytest
from safetensors.numpy import load, save

from federation.coordinator.home import CentreHome, CentreSettings
from federation.domain.ids import Sha256
from federation.domain.update import TensorSlot, UpdateManifest
from federation.errors.core import UnreadableRecordError
from federation.errors.machine import ArtefactDamagedError, ArtefactMissingError, DiskFullError
from federation.errors.storage import (
    ArtefactSettingError,
    ArtefactStoreRefusedError,
    ArtefactStoreUnavailableError,
    StoreUnavailableError,
)
from federation.operations import artefacts as module
from federation.operations.artefacts import Artefacts, model_bytes, model_of_bytes
from federation.operations.buckets import FsspecBucket
from tests.buckets import KINDS
from tests.builders import NOW
from tests.machine.test_storage import tiny_disk

__all__ = ["tiny_disk"]

MANIFEST = UpdateManifest((TensorSlot("z.weight", (2, 3)), TensorSlot("a.bias", (2,))))
MODEL = np.arange(8, dtype=np.float32)


@pytest.fixture(params=["alone", *KINDS])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Artefacts:
    """The conformance suite's store: in a folder alone, and with each kind of bucket behind it."""
    if request.param == "alone":
        return Artefacts(tmp_path / "artefacts")
    return Artefacts(tmp_path / "artefacts", a_bucket(request, request.param, tmp_path))


def a_bucket(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> FsspecBucket:
    url = {"memory": f"memory://{tmp_path.name}-{id(request)}", "file": f"file://{tmp_path}/far"}
    return FsspecBucket(url.get(kind) or f"s3://{request.getfixturevalue('s3')}/models")


@pytest.fixture
def bucket(bucket_url: str) -> FsspecBucket:
    return FsspecBucket(bucket_url)


@pytest.fixture
def here(tmp_path: Path, bucket: FsspecBucket) -> Artefacts:
    return Artefacts(tmp_path / "here", bucket)


@pytest.fixture
def there(tmp_path: Path, bucket: FsspecBucket) -> Artefacts:
    """Another machine with the same bucket."""
    return Artefacts(tmp_path / "there", bucket)


def test_bytes_are_kept_under_their_digest(store: Artefacts) -> None:
    digest = store.put(b"checkpoint")

    assert digest == Sha256.of(b"checkpoint")
    assert store.get(digest) == b"checkpoint"
    path = store.path_of(digest)
    assert path.name == digest.hex
    assert path.stat().st_mode & 0o777 == 0o600
    assert store.folder.stat().st_mode & 0o777 == 0o700


def test_the_same_bytes_are_kept_once(store: Artefacts) -> None:
    first = store.path_of(store.put(b"same")).stat().st_ino

    assert store.path_of(store.put(b"same")).stat().st_ino == first


def test_a_file_is_copied_in(store: Artefacts, tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(os.urandom(3_000_000))
    digest = store.put_file(source)

    assert store.get(digest) == source.read_bytes()
    assert [path.name for path in store.folder.iterdir()] == [digest.hex[:2]]


def test_what_was_deleted_is_missing_here_and_in_the_bucket_and_may_be_deleted_again(
    store: Artefacts,
) -> None:
    digest, other = store.put(b"masked row"), store.put(b"total")

    for _ in range(2):
        store.delete(digest)

    with pytest.raises(ArtefactMissingError):
        store.path_of(digest)
    assert store.get(other) == b"total"


def test_what_is_not_kept_is_missing(store: Artefacts) -> None:
    with pytest.raises(ArtefactMissingError):
        store.get(Sha256.of(b"never"))


def test_one_changed_byte_is_noticed_and_healed_by_a_new_put(tmp_path: Path) -> None:
    store = Artefacts(tmp_path / "artefacts")
    digest = store.put(b"checkpoint")
    store.path_of(digest).write_bytes(b"checkpoinT")
    with pytest.raises(ArtefactDamagedError):
        store.get(digest)
    with pytest.raises(ArtefactDamagedError):
        store.checked_path(digest)

    store.put(b"checkpoint")
    assert store.get(digest) == b"checkpoint"


def test_a_full_disk_leaves_nothing(store: Artefacts, tmp_path: Path, monkeypatch) -> None:
    source = tmp_path / "big"
    source.write_bytes(b"x")

    def full(*_arguments: object) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(DiskFullError):
        store.put_file(source)
    with pytest.raises(DiskFullError):
        store.put(b"x")
    assert [path for path in store.folder.rglob("*") if path.is_file()] == []


# -- taking a file over -------------------------------------------------------------


@pytest.fixture
def spooled(tmp_path: Path) -> Path:
    path = tmp_path / "spool" / "update.f32"
    path.parent.mkdir()
    path.write_bytes(MODEL.tobytes())
    return path


UPDATE = Sha256.of(MODEL.tobytes())


def test_an_adopted_file_is_moved_and_not_copied(store: Artefacts, spooled: Path) -> None:
    inode = spooled.stat().st_ino

    assert store.adopt(spooled, UPDATE) == UPDATE
    assert not spooled.exists()
    path = store.path_of(UPDATE)
    assert (path.stat().st_ino, path.stat().st_mode & 0o777) == (inode, 0o600)
    np.testing.assert_array_equal(np.memmap(path, dtype="<f4", mode="r"), MODEL)


def test_adopting_again_after_a_crash_changes_nothing(store: Artefacts, spooled: Path) -> None:
    store.adopt(spooled, UPDATE)
    store.adopt(spooled, UPDATE)
    spooled.write_bytes(MODEL.tobytes())  # the driver wrote it once more
    store.adopt(spooled, UPDATE)

    assert store.get(UPDATE) == MODEL.tobytes()
    assert not spooled.exists()


def test_a_file_of_another_digest_is_not_adopted_and_stays(store: Artefacts, spooled: Path) -> None:
    spooled.write_bytes(b"cut off")
    with pytest.raises(ArtefactDamagedError):
        store.adopt(spooled, UPDATE)

    assert spooled.exists()
    with pytest.raises(ArtefactMissingError):
        store.path_of(UPDATE)


def test_a_file_that_is_nowhere_cannot_be_adopted(store: Artefacts, tmp_path: Path) -> None:
    with pytest.raises(ArtefactMissingError):
        store.adopt(tmp_path / "gone.f32", UPDATE)


def test_a_file_on_another_disk_is_copied_in(store: Artefacts, tiny_disk: Path) -> None:
    source = tiny_disk / "update.f32"
    source.write_bytes(MODEL.tobytes())
    store.adopt(source, UPDATE)

    assert store.get(UPDATE) == MODEL.tobytes()
    assert not source.exists()


def test_a_file_that_finds_no_room_stays_where_it_is(tmp_path: Path, tiny_disk: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(os.urandom(200_000))
    store = Artefacts(tiny_disk / "artefacts")
    with pytest.raises(DiskFullError):
        store.adopt(source, Sha256.of(source.read_bytes()))

    assert source.stat().st_size == 200_000
    assert [path for path in tiny_disk.rglob("*") if path.is_file()] == []


# -- a bucket behind it ---------------------------------------------------------------


def test_what_one_machine_keeps_another_reads(here: Artefacts, there: Artefacts) -> None:
    digest = here.put_model(MODEL, MANIFEST)

    np.testing.assert_array_equal(there.get_model(digest)[0], MODEL)
    assert there.path_of(digest).is_file()
    assert there.folder.stat().st_mode & 0o777 == 0o700


def test_an_adopted_file_is_in_the_bucket(here: Artefacts, there: Artefacts, spooled: Path) -> None:
    here.adopt(spooled, UPDATE)

    assert there.get(UPDATE) == MODEL.tobytes()


def test_a_large_file_goes_there_and_back(
    here: Artefacts, there: Artefacts, tmp_path: Path
) -> None:
    source = tmp_path / "big"
    source.write_bytes(os.urandom(12_000_000))
    digest = here.put_file(source)

    assert there.path_of(digest).read_bytes() == source.read_bytes()


def test_what_the_bucket_lost_or_changed_never_comes_in(
    here: Artefacts, there: Artefacts, bucket: FsspecBucket, tmp_path: Path
) -> None:
    digest = here.put(b"checkpoint")
    other = tmp_path / "other"
    other.write_bytes(b"checkpoinT")
    bucket.send(other, f"{digest.hex[:2]}/{digest.hex}")
    with pytest.raises(ArtefactDamagedError):
        there.path_of(digest)
    assert [path for path in there.folder.rglob("*") if path.is_file()] == []

    with pytest.raises(ArtefactMissingError):
        there.path_of(Sha256.of(b"never"))


def test_a_damaged_object_is_healed_by_a_machine_that_makes_it_anew(
    here: Artefacts, there: Artefacts, bucket: FsspecBucket, tmp_path: Path
) -> None:
    digest = here.put(b"checkpoint")
    other = tmp_path / "other"
    other.write_bytes(b"checkpoinT")
    bucket.send(other, f"{digest.hex[:2]}/{digest.hex}")
    there.put(b"checkpoint")
    shutil.rmtree(here.folder)

    assert here.get(digest) == b"checkpoint"


def test_a_file_that_was_damaged_here_is_fetched_again(here: Artefacts) -> None:
    digest = here.put(b"checkpoint")
    here.path_of(digest).write_bytes(b"checkpoinT")

    assert here.get(digest) == b"checkpoint"
    assert here.checked_path(digest).read_bytes() == b"checkpoint"


def test_nothing_unfinished_is_left_in_a_bucket(here: Artefacts, tmp_path: Path) -> None:
    here.put(b"checkpoint")
    names = [path.name for path in (tmp_path / "bucket").rglob("*") if path.is_file()]

    assert names in ([], [Sha256.of(b"checkpoint").hex])


class Flaky:
    """A bucket that does not answer until told."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.is_up = False

    def size_of(self, name: str) -> int | None:
        self._answer()
        return len(self.kept[name]) if name in self.kept else None

    def send(self, source: Path, name: str) -> None:
        self._answer()
        self.kept[name] = source.read_bytes()

    def fetch(self, name: str, target: BinaryIO) -> bool:
        self._answer()
        target.write(self.kept.get(name, b""))
        return name in self.kept

    def _answer(self) -> None:
        if not self.is_up:
            raise ArtefactStoreUnavailableError(condition="test")


def test_a_bucket_that_is_away_loses_nothing_and_a_second_put_sends_it(tmp_path: Path) -> None:
    bucket = Flaky()
    store = Artefacts(tmp_path / "artefacts", bucket)
    with pytest.raises(StoreUnavailableError):  # passing, as a database that is away
        store.put(b"checkpoint")
    assert store.get(Sha256.of(b"checkpoint")) == b"checkpoint"

    bucket.is_up = True
    store.put(b"checkpoint")
    assert list(bucket.kept.values()) == [b"checkpoint"]


def test_an_adoption_that_the_bucket_missed_is_made_up_for(tmp_path: Path, spooled: Path) -> None:
    bucket = Flaky()
    store = Artefacts(tmp_path / "artefacts", bucket)
    with pytest.raises(ArtefactStoreUnavailableError):
        store.adopt(spooled, UPDATE)

    bucket.is_up = True
    store.adopt(spooled, UPDATE)
    assert list(bucket.kept.values()) == [MODEL.tobytes()]


def test_a_full_disk_gives_up_what_the_bucket_has_oldest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Flaky()
    bucket.is_up = True
    store = Artefacts(tmp_path / "artefacts", bucket)
    old, older, fresh, only_here = (store.put(name) for name in (b"b", b"a", b"f", b"o"))
    for digest, age_s in ((old, 7200), (older, 9000), (only_here, 9999)):
        then = time.time() - age_s
        os.utime(store.folder / digest.hex[:2] / digest.hex, (then, then))
    del bucket.kept[f"{only_here.hex[:2]}/{only_here.hex}"]
    free = iter([0, 0, 50, 100, 100])
    usage = SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=next(free)))
    monkeypatch.setattr(module, "shutil", usage)
    monkeypatch.setattr(module, "require_space", lambda *_: None)
    store.put(b"x" * 100)

    left = {path.name for path in store.folder.glob("??/*")}
    assert older.hex not in left
    assert {fresh.hex, only_here.hex} <= left
    monkeypatch.undo()
    assert store.get(older) == b"a"


def test_alone_nothing_is_ever_given_up(tiny_disk: Path) -> None:
    store = Artefacts(tiny_disk / "artefacts")
    digest = store.put(b"kept")
    then = time.time() - 9999
    os.utime(store.path_of(digest), (then, then))
    with pytest.raises(DiskFullError):
        store.put(os.urandom(200_000))

    assert store.get(digest) == b"kept"


# -- the setting and the server --------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> CentreHome:
    home = CentreHome(tmp_path / "home")
    home.folder.mkdir()
    home.write_settings(CentreSettings("Centre", "centre.example:1", NOW))
    return home


def test_a_centre_that_says_nothing_keeps_artefacts_in_its_home(home: CentreHome) -> None:
    digest = Artefacts.of(home).put(b"x")

    assert (home.artefacts / digest.hex[:2] / digest.hex).is_file()


def test_a_centre_keeps_artefacts_where_its_settings_say(
    home: CentreHome, bucket_url: str, tmp_path: Path
) -> None:
    settings = CentreSettings("Centre", "centre.example:1", NOW, artefacts=bucket_url)
    home.write_settings(settings)
    digest = Artefacts.of(home).put(b"x")

    assert home.settings() == settings
    assert Artefacts(tmp_path / "other", FsspecBucket(bucket_url)).get(digest) == b"x"


@pytest.mark.parametrize(
    "said",
    [
        'url = "s3://key:hush@bucket/models"',
        'url = "s3://bucket/models?secret=hush"',
        'url = "ftp://bucket/models"',
        'url = "bucket"',
        "url = 3",
        'uri = "s3://bucket"',
    ],
)
def test_credentials_and_unknown_places_are_refused(home: CentreHome, said: str) -> None:
    plain = home.settings_file.read_text()
    home.settings_file.write_text(f"{plain}\n[artefacts]\n{said}\n")
    with pytest.raises(ArtefactSettingError) as caught:
        Artefacts.of(home)

    assert "hush" not in str(caught.value)


def test_a_bucket_that_does_not_exist_is_refused(s3: str, tmp_path: Path) -> None:
    store = Artefacts(tmp_path / "a", FsspecBucket(f"s3://{s3}-nowhere/models"))
    with pytest.raises(ArtefactStoreRefusedError):
        store.put(b"x")


def test_a_centre_without_credentials_is_refused(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    store = Artefacts(tmp_path / "a", FsspecBucket(f"s3://{s3}/models"))
    with pytest.raises(ArtefactStoreRefusedError):
        store.put(b"x")


def test_a_server_that_is_down_is_a_passing_error(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    store = Artefacts(tmp_path / "a", FsspecBucket(f"s3://{s3}/models"))
    with pytest.raises(ArtefactStoreUnavailableError):
        store.put(b"x")


# -- models -----------------------------------------------------------------------------


def test_a_model_comes_back_as_it_was(store: Artefacts) -> None:
    model, manifest = store.get_model(store.put_model(MODEL, MANIFEST))

    np.testing.assert_array_equal(model, MODEL)
    assert manifest == MANIFEST


def test_a_kept_model_is_plain_safetensors_with_the_recipes_names(store: Artefacts) -> None:
    tensors = load(store.get(store.put_model(MODEL, MANIFEST)))

    np.testing.assert_array_equal(tensors["z.weight"], MODEL[:6].reshape(2, 3))
    np.testing.assert_array_equal(tensors["a.bias"], MODEL[6:])


def test_the_same_model_has_the_same_bytes() -> None:
    assert len({model_bytes(MODEL.copy(), MANIFEST) for _ in range(20)}) == 1


@pytest.mark.parametrize("model", [MODEL[:-1], MODEL.astype(np.float64), MODEL.reshape(2, 4)])
def test_a_model_that_does_not_fit_its_manifest_is_refused(model) -> None:
    with pytest.raises(UnreadableRecordError):
        model_bytes(model, MANIFEST)


GOOD = model_bytes(MODEL, MANIFEST)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04.",
        GOOD[:-1],
        GOOD[:20],
        save({"a": MODEL}),
        save({"a": MODEL}, {"trifed-manifest": "[]"}),
        save({"a": MODEL}, {"trifed-manifest": "{"}),
        save({"a": MODEL}, {"trifed-manifest": '[["b", [8]]]'}),
        save({"a": MODEL}, {"trifed-manifest": '[["a", [4]]]'}),
        save({"a": MODEL.astype(np.float64)}, {"trifed-manifest": '[["a", [8]]]'}),
    ],
)
def test_what_is_no_kept_model_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableRecordError):
        model_of_bytes(content)
