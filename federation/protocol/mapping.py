"""Between the messages on the wire and checked domain values, in both directions.

Nothing outside this module and the two ends of the channel sees a protobuf
object: `read_*` takes what a peer sent and returns a frozen value or raises
`ProtocolBrokenError`; `write_*` does the reverse. Refusals travel as a code with
the values of its sentences, so that the reader sees them in his own language.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from federation.checkup.found import Travelled, cut, travelled
from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.errors import PlatformError, ProblemsFound, error_of_code
from federation.errors.control import ProtocolBrokenError, RefusedByPeerError
from federation.errors.core import InvalidIdError
from federation.protocol.generated import control_pb2 as pb
from federation.wording import fields_of

Kind = TypeVar("Kind")

PROTOCOL_VERSION = 1
MAX_MESSAGE_BYTES = 4 * 2**20
MAX_DOCUMENT_BYTES = 2**20
MAX_CLOCK_SKEW = timedelta(minutes=5)

_MAX_TEXT = 2000
_MAX_LISTED = 64
_OPEN = "…"
_CHECKUP_ID = re.compile(r"[0-9a-f]{16}")

REFUSAL_KEY = "trifed-refused-bin"
"""Trailing metadata that carries a `Refused` beside a status, in case its message is lost."""

CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)
"""Both ends of the control channel and of the admin socket refuse larger messages."""


@dataclass(frozen=True, slots=True)
class Hello:
    """What a node says first; `clock_unix_ms` is its own clock."""

    site: SiteId
    protocol_version: int
    software_version: str
    capabilities: tuple[str, ...]
    wheel_digest: str
    clock_unix_ms: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What a node does just now. `round` counts from 1; 0 and an empty `run` mean idle.

    `epoch` changes when the node's SuperNode or executor started anew; 0: not said.
    """

    free_disk_bytes: int = 0
    busy: bool = False
    run: str = ""
    round: int = 0
    batches_done: int = 0
    batches_total: int = 0
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Proposal:
    """A study as proposed: its JSON, its digests, and the centre's signature (DSSE JSON)."""

    study: StudyId
    content: bytes
    study_digest: Sha256
    recipe_digest: Sha256
    envelope: bytes


@dataclass(frozen=True, slots=True)
class SignedDecision:
    """A hospital's decision as it travels: a DSSE envelope, not yet verified."""

    study: StudyId
    study_digest: Sha256
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Card:
    """A dataset card as it travels (JSON)."""

    study: StudyId
    content: bytes


@dataclass(frozen=True, slots=True)
class RunNotice:
    """The centre vouches for a run: what an executor may accept tasks of.

    `flower_run` is Flower's own number for it, `bundle_digest` its bundle (FAB)
    hash; `over` says that the run has ended.
    """

    study: StudyId
    run: RunId
    flower_run: str
    bundle_digest: str
    over: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """A peer has a thing: `digest` says which version; `refusal` that it would not take it."""

    study: StudyId
    digest: str
    refusal: PlatformError | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class CheckupRequest:
    """The centre asks a node to look itself over; `skew_ms` is the node's clock minus its own."""

    id: str
    skew_ms: int


@dataclass(frozen=True, slots=True)
class CheckupReport:
    """What a node found, or the code of why it did not look; `id` is that of the request."""

    id: str
    findings: tuple[Travelled, ...] = ()
    refused_code: str = ""


def write_refusal(error: PlatformError) -> pb.Refused:
    """Return a coded no as it travels."""
    return pb.Refused(
        code=error.code,
        what=_cut(error.say_what()),
        next_step=_cut(error.say_next_step()),
        values={name: _cut(str(value)) for name, value in error.values.items()},
    )


def read_refusal(message: pb.Refused) -> PlatformError:
    """Return the error a peer named: of its own class when this version knows the code."""
    kind = error_of_code(message.code)
    if kind is not None and not issubclass(kind, ProblemsFound):
        error = kind.__new__(kind)
        try:
            PlatformError.__init__(
                error, **{name: _cut(text) for name, text in message.values.items()}
            )
        except TypeError:  # the same code with other fields: another release
            return _unknown_refusal(message)
        return error
    return _unknown_refusal(message)


def error_of_site(code: str) -> PlatformError:
    """Return the error of which a hospital told the code: what it leaves open stays open.

    Words and values that came beside the code are not looked at, so nothing that a
    node says by mistake is kept or shown at the centre.
    """
    kind = error_of_code(code)
    if kind is None or issubclass(kind, ProblemsFound):
        return RefusedByPeerError(peer_code=_code(code), said=_OPEN, advice=_OPEN)
    error = kind.__new__(kind)
    fields = fields_of(kind.what.en) | fields_of(kind.next_step.en)
    PlatformError.__init__(error, **dict.fromkeys(fields, _OPEN))
    return error


def _code(text: str) -> str:
    return text if re.fullmatch(r"TF[0-9]{3}", text) else "?"


def _unknown_refusal(message: pb.Refused) -> RefusedByPeerError:
    return RefusedByPeerError(
        peer_code=_cut(message.code) or "?", said=_cut(message.what), advice=_cut(message.next_step)
    )


def write_hello(hello: Hello) -> pb.FromNode:
    """Return a hello as it travels."""
    return pb.FromNode(
        hello=pb.Hello(
            site=hello.site,
            protocol_version=hello.protocol_version,
            software_version=hello.software_version,
            capabilities=hello.capabilities,
            wheel_digest=hello.wheel_digest,
            clock_unix_ms=hello.clock_unix_ms,
        )
    )


def read_hello(message: pb.FromNode) -> Hello:
    """Return the hello that must be a stream's first message."""
    if message.WhichOneof("kind") != "hello":
        raise ProtocolBrokenError(why="the first message is not a hello")
    raw = message.hello
    if len(raw.capabilities) > _MAX_LISTED:
        raise ProtocolBrokenError(why="too many capabilities")
    return Hello(
        site=_id(SiteId, raw.site),
        protocol_version=raw.protocol_version,
        software_version=_short(raw.software_version, "software_version"),
        capabilities=tuple(_short(name, "capability") for name in raw.capabilities),
        wheel_digest=_short(raw.wheel_digest, "wheel_digest"),
        clock_unix_ms=raw.clock_unix_ms,
    )


def write_heartbeat(progress: Progress, *, clock_unix_ms: int) -> pb.FromNode:
    """Return a node's heartbeat as it travels."""
    return pb.FromNode(
        heartbeat=pb.NodeHeartbeat(
            clock_unix_ms=clock_unix_ms,
            free_disk_bytes=progress.free_disk_bytes,
            busy=progress.busy,
            run=progress.run,
            round=progress.round,
            batches_done=progress.batches_done,
            batches_total=progress.batches_total,
            epoch=progress.epoch,
        )
    )


def read_heartbeat(raw: pb.NodeHeartbeat) -> Progress:
    """Return what a node says it does."""
    return Progress(
        free_disk_bytes=raw.free_disk_bytes,
        busy=raw.busy,
        run=_id(RunId, raw.run) if raw.run else "",
        round=raw.round,
        batches_done=raw.batches_done,
        batches_total=raw.batches_total,
        epoch=raw.epoch,
    )


def write_proposal(proposal: Proposal) -> pb.FromCentre:
    """Return a proposal as it travels."""
    return pb.FromCentre(
        proposal=pb.Proposal(
            study_id=proposal.study,
            study=proposal.content,
            study_digest=proposal.study_digest,
            recipe_digest=proposal.recipe_digest,
            envelope=proposal.envelope,
        )
    )


def read_proposal(raw: pb.Proposal) -> Proposal:
    """Return a proposal; its signature and digest are not verified here."""
    return Proposal(
        study=_id(StudyId, raw.study_id),
        content=_document(raw.study),
        study_digest=_id(Sha256, raw.study_digest),
        recipe_digest=_id(Sha256, raw.recipe_digest),
        envelope=_document(raw.envelope),
    )


def write_decision(decision: SignedDecision) -> pb.FromNode:
    """Return a decision as it travels."""
    return pb.FromNode(
        decision=pb.Decision(
            study=decision.study, study_digest=decision.study_digest, envelope=decision.envelope
        )
    )


def read_decision(raw: pb.Decision) -> SignedDecision:
    """Return a decision; its signature is not verified here."""
    return SignedDecision(
        study=_id(StudyId, raw.study),
        study_digest=_id(Sha256, raw.study_digest),
        envelope=_document(raw.envelope),
    )


def write_card(card: Card) -> pb.FromNode:
    """Return a dataset card as it travels."""
    return pb.FromNode(dataset_card=pb.DatasetCard(study=card.study, card=card.content))


def read_card(raw: pb.DatasetCard) -> Card:
    """Return a dataset card; what it says is not judged here."""
    return Card(study=_id(StudyId, raw.study), content=_document(raw.card))


def write_notice(notice: RunNotice) -> pb.FromCentre:
    """Return a run notice as it travels."""
    return pb.FromCentre(
        run_notice=pb.RunNotice(
            study=notice.study,
            run=notice.run,
            flower_run=notice.flower_run,
            bundle_digest=notice.bundle_digest,
            over=notice.over,
        )
    )


def read_notice(raw: pb.RunNotice) -> RunNotice:
    """Return a run notice."""
    return RunNotice(
        study=_id(StudyId, raw.study),
        run=_id(RunId, raw.run),
        flower_run=_short(raw.flower_run, "flower_run"),
        bundle_digest=_short(raw.bundle_digest, "bundle_digest"),
        over=raw.over,
    )


def write_proposal_receipt(receipt: Receipt) -> pb.FromNode:
    """Return a node's receipt for a proposal; of a refusal its code leaves and nothing else."""
    message = pb.ProposalReceived(study=receipt.study, study_digest=receipt.digest)
    if receipt.refusal is not None:
        message.refused.code = receipt.refusal.code
    return pb.FromNode(proposal_received=message)


def read_proposal_receipt(raw: pb.ProposalReceived) -> Receipt:
    """Return a node's receipt for a proposal."""
    refusal = error_of_site(raw.refused.code) if raw.HasField("refused") else None
    return Receipt(_id(StudyId, raw.study), _id(Sha256, raw.study_digest), refusal)


def write_decision_receipt(receipt: Receipt) -> pb.FromCentre:
    """Return the centre's receipt for a decision; `digest` is that of the envelope."""
    message = pb.DecisionReceived(study=receipt.study, envelope_digest=receipt.digest)
    return pb.FromCentre(decision_received=_with_refusal(message, receipt.refusal))


def read_decision_receipt(raw: pb.DecisionReceived) -> Receipt:
    """Return the centre's receipt for a decision."""
    return Receipt(_id(StudyId, raw.study), _id(Sha256, raw.envelope_digest), _refusal_in(raw))


def write_card_receipt(receipt: Receipt) -> pb.FromCentre:
    """Return the centre's receipt for a dataset card."""
    message = pb.CardReceived(study=receipt.study, card_digest=receipt.digest)
    return pb.FromCentre(card_received=_with_refusal(message, receipt.refusal))


def read_card_receipt(raw: pb.CardReceived) -> Receipt:
    """Return the centre's receipt for a dataset card."""
    return Receipt(_id(StudyId, raw.study), _id(Sha256, raw.card_digest), _refusal_in(raw))


def write_checkup(checkup_id: str, *, clock_unix_ms: int) -> pb.FromCentre:
    """Return the request for a checkup as it travels."""
    return pb.FromCentre(checkup=pb.Checkup(id=checkup_id, clock_unix_ms=clock_unix_ms))


def read_checkup(raw: pb.Checkup, *, clock_unix_ms: int) -> CheckupRequest:
    """Return the request for a checkup; `clock_unix_ms` is the reader's."""
    return CheckupRequest(_checkup_id(raw.id), cut(clock_unix_ms - raw.clock_unix_ms))


def write_checkup_report(report: CheckupReport) -> pb.FromNode:
    """Return a node's findings as they travel."""
    message = pb.CheckupReport(id=report.id, refused_code=report.refused_code)
    for found in report.findings:
        message.findings.add(
            check=found.check,
            level=found.level.value,
            code=found.code or "",
            numbers={name.value: value for name, value in found.numbers.items()},
        )
    return pb.FromNode(checkup_report=message)


def read_checkup_report(raw: pb.CheckupReport) -> CheckupReport:
    """Return a node's findings, each of the form that findings have."""
    if len(raw.findings) > _MAX_LISTED:
        raise ProtocolBrokenError(why="too many findings")
    try:
        found = tuple(
            travelled(one.check, one.level, one.code, dict(one.numbers)) for one in raw.findings
        )
    except ValueError as error:
        raise ProtocolBrokenError(why="a finding of another form") from error
    return CheckupReport(_checkup_id(raw.id), found, _short(raw.refused_code, "refused_code"))


def read_study_id(text: str) -> StudyId:
    """Return a study's name that a peer sent."""
    return _id(StudyId, text)


def read_run_id(text: str) -> RunId:
    """Return a run's name that a peer sent."""
    return _id(RunId, text)


def _with_refusal(message: Any, refusal: PlatformError | None) -> Any:
    if refusal is not None:
        message.refused.CopyFrom(write_refusal(refusal))
    return message


def _refusal_in(message: Any) -> PlatformError | None:
    return read_refusal(message.refused) if message.HasField("refused") else None


def _id(kind: Callable[[str], Kind], text: str) -> Kind:
    try:
        return kind(text)
    except InvalidIdError as error:
        raise ProtocolBrokenError(why=error.say_what()) from error


def _document(content: bytes) -> bytes:
    if not 0 < len(content) <= MAX_DOCUMENT_BYTES:
        raise ProtocolBrokenError(why=f"a document of {len(content)} bytes")
    return content


def _checkup_id(text: str) -> str:
    if not _CHECKUP_ID.fullmatch(text):
        raise ProtocolBrokenError(why="a checkup's id is 16 hexadecimal digits")
    return text


def _short(text: str, name: str) -> str:
    if len(text) > 128 or not text.isprintable():
        raise ProtocolBrokenError(why=f"{name} is too long or not printable")
    return text


def _cut(text: str) -> str:
    printable = "".join(
        letter if letter.isprintable() or letter == "\n" else "?" for letter in text
    )
    return printable[:_MAX_TEXT]
