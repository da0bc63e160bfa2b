import struct
from pathlib import Path

import numpy as np
import pytest

from clients.data.dicom.elements import EXPLICIT_LITTLE, Element, Limits, Part10, read_part10
from clients.data.dicom.pixels import decode, grey
from federation.errors.data import PixelsUndecodableError
from tests.data.deidentification.planting import (
    EXPLICIT,
    J2K,
    RLE,
    base,
    codestream,
    encapsulated,
    pixels,
    samples,
    text,
    us,
)


def j2k(frame: bytes) -> Part10:
    dataset = [*base(), encapsulated(frame)]
    meta = [text(0x00020010, "UI", J2K), text(0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.1")]
    return Part10(meta, dataset, J2K, EXPLICIT_LITTLE)


def used(monkeypatch: pytest.MonkeyPatch, failing: str) -> list[str]:
    """Let one decoder fail and note which ones are asked."""
    from pydicom.pixels import get_decoder

    decoder = get_decoder(J2K)
    asked: list[str] = []
    whole = decoder.as_array

    def as_array(*given: object, decoding_plugin: str, **how: object) -> object:
        asked.append(decoding_plugin)
        if decoding_plugin == failing:
            raise RuntimeError("this decoder cannot read it")
        return whole(*given, decoding_plugin=decoding_plugin, **how)

    monkeypatch.setattr(decoder, "as_array", as_array)
    return asked


def test_gdcm_reads_what_the_first_decoder_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = used(monkeypatch, failing="pylibjpeg")
    assert (decode(j2k(codestream(samples())))[0, :, :, 0] == samples()).all()
    assert asked == ["pylibjpeg", "gdcm"]


def test_the_second_decoder_is_not_asked_when_the_first_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = used(monkeypatch, failing="")
    decode(j2k(codestream(samples())))
    assert asked == ["pylibjpeg"]


def test_what_no_decoder_reads_is_refused() -> None:
    with pytest.raises(PixelsUndecodableError):
        decode(j2k(b"\xff\x4f\xff\x51" + b"\0" * 60))


def test_a_panic_inside_a_decoder_costs_only_the_file() -> None:
    """pylibjpeg-rle 2.2 panics when the last run gives more samples than the picture has."""
    segment = b"\x81\1" * 33  # 33 runs of 128 for 64 x 64 samples
    header = struct.pack("<16I", 2, 64, 64 + len(segment), *[0] * 13)
    words = {0x00280100: us(16), 0x00280101: us(16), 0x00280102: us(15)}
    dataset = [Element(e.tag, e.vr, words.get(e.tag, e.value)) for e in base()]
    meta = [text(0x00020010, "UI", RLE), text(0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.1")]
    broken = encapsulated(header + segment * 2)
    try:
        found = decode(Part10(meta, [*dataset, broken], RLE, EXPLICIT_LITTLE))
    except PixelsUndecodableError:
        return
    assert found.shape == (1, 64, 64, 1)


@pytest.mark.realdata
def test_every_installed_decoder_gives_the_same_samples(shared_data: Path) -> None:
    """Lossless real files: the order of decoders must not change a pixel digest."""
    from pydicom import dcmread
    from pydicom.pixels import get_decoder

    compared = 0
    for name in ("MR_small_RLE", "GDCMJ2K_TextGBR", "JPEGLSNearLossless_08", "693_J2KR"):
        path = shared_data / "dicom-real" / "pydicom" / f"{name}.dcm"
        if not path.exists():
            continue
        ours = decode(read_part10(path.read_bytes(), Limits()))
        dataset = dcmread(path)
        decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
        for plugin in {"gdcm", "pylibjpeg", "pyjpegls"} & set(decoder.available_plugins):
            theirs = decoder.as_array(dataset, raw=True, decoding_plugin=plugin)[0]
            assert (theirs.reshape(ours.shape) == ours).all(), (name, plugin)
            compared += 1
    assert compared >= 4


def with_table(descriptor: bytes, data: bytes) -> Part10:
    item = [Element(0x00283002, "US", descriptor), Element(0x00283006, "OW", data)]
    dataset = [*base(), Element(0x00283000, "SQ", items=[item]), pixels(EXPLICIT)]
    return Part10([], dataset, EXPLICIT, EXPLICIT_LITTLE)


def test_a_modality_table_gives_the_grey_of_each_stored_value() -> None:
    entries = np.arange(256, dtype="<u2")[::-1] * 10
    picture = grey(with_table(us(256, 0, 16), entries.tobytes()))
    assert (picture[0] == (255 - samples().astype(int)) * 10).all()


def test_values_beyond_a_modality_table_get_its_outermost_entries() -> None:
    picture = grey(with_table(us(2, 100, 8), b"\x07\x09"))
    assert set(np.unique(picture)) == {7.0, 9.0}
    assert (picture[0][samples() <= 100] == 7.0).all()


@pytest.mark.parametrize(
    ("descriptor", "data"), [(b"", b"12"), (us(2, 0), b"12"), (us(2, 0, 8), b"")]
)
def test_a_modality_table_without_entries_leaves_the_stored_values(
    descriptor: bytes, data: bytes
) -> None:
    assert (grey(with_table(descriptor, data))[0] == samples()).all()


def test_windows_are_not_applied() -> None:
    dataset = [*base(), text(0x00281050, "DS", "10"), text(0x00281051, "DS", "5")]
    file = Part10([], [*dataset, pixels(EXPLICIT)], EXPLICIT, EXPLICIT_LITTLE)
    assert (grey(file)[0] == samples()).all()
