"""The command line and what it reads first stay light."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "dp_accounting",
    "fastapi",
    "flwr",
    "grpc",
    "monai",
    "opacus",
    "prefect",
    "pydicom",
    "scipy",
    "sqlalchemy",
    "torch",
}

LIGHT = [
    "federation.commands.main",
    "federation.errors",
    "federation.operations.artefacts",
    "federation.operations.doctor",
    "federation.operations.study_file",
    "federation.recipes.catalogue",
    "strategies.aggregation",
    "strategies.fedavg",
]


@pytest.mark.parametrize("module", LIGHT)
def test_importing_it_brings_nothing_heavy(module: str) -> None:
    code = f"import {module}, sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}

    assert loaded & HEAVY == set()


def test_the_import_contracts_hold() -> None:
    root = Path(__file__).resolve().parents[1]
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, capture_output=True, check=False, text=True, cwd=root)

    assert done.returncode == 0, done.stdout[-3000:]
