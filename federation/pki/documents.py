"""The three files enrolment passes by hand: invitation, request, kit.

Each is one flat JSON object of texts with a `document` tag that names kind and
version, at most 64 KiB. `decode` takes exactly the fields of its kind, no more
and no fewer, so nothing unread is ever signed or shown. Signatures are over
`signed_bytes`: the tag, a zero byte and the JSON with sorted keys and no spaces
(RFC 8785 for texts), so a signature for one kind never fits another.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from federation.errors.enrolment import DocumentUnreadableError

LIMIT_BYTES = 64 * 1024
_TAG = "document"


def encode(fields: Mapping[str, str], *, tag: str) -> bytes:
    """Return a document as the bytes of its file."""
    return (json.dumps({_TAG: tag, **fields}, indent=1, ensure_ascii=False) + "\n").encode()


def decode(raw: bytes, *, tag: str, fields: Sequence[str]) -> dict[str, str]:
    """Return the fields of a document of the kind `tag`.

    Raises
    ------
    DocumentUnreadableError
        If it is too large, not JSON, of another kind or version, or has a field
        too many, too few, twice, or that is not a text.
    """
    kind = name_of(tag)
    if len(raw) > LIMIT_BYTES:
        raise DocumentUnreadableError(
            document=kind, why=f"{len(raw)} bytes, at most {LIMIT_BYTES} are allowed"
        )
    found = _object(raw, kind=kind)
    if found.get(_TAG) != tag:
        raise DocumentUnreadableError(document=kind, why=f"it is not a {tag}")
    return _exactly(found, fields, kind=kind)


def name_of(tag: str) -> str:
    """Return what people call the kind: the middle of its tag."""
    return tag.split("/")[1]


def _object(raw: bytes, *, kind: str) -> dict[str, object]:
    try:
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_repeats)
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # refuses lone surrogates
    except (ValueError, RecursionError) as error:
        raise DocumentUnreadableError(document=kind, why="it is not JSON") from error
    if not isinstance(found, dict):
        raise DocumentUnreadableError(document=kind, why="it is not a JSON object")
    return found


def _no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


def _exactly(found: dict[str, object], fields: Sequence[str], *, kind: str) -> dict[str, str]:
    missing = sorted({_TAG, *fields} - found.keys())
    unknown = sorted(found.keys() - {_TAG, *fields})
    if missing or unknown:
        why = f"missing fields {missing}, unknown fields {[name[:40] for name in unknown]}"
        raise DocumentUnreadableError(document=kind, why=why)
    texts = {name: value for name in fields if isinstance(value := found[name], str)}
    if len(texts) != len(fields):
        other = sorted(set(fields) - texts.keys())
        raise DocumentUnreadableError(document=kind, why=f"not a text: {other}")
    return texts


def signed_bytes(fields: Mapping[str, str], *, tag: str) -> bytes:
    """Return what signatures of this document cover."""
    body = json.dumps(dict(fields), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return tag.encode() + b"\0" + body.encode()


def to_base64(content: bytes) -> str:
    """Return bytes as one line of base64."""
    return base64.b64encode(content).decode()


def from_base64(text: str, *, document: str, field: str) -> bytes:
    """Return the bytes of a base64 field.

    Raises
    ------
    DocumentUnreadableError
        If it is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DocumentUnreadableError(document=document, why=f"{field} is not base64") from error


def instant_text(moment: datetime) -> str:
    """Return a moment in UTC, to the second: 2026-10-01T08:00:00+00:00."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def instant(text: str, *, document: str) -> datetime:
    """Return the moment `instant_text` wrote.

    Raises
    ------
    DocumentUnreadableError
        If it is not a moment with a time zone.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DocumentUnreadableError(document=document, why="a date is not a date") from error
    if moment.tzinfo is None:
        raise DocumentUnreadableError(document=document, why="a date has no time zone")
    return moment.astimezone(UTC)
