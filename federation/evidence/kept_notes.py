"""Read a log's signed state from the files in which others keep it, to hold the log against."""

from federation.errors.signed import CheckpointError, NotCanonicalError
from federation.evidence.canonical import parse

MAX_BYTES = 1 << 20


def note_in(content: bytes, *, origin: str) -> str:
    """Return the signed note of a log that a file keeps, unverified.

    Parameters
    ----------
    content
        A note; a witness's ``witness.json``; or a node's ``centre-heads.json``.
    origin
        The log's name, to find its note among several.

    Raises
    ------
    CheckpointError
        If the file keeps none of that log.
    """
    if len(content) > MAX_BYTES:
        raise CheckpointError(why="too large")
    if not content.lstrip().startswith(b"{"):
        return _text(content)
    try:
        value = parse(content)
    except NotCanonicalError as error:
        raise CheckpointError(why="not a file that keeps a signed note") from error
    match value:
        case {"logs": dict(logs)}:
            value = logs.get(origin)
    match value:
        case {"note": str(note)} if note:
            return note
    raise CheckpointError(why="the file keeps no state of this log")


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise CheckpointError(why="not a signed note") from error
