"""The segmentation recipe learns on real brain MR volumes (Medical Segmentation Decathlon, Task04).

Measured on one core: Dice on 52 held-out patients, see the assertion; federated
over the three intensity groups of the data set, which are not hospitals.
"""

import csv
import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from clients.data.cohort.arrays import PatientArrays
from clients.evaluation import evaluate
from clients.local_plan import LocalPlan
from clients.training import train
from federation.domain.recipe import Task
from federation.recipes.catalogue import recipe
from federation.recipes.flat import flatten, load_flat
from federation.recipes.networks import build
from strategies.aggregation import StreamingMean

SHARED = os.environ.get("TRIFED_SHARED_DATA", "")
FOLDER = Path(SHARED) / "mr-hippocampus"
ROUNDS = 6
NIFTI_TYPES = {2: np.uint8, 4: np.int16, 8: np.int32, 16: np.float32, 64: np.float64}


def read_nifti(path: Path) -> np.ndarray:
    """Return the voxels of a NIfTI-1 file (little endian, one volume)."""
    content = gzip.decompress(path.read_bytes())
    shape = struct.unpack_from("<8h", content, 40)[1:4]
    kind = NIFTI_TYPES[struct.unpack_from("<h", content, 70)[0]]
    start = int(struct.unpack_from("<f", content, 108)[0])
    voxels = np.frombuffer(content, kind, count=int(np.prod(shape)), offset=start)
    return voxels.reshape(shape, order="F").astype(np.float32)


def resized(voxels: np.ndarray, shape: tuple[int, ...], mode: str) -> np.ndarray:
    tensor = torch.from_numpy(np.ascontiguousarray(voxels))[None, None]
    return functional.interpolate(tensor, size=shape, mode=mode)[0, 0].numpy()


def cohort_of(files: list[str]) -> PatientArrays:
    shape = recipe("hippocampus-seg").input_shape[1:]
    images, masks = [], []
    for file in files:
        voxels = resized(read_nifti(FOLDER / "images" / file), shape, "trilinear")
        images.append((voxels - voxels.mean()) / (voxels.std() + 1e-6))
        masks.append(resized(read_nifti(FOLDER / "labels" / file), shape, "nearest"))
    return PatientArrays(
        np.stack(images)[:, None].astype(np.float32),
        np.stack(masks).astype(np.int64),
        np.arange(len(files)),
        len(files),
    )


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.skipif(
    not (SHARED and FOLDER.is_dir()),
    reason="TRIFED_SHARED_DATA does not name a folder with mr-hippocampus/",
)
def test_the_segmentation_recipe_learns_real_hippocampi_over_three_sites():
    with (FOLDER / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    sites = sorted({row["site"] for row in rows})
    training = [
        cohort_of([r["file"] for r in rows if r["site"] == site and r["part"] == "train"])
        for site in sites
    ]
    heldout = cohort_of([r["file"] for r in rows if r["part"] == "heldout"])
    chosen = recipe("hippocampus-seg")
    defaults = chosen.training
    plan = LocalPlan(
        defaults.optimizer, defaults.learning_rate, defaults.batch_size, defaults.local_epochs
    )
    module = build(chosen, seed=1)
    model = flatten(module)
    before = evaluate(module, heldout, task=Task.SEGMENTATION).dice
    for number in range(ROUNDS):
        mean = StreamingMean(model.size)
        for data in training:
            load_flat(module, model)
            update = train(module, data, plan=plan, seed=number).update
            mean.add(update, weight=float(data.patients))
        model = model + mean.result()
    load_flat(module, model)
    after = evaluate(module, heldout, task=Task.SEGMENTATION).dice
    print(f"Dice {before.value:.3f} -> {after.value:.3f} ({after.low:.3f}-{after.high:.3f})")
    assert before.value < 0.2
    assert after.low > 0.7
