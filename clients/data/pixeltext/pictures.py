"""Make of stored samples the few pictures in which text is looked for.

Up to four frames are looked at one by one. Of more, the first, the middle and
the last frame, and the brightest and the darkest value of each pixel over all
frames: white text that stands in one frame only is still the brightest thing
there. Grey samples stay what they are (text is found by contrast, not by
window); colour becomes RGB. Importing this brings no model.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from clients.data.dicom.elements import Part10
from clients.data.dicom.pixels import Samples
from federation.errors.pixeltext import PixelTextUncheckedError, WhyUnchecked

STORED, HIGH_BIT, REPRESENTATION, PHOTOMETRIC = 0x00280101, 0x00280102, 0x00280103, 0x00280004
PALETTES = ((0x00281101, 0x00281201), (0x00281102, 0x00281202), (0x00281103, 0x00281203))
EVERY_FRAME_UP_TO = 4

Picture = npt.NDArray[np.integer]
"""(rows, columns) of any whole number type, or (rows, columns, 3) RGB of uint8."""


def pictures_of(samples: Samples, file: Part10) -> list[Picture]:
    """Return the pictures to look at, at most five.

    `samples` is (frames, rows, columns, channels) as `dicom.pixels.decode` gives it.
    """
    frames = samples.shape[0]
    shown = _shown(samples, file)
    if frames <= EVERY_FRAME_UP_TO:
        return [shown(samples[number]) for number in range(frames)]
    chosen = [shown(samples[number]) for number in (0, frames // 2, frames - 1)]
    return [*chosen, *_extremes(samples, shown)]


def palette_of(file: Part10) -> npt.NDArray[np.uint8]:
    """Return a palette as (entries, 3) of uint8 by stored value.

    Entries of 16 bits keep their high byte (PS3.3 C.7.6.3.1.5); stored values below
    the first one mapped have its colour.

    Raises
    ------
    PixelTextUncheckedError
        If the palette is missing, segmented or of uneven length (TF536).
    """
    columns = []
    for descriptor, data in PALETTES:
        described, entries = file.index.get(descriptor), file.index.get(data)
        if described is None or entries is None or len(described.value) != 6:
            raise PixelTextUncheckedError(why=WhyUnchecked.COLOURS.value)
        count, first, bits = np.frombuffer(described.value, file.encoding.order + "u2").tolist()
        kind = "u1" if bits == 8 and len(entries.value) < 2 * (count or 65536) else "u2"
        values = np.frombuffer(
            entries.value[: len(entries.value) // 2 * 2], file.encoding.order + kind
        )
        if not values.size:
            raise PixelTextUncheckedError(why=WhyUnchecked.COLOURS.value)
        coarse = values >> 8 if bits == 16 else values
        columns.append(np.concatenate([np.repeat(coarse[:1], first), coarse[: count or 65536]]))
    if len({column.size for column in columns}) != 1:
        raise PixelTextUncheckedError(why=WhyUnchecked.COLOURS.value)
    return np.stack(columns, axis=1).astype(np.uint8)


def _shown(samples: Samples, file: Part10) -> Callable[[Samples], Picture]:
    """Return what turns one frame (rows, columns, channels) into a picture."""
    photometric = file.text(PHOTOMETRIC)
    if photometric == "PALETTE COLOR":
        palette = palette_of(file)
        return lambda frame: _looked_up(frame[..., 0], palette)
    if samples.shape[3] == 3:
        if photometric.startswith("YBR_FULL"):
            return lambda frame: _rgb_of_ybr(_bytes(frame))
        return _bytes
    return lambda frame: _stored_bits(frame[..., 0], file)


def _looked_up(indices: Samples, palette: npt.NDArray[np.uint8]) -> Picture:
    return palette[np.minimum(indices.astype(np.int64), len(palette) - 1)]


def _bytes(frame: Samples) -> Picture:
    if frame.dtype.itemsize == 1:
        return np.asarray(frame, dtype=np.uint8)
    top = max(1, int(np.max(frame)).bit_length() - 8)
    return (frame.astype(np.int64) >> top).clip(0, 255).astype(np.uint8)


def _rgb_of_ybr(frame: Samples) -> Picture:
    """Return RGB of YBR_FULL (PS3.3 C.7.6.3.1.2)."""
    luma = frame[..., 0].astype(np.float32)
    blue = frame[..., 1].astype(np.float32) - 128
    red = frame[..., 2].astype(np.float32) - 128
    parts = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    return np.stack(parts, axis=-1).round().clip(0, 255).astype(np.uint8)


def _stored_bits(plane: Samples, file: Part10) -> Picture:
    """Return grey samples without what lies above Bits Stored."""
    whole: Picture = np.asarray(plane, dtype=plane.dtype.newbyteorder("="))
    allocated = whole.dtype.itemsize * 8
    stored = file.number(STORED, allocated)
    if not 0 < stored < allocated or file.number(HIGH_BIT, stored - 1) != stored - 1:
        return whole
    if whole.dtype.kind == "i":
        lowest, highest = -(1 << (stored - 1)), (1 << (stored - 1)) - 1
    else:
        lowest, highest = 0, (1 << stored) - 1
    if lowest <= whole.min() and whole.max() <= highest:
        return whole
    bits = (whole.astype(np.int64) & ((1 << stored) - 1)).astype(np.int64)
    if whole.dtype.kind == "i":
        bits = np.where(bits > highest, bits - (1 << stored), bits)
    return bits.astype(np.int32)


def _extremes(samples: Samples, shown: Callable[[Samples], Picture]) -> list[Picture]:
    """Return the highest and the lowest value of each pixel over the frames."""
    highest = lowest = shown(samples[0])
    for number in range(1, samples.shape[0]):
        picture = shown(samples[number])
        highest, lowest = np.maximum(highest, picture), np.minimum(lowest, picture)
    return [highest, lowest]
