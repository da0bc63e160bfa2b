"""Write a log line: for people, or one JSON object a line for machines.

    {"time": "2026-10-01T02:03:04.005Z", "level": "WARNING", "logger": "clients.control",
     "code": "TF237", "study": "cxr-2026", "run": "cxr-2026.1", "round": 3, "kind": "train",
     "site": "north", "what": "The centre cannot be reached ..."}

Only these keys exist; code and context stand there when there are any. What an
unforeseen error says of itself is left out, for it may hold anything, a patient's
name too: its kind and the places in the code are written instead. A line is a
line: whatever came from another side cannot begin a new one.
"""

import json
import logging
import re
import sys
import threading
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from federation.errors.base import PlatformError
from federation.observability.context import current
from federation.observability.settings import LogFormat

LONGEST = 4000
_CODE = re.compile(r"\[(TF[1-9][0-9]{2})\] ?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MOST_PLACES = 24

log = logging.getLogger(__name__)


def formatter_of(form: LogFormat) -> logging.Formatter:
    """Return what writes the lines of a format."""
    return _Json() if form is LogFormat.JSON else _Text()


def tell_defects() -> None:
    """Log what ends this process or a thread of it unforeseen, without its words.

    For processes whose output is a log file: Python would write the words there.
    """
    sys.excepthook = _tell
    threading.excepthook = lambda found: _tell(found.exc_type, found.exc_value, found.exc_traceback)


class _Text(logging.Formatter):
    """`2026-10-01 10:03:04,005 WARNING clients.control [TF237] ... (study=cxr round=3)`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        fields = current().fields()
        where = " ".join(f"{name}={value}" for name, value in fields.items())
        line = f"{self.formatTime(record)} {record.levelname} {record.name} {_what(record)}"
        return f"{line} ({where})" if where else line


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        what = _what(record)
        found = _CODE.match(what)
        line: dict[str, object] = {
            "time": _instant(record.created),
            "level": record.levelname,
            "logger": record.name,
            **({"code": found[1]} if found else {}),
            **current().fields(),
            "what": what[found.end() :] if found else what,
        }
        return json.dumps(line, ensure_ascii=False)


def _what(record: logging.LogRecord) -> str:
    """Return a record's words on one line; of an exception its kind and places alone."""
    words = record.getMessage()
    if record.exc_info and record.exc_info[0] is not None:
        words += f": {record.exc_info[0].__name__}{_places(record.exc_info[2])}"
    return _CONTROL.sub(_shown, words)[:LONGEST]


def _shown(found: re.Match[str]) -> str:
    return " | " if found[0] == "\n" else f"\\x{ord(found[0]):02x}"


def _places(trace: TracebackType | None) -> str:
    """Return where an exception passed, the innermost last: module names and lines of code."""
    places = [
        f"{frame.f_globals.get('__name__', '?')}:{line}" for frame, line in traceback.walk_tb(trace)
    ]
    return f" at {' > '.join(places[-_MOST_PLACES:])}" if places else ""


def _instant(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _tell(kind: Any, error: Any, trace: TracebackType | None) -> None:
    if isinstance(error, PlatformError):
        log.critical("[%s] %s", error.code, error.say())
    elif not issubclass(kind, (KeyboardInterrupt, SystemExit)):
        log.critical("a defect", exc_info=(kind, error, trace))
