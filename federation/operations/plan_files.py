"""A protocol as a TOML file: what plans of evaluations and of outcome studies share.

Each kind of plan says what its tables mean and which coded error refuses it
(`refuse(why)`); here are the file, its limit, TOML's values and the last day.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from federation.domain.study import Study
from federation.domain.toml_text import parse_toml
from federation.errors.base import PlatformError
from federation.storage import write_new
from federation.wire.study import digest_of_study, study_as_json, study_from_json
from federation.wording import Text

LARGEST_BYTES = 2**18

_UNREADABLE = Text(en="the file cannot be read", zh="無法讀取檔案")
_NOT_TOML = Text(en="the file is not TOML", zh="檔案不是 TOML 格式")
_OVER = Text(en="its last day has passed", zh="截止日已過")
_THERE = Text(en="there is a file of that name", zh="已有同名檔案")

Refuse = Callable[[Text], PlatformError]


def write_file(path: Path, text: str, refuse: Refuse) -> None:
    """Write a plan; a file that is there stays as it is.

    Raises
    ------
    PlatformError
        As `refuse` says, if there is one already.
    DiskFullError, OSError
        If it cannot be written.
    """
    try:
        write_new(path, text.encode(), mode=0o644)
    except FileExistsError as error:
        raise refuse(_THERE) from error


def read_file(path: Path, refuse: Refuse) -> bytes:
    """Return the bytes of a plan, one more than `tables_of` takes at most."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise refuse(_UNREADABLE) from error


def tables_of(content: bytes, refuse: Refuse) -> dict[str, object]:
    """Return the tables in the bytes of a plan; refuse more bytes than the limit, or no TOML."""
    if len(content) > LARGEST_BYTES:
        raise refuse(_UNREADABLE)
    try:
        return parse_toml(content)
    except ValueError as error:
        raise refuse(_NOT_TOML) from error


def check_open(study: Study, refuse: Refuse, *, now: datetime) -> None:
    """Refuse a study whose last day has passed."""
    if datetime.fromisoformat(study.expires) <= now:
        raise refuse(_OVER)


def checked(study: Study) -> Study:
    """Return a study with its digest, held against everything that a travelling one must be."""
    return study_from_json(study_as_json(replace(study, digest=digest_of_study(study))))


def toml_value(value: object) -> str:
    """Return a value of a plan as TOML: text in one line, numbers, lists and small tables."""
    if isinstance(value, list):
        return f"[{', '.join(toml_value(one) for one in value)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {toml_value(one)}' for name, one in value.items())} }}"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
