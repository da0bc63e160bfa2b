"""Resolve a pseudonym only with a recorded request of two persons (source 003, R35).

`people.toml` lists who may ask or approve, each with the public half of a key of
their own. A request names the pseudonym, a reason and a ticket, and is signed by
one person; another one signs the approval; within seven days it may be used once.
Pseudonyms are one-way and no table of identities is kept anywhere: `reveal` tries
the Patient IDs of a file that the hospital supplies. Requests lie in
``data/reveals/`` (0600); what was found is returned and never written down.
"""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clients.data.deidentification.deidentify import patient_source
from clients.data.layout import KEY_FILE
from clients.data.people.pseudonyms import Pseudonyms
from federation.domain.ids import Sha256
from federation.domain.toml_text import parse_toml
from federation.errors.people import (
    CandidateMissingError,
    PeopleFileError,
    PseudonymSpellingError,
    RevealRefusedError,
)
from federation.errors.signed import BadSignatureError, KeyFileError
from federation.evidence.canonical import canonical
from federation.evidence.dsse import pae
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.storage import write_atomic, write_new
from federation.wording import Text

FOLDER = "reveals"
PEOPLE = "people.toml"
VALID_FOR = timedelta(days=7)
PAYLOAD_TYPE = "application/vnd.trifed.reveal+json"
PSEUDONYM = re.compile(r"P[0-9a-f]{32}")
TICKET = re.compile(r"[A-Za-z0-9-]{1,40}")
_ID = re.compile(r"[0-9a-f]{16}")
TEMPLATE = """# Who may ask for a pseudonym to be resolved, and who may approve it: two persons.
# 可申請或核准解析假名的人員;申請與核准須為不同人。
[[person]]
name = "lin"                       # as in the audit log 稽核紀錄中的名稱
public_key = "keys/people/lin.pub" # PEM, Ed25519; relative to this home 相對於本工作目錄

[[person]]
name = "chen"
public_key = "keys/people/chen.pub"
"""


class Reason(Enum):
    """Why a pseudonym must be resolved. A closed list: no free text can name a patient."""

    INCIDENTAL_FINDING = "incidental-finding"
    PERSON_ASKED = "person-asked"
    LEGAL_ORDER = "legal-order"
    DATA_ERROR = "data-error"


class _Person(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,39}$")]
    public_key: Path


class _People(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    person: Annotated[list[_Person], Field(min_length=2)]


@dataclass(frozen=True, slots=True)
class Request:
    """A request to resolve a pseudonym, with the signatures it has so far, in hexadecimal."""

    id: str
    pseudonym: str
    reason: str
    ticket: str
    asked_by: str
    asked_at: str
    signature: str
    approved_by: str = ""
    approved_at: str = ""
    approval: str = ""
    used_at: str = ""

    @property
    def digest(self) -> Sha256:
        """Return the content id of what was asked: what the audit log names."""
        return Sha256.of(self.question)

    @property
    def question(self) -> bytes:
        """Return what the one who asks signs."""
        names = ("id", "pseudonym", "reason", "ticket", "asked_by", "asked_at")
        return canonical({name: getattr(self, name) for name in names})

    @property
    def answer(self) -> bytes:
        """Return what the one who approves signs: the question and its signature."""
        return canonical(
            {
                "question": str(self.digest),
                "signature": self.signature,
                "approved_by": self.approved_by,
                "approved_at": self.approved_at,
            }
        )


class Reveals:
    """The requests of one data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.folder = data / FOLDER

    def ask(
        self,
        pseudonym: str,
        *,
        reason: Reason,
        ticket: str,
        by: str,
        signer: Signer,
        now: datetime,
    ) -> Request:
        """Write a signed request and return it.

        Raises
        ------
        PseudonymSpellingError, PeopleFileError
            If it is no pseudonym, or people.toml is not understood.
        RevealRefusedError
            If the ticket is not one, or the person or the key is not known.
        """
        if not PSEUDONYM.fullmatch(pseudonym):
            raise PseudonymSpellingError()
        _require(
            TICKET.fullmatch(ticket),
            Text(
                en="a ticket is 1 to 40 letters, digits and hyphens",
                zh="單號須為 1 至 40 個英文字母、數字或連字號",
            ),
        )
        self._check_signer(by, signer)
        draft = Request(
            id=secrets.token_hex(8),
            pseudonym=pseudonym,
            reason=reason.value,
            ticket=ticket,
            asked_by=by,
            asked_at=now.isoformat(timespec="seconds"),
            signature="",
        )
        request = replace(draft, signature=_sign(signer, draft.question))
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new(self._path(request.id), _bytes_of(request))
        return request

    def approve(self, request_id: str, *, by: str, signer: Signer, now: datetime) -> Request:
        """Add a second person's signature and return the request.

        Raises
        ------
        RevealRefusedError
            If it is not theirs to approve, or not open any more.
        """
        request = self._open(request_id, now)
        _require(not request.approved_by, Text(en="it was approved before", zh="先前已核准"))
        _require(
            by != request.asked_by,
            Text(en="the one who asked cannot approve", zh="申請人不得自行核准"),
        )
        self._check_signer(by, signer)
        _require(
            signer.keyid != self._key_of(request.asked_by).keyid,
            Text(en="both persons have the same key", zh="兩人的金鑰相同"),
        )
        at = now.isoformat(timespec="seconds")
        draft = replace(request, approved_by=by, approved_at=at)
        approved = replace(draft, approval=_sign(signer, draft.answer))
        write_atomic(self._path(request_id), _bytes_of(approved))
        return approved

    def reveal(
        self, request_id: str, candidates: Sequence[str], *, by: str, signer: Signer, now: datetime
    ) -> tuple[Request, str]:
        """Return the request, now used, and the candidate whose pseudonym it is.

        Parameters
        ----------
        candidates
            Patient IDs, each with its issuer after a tab where the images have one.

        Raises
        ------
        RevealRefusedError
            If it is not approved, has expired, was used, or `by` is neither of the two.
        CandidateMissingError
            If none of the candidates has the pseudonym; the request stays open.
        """
        request = self._open(request_id, now)
        _require(bool(request.approved_by), Text(en="nobody has approved it", zh="尚未有人核准"))
        _require(
            by in (request.asked_by, request.approved_by),
            Text(en="only the two who signed may", zh="僅限申請人與核准人"),
        )
        self._check_signer(by, signer)
        names = Pseudonyms.open(self.data / KEY_FILE)
        for line in candidates:
            patient, _, issuer = line.partition("\t")
            sources = {patient_source(patient, issuer), patient_source(patient)}
            if any(request.pseudonym in names.patient_over_time(one) for one in sources):
                used = replace(request, used_at=now.isoformat(timespec="seconds"))
                write_atomic(self._path(request_id), _bytes_of(used))
                return used, patient
        raise CandidateMissingError(count=len(candidates))

    def listed(self) -> list[Request]:
        """Return every request, oldest first, signatures not checked."""
        found = [self._read(path.stem) for path in self.folder.glob("*.json")]
        return sorted(found, key=lambda one: (one.asked_at, one.id))

    def _open(self, request_id: str, now: datetime) -> Request:
        """Return a request that may still be used, both signatures checked."""
        _require(_ID.fullmatch(request_id), Text(en="there is no such request", zh="沒有這份申請"))
        request = self._read(request_id)
        asked = datetime.fromisoformat(request.asked_at)
        _require(asked <= now < asked + VALID_FOR, Text(en="it has expired", zh="已過期"))
        _require(not request.used_at, Text(en="it was used before", zh="先前已使用"))
        self._verify(request.asked_by, request.signature, request.question)
        if request.approved_by:
            self._check_two(request)
            self._verify(request.approved_by, request.approval, request.answer)
        return request

    def _check_two(self, request: Request) -> None:
        """Refuse one person under two names, also where people.toml was changed since."""
        asked, approved = request.asked_by, request.approved_by
        is_same = self._key_of(asked).keyid == self._key_of(approved).keyid
        _require(
            asked != approved and not is_same,
            Text(en="both signatures are of one person", zh="兩份簽章屬於同一人"),
        )

    def _verify(self, name: str, signature: str, message: bytes) -> None:
        try:
            self._key_of(name).verify(bytes.fromhex(signature), pae(PAYLOAD_TYPE, message))
        except (BadSignatureError, ValueError) as error:
            raise RevealRefusedError(
                why=Text(en=f"the signature of {name} does not fit", zh=f"{name} 的簽章不符")
            ) from error

    def _check_signer(self, name: str, signer: Signer) -> None:
        _require(
            signer.keyid == self._key_of(name).keyid,
            Text(en=f"the key is not the one of {name}", zh=f"金鑰不屬於 {name}"),
        )

    def _key_of(self, name: str) -> PublicKey:
        for person in _people(self.data).person:
            if person.name == name:
                return _public_key(self.data.parent / person.public_key)
        raise RevealRefusedError(
            why=Text(en="the person is not in people.toml", zh="people.toml 中沒有此人員")
        )

    def _read(self, request_id: str) -> Request:
        try:
            return Request(**json.loads(self._path(request_id).read_bytes()))
        except FileNotFoundError as error:
            raise RevealRefusedError(
                why=Text(en="there is no such request", zh="沒有這份申請")
            ) from error
        except (OSError, ValueError, TypeError) as error:
            raise RevealRefusedError(
                why=Text(en="the request cannot be read", zh="無法讀取申請")
            ) from error

    def _path(self, request_id: str) -> Path:
        return self.folder / f"{request_id}.json"


def reason_named(name: str) -> Reason:
    """Return the reason of that name; raises `RevealRefusedError` when there is none."""
    try:
        return Reason(name)
    except ValueError as error:
        known = ", ".join(reason.value for reason in Reason)
        raise RevealRefusedError(
            why=Text(en=f"the reason is none of {known}", zh=f"事由須為 {known} 之一")
        ) from error


def _people(data: Path) -> _People:
    try:
        content = (data.parent / PEOPLE).read_bytes()
        people = _People.model_validate(parse_toml(content))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        raise PeopleFileError(problems="; ".join(problems)) from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise PeopleFileError(problems=why or "unreadable") from error
    if len({person.name for person in people.person}) < len(people.person):
        raise PeopleFileError(problems=Text(en="a name is listed twice", zh="有姓名重複"))
    return people


def _public_key(path: Path) -> PublicKey:
    try:
        return PublicKey.load(path)
    except KeyFileError as error:
        raise PeopleFileError(problems=error.say_what()) from error


def _sign(signer: Signer, message: bytes) -> str:
    return signer.sign(pae(PAYLOAD_TYPE, message)).hex()


def _bytes_of(request: Request) -> bytes:
    return json.dumps(asdict(request), sort_keys=True).encode()


def _require(holds: object, why: Text) -> None:
    if not holds:
        raise RevealRefusedError(why=why)
