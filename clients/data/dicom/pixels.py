"""Turn stored pixels into arrays: natively with NumPy, compressed with pydicom's decoders.

`decode` gives the stored samples as they are; `grey` makes of them what a
reader sees as a single-channel picture (rescale, MONOCHROME1 turned over). Used
inside the worker process at intake and on admitted files afterwards. Importing
this module imports pydicom's pixel side; the CLI must not.
"""

import hashlib
import io
import struct
import warnings

import numpy as np
import numpy.typing as npt

from clients.data.deidentification.frames import frames_of
from clients.data.dicom.codestreams import fragment_count, sizes_in
from clients.data.dicom.elements import PIXEL_DATA, Part10, write_part10
from federation.errors.data import PixelsUndecodableError

ROWS, COLUMNS, SAMPLES = 0x00280010, 0x00280011, 0x00280002
ALLOCATED, STORED, REPRESENTATION = 0x00280100, 0x00280101, 0x00280103
PHOTOMETRIC, PADDING_VALUE = 0x00280004, 0x00280120
INTERCEPT, SLOPE = 0x00281052, 0x00281053
MODALITY_LUT = 0x00283000
MOST_SAMPLES = 1 << 29
DECODERS = ("pylibjpeg", "pyjpegls", "gdcm", "pillow", "pydicom")
"""Which decoder reads a compressed frame, the next one when it fails."""
UNREADABLE = (
    *(AttributeError, KeyError, ValueError, RuntimeError, NotImplementedError, TypeError),
    *(IndexError, MemoryError, OSError, EOFError, AssertionError, StopIteration),
)

RUST_PANIC = "PanicException"
"""What pyo3 raises when Rust code panics; it cannot be imported and is a BaseException."""

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
    if element.fragments:
        _check_claims(element.value, shape)
    if element.fragments or file.text(PHOTOMETRIC) == "YBR_FULL_422":
        found = _compressed(file)
        if found.size != np.prod(shape, dtype=np.int64):
            raise PixelsUndecodableError()
        return found.reshape(shape)
    return _native(file, element.value, shape)


def _check_claims(value: bytes, shape: tuple[int, ...]) -> None:
    """Raise unless there is a fragment for each frame, and each image is as large as promised."""
    frames, rows, columns, _ = shape
    wrong = any(size not in ((rows, columns), (0, columns)) for size in sizes_in(value))
    if wrong or fragment_count(value) < frames:
        raise PixelsUndecodableError()


def pixel_digest(samples: Samples) -> bytes:
    """Return SHA-256 over shape and little-endian samples, the same in any compression."""
    digest = hashlib.sha256(repr((samples.shape, samples.dtype.newbyteorder("<").str)).encode())
    little = samples.astype(samples.dtype.newbyteorder("<"), copy=False)
    digest.update(np.ascontiguousarray(little).data)
    return digest.digest()


def grey(file: Part10) -> Grey:
    """Return (frames, rows, columns) in modality units, bright meaning dense.

    The modality LUT, or else rescale slope and intercept, is applied (PS3.3 C.11.1),
    MONOCHROME1 is turned over, colour is averaged. Windows and VOI LUTs are not: they
    are one reader's choice of display and differ between devices.
    """
    stored = decode(file)
    table = _modality_table(file)
    if table is not None and stored.shape[3] == 1:
        picture = _looked_up(stored[..., 0], *table)
    else:
        slope, intercept = _real(file, SLOPE, 1.0), _real(file, INTERCEPT, 0.0)
        picture = stored.astype(np.float32).mean(axis=3)
        picture = picture * np.float32(slope) + np.float32(intercept)
    if file.text(PHOTOMETRIC) == "MONOCHROME1":
        picture = picture.max() + picture.min() - picture
    return np.asarray(picture, dtype=np.float32)


def _native(file: Part10, value: bytes, shape: tuple[int, ...]) -> Samples:
    allocated = file.number(ALLOCATED, 0)
    if allocated not in (8, 16, 32):
        raise PixelsUndecodableError()
    signed = "i" if _is_signed(file) else "u"
    kind = np.dtype(f"{file.encoding.order}{signed}{allocated // 8}")
    count = int(np.prod(shape, dtype=np.int64))
    if len(value) < count * kind.itemsize:
        raise PixelsUndecodableError()
    samples = np.frombuffer(in_file_order(value, file), kind, count)
    frames, rows, columns, channels = shape
    if channels > 1 and file.number(0x00280006, 0) == 1:  # planar: colour by plane
        return samples.reshape(frames, channels, rows, columns).transpose(0, 2, 3, 1)
    return samples.reshape(shape)


def in_file_order(value: bytes, file: Part10) -> bytes:
    """Return 8-bit pixels as they are stored, or stored ones as pixels: OW words in big endian.

    Bytes of VR OW are written in 16-bit words (PS3.5 8.1.1), so big endian swaps each pair.
    """
    if (
        file.encoding.order == "<"
        or file.number(ALLOCATED, 0) != 8
        or file.index[PIXEL_DATA].vr != "OW"
    ):
        return value
    words = np.frombuffer(value[: len(value) // 2 * 2], "<u2").byteswap().tobytes()
    return words + value[len(words) :]


def _compressed(file: Part10) -> Samples:
    """Return samples from the first decoder that reads every frame."""
    import pydicom
    from pydicom.pixels import get_decoder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's advice about nonconformant files
        try:
            dataset = pydicom.dcmread(io.BytesIO(write_part10(file)))
            decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
            able = decoder.available_plugins
        except UNREADABLE as error:
            raise PixelsUndecodableError() from error
        for name in sorted(able, key=_preference) or [""]:
            try:
                return np.asarray(decoder.as_array(dataset, raw=True, decoding_plugin=name)[0])
            except UNREADABLE:
                continue
            except BaseException as error:  # a panic of a decoder in Rust is no Exception
                if type(error).__name__ != RUST_PANIC:
                    raise
    raise PixelsUndecodableError()


def _preference(decoder: str) -> int:
    return DECODERS.index(decoder) if decoder in DECODERS else len(DECODERS)


def _modality_table(file: Part10) -> "tuple[int, npt.NDArray[np.float32]] | None":
    """Return the first stored value and the entries of a modality LUT; None without one."""
    sequence = file.index.get(MODALITY_LUT)
    if sequence is None or not sequence.items:
        return None
    item = {element.tag: element.value for element in sequence.items[0]}
    order, descriptor, data = file.encoding.order, item.get(0x00283002, b""), item.get(0x00283006)
    if len(descriptor) != 6 or not data:
        return None
    count, first = struct.unpack_from(order + ("Hh" if _is_signed(file) else "HH"), descriptor)
    count = count or 1 << 16
    kind = np.dtype(order + "u2") if len(data) >= 2 * count else np.dtype("u1")
    return (first, np.frombuffer(data, kind, min(count, len(data) // kind.itemsize)).astype("f4"))


def _looked_up(stored: Samples, first: int, entries: "npt.NDArray[np.float32]") -> Grey:
    """Return the entry of each stored value, the outermost ones beyond the table's ends."""
    places = stored.astype(np.int64) - first
    return np.asarray(entries[np.clip(places, 0, len(entries) - 1)], dtype=np.float32)


def _is_signed(file: Part10) -> bool:
    return file.number(REPRESENTATION, 0) == 1


def _real(file: Part10, tag: int, default: float) -> float:
    try:
        value = float(file.text(tag) or default)
    except ValueError:
        return default
    return value if np.isfinite(value) else default
