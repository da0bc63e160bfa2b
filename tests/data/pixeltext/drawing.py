"""Draw films with and without text, and describe samples as files."""

import struct

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from clients.data.dicom.elements import EXPLICIT_BIG, EXPLICIT_LITTLE, Element, Part10

Samples = npt.NDArray[np.generic]
Grey = npt.NDArray[np.float32]
NAME = "WANG XIAOMING 19640229"
SYNTAXES = {True: "1.2.840.10008.1.2.1", False: "1.2.840.10008.1.2.2"}


def film(side: int = 512, *, seed: int = 1) -> Grey:
    """Return a body of 0 to 0.8 with ribs and noise, and no text."""
    down, across = np.mgrid[0:side, 0:side].astype(np.float32) / side
    body = 0.7 - 0.7 * (2 * across - 1) ** 2 + 0.08 * np.sin(40 * down)
    noise = np.random.default_rng(seed).normal(scale=0.004, size=body.shape)
    return np.asarray((body + noise).clip(0, 0.8), np.float32)


def ink(side: int, words: str, *, size: int = 20, at: tuple[int, int] = (24, 24)) -> Grey:
    """Return how much of each pixel is text; `at` is (left, top)."""
    canvas = Image.new("L", (side, side))
    ImageDraw.Draw(canvas).text(at, words, fill=255, font=ImageFont.load_default(size))
    return np.asarray(canvas, np.float32) / 255


def written(words: str, *, side: int = 512, size: int = 20) -> Grey:
    """Return a film with white words."""
    return np.asarray(np.maximum(film(side), ink(side, words, size=size)), np.float32)


def as_samples(grey: Grey, kind: str = "<u2") -> Samples:
    """Return (1, rows, columns, 1) of 12 bits, or of 8."""
    top = 255 if np.dtype(kind).itemsize == 1 else 4095
    return np.rint(grey * top).astype(kind)[None, ..., None]


def described(samples: Samples, photometric: str = "MONOCHROME2", **more: bytes) -> Part10:
    """Return a native file around samples; `more` is elements by t + eight hex digits."""
    little = samples.dtype.str[0] != ">"
    encoding = EXPLICIT_LITTLE if little else EXPLICIT_BIG
    frames, rows, columns, channels = samples.shape
    bits = samples.dtype.itemsize * 8
    planar = more.pop("planar", b"")
    numbers = {
        0x00280002: channels,
        0x00280006: int(bool(planar)),
        0x00280010: rows,
        0x00280011: columns,
        0x00280100: bits,
        0x00280101: bits,
        0x00280102: bits - 1,
        0x00280103: int(samples.dtype.kind == "i"),
    }
    value = (samples.transpose(0, 3, 1, 2) if planar else samples).tobytes()
    dataset = [
        *(Element(tag, "US", struct.pack(encoding.order + "H", n)) for tag, n in numbers.items()),
        Element(0x00280004, "CS", photometric.encode() + b" " * (len(photometric) % 2)),
        Element(0x00280008, "IS", f"{frames:02d}".encode()),
        Element(0x7FE00010, "OW" if bits > 8 else "OB", value + b"\0" * (len(value) % 2)),
        *(Element(int(name[1:], 16), "CS", value) for name, value in more.items()),
    ]
    syntax = SYNTAXES[little]
    meta = [Element(0x00020010, "UI", (syntax + "\0").encode())]
    return Part10(meta, sorted(dataset, key=lambda element: element.tag), syntax, encoding)
