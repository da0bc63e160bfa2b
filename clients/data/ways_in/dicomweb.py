"""Ask a DICOMweb server: QIDO-RS to search, WADO-RS to retrieve (PS3.18 10.6 and 10.4).

`WebArchive(web, inbox)` is an `Archive`. Answers are read as they come and within
limits; an object goes to disk piece by piece. TLS is verified, redirects are not
followed (a token must not travel), a server that is busy is asked again a few times,
one that trickles is hung up on. Answers are asked for and taken uncompressed only.
"""

import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from clients.data.ways_in.archive import Instances, Query, Received, Series, count_in, is_uid
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
from federation.errors.data import IntakeDiskError
from federation.errors.machine import DiskFullError
from federation.errors.sources import DicomwebAnswerError, NotAnObjectError, ObjectTooLargeError
from federation.wording import Text

ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
JSON = "application/dicom+json"
PAGE = 500
MOST_ANSWERS = 1_000_000
ANSWER_BYTES = 64 * 1024 * 1024
ANSWER_PARTS = 4_000_000
"""Objects and lists in one answer; each takes a hundred bytes or more of memory."""
LEAST_RATE = 1024
"""Bytes a second, on the mean, below which a server counts as gone."""
LOOK_S = 1.0
NAMELESS = Text(en="it lists something without a UID", zh="所列項目缺少 UID")
SLOW = Text(en="it answered too slowly", zh="回應過慢")
TRIES = 3
AGAIN_S = 1.0
MOST_FAILURES = 5
"""Failed requests after which the rest of a series is left for the next time."""
BUSY = frozenset({429, 500, 502, 503, 504})
STUDY, SERIES, INSTANCE, CLASS = "0020000D", "0020000E", "00080018", "00080016"
MODALITY, BODY_PART, DAY, PATIENT = "00080060", "00180015", "00080020", "00100020"
SERIES_SIZE = "00201209"
Keys = list[tuple[str, str | int | float | bool | None]]


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
        """Raise `DicomwebAnswerError` if its address is none."""
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log URLs with Patient IDs
        self._web, self._inbox = web, inbox
        self._connection: socket.socket | None = None
        token = {} if web.token is None else {"Authorization": f"Bearer {web.token}"}
        try:
            self._client = httpx.Client(
                base_url=web.url.rstrip("/") + "/",
                headers={"Accept": JSON, "Accept-Encoding": "identity", **token},
                verify=web.ca or True,
                timeout=httpx.Timeout(web.silence_s, connect=web.connect_s),
                limits=httpx.Limits(max_connections=1),
                follow_redirects=False,
                trust_env=False,
            )
        except httpx.InvalidURL as error:
            raise self._unusable(Text(en="its url is none", zh="網址無效")) from error

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
        """Fetch the series whole; what did not come, or only some of it, one by one."""
        place, left = _place(series), set(wanted)

        def told(uid: str) -> None:
            left.discard(uid)
            received(uid)

        failed = [self._fetched(place, told)] if whole else []
        for uid in sorted(left):
            if sum(error is not None for error in failed) >= MOST_FAILURES:
                break
            if uid in left:
                failed.append(self._fetched(f"{place}/instances/{uid}", told))
        problems = [error for error in failed if error is not None]
        if problems and left:
            raise problems[0]

    def _fetched(self, path: str, received: Received) -> PlatformError | None:
        """Fetch what is at a path; return what went wrong, which stops no other object."""
        try:
            with self._open(path, [], accept=ACCEPT) as answer:
                return self._keep(answer, received)
        except (DiskFullError, IntakeDiskError):
            raise
        except PlatformError as error:
            return error

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
            yield Series(
                study=study,
                uid=self._uid(one, SERIES),
                modality=_text(one, MODALITY),
                body_part=_text(one, BODY_PART).upper(),
                instances=count_in(_text(one, SERIES_SIZE)),
            )

    def _search(self, path: str, keys: Keys) -> Iterator[dict[str, Any]]:
        """Yield the answers of a search, page by page; a server may ignore paging."""
        seen: set[str] = set()
        for offset in range(0, MOST_ANSWERS, PAGE):
            page = self._json(path, [*keys, ("limit", str(PAGE)), ("offset", str(offset))])
            fresh = 0
            for one in page:
                name = _text(one, INSTANCE) or _text(one, SERIES) or _text(one, STUDY)
                if not name:
                    raise self._unusable(NAMELESS)
                if name not in seen:
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
            for chunk in self._bytes(answer):
                content += chunk
                if len(content) > ANSWER_BYTES:
                    raise self._unusable(Text(en="its answer is too long", zh="回應過長"))
        if content.count(b"{") + content.count(b"[") > ANSWER_PARTS:
            raise self._unusable(Text(en="its answer is too long", zh="回應過長"))
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self._unusable(Text(en="its answer is no JSON", zh="回應不是 JSON")) from error
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise self._unusable(
                Text(en="its answer is no list of DICOM objects", zh="回應不是 DICOM 物件清單")
            )
        return found

    @contextmanager
    def _open(self, path: str, keys: Keys, *, accept: str) -> Iterator[httpx.Response]:
        """Open an answer; a busy server is asked again, a connection that breaks later is not."""
        watch = _Watch(self._web.silence_s, self._hang_up)
        try:
            with watch:
                answer = self._send(path, keys, accept)
                answer.extensions["watch"] = watch
                try:
                    yield answer
                finally:
                    answer.close()
        except (httpx.HTTPError, UnicodeError) as error:
            slow = watch.has_ended or isinstance(error, httpx.TimeoutException)
            raise self._unusable(SLOW if slow else _in_words(error)) from error

    def _send(self, path: str, keys: Keys, accept: str) -> httpx.Response:
        request = self._client.build_request(
            "GET", path, params=keys, headers={"Accept": accept}, extensions={"trace": self._saw}
        )
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

    def _saw(self, event: str, info: dict[str, Any]) -> None:
        """Keep hold of the connection, so that it can be closed while somebody reads from it."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._connection = info["return_value"].get_extra_info("socket")

    def _hang_up(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def _bytes(self, answer: httpx.Response) -> Iterator[bytes]:
        """Yield the body as it comes, counted; a compressed one is not unpacked."""
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise self._unusable(Text(en="its answer is compressed", zh="回應經過壓縮"))
        watch: _Watch = answer.extensions["watch"]
        for chunk in answer.iter_raw():
            watch.got += len(chunk)
            yield chunk
        if watch.has_ended:  # a body without a length ends well when it is cut off
            raise self._unusable(SLOW)

    def _keep(self, answer: httpx.Response, received: Received) -> PlatformError | None:
        """Put each part of a multipart answer into the inbox; return what was wrong with one."""
        parts = Multipart(boundary_of(answer.headers.get("Content-Type", "")), self._web.limits)
        part: _Part | None = None
        problem: PlatformError | None = None
        try:
            for chunk in self._bytes(answer):
                for found in parts.feed(chunk):
                    if isinstance(found, PartBegins):
                        part = _Part(self._inbox.receive())
                    elif isinstance(found, PartBytes) and part is not None:
                        part.write(found.content)
                    elif isinstance(found, PartEnds) and part is not None:
                        problem = part.keep(received) or problem
            parts.close()
        finally:
            if part is not None:
                part.incoming.discard()
        return problem

    def _uid(self, found: dict[str, Any], tag: str) -> str:
        """Return a UID, which becomes part of a path: anything else is refused."""
        uid = _text(found, tag)
        if not is_uid(uid):
            raise self._unusable(NAMELESS)
        return uid

    def _unusable(self, why: Text | str) -> DicomwebAnswerError:
        return DicomwebAnswerError(source=self._web.name, why=why)


@dataclass(slots=True)
class _Part:
    """One part on its way into the inbox; a bad one is read to its end and stops no other."""

    incoming: Incoming
    head: bytes = b""
    problem: PlatformError | None = None

    def write(self, content: bytes) -> None:
        if len(self.head) < HEAD_BYTES:
            self.head += content[:HEAD_BYTES]
        if self.problem is None:
            try:
                self.incoming.write(content)
            except ObjectTooLargeError as error:
                self.problem = error

    def keep(self, received: Received) -> PlatformError | None:
        """Keep a whole part and tell of it; return why it is not kept otherwise."""
        try:
            meta = file_meta(self.head)
        except NotAnObjectError as error:
            self.problem = self.problem or error
        if self.problem is not None:
            self.incoming.discard()
            return self.problem
        self.incoming.keep()
        received(meta.instance)
        return None


class _Watch:
    """Hang up on a server that answers, but so slowly that it would never end.

    A context manager around one request; count what comes in `got`. Silence is ended
    by the client itself; this ends a trickle, of headers as well.
    """

    def __init__(self, silence_s: float, hang_up: Callable[[], None]) -> None:
        self.got = 0
        self.has_ended = False
        self._grace_s, self._hang_up = 2 * silence_s, hang_up
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._over.wait(LOOK_S):
            late_s = time.monotonic() - begun - self._grace_s
            if self.got < LEAST_RATE * late_s:
                self.has_ended = True
                self._hang_up()


def _place(series: Series) -> str:
    return f"studies/{series.study}/series/{series.uid}"


def _text(found: dict[str, Any], tag: str) -> str:
    """Return the first value of an attribute in DICOM's JSON (PS3.18 F.2), or nothing."""
    attribute = found.get(tag)
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    first = values[0] if isinstance(values, list) and values else ""
    return str(first).strip() if isinstance(first, (str, int)) else ""


def _in_words(error: Exception) -> Text:
    return (
        Text(en="no connection", zh="無法連線")
        if isinstance(error, httpx.ConnectError)
        else Text(en="the connection broke", zh="連線中斷")
    )
