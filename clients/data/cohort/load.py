"""Load a study's cohort from the hospital's store: arrays by patient, ready to train on.

`load_cohort` asks the opt-out list first, then picks admitted, labelled images
of the recipe's modalities, and prepares each by itself (grey values, square,
antialiased resize, z-score of that image alone: no statistic crosses patients,
so nothing here costs privacy). Prepared arrays are cached by content, without
identifiers; a warm load never touches DICOM. Imports torch; the CLI must not
import this module at start.

Segmentation: a volume is a series stacked along its normal (D, H, W); its mask
is the .npy file that the column ``mask`` of labels.csv names.
"""

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from clients.data.catalogue.store import SMALLEST_CELL, Catalogue, Instance, cohort_digest
from clients.data.cohort.arrays import PatientArrays, split_patients
from clients.data.dicom.elements import Limits, Part10, read_part10
from clients.data.dicom.pixels import grey
from clients.data.labels.table import MASK
from clients.data.layout import CACHE, mask_path, stored_path
from clients.data.people.optout import load_optouts
from federation.domain.ids import Sha256
from federation.domain.recipe import Recipe, Task
from federation.domain.study import Study
from federation.errors.base import PlatformError
from federation.errors.data import (
    CohortEmptyError,
    LabelValueError,
    MaskMissingError,
    OneClassOnlyError,
    StoredImageError,
    TooFewPatientsError,
    VolumeGapError,
)

PREPARATION = "2"
"""Number of the preparation below; raised whenever it gives other arrays."""
LEAST_PATIENTS = SMALLEST_CELL
CLIP_PERCENTILES = (0.5, 99.5)
POSITION, ORIENTATION = 0x00200032, 0x00200037
Floats = NDArray[np.float32]
Masks = NDArray[np.int64]
Source = TypeVar("Source")


@dataclass(frozen=True)
class Cohort:
    """A study's patients at this site, split, and what stands for all of them.

    `dataset_digest` covers content, whose it is, and labels, of both parts.
    `opted_out` patients would have been in it; show it outside only suppressed.
    """

    train: PatientArrays
    heldout: PatientArrays
    dataset_digest: Sha256
    opted_out: int


def load_cohort(data: Path, recipe: Recipe, *, study: Study) -> Cohort:
    """Return the cohort of a study from the data folder of a node.

    Raises
    ------
    OptOutListError
        If it is unknown who opted out.
    CohortEmptyError, TooFewPatientsError, OneClassOnlyError
        If there is nothing, too little or only one class to train on.
    LabelValueError, MaskMissingError, VolumeGapError, StoredImageError
        If labels, masks, series or stored files are not usable.
    """
    chosen, opted_out = select(data, recipe)
    patients = sorted({item.patient for item in chosen})
    train, heldout = split_patients(
        patients, heldout_fraction=study.heldout_fraction, study=study.id
    )
    if len(train) < LEAST_PATIENTS:
        raise TooFewPatientsError(least=LEAST_PATIENTS)
    if recipe.task is Task.CLASSIFICATION:
        arrays = _classification(data, recipe, chosen, patients)
        trained = arrays.subset(train)
        if len(np.unique(trained.targets)) < 2:
            raise OneClassOnlyError(label=recipe.label)
    else:
        arrays = _segmentation(data, recipe, chosen, patients)
        trained = arrays.subset(train)
    return Cohort(
        train=trained,
        heldout=arrays.subset(heldout),
        dataset_digest=cohort_digest(chosen),
        opted_out=opted_out,
    )


def select(data: Path, recipe: Recipe) -> tuple[list[Instance], int]:
    """Return the labelled images a recipe may use, and how many patients opted out of it.

    Raises
    ------
    CohortEmptyError
        If there is none.
    """
    optouts = load_optouts(data)
    with Catalogue(data) as catalogue:
        label = _label_name(recipe, catalogue.label_names())
        found, opted_out = catalogue.select(
            modalities=recipe.modalities, label=label, opted_out=optouts.patients
        )
    if recipe.task is Task.SEGMENTATION:
        masked = {item.series for item in found if item.label is not None}
        chosen = [item for item in found if item.series in masked]
    else:
        chosen = [item for item in found if item.label is not None]
    if not chosen:
        modalities = ", ".join(recipe.modalities)
        raise CohortEmptyError(
            recipe=recipe.name, label=recipe.label, modalities=modalities, wanted=label
        )
    return chosen, opted_out


def _label_name(recipe: Recipe, there: Sequence[str]) -> str:
    """Return the catalogue's name of the recipe's label: itself, or a column named ``label``."""
    if recipe.task is Task.SEGMENTATION:
        return MASK
    same = [name for name in there if name.casefold() == recipe.label.casefold()]
    plain = [name for name in there if name.casefold() == "label"]
    return next(iter(same + plain), recipe.label)


def _classification(
    data: Path, recipe: Recipe, chosen: Sequence[Instance], patients: Sequence[str]
) -> PatientArrays:
    targets = np.array([int(item.label or 0) for item in chosen], dtype=np.int64)
    if (targets >= recipe.classes).any():
        raise LabelValueError(count=int((targets >= recipe.classes).sum()))
    shape = recipe.input_shape

    def prepare(item: Instance) -> Floats:
        return picture(grey(_stored(data, item)), shape)

    images = _prepared(data, shape, [(item.sha256, item) for item in chosen], prepare)
    place = {patient: index for index, patient in enumerate(patients)}
    return PatientArrays(
        images=np.stack(images),
        targets=targets,
        patient_of=np.array([place[item.patient] for item in chosen], dtype=np.int64),
        patients=len(patients),
    )


def _segmentation(
    data: Path, recipe: Recipe, chosen: Sequence[Instance], patients: Sequence[str]
) -> PatientArrays:
    series = [list(group) for _, group in groupby(chosen, key=lambda item: item.series)]
    shape, place = recipe.input_shape, {patient: n for n, patient in enumerate(patients)}

    def prepare(items: list[Instance]) -> Floats:
        return volume(stack([_stored(data, item) for item in items]), shape)

    keys = [("/".join(item.sha256 for item in items), items) for items in series]
    images = _prepared(data, shape, keys, prepare)
    masks = [_mask(data, items, shape, recipe.classes) for items in series]
    missing = sum(mask is None for mask in masks)
    if missing:
        raise MaskMissingError(count=missing)
    return PatientArrays(
        images=np.stack(images),
        targets=np.stack([mask for mask in masks if mask is not None]),
        patient_of=np.array([place[items[0].patient] for items in series], dtype=np.int64),
        patients=len(patients),
    )


def _prepared(
    data: Path,
    shape: tuple[int, ...],
    keys: Iterable[tuple[str, Source]],
    prepare: Callable[[Source], Floats],
) -> list[Floats]:
    """Return one array a key, from the cache where it is there."""
    made: list[Floats] = []
    broken: list[PlatformError] = []
    for content, source in keys:
        path = _cache_path(data, content, shape)
        array = _cached(path, shape)
        if array is None:
            try:
                array = prepare(source)
            except (StoredImageError, VolumeGapError) as error:
                broken.append(error)
                continue
            _keep(path, array)
        made.append(array)
    if broken:
        raise type(broken[0])(count=len(broken))
    return made


def _stored(data: Path, item: Instance) -> Part10:
    """Read an admitted file; its content must be what was admitted."""
    try:
        content = stored_path(data, item.instance).read_bytes()
    except OSError as error:
        raise StoredImageError(count=1) from error
    if hashlib.sha256(content).hexdigest() != item.sha256:
        raise StoredImageError(count=1)
    return read_part10(content, Limits())


def picture(frames: Floats, shape: tuple[int, ...]) -> Floats:
    """Return one image of `shape` (C, H, W) from (frames, rows, columns): the middle frame.

    Grey values are clipped to the image's own percentiles, padded to a square
    with its darkest value, resized with an antialiasing filter, z-scored.
    """
    image = frames[len(frames) // 2]
    low, high = np.percentile(image, CLIP_PERCENTILES)
    image = np.clip(image, low, high)
    side = max(image.shape)
    pads = [((side - length) // 2, side - length - (side - length) // 2) for length in image.shape]
    square = torch.from_numpy(np.pad(image, pads, constant_values=low).astype(np.float32))
    small = functional.interpolate(
        square[None, None], size=shape[1:], mode="bilinear", antialias=True, align_corners=False
    )
    return np.broadcast_to(_standard(small[0].numpy()), shape).copy()


def volume(voxels: Floats, shape: tuple[int, ...]) -> Floats:
    """Return a volume of `shape` (C, D, H, W) from (D, H, W): area mean, z-scored."""
    low, high = np.percentile(voxels, CLIP_PERCENTILES)
    tensor = torch.from_numpy(np.clip(voxels, low, high).astype(np.float32))[None, None]
    small = functional.interpolate(tensor, size=shape[1:], mode="area")
    return np.broadcast_to(_standard(small[0].numpy()), shape).copy()


def stack(files: Sequence[Part10]) -> Floats:
    """Return (D, H, W) of a series, slices along its normal (PS3.3 C.7.6.2.1.1).

    Raises
    ------
    VolumeGapError
        If slices differ in size or orientation, or do not say where they lie.
    """
    if len(files) == 1:
        return grey(files[0])
    slices = [(_position(file), _orientation(file), grey(file)) for file in files]
    _, first, picture_of_first = slices[0]
    if any(
        frames.shape != picture_of_first.shape
        or len(frames) != 1
        or not np.allclose(orientation, first, atol=1e-3)
        for _, orientation, frames in slices
    ):
        raise VolumeGapError(count=1)
    normal = np.cross(first[:3], first[3:])
    depth = [float(position @ normal) for position, _, _ in slices]
    if len(np.unique(np.round(depth, 3))) < len(depth):
        raise VolumeGapError(count=1)
    return np.concatenate([slices[place][2] for place in np.argsort(depth)])


def _position(file: Part10) -> NDArray[np.float64]:
    return _numbers(file, POSITION, 3)


def _orientation(file: Part10) -> NDArray[np.float64]:
    return _numbers(file, ORIENTATION, 6)


def _numbers(file: Part10, tag: int, count: int) -> NDArray[np.float64]:
    try:
        found = np.array([float(part) for part in file.text(tag).split("\\")])
    except ValueError as error:
        raise VolumeGapError(count=1) from error
    if len(found) != count or not np.isfinite(found).all():
        raise VolumeGapError(count=1)
    return found


def _mask(
    data: Path, items: Sequence[Instance], shape: tuple[int, ...], classes: int
) -> Masks | None:
    names = {item.label for item in items if item.label is not None}
    try:
        mask = np.load(mask_path(data, names.pop()), allow_pickle=False)
    except (OSError, ValueError, KeyError):
        return None
    if names or mask.ndim != 3 or int(mask.max()) >= classes:
        return None
    tensor = torch.from_numpy(mask.astype(np.float32))[None, None]
    small = functional.interpolate(tensor, size=shape[1:], mode="nearest-exact")
    return small[0, 0].numpy().astype(np.int64)


def _standard(values: Floats) -> Floats:
    spread = float(values.std())
    scaled = (values - values.mean()) / (spread if spread > 0 else 1.0)
    return np.asarray(scaled, dtype=np.float32)


def _cache_path(data: Path, content: str, shape: tuple[int, ...]) -> Path:
    name = hashlib.sha256(f"{PREPARATION}\n{list(shape)}\n{content}".encode()).hexdigest()
    return data / CACHE / name[:2] / f"{name}.npy"


def _cached(path: Path, shape: tuple[int, ...]) -> Floats | None:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == np.float32 else None


def _keep(path: Path, array: Floats) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    packed = io.BytesIO()
    np.save(packed, array, allow_pickle=False)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(packed.getvalue())
    part.replace(path)
