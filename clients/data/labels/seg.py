"""Turn a DICOM segmentation into a mask of the series it was drawn on.

`read_segmentation` decodes the frames (PS3.3 C.8.20: BINARY bits, FRACTIONAL from
one half on) and says of each which class it paints and where it lies; `paint`
lays them over the series as `cohort.preparation.stack` stacks it. A frame lies
where its source image is, or where its plane position says; where it says several
things of its place (source, position, orientation, spacing), all must agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clients.data.cohort.preparation import position_of, slice_order
from clients.data.deidentification.deidentify import frames_of
from clients.data.dicom.elements import PIXEL_DATA, Part10
from clients.data.dicom.pixels import ALLOCATED, COLUMNS, MOST_SAMPLES, ROWS, decode
from clients.data.labels.mapping import LabelMapping
from clients.data.labels.sequences import (
    Item,
    code_in,
    every_item,
    items_of,
    number_of,
    patient_id,
    text_of,
    whole_of,
)
from clients.data.labels.table import HIGHEST_CLASS
from federation.errors.cohorts import LabelDocumentError, SegmentationUnusableError

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
SOP_CLASS = 0x00080016
SEGMENTS, NUMBER, PROPERTY = 0x00620002, 0x00620004, 0x0062000F
KIND, MOST_FRACTION = 0x00620001, 0x0062000E
SHARED, PER_FRAME = 0x52009229, 0x52009230
IDENTIFIED, REFERENCED_SEGMENT = 0x0062000A, 0x0062000B
SOURCE, REFERENCED_UID, REFERENCED_FRAME = 0x00082112, 0x00081155, 0x00081160
PLANE, POSITION = 0x00209113, 0x00200032
PLANE_ORIENTATION, ORIENTATION = 0x00209116, 0x00200037
MEASURES, SPACING = 0x00289110, 0x00280030
SERIES_REFERENCED, SERIES = 0x00081115, 0x0020000E
NEAR_MM = 0.05
NEAR_COSINE, NEAR_SPACING = 1e-3, 1e-3

Bits = NDArray[np.bool_]
Mask = NDArray[np.uint8]
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class SegmentFrame:
    """One frame: the class it paints, its source image and frame there, and how it lies.

    `position` (x, y, z) and `spacing` (rows, columns) are in mm, `orientation` the six
    direction cosines; None where the frame does not say.
    """

    value: int
    source: str
    source_frame: int | None
    position: Numbers | None
    orientation: Numbers | None
    spacing: Numbers | None
    bits: Bits


@dataclass(frozen=True)
class Segmentation:
    """A segmentation object. `frames` are in the order in which they are painted.

    `may_overlap` says that the mapping ranks the segments, so a later one lies on top.
    """

    patient: str
    series: frozenset[str]
    frames: tuple[SegmentFrame, ...]
    may_overlap: bool

    @property
    def refers_to(self) -> frozenset[str]:
        """Return the SOP Instance UIDs of the source images that are named."""
        return frozenset(frame.source for frame in self.frames) - {""}


def is_segmentation(file: Part10) -> bool:
    """Say whether a file is a segmentation."""
    return file.text(SOP_CLASS) == SEGMENTATION


def read_segmentation(file: Part10, mapping: LabelMapping) -> Segmentation:
    """Return the frames of a segmentation that have a class.

    The class is the mapping's for the segmented property, or the segment's number
    where nothing is mapped; a segment that is not mapped is background.

    Raises
    ------
    LabelDocumentError
        If it does not say whose it is.
    SegmentationUnusableError
        If frames, segments or pixels do not fit together.
    """
    patient = patient_id(file)
    if not patient:
        raise LabelDocumentError(count=1)
    order = file.encoding.order
    classes = _classes(file, mapping)
    groups, shared = items_of(file.dataset, PER_FRAME), items_of(file.dataset, SHARED)
    pictures = _bits(file)
    if len(groups) != len(pictures):
        raise SegmentationUnusableError(count=1)
    found = []
    for group, bits in zip(groups, pictures, strict=True):
        number = _segment_of((group, *shared), order)
        if number in classes:
            found.append(_frame(group, shared, classes[number], bits))
    ranks = {value: rank for rank, value in enumerate(mapping.segments.values())}
    found.sort(key=lambda frame: ranks.get(frame.value, 0))
    series = (text_of(item, SERIES) for item in items_of(file.dataset, SERIES_REFERENCED))
    return Segmentation(patient, frozenset(series) - {""}, tuple(found), bool(mapping.segments))


def paint(segmentation: Segmentation, files: Sequence[Part10], names: Sequence[str]) -> Mask:
    """Return a mask (D, H, W) over the stored files of one series.

    Parameters
    ----------
    files, names
        The series' images and, for each, its SOP Instance UID as `segmentation`
        calls it, empty where it names none.

    Raises
    ------
    SegmentationUnusableError
        If a frame lies on none of them, has another size, or two overlap unranked.
    VolumeGapError
        If the files are no volume.
    """
    order = slice_order(files) if len(files) > 1 else [0]
    depth = len(files) if len(files) > 1 else frames_of(files[0])
    mask = np.zeros((depth, files[0].number(ROWS, 0), files[0].number(COLUMNS, 0)), dtype=np.uint8)
    place_of = {names[place]: at for at, place in enumerate(order) if names[place]}
    for frame in segmentation.frames:
        place = _place(frame, files, order, place_of, depth)
        _check_geometry(frame, files[0] if len(files) == 1 else files[order[place]])
        plane = mask[place]
        if plane.shape != frame.bits.shape:
            raise SegmentationUnusableError(count=1)
        taken = plane[frame.bits]
        if not segmentation.may_overlap and bool(((taken != 0) & (taken != frame.value)).any()):
            raise SegmentationUnusableError(count=1)
        plane[frame.bits] = frame.value
    return mask


def _place(
    frame: SegmentFrame,
    files: Sequence[Part10],
    order: Sequence[int],
    place_of: dict[str, int],
    depth: int,
) -> int:
    """Return the slice a frame lies on."""
    if len(files) == 1 and depth > 1:
        if frame.source_frame is None or not 1 <= frame.source_frame <= depth:
            raise SegmentationUnusableError(count=1)
        return frame.source_frame - 1
    if frame.source in place_of:
        return place_of[frame.source]
    if frame.position is not None:
        there = np.array(frame.position)
        gaps = [float(np.abs(position_of(files[place]) - there).max()) for place in order]
        if min(gaps) <= NEAR_MM:
            return int(np.argmin(gaps))
    raise SegmentationUnusableError(count=1)


def _check_geometry(frame: SegmentFrame, image: Part10) -> None:
    """Refuse a frame that says it lies otherwise than the image it would be painted on.

    A position is compared on images of one frame; what either does not say is not.
    """
    wanted = [(frame.orientation, ORIENTATION, NEAR_COSINE), (frame.spacing, SPACING, NEAR_SPACING)]
    if frames_of(image) == 1:
        wanted.append((frame.position, POSITION, NEAR_MM))
    for said, tag, near in wanted:
        there = _numbers(image.text(tag), len(said) if said else 0)
        if said and there and float(np.abs(np.subtract(said, there)).max()) > near:
            raise SegmentationUnusableError(count=1)


def _classes(file: Part10, mapping: LabelMapping) -> dict[int | None, int]:
    """Return the class of every segment that has one."""
    found: dict[int | None, int] = {}
    for item in items_of(file.dataset, SEGMENTS):
        number = number_of(item, NUMBER, file.encoding.order)
        code = code_in(item, PROPERTY)
        value = mapping.segments.get(code) if mapping.segments and code else number
        if mapping.segments and code is None:
            value = None
        if value is not None:
            found[number] = value
    if not found or max(found.values()) > HIGHEST_CLASS:
        raise SegmentationUnusableError(count=1)
    return found


def _segment_of(groups: Sequence[Item], order: str) -> int | None:
    for group in groups:
        for item in items_of(group, IDENTIFIED):
            return number_of(item, REFERENCED_SEGMENT, order)
    raise SegmentationUnusableError(count=1)


def _frame(group: Item, shared: Sequence[Item], value: int, bits: Bits) -> SegmentFrame:
    sources = [source for item in every_item(group) for source in items_of(item, SOURCE)]
    alone = sources[0] if len(sources) == 1 else ()
    groups = (group, *shared)
    return SegmentFrame(
        value=value,
        source=text_of(alone, REFERENCED_UID),
        source_frame=whole_of(alone, REFERENCED_FRAME),
        position=_said(groups, PLANE, POSITION, 3),
        orientation=_said(groups, PLANE_ORIENTATION, ORIENTATION, 6),
        spacing=_said(groups, MEASURES, SPACING, 2),
        bits=bits,
    )


def _said(groups: Sequence[Item], sequence: int, tag: int, count: int) -> Numbers | None:
    """Return what a frame says of itself, else what all frames share; None when nobody does."""
    inner = [item for group in groups for item in items_of(group, sequence)]
    return _numbers(text_of(inner[0], tag), count) if inner else None


def _numbers(text: str, count: int) -> Numbers | None:
    try:
        found = tuple(float(part) for part in text.split("\\"))
    except ValueError:
        return None
    return found if len(found) == count and all(map(np.isfinite, found)) else None


def _bits(file: Part10) -> list[Bits]:
    """Return the frames as true and false, each (rows, columns)."""
    shape = (frames_of(file), file.number(ROWS, 0), file.number(COLUMNS, 0))
    element = file.index.get(PIXEL_DATA)
    size = int(np.prod(shape, dtype=np.int64))
    if element is None or min(shape) < 1 or size > MOST_SAMPLES:
        raise SegmentationUnusableError(count=1)
    kind, allocated = file.text(KIND), file.number(ALLOCATED, 0)
    if kind == "BINARY" and allocated == 1 and not element.fragments:
        packed = np.frombuffer(element.value, np.uint8)
        if element.vr == "OW" and file.encoding.order == ">":  # bits lie in swapped bytes
            packed = packed[: len(packed) // 2 * 2].reshape(-1, 2)[:, ::-1].ravel()
        bits = np.unpackbits(packed, count=size, bitorder="little").astype(np.bool_)
        if len(packed) * 8 < size:
            raise SegmentationUnusableError(count=1)
        return list(bits.reshape(shape))
    if kind == "FRACTIONAL" and allocated == 8 and not element.fragments:  # none is decompressed
        most = file.number(MOST_FRACTION, 0)
        if most < 1:
            raise SegmentationUnusableError(count=1)
        return list(decode(file)[..., 0].astype(np.float32) >= most / 2)
    raise SegmentationUnusableError(count=1)
