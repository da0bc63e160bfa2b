"""Find text that is burned into a picture.

`Detector()` once per process; `find(samples, file=…)` for each file. A few passes
of NumPy say where text could stand (`candidates.py`); only there do two small
networks look for lines and read them (`reader.py`); what they read decides
(`telling.py`). The same samples give the same boxes on the same machine and versions.
"""

import numpy as np

from clients.data.dicom.elements import Part10
from clients.data.dicom.pixels import Samples
from clients.data.pixeltext.candidates import Region, candidates, smaller
from clients.data.pixeltext.pictures import Picture, pictures_of
from clients.data.pixeltext.policy import Box
from clients.data.pixeltext.reader import Area, Image, Reader, Reading, check_models
from clients.data.pixeltext.telling import (
    Line,
    looks_like_a_line,
    tells,
    weight,
)
from federation.errors.pixeltext import PixelTextUncheckedError, WhyUnchecked

MOST_PIXELS_READ = 32 << 20
"""Pixels of regions that one file may have read; more is TF536."""
WINDOW, OVERLAP = 960, 160
MOST_GROWTHS, GROWTH, NEAR_EDGE = 3, 96, 3
BESIDE_ALONG, BESIDE_ACROSS, LARGEST_BESIDE, LEAST_SPREAD = 8, 1, 32, 1.0
"""How far to look beside a line, in its heights; the height from which it is made smaller."""
SAME = 0.6
"""Lines that share more than this of the smaller one are the same line."""
HIGHEST_LINE = 112
LEAST_SIDE_READ = 5
UPRIGHT = 1.5
"""A line this many times higher than wide is read turned, and as stacked characters."""
SURE = 0.9
"""A line read with less than this is also read upside down and in a mirror."""


class Detector:
    """Finds text; holds the models of one process.

    Raises
    ------
    PixelTextUncheckedError
        If the models are not installed or not the released ones (TF536).
    """

    def __init__(self, reader: Reader | None = None) -> None:
        if reader is None:
            check_models()
        self.reader = reader or Reader()

    def find(self, samples: Samples, *, file: Part10) -> tuple[Box, ...]:
        """Return where text stands that could identify somebody; nothing where none does.

        `samples` is (frames, rows, columns, channels) as stored. Each box spans all
        frames. Raises PixelTextUncheckedError when too much looks like text.
        """
        budget = _Budget()
        found: dict[Box, None] = {}
        for picture in pictures_of(samples, file):
            lines = self._lines(picture, budget)
            if tells([line for line, _ in lines]):
                told = [area for line, area in lines if weight(line) or looks_like_a_line(line)]
                for area in (*told, *self._beside(picture, told, budget)):
                    found[_box(area, samples.shape)] = None
        return tuple(found)

    def _beside(self, picture: Picture, told: list[Area], budget: "_Budget") -> list[Area]:
        """Return what looks like text beside the lines that told, in evened-out contrast.

        Part of a line may run over brighter or darker anatomy and be lost there.
        """
        beside = []
        for area in told:
            height = min(area.bottom - area.top, area.right - area.left)
            scale = max(1, height // LARGEST_BESIDE)
            window = _band(area, scale, picture)
            budget.spend(window)
            shrunk = picture if scale == 1 else smaller(picture, scale)
            part = shrunk[window.top : window.bottom, window.left : window.right]
            for found in self.reader.lines(evened(part, height // scale)):
                if min(found.bottom - found.top, found.right - found.left) <= 2 * height // scale:
                    beside.append(_placed(found, window))
        return beside

    def _lines(self, picture: Picture, budget: "_Budget") -> list[tuple[Line, Area]]:
        """Return the lines of a picture, their areas in its own pixels."""
        lines: list[tuple[Line, Area]] = []
        for shrunk, regions in candidates(picture):
            for region in regions:
                for window in _windows(region):
                    lines += self._whole_lines(shrunk, window, budget)
        return _without_doubles(lines)

    def _whole_lines(
        self, picture: Picture, window: Region, budget: "_Budget"
    ) -> list[tuple[Line, Area]]:
        """Return the lines of a window, which is made larger while it cuts through one."""
        rows, columns = picture.shape[:2]
        for _ in range(MOST_GROWTHS):
            image = as_bytes(picture[window.top : window.bottom, window.left : window.right])
            budget.spend(window)
            areas = self.reader.lines(image)
            larger = _grown(window, areas, rows, columns)
            if larger == window:
                break
            window = larger
        return [(line, _placed(area, window)) for line, area in self._read(image, areas)]

    def _read(self, image: Image, areas: list[Area]) -> list[tuple[Line, Area]]:
        read = []
        for area in areas:
            height, width = area.bottom - area.top, area.right - area.left
            if min(height, width) > HIGHEST_LINE or min(height, width) < LEAST_SIDE_READ:
                continue
            cut = image[area.top : area.bottom, area.left : area.right]
            length = max(height, width) / min(height, width)
            line = Line(self._reading(cut), area.score, length, min(height, width))
            read.append((line, area))
        return read

    def _reading(self, cut: Image) -> Reading:
        """Return the best of the ways to read a line."""
        rows, columns = cut.shape[:2]
        if rows >= UPRIGHT * columns:
            turned = [self.reader.read(way) for way in (np.rot90(cut), np.rot90(cut, -1))]
            return max([*turned, self._stacked(cut)], key=_gain)
        reading = self.reader.read(cut)
        if reading.sureness >= SURE:
            return reading
        others = [cut[::-1, ::-1], cut[:, ::-1]]
        return max([reading, *(self.reader.read(way) for way in others)], key=_gain)

    def _stacked(self, cut: Image) -> Reading:
        """Read characters below each other as one line, two pieces as two lines."""
        rows, columns = cut.shape[:2]
        count = max(2, round(rows / columns))
        each = rows // count
        pieces = [cut[each * number : each * (number + 1)] for number in range(count)]
        if count > 2:
            return self.reader.read(np.concatenate(pieces, axis=1))
        upper, lower = (self.reader.read(piece).characters for piece in pieces)
        return Reading((*upper, (" ", 1.0), *lower) if upper or lower else ())


class _Budget:
    """What may still be read of one file."""

    def __init__(self) -> None:
        self.left = MOST_PIXELS_READ

    def spend(self, window: Region) -> None:
        """Take a window off, raise TF536 when it is more than is left."""
        self.left -= (window.bottom - window.top) * (window.right - window.left)
        if self.left < 0:
            raise PixelTextUncheckedError(why=WhyUnchecked.TOO_MUCH.value)


def as_bytes(part: Picture) -> Image:
    """Return a part of a picture as RGB bytes, its own contrast stretched to the full."""
    low, high = np.percentile(part, [0.2, 99.8])
    scaled = (part.astype(np.float32) - np.float32(low)) * np.float32(255 / max(1.0, high - low))
    image = scaled.clip(0, 255).astype(np.uint8)
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def evened(part: Picture, width: int) -> Image:
    """Return a part of a picture as RGB bytes, each pixel by the mean and spread around it.

    `width` is the side of what counts as around, in pixels.
    """
    from scipy import ndimage

    grey = (part if part.ndim == 2 else part.max(axis=2)).astype(np.float64)
    centred = grey - ndimage.uniform_filter(grey, width)
    # the filter's running sum can leave a little less than nothing
    variance = np.maximum(ndimage.uniform_filter(centred**2, width), 0)
    spread = np.sqrt(variance) + LEAST_SPREAD
    image = (centred / spread * 64 + 128).clip(0, 255).astype(np.uint8)
    return np.repeat(image[..., None], 3, axis=2)


def _band(area: Area, scale: int, picture: Picture) -> Region:
    """Return what lies beside a line, along it and a little above and below."""
    rows, columns = (side // scale for side in picture.shape[:2])
    height, width = area.bottom - area.top, area.right - area.left
    along, across = BESIDE_ALONG * min(height, width), BESIDE_ACROSS * min(height, width)
    down, side = (across, along) if width >= height else (along, across)
    return Region(
        scale,
        max(0, (area.top - down) // scale),
        max(0, (area.left - side) // scale),
        min(rows, -(-(area.bottom + down) // scale)),
        min(columns, -(-(area.right + side) // scale)),
    )


def _windows(region: Region) -> list[Region]:
    """Return a region cut into overlapping windows that the detector takes at once."""
    return [
        Region(
            region.scale,
            top,
            left,
            min(region.bottom, top + WINDOW),
            min(region.right, left + WINDOW),
        )
        for top in _starts(region.top, region.bottom)
        for left in _starts(region.left, region.right)
    ]


def _grown(window: Region, areas: list[Area], rows: int, columns: int) -> Region:
    """Return a window with room on each side at which a line touches its edge."""
    height, width = window.bottom - window.top, window.right - window.left
    lines = [a for a in areas if min(a.bottom - a.top, a.right - a.left) <= HIGHEST_LINE]
    above = GROWTH * any(area.top <= NEAR_EDGE for area in lines)
    before = GROWTH * any(area.left <= NEAR_EDGE for area in lines)
    below = GROWTH * any(area.bottom >= height - NEAR_EDGE for area in lines)
    after = GROWTH * any(area.right >= width - NEAR_EDGE for area in lines)
    return Region(
        window.scale,
        max(0, window.top - above),
        max(0, window.left - before),
        min(rows, window.bottom + below),
        min(columns, window.right + after),
    )


def _without_doubles(lines: list[tuple[Line, Area]]) -> list[tuple[Line, Area]]:
    """Return the lines, of those that lie over each other only the one that says most."""
    kept: list[tuple[Line, Area]] = []
    for line, area in sorted(lines, key=lambda found: -_gain(found[0].reading)):
        if not any(_shared(area, other) > SAME for _, other in kept):
            kept.append((line, area))
    return kept


def _shared(one: Area, other: Area) -> float:
    """Return how much of the smaller area lies in the other."""
    rows = min(one.bottom, other.bottom) - max(one.top, other.top)
    columns = min(one.right, other.right) - max(one.left, other.left)
    smaller = min((a.bottom - a.top) * (a.right - a.left) for a in (one, other))
    return max(0, rows) * max(0, columns) / smaller


def _starts(first: int, end: int) -> list[int]:
    last = max(first, end - OVERLAP)
    return list(range(first, max(first + 1, last), WINDOW - OVERLAP))


def _placed(area: Area, window: Region) -> Area:
    scale = window.scale
    return Area(
        (area.top + window.top) * scale,
        (area.left + window.left) * scale,
        (area.bottom + window.top) * scale,
        (area.right + window.left) * scale,
        area.score,
    )


def _gain(reading: Reading) -> float:
    return sum(max(0.0, sure - 0.5) for _, sure in reading.characters)


def _box(area: Area, shape: tuple[int, ...]) -> Box:
    """Return an area with a quarter of its height around it, in all frames."""
    more = max(2, min(area.bottom - area.top, area.right - area.left) // 4)
    return Box(
        first_frame=0,
        end_frame=shape[0],
        top=max(0, area.top - more),
        left=max(0, area.left - more),
        bottom=min(shape[1], area.bottom + more),
        right=min(shape[2], area.right + more),
    )
