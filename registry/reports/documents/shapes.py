"""Shapes that several documents share: figures within their limits."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from federation.domain.ids import Sha256
from federation.evaluation.suppression import Reason
from federation.evidence.canonical import canonical
from federation.evidence.characters import UNSEEN
from federation.evidence.model_version import Count, Line
from registry.records.shapes import Body

Share = Annotated[float, Field(ge=0, le=1)]
Cells = Annotated[int, Field(ge=3, le=20)]
Number = Annotated[float, Field(ge=-1e18, le=1e18)]
"""Wider ones are no figure of a study, and no page could show them."""

Range = tuple[Number, Number]

_CONTROLS = "\x00-\x08\x0b\x0c\x0e-\x1f"
Sentence = Annotated[
    str, StringConstraints(min_length=1, max_length=1000, pattern=f"^[^{_CONTROLS}{UNSEEN}]+$")
]
Spoken = Annotated[dict[Literal["en", "zh-Hant-TW"], Sentence], Field(min_length=2, max_length=2)]
"""A sentence in both languages."""


class Estimated(Body):
    """An estimate and its 95 % interval."""

    value: Number
    interval: Range

    @property
    def ends(self) -> Range:
        """Return both ends of the interval."""
        return self.interval


class Rate(Body):
    """A rate that is shown, lies in a band, or is refused."""

    value: Share | None
    interval: Range | None = None
    band: Range | None = None
    of: Count | None = None
    name: Line | None = None
    refused: Reason | None = Field(default=None, strict=False)
    k: Cells | None = None


def digest_of(document: Body) -> str:
    """Return the content id of the bytes that a document was read from, or would be."""
    return str(Sha256.of(canonical(document.model_dump(mode="json", exclude_unset=True))))
