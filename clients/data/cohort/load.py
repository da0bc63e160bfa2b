"""Load a study's cohort from the hospital's store: arrays by patient, ready to train on.

`load_cohort` asks the opt-out list first, then picks admitted, labelled images of
the recipe's modalities and of the hospital's own definition of the cohort
(`choice.py`), prepares each by itself (`preparation.py`) and keeps the arrays
(`cache.py`); a warm load never touches DICOM. Imports torch; the CLI must not
import this module at start.

Segmentation: a volume is a series stacked along its normal (D, H, W); its mask
is the .npy file that ``mask`` of labels.csv or a DICOM segmentation gave.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clients.data.catalogue.store import Instance, cohort_digest
from clients.data.cohort.arrays import Indices, PatientArrays, split_patients
from clients.data.cohort.cache import Kind, content_of, load
from clients.data.cohort.choice import choose, select
from clients.data.cohort.preparation import mask_volume, picture, stack, volume
from clients.data.dicom.elements import Limits, Part10, read_part10
from clients.data.dicom.pixels import grey
from clients.data.layout import mask_path, stored_path
from federation.domain.cells import SMALL_CELL
from federation.domain.ids import Sha256
from federation.domain.recipe import Recipe, Task
from federation.domain.study import Study
from federation.errors.core import InvalidValueError
from federation.errors.data import (
    LabelValueError,
    MaskMissingError,
    OneClassOnlyError,
    StoredImageError,
    TooFewPatientsError,
)

__all__ = ["Cases", "Cohort", "load_cases", "load_cohort", "picture", "select", "stack"]

LEAST_PATIENTS = SMALL_CELL

Series = tuple[Instance, ...]
"""The images that make one array: one picture, or the slices of a volume."""


@dataclass(frozen=True)
class Cohort:
    """A study's patients at this site, split, and what stands for all of them.

    `dataset_digest` covers content, whose it is, and labels, of both parts.
    `opted_out` patients would have been in it; show it outside only suppressed.
    `keys` are the pseudonyms of the patients in `train`, in their order, and
    `optout_version` is the list that was asked; both stay inside the hospital.
    """

    train: PatientArrays
    heldout: PatientArrays
    dataset_digest: Sha256
    opted_out: int
    keys: tuple[str, ...] = ()
    optout_version: str = ""

    def __post_init__(self) -> None:
        if self.keys and len(self.keys) != self.train.patients:
            raise InvalidValueError(
                field="keys", actual=len(self.keys), expected=f"{self.train.patients} patients"
            )


@dataclass(frozen=True)
class Cases:
    """All patients of a study's cohort at this site, unsplit, for a study that only evaluates.

    `keys` are their pseudonyms in the arrays' order and `instances` the images' names;
    both stay inside the hospital.
    """

    arrays: PatientArrays
    keys: tuple[str, ...]
    instances: tuple[str, ...]
    dataset_digest: Sha256


Permitted = Callable[[Sequence[Instance]], Sequence[Instance]]
"""Keeps of a cohort's images those that an approval covers."""


def load_cohort(
    data: Path, recipe: Recipe, *, study: Study, permitted: Permitted = tuple
) -> Cohort:
    """Return the cohort of a study from the data folder of a node.

    `permitted` leaves out images that were admitted after the study was approved.

    Raises
    ------
    OptOutListError
        If it is unknown who opted out.
    CohortFileError
        If the hospital's definition of the study's cohort is not understood.
    CohortEmptyError, TooFewPatientsError, OneClassOnlyError
        If there is nothing, too little or only one class to train on.
    LabelValueError, MaskMissingError, VolumeGapError, StoredImageError
        If labels, masks, series or stored files are not usable.
    CohortCacheError
        If the disk does not take the prepared arrays.
    """
    choice = choose(data, recipe, cohort=study.cohort)
    images = permitted(choice.images)
    patients = sorted({item.patient for item in images})
    train, heldout = split_patients(
        patients, heldout_fraction=study.heldout_fraction, study=study.id
    )
    if len(train) < LEAST_PATIENTS:
        raise TooFewPatientsError(least=LEAST_PATIENTS)
    order = [patients[place] for place in np.concatenate([train, heldout])]
    arrays = _arrays(data, recipe, images, order)
    first = int(np.searchsorted(arrays.patient_of, len(train)))
    trained = _part(arrays, slice(0, first), patients=len(train))
    if recipe.task is Task.CLASSIFICATION and len(np.unique(trained.targets)) < 2:
        raise OneClassOnlyError(label=recipe.label)
    return Cohort(
        train=trained,
        heldout=_part(arrays, slice(first, None), patients=len(heldout)),
        dataset_digest=cohort_digest(list(images)),
        opted_out=choice.opted_out,
        keys=tuple(order[: len(train)]),
        optout_version=choice.optout_version,
    )


def load_cases(data: Path, recipe: Recipe, *, study: Study, permitted: Permitted = tuple) -> Cases:
    """Return all patients of a study's cohort; raises as `load_cohort`, but for one class alone."""
    images = permitted(choose(data, recipe, cohort=study.cohort).images)
    patients = sorted({item.patient for item in images})
    if len(patients) < LEAST_PATIENTS:
        raise TooFewPatientsError(least=LEAST_PATIENTS)
    return Cases(
        arrays=_arrays(data, recipe, images, patients),
        keys=tuple(patients),
        instances=tuple(item.instance for item in images),
        dataset_digest=cohort_digest(list(images)),
    )


def _arrays(
    data: Path, recipe: Recipe, images: Sequence[Instance], order: Sequence[str]
) -> PatientArrays:
    """Return all images with the patients in that order, each patient's own in theirs."""
    place = {patient: index for index, patient in enumerate(order)}
    units = _units(recipe, images)
    units.sort(key=lambda items: place[items[0].patient])
    make, targets_of = (
        (_pictures, _classes) if recipe.task is Task.CLASSIFICATION else (_volumes, _masks)
    )
    targets = targets_of(data, recipe, units)
    return PatientArrays(
        images=make(data, recipe, units),
        targets=targets,
        patient_of=np.array([place[items[0].patient] for items in units], dtype=np.int64),
        patients=len(order),
    )


def _units(recipe: Recipe, images: Sequence[Instance]) -> list[Series]:
    if recipe.task is Task.CLASSIFICATION:
        return [(item,) for item in images]
    return [tuple(group) for _, group in groupby(images, key=lambda item: item.series)]


def _part(arrays: PatientArrays, rows: slice, *, patients: int) -> PatientArrays:
    """Return the arrays of neighbouring patients, without a copy, renumbered from 0."""
    numbers: Indices = arrays.patient_of[rows]
    return PatientArrays(
        images=arrays.images[rows],
        targets=arrays.targets[rows],
        patient_of=numbers - (numbers[0] if len(numbers) else 0),
        patients=patients,
    )


def _pictures(data: Path, recipe: Recipe, units: Sequence[Series]) -> NDArray[np.float32]:
    def prepare(place: int) -> NDArray[np.float32]:
        return picture(grey(_stored(data, units[place][0])), recipe.input_shape)

    return _prepared(data, recipe, units, prepare)


def _volumes(data: Path, recipe: Recipe, units: Sequence[Series]) -> NDArray[np.float32]:
    def prepare(place: int) -> NDArray[np.float32]:
        return volume(stack([_stored(data, item) for item in units[place]]), recipe.input_shape)

    return _prepared(data, recipe, units, prepare)


def _prepared(
    data: Path,
    recipe: Recipe,
    units: Sequence[Series],
    prepare: Callable[[int], NDArray[np.float32]],
) -> NDArray[np.float32]:
    kind = Kind(recipe.task.value, recipe.input_shape, "<f4")
    return load(data, kind, [_content(items) for items in units], prepare)


def _classes(data: Path, recipe: Recipe, units: Sequence[Series]) -> NDArray[np.int64]:
    targets = np.array([int(items[0].label or 0) for items in units], dtype=np.int64)
    outside = int((targets >= recipe.classes).sum())
    if outside:
        raise LabelValueError(count=outside)
    return targets


def _masks(data: Path, recipe: Recipe, units: Sequence[Series]) -> NDArray[np.int64]:
    """Return a mask a volume, shape (n, D, H, W)."""
    names = [_mask_name(items) for items in units]
    missing = sum(name is None for name in names)

    def prepare(place: int) -> NDArray[np.uint8]:
        mask = _mask(data, str(names[place]), units[place], recipe.classes)
        if mask is None:
            raise StoredImageError(count=1)
        return mask_volume(mask, recipe.input_shape[1:])

    if missing:
        raise MaskMissingError(count=missing)
    kind = Kind(f"mask of {recipe.classes}", recipe.input_shape[1:], "|u1")
    contents = [f"{_content(items)}/{name}" for items, name in zip(units, names, strict=True)]
    try:
        return load(data, kind, contents, prepare).astype(np.int64)
    except StoredImageError as error:
        raise MaskMissingError(count=error.values["count"]) from error


def _content(items: Series) -> str:
    return content_of(item.sha256 for item in items)


def _mask_name(items: Series) -> str | None:
    """Return the one mask of a series, None where there is none or there are several."""
    names = {item.label for item in items if item.label is not None}
    return names.pop() if len(names) == 1 else None


def _mask(data: Path, name: str, items: Series, classes: int) -> NDArray[np.uint8] | None:
    """Return a stored mask; None when it is gone, or no mask of this series as it is now."""
    try:
        mask: NDArray[np.uint8] = np.load(mask_path(data, name), allow_pickle=False)
    except (OSError, ValueError):
        return None
    shape = (sum(item.shape[0] for item in items), *items[0].shape[1:])
    fits = mask.shape == shape and mask.dtype == np.uint8 and int(mask.max()) < classes
    return mask if fits else None


def _stored(data: Path, item: Instance) -> Part10:
    """Read an admitted file; its content must be what was admitted."""
    try:
        content = stored_path(data, item.instance).read_bytes()
    except OSError as error:
        raise StoredImageError(count=1) from error
    if hashlib.sha256(content).hexdigest() != item.sha256:
        raise StoredImageError(count=1)
    return read_part10(content, Limits())
