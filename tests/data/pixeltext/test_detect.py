import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clients.data.dicom.elements import Element, Limits, read_part10
from clients.data.dicom.pixels import decode
from clients.data.pixeltext import detect, reader
from clients.data.pixeltext.candidates import candidates
from clients.data.pixeltext.detect import Detector
from clients.data.pixeltext.pictures import pictures_of
from federation.errors.pixeltext import PixelTextUncheckedError
from tests.data.pixeltext.drawing import NAME, Samples, as_samples, described, film, ink, written


def found(detector: Detector, samples: Samples, photometric: str = "MONOCHROME2") -> bool:
    return bool(detector.find(samples, file=described(samples, photometric)))


def test_a_film_without_text_shows_none_and_needs_no_model() -> None:
    samples = as_samples(film(1024))
    unloaded = Detector()

    assert unloaded.find(samples, file=described(samples)) == ()
    assert not {"_detection", "_recognition"} & vars(unloaded.reader).keys()


@pytest.mark.parametrize("size", [10, 16, 32, 60])
def test_a_name_is_found_at_every_size(detector: Detector, size: int) -> None:
    assert found(detector, as_samples(written("WANG 640229", side=1024, size=size)))


@pytest.mark.parametrize("side", [512, 2048])
def test_the_boxes_cover_the_text_and_little_else(detector: Detector, side: int) -> None:
    samples, text = as_samples(written(NAME, side=side, size=24)), ink(side, NAME, size=24) > 0.5
    under = np.zeros(text.shape, bool)
    for box in detector.find(samples, file=described(samples)):
        under[box.top : box.bottom, box.left : box.right] = True

    assert under[text].all()
    assert under.mean() < 0.1


@pytest.mark.parametrize("words", ["L", "R", "AP SUPINE", "PORTABLE", "L ERECT", "R PA"])
def test_a_side_or_position_marker_alone_does_not_stop_a_film(
    detector: Detector, words: str
) -> None:
    assert not found(detector, as_samples(written(words, size=28)))


def test_black_text_on_a_bright_film_is_found(detector: Detector) -> None:
    assert found(detector, as_samples(1 - written(NAME)))


def test_text_a_tenth_brighter_than_what_lies_under_it_is_found(detector: Detector) -> None:
    grey = film() + 0.12 * ink(512, NAME, size=24, at=(160, 250))

    assert found(detector, as_samples(np.asarray(grey, np.float32)))


@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2", "<i2", "<u4"])
def test_text_is_found_in_every_type_of_sample(detector: Detector, kind: str) -> None:
    samples = as_samples(written(NAME), kind)
    shifted = samples - samples.dtype.type(2048) if kind == "<i2" else samples

    assert found(detector, shifted)


def test_text_is_found_in_monochrome1(detector: Detector) -> None:
    samples = np.asarray(4095 - as_samples(written(NAME)), dtype="<u2")

    assert found(detector, samples, "MONOCHROME1")


def test_bits_above_bits_stored_do_not_hide_text(detector: Detector) -> None:
    samples = as_samples(written(NAME))
    flags = np.random.default_rng(1).integers(0, 16, samples.shape).astype("<u2")
    file = described(samples | flags << 12)
    file.index[0x00280101].value, file.index[0x00280102].value = b"\x0c\0", b"\x0b\0"

    assert detector.find(samples | flags << 12, file=file)


@pytest.mark.parametrize("colour", [(255, 255, 0), (0, 0, 255), (255, 0, 0)])
def test_coloured_text_is_found(detector: Detector, colour: tuple[int, int, int]) -> None:
    text = ink(512, NAME)[..., None]
    mixed = film()[..., None] * 120 * (1 - text) + text * np.asarray(colour, np.float32)

    assert found(detector, mixed.astype(np.uint8)[None], "RGB")


def test_text_in_colour_differences_alone_is_found(detector: Detector) -> None:
    text = ink(512, NAME) > 0.5
    samples = np.full((1, 512, 512, 3), 128, np.uint8)
    samples[0, ..., 2][text] = 250

    assert found(detector, samples, "YBR_FULL")


def palette(file_of: Samples, colours: np.ndarray[tuple[int, int], np.dtype[np.uint16]]) -> object:
    file = described(file_of, "PALETTE COLOR")
    for channel in range(3):
        entries = colours[:, channel].astype("<u2").tobytes()
        for tag, value in (
            (0x00281101 + channel, np.array([len(colours), 0, 16], "<u2").tobytes()),
            (0x00281201 + channel, entries),
        ):
            file.index[tag] = Element(tag, "OW", value)
            file.dataset.append(file.index[tag])
    return file


def test_text_in_a_palette_is_seen_in_its_colours(detector: Detector) -> None:
    text = ink(512, NAME) > 0.5
    samples = np.where(text, 1, 0).astype(np.uint8)[None, ..., None]
    colours = np.zeros((256, 3), np.uint16)
    colours[1] = (65535, 65535, 0)

    assert detector.find(samples, file=palette(samples, colours))  # type: ignore[arg-type]


def test_a_palette_that_cannot_be_read_is_not_taken_for_clean(detector: Detector) -> None:
    samples = as_samples(written(NAME), "u1")

    with pytest.raises(PixelTextUncheckedError):
        detector.find(samples, file=described(samples, "PALETTE COLOR"))


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_text_turned_by_right_angles_is_found(detector: Detector, turns: int) -> None:
    assert found(detector, as_samples(np.rot90(written(NAME), turns)))


def test_text_in_a_mirror_is_found(detector: Detector) -> None:
    assert found(detector, as_samples(written(NAME)[:, ::-1]))


@pytest.mark.parametrize("frame", [0, 3, 7, 8])
def test_text_in_one_of_nine_frames_is_found_and_its_box_spans_all(
    detector: Detector, frame: int
) -> None:
    samples = np.stack([np.rint(film(seed=n) * 250) for n in range(9)]).astype(np.uint8)
    samples[frame][ink(512, NAME) > 0.5] = 255
    boxes = detector.find(samples[..., None], file=described(samples[..., None]))

    assert boxes
    assert {(box.first_frame, box.end_frame) for box in boxes} == {(0, 9)}


def test_at_most_five_pictures_of_a_file_are_looked_at() -> None:
    samples = np.zeros((100, 16, 16, 1), np.uint8)

    assert len(pictures_of(samples, described(samples))) == 5
    assert len(pictures_of(samples[:4], described(samples[:4]))) == 4


def test_the_same_file_gives_the_same_boxes(detector: Detector) -> None:
    samples = as_samples(written(NAME))
    first = detector.find(samples, file=described(samples))

    assert Detector().find(samples, file=described(samples)) == first


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 200, 1), (1, 200, 2, 3), (2, 7, 7, 3)])
def test_a_tiny_picture_shows_no_text(detector: Detector, shape: tuple[int, ...]) -> None:
    samples = np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8)

    assert not found(detector, samples, "RGB" if shape[3] == 3 else "MONOCHROME2")


def test_a_flat_picture_shows_no_text(detector: Detector) -> None:
    assert not found(detector, np.zeros((1, 300, 300, 1), np.uint16))


def test_more_text_than_one_file_is_given_time_for_is_refused(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect, "MOST_PIXELS_READ", 1000)
    samples = as_samples(written(NAME))

    with pytest.raises(PixelTextUncheckedError):
        detector.find(samples, file=described(samples))


def test_a_model_with_one_byte_changed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "rapidocr_onnxruntime" / "models"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    for name in reader.SHA256:
        content = bytearray(reader._model(name))
        content[-1] ^= 1
        (folder / name).write_bytes(content)
    monkeypatch.setattr(
        reader.importlib.util,
        "find_spec",
        lambda name: type("Spec", (), {"origin": str(folder.parent / "__init__.py")}),
    )

    with pytest.raises(PixelTextUncheckedError):
        Detector()


def test_a_machine_without_the_models_is_told_before_any_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader.importlib.util, "find_spec", lambda name: None)

    with pytest.raises(PixelTextUncheckedError):
        Detector()


def test_candidates_leave_most_of_a_film_out() -> None:
    picture = as_samples(written(NAME, side=1024))[0, ..., 0]
    read = sum(
        (region.bottom - region.top) * (region.right - region.left)
        for _, regions in candidates(picture)
        for region in regions
    )

    assert read < 0.1 * picture.size


LIMITED = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
import numpy as np
from clients.data.pixeltext.detect import Detector
from tests.data.pixeltext.drawing import NAME, as_samples, described, written
samples = as_samples(written(NAME, side=1024))
boxes = Detector().find(samples, file=described(samples))
print(json.dumps([len(boxes), sorted({"cv2", "rapidocr_onnxruntime", "torch"} & set(sys.modules))]))
"""


def test_a_process_with_three_gibibytes_of_addresses_finds_text_and_loads_no_opencv() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED],
        capture_output=True,
        cwd=Path(__file__).parents[3],
        text=True,
        timeout=120,
        check=True,
    )
    boxes, loaded = json.loads(done.stdout)

    assert boxes > 0
    assert loaded == []


def test_the_models_are_the_ones_that_were_measured() -> None:
    for name, digest in reader.SHA256.items():
        assert hashlib.sha256(reader._model(name)).hexdigest() == digest


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("path", "shows"),
    [
        ("deid/ultrasounds_GREYSCALE_IMAGE.dcm", True),
        ("derived/ct_burned_in_text.dcm", True),
        ("pydicom/US1_J2KI.dcm", True),
        ("pydicom/OBXXXX1A_rle.dcm", True),
        ("pydicom/GDCMJ2K_TextGBR.dcm", True),
        pytest.param("pydicom/examples_ybr_color.dcm", True, marks=pytest.mark.slow),
        ("pydicom/RG1_J2KI.dcm", False),
        ("pydicom/693_UNCI.dcm", False),
        ("pydicom/CT_small.dcm", False),
        ("pydicom/emri_small_RLE.dcm", False),
        ("dcmqi/segmentations_ct-3slice_01.dcm", False),
        ("mr-study/12-T1post-05670/000012.dcm", False),
        ("deid/humans_ctbrain1.dcm", False),
    ],
)
def test_real_files_show_text_or_not(
    detector: Detector, shared_data: Path, path: str, shows: bool
) -> None:
    file = read_part10((shared_data / "dicom-real" / path).read_bytes(), Limits())

    assert bool(detector.find(decode(file), file=file)) is shows
