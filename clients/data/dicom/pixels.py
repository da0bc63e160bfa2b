"""Turn stored pixels into arrays: natively with NumPy, compressed with pydicom's decoders.

`decode` gives the stored samples as they are; `grey` makes of them what a
reader sees as a single-channel picture (rescale, MONOCHROME1 turned over). Used
inside the worker process at intake and on admitted files afterwards. Importing
this module imports pydicom's pixel side; the CLI must not.
"""

import hashlib
import io
import warnings

import numpy as np
import numpy.typing as npt

from clients.data.deidentification.deidentify import frames_of
from clients.data.dicom.elements import PIXEL_DATA, Part10, write_part10
from federation.errors.data import PixelsUndecodableError

ROWS, COLUMNS, SAMPLES = 0x00280010, 0x00280011, 0x00280002
ALLOCATED, STORED, REPRESENTATION = 0x00280100, 0x00280101, 0x00280103
PHOTOMETRIC, PADDING_VALUE = 0x00280004, 0x00280120
INTERCEPT, SLOPE = 0x00281052, 0x00281053
MOST_SAMPLES = 1 << 29

Samples = npt.NDArray[np.generic]
Grey = npt.NDArray[np.float32]


def decode(file: Part10) -> Samples:
    """Return stored samples, shape (frames, rows, columns, samples), colours untouched.

    Raises
    ------
    PixelsUndecodableError
        If there are no pixels, fewer than promised, or no decoder reads them.
    """
    shape = (
        frames_of(file),
        file.number(ROWS, 0),
        file.number(COLUMNS, 0),
        file.number(SAMPLES, 1),
    )
    element = file.index.get(PIXEL_DATA)
    if element is None or min(shape) < 1 or np.prod(shape, dtype=np.int64) > MOST_SAMPLES:
        raise PixelsUndecodableError()
    if element.fragments or file.text(PHOTOMETRIC) == "YBR_FULL_422":
        return _compressed(file).reshape(shape)
    return _native(file, element.value, shape)


def pixel_digest(samples: Samples) -> bytes:
    """Return SHA-256 over shape and little-endian samples, the same in any compression."""
    digest = hashlib.sha256(repr((samples.shape, samples.dtype.newbyteorder("<").str)).encode())
    little = samples.astype(samples.dtype.newbyteorder("<"), copy=False)
    digest.update(np.ascontiguousarray(little).data)
    return digest.digest()


def grey(file: Part10) -> Grey:
    """Return (frames, rows, columns) in modality units, bright meaning dense.

    Rescale slope and intercept are applied (PS3.3 C.11.1), MONOCHROME1 is turned
    over, colour is averaged.
    """
    samples = decode(file).astype(np.float32).mean(axis=3)
    slope, intercept = _real(file, SLOPE, 1.0), _real(file, INTERCEPT, 0.0)
    picture = samples * np.float32(slope) + np.float32(intercept)
    if file.text(PHOTOMETRIC) == "MONOCHROME1":
        picture = picture.max() + picture.min() - picture
    return np.asarray(picture, dtype=np.float32)


def _native(file: Part10, value: bytes, shape: tuple[int, ...]) -> Samples:
    allocated = file.number(ALLOCATED, 0)
    if allocated not in (8, 16, 32):
        raise PixelsUndecodableError()
    signed = "i" if file.number(REPRESENTATION, 0) == 1 else "u"
    kind = np.dtype(f"{file.encoding.order}{signed}{allocated // 8}")
    count = int(np.prod(shape, dtype=np.int64))
    if len(value) < count * kind.itemsize:
        raise PixelsUndecodableError()
    samples = np.frombuffer(value, kind, count)
    frames, rows, columns, channels = shape
    if channels > 1 and file.number(0x00280006, 0) == 1:  # planar: colour by plane
        return samples.reshape(frames, channels, rows, columns).transpose(0, 2, 3, 1)
    return samples.reshape(shape)


def _compressed(file: Part10) -> Samples:
    import pydicom
    from pydicom.pixels import pixel_array

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's advice about nonconformant files
            dataset = pydicom.dcmread(io.BytesIO(write_part10(file)))
            return np.asarray(pixel_array(dataset, raw=True))
    except (
        *(AttributeError, KeyError, ValueError, RuntimeError, NotImplementedError, TypeError),
        *(IndexError, MemoryError, OSError, EOFError, AssertionError),
    ) as error:
        raise PixelsUndecodableError() from error


def _real(file: Part10, tag: int, default: float) -> float:
    try:
        value = float(file.text(tag) or default)
    except ValueError:
        return default
    return value if np.isfinite(value) else default
