"""Fill rectangles of a file's pixels with black, and change nothing else.

Native pixels stay in their transfer syntax, byte for byte outside the
rectangles. Compressed ones cannot be cut into without being decoded, so they are
written as Explicit VR Little Endian with the colours their decoder gave; a lossy
past stays said (PS3.3 C.7.6.1.1.5). `blank` takes and gives stored samples;
`cleared` also looks again.
"""

import io
import struct
import warnings
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from clients.data.dicom.elements import (
    EXPLICIT_LITTLE,
    PIXEL_DATA,
    Element,
    Part10,
    write_part10,
)
from clients.data.dicom.pixels import (
    ALLOCATED,
    PHOTOMETRIC,
    REPRESENTATION,
    SLOPE,
    Samples,
    decode,
    in_file_order,
)
from clients.data.pixeltext.detect import Detector
from clients.data.pixeltext.pictures import palette_of
from clients.data.pixeltext.policy import Box
from federation.errors.pixeltext import PixelTextUncheckedError, WhyUnchecked

TRANSFER_SYNTAX, PLANAR, LOSSY, SHAPE = 0x00020010, 0x00280006, 0x00282110, 0x20500020
EXPLICIT_LITTLE_UID = "1.2.840.10008.1.2.1"
OFFSETS = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003})
"""Extended offset table, its lengths and the encapsulated total length: void once native."""
_SYNTAX = "1.2.840.10008.1.2.4."
LOSSY_SYNTAXES = frozenset(_SYNTAX + suffix for suffix in ("50", "51", "81", "91", "93", "203"))
"""Syntaxes that may lose; without an attribute that says otherwise they are taken to have."""
MOST_ROUNDS = 3
"""How often a file is blanked and looked at again: less text lets fainter text be seen."""
MONOCHROMES = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True, slots=True)
class Blanked:
    """A file after its text was filled, with its samples as they are now stored."""

    file: Part10
    samples: Samples
    areas: int


def cleared(file: Part10, samples: Samples, detector: Detector) -> Blanked | None:
    """Return the file with its text blanked, None when it showed none.

    Raises
    ------
    PixelTextUncheckedError
        If its text cannot be blanked, or is still seen afterwards (TF536).
    """
    boxes = detector.find(samples, file=file)
    if not boxes:
        return None
    areas = 0
    for _ in range(MOST_ROUNDS):
        areas += len(boxes)
        file = blank(file, samples, boxes)
        samples = decode(file)
        boxes = detector.find(samples, file=file)
        if not boxes:
            return Blanked(file, samples, areas=areas)
    raise PixelTextUncheckedError(why=WhyUnchecked.STILL_THERE.value)


def blank(file: Part10, samples: Samples, boxes: tuple[Box, ...]) -> Part10:
    """Return the file with the boxes filled with black as displayed.

    `samples` is what `dicom.pixels.decode` gives for the file: (frames, rows,
    columns, channels). The file given is not changed.

    Raises
    ------
    PixelTextUncheckedError
        If its way of storing colours is not one that can be written (TF536).
    """
    photometric = _photometric(file, samples)
    black = _black(file, samples, photometric)
    filled = samples.copy()
    for box in boxes:
        frames = slice(box.first_frame, box.end_frame)
        filled[frames, box.top : box.bottom, box.left : box.right] = black
    if file.index[PIXEL_DATA].fragments:
        return _unpacked(file, filled, photometric)
    if photometric != file.text(PHOTOMETRIC):
        return _with(file, _pixels(filled, photometric, file.encoding.order))
    return _with(file, {PIXEL_DATA: _native_value(file, filled)})


def _black(file: Part10, samples: Samples, photometric: str) -> npt.NDArray[np.generic]:
    """Return one pixel (channels,) of black: the file's own darkest where it is grey."""
    if photometric in MONOCHROMES:
        turned = photometric == "MONOCHROME1"
        turned ^= file.text(SHAPE) == "INVERSE" and photometric == "MONOCHROME2"
        turned ^= file.text(SLOPE).startswith("-")
        return np.atleast_1d(samples.max() if turned else samples.min())
    if photometric == "PALETTE COLOR":
        palette, shown = palette_of(file), np.unique(samples)
        inside = np.minimum(shown.astype(np.int64), len(palette) - 1)
        return np.atleast_1d(shown[palette[inside].sum(axis=1, dtype=np.int64).argmin()])
    if photometric == "YBR_FULL":
        middle = 1 << (8 * samples.dtype.itemsize - 1)
        return np.array([0, middle, middle], dtype=samples.dtype)
    return np.zeros(samples.shape[3], dtype=samples.dtype)


def _photometric(file: Part10, samples: Samples) -> str:
    """Return how the samples' colours are to be read, now that they are decoded."""
    stated = file.text(PHOTOMETRIC)
    if samples.shape[3] == 3 and file.index[PIXEL_DATA].fragments:
        stated = _of_decoder(file)
    if stated == "YBR_FULL_422":
        stated = "YBR_FULL"
    grey = stated in (*MONOCHROMES, "PALETTE COLOR") and samples.shape[3] == 1
    colour = stated in ("RGB", "YBR_FULL") and samples.shape[3] == 3
    if not (grey or colour):
        raise PixelTextUncheckedError(why=WhyUnchecked.COLOURS.value)
    return stated


def _of_decoder(file: Part10) -> str:
    """Return the colours that the decoder says it gives: the codestream may not be as tagged."""
    import pydicom
    from pydicom.pixels import get_decoder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's advice about nonconformant files
        dataset = pydicom.dcmread(io.BytesIO(write_part10(file)))
        decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
        _, told = decoder.as_array(dataset, index=0, raw=True)
    return str(told["photometric_interpretation"])


def _native_value(file: Part10, filled: Samples) -> Element:
    """Return pixel data of the same length, order and planes, bytes behind the last pixel kept."""
    element = file.index[PIXEL_DATA]
    planar = filled.shape[3] > 1 and file.number(PLANAR, 0) == 1
    ordered = filled.transpose(0, 3, 1, 2) if planar else filled
    value = in_file_order(ordered.tobytes(), file)
    return replace(element, value=value + element.value[len(value) :])


def _unpacked(file: Part10, filled: Samples, photometric: str) -> Part10:
    """Return a compressed file in Explicit VR Little Endian with its samples uncompressed."""
    changed = _pixels(filled, photometric, EXPLICIT_LITTLE.order)
    if file.transfer_syntax in LOSSY_SYNTAXES and not file.text(LOSSY):
        changed[LOSSY] = Element(LOSSY, "CS", b"01")
    native = (EXPLICIT_LITTLE_UID + "\0").encode()
    meta = [
        replace(element, value=native) if element.tag == TRANSFER_SYNTAX else element
        for element in file.meta
    ]
    dataset = [element for element in _with(file, changed).dataset if element.tag not in OFFSETS]
    return Part10(meta, dataset, EXPLICIT_LITTLE_UID, EXPLICIT_LITTLE)


def _pixels(filled: Samples, photometric: str, order: str) -> dict[int, Element]:
    """Return uncompressed pixel data and the attributes that describe it, by tag."""
    bits = filled.dtype.itemsize * 8
    stored = np.dtype(f"{order}{filled.dtype.kind}{filled.dtype.itemsize}")
    value = filled.astype(stored, copy=False).tobytes()
    padded = photometric + " " * (len(photometric) % 2)
    elements = [
        Element(PIXEL_DATA, "OW" if bits > 8 else "OB", value + b"\0" * (len(value) % 2)),
        Element(PHOTOMETRIC, "CS", padded.encode()),
        _short(ALLOCATED, bits, order),
        _short(REPRESENTATION, int(filled.dtype.kind == "i"), order),
    ]
    if filled.shape[3] > 1:
        elements.append(_short(PLANAR, 0, order))
    return {element.tag: element for element in elements}


def _with(file: Part10, changed: dict[int, Element]) -> Part10:
    """Return a file with elements put in place of its own, or added."""
    kept = [element for element in file.dataset if element.tag not in changed]
    dataset = sorted([*kept, *changed.values()], key=lambda element: element.tag)
    return Part10(file.meta, dataset, file.transfer_syntax, file.encoding)


def _short(tag: int, value: int, order: str) -> Element:
    return Element(tag, "US", struct.pack(order + "H", value))
