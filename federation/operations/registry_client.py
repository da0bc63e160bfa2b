"""Speak to the register over HTTP, in this process or across a network: one code path.

`embedded_registry.embedded_client` gives a client of the register embedded in a
centre's home; `RegistryClient.at` one of a register elsewhere. A coded refusal
of the register is raised here as the same error.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from federation.errors import PlatformError, ProblemsFound, error_of_code
from federation.errors.registry import EntryNotFoundError, RegistryAnswerError
from federation.errors.signed import NotCanonicalError
from federation.evidence.canonical import parse
from federation.evidence.inclusion import ShownEntry
from federation.evidence.model_version import Candidate

_TIMEOUT_S = 60.0
_MAX_ANSWER_BYTES = 64 * 2**20
_SPELLABLE = re.compile(r"[A-Za-z0-9.-]{1,60}")


@dataclass(frozen=True, slots=True)
class Registered:
    """What a registration made: the full entry id, the model's id and the version."""

    entry: str
    id: str
    version: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the list; every item is a line as plain JSON, newest first."""

    total: int
    items: tuple[dict[str, object], ...]


class RegistryClient:
    """A connection to one register; use it in `async with`."""

    def __init__(self, http: httpx.AsyncClient, *, token: str | None = None) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    @classmethod
    def at(cls, address: str, *, token: str | None = None) -> Self:
        """Return a client of the register at a base URL."""
        return cls(httpx.AsyncClient(base_url=address, timeout=_TIMEOUT_S), token=token)

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def register(self, candidate: Candidate) -> Registered:
        """Register a trained model; doing it twice gives the same entry.

        Raises
        ------
        RegistryAnswerError
            If the register cannot be reached.
        PlatformError
            What the register refused with.
        """
        content = candidate.model_dump_json().encode()
        headers = {"Content-Type": "application/json"}
        answer = await self._ask("POST", "/v1/model-versions", content=content, headers=headers)
        match answer:
            case {"entry": str(entry), "id": str(model), "version": str(version)}:
                return Registered(entry, model, version)
        raise self._unusable("not a registration")

    async def list(self, *, offset: int = 0, limit: int = 50) -> Listing:
        """Return a page of the registered versions."""
        path = f"/v1/model-versions?offset={offset:d}&limit={limit:d}"
        match await self._ask("GET", path):
            case {"total": int(total), "items": list(items)}:
                return Listing(total, tuple(item for item in items if isinstance(item, dict)))
        raise self._unusable("not a list")

    async def show(self, entry: str) -> ShownEntry:
        """Return one entry, unverified; see `federation.evidence.inclusion.verify_entry`.

        Raises
        ------
        EntryNotFoundError
            If the register has none of that name.
        """
        if not _SPELLABLE.fullmatch(entry):
            raise EntryNotFoundError(asked=repr(entry[:60]))
        match await self._ask("GET", f"/v1/model-versions/{entry}"):
            case {
                "entry": str(found),
                "record": dict(record),
                "superseded_by": str() | None as newer,
                "evidence": {
                    "envelope": str(envelope),
                    "inclusion": inclusion,
                    "checkpoint": str(checkpoint),
                },
            }:
                return ShownEntry(found, record, newer, envelope, inclusion, checkpoint)
        raise self._unusable("not an entry")

    async def checkpoint(self) -> str:
        """Return the log's newest signed state; keep it to notice a rollback later."""
        match await self._ask("GET", "/v1/evidence/checkpoint"):
            case {"checkpoint": str(note)}:
                return note
        raise self._unusable("not a checkpoint")

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> object:
        headers = {**self._headers, **(headers or {})}
        try:
            response = await self._http.request(method, path, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise self._unusable(type(error).__name__) from error
        if len(response.content) > _MAX_ANSWER_BYTES:
            raise self._unusable("an answer too large")
        try:
            answer = parse(response.content)
        except NotCanonicalError as error:
            raise self._unusable(f"status {response.status_code} without JSON") from error
        if response.is_success:
            return answer
        raise _error_of(answer) or self._unusable(f"status {response.status_code}")

    def _unusable(self, why: str) -> RegistryAnswerError:
        return RegistryAnswerError(address=str(self._http.base_url), why=why)


def _error_of(problem: object) -> PlatformError | None:
    """Return the error a problem stands for, None when it is not one of ours."""
    match problem:
        case {"code": str(), "problems": list(parts)}:
            return ProblemsFound([found for part in parts if (found := _error_of(part))])
        case {"code": str(code), "values": dict(values)}:
            kind = error_of_code(code)
            return _made(kind, values) if kind else None
    return None


def _made(kind: type[PlatformError], values: dict[str, object]) -> PlatformError | None:
    try:
        return kind(**values)
    except TypeError:  # another version's fields, or an error made from something else
        return None
