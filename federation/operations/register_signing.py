"""Sign at a register with a key of one's own, on one's own machine.

    with SigningDesk.of("https://register.example:8480", authority=Path("ca.crt")) as desk:
        desk.log_in("hal", password=..., code=...)
        desk.add_key(signer, days=365)                       # once for each key
        shown = desk.look("deployment", "d-1")               # what will be signed
        desk.sign(signer, shown, move="D2", role="HAC", reason="…")

The private key never leaves the machine: the register gets a claim of it, and one signed
statement for each move (`registry.records.statements.SignOff`), which a bundle holds.
"""

import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx

from federation.domain.ids import Sha256
from federation.errors.registry import RegistryAnswerError
from federation.errors.signed import NotCanonicalError
from federation.evidence.canonical import canonical, digest_of, parse
from federation.evidence.characters import unseen_in
from federation.evidence.person_key import claim_key
from federation.evidence.signing import Signer
from federation.operations.register_enrolment import error_of

_TIMEOUT_S = 30.0
_MAX_BYTES = 4 * 2**20
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,79}")
"""A state or role: it goes to the person's terminal, so a register can write nothing else there."""


@dataclass(frozen=True, slots=True)
class ShownRecord:
    """A record's newest revision as the register showed it, its digest computed here."""

    path: str
    noun: str
    id: str
    revision: int
    digest: Sha256
    state: str
    body: dict[str, object]


class SigningDesk:
    """One person's session at a register; use it in `with`, which ends the session."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._person: str | None = None

    @classmethod
    def of(cls, address: str, *, authority: Path | None) -> Self:
        """Return it for a register at an https address.

        Raises
        ------
        RegistryAnswerError
            If the address is another.
        """
        if not address.startswith("https://"):
            raise RegistryAnswerError(address=address[:80], why="not an https address")
        trust = ssl.create_default_context(cafile=authority)
        return cls(httpx.Client(base_url=address, verify=trust, timeout=_TIMEOUT_S))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the session, if one was opened, and close the connection."""
        try:
            if self._person is not None and not isinstance(error, RegistryAnswerError):
                self._ask("DELETE", "/v1/session")
        finally:
            self._http.close()

    def log_in(self, name: str, *, password: str, code: str) -> None:
        """Open a session; raises what the register refused with."""
        answer = self._ask("POST", "/v1/session", name=name, password=password, code=code)
        match answer:
            case {"account": str(account), "csrf": str(csrf)}:
                self._person = account
                self._http.headers["x-csrf-token"] = csrf
            case _:
                raise self._unusable("no session")

    def add_key(self, signer: Signer, *, days: int) -> str:
        """Add a key to one's account; return its id. Raises what the register refused with."""
        assert self._person is not None  # logged in
        match self._ask("GET", "/v1/signature-keys"):
            case {"register": str(register), **_rest}:
                at = _moment()
                claim = claim_key(signer, person=self._person, register=Sha256(register), at=at)
            case _:
                raise self._unusable("it does not say which register it is")
        match self._ask("POST", "/v1/signature-keys", claim=claim, days=days):
            case {"id": str(id), **_more}:
                return id
        raise self._unusable("the key was not added")

    def revoke_key(self, id: str) -> None:
        """Let a key sign nothing more; what it signed before stays good."""
        self._ask("DELETE", f"/v1/signature-keys/{id}")

    def look(self, noun: str, id: str) -> ShownRecord:
        """Return a record as it is now; raises what the register refused with.

        Raises
        ------
        RegistryAnswerError
            If the answer is another record, its content has another digest, or it holds
            characters that change what is seen of it.
        """
        path = f"/v1/{_path_of(noun)}/{quote(id, safe='')}"
        match self._ask("GET", path):
            case {
                "noun": str(named),
                "id": str(shown),
                "revision": int(revision),
                "state": str(state),
                "digest": str(digest),
                "body": dict(body),
                **_rest,
            } if (named, shown) == (noun, id) and digest_of(body) == digest:
                if unseen_in(body) or not _WORD.fullmatch(state):
                    raise self._unusable("characters that are not seen")
                return ShownRecord(path, noun, id, revision, Sha256(digest), state, body)
        raise self._unusable("another record, or its digest does not fit")

    def sign(
        self, signer: Signer, record: ShownRecord, *, move: str, role: str, reason: str
    ) -> dict[str, object]:
        """Sign a move of exactly this revision and send it; return what the register answered."""
        from registry.records.statements import SignOff, sign_off
        from registry.roles import role_named

        given = SignOff(
            record.noun,
            record.id,
            record.revision,
            record.digest,
            move,
            role_named(role),
            reason,
            _moment(),
        )
        signature = sign_off(given, signer)
        headers = {"if-match": f'"{record.revision}"', "x-role": role}
        asked = {"move": move, "reason": reason, "signature": signature}
        match self._ask("POST", f"{record.path}/moves", headers, **asked):
            case {"record": {"state": str(state), **after}, "missing": list(missing)} if (
                _WORD.fullmatch(state) and all(_are_roles(seat) for seat in missing)
            ):
                return {"record": {**after, "state": state}, "missing": missing}
        raise self._unusable("not a move")

    def _ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, **body: object
    ) -> object:
        content = canonical(body) if body else None
        sent = {"content-type": "application/json"} | (headers or {})
        try:
            with self._http.stream(method, path, content=content, headers=sent) as answer:
                came = self._read(answer)
            found = parse(came) if came else None
        except (httpx.HTTPError, NotCanonicalError) as error:
            raise self._unusable(type(error).__name__) from error
        if answer.is_success:
            return found
        raise error_of(found) or self._unusable(f"status {answer.status_code}")

    def _read(self, answer: httpx.Response) -> bytes:
        """Return an answer's content; stops where it is more than any record."""
        came = bytearray()
        for piece in answer.iter_bytes():
            came += piece
            if len(came) > _MAX_BYTES:
                raise self._unusable("it is too large")
        return bytes(came)

    def _unusable(self, why: str) -> RegistryAnswerError:
        return RegistryAnswerError(address=str(self._http.base_url), why=why)


def _are_roles(seat: object) -> bool:
    """Say whether the roles of a seat are what the register calls roles."""
    return isinstance(seat, list) and all(
        isinstance(role, str) and _WORD.fullmatch(role) for role in seat
    )


def _moment() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _path_of(noun: str) -> str:
    """Return where the records of a noun are; raises `RecordNotFoundError` for an unknown one."""
    from registry.api.rules import VERSION_PATH
    from registry.nouns import PLURALS, noun_named

    if noun == "model-version":
        return VERSION_PATH
    return PLURALS.get(noun_named(noun).name, f"{noun}s")
