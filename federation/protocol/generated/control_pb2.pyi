from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FromNode(_message.Message):
    __slots__ = ("hello", "heartbeat", "decision", "dataset_card", "proposal_received", "notice_received", "checkup_report")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    DATASET_CARD_FIELD_NUMBER: _ClassVar[int]
    PROPOSAL_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    NOTICE_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    CHECKUP_REPORT_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    heartbeat: NodeHeartbeat
    decision: Decision
    dataset_card: DatasetCard
    proposal_received: ProposalReceived
    notice_received: NoticeReceived
    checkup_report: CheckupReport
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., heartbeat: _Optional[_Union[NodeHeartbeat, _Mapping]] = ..., decision: _Optional[_Union[Decision, _Mapping]] = ..., dataset_card: _Optional[_Union[DatasetCard, _Mapping]] = ..., proposal_received: _Optional[_Union[ProposalReceived, _Mapping]] = ..., notice_received: _Optional[_Union[NoticeReceived, _Mapping]] = ..., checkup_report: _Optional[_Union[CheckupReport, _Mapping]] = ...) -> None: ...

class FromCentre(_message.Message):
    __slots__ = ("welcome", "refused", "heartbeat", "proposal", "wake", "run_notice", "withdrawn", "decision_received", "card_received", "checkup")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    WAKE_FIELD_NUMBER: _ClassVar[int]
    RUN_NOTICE_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    DECISION_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    CARD_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    CHECKUP_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    refused: Refused
    heartbeat: CentreHeartbeat
    proposal: Proposal
    wake: Wake
    run_notice: RunNotice
    withdrawn: Withdrawn
    decision_received: DecisionReceived
    card_received: CardReceived
    checkup: Checkup
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., refused: _Optional[_Union[Refused, _Mapping]] = ..., heartbeat: _Optional[_Union[CentreHeartbeat, _Mapping]] = ..., proposal: _Optional[_Union[Proposal, _Mapping]] = ..., wake: _Optional[_Union[Wake, _Mapping]] = ..., run_notice: _Optional[_Union[RunNotice, _Mapping]] = ..., withdrawn: _Optional[_Union[Withdrawn, _Mapping]] = ..., decision_received: _Optional[_Union[DecisionReceived, _Mapping]] = ..., card_received: _Optional[_Union[CardReceived, _Mapping]] = ..., checkup: _Optional[_Union[Checkup, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("site", "protocol_version", "software_version", "capabilities", "wheel_digest", "clock_unix_ms")
    SITE_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    WHEEL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CLOCK_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    site: str
    protocol_version: int
    software_version: str
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    wheel_digest: str
    clock_unix_ms: int
    def __init__(self, site: _Optional[str] = ..., protocol_version: _Optional[int] = ..., software_version: _Optional[str] = ..., capabilities: _Optional[_Iterable[str]] = ..., wheel_digest: _Optional[str] = ..., clock_unix_ms: _Optional[int] = ...) -> None: ...

class NodeHeartbeat(_message.Message):
    __slots__ = ("clock_unix_ms", "free_disk_bytes", "busy", "run", "round", "batches_done", "batches_total", "epoch")
    CLOCK_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    FREE_DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    BATCHES_DONE_FIELD_NUMBER: _ClassVar[int]
    BATCHES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    clock_unix_ms: int
    free_disk_bytes: int
    busy: bool
    run: str
    round: int
    batches_done: int
    batches_total: int
    epoch: int
    def __init__(self, clock_unix_ms: _Optional[int] = ..., free_disk_bytes: _Optional[int] = ..., busy: _Optional[bool] = ..., run: _Optional[str] = ..., round: _Optional[int] = ..., batches_done: _Optional[int] = ..., batches_total: _Optional[int] = ..., epoch: _Optional[int] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("study", "study_digest", "envelope")
    STUDY_FIELD_NUMBER: _ClassVar[int]
    STUDY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    study: str
    study_digest: str
    envelope: bytes
    def __init__(self, study: _Optional[str] = ..., study_digest: _Optional[str] = ..., envelope: _Optional[bytes] = ...) -> None: ...

class DatasetCard(_message.Message):
    __slots__ = ("study", "card")
    STUDY_FIELD_NUMBER: _ClassVar[int]
    CARD_FIELD_NUMBER: _ClassVar[int]
    study: str
    card: bytes
    def __init__(self, study: _Optional[str] = ..., card: _Optional[bytes] = ...) -> None: ...

class ProposalReceived(_message.Message):
    __slots__ = ("study", "study_digest", "refused")
    STUDY_FIELD_NUMBER: _ClassVar[int]
    STUDY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    study: str
    study_digest: str
    refused: Refused
    def __init__(self, study: _Optional[str] = ..., study_digest: _Optional[str] = ..., refused: _Optional[_Union[Refused, _Mapping]] = ...) -> None: ...

class NoticeReceived(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: str
    def __init__(self, run: _Optional[str] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("centre", "protocol_version", "software_version", "clock_unix_ms", "heartbeat_s", "fleet_epoch", "heads")
    CENTRE_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CLOCK_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_S_FIELD_NUMBER: _ClassVar[int]
    FLEET_EPOCH_FIELD_NUMBER: _ClassVar[int]
    HEADS_FIELD_NUMBER: _ClassVar[int]
    centre: str
    protocol_version: int
    software_version: str
    clock_unix_ms: int
    heartbeat_s: float
    fleet_epoch: int
    heads: bytes
    def __init__(self, centre: _Optional[str] = ..., protocol_version: _Optional[int] = ..., software_version: _Optional[str] = ..., clock_unix_ms: _Optional[int] = ..., heartbeat_s: _Optional[float] = ..., fleet_epoch: _Optional[int] = ..., heads: _Optional[bytes] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("code", "what", "next_step", "values")
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    NEXT_STEP_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    code: str
    what: str
    next_step: str
    values: _containers.ScalarMap[str, str]
    def __init__(self, code: _Optional[str] = ..., what: _Optional[str] = ..., next_step: _Optional[str] = ..., values: _Optional[_Mapping[str, str]] = ...) -> None: ...

class CentreHeartbeat(_message.Message):
    __slots__ = ("clock_unix_ms", "fleet_epoch", "centre_head")
    CLOCK_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    FLEET_EPOCH_FIELD_NUMBER: _ClassVar[int]
    CENTRE_HEAD_FIELD_NUMBER: _ClassVar[int]
    clock_unix_ms: int
    fleet_epoch: int
    centre_head: bytes
    def __init__(self, clock_unix_ms: _Optional[int] = ..., fleet_epoch: _Optional[int] = ..., centre_head: _Optional[bytes] = ...) -> None: ...

class Proposal(_message.Message):
    __slots__ = ("study_id", "study", "study_digest", "recipe_digest", "envelope")
    STUDY_ID_FIELD_NUMBER: _ClassVar[int]
    STUDY_FIELD_NUMBER: _ClassVar[int]
    STUDY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RECIPE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    study_id: str
    study: bytes
    study_digest: str
    recipe_digest: str
    envelope: bytes
    def __init__(self, study_id: _Optional[str] = ..., study: _Optional[bytes] = ..., study_digest: _Optional[str] = ..., recipe_digest: _Optional[str] = ..., envelope: _Optional[bytes] = ...) -> None: ...

class Wake(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RunNotice(_message.Message):
    __slots__ = ("study", "run", "flower_run", "bundle_digest", "over")
    STUDY_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    FLOWER_RUN_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    OVER_FIELD_NUMBER: _ClassVar[int]
    study: str
    run: str
    flower_run: str
    bundle_digest: str
    over: bool
    def __init__(self, study: _Optional[str] = ..., run: _Optional[str] = ..., flower_run: _Optional[str] = ..., bundle_digest: _Optional[str] = ..., over: _Optional[bool] = ...) -> None: ...

class Withdrawn(_message.Message):
    __slots__ = ("study",)
    STUDY_FIELD_NUMBER: _ClassVar[int]
    study: str
    def __init__(self, study: _Optional[str] = ...) -> None: ...

class DecisionReceived(_message.Message):
    __slots__ = ("study", "study_digest", "envelope_digest", "refused")
    STUDY_FIELD_NUMBER: _ClassVar[int]
    STUDY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    study: str
    study_digest: str
    envelope_digest: str
    refused: Refused
    def __init__(self, study: _Optional[str] = ..., study_digest: _Optional[str] = ..., envelope_digest: _Optional[str] = ..., refused: _Optional[_Union[Refused, _Mapping]] = ...) -> None: ...

class CardReceived(_message.Message):
    __slots__ = ("study", "card_digest", "refused")
    STUDY_FIELD_NUMBER: _ClassVar[int]
    CARD_DIGEST_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    study: str
    card_digest: str
    refused: Refused
    def __init__(self, study: _Optional[str] = ..., card_digest: _Optional[str] = ..., refused: _Optional[_Union[Refused, _Mapping]] = ...) -> None: ...

class Checkup(_message.Message):
    __slots__ = ("id", "clock_unix_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    CLOCK_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    id: str
    clock_unix_ms: int
    def __init__(self, id: _Optional[str] = ..., clock_unix_ms: _Optional[int] = ...) -> None: ...

class CheckupReport(_message.Message):
    __slots__ = ("id", "findings", "refused_code")
    ID_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_CODE_FIELD_NUMBER: _ClassVar[int]
    id: str
    findings: _containers.RepeatedCompositeFieldContainer[CheckupFinding]
    refused_code: str
    def __init__(self, id: _Optional[str] = ..., findings: _Optional[_Iterable[_Union[CheckupFinding, _Mapping]]] = ..., refused_code: _Optional[str] = ...) -> None: ...

class CheckupFinding(_message.Message):
    __slots__ = ("check", "level", "code", "numbers")
    class NumbersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    CHECK_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    check: str
    level: str
    code: str
    numbers: _containers.ScalarMap[str, int]
    def __init__(self, check: _Optional[str] = ..., level: _Optional[str] = ..., code: _Optional[str] = ..., numbers: _Optional[_Mapping[str, int]] = ...) -> None: ...
