"""Find lines of text and read them, with the PP-OCRv4 models that come in a wheel.

`rapidocr-onnxruntime` is installed for its two model files only (Apache-2.0, by
the PaddleOCR authors); its Python code, and the OpenCV it asks for, is never
imported. The files are checked against their SHA-256 before they are used, and
nothing is ever downloaded. One thread, no memory arena: several readers share a
machine, each under an address space limit.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from federation.errors.pixeltext import PixelTextUncheckedError, WhyUnchecked

if TYPE_CHECKING:
    import onnxruntime

DETECTION = "ch_PP-OCRv4_det_infer.onnx"
RECOGNITION = "ch_PP-OCRv4_rec_infer.onnx"
SHA256 = {
    DETECTION: "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
    RECOGNITION: "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
}
INK, LINE_SCORE, GROWTH = 0.3, 0.5, 1.6
"""Least probability of ink and of a line, and by how much a line's core is grown (DB, 2019)."""
SMALLEST_CORE = 3
LINE_HEIGHT = 48
LONGEST_LINE = 1600
"""Sides of what the recogniser is given, pixels."""

Image = npt.NDArray[np.uint8]
"""(rows, columns, 3)."""


@dataclass(frozen=True, slots=True)
class Area:
    """A line of text in an image: its rectangle (ends not included) and how sure it is."""

    top: int
    left: int
    bottom: int
    right: int
    score: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What a line says: each character with its probability."""

    characters: tuple[tuple[str, float], ...]

    @property
    def sureness(self) -> float:
        """Return the mean probability, zero of nothing."""
        if not self.characters:
            return 0.0
        return sum(sure for _, sure in self.characters) / len(self.characters)


class Reader:
    """The two models, loaded when first used."""

    def lines(self, image: Image) -> list[Area]:
        """Return the lines of text in an image, from top to bottom."""
        rows, columns = image.shape[:2]
        filled = np.zeros((-(-rows // 32) * 32, -(-columns // 32) * 32, 3), np.uint8)
        filled[:rows, :columns] = image
        ink = self._run(self._detection, filled)[0, 0]
        from scipy import ndimage

        labels, _ = ndimage.label(
            ndimage.binary_dilation(ink > INK, np.ones((2, 2))), np.ones((3, 3))
        )
        found = []
        for number, part in enumerate(ndimage.find_objects(labels), 1):
            score = float(ink[part][labels[part] == number].mean())
            height, width = (side.stop - side.start for side in part)
            if min(height, width) >= SMALLEST_CORE and score >= LINE_SCORE:
                found.append(_grown(part, score, rows, columns))
        return found

    def read(self, image: Image) -> Reading:
        """Return what an image of one upright line says."""
        rows, columns = image.shape[:2]
        width = min(LONGEST_LINE, max(LINE_HEIGHT, round(LINE_HEIGHT * columns / rows)))
        chances = self._run(self._recognition, resized(image, LINE_HEIGHT, width))[0]
        best, sure = chances.argmax(axis=1), chances.max(axis=1)
        kept = (best != 0) & np.concatenate([[True], best[1:] != best[:-1]])
        return Reading(
            tuple(
                (self._alphabet[code], float(chance))
                for code, chance in zip(best[kept], sure[kept], strict=True)
            )
        )

    @staticmethod
    def _run(model: "onnxruntime.InferenceSession", image: Image) -> npt.NDArray[np.float32]:
        scaled = image.astype(np.float32) / np.float32(127.5) - np.float32(1)
        given = np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])
        return np.asarray(model.run(None, {"x": given})[0], dtype=np.float32)

    @cached_property
    def _detection(self) -> "onnxruntime.InferenceSession":
        return _session(DETECTION)

    @cached_property
    def _recognition(self) -> "onnxruntime.InferenceSession":
        return _session(RECOGNITION)

    @cached_property
    def _alphabet(self) -> list[str]:
        listed = self._recognition.get_modelmeta().custom_metadata_map["character"].splitlines()
        return ["", *listed, " "]


def check_models() -> None:
    """Raise TF536 if the models are not installed or not the ones that were measured."""
    for name in SHA256:
        _model(name)


def resized(image: Image, rows: int, columns: int) -> Image:
    """Return an image at another size, each pixel mixed of the four nearest."""
    down = max(1, image.shape[0] // (2 * rows))
    if down > 1:
        image = image[::down]
    down = max(1, image.shape[1] // (2 * columns))
    if down > 1:
        image = image[:, ::down]
    row, row_part = _between(image.shape[0], rows)
    column, column_part = _between(image.shape[1], columns)
    next_row = np.minimum(row + 1, image.shape[0] - 1)
    next_column = np.minimum(column + 1, image.shape[1] - 1)
    tall = image[row] * (1 - row_part)[:, None, None] + image[next_row] * row_part[:, None, None]
    wide = tall[:, column] * (1 - column_part)[None, :, None]
    wide += tall[:, next_column] * column_part[None, :, None]
    return np.asarray(np.rint(wide), dtype=np.uint8)


def _between(given: int, wanted: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Return for each wanted pixel the given one before it, and how far it is to the next."""
    at = (np.arange(wanted) + 0.5) * given / wanted - 0.5
    at = at.clip(0, max(0, given - 1))
    before = at.astype(np.intp)
    return before, (at - before).astype(np.float32)


def _grown(part: tuple[slice, ...], score: float, rows: int, columns: int) -> Area:
    height, width = (side.stop - side.start for side in part)
    more = height * width * GROWTH / (2 * (height + width))
    return Area(
        max(0, int(part[0].start - more)),
        max(0, int(part[1].start - more)),
        min(rows, int(part[0].stop + more + 1)),
        min(columns, int(part[1].stop + more + 1)),
        score,
    )


def _model(name: str) -> bytes:
    found = importlib.util.find_spec("rapidocr_onnxruntime")
    if found is None or found.origin is None or importlib.util.find_spec("onnxruntime") is None:
        raise PixelTextUncheckedError(why=WhyUnchecked.NO_MODELS.value)
    path = Path(found.origin).parent / "models" / name
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise PixelTextUncheckedError(why=WhyUnchecked.NO_MODELS.value)
    return content


def _session(name: str) -> "onnxruntime.InferenceSession":
    content = _model(name)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
