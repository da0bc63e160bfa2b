import os
from pathlib import Path

import numpy as np
import pytest

from clients.data.cohort import cache
from clients.data.cohort.cache import Array, Kind, content_of, forget, load
from federation.errors.cohorts import CohortCacheError
from federation.errors.data import StoredImageError

KIND = Kind("test", (2, 3), "<f4")


def digest(number: int) -> str:
    return f"{number:064x}"


def array(number: int) -> Array:
    return np.full(KIND.shape, number, dtype=np.float32)


def packs(data: Path) -> list[Path]:
    return sorted((data / "cache" / "packs").rglob("*.npy"))


class Maker:
    """Prepares the arrays of numbers, and counts how often."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers, self.asked = numbers, 0

    def __call__(self, place: int) -> Array:
        self.asked += 1
        return array(self.numbers[place])


def loaded(data: Path, numbers: list[int]) -> tuple[list[float], int]:
    """Load numbers; return what came, and how many had to be prepared."""
    maker = Maker(numbers)
    rows = load(data, KIND, [digest(number) for number in numbers], maker)
    assert rows.shape == (len(numbers), *KIND.shape)
    return rows[:, 0, 0].tolist(), maker.asked


def test_arrays_come_in_the_order_asked_and_are_prepared_once(tmp_path: Path) -> None:
    assert loaded(tmp_path, [3, 1, 2]) == ([3, 1, 2], 3)
    assert loaded(tmp_path, [3, 1, 2]) == ([3, 1, 2], 0)


def test_another_cohort_takes_its_rows_from_what_is_there(tmp_path: Path) -> None:
    loaded(tmp_path, [1, 2, 3])
    assert loaded(tmp_path, [3, 1]) == ([3, 1], 0)
    assert loaded(tmp_path, [1, 2, 3, 4]) == ([1, 2, 3, 4], 1)


def test_packs_that_another_one_holds_and_old_ones_are_deleted(tmp_path: Path) -> None:
    for number in range(8):
        loaded(tmp_path, [number, number + 1])
    assert len(packs(tmp_path)) == cache.MOST_PACKS
    loaded(tmp_path, list(range(10)))
    assert len(packs(tmp_path)) == 1


def test_changing_what_was_loaded_changes_nothing_that_is_kept(tmp_path: Path) -> None:
    rows = load(tmp_path, KIND, [digest(1)], Maker([1]))
    rows[:] = 99
    assert loaded(tmp_path, [1]) == ([1], 0)


def test_a_build_that_is_killed_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "BATCH_BYTES", KIND.row_bytes * 2)
    numbers = [1, 2, 3, 4, 5]

    def dies(place: int) -> Array:
        if place == 4:
            raise KeyboardInterrupt
        return array(numbers[place])

    with pytest.raises(KeyboardInterrupt):
        load(tmp_path, KIND, [digest(number) for number in numbers], dies)
    assert loaded(tmp_path, numbers) == ([1, 2, 3, 4, 5], 1)
    assert len(packs(tmp_path)) == 1


def test_broken_images_are_counted_and_the_others_are_kept(tmp_path: Path) -> None:
    def some(place: int) -> Array:
        if place % 2:
            raise StoredImageError(count=1)
        return array(place)

    with pytest.raises(StoredImageError, match="2 admitted images"):
        load(tmp_path, KIND, [digest(number) for number in range(5)], some)
    assert loaded(tmp_path, [0, 2, 4]) == ([0, 2, 4], 0)


@pytest.mark.parametrize("keep", [0, 60, 140])
def test_a_damaged_pack_is_made_again(tmp_path: Path, keep: int) -> None:
    loaded(tmp_path, [1, 2])
    (pack,) = packs(tmp_path)
    os.truncate(pack, keep)
    assert loaded(tmp_path, [1, 2]) == ([1, 2], 2)


def test_forgetting_deletes_every_array_of_an_image_wherever_it_lies(tmp_path: Path) -> None:
    loaded(tmp_path, [1, 2, 3])
    loaded(tmp_path, [3, 7])
    stack = content_of([digest(3), digest(8)])
    volume = Kind("volume", (1,), "|u1")
    load(tmp_path, volume, [stack], lambda _: np.ones(1, dtype=np.uint8))
    (tmp_path / "cache" / "ab").mkdir()
    (tmp_path / "cache" / "ab" / "old.npy").write_bytes(b"of an earlier version")
    assert forget(tmp_path, [digest(3)]) == 2
    needle = digest(3).encode()
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert all(needle not in path.read_bytes() for path in kept)
    for path in packs(tmp_path):
        assert 3 not in np.load(path)
    assert not (tmp_path / "cache" / "ab").exists()
    assert loaded(tmp_path, [1, 2]) == ([1, 2], 0)
    assert loaded(tmp_path, [3]) == ([3], 1)
    assert forget(tmp_path / "nowhere", [digest(3)]) == 0


def test_a_mask_kind_and_another_shape_do_not_mix(tmp_path: Path) -> None:
    loaded(tmp_path, [1])
    other = Kind("test", (4,), "<f4")
    assert load(tmp_path, other, [digest(1)], lambda _: np.zeros(4, np.float32)).shape == (1, 4)


def test_a_disk_that_does_not_take_them_has_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_write_rows", full)
    with pytest.raises(CohortCacheError, match="No space left"):
        loaded(tmp_path, [1])


def test_files_are_for_their_owner_and_name_nobody(tmp_path: Path) -> None:
    loaded(tmp_path, [1])
    (pack,) = packs(tmp_path)
    assert pack.parent.stat().st_mode & 0o077 == 0
    assert digest(1) not in str(pack)


def test_a_pack_that_was_swapped_for_another_is_prepared_anew(tmp_path: Path) -> None:
    loaded(tmp_path, [1, 2])
    (one,) = packs(tmp_path)
    loaded(tmp_path, [3, 4])
    (other,) = set(packs(tmp_path)) - {one}
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    assert loaded(tmp_path, [1, 2])[0] == [1, 2]
    assert loaded(tmp_path, [3, 4])[0] == [3, 4]


def test_arrays_that_were_changed_are_prepared_anew(tmp_path: Path) -> None:
    loaded(tmp_path, [1, 2])
    (pack,) = packs(tmp_path)
    content = bytearray(pack.read_bytes())
    rows = np.load(pack)
    at = len(content) - 3 * cache.DIGEST_BYTES - rows.nbytes
    content[at : at + rows.nbytes] = bytes(rows.nbytes)
    pack.write_bytes(content)
    assert loaded(tmp_path, [1, 2]) == ([1, 2], 2)


@pytest.mark.parametrize("listed", ['{"a": 1}', "[1, 2]", "[" * 100_000, '["x"]'])
def test_a_list_that_is_none_is_not_believed(tmp_path: Path, listed: str) -> None:
    loaded(tmp_path, [1, 2])
    (pack,) = packs(tmp_path)
    pack.with_suffix(".json").write_text(listed)
    assert loaded(tmp_path, [2, 1])[0] == [2, 1]


def test_a_pack_that_is_an_archive_is_not_opened(tmp_path: Path) -> None:
    loaded(tmp_path, [1, 2])
    (pack,) = packs(tmp_path)
    with pack.open("wb") as file:
        np.savez(file, rows=np.zeros((2, *KIND.shape)))
    assert loaded(tmp_path, [1, 2]) == ([1, 2], 2)
