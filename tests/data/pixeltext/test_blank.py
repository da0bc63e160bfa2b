import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clients.data.dicom.elements import Limits, Part10, read_part10, write_part10
from clients.data.dicom.pixels import decode
from clients.data.pixeltext import blank as blanking
from clients.data.pixeltext.blank import blank, cleared
from clients.data.pixeltext.detect import Detector
from clients.data.pixeltext.policy import Box
from federation.errors.pixeltext import PixelTextUncheckedError, WhyUnchecked
from tests.data.pixeltext.drawing import NAME, Samples, as_samples, described, film, ink, written

BOX = Box(0, 1, 2, 3, 5, 9)
INSIDE = (slice(2, 5), slice(3, 9))


def ramp(kind: str, channels: int = 1, frames: int = 1) -> Samples:
    count = frames * 12 * 14 * channels
    return (np.arange(count) % 200 + 7).astype(kind).reshape(frames, 12, 14, channels)


def outside(samples: Samples) -> Samples:
    kept = samples.copy()
    kept[:, INSIDE[0], INSIDE[1]] = 0
    return kept


@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2", "<i2", "<u4"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_grey_boxes_become_black_as_displayed_and_nothing_else_changes(
    kind: str, photometric: str
) -> None:
    samples = ramp(kind) - np.asarray(100 if kind == "<i2" else 0, kind)
    file = described(samples, photometric)
    after = blank(file, samples, (BOX,))
    again = decode(after)

    black = samples.max() if photometric == "MONOCHROME1" else samples.min()
    assert (again[0, *INSIDE] == black).all()
    assert np.array_equal(outside(again), outside(samples))
    assert again.dtype == samples.dtype
    assert after.transfer_syntax == file.transfer_syntax


def test_every_other_element_is_as_it_was() -> None:
    samples = ramp("<u2")
    file = described(samples, t00104000=b"KEPT")
    before = write_part10(file)
    after = write_part10(blank(file, samples, (BOX,)))

    assert len(before) == len(after)
    assert write_part10(file) == before
    start = before.index(samples.tobytes())
    assert before[:start] == after[:start]


@pytest.mark.parametrize("planar", [b"", b"1"])
def test_colour_by_plane_and_by_pixel_become_black(planar: bytes) -> None:
    samples = ramp("u1", channels=3)
    file = described(samples, "RGB", planar=planar)
    again = decode(blank(file, samples, (BOX,)))

    assert (again[0, *INSIDE] == 0).all()
    assert np.array_equal(outside(again), outside(samples))


def test_luma_and_colour_difference_become_black() -> None:
    samples = ramp("u1", channels=3)
    again = decode(blank(described(samples, "YBR_FULL"), samples, (BOX,)))

    assert (again[0, *INSIDE] == (0, 128, 128)).all()


def test_a_negative_slope_and_an_inverse_shape_turn_black_over() -> None:
    samples = ramp("<u2")
    for more in ({"t00281053": b"-1"}, {"t20500020": b"INVERSE "}):
        again = decode(blank(described(samples, **more), samples, (BOX,)))
        assert (again[0, *INSIDE] == samples.max()).all()


def test_only_the_frames_of_a_box_are_filled() -> None:
    samples = ramp("u1", frames=3)
    again = decode(blank(described(samples), samples, (replace(BOX, first_frame=1, end_frame=2),)))

    assert (again[1, *INSIDE] == samples.min()).all()
    assert np.array_equal(again[[0, 2]], samples[[0, 2]])


def test_colours_that_cannot_be_written_are_refused() -> None:
    samples = ramp("u1", channels=3)

    with pytest.raises(PixelTextUncheckedError):
        blank(described(samples, "YBR_PARTIAL_420"), samples, (BOX,))


@pytest.mark.parametrize(
    "values", [(0, 1, 5, 5, 5, 9), (0, 0, 1, 1, 2, 2), (0, 1, -1, 0, 2, 2), (0, 1, 3, 1, 2, 9)]
)
def test_a_box_without_a_pixel_is_refused(values: tuple[int, int, int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="a box"):
        Box(*values)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_no_text_is_left_after_clearing(detector: Detector, photometric: str) -> None:
    grey = written(NAME) if photometric == "MONOCHROME2" else 1 - written(NAME)
    samples = as_samples(np.asarray(grey, np.float32))
    done = cleared(described(samples, photometric), samples, detector)

    assert done is not None
    text = ink(512, NAME) > 0.5
    assert len(np.unique(done.samples[0, ..., 0][text])) == 1
    assert np.array_equal(decode(done.file), done.samples)


def test_a_file_without_text_is_left_alone(detector: Detector) -> None:
    samples = as_samples(film())

    assert cleared(described(samples), samples, detector) is None


def test_text_that_is_still_seen_after_blanking_is_refused(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blanking, "blank", lambda file, samples, boxes: file)
    samples = as_samples(written(NAME))

    with pytest.raises(PixelTextUncheckedError) as refused:
        cleared(described(samples), samples, detector)
    assert refused.value.values["why"] is WhyUnchecked.STILL_THERE.value


def real(shared_data: Path, path: str) -> Part10:
    return read_part10((shared_data / "dicom-real" / path).read_bytes(), Limits())


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize(
    ("path", "photometric", "lossy"),
    [
        ("deid/ultrasounds_GREYSCALE_IMAGE.dcm", "MONOCHROME2", "00"),
        ("pydicom/JPGLosslessP14SV1_1s_1f_8b.dcm", "MONOCHROME2", "00"),
        ("pydicom/OBXXXX1A_rle.dcm", "PALETTE COLOR", "00"),
        ("pydicom/US1_J2KI.dcm", "RGB", "01"),
        ("pydicom/GDCMJ2K_TextGBR.dcm", "RGB", ""),
        ("pydicom/examples_ybr_color.dcm", "YBR_FULL", "01"),
    ],
)
def test_real_files_are_cleared_and_other_readers_still_read_them(
    detector: Detector, shared_data: Path, path: str, photometric: str, lossy: str
) -> None:
    import pydicom

    file = real(shared_data, path)
    samples = decode(file)
    done = cleared(file, samples, detector)
    assert done is not None
    dataset = pydicom.dcmread(io.BytesIO(write_part10(done.file)))

    assert dataset.PhotometricInterpretation == photometric
    assert str(dataset.get("LossyImageCompression", "")) == lossy
    assert not dataset.file_meta.TransferSyntaxUID.is_compressed
    assert np.array_equal(
        pydicom.pixels.pixel_array(dataset, raw=True).ravel(), done.samples.ravel()
    )
    assert 0 < (done.samples != samples).any(axis=3).mean() < 0.6


@pytest.mark.realdata
def test_uncompressed_subsampled_colour_is_written_in_full(shared_data: Path) -> None:
    file = real(shared_data, "pydicom/SC_ybr_full_422_uncompressed.dcm")
    samples = decode(file)
    after = blank(file, samples, (BOX,))
    again = decode(after)

    assert after.text(0x00280004) == "YBR_FULL"
    assert np.array_equal(outside(again), outside(samples))


@pytest.mark.realdata
def test_a_lossy_past_is_said_where_the_file_did_not(shared_data: Path) -> None:
    file = real(shared_data, "pydicom/US1_J2KI.dcm")
    silent = Part10(
        file.meta,
        [element for element in file.dataset if element.tag != 0x00282110],
        file.transfer_syntax,
        file.encoding,
    )

    assert blank(silent, decode(file), (BOX,)).text(0x00282110) == "01"
