"""Give admitted images their labels, and count what did not fit, naming nobody."""

import hashlib
import io
import math
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from clients.data.catalogue.store import Catalogue
from clients.data.deidentification.deidentify import patient_source
from clients.data.labels.table import HIGHEST_CLASS, MASK, LabelRow, LabelTable
from clients.data.layout import mask_path
from clients.data.people.pseudonyms import Pseudonyms
from federation.errors.data import (
    ImageWithoutLabelError,
    LabelConflictError,
    LabelValueError,
    LabelWithoutImageError,
    MaskMissingError,
)

MOST_MASK_BYTES = 512 * 1024 * 1024
_HIGHEST = HIGHEST_CLASS


@dataclass(frozen=True, slots=True)
class _Index:
    """How a row finds its images."""

    by_path: dict[str, str]
    by_name: dict[str, set[str]]
    by_patient: dict[str, list[str]]
    admitted: frozenset[str]
    pseudonyms: Pseudonyms

    def find(self, row: LabelRow) -> list[str]:
        """Return the admitted instances of a row, by its most exact filled key."""
        if row.file:
            exact = self.by_path.get(row.file.removeprefix("./"))
            named = self.by_name.get(PurePosixPath(row.file).name, set())
            found = {exact} if exact else (named if len(named) == 1 else set())
            return sorted(found & self.admitted)
        if row.instance:
            uid = self.pseudonyms.uid(row.instance)
            return [uid] if uid in self.admitted else []
        if not row.patient:
            return []
        return self.by_patient.get(self.pseudonyms.patient(patient_source(row.patient)), [])


def apply_labels(
    data: Path,
    catalogue: Catalogue,
    table: LabelTable,
    *,
    folder: Path,
    root: Path,
    instance_of: Mapping[Path, str],
    pseudonyms: Pseudonyms,
) -> dict[str, int]:
    """Write the labels of a table in one transaction; return counts by code.

    Two rows that contradict each other leave the image without that label. A
    label that an earlier table gave stays until another one is given.
    """
    index = _index_of(catalogue, instance_of, root, pseudonyms)
    given: dict[tuple[str, str], set[str]] = defaultdict(set)
    lonely = bad_masks = 0
    for row in table.rows:
        found = index.find(row)
        lonely += not found
        for instance in found:
            for name, value in row.classes.items():
                given[instance, name].add(str(value))
        if row.mask and found:
            stored = _store_mask(data, folder / row.mask, folder)
            bad_masks += stored is None
            for instance in found if stored else ():
                given[instance, MASK].add(str(stored))
    with catalogue.transaction():
        conflicts = write_labels(catalogue, given)
        labelled = {instance for instance, _ in catalogue.label_rows()}
    return {
        "applied": len(given) - conflicts,
        LabelWithoutImageError.code: lonely,
        ImageWithoutLabelError.code: len(set(instance_of.values()) & index.admitted - labelled),
        LabelValueError.code: table.invalid,
        LabelConflictError.code: conflicts,
        MaskMissingError.code: bad_masks,
    }


def write_labels(catalogue: Catalogue, given: Mapping[tuple[str, str], set[str]]) -> int:
    """Write {(instance, name): values} inside a transaction; return how many contradict.

    Where two values were given, the image is left without that label.
    """
    conflicts = 0
    for (instance, name), values in given.items():
        if len(values) > 1:
            conflicts += 1
            catalogue.drop_label(instance, name)
        else:
            catalogue.set_label(instance, name, next(iter(values)))
    return conflicts


def _index_of(
    catalogue: Catalogue, instance_of: Mapping[Path, str], root: Path, pseudonyms: Pseudonyms
) -> _Index:
    by_path: dict[str, str] = {}
    by_name: dict[str, set[str]] = defaultdict(set)
    for path, instance in instance_of.items():
        by_path[path.relative_to(root).as_posix()] = instance
        by_name[path.name].add(instance)
    by_patient = catalogue.instances_of_patients()
    admitted = frozenset(item for instances in by_patient.values() for item in instances)
    return _Index(by_path, by_name, by_patient, admitted, pseudonyms)


def _store_mask(data: Path, source: Path, folder: Path) -> str | None:
    """Keep a mask by its content; None when it is no 2-D or 3-D array of classes in `folder`."""
    try:
        if not source.resolve().is_relative_to(folder.resolve()) or not source.is_file():
            return None
        size = source.stat().st_size
        with source.open("rb") as file:
            if size > MOST_MASK_BYTES or not _is_mask(file, size):
                return None
            file.seek(0)
            mask = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, RuntimeError, EOFError, MemoryError, RecursionError):
        return None  # a path with a zero byte, a loop of links, a header that lies
    if int(mask.min()) < 0 or int(mask.max()) > _HIGHEST:
        return None
    return store_mask(data, mask.astype(np.uint8))


def _is_mask(file: BinaryIO, size_bytes: int) -> bool:
    """Say whether a .npy header is of a mask that the file is long enough to hold.

    Raises
    ------
    ValueError
        If it is no such header.
    """
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    version = np.lib.format.read_magic(file)
    if version not in read:
        return False
    shape, _, dtype = read[version](file)
    samples = math.prod(shape)
    fits = 0 < samples * dtype.itemsize <= size_bytes
    return dtype.kind in "uib" and len(shape) in (2, 3) and fits


def store_mask(data: Path, mask: NDArray[np.uint8]) -> str:
    """Keep a mask under the SHA-256 of its .npy file and return that name."""
    packed = io.BytesIO()
    np.save(packed, mask, allow_pickle=False)
    name = hashlib.sha256(packed.getvalue()).hexdigest()
    target = mask_path(data, name)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(f".{name}.{os.getpid()}")
    part.write_bytes(packed.getvalue())
    part.replace(target)
    return name
