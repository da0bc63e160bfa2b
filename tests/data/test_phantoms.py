import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from clients.data import phantoms
from clients.data.deidentification.deidentify import deidentify
from clients.data.deidentification.profile import Profile
from clients.data.dicom.elements import Limits, read_part10, write_part10
from clients.data.people.pseudonyms import Pseudonyms


def errors_of(path: Path) -> list[str]:
    """Return what dciodvfy (Debian's dicom3tools) calls an error in a file."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if line.startswith("Error")]


def images(site: phantoms.GeneratedSite) -> list[Path]:
    return sorted(site.folder.glob("MRN*_[0-9].dcm"))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    made = [
        phantoms.generate(tmp_path / name, sites=["a"], patients=3, seed=seed)[0]
        for name, seed in (("one", 1), ("two", 1), ("three", 2))
    ]
    first, again, other = (
        {path.name: path.read_bytes() for path in site.folder.iterdir()} for site in made
    )
    assert first == again
    assert first.keys() != other.keys()


def test_hospitals_differ_in_scanner_matrix_and_photometric(tmp_path: Path) -> None:
    sites = phantoms.generate(tmp_path, sites=["a", "b"], patients=2, seed=1)
    one, two = (pydicom.dcmread(images(site)[0]) for site in sites)
    assert one.Manufacturer != two.Manufacturer
    assert one.Rows != two.Rows
    assert {one.Modality, two.Modality} == {"CR", "DX"}
    assert {one.PhotometricInterpretation, two.PhotometricInterpretation} == {
        "MONOCHROME1",
        "MONOCHROME2",
    }


def test_labels_name_every_chest_file_and_some_patients_have_several(
    site: phantoms.GeneratedSite,
) -> None:
    rows = site.labels.read_text().splitlines()
    assert rows[0] == "file,patient_id,pneumonia"
    files = [row.split(",")[0] for row in rows[1:]]
    assert all((site.folder / name).is_file() for name in files)
    assert len(files) > site.patients


def test_opacities_raise_the_lungs_but_do_not_decide_alone() -> None:
    rng = np.random.default_rng(3)
    sick, well = (
        np.array(
            [phantoms.chest(rng, side=64, opacities=x)[16:45, 10:54].mean() for _ in range(60)]
        )
        for x in (True, False)
    )
    auroc = (sick[:, None] > well[None, :]).mean()
    assert 0.7 < auroc < 0.99


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_generated_and_deidentified_files_conform_to_their_iod(tmp_path: Path) -> None:
    for site in phantoms.generate(tmp_path, sites=["a", "b"], patients=1, seed=1):
        source = images(site)[0]
        assert errors_of(source) == []
        file = read_part10(source.read_bytes(), Limits())
        clean = tmp_path / f"{site.site}.dcm"
        clean.write_bytes(write_part10(deidentify(file, Profile(), Pseudonyms(b"k" * 32)).file))
        assert errors_of(clean) == []
