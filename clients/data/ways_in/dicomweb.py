"""Ask a DICOMweb server: QIDO-RS to search, WADO-RS to retrieve (PS3.18 10.6 and 10.4).

`WebArchive(web, inbox)` is an `Archive`. Answers are read as they come and within
limits; an object goes to disk piece by piece. TLS is verified, redirects are not
followed (a token must not travel), a server that is busy is asked again a few times.
"""

import json
import logging
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from clients.data.ways_in.archive import Instances, Query, Received, Series
from clients.data.ways_in.inbox import Inbox, Incoming
from clients.data.ways_in.multipart import (
    Multipart,
    PartBegins,
    PartBytes,
    PartEnds,
    PartLimits,
    boundary_of,
)
from clients.data.ways_in.part10 import HEAD_BYTES, file_meta
from federation.errors.base import PlatformError
from federation.errors.machine import DiskFullError
from federation.errors.sources import DicomwebAnswerError

ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
JSON = "application/dicom+json"
PAGE = 500
MOST_ANSWERS = 1_000_000
ANSWER_BYTES = 64 * 1024 * 1024
TRIES = 3
AGAIN_S = 1.0
MOST_FAILURES = 5
"""Failed requests after which the rest of a series is left for the next time."""
BUSY = frozenset({429, 500, 502, 503, 504})
STUDY, SERIES, INSTANCE, CLASS = "0020000D", "0020000E", "00080018", "00080016"
MODALITY, BODY_PART, DAY, PATIENT = "00080060", "00180015", "00080020", "00100020"
SERIES_SIZE = "00201209"
Keys = list[tuple[str, str | int | float | bool | None]]
_UID = re.compile(r"[0-9.]{1,64}")


@dataclass(frozen=True, slots=True)
class Web:
    """A DICOMweb server as sources.toml names it. `repr` shows no token."""

    name: str
    url: str
    token: str | None = field(default=None, repr=False)
    ca: ssl.SSLContext | None = field(default=None, repr=False)
    connect_s: float = 10.0
    silence_s: float = 60.0
    limits: PartLimits = field(default_factory=PartLimits)


class WebArchive:
    """A DICOMweb server to fetch from; use it as a context manager."""

    def __init__(self, web: Web, inbox: Inbox) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log URLs with Patient IDs
        self._web, self._inbox = web, inbox
        token = {} if web.token is None else {"Authorization": f"Bearer {web.token}"}
        self._client = httpx.Client(
            base_url=web.url.rstrip("/") + "/",
            headers={"Accept": JSON, **token},
            verify=web.ca or True,
            timeout=httpx.Timeout(web.silence_s, connect=web.connect_s),
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._client.close()

    @property
    def name(self) -> str:
        """Return the name in sources.toml."""
        return self._web.name

    def probe(self) -> None:
        """Ask for one study, to see that the server answers.

        Raises
        ------
        DicomwebAnswerError
            If it does not, or not in DICOM's JSON.
        """
        self._json("studies", [("limit", "1")])

    def plan(self, query: Query) -> Iterator[Series]:
        """Yield the wanted series, study by study."""
        seen: set[str] = set()
        for study in self._studies(query):
            if study not in seen:
                seen.add(study)
                yield from (one for one in self._series(study) if query.wants(one))

    def instances(self, series: Series) -> Instances:
        """Return the instances of a series with their SOP classes."""
        found = self._search(f"{_place(series)}/instances", [])
        return {self._uid(one, INSTANCE): _text(one, CLASS) for one in found}

    def retrieve(
        self, series: Series, wanted: Instances, *, whole: bool, received: Received
    ) -> None:
        """Fetch the series whole, or its missing instances one by one."""
        place, failed = _place(series), list[PlatformError]()
        for path in [place] if whole else [f"{place}/instances/{uid}" for uid in sorted(wanted)]:
            try:
                with self._open(path, [], accept=ACCEPT) as answer:
                    self._keep(answer, received)
            except DiskFullError:
                raise
            except PlatformError as error:  # one object that cannot be had stops no other
                failed.append(error)
                if len(failed) >= MOST_FAILURES:
                    break
        if failed:
            raise failed[0]

    def _studies(self, query: Query) -> Iterator[str]:
        for patient in query.patients or ("",):
            for modality in query.wanted_modalities if query.modalities else ("",):
                keys = {
                    "PatientID": patient,
                    "StudyDate": query.days,
                    "ModalitiesInStudy": modality,
                }
                for one in self._search("studies", [(key, v) for key, v in keys.items() if v]):
                    mine = not patient or _text(one, PATIENT) == patient
                    if mine and query.wants_day(_text(one, DAY)):
                        yield self._uid(one, STUDY)

    def _series(self, study: str) -> Iterator[Series]:
        keys: Keys = [("includefield", BODY_PART), ("includefield", SERIES_SIZE)]
        for one in self._search(f"studies/{study}/series", keys):
            count = _text(one, SERIES_SIZE)
            yield Series(
                study=study,
                uid=self._uid(one, SERIES),
                modality=_text(one, MODALITY),
                body_part=_text(one, BODY_PART).upper(),
                instances=int(count) if count.isdigit() else None,
            )

    def _search(self, path: str, keys: Keys) -> Iterator[dict[str, Any]]:
        """Yield the answers of a search, page by page; a server may ignore paging."""
        seen: set[str] = set()
        for offset in range(0, MOST_ANSWERS, PAGE):
            page = self._json(path, [*keys, ("limit", str(PAGE)), ("offset", str(offset))])
            fresh = 0
            for one in page:
                name = _text(one, INSTANCE) or _text(one, SERIES) or _text(one, STUDY)
                if name and name not in seen:
                    seen.add(name)
                    fresh += 1
                    yield one
            if len(page) < PAGE or not fresh:
                return

    def _json(self, path: str, keys: Keys) -> list[dict[str, Any]]:
        content = bytearray()
        with self._open(path, keys, accept=JSON) as answer:
            if answer.status_code == httpx.codes.NO_CONTENT:
                return []
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > ANSWER_BYTES:
                    raise self._unusable("its answer is too long")
        try:
            found = json.loads(content)
        except ValueError as error:
            raise self._unusable("its answer is no JSON") from error
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise self._unusable("its answer is no list of DICOM objects")
        return found

    @contextmanager
    def _open(self, path: str, keys: Keys, *, accept: str) -> Iterator[httpx.Response]:
        """Open an answer; a busy server is asked again, a connection that breaks later is not."""
        try:
            answer = self._send(path, keys, accept)
            try:
                yield answer
            finally:
                answer.close()
        except httpx.HTTPError as error:
            raise self._unusable(_in_words(error)) from error

    def _send(self, path: str, keys: Keys, accept: str) -> httpx.Response:
        request = self._client.build_request("GET", path, params=keys, headers={"Accept": accept})
        for left in reversed(range(TRIES)):
            try:
                answer = self._client.send(request, stream=True)
            except httpx.TransportError:
                if not left:
                    raise
            else:
                if answer.is_success:
                    return answer
                answer.close()
                if answer.status_code not in BUSY or not left:
                    raise self._unusable(f"HTTP status {answer.status_code}")
            time.sleep(AGAIN_S * (TRIES - left))
        raise AssertionError("unreachable")

    def _keep(self, answer: httpx.Response, received: Received) -> None:
        """Put each part of a multipart answer into the inbox."""
        parts = Multipart(boundary_of(answer.headers.get("Content-Type", "")), self._web.limits)
        incoming: Incoming | None = None
        head = b""
        try:
            for chunk in answer.iter_bytes():
                for found in parts.feed(chunk):
                    if isinstance(found, PartBegins):
                        incoming, head = self._inbox.receive(), b""
                    elif isinstance(found, PartBytes) and incoming is not None:
                        head = head + found.content[:HEAD_BYTES] if len(head) < HEAD_BYTES else head
                        incoming.write(found.content)
                    elif isinstance(found, PartEnds) and incoming is not None:
                        meta = file_meta(head)
                        incoming.keep()
                        received(meta.instance)
            parts.close()
        finally:
            if incoming is not None:
                incoming.discard()

    def _uid(self, found: dict[str, Any], tag: str) -> str:
        """Return a UID, which becomes part of a path: anything else is refused."""
        uid = _text(found, tag)
        if not _UID.fullmatch(uid):
            raise self._unusable("it lists something without a UID")
        return uid

    def _unusable(self, why: str) -> DicomwebAnswerError:
        return DicomwebAnswerError(source=self._web.name, why=why)


def _place(series: Series) -> str:
    return f"studies/{series.study}/series/{series.uid}"


def _text(found: dict[str, Any], tag: str) -> str:
    """Return the first value of an attribute in DICOM's JSON (PS3.18 F.2), or nothing."""
    attribute = found.get(tag)
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    first = values[0] if isinstance(values, list) and values else ""
    return str(first).strip() if isinstance(first, (str, int)) else ""


def _in_words(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "it answered too slowly"
    return "no connection" if isinstance(error, httpx.ConnectError) else "the connection broke"
