"""Rotate the pseudonym keys: every stored name becomes HMAC(new key, old name).

Nobody's identity is needed, the same person stays one person, and a file that is
given again is known again, because new names go through all keys as well
(`pseudonyms.Names`). The way, resumable at every step, under the intake's lock:

1. a new key is written beside the old ones (``keys/pseudonym.next``);
2. every stored image is written again under its new names into ``dicom.next``;
3. the switch: ``keys/rotation`` forbids every other reader, then the catalogue,
   the opt-out register, the lineage book, the memory of what was fetched, the store
and the key file follow.

Killed in 1 or 2 nothing has changed for anybody; killed in 3 the next call of
`rotate` completes it. Dates stay shifted as they were: the oldest key decides.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from clients.data.dicom.elements import Element, Limits, Part10, read_part10, write_part10
from clients.data.layout import CACHE, KEY_FILE, LOCK, STORE, stored_path
from clients.data.people.holdings import HeldImage, open_holdings
from clients.data.people.keys import (
    KEY_BYTES,
    SWITCH,
    MemoryKey,
    create_ring,
    new_key,
    read_ring,
)
from clients.data.people.lineage import Lineage
from clients.data.people.locks import locked
from clients.data.people.pseudonyms import Names
from clients.data.people.register import Register
from clients.data.people.representativeness import rename_snapshot
from clients.data.ways_in.transfers import rename_transfers
from federation.errors.data import StoredImageError
from federation.storage import write_atomic

NEXT_KEY = "pseudonym.next"
NEXT_STORE = f"{STORE}.next"
OLD_STORE = f"{STORE}.old"
OWN_ROOT = "2.25."
META_LENGTH = 0x00020000
"""Written anew with every file."""
MEDIA_STORAGE_INSTANCE = 0x00020003
PATIENT_ID = 0x00100020
LARGEST_FILE = 1 << 40
"""Stored files are our own; what the intake let in is not refused here."""

Told = Callable[[int, int], None]
"""Called with images written and images in all."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did: the name of the new key, how many keys there are, images rewritten."""

    key_id: str
    keys: int
    images: int


def rotate(data: Path, *, now: datetime, told: Told | None = None) -> Rotation:
    """Bring a new key into use, or complete a rotation that was interrupted.

    Nothing may train meanwhile: see that no study is open here first.

    Raises
    ------
    IntakeBusyError
        If an intake is running.
    StoredImageError
        If stored images are missing or changed; nothing was switched then.
    """
    with locked(data / LOCK):
        work = _Rotation(data, told or (lambda done, total: None))
        images = 0
        if not work.switch.exists():
            images = work.prepare()
            write_atomic(work.switch, b"")
        return work.complete(now=now, images=images)


def is_switching(data: Path) -> bool:
    """Say whether a rotation was interrupted while it switched, and must be completed."""
    return (data / KEY_FILE).with_name(SWITCH).exists()


class _Rotation:
    def __init__(self, data: Path, told: Told) -> None:
        self.data = data
        self.told = told
        self.key_file = data / KEY_FILE
        self.next_key = self.key_file.with_name(NEXT_KEY)
        self.switch = self.key_file.with_name(SWITCH)
        if not self.key_file.exists():
            create_ring(self.key_file)
        ring = read_ring(self.key_file, switching=True)
        if not self.next_key.exists() and not self.switch.exists():
            write_atomic(self.next_key, ring + new_key())
        after = self.next_key if self.next_key.exists() else self.key_file
        self.ring = read_ring(after, switching=True)
        self.version = len(self.ring) // KEY_BYTES
        self.key = MemoryKey(self.ring[-KEY_BYTES:])
        self.step = Names([self.key])

    def prepare(self) -> int:
        """Write every image under its new names beside the old ones; return how many."""
        with open_holdings(self.data) as holdings:
            images = list(holdings.images())
        wanted = {self._next_path(image.instance) for image in images}
        for left in (self.data / NEXT_STORE).glob("*/*"):
            if left not in wanted:  # of an image that was purged since
                left.unlink()
        broken = 0
        for done, image in enumerate(images, 1):
            broken += not self._write(image)
            self.told(done, len(images))
        if broken:
            raise StoredImageError(count=broken)
        return len(images)

    def complete(self, *, now: datetime, images: int) -> Rotation:
        """Switch everything to the new names; each step may be done twice."""
        if self.next_key.exists():
            self._rename_catalogue()
            Register(self.data).rename(
                self.step.patient, keys=self.version, key=self.key.id, now=now
            )
            Lineage(self.data).rename(self.step.patient, keys=self.version)
            rename_snapshot(self.data, self.step.patient, keys=self.version)
            rename_transfers(self.data, self._content, keys=self.version)
            self._swap_stores()
            write_atomic(self.key_file, self.ring)
            for folder in (OLD_STORE, CACHE):
                shutil.rmtree(self.data / folder, ignore_errors=True)
            self.next_key.unlink()
        self.switch.unlink()
        return Rotation(key_id=self.key.id, keys=self.version, images=images)

    def _write(self, image: HeldImage) -> bool:
        """Write one image under its new names; say whether the old one was as admitted."""
        target = self._next_path(image.instance)
        if target.exists():
            return True
        try:
            content = stored_path(self.data, image.instance).read_bytes()
        except OSError:
            return False
        if hashlib.sha256(content).hexdigest() != image.sha256:
            return False
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(target, renamed_file(content, self.step))
        return True

    def _rename_catalogue(self) -> None:
        with open_holdings(self.data) as holdings:
            if holdings.key_version() == self.version:
                return
            contents = {}
            for image in holdings.images():
                with self._next_path(image.instance).open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                contents[self.step.uid(image.instance)] = digest
            holdings.rename(self._steps(), contents=contents, version=self.version)

    def _steps(self) -> dict[str, Callable[[str], str]]:
        """Return how the values of each named column go on; columns not named stay."""
        step = self.step
        return {
            **dict.fromkeys(("patient", "patient_any_issuer"), step.patient),
            **dict.fromkeys(("study", "series", "instance"), step.uid),
            "content": self._content,
            "pixels": lambda value: step.pixels(bytes.fromhex(value)),
        }

    def _content(self, value: str) -> str:
        return self.step.content(bytes.fromhex(value))

    def _swap_stores(self) -> None:
        store, after, old = (self.data / name for name in (STORE, NEXT_STORE, OLD_STORE))
        if not after.exists():
            return
        if store.exists() and not old.exists():
            store.rename(old)
        after.rename(store)

    def _next_path(self, instance: str) -> Path:
        path = stored_path(self.data, self.step.uid(instance))
        return self.data / NEXT_STORE / path.relative_to(self.data / STORE)


def renamed_file(content: bytes, step: Names) -> bytes:
    """Return a stored file with its patient and every UID of ours renamed, nothing else."""
    file = read_part10(content, Limits(file_bytes=LARGEST_FILE))
    patient = file.text(PATIENT_ID)
    return write_part10(
        Part10(
            meta=[
                _renamed(one, patient, step) if one.tag == MEDIA_STORAGE_INSTANCE else one
                for one in file.meta
                if one.tag != META_LENGTH
            ],
            dataset=[_renamed(one, patient, step) for one in file.dataset],
            transfer_syntax=file.transfer_syntax,
            encoding=file.encoding,
        )
    )


def _renamed(element: Element, patient: str, step: Names) -> Element:
    if element.items is not None:
        items = [[_renamed(one, patient, step) for one in item] for item in element.items]
        return Element(element.tag, element.vr, items=items)
    if element.vr == "UI":
        parts = (part.strip(" \0") for part in element.text().split("\\"))
        names = [step.uid(part) if part.startswith(OWN_ROOT) else part for part in parts]
        return Element(element.tag, element.vr, "\\".join(names).encode())
    if patient and element.vr in ("LO", "PN") and element.text() == patient:
        return Element(element.tag, element.vr, step.patient(patient).encode())
    return element
