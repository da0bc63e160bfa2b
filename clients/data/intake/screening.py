"""Say whether a file may be used at all, before anything of it is kept.

Rules look only at what kind of object it is: an original image of an accepted
modality, without text that the file itself warns of. Each broken rule is a
coded error. SOP classes are a closed list: an unknown or private one is no image.
"""

from clients.data.dicom.elements import Part10
from clients.data.intake.rules import IntakeRules
from clients.data.pixeltext.policy import PixelText
from federation.errors.data import (
    BodyPartNotWantedError,
    BurnedInTextError,
    BurnedInTextLikelyError,
    ModalityNotWantedError,
    NotAnImageError,
    SecondaryCaptureError,
)
from federation.errors.deidentification import DirectoryError

SOP_CLASS, MODALITY, BURNED_IN = 0x00080016, 0x00080060, 0x00280301
BODY_PART, META_CLASS = 0x00180015, 0x00020002
DIRECTORY = "1.2.840.10008.1.3.10"
_STORAGE = "1.2.840.10008.5.1.4.1.1."

IMAGE_CLASSES = frozenset(
    _STORAGE + suffix
    for suffix in (
        *("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1"),  # CR, DX, MG, IO
        *("2", "2.1", "2.2", "4", "4.1", "4.3", "4.4"),  # CT, MR and their enhanced forms
        *("3.1", "6.1", "6.2", "6.3", "3", "6"),  # ultrasound
        *("12.1", "12.1.1", "12.2", "12.2.1", "12.3"),  # XA, XRF
        *("13.1.1", "13.1.2", "13.1.3", "13.1.4", "13.1.5"),  # 3-D X-ray, breast tomosynthesis
        *("14.1", "14.2", "20", "128", "128.1", "130"),  # OCT, NM, PET
        *("77.1.1", "77.1.2", "77.1.3", "77.1.4", "77.1.6"),  # endoscopy, microscopy, photo
        *("77.1.5.1", "77.1.5.2", "77.1.5.4"),  # ophthalmic
    )
)
SECONDARY_CAPTURE_CLASSES = frozenset(
    _STORAGE + suffix for suffix in ("7", "7.1", "7.2", "7.3", "7.4")
)
TEXT_LIKELY = frozenset({"US", "IVUS", "BDUS", "ES", "XC", "GM", "SM", "OP", "OT", "DOC"})
"""Modalities whose images usually show text: they must declare that they have none, unless
the rules let text be blanked."""

KINDS = (
    ("88.", "a report"),
    ("104.", "an encapsulated document"),
    ("9.", "a waveform"),
    ("481.", "a radiotherapy object"),
    ("11.", "a presentation state"),
    ("66.", "a segmentation or registration"),
    ("30", "a parametric map"),
)


def check_screening(file: Part10, rules: IntakeRules) -> None:
    """Raise the coded error of the first rule that the file breaks."""
    sop_class = file.text(SOP_CLASS)
    declared_class = next((e.text() for e in file.meta if e.tag == META_CLASS), "")
    if DIRECTORY in (declared_class, sop_class):  # a DICOMDIR says its class in the meta only
        raise DirectoryError()
    if sop_class in SECONDARY_CAPTURE_CLASSES:
        raise SecondaryCaptureError()
    if sop_class not in IMAGE_CLASSES:
        raise NotAnImageError(kind=_kind_of(sop_class))
    modality = file.text(MODALITY)
    if not modality or (rules.modalities and modality not in rules.modalities):
        accepted = ", ".join(rules.modalities) or "any modality, but it must be named"
        raise ModalityNotWantedError(accepted=accepted)
    if rules.body_parts and file.text(BODY_PART).upper() not in rules.body_parts:
        raise BodyPartNotWantedError(accepted=", ".join(rules.body_parts))
    declared = file.text(BURNED_IN)
    if rules.pixel_text is PixelText.BLANK:
        return  # the pixels decide
    if declared == "YES":
        raise BurnedInTextError()
    if modality in TEXT_LIKELY and declared != "NO":
        raise BurnedInTextLikelyError()


def _kind_of(sop_class: str) -> str:
    if not sop_class.startswith(_STORAGE):
        return "an object of a private or unknown class"
    suffix = sop_class.removeprefix(_STORAGE)
    return next((kind for prefix, kind in KINDS if suffix.startswith(prefix)), "another object")
