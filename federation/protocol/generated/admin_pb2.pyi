from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Empty(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("sites",)
    SITES_FIELD_NUMBER: _ClassVar[int]
    sites: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, sites: _Optional[_Iterable[str]] = ...) -> None: ...

class SiteStatus(_message.Message):
    __slots__ = ("site", "connected", "since_unix_ms", "software_version", "wheel_digest", "capabilities", "last_heard_unix_ms", "clock_skew_ms", "free_disk_bytes", "busy", "run", "round", "batches_done", "batches_total", "refused_code", "refused_what", "epoch", "bytes_in", "bytes_out")
    SITE_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    WHEEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    LAST_HEARD_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_SKEW_MS_FIELD_NUMBER: _ClassVar[int]
    FREE_DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    BATCHES_DONE_FIELD_NUMBER: _ClassVar[int]
    BATCHES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    REFUSED_CODE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_WHAT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    BYTES_IN_FIELD_NUMBER: _ClassVar[int]
    BYTES_OUT_FIELD_NUMBER: _ClassVar[int]
    site: str
    connected: bool
    since_unix_ms: int
    software_version: str
    wheel_digest: str
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    last_heard_unix_ms: int
    clock_skew_ms: int
    free_disk_bytes: int
    busy: bool
    run: str
    round: int
    batches_done: int
    batches_total: int
    refused_code: str
    refused_what: str
    epoch: int
    bytes_in: int
    bytes_out: int
    def __init__(self, site: _Optional[str] = ..., connected: _Optional[bool] = ..., since_unix_ms: _Optional[int] = ..., software_version: _Optional[str] = ..., wheel_digest: _Optional[str] = ..., capabilities: _Optional[_Iterable[str]] = ..., last_heard_unix_ms: _Optional[int] = ..., clock_skew_ms: _Optional[int] = ..., free_disk_bytes: _Optional[int] = ..., busy: _Optional[bool] = ..., run: _Optional[str] = ..., round: _Optional[int] = ..., batches_done: _Optional[int] = ..., batches_total: _Optional[int] = ..., refused_code: _Optional[str] = ..., refused_what: _Optional[str] = ..., epoch: _Optional[int] = ..., bytes_in: _Optional[int] = ..., bytes_out: _Optional[int] = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("centre", "software_version", "started_unix_ms", "pid", "port", "superlink", "superlink_alive", "superlink_restarts", "sites")
    CENTRE_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    SUPERLINK_FIELD_NUMBER: _ClassVar[int]
    SUPERLINK_ALIVE_FIELD_NUMBER: _ClassVar[int]
    SUPERLINK_RESTARTS_FIELD_NUMBER: _ClassVar[int]
    SITES_FIELD_NUMBER: _ClassVar[int]
    centre: str
    software_version: str
    started_unix_ms: int
    pid: int
    port: int
    superlink: str
    superlink_alive: bool
    superlink_restarts: int
    sites: _containers.RepeatedCompositeFieldContainer[SiteStatus]
    def __init__(self, centre: _Optional[str] = ..., software_version: _Optional[str] = ..., started_unix_ms: _Optional[int] = ..., pid: _Optional[int] = ..., port: _Optional[int] = ..., superlink: _Optional[str] = ..., superlink_alive: _Optional[bool] = ..., superlink_restarts: _Optional[int] = ..., sites: _Optional[_Iterable[_Union[SiteStatus, _Mapping]]] = ...) -> None: ...

class ProposeRequest(_message.Message):
    __slots__ = ("study_id", "study", "study_digest", "recipe_digest", "envelope", "sites", "wait_s")
    STUDY_ID_FIELD_NUMBER: _ClassVar[int]
    STUDY_FIELD_NUMBER: _ClassVar[int]
    STUDY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RECIPE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    SITES_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    study_id: str
    study: bytes
    study_digest: str
    recipe_digest: str
    envelope: bytes
    sites: _containers.RepeatedScalarFieldContainer[str]
    wait_s: float
    def __init__(self, study_id: _Optional[str] = ..., study: _Optional[bytes] = ..., study_digest: _Optional[str] = ..., recipe_digest: _Optional[str] = ..., envelope: _Optional[bytes] = ..., sites: _Optional[_Iterable[str]] = ..., wait_s: _Optional[float] = ...) -> None: ...

class StudyRequest(_message.Message):
    __slots__ = ("study",)
    STUDY_FIELD_NUMBER: _ClassVar[int]
    study: str
    def __init__(self, study: _Optional[str] = ...) -> None: ...

class DeliveredReply(_message.Message):
    __slots__ = ("sites",)
    SITES_FIELD_NUMBER: _ClassVar[int]
    sites: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, sites: _Optional[_Iterable[str]] = ...) -> None: ...

class Document(_message.Message):
    __slots__ = ("site", "content")
    SITE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    site: str
    content: bytes
    def __init__(self, site: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class DocumentsReply(_message.Message):
    __slots__ = ("documents",)
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[Document]
    def __init__(self, documents: _Optional[_Iterable[_Union[Document, _Mapping]]] = ...) -> None: ...

class WakeRequest(_message.Message):
    __slots__ = ("sites",)
    SITES_FIELD_NUMBER: _ClassVar[int]
    sites: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, sites: _Optional[_Iterable[str]] = ...) -> None: ...

class NotifyRequest(_message.Message):
    __slots__ = ("study", "run", "flower_run", "bundle_digest", "over", "sites", "wait_s")
    STUDY_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    FLOWER_RUN_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    OVER_FIELD_NUMBER: _ClassVar[int]
    SITES_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    study: str
    run: str
    flower_run: str
    bundle_digest: str
    over: bool
    sites: _containers.RepeatedScalarFieldContainer[str]
    wait_s: float
    def __init__(self, study: _Optional[str] = ..., run: _Optional[str] = ..., flower_run: _Optional[str] = ..., bundle_digest: _Optional[str] = ..., over: _Optional[bool] = ..., sites: _Optional[_Iterable[str]] = ..., wait_s: _Optional[float] = ...) -> None: ...

class CheckupRequest(_message.Message):
    __slots__ = ("site", "wait_s")
    SITE_FIELD_NUMBER: _ClassVar[int]
    WAIT_S_FIELD_NUMBER: _ClassVar[int]
    site: str
    wait_s: float
    def __init__(self, site: _Optional[str] = ..., wait_s: _Optional[float] = ...) -> None: ...

class CheckupReply(_message.Message):
    __slots__ = ("report",)
    REPORT_FIELD_NUMBER: _ClassVar[int]
    report: bytes
    def __init__(self, report: _Optional[bytes] = ...) -> None: ...
