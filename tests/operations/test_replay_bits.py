"""What a replay rests on: the same bits twice on one machine, and a record of the machine."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from clients.data.cohort.arrays import PatientArrays
from clients.local_plan import local_plan
from clients.training import Precision, train
from federation.domain.ids import Sha256
from federation.domain.recipe import Recipe, Task
from federation.domain.replay import Change
from federation.domain.study import TrainingPlan
from federation.environment import arithmetic, changed, this_environment
from federation.operations.environment import changes_since, record_of_run
from federation.recipes import catalogue, networks
from federation.recipes.model_files import digest_of_flat
from tests.builders import a_study

ROOT = Path(__file__).resolve().parents[2]
every_recipe = pytest.mark.parametrize("name", catalogue.recipe_names())
both = pytest.mark.parametrize("precision", Precision, ids=lambda precision: precision.value)


def a_cohort_of(recipe: Recipe, patients: int = 8) -> PatientArrays:
    random = np.random.default_rng(3)
    images = random.normal(size=(patients, *recipe.input_shape)).astype(np.float32)
    targets = np.arange(patients, dtype=np.int64) % recipe.classes
    if recipe.task is Task.SEGMENTATION:
        targets = random.integers(0, recipe.classes, (patients, *recipe.input_shape[1:]))
    return PatientArrays(images, targets, np.arange(patients, dtype=np.int64), patients)


def trained(name: str, precision: Precision) -> Sha256:
    """Return the digest of what two steps of a recipe's own training change."""
    recipe = catalogue.recipe(name)
    own = recipe.training
    plan = TrainingPlan(
        rounds=1, local_epochs=1.0, learning_rate=own.learning_rate, batch_size=4,
        optimizer=own.optimizer, momentum=0.0,
    )  # fmt: skip
    result = train(
        networks.build(recipe, seed=7),
        a_cohort_of(recipe),
        plan=local_plan(plan, recipe, round_number=1),
        seed=8,
        precision=precision,
    )
    return digest_of_flat(result.update)


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@both
@every_recipe
def test_training_without_privacy_gives_the_same_bits_whatever_the_threads(
    name: str, precision: Precision
) -> None:
    with threads(1):
        first = trained(name, precision)
    with threads(4):
        again = trained(name, precision)

    assert first == again


@pytest.mark.slow
def test_another_process_gives_the_same_bits_for_every_recipe() -> None:
    here = {
        f"{name} {precision.value}": trained(name, precision)
        for name in catalogue.recipe_names()
        for precision in Precision
    }

    assert _elsewhere(_TRAINED, OMP_NUM_THREADS="1") == here


def test_another_instruction_set_is_seen_in_the_record() -> None:
    there = _elsewhere(_RECORD, ATEN_CPU_CAPABILITY="default", ONEDNN_MAX_CPU_ISA="SSE41")

    names = {change.name for change in changed(there, this_environment().as_json())}

    if "AVX" not in this_environment().processor:
        pytest.skip("this processor has one instruction set only")
    assert {"processor", "arithmetic"} <= names
    assert not names & {"python", "machine", "torch", "numpy"}


def test_the_fixed_calculation_is_the_same_every_time() -> None:
    assert len({arithmetic() for _ in range(20)}) == 1


def test_the_record_says_how_numbers_are_kept_and_by_what() -> None:
    told = this_environment().as_json()

    assert told["bfloat16"] == torch.cpu._is_avx512_bf16_supported()
    assert told["packages"]["torch"] == torch.__version__  # type: ignore[index]
    assert json.loads(json.dumps(told)) == told
    assert this_environment().digest == this_environment().digest


def test_the_record_names_neither_the_machine_nor_its_user() -> None:
    told = json.dumps(this_environment().as_json())

    assert platform.node() not in told
    assert str(Path.home()) not in told


def test_changes_are_named_one_by_one() -> None:
    now = this_environment().as_json()
    packages = now["packages"]
    assert isinstance(packages, dict)
    then = {**now, "threads": -1, "packages": {**packages, "torch": "1.0"}}
    del then["blas"]

    found = changed(then, now)

    assert [one.name for one in found] == ["blas", "threads", "torch"]
    assert found[0] == Change("blas", "absent", str(now["blas"]))
    assert changed(now, now) == ()


def test_a_run_begins_with_all_that_it_takes_to_compute_it_again() -> None:
    study = a_study()

    record = record_of_run(study, initial_model=Sha256.of(b"first"))

    assert (record["seed"], record["order"]) == (study.seed, "sites-sorted")
    assert record["initial_model"] == Sha256.of(b"first")
    assert changes_since(json.loads(json.dumps(record))) == ()
    assert changes_since({}) == ()


def test_other_code_that_went_on_with_a_run_is_named() -> None:
    record = record_of_run(a_study(), initial_model=Sha256.of(b"first"))
    own = str(this_environment().code)
    continued = [{"at": "", "code": own}, {"at": "", "code": str(Sha256.of(b"a later version"))}]

    found = changes_since({**record, "continued": continued})

    assert [(one.name, one.now) for one in found] == [
        ("code-of-a-continuation", Sha256.of(b"a later version"))
    ]


_TRAINED = """
import json
from tests.operations.test_replay_bits import Precision, catalogue, trained
print(json.dumps({f"{name} {precision.value}": trained(name, precision)
                  for name in catalogue.recipe_names() for precision in Precision}))
"""
_RECORD = """
import json
from federation.environment import this_environment
print(json.dumps(this_environment().as_json()))
"""


def _elsewhere(program: str, **environment: str) -> dict[str, object]:
    """Return the JSON that a program prints in a process of its own."""
    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
        timeout=200,
    )
    found: dict[str, object] = json.loads(told.stdout)
    return found
