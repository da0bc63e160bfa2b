"""Keep the opt-out register as versions: who is on it now, and how it came to be.

``data/optout/versions.jsonl`` has one line a version, each chained to the one
before by its digest; the last line names the content of ``data/optout/<hex>.csv``,
the keyed pseudonyms in force. The list is written before the line that names it,
so a crash leaves the old version whole. The sources are never kept. Beside the keys,
``keys/optout.mark`` says how far the register had come and under which key, so one
that was deleted, or put back from an old copy, is noticed. A home with the single
``optout.csv`` of earlier versions is read as it is and becomes version 1 with its
first import.
"""

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import Enum
from pathlib import Path

from clients.data.layout import KEY_FILE
from federation.domain.ids import Sha256
from federation.errors.core import InvalidIdError
from federation.errors.data import OptOutListError
from federation.errors.people import OptOutChainError
from federation.storage import write_atomic
from federation.wording import Text

FOLDER = "optout"
CHAIN = "versions.jsonl"
LEGACY = "optout.csv"
MARK = "optout.mark"
HEADER = "pseudonym"
GENESIS = Sha256.of(b"")
_LIST = re.compile(rb"pseudonym\n(?:P[0-9a-f]{32}\n)*")


class Mode(Enum):
    """What a list says of those who are not on it."""

    ADD = "add"
    """Nothing: they stay as they were."""
    REPLACE = "replace"
    """They did not opt out, or came back: the list is the whole register."""


@dataclass(frozen=True, slots=True)
class OptOuts:
    """The opted-out pseudonyms, the content id of their list and its version number."""

    patients: frozenset[str]
    version: Sha256
    number: int = 0


@dataclass(frozen=True, slots=True)
class Version:
    """One accepted state of the register.

    `kind` is where it came from; `content` is the content id of the list of
    pseudonyms; `serial` and `issuer` (a key id) are those of a signed list.
    Counts stay inside the hospital.
    """

    number: int
    at: str
    kind: str
    mode: str
    content: str
    listed: int
    added: int
    removed: int
    serial: int | None
    issuer: str | None
    previous: str

    def as_line(self) -> bytes:
        """Return the version as the line of the chain."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @property
    def digest(self) -> Sha256:
        """Return the content id of the line."""
        return Sha256.of(self.as_line())


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the register had come: its newest version and the name of the key of its names."""

    number: int
    digest: str
    key: str


class Register:
    """The opt-out register of one data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.folder = data / FOLDER
        self._mark = data / KEY_FILE.with_name(MARK)

    def versions(self) -> tuple[Version, ...]:
        """Return every version, oldest first, the chain verified.

        Raises
        ------
        OptOutChainError
            At the first line that does not follow the one before, or if versions are
            missing that were once in force.
        """
        try:
            lines = (self.folder / CHAIN).read_bytes().splitlines()
        except FileNotFoundError:
            lines = []
        except OSError as error:
            raise OptOutListError(why=type(error).__name__) from error
        found, mark = _verified(lines), self.mark()
        if mark is not None and mark.number:
            there = found[mark.number - 1] if len(found) >= mark.number else None
            if there is None or str(there.digest) != mark.digest:
                raise OptOutChainError(why=f"version {mark.number} was in force and is missing")
        return found

    def mark(self) -> Mark | None:
        """Return how far the register had come, None when nothing was imported since marks are.

        Raises
        ------
        OptOutChainError
            If the mark cannot be read.
        """
        try:
            return Mark(**json.loads(self._mark.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise OptOutChainError(why=MARK) from error

    def current(self) -> OptOuts:
        """Return who is on the register now; nobody when nothing was ever imported.

        Raises
        ------
        OptOutListError
            If the list of a version cannot be read.
        OptOutChainError
            If a file is not what the chain says.
        """
        versions = self.versions()
        if not versions:
            return _parse(_bytes_of(self.data / LEGACY), number=0)
        last = versions[-1]
        content = _bytes_of(self.folder / _name(last.content))
        if Sha256.of(content) != last.content:
            raise OptOutChainError(why=f"the list of version {last.number}")
        return _parse(content, number=last.number)

    def accept(
        self,
        patients: frozenset[str],
        *,
        mode: Mode,
        kind: str,
        key: str,
        now: datetime,
        serial: int | None = None,
        issuer: str | None = None,
    ) -> Version:
        """Write the next version and return it; call inside `locked`.

        `key` is the name of the key that the pseudonyms were made with. A list that
        changes nothing and carries no new serial number makes no version.
        """
        before = self.current()
        self._migrate(before, now, key)
        listed = patients if mode is Mode.REPLACE else before.patients | patients
        versions = self.versions()
        if versions and listed == before.patients and serial == _serial(versions, issuer):
            return versions[-1]
        version = Version(
            number=len(versions) + 1,
            at=now.isoformat(timespec="seconds"),
            kind=kind,
            mode=mode.value,
            content=str(Sha256.of(_bytes_of_list(listed))),
            listed=len(listed),
            added=len(listed - before.patients),
            removed=len(before.patients - listed),
            serial=serial,
            issuer=issuer,
            previous=str(versions[-1].digest if versions else GENESIS),
        )
        self._write(version, listed, key)
        return version

    def rename(self, step: Callable[[str], str], *, keys: int, key: str, now: datetime) -> None:
        """Rename everybody on the register under a new key, once for each number of keys."""
        kind = f"renamed-under-{keys}-keys"
        with self.locked():
            before = self.current()
            self._migrate(before, now, key)
            versions = self.versions()
            if not versions:
                return
            if versions[-1].kind == kind:
                self._set_mark(versions[-1], key)
                return
            listed = frozenset(map(step, before.patients))
            changes = {
                "number": len(versions) + 1,
                "at": now.isoformat(timespec="seconds"),
                "kind": kind,
                "mode": Mode.REPLACE.value,
                "content": str(Sha256.of(_bytes_of_list(listed))),
                "added": 0,
                "removed": 0,
                "serial": None,
                "issuer": None,
                "previous": str(versions[-1].digest),
            }
            self._write(replace(versions[-1], **changes), listed, key)  # type: ignore[arg-type]

    def last_serial(self, issuer: str) -> int | None:
        """Return the highest serial number accepted of an issuer, None when there is none."""
        return _serial(self.versions(), issuer)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time change the register."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _migrate(self, before: OptOuts, now: datetime, key: str) -> None:
        """Make the list of an earlier version of the platform version 1."""
        if (self.folder / CHAIN).exists() or not (self.data / LEGACY).exists():
            return
        first = Version(
            number=1,
            at=now.isoformat(timespec="seconds"),
            kind="earlier-format",
            mode=Mode.REPLACE.value,
            content=str(Sha256.of(_bytes_of_list(before.patients))),
            listed=len(before.patients),
            added=len(before.patients),
            removed=0,
            serial=None,
            issuer=None,
            previous=str(GENESIS),
        )
        self._write(first, before.patients, key)
        (self.data / LEGACY).unlink()

    def _write(self, version: Version, listed: frozenset[str], key: str) -> None:
        write_atomic(self.folder / _name(version.content), _bytes_of_list(listed))
        lines = [one.as_line() for one in self.versions()]
        write_atomic(
            self.folder / CHAIN, b"".join(one + b"\n" for one in [*lines, version.as_line()])
        )
        self._set_mark(version, key)
        for path in self.folder.glob("*.csv"):
            if path.name != _name(version.content):
                path.unlink()

    def _set_mark(self, version: Version, key: str) -> None:
        self._mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark = Mark(version.number, str(version.digest), key)
        write_atomic(self._mark, json.dumps(asdict(mark)).encode())


def _serial(versions: tuple[Version, ...], issuer: str | None) -> int | None:
    found = [one.serial for one in versions if one.issuer == issuer and one.serial is not None]
    return max(found, default=None)


def _verified(lines: list[bytes]) -> tuple[Version, ...]:
    found: list[Version] = []
    for number, line in enumerate(lines, 1):
        try:
            version = Version(**json.loads(line))
            Sha256(version.content)
        except (ValueError, TypeError, InvalidIdError) as error:
            raise OptOutChainError(why=f"version {number}") from error
        head = found[-1].digest if found else GENESIS
        if (version.number, version.previous, version.as_line()) != (number, head, line):
            raise OptOutChainError(why=f"version {number}")
        found.append(version)
    return tuple(found)


def _name(content: str) -> str:
    return f"{Sha256(content).hex}.csv"


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise OptOutListError(why=type(error).__name__) from error


def _bytes_of_list(patients: frozenset[str]) -> bytes:
    return ("\n".join([HEADER, *sorted(patients)]) + "\n").encode()


def _parse(content: bytes, *, number: int) -> OptOuts:
    if content and not _LIST.fullmatch(content):
        raise OptOutListError(why=Text(en="a line is not a pseudonym", zh="有一列不是假名"))
    names = frozenset(content.decode("ascii").splitlines()[1:])
    return OptOuts(patients=names, version=Sha256.of(content), number=number)
