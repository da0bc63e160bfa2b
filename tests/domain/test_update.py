"""A manifest says where each tensor lies, and changes its digest with any of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.update import TensorSlot, UpdateManifest
from federation.errors.core import InvalidValueError

SLOTS = (TensorSlot("conv.weight", (8, 1, 3, 3)), TensorSlot("conv.bias", (8,)))


def test_sizes_count_elements_and_bytes() -> None:
    manifest = UpdateManifest((*SLOTS, TensorSlot("scale", ())))

    assert (manifest.size, manifest.size_bytes) == (72 + 8 + 1, 4 * 81)


@given(
    st.lists(
        st.tuples(st.text(min_size=1), st.lists(st.integers(1, 50), max_size=4)),
        min_size=1,
        max_size=5,
        unique_by=lambda slot: slot[0],
    )
)
def test_a_manifest_comes_back_from_json(raw: list[tuple[str, list[int]]]) -> None:
    manifest = UpdateManifest(tuple(TensorSlot(name, tuple(shape)) for name, shape in raw))

    assert UpdateManifest.from_json(json.loads(json.dumps(manifest.as_json()))) == manifest


@pytest.mark.parametrize(
    "other",
    [
        SLOTS[::-1],
        SLOTS[:1],
        (TensorSlot("conv.weight", (8, 3, 1, 3)), SLOTS[1]),
        (TensorSlot("conv.Weight", (8, 1, 3, 3)), SLOTS[1]),
    ],
)
def test_order_shapes_and_names_are_in_the_digest(other: tuple[TensorSlot, ...]) -> None:
    assert UpdateManifest(other).digest != UpdateManifest(SLOTS).digest


@pytest.mark.parametrize(
    "slots",
    [(), (SLOTS[0], SLOTS[0]), (TensorSlot("a", (0,)),), (TensorSlot("a", (2, -1)),)],
)
def test_impossible_manifests_are_refused(slots: tuple[TensorSlot, ...]) -> None:
    with pytest.raises(InvalidValueError):
        UpdateManifest(slots)


@pytest.mark.parametrize("raw", [None, 3, [], [["a"]], [["a", 3]], [["a", ["x"]]], {"a": 1}])
def test_json_of_another_form_is_refused(raw: object) -> None:
    with pytest.raises(InvalidValueError):
        UpdateManifest.from_json(raw)
