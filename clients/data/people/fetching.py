"""Fetch the opt-out list of `optout.toml` by HTTPS and remember when it was last confirmed.

The server is asked with the entity tag of the last list, so an unchanged list
costs one small answer. A failure leaves the last good version in force and says
so; `max_age_hours` decides for how long that is good enough.
"""

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from clients.data.people.lists import Kind, SourceList, read_list
from clients.data.people.register import FOLDER
from clients.data.people.rules import OptOutRules, Source, trusted_issuers
from federation.errors.data import OptOutListError
from federation.errors.enrolment import KeyFileUnsafeError
from federation.errors.people import OptOutFetchError, OptOutRulesError
from federation.homes import read_private
from federation.storage import write_atomic
from federation.wording import Text

if TYPE_CHECKING:
    import httpx

STATE = "source.json"
LONGEST_TAG = 512


@dataclass(frozen=True, slots=True)
class Confirmed:
    """When the source last said what its list is, and how it named that list.

    `url` is the address with how its answer was understood (`_asked`).
    """

    at: str
    url: str
    etag: str
    modified: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the source answered; `found` is None when nothing changed since the last time."""

    found: SourceList | None
    etag: str
    modified: str
    asked: str = ""


def confirmed_at(data: Path) -> str | None:
    """Return when the register was last confirmed by its source, None when it never was.

    Raises
    ------
    OptOutListError
        If the note of it cannot be read.
    """
    last = _last(data)
    return None if last is None else last.at


def fetch(data: Path, rules: OptOutRules) -> Fetched:
    """Return the list of the source, whole and checked, or that it did not change.

    Raises
    ------
    OptOutRulesError
        If there is no source, or its files cannot be read.
    OptOutFetchError
        If the source does not answer with a list within its limits.
    OptOutSourceError, OptOutSignatureError, ConsentUnclearError, OptOutListError
        If what it answers is not a list of its kind.
    """
    if rules.source is None:
        raise OptOutRulesError(problems=Text(en="there is no [source]", zh="沒有 [source]"))
    asked = _asked(rules, rules.source)
    answer = _ask(data, rules.source, asked)
    if answer is None:
        return Fetched(None, "", "")
    content, headers = answer
    found = read_list(
        content,
        kind=rules.source.kind,
        trusted=trusted_issuers(data, rules),
        identifier_system=rules.identifier_system,
    )
    if rules.issuer and rules.source.kind is Kind.AUTO and found.kind is not Kind.SIGNED:
        raise OptOutFetchError(
            why=Text(
                en="the list is not signed, and issuers are named", zh="名單未簽署,但已指定發行者"
            )
        )
    etag, modified = (headers.get(n, "")[:LONGEST_TAG] for n in ("etag", "last-modified"))
    return Fetched(found, etag, modified, asked)


def confirm(data: Path, source: Source, fetched: Fetched, *, now: datetime) -> None:
    """Write down that the source said at `now` what its list is; call once it is taken in."""
    at, last = now.isoformat(timespec="seconds"), _last(data)
    if fetched.found is None and last is not None:
        state = Confirmed(at, last.url, last.etag, last.modified)
    else:
        state = Confirmed(at, fetched.asked, fetched.etag, fetched.modified)
    folder = data / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(folder / STATE, json.dumps(asdict(state)).encode())


def _last(data: Path) -> Confirmed | None:
    try:
        return Confirmed(**json.loads((data / FOLDER / STATE).read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise OptOutListError(why=f"{STATE}: {type(error).__name__}") from error


def _asked(rules: OptOutRules, source: Source) -> str:
    """Return the address and all that decides how its answer is understood, as one text."""
    issuers = ",".join(sorted(str(one.public_key) for one in rules.issuer))
    said = (source.url, source.kind.value, source.mode.value, rules.identifier_system or "")
    return " ".join((*said, issuers))


def _ask(data: Path, source: Source, asked: str) -> tuple[bytes, Mapping[str, str]] | None:
    """Return body and headers of the list, None when it is the one we have."""
    import httpx

    home = data.parent
    try:
        context = ssl.create_default_context(
            cafile=None if source.ca_file is None else str(home / source.ca_file)
        )
        headers = _headers(data, source, asked)
    except (OSError, UnicodeDecodeError, KeyFileUnsafeError) as error:
        raise OptOutRulesError(problems=f"[source]: {_why(error)}") from error
    try:
        with (
            httpx.Client(
                verify=context, timeout=source.timeout_s, follow_redirects=False, trust_env=False
            ) as client,
            client.stream("GET", source.url, headers=headers) as answer,
        ):
            if answer.status_code == httpx.codes.NOT_MODIFIED and _is_conditional(headers):
                return None
            if answer.status_code != httpx.codes.OK:
                raise OptOutFetchError(why=f"the server answered {answer.status_code}")
            return _body(answer, source.largest_mb << 20, source.timeout_s), answer.headers
    except httpx.HTTPError as error:
        raise OptOutFetchError(why=type(error).__name__) from error


def _headers(data: Path, source: Source, asked: str) -> dict[str, str]:
    headers = {"Accept": "application/fhir+json, application/json, text/csv, text/plain"}
    if source.token_file is not None:
        token = read_private(data.parent / source.token_file).decode("ascii").strip()
        headers["Authorization"] = f"Bearer {token}"
    last = _last(data)
    if last is not None and last.url == asked:
        if last.etag:
            headers["If-None-Match"] = last.etag
        if last.modified:
            headers["If-Modified-Since"] = last.modified
    return headers


def _is_conditional(headers: Mapping[str, str]) -> bool:
    return "If-None-Match" in headers or "If-Modified-Since" in headers


def _body(answer: "httpx.Response", most: int, timeout_s: float) -> bytes:
    """Return the whole body; a slow drip may not take longer than ten times the timeout."""
    until = time.monotonic() + 10 * timeout_s
    parts: list[bytes] = []
    size = 0
    for part in answer.iter_bytes():
        size += len(part)
        if size > most:
            raise OptOutFetchError(why=f"more than {most >> 20} MB")
        if time.monotonic() > until:
            raise OptOutFetchError(why=Text(en="it took too long", zh="等候過久"))
        parts.append(part)
    return b"".join(parts)


def _why(error: Exception) -> str:
    return error.say_what() if isinstance(error, KeyFileUnsafeError) else type(error).__name__
