"""What a model looks like on the wire: one flat array and its manifest.

Flower moves every tensor in its own HTTP requests, so a network of 727 tensors
costs a minute a round. Here the whole model is one float32 vector; the manifest
says where each named tensor lies in it.
"""

import json
from dataclasses import dataclass
from math import prod

from federation.domain.ids import Sha256
from federation.errors.core import InvalidValueError

FLOAT32_BYTES = 4


@dataclass(frozen=True, slots=True)
class TensorSlot:
    """One named tensor's place: its name and shape (float32, C order)."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Return the number of elements."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class UpdateManifest:
    """The names and shapes of a model's tensors, in their order in the flat array.

    Raises
    ------
    InvalidValueError
        If it is empty, a name repeats, or a dimension is below one.
    """

    slots: tuple[TensorSlot, ...]

    def __post_init__(self) -> None:
        names = [slot.name for slot in self.slots]
        if not names or len(set(names)) != len(names):
            raise InvalidValueError(
                field="update manifest", actual=f"{len(names)} tensors", expected="unique names"
            )
        if any(dimension < 1 for slot in self.slots for dimension in slot.shape):
            raise InvalidValueError(
                field="update manifest",
                actual="an empty tensor",
                expected="dimensions of 1 or more",
            )

    @property
    def size(self) -> int:
        """Return the number of float32 elements of the flat array."""
        return sum(slot.size for slot in self.slots)

    @property
    def size_bytes(self) -> int:
        """Return the size of the flat array in bytes."""
        return self.size * FLOAT32_BYTES

    @property
    def digest(self) -> Sha256:
        """Return the content id over names, shapes and order."""
        return Sha256.of(json.dumps(self.as_json(), separators=(",", ":")).encode())

    def as_json(self) -> list[list[object]]:
        """Return the manifest as JSON: a list of [name, shape]."""
        return [[slot.name, list(slot.shape)] for slot in self.slots]

    @classmethod
    def from_json(cls, raw: list[list[object]]) -> "UpdateManifest":
        """Return the manifest that `as_json` wrote.

        Raises
        ------
        InvalidValueError
            If the JSON is not a list of [name, shape] pairs.
        """
        try:
            slots = tuple(
                TensorSlot(str(name), tuple(int(d) for d in shape))  # type: ignore[attr-defined]
                for name, shape in raw
            )
        except (TypeError, ValueError) as error:
            raise InvalidValueError(
                field="update manifest", actual=type(error).__name__, expected="[name, shape] pairs"
            ) from error
        return cls(slots)
