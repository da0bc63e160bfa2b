"""The store keeps bytes under their digest and never returns others."""

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from federation.domain.ids import Sha256
from federation.domain.update import TensorSlot, UpdateManifest
from federation.errors.core import UnreadableRecordError
from federation.errors.machine import ArtefactDamagedError, ArtefactMissingError, DiskFullError
from federation.operations import artefacts as module
from federation.operations.artefacts import Artefacts, model_bytes, model_of_bytes

MANIFEST = UpdateManifest((TensorSlot("z.weight", (2, 3)), TensorSlot("a.bias", (2,))))
MODEL = np.arange(8, dtype=np.float32)


@pytest.fixture
def store(tmp_path: Path) -> Artefacts:
    return Artefacts(tmp_path / "artefacts")


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


def test_what_is_not_kept_is_missing(store: Artefacts) -> None:
    with pytest.raises(ArtefactMissingError):
        store.get(Sha256.of(b"never"))


def test_one_changed_byte_is_noticed_and_healed_by_a_new_put(store: Artefacts) -> None:
    digest = store.put(b"checkpoint")
    store.path_of(digest).write_bytes(b"checkpoinT")
    with pytest.raises(ArtefactDamagedError):
        store.get(digest)

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
