"""Read one file after another in a process of its own, under limits.

`python -m clients.data.intake.worker` takes JSON lines on stdin: first the set-up (key,
options, rules, staging folder), then one `{"path": …}` a file; it answers each
with one JSON line. Untrusted bytes are parsed, screened, de-identified and
decoded only here, so a crash, a bomb or an endless loop costs one file. The
cleaned file waits in the staging folder until the parent has its row.
"""

import base64
import hashlib
import json
import os
import resource
import struct
import sys
from pathlib import Path
from typing import Any

from clients.data.deidentification.deidentify import (
    Deidentified,
    deidentify,
    frames_of,
    patient_source,
    source_identity,
)
from clients.data.deidentification.profile import Option, Profile
from clients.data.dicom.elements import Limits, Part10, read_part10, write_part10
from clients.data.dicom.pixels import decode, pixel_digest
from clients.data.intake.rules import IntakeRules
from clients.data.intake.screening import check_screening
from clients.data.people.pseudonyms import Pseudonyms
from federation.errors.base import PlatformError
from federation.errors.data import (
    CutFileError,
    PixelsUndecodableError,
    TooManyElementsError,
    UnreadableElementError,
)


def main() -> None:
    """Serve until stdin ends."""
    setup = json.loads(sys.stdin.readline())
    _limit(int(setup["memory_bytes"]))
    reader = _Reader(setup)
    answer("ready")
    for line in sys.stdin:
        answer(reader.read(Path(json.loads(line)["path"])))


def answer(value: object) -> None:
    """Write one JSON line."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


class _Reader:
    def __init__(self, setup: dict[str, Any]) -> None:
        self.pseudonyms = Pseudonyms(base64.b64decode(setup["key"]))
        self.profile = Profile(frozenset(Option[name] for name in setup["options"]))
        self.staging = Path(setup["staging"])
        self.staged = 0
        self.rules = IntakeRules(
            modalities=tuple(setup["modalities"]),
            body_parts=tuple(setup["body_parts"]),
            limits=Limits(**setup["limits"]),
        )

    def read(self, path: Path) -> dict[str, object]:
        """Return what became of one file: its facts, or the code that stopped it."""
        state = "received"
        try:
            file = read_part10(self._content(path), self.rules.limits)
            check_screening(file, self.rules)
            source = source_identity(file)
            pixels = pixel_digest(decode(file))
            state = "screened"
            clean = deidentify(file, self.profile, self.pseudonyms)
            return self._stage(clean, source=source, pixels=pixels)
        except PlatformError as error:
            return {"state": state, "code": error.code}
        except (ValueError, IndexError, struct.error, UnicodeError, RecursionError):
            return {"state": state, "code": UnreadableElementError.code}
        except MemoryError:
            return {"state": state, "code": TooManyElementsError.code}
        except OSError:
            return {"state": state, "code": CutFileError.code}

    def _content(self, path: Path) -> bytes:
        limits = self.rules.limits
        if path.stat().st_size > limits.file_bytes:
            raise TooManyElementsError(
                elements=limits.elements, depth=limits.depth, megabytes=limits.file_bytes >> 20
            )
        return path.read_bytes()

    def _stage(self, clean: Deidentified, *, source: str, pixels: bytes) -> dict[str, object]:
        content = write_part10(clean.file)
        if len(content) > self.rules.limits.file_bytes:
            raise PixelsUndecodableError()
        self.staged += 1
        staged = self.staging / f"{os.getpid()}-{self.staged}.part"
        try:
            _write(staged, content)
        except OSError as error:  # the node's own disk, not the file: the parent stops
            return {"state": "screened", "disk": error.strerror or "write failed"}
        return {
            "state": "de-identified",
            "staged": staged.name,
            "sha256": hashlib.sha256(content).hexdigest(),
            "patient": clean.patient,
            "patient_any_issuer": self.pseudonyms.patient(patient_source(source.split("\x1f")[0])),
            "study": clean.study,
            "series": clean.series,
            "instance": clean.instance,
            "pixels": self.pseudonyms.pixels(pixels),
            "report": clean.report.as_json(),
            "facts": facts_of(clean.file),
        }


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def facts_of(file: Part10) -> dict[str, object]:
    """Return what the catalogue counts by, from a file that has been cleaned."""
    return {
        "modality": file.text(0x00080060),
        "body_part": file.text(0x00180015),
        "manufacturer": _utf8(file, 0x00080070),
        "model": _utf8(file, 0x00081090),
        "sex": file.text(0x00100040),
        "age": file.text(0x00101010),
        "study_date": file.text(0x00080020),
        "rows": file.number(0x00280010, 0),
        "columns": file.number(0x00280011, 0),
        "frames": frames_of(file),
        "photometric": file.text(0x00280004),
        "sop_class": file.text(0x00080016),
        "number": file.text(0x00200013),
    }


def _utf8(file: Part10, tag: int) -> str:
    element = file.index.get(tag)
    return "" if element is None else element.value.decode("utf-8", "replace").strip(" \0")


def _limit(memory_bytes: int) -> None:
    """Bound the address space and forbid core files; leave the rest to the parent's clock."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
