"""What the centre's home and a node's home have in common: whole files or none.

A home is a folder of mode 0700 with one settings file that is written last and
marks it as complete. `new_home` builds everything in a hidden folder inside it
and moves it into place only when all of it is there; it never overwrites a home
that exists.
"""

import fcntl
import os
import tempfile
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from federation.domain.toml_text import parse_toml
from federation.errors.core import InvalidValueError, UnreadableRecordError
from federation.errors.enrolment import HomeExistsError, KeyFileUnsafeError

PRIVATE = 0o600
PUBLIC = 0o644
FOLDER = 0o700
_STAGING = ".init-"

Setting = str | int | bool
Settings = Mapping[str, Mapping[str, Setting]]


def read_private(path: Path) -> bytes:
    """Return the bytes of a key file, which nobody but its owner may read.

    Raises
    ------
    KeyFileUnsafeError
        If it is missing, or group or others may read or write it.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode & 0o777
            content = stream.read()
    except OSError as error:
        raise KeyFileUnsafeError(file=path.name, why=error.strerror or "unreadable") from error
    if mode & 0o077:
        raise KeyFileUnsafeError(file=path.name, why=f"mode {mode:04o}, others may read it")
    return content


@contextmanager
def new_home(folder: Path, *, marker: str) -> Iterator[Path]:
    """Yield a hidden folder to build a home in; move it into `folder` at the end.

    If the body raises, `folder` is as it was before. Two processes that make the
    same home at once: one makes it, the other is refused. `marker` is the
    settings file; it is moved last.

    Raises
    ------
    HomeExistsError
        If `folder` holds the marker or anything else the new home would cover.
    """
    created = _make_folder(folder)
    try:
        with _locked(folder):
            _check_free(folder, [marker])
            with tempfile.TemporaryDirectory(prefix=_STAGING, dir=folder) as staging:
                yield Path(staging)
                _move_in(Path(staging), folder, marker=marker)
            folder.chmod(FOLDER)
    except BaseException:
        if created:
            with suppress(OSError):  # somebody else's home may be in it by now
                folder.rmdir()
        raise


def _make_folder(folder: Path) -> bool:
    try:
        folder.mkdir(mode=FOLDER, parents=True)
    except FileExistsError:
        if folder.is_dir():
            return False
        raise HomeExistsError(folder=folder, found="a file") from None
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _check_free(folder: Path, names: list[str]) -> None:
    taken = sorted(name for name in names if os.path.lexists(folder / name))
    if taken:
        raise HomeExistsError(folder=folder, found=", ".join(taken))


def _move_in(staging: Path, folder: Path, *, marker: str) -> None:
    names = sorted((path.name for path in staging.iterdir()), key=lambda name: name == marker)
    _check_free(folder, names)
    moved: list[str] = []
    try:
        for name in names:
            (staging / name).rename(folder / name)
            moved.append(name)
    except BaseException:
        for name in reversed(moved):
            (folder / name).rename(staging / name)
        raise


def render_settings(settings: Settings) -> bytes:
    """Return tables of plain values as TOML."""
    tables = (
        "\n".join([f"[{name}]", *(f"{key} = {_render(value)}" for key, value in table.items())])
        for name, table in settings.items()
    )
    return ("\n\n".join(tables) + "\n").encode()


def _render(value: Setting) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    escaped = "".join(_escape(letter) for letter in value)
    return f'"{escaped}"'


def _escape(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x20 or ord(letter) == 0x7F else letter


def read_settings(path: Path) -> dict[str, dict[str, object]]:
    """Return the tables of a settings file.

    Raises
    ------
    UnreadableRecordError
        If it is not TOML, or holds anything outside a table.
    """
    try:
        tables = parse_toml(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UnreadableRecordError(kind=path.name, why=str(error)) from error
    found = {name: table for name, table in tables.items() if isinstance(table, dict)}
    for name in sorted(tables.keys() - found):
        raise UnreadableRecordError(kind=path.name, why=f"{name} stands outside a table")
    return found


def other_tables(path: Path, known: Collection[str]) -> bytes:
    """Return the text of a settings file's tables that are not `known`, comments included.

    Empty if there is no file.

    Raises
    ------
    UnreadableRecordError
        As `read_settings`.
    """
    if not path.exists():
        return b""
    read_settings(path)
    kept, keeps = [""], False
    comments: list[str] = []
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    for number, line in enumerate(lines):
        if line.lstrip().startswith("[") and _is_toml(lines[:number]):
            keeps = next(iter(tomllib.loads(line))) not in known
        if keeps:
            kept += [*comments, line]
        comments = [*comments, line] if not keeps and line.lstrip().startswith("#") else []
    return "".join(f"{line}\n" for line in kept).encode() if len(kept) > 1 else b""


def _is_toml(lines: Sequence[str]) -> bool:
    try:
        tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError:
        return False
    return True


def text_setting(tables: Mapping[str, Mapping[str, object]], table: str, key: str) -> str:
    """Return one text of a settings file.

    Raises
    ------
    UnreadableRecordError
        If it is missing or not a text.
    """
    value = tables.get(table, {}).get(key)
    if not isinstance(value, str):
        raise UnreadableRecordError(kind="settings file", why=f"{table}.{key} is not a text")
    return value


def check_display_name(name: str, *, field: str) -> str:
    """Return a name people read: 1 to 64 printable characters.

    Raises
    ------
    InvalidValueError
        If it is empty, too long or holds control characters.
    """
    if not 1 <= len(name) <= 64 or not name.isprintable() or name != name.strip():
        raise InvalidValueError(
            field=field, actual=repr(name[:80]), expected="1 to 64 printable characters"
        )
    return name


def parse_address(address: str) -> tuple[str, int]:
    """Return host and port of `host:port` or `[ipv6]:port`.

    Raises
    ------
    InvalidValueError
        If it is spelled otherwise or the port is not 1 to 65535.
    """
    host, _, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    fits = port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535
    plain = bare and bare.isascii() and not any(c.isspace() or c in "/@[]\"'" for c in bare)
    if not fits or not plain or (":" in bare) != host.startswith("["):
        raise InvalidValueError(
            field="address",
            actual=repr(address[:80]),
            expected="host:port, for example centre.example:8443",
        )
    return bare, int(port)
