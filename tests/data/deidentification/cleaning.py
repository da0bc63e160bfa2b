"""Short ways to clean a file and to look at what came out."""

import io

import pydicom
from pydicom.dataset import Dataset

from clients.data.deidentification.deidentify import Deidentified, deidentify
from clients.data.deidentification.profile import Profile
from clients.data.deidentification.statement import NOT_INSPECTED, PixelStatement
from clients.data.dicom.elements import Element, Limits, read_part10, write_part10
from clients.data.people.pseudonyms import Pseudonyms
from clients.data.phantoms import _bytes_of

KEY = Pseudonyms(b"k" * 32)


def deidentified(
    source: Dataset | bytes,
    profile: Profile | None = None,
    *,
    pixels: PixelStatement = NOT_INSPECTED,
    also: tuple[str, ...] = (),
    extra: tuple[Element, ...] = (),
) -> Deidentified:
    """Return a dataset or the bytes of a file without its patient; `extra` elements added."""
    content = source if isinstance(source, bytes) else _bytes_of(source)
    file = read_part10(content, Limits())
    file.dataset += extra
    file.index |= {element.tag: element for element in extra}
    return deidentify(file, profile or Profile(), KEY, pixels=pixels, also=also)


def cleaned(source: Dataset | bytes, profile: Profile | None = None, **how: object) -> Dataset:
    """Return the same as pydicom reads it."""
    done = deidentified(source, profile, **how)  # type: ignore[arg-type]
    return pydicom.dcmread(io.BytesIO(write_part10(done.file)))
