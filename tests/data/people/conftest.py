from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clients.data.intake.ingest import ingest
from tests.data.conftest import CHEST, Build, Write

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)

Fill = Callable[..., Path]


@pytest.fixture
def fill(build: Build, write: Write, tmp_path: Path) -> Fill:
    """Take in one labelled image each of some patients (PID0001, …); return the data folder."""

    def filled(patients: int = 4, **facts: object) -> Path:
        rows = ["file,label"]
        for number in range(1, patients + 1):
            write(build(number, **facts), f"{number}.dcm")
            rows.append(f"{number}.dcm,{number % 2}")
        given = tmp_path / "given"
        (given / "labels.csv").write_text("\n".join(rows) + "\n")
        ingest(tmp_path / "data", given, rules=CHEST, workers=1)
        return tmp_path / "data"

    return filled


def a_list(path: Path, *names: str) -> Path:
    path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return path
