"""How every command speaks: words for people, JSON for machines, one exit code.

`say` prints a `Text` in the user's language; `emit` prints a record as one JSON
line; `fail` prints an error the way the JSON contract or a person wants it.
"""

import json
import sys
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from federation import settings
from federation.errors import PlatformError
from federation.errors.core import FileMissingError
from federation.wording import Text


def help_text(en: str, zh: str) -> str:
    """Return an option's help in the user's language."""
    return Text(en=en, zh=zh).say(settings.language())


Json = Annotated[bool, typer.Option("--json", help=help_text("JSON for machines", "JSON 輸出"))]
Events = Annotated[
    bool,
    typer.Option(
        "--events",
        help=help_text("one JSON line per event, for programs", "每個事件一行 JSON,供程式使用"),
    ),
]
Detach = Annotated[bool, typer.Option("--detach", help=help_text("do not follow it", "不追蹤進度"))]
AtQuorum = Annotated[
    bool,
    typer.Option(
        help=help_text(
            "start once the quorum approved; else wait for every site",
            "達到最低核准數即開始;否則等待所有站點",
        )
    ),
]

LARGEST_FILE = 512 * 2**20

NEXT = Text(en="What to do: {next_step}", zh="處理方式:{next_step}")
MORE = Text(en="More: {docs}  (trifed explain {code})", zh="說明:{docs}(trifed explain {code})")


def t(text: Text, **values: object) -> str:
    """Return `text` in the user's language."""
    return text.say(settings.language(), **values)


def say(text: Text, **values: object) -> None:
    """Print one sentence to the user."""
    typer.echo(t(text, **values))


def emit(record: object) -> None:
    """Print a record as one line of JSON."""
    typer.echo(json.dumps(plain(record), ensure_ascii=False))


def fail(error: PlatformError, *, as_json: bool) -> None:
    """Print an error to stderr: what happened, what to do, where its page is."""
    language = settings.language()
    if as_json:
        typer.echo(json.dumps({"error": error.as_json(language)}, ensure_ascii=False), err=True)
        return
    red = typer.colors.RED if sys.stderr.isatty() else None
    typer.secho(f"[{error.code}] {error.say_what(language)}", err=True, fg=red)
    typer.echo(t(NEXT, next_step=error.say_next_step(language)), err=True)
    typer.echo(t(MORE, docs=error.docs, code=error.code), err=True)


def read_file(path: Path) -> bytes:
    """Return the bytes of a file named on the command line.

    Raises
    ------
    FileMissingError
        If it cannot be read, or has more than 512 MiB; what reads the bytes has limits of
        its own, below that.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise FileMissingError(file=path.name, why=why) from error
    if len(content) > LARGEST_FILE:
        raise FileMissingError(file=path.name, why="more than 512 MiB")
    return content


def plain(value: Any) -> Any:
    """Return a value as plain JSON: dataclasses as objects, enums and paths as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (Path, datetime)):
        return str(value)
    return value
