"""Say what a study wants done about text in pixels, and where text was found."""

from dataclasses import dataclass
from enum import Enum


class PixelText(Enum):
    """What happens to a file whose pixels show text.

    DECLARED believes Burned In Annotation (0028,0301) and looks at no pixel.
    """

    QUARANTINE = "quarantine"
    BLANK = "blank"
    DECLARED = "declared"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels in a range of frames; ends are not included.

    Raises
    ------
    ValueError
        If it is empty or begins before zero.
    """

    first_frame: int
    end_frame: int
    top: int
    left: int
    bottom: int
    right: int

    def __post_init__(self) -> None:
        if min(self.first_frame, self.top, self.left) < 0:
            raise ValueError("a box begins inside the picture")
        if not (
            self.first_frame < self.end_frame and self.top < self.bottom and self.left < self.right
        ):
            raise ValueError("a box holds at least one pixel")
