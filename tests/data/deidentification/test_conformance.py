"""What comes out is accepted by dciodvfy wherever what went in was."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from clients.data.deidentification.deidentify import deidentify
from clients.data.deidentification.profile import Option, Profile
from clients.data.deidentification.statement import (
    INSPECTED_CLEAN,
    NOT_INSPECTED,
    PixelStatement,
)
from clients.data.dicom.elements import Limits, read_part10, write_part10
from clients.data.phantoms import GeneratedSite
from federation.errors.base import PlatformError
from tests.data.deidentification.cleaning import KEY

VERIFIER = shutil.which("dciodvfy")
needs_verifier = pytest.mark.skipif(VERIFIER is None, reason="dicom3tools (dciodvfy) is not here")


def errors_of(path: Path) -> Counter[str]:
    assert VERIFIER is not None
    run = subprocess.run([VERIFIER, str(path)], capture_output=True, timeout=60, check=False)
    lines = (run.stdout + run.stderr).decode("latin-1").splitlines()
    return Counter(line for line in lines if line.startswith("Error"))


def new_errors(
    source: Path, out: Path, profile: Profile, pixels: PixelStatement = NOT_INSPECTED
) -> Counter[str]:
    """Return the errors that cleaning brought into a file; none when it was refused."""
    try:
        file = read_part10(source.read_bytes(), Limits())
        done = deidentify(file, profile, KEY, pixels=pixels)
    except PlatformError:
        return Counter()
    out.write_bytes(write_part10(done.file))
    return errors_of(out) - errors_of(source)


@needs_verifier
def test_files_of_a_generated_hospital_stay_valid(site: GeneratedSite, tmp_path: Path) -> None:
    for path in sorted(site.folder.glob("MRN*_[0-9].dcm"))[:3]:
        for options in (Profile().options, frozenset(), frozenset(Option)):
            for pixels in (NOT_INSPECTED, INSPECTED_CLEAN):
                out = tmp_path / "out.dcm"
                assert new_errors(path, out, Profile(options), pixels) == Counter()


@needs_verifier
@pytest.mark.slow
@pytest.mark.realdata
def test_cleaning_brings_no_error_into_any_real_image(shared_data: Path, tmp_path: Path) -> None:
    from clients.data.intake.screening import IMAGE_CLASSES

    looked_at = 0
    for path in sorted((shared_data / "dicom-real").rglob("*")):
        if not path.is_file():
            continue
        try:
            file = read_part10(path.read_bytes(), Limits())
        except PlatformError:
            continue
        if file.text(0x00080016) in IMAGE_CLASSES:
            looked_at += 1
            assert new_errors(path, tmp_path / "out.dcm", Profile()) == Counter(), path.name
    assert looked_at > 100
