"""Measure a whole intake: files a second, and whether memory grows with their number.

    python benchmarks/intake.py [--files 4000] [--json]

Writes small CR files (64 x 64, so that the bookkeeping is what is measured) of
many patients, takes in a tenth of them and then all, each in a process of its
own, and prints rate and peak memory of the parent for both, and the rate of a
second run over the same folder.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.report import report
from clients.data import phantoms
from clients.data.intake.ingest import ingest

SIDE = 64
FOLDER = 1000
"""Files of one folder, as an archive would have them."""


def write_files(folder: Path, count: int) -> None:
    """Write `count` small files of `count / 4` patients."""
    rng = np.random.default_rng(3)
    for number in range(count):
        patient = number // 4
        dataset = phantoms._item(
            SOPClassUID="1.2.840.10008.5.1.4.1.1.1",
            SOPInstanceUID=f"1.2.3.4.{number}",
            StudyInstanceUID=f"1.2.3.5.{patient}",
            SeriesInstanceUID=f"1.2.3.6.{patient}",
            Modality="CR",
            PatientID=f"PID{patient:08d}",
            PatientName=f"Doe^{patient}",
            StudyDate="20240229",
            SamplesPerPixel=1,
            PhotometricInterpretation="MONOCHROME2",
            Rows=SIDE,
            Columns=SIDE,
            BitsAllocated=16,
            BitsStored=12,
            HighBit=11,
            PixelRepresentation=0,
            PixelData=rng.integers(0, 4096, (SIDE, SIDE)).astype("<u2").tobytes(),
        )
        path = folder / f"{number // FOLDER:04d}" / f"{number:07d}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(phantoms._bytes_of(dataset))


def measure(data: Path, folder: Path) -> dict[str, float]:
    """Take in a folder in a process of its own; return seconds, files and peak memory."""
    command = [sys.executable, "-m", "benchmarks.intake", "--one", str(data), str(folder)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def one(data: Path, folder: Path) -> None:
    """Be that process."""
    started = time.perf_counter()
    taken = ingest(data, folder)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"files": taken.given, "seconds": seconds, "peak_mb": peak}))


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=4000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=2, type=Path)
    asked = parser.parse_args()
    if asked.one:
        one(*asked.one)
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_files(folder / "tenth", asked.files // 10)
        write_files(folder / "all", asked.files)
        few = measure(folder / "few" / "data", folder / "tenth")
        many = measure(folder / "many" / "data", folder / "all")
        again = measure(folder / "many" / "data", folder / "all")
    report(
        "intake",
        {
            "files": many["files"],
            "files_per_s": many["files"] / many["seconds"],
            "again_files_per_s": again["files"] / again["seconds"],
            "peak_mb_tenth": few["peak_mb"],
            "peak_mb": many["peak_mb"],
        },
        {
            "files": "files",
            "files_per_s": "files/s",
            "again_files_per_s": "files/s",
            "peak_mb_tenth": "MiB",
            "peak_mb": "MiB",
        },
    )


if __name__ == "__main__":
    main()
