"""Write files that a command made: new ones only, a whole folder or nothing of a file."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from federation.errors.impact_commands import FileNotWrittenError
from federation.wording import Text

_THERE = Text(en="it is there already", zh="已存在")


def write_new(folder: Path, files: Mapping[str, bytes]) -> tuple[Path, ...]:
    """Write files into a folder, made where it is missing; none that is there is changed.

    Raises
    ------
    FileNotWrittenError
        If one of them is there already, or cannot be written.
    """
    check_new(folder, files)
    for name, content in files.items():
        _write(folder / name, name, content)
    return tuple(folder / name for name in files)


def check_new(folder: Path, names: Iterable[str]) -> None:
    """Return if none of the files is there; raises `FileNotWrittenError`."""
    for name in names:
        if (folder / name).exists():
            raise FileNotWrittenError(file=name, why=_THERE)


def _write(path: Path, name: str, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as opened:
            opened.write(content)
    except OSError as error:
        raise FileNotWrittenError(file=name, why=error.strerror or type(error).__name__) from error
