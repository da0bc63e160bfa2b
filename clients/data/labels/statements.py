"""What a document says of a patient's images, before it is known which images are here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One label's class, and which images it is about.

    `images` are groups of SOP Instance UIDs of the source, the nearest first; the
    first group with an admitted image is meant. Without a group it is the patient's
    every image.
    """

    label: str
    value: int
    images: tuple[frozenset[str], ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """What one document says.

    `patients` are the Patient IDs it is about: one, or several names of one person.
    `refers_to` are all images it names. `unmapped` counts answers without a class.
    """

    patients: tuple[str, ...]
    findings: tuple[Finding, ...]
    refers_to: frozenset[str] = frozenset()
    unmapped: int = 0
