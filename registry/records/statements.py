"""What is signed of a record: the register's statement, and a person's own sign-off.

Both are in-toto Statement v1 values in a DSSE envelope, as everything in the log
(`federation.evidence.statements`). The register's says the whole revision, with
its author and the signatures it rests on. A person's says one move of one
revision by its digest, so it counts for nothing else.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.moves import PersonKeyError
from federation.errors.signed import LogTamperedError, NotCanonicalError
from federation.evidence.canonical import canonical, parse
from federation.evidence.dsse import PAYLOAD_TYPE, Envelope, pae, read_envelope
from federation.evidence.signing import Signer
from federation.evidence.statements import STATEMENT_TYPE
from federation.evidence.verification import PublicKey
from federation.wording import Text
from registry.records.ports import StoredRecord
from registry.roles import Role

MAX_CLOCK_DIFFERENCE = timedelta(minutes=15)

_NOT_YOURS = Text(en="the key is not one of this person's", zh="金鑰不屬於此人")
_NOT_ROLE = Text(en="the key may not sign in this role", zh="此金鑰不得以此角色簽署")
_NOT_VALID = Text(en="the key was not valid or was revoked by then", zh="金鑰當時無效或已註銷")
_NOT_THIS = Text(en="it signs another record, revision or move", zh="簽署的是其他紀錄、版本或移轉")
_NOT_NOW = Text(
    en="its time differs from the register's by over 15 minutes",
    zh="時間與登錄系統相差超過 15 分鐘",
)


class Predicate(Enum):
    """What a statement of the register says. Meanings never change; new ones get new URIs."""

    RECORD = "urn:trifed:predicate:record:v1"
    SIGN_OFF = "urn:trifed:predicate:sign-off:v1"


@dataclass(frozen=True, slots=True)
class PersonKey:
    """A person's public key: for which roles, from when until when, and since when revoked."""

    person: str
    key: PublicKey
    roles: frozenset[Role]
    valid_from: datetime
    valid_until: datetime
    revoked_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Say whether it may sign; once revoked it never does, also where a clock was set back."""
        return self.revoked_at is None and self.valid_from <= now < self.valid_until


PersonKeys = Callable[[str], Iterable[PersonKey]]
"""Returns every key a person ever had."""


def no_keys(_person: str) -> tuple[PersonKey, ...]:
    """Return none: nobody has a key, so no personal signature is accepted."""
    return ()


@dataclass(frozen=True, slots=True)
class SignOff:
    """What a person signs: this move, of this revision with this content, in this role."""

    noun: str
    id: str
    revision: int
    digest: Sha256
    move: str
    role: Role
    reason: str
    at: str

    def as_json(self) -> dict[str, object]:
        """Return what the person's key signs."""
        return {
            "noun": self.noun,
            "id": self.id,
            "revision": self.revision,
            "digest": self.digest,
            "move": self.move,
            "role": self.role.value,
            "reason": self.reason,
            "at": self.at,
        }


def sign_record(record: StoredRecord, signer: Signer) -> str:
    """Return the register's signed statement of one revision."""
    subject = (f"record/{record.name}", record.digest)
    return _signed(Predicate.RECORD, subject, record.as_json(), signer)


def sign_off(given: SignOff, signer: Signer) -> str:
    """Return a person's signed statement; runs where the person's key is."""
    subject = (f"record/{given.noun}/{given.id}/{given.revision}", given.digest)
    return _signed(Predicate.SIGN_OFF, subject, given.as_json(), signer)


def moment(at: datetime) -> str:
    """Return a time as records write it: UTC, whole seconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def time_of(text: str) -> datetime:
    """Return the time that `moment` wrote; raises `ValueError`."""
    return datetime.fromisoformat(text)


def verify_sign_off(
    envelope: str, expected: SignOff, keys: Iterable[PersonKey], *, now: datetime
) -> PersonKey:
    """Return the key that signed exactly what was expected, at about now.

    Steps: canonical envelope; a key of this person; made for this role; valid at this
    time; the signature fits; it says this record, revision, content, move and reason;
    its time is the register's.

    Raises
    ------
    MalformedEnvelopeError, StatementTooLargeError, BadSignatureError
        If the envelope is not one, or was changed.
    PersonKeyError
        If the key or what it signed is another.
    """
    read = read_envelope(envelope)
    key = next((one for one in keys if one.key.keyid == read.keyid), None)
    if key is None:
        raise PersonKeyError(why=_NOT_YOURS)
    if expected.role not in key.roles:
        raise PersonKeyError(why=_NOT_ROLE)
    if not key.is_valid(now):
        raise PersonKeyError(why=_NOT_VALID)
    key.key.verify(read.signature, pae(PAYLOAD_TYPE, read.payload))
    said = _said(read.payload, Predicate.SIGN_OFF)
    at = said.get("at")
    if said != expected.as_json() | {"at": at} or not isinstance(at, str):
        raise PersonKeyError(why=_NOT_THIS)
    if abs(_time(at) - now) > MAX_CLOCK_DIFFERENCE:
        raise PersonKeyError(why=_NOT_NOW)
    return key


def verify_logged_sign_off(envelope: str, *, key: PublicKey, role: Role) -> dict[str, object]:
    """Return what a person's logged sign-off says, its signature and role checked once more.

    Raises
    ------
    PlatformError
        What reading an envelope raises; `PersonKeyError` if it is of another key or role.
    """
    read = read_envelope(envelope)
    if read.keyid != key.keyid:
        raise PersonKeyError(why=_NOT_YOURS)
    key.verify(read.signature, pae(PAYLOAD_TYPE, read.payload))
    said = _said(read.payload, Predicate.SIGN_OFF)
    if said.get("role") != role.value:
        raise PersonKeyError(why=_NOT_ROLE)
    return said


def verify_record(envelope: str, *, key: PublicKey) -> dict[str, object]:
    """Return what the register's key signed of a revision.

    Raises
    ------
    PlatformError
        What reading an envelope raises; `LogTamperedError` if it is another statement.
    """
    read = read_envelope(envelope)
    if read.keyid != key.keyid:
        raise LogTamperedError(item="record", why="another key signed it")
    key.verify(read.signature, pae(PAYLOAD_TYPE, read.payload))
    try:
        return _said(read.payload, Predicate.RECORD)
    except PersonKeyError as error:
        raise LogTamperedError(item="record", why="it is another statement") from error


def predicate_uri(envelope: str) -> str:
    """Return what kind of statement an envelope holds, its signature unchecked."""
    try:
        value = parse(read_envelope(envelope).payload)
    except PlatformError as error:
        raise LogTamperedError(item="log entry", why=f"unreadable ({error.code})") from error
    return str(value.get("predicateType", "")) if isinstance(value, dict) else ""


def _signed(
    kind: Predicate, subject: tuple[str, Sha256], predicate: dict[str, object], signer: Signer
) -> str:
    name, digest = subject
    payload = canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": name, "digest": {"sha256": digest.hex}}],
            "predicateType": kind.value,
            "predicate": predicate,
        }
    )
    return Envelope(payload, signer.keyid, signer.sign(pae(PAYLOAD_TYPE, payload))).as_json()


def _said(payload: bytes, kind: Predicate) -> dict[str, object]:
    try:
        value = parse(payload)
    except NotCanonicalError as error:
        raise PersonKeyError(why=_NOT_THIS) from error
    match value:
        case {
            "_type": str(statement),
            "subject": [{"name": str(), "digest": {"sha256": str(subject)}}],
            "predicateType": str(uri),
            "predicate": {"digest": str(digest), **_rest} as predicate,
        } if (statement, uri) == (STATEMENT_TYPE, kind.value) and digest == f"sha256:{subject}":
            return dict(predicate)
    raise PersonKeyError(why=_NOT_THIS)


def _time(text: str) -> datetime:
    try:
        found = time_of(text)
    except ValueError as error:
        raise PersonKeyError(why=_NOT_NOW) from error
    if found.tzinfo is None:
        raise PersonKeyError(why=_NOT_NOW)
    return found
