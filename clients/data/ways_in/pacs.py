"""Ask a PACS: C-ECHO, C-FIND at study, series and image level, C-GET and C-MOVE (PS3.4 Annex C).

`PacsArchive(pacs, inbox)` is an `Archive`. With C-GET the objects come over the
association that asks for them, one context for each pair of SOP class and
transfer syntax, so that the PACS can send them as it holds them. With C-MOVE they come to
this node's own receiver, which the caller starts. Answers are bounded in number.
"""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Self, TypeVar

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pynetdicom import build_role, evt
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind as Find,
)
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelGet as Get,
)
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelMove as Move,
)
from pynetdicom.sop_class import Verification

from clients.data.intake.screening import IMAGE_CLASSES
from clients.data.ways_in import dimse
from clients.data.ways_in.archive import Instances, Query, Received, Series, count_in, is_uid
from clients.data.ways_in.dimse import TRANSFER_SYNTAXES, Bounds
from clients.data.ways_in.inbox import Inbox
from clients.data.ways_in.receiver import OUT_OF_RESOURCES, SUCCESS, status_of, store_object
from federation.errors.base import PlatformError
from federation.errors.data import IntakeDiskError
from federation.errors.machine import DiskFullError
from federation.errors.sources import PacsRefusedError, PacsUnreachableError
from federation.wording import Text

MOST_ANSWERS = 1_000_000
ANSWER_BYTES = 1024 * 1024
"""The longest answer to a question; lists of failed instances are the longest."""
UIDS_A_REQUEST = 100
MOST_CONTEXTS = 127
"""128 less the one of the request itself (PS3.8 9.3.2.2: odd numbers up to 255)."""
PENDING = (0xFF00, 0xFF01)
PARTLY = 0xB000
"""Sub-operations complete, one or more failures (PS3.4 C.4.2.1.5)."""
CHARSETS = ("utf-8", "cp950", "gb18030", "euc_kr", "euc_jp", "latin-1")
"""How a Patient ID beyond ASCII may be spelled, whatever the answer says of itself."""
Picked = TypeVar("Picked")


class Via(Enum):
    """How images come from a source."""

    MOVE = "move"
    GET = "get"
    WADO = "wado"


@dataclass(frozen=True, slots=True)
class Pacs:
    """A PACS as sources.toml names it. `tls` is the client's context, None for plain."""

    name: str
    host: str
    port: int
    ae_title: str
    calling_ae_title: str
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    bounds: Bounds = field(default_factory=Bounds)


def echo(pacs: Pacs) -> None:
    """Ask for a sign of life (C-ECHO).

    Raises
    ------
    PacsUnreachableError
        If no association came about.
    PacsRefusedError
        If it answered something else than success.
    """
    with _association(pacs, [build_context(Verification)]) as association:
        _check(pacs, association.send_c_echo(), "C-ECHO")


class Arrivals:
    """Pass on what a receiver of this process receives to the C-MOVE that waits for it."""

    def __init__(self) -> None:
        self._waiting: Received | None = None

    def tell(self, uid: str) -> None:
        """Take in what the receiver received; nobody may be waiting for it."""
        waiting = self._waiting
        if waiting is not None:
            waiting(uid)

    @contextmanager
    def passed_to(self, received: Received) -> Iterator[None]:
        """Tell `received` of everything that arrives inside the block."""
        self._waiting = received
        try:
            yield
        finally:
            self._waiting = None


class PacsArchive:
    """A PACS to fetch from; use it as a context manager.

    One association serves all searches, opened again when the PACS closed it.

    Parameters
    ----------
    destination
        This node's AE title as the PACS knows it: images are fetched by C-MOVE to
        it. None: by C-GET.
    arrivals
        What this process's receiver tells of. None where another process receives:
        the counters of the PACS are believed then.
    """

    def __init__(
        self,
        pacs: Pacs,
        inbox: Inbox,
        *,
        destination: str | None = None,
        arrivals: Arrivals | None = None,
    ) -> None:
        self._pacs, self._inbox = pacs, inbox
        self._destination, self._arrivals = destination, arrivals
        self._held = ExitStack()
        self._asking: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._held.close()

    @property
    def name(self) -> str:
        """Return the name in sources.toml."""
        return self._pacs.name

    def plan(self, query: Query) -> Iterator[Series]:
        """Yield the wanted series, study by study."""
        seen: set[str] = set()
        for study in self._studies(query):
            if study not in seen:
                seen.add(study)
                yield from (one for one in self._series(study) if query.wants(one))

    def instances(self, series: Series) -> Instances:
        """Return the instances of a series with their SOP classes."""
        keys = _keys("IMAGE", series, SOPInstanceUID="", SOPClassUID="")
        return dict(self._find(keys, self._instance))

    def retrieve(
        self, series: Series, wanted: Instances, *, whole: bool, received: Received
    ) -> None:
        """Fetch by C-GET or C-MOVE: the series whole, or by its missing instances."""
        uids = sorted(wanted)
        parts = [uids[at : at + UIDS_A_REQUEST] for at in range(0, len(uids), UIDS_A_REQUEST)]
        for part in [uids] if whole else parts:
            level = "SERIES" if whole else "IMAGE"
            keys = _keys(level, series, **({} if whole else {"SOPInstanceUID": part}))
            if self._destination is None:
                self._get(keys, {uid: wanted[uid] for uid in part}, received)
            else:
                self._move(keys, self._destination, part, received)

    def _studies(self, query: Query) -> Iterator[str]:
        for patient in query.patients or ("",):
            for modality in query.wanted_modalities if query.modalities else ("",):
                keys = Dataset()
                keys.QueryRetrieveLevel = "STUDY"
                keys.StudyInstanceUID = ""
                keys.StudyDate, keys.PatientID = query.days, patient
                keys.ModalitiesInStudy = modality
                for whose, day, study in self._find(keys, self._study):
                    mine = not patient or patient in whose
                    if mine and query.wants_day(day):
                        yield study

    def _series(self, study: str) -> Iterator[Series]:
        keys = Dataset()
        keys.QueryRetrieveLevel = "SERIES"
        keys.StudyInstanceUID, keys.SeriesInstanceUID = study, ""
        keys.Modality = keys.BodyPartExamined = ""
        keys.NumberOfSeriesRelatedInstances = None
        yield from self._find(keys, lambda answer: self._one_series(study, answer))

    def _study(self, answer: Dataset) -> tuple[frozenset[str], str, str]:
        """Return how the Patient ID may read, the study date and the study's UID."""
        uid = self._uid(answer, "StudyInstanceUID")
        return _spellings(answer, "PatientID"), _text(answer, "StudyDate"), uid

    def _one_series(self, study: str, answer: Dataset) -> Series:
        return Series(
            study=study,
            uid=self._uid(answer, "SeriesInstanceUID"),
            modality=_text(answer, "Modality"),
            body_part=_text(answer, "BodyPartExamined").upper(),
            instances=count_in(_text(answer, "NumberOfSeriesRelatedInstances")),
        )

    def _instance(self, answer: Dataset) -> tuple[str, str]:
        kind = _text(answer, "SOPClassUID")
        return self._uid(answer, "SOPInstanceUID"), kind if is_uid(kind) else ""

    def _uid(self, answer: Dataset, keyword: str) -> str:
        """Return a UID, which becomes a key of the next question: anything else is refused."""
        uid = _text(answer, keyword)
        if not is_uid(uid):
            raise _refused(self._pacs, "C-FIND", "an answer without a UID")
        return uid

    def _find(self, keys: Dataset, pick: Callable[[Dataset], Picked]) -> list[Picked]:
        """Return what `pick` takes of each answer; a C-FIND that was cut off is asked once more."""
        fresh = self._asking is None or not self._asking.is_established
        try:
            return self._find_once(keys, pick)
        except PacsRefusedError:
            if fresh or self._asking is None or self._asking.is_established:
                raise
        return self._find_once(keys, pick)

    def _find_once(self, keys: Dataset, pick: Callable[[Dataset], Picked]) -> list[Picked]:
        if self._asking is None or not self._asking.is_established:
            self._held.close()
            context = build_context(Find)
            bounds = replace(self._pacs.bounds, object_bytes=ANSWER_BYTES)
            asked = replace(self._pacs, bounds=bounds)
            self._asking = self._held.enter_context(_association(asked, [context]))
        found = []
        for status, answer in self._asking.send_c_find(keys, Find):
            if status and status.Status in PENDING:
                if answer is None:
                    raise _refused(self._pacs, "C-FIND", "an answer that cannot be read")
                found.append(pick(answer))
                if len(found) > MOST_ANSWERS:
                    raise _refused(self._pacs, "C-FIND", "more answers than can be handled")
            else:
                _check(self._pacs, status, "C-FIND")
        return found

    def _get(self, keys: Dataset, wanted: Instances, received: Received) -> None:
        def store(event: Any) -> int:
            return _store(self._inbox, event, received)

        kinds = set(wanted.values())
        classes = kinds - {""} | (set(IMAGE_CLASSES) if "" in kinds else set())
        contexts = [build_context(Get), *_storage_contexts(sorted(classes))]
        roles = [build_role(kind, scp_role=True) for kind in sorted(classes)]
        handlers = [(evt.EVT_C_STORE, store)]
        with _association(
            self._pacs, contexts, roles=roles, handlers=handlers, spool=self._inbox.parts
        ) as association:
            for status, _ in association.send_c_get(keys, Get):
                _check_retrieval(self._pacs, status, "C-GET")

    def _move(self, keys: Dataset, destination: str, part: list[str], received: Received) -> None:
        """Have objects sent to the receiver."""
        last, failed = Dataset(), Dataset()
        told = self._arrivals.passed_to(received) if self._arrivals else nullcontext()
        with told, _association(self._pacs, [build_context(Move)]) as association:
            for status, answer in association.send_c_move(keys, destination, Move):
                _check_retrieval(self._pacs, status, "C-MOVE")
                last, failed = status, answer or Dataset()
        if self._arrivals is None:
            for uid in _arrived_elsewhere(last, failed, part):
                received(uid)


def _arrived_elsewhere(last: Dataset, answer: Dataset, part: list[str]) -> list[str]:
    """Return what a finished C-MOVE delivered to the receiver of another process.

    Nothing, unless the counters of the last answer cover everything asked for.
    """
    failed = set(_text(answer, "FailedSOPInstanceUIDList").split("\\"))
    sent = int(last.get("NumberOfCompletedSuboperations") or 0)
    sent += int(last.get("NumberOfWarningSuboperations") or 0)
    there = [uid for uid in part if uid not in failed]
    return there if sent >= len(there) else []


def _store(inbox: Inbox, event: Any, received: Received) -> int:
    try:
        store_object(inbox, event)
    except (DiskFullError, IntakeDiskError):
        return OUT_OF_RESOURCES
    except PlatformError as error:
        return status_of(error)
    received(str(event.request.AffectedSOPInstanceUID))
    return SUCCESS


def _storage_contexts(classes: list[str]) -> list[PresentationContext]:
    """Return a context for each class and transfer syntax, or for each class if they are many."""
    if len(classes) * len(TRANSFER_SYNTAXES) <= MOST_CONTEXTS:
        return [build_context(kind, one) for kind in classes for one in TRANSFER_SYNTAXES]
    return dimse.contexts_of(tuple(classes[:MOST_CONTEXTS]))


def _keys(level: str, series: Series, **more: object) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = level
    keys.StudyInstanceUID, keys.SeriesInstanceUID = series.study, series.uid
    for keyword, value in more.items():
        setattr(keys, keyword, value)
    return keys


def _bytes(answer: Dataset, keyword: str) -> bytes:
    """Return a value as it came: decoding what a stranger sent may fail in many ways."""
    tag = tag_for_keyword(keyword)
    element = answer.get_item(tag) if tag is not None and tag in answer else None
    value = element.value if isinstance(element, RawDataElement) else None
    return value.strip(b" \0") if isinstance(value, bytes) else b""


def _text(answer: Dataset, keyword: str) -> str:
    """Return a value of digits, capitals and dots; what is beyond ASCII becomes a mark."""
    return _bytes(answer, keyword).decode("ascii", "replace")


def _spellings(answer: Dataset, keyword: str) -> frozenset[str]:
    """Return how a value reads in each character set in which it can be read."""
    value, found = _bytes(answer, keyword), set[str]()
    for charset in CHARSETS:
        with suppress(UnicodeDecodeError):
            found.add(value.decode(charset).strip())
    return frozenset(found)


@contextmanager
def _association(
    pacs: Pacs,
    contexts: list[PresentationContext],
    *,
    roles: list[Any] | None = None,
    handlers: list[Any] | None = None,
    spool: Path | None = None,
) -> Iterator[Any]:
    """Open an association, bounded and quiet, and release it at the end."""
    entity, connected = dimse.open_entity(pacs.calling_ae_title, pacs.bounds), Event()

    def opened(event: Any) -> None:
        connected.set()
        dimse.bound(event.assoc, pacs.bounds, spool=spool)

    association = entity.associate(
        _address(pacs),
        pacs.port,
        contexts=contexts,
        ae_title=pacs.ae_title,
        max_pdu=pacs.bounds.pdu_bytes,
        ext_neg=roles or [],
        tls_args=None if pacs.tls is None else (pacs.tls, pacs.host),
        evt_handlers=[
            *(handlers or []),
            (evt.EVT_CONN_OPEN, opened),
        ],
    )
    if not association.is_established:
        raise PacsUnreachableError(source=pacs.name, why=_why_not(association, connected))
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        association.join(timeout=pacs.bounds.connect_s)


def _address(pacs: Pacs) -> str:
    """Return the address of a PACS: pynetdicom takes no names without a dot."""
    try:
        found = socket.getaddrinfo(pacs.host, pacs.port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: no name at all
        raise PacsUnreachableError(
            source=pacs.name, why=Text(en="its host name is unknown", zh="查無此主機名稱")
        ) from error
    return str(found[0][4][0])


def _why_not(association: Any, connected: Event) -> str:
    if association.is_rejected:
        return "it refused the AE titles"
    return "no answer" if connected.is_set() else "no connection"


def _check(pacs: Pacs, status: Dataset, operation: str) -> None:
    if not status or status.Status != SUCCESS:
        raise _refused(pacs, operation, f"{status.Status:04X}" if status else "none")


def _check_retrieval(pacs: Pacs, status: Dataset, operation: str) -> None:
    """Let through what goes on, ended well, or ended with some objects failed."""
    if status and status.Status in (*PENDING, PARTLY):
        return
    _check(pacs, status, operation)


def _refused(pacs: Pacs, operation: str, status: str) -> PacsRefusedError:
    return PacsRefusedError(source=pacs.name, operation=operation, status=status)
