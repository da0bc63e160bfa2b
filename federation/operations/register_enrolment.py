"""Enrol at a register with an invitation file, over TLS that the centre's authority vouches for."""

import ssl
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from federation.errors import PlatformError, error_of_code
from federation.errors.access import EnrolmentRefusedError
from federation.errors.registry import RegistryAnswerError
from federation.errors.signed import NotCanonicalError
from federation.evidence.canonical import parse

_TIMEOUT_S = 30.0
_MAX_BYTES = 4096


class Enrolling:
    """One invitation being taken up; use it in `with`."""

    def __init__(self, http: httpx.Client, secret: str) -> None:
        self._http = http
        self._secret = secret

    @classmethod
    def of(cls, content: bytes, *, authority: Path | None) -> Self:
        """Return it for the bytes of an invitation file.

        Raises
        ------
        EnrolmentRefusedError
            If it is none, or names a register without https.
        """
        try:
            invitation = parse(content[: _MAX_BYTES + 1])
        except NotCanonicalError as error:
            raise EnrolmentRefusedError() from error
        match invitation:
            case {"register": str(address), "secret": str(secret), **_rest}:
                if address.startswith("https://"):
                    trust = ssl.create_default_context(cafile=authority)
                    return cls(
                        httpx.Client(base_url=address, verify=trust, timeout=_TIMEOUT_S), secret
                    )
        raise EnrolmentRefusedError()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self._http.close()

    def start(self) -> dict[str, str]:
        """Return name, seed and `otpauth` address; raises what the register refused with."""
        match self._ask("/v1/enrolment/start", {}):
            case {"name": str(name), "seed": str(seed), "address": str(address)}:
                return {"name": name, "seed": seed, "address": address}
        raise self._unusable("not a seed")

    def finish(self, *, password: str, code: str) -> list[str]:
        """Return the recovery codes; raises what the register refused with."""
        match self._ask("/v1/enrolment", {"password": password, "code": code}):
            case {"recovery_codes": list(codes)}:
                return [str(one) for one in codes]
        raise self._unusable("no recovery codes")

    def _ask(self, path: str, body: dict[str, str]) -> object:
        try:
            answer = self._http.post(path, json={"secret": self._secret} | body)
            found = parse(answer.content)
        except (httpx.HTTPError, NotCanonicalError) as error:
            raise self._unusable(type(error).__name__) from error
        if answer.is_success:
            return found
        raise error_of(found) or self._unusable(f"status {answer.status_code}")

    def _unusable(self, why: str) -> RegistryAnswerError:
        return RegistryAnswerError(address=str(self._http.base_url), why=why)


def error_of(problem: object) -> PlatformError | None:
    """Return the error that a problem of the register stands for, None if it is none."""
    match problem:
        case {"code": str(code), "values": dict(values)}:
            kind = error_of_code(code)
            try:
                return None if kind is None else kind(**values)
            except TypeError:  # another version's fields
                return None
    return None
