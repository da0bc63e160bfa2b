"""Read one file after another in a process of its own, under limits.

`python -m clients.data.intake.worker` takes JSON lines on stdin: first the set-up (key,
options, rules, staging folder), then one `{"path": …, "words": […], "stamp": …}` a file,
the words being the parts of its path; it answers each with one JSON line. Untrusted
bytes are parsed, screened, searched for text, de-identified and decoded only
here, so a crash, a bomb or an endless loop costs one file. The cleaned file waits
in the staging folder until the parent has its row.
"""

import base64
import hashlib
import json
import os
import resource
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from clients.data.deidentification.deidentify import (
    Deidentified,
    deidentify,
    frames_of,
    patient_source,
    source_identity,
)
from clients.data.deidentification.profile import Option, Profile
from clients.data.deidentification.statement import (
    INSPECTED_CLEAN,
    NOT_INSPECTED,
    PixelStatement,
    blanked,
)
from clients.data.dicom.elements import Limits, Part10, read_part10, write_parts
from clients.data.dicom.pixels import Samples, decode, pixel_digest
from clients.data.intake.fingerprints import Stamp, opened, stamp_of
from clients.data.intake.rules import IntakeRules
from clients.data.intake.screening import BURNED_IN, check_screening
from clients.data.people.pseudonyms import Pseudonyms
from clients.data.pixeltext.blank import cleared
from clients.data.pixeltext.detect import Detector
from clients.data.pixeltext.policy import PixelText
from federation.errors.base import PlatformError
from federation.errors.data import (
    BurnedInTextError,
    CutFileError,
    PixelsUndecodableError,
    TooManyElementsError,
    UnreadableElementError,
)
from federation.errors.pixeltext import PixelTextError


def main() -> None:
    """Serve until stdin ends."""
    answers = _own_stdout()
    setup = json.loads(sys.stdin.readline())
    _limit(int(setup["memory_bytes"]))
    reader = _Reader(setup)
    _answer(answers, "ready")
    for line in sys.stdin:
        asked = json.loads(line)
        stamp = tuple(asked["stamp"]) if asked["stamp"] else None
        _answer(answers, reader.read(Path(asked["path"]), words=asked["words"], stamp=stamp))


def _own_stdout() -> TextIO:
    """Return the way to the parent; what a decoder prints goes nowhere from now on."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return answers


def _answer(answers: TextIO, value: object) -> None:
    """Write one JSON line."""
    answers.write(json.dumps(value) + "\n")
    answers.flush()


STUDY_DATE = 0x00080020


class _Reader:
    def __init__(self, setup: dict[str, Any]) -> None:
        self.pseudonyms = Pseudonyms(base64.b64decode(setup["key"]))
        self.profile = Profile(frozenset(Option[name] for name in setup["options"]))
        self.staging = Path(setup["staging"])
        self.staged = 0
        self.detector: Detector | None = None
        self.rules = IntakeRules(
            modalities=tuple(setup["modalities"]),
            body_parts=tuple(setup["body_parts"]),
            pixel_text=PixelText(setup["pixel_text"]),
            limits=Limits(**setup["limits"]),
        )

    def read(
        self, path: Path, *, words: Sequence[str], stamp: tuple[int, ...] | None
    ) -> dict[str, object]:
        """Return what became of one file: its facts, or the code that stopped it.

        A file that is no longer what was fingerprinted under `stamp` is answered with
        ``changed``: nothing is known of it.
        """
        state = "received"
        try:
            content, found = self._content(path)
            if stamp is not None and found != stamp:
                return {"state": state, "code": CutFileError.code, "changed": True}
            file = read_part10(content, self.rules.limits)
            check_screening(file, self.rules)
            source = source_identity(file)
            samples = decode(file)
            pixels = pixel_digest(samples)
            file, stated = self._without_text(file, samples)
            state = "screened"
            clean = deidentify(file, self.profile, self.pseudonyms, pixels=stated, also=words)
            facts = {**facts_of(clean.file), "study_year": year_of(file.text(STUDY_DATE))}
            return self._stage(clean, source=source, pixels=pixels, facts=facts)
        except PlatformError as error:
            return {"state": state, "code": error.code}
        except (ValueError, LookupError, TypeError, struct.error, RecursionError):
            return {"state": state, "code": UnreadableElementError.code}
        except MemoryError:
            return {"state": state, "code": TooManyElementsError.code}
        except OSError:
            return {"state": state, "code": CutFileError.code}

    def _without_text(self, file: Part10, samples: Samples) -> tuple[Part10, PixelStatement]:
        """Return the file as the policy wants it and what its pixels were searched for.

        Raises
        ------
        PixelTextError
            If there is text and the rules keep such files out.
        BurnedInTextError
            If the file declares text that is not found.
        PixelTextUncheckedError
            If its pixels cannot be inspected, or their text not blanked.
        """
        if self.rules.pixel_text is PixelText.DECLARED:
            return file, NOT_INSPECTED
        if self.detector is None:
            self.detector = Detector()
        if self.rules.pixel_text is PixelText.QUARANTINE:
            if self.detector.find(samples, file=file):
                raise PixelTextError()
            return file, INSPECTED_CLEAN
        done = cleared(file, samples, self.detector)
        if done is not None:
            return done.file, blanked(done.areas)
        if file.text(BURNED_IN) == "YES":
            raise BurnedInTextError()  # the file knows of text that was not found
        return file, INSPECTED_CLEAN

    def _content(self, path: Path) -> tuple[bytes, Stamp]:
        """Return a file's bytes, and its stamp after they were read."""
        limits = self.rules.limits
        with opened(path) as descriptor, open(descriptor, "rb", closefd=False) as file:
            size, _, _ = stamp_of(descriptor)
            if size > limits.file_bytes:
                raise TooManyElementsError(
                    elements=limits.elements, depth=limits.depth, megabytes=limits.file_bytes >> 20
                )
            return file.read(size + 1), stamp_of(descriptor)

    def _stage(
        self, clean: Deidentified, *, source: str, pixels: bytes, facts: dict[str, object]
    ) -> dict[str, object]:
        parts = write_parts(clean.file)
        if sum(map(len, parts)) > self.rules.limits.file_bytes:
            raise PixelsUndecodableError()
        self.staged += 1
        staged = self.staging / f"{os.getpid()}-{self.staged}.part"
        try:
            sha256 = _write(staged, parts)
        except OSError as error:  # the node's own disk, not the file: the parent stops
            return {"state": "screened", "disk": error.strerror or "write failed"}
        return {
            "state": "de-identified",
            "staged": staged.name,
            "sha256": sha256,
            "patient": clean.patient,
            "patient_any_issuer": self.pseudonyms.patient(patient_source(source.split("\x1f")[0])),
            "study": clean.study,
            "series": clean.series,
            "instance": clean.instance,
            "pixels": self.pseudonyms.pixels(pixels),
            "report": clean.report.as_json(),
            "facts": facts,
        }


def _write(path: Path, parts: Sequence[bytes | bytearray]) -> str:
    """Write a file so that it is on the disk; return the SHA-256 of its content."""
    digest = hashlib.sha256()
    with path.open("wb") as out:
        for part in parts:
            out.write(part)
            digest.update(part)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def facts_of(file: Part10) -> dict[str, object]:
    """Return what the catalogue counts by, from a file that has been cleaned."""
    return {
        "modality": file.text(0x00080060),
        "body_part": file.text(0x00180015),
        "manufacturer": _utf8(file, 0x00080070),
        "model": _utf8(file, 0x00081090),
        "sex": file.text(0x00100040),
        "age": file.text(0x00101010),
        "view": file.text(0x00185101),
        "laterality": file.text(0x00200062) or file.text(0x00200060),
        "study_date": file.text(STUDY_DATE),
        "rows": file.number(0x00280010, 0),
        "columns": file.number(0x00280011, 0),
        "frames": frames_of(file),
        "photometric": file.text(0x00280004),
        "sop_class": file.text(0x00080016),
        "number": file.text(0x00200013),
    }


def year_of(date: str) -> int | None:
    """Return the calendar year of a DICOM date, None where there is none."""
    year = date[:4]
    return int(year) if len(date) >= 8 and year.isdecimal() and year.isascii() else None


def _utf8(file: Part10, tag: int) -> str:
    element = file.index.get(tag)
    return "" if element is None else element.value.decode("utf-8", "replace").strip(" \0")


def _limit(memory_bytes: int) -> None:
    """Bound the address space and forbid core files; leave the rest to the parent's clock."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
