"""The version's dossier for the TFDA: opened, with all evidence that there is, judged by the pack.

It is far from complete, and says so: which requirements are met, and what is missing for
each of the others, is computed by the register and shown by `trifed dossier status`.
"""

from dataclasses import dataclass

from federation.commands.evidence_rehearsal.people import OWNER
from federation.operations import dossier
from federation.operations.embedded_registry import RecordDesk

DOSSIER = "pneumonia-tfda-demo"
DEVICE = dossier.Device("CADx", shows_probability=True)
DEVICE_ID = "DEMO (no device)"


@dataclass(frozen=True, slots=True)
class Opened:
    """How far the dossier is."""

    id: str
    met: int
    applicable: int
    items: int

    def as_json(self) -> dict[str, object]:
        """Return the dossier for machines."""
        return {
            "id": self.id,
            "completeness": {"met": self.met, "applicable": self.applicable},
            "items": self.items,
        }


def open_with_evidence(desk: RecordDesk, entry: str) -> Opened:
    """Open the dossier of a version and name every record that counts as its evidence.

    Raises
    ------
    PlatformError
        What the register refused with.
    """
    dossier.open_dossier(
        desk, DOSSIER, entry, device=DEVICE, device_id=DEVICE_ID, actor=OWNER, target="TFDA"
    )
    attached = dossier.attach_all(desk, DOSSIER, actor=OWNER)
    found = dossier.status(desk, DOSSIER).as_json()
    return Opened(
        DOSSIER, int(str(found["met"])), int(str(found["applicable"])), len(attached.items)
    )
