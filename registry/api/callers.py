"""Find out once, before any route, who sends a request.

Read in this order, and only the first that is there: the header `Authorization: Bearer`,
the client certificate that the TLS layer checked, the session's cookie. A token that does
not hold makes nobody of the caller, whatever else there is; a certificate that no account
has, for example of a hospital's node, is as none.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from federation.errors import PlatformError
from registry.accounts.ports import COOKIE, NOBODY, Caller
from registry.problems import answer

CERTIFICATE = "client_certificate"
"""Where the server puts the DER bytes of a client certificate it has checked (scope's state)."""

_PRESENT: ContextVar[Caller] = ContextVar("caller", default=NOBODY)


class KnowsCallers(Protocol):
    """Tells who a secret or certificate belongs to."""

    def of_session(self, secret: str) -> Caller:
        """Return who a session's secret belongs to, or nobody."""

    def of_token(self, secret: str) -> Caller:
        """Return who a token belongs to, or nobody."""

    def of_certificate(self, der: bytes) -> Caller:
        """Return whose a certificate is, or nobody."""


def present_caller() -> Caller:
    """Return who sends the request that is being answered."""
    return _PRESENT.get()


@dataclass(frozen=True, slots=True)
class _Shown:
    token: str | None
    certificate: bytes | None
    cookie: str | None


class Callers:
    """Middleware: puts the caller into the request's state."""

    def __init__(self, app: ASGIApp, *, knows: KnowsCallers) -> None:
        self._app = app
        self._knows = knows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its caller."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            caller = await self._found(_shown(scope))
        except PlatformError as error:  # the database, or an account edited behind its back
            await answer(error)(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        token = _PRESENT.set(caller)
        try:
            await self._app(scope, receive, send)
        finally:
            _PRESENT.reset(token)

    async def _found(self, shown: _Shown) -> Caller:
        if shown.token is not None:
            return await run_in_threadpool(self._knows.of_token, shown.token)
        if shown.certificate is not None:
            found = await run_in_threadpool(self._knows.of_certificate, shown.certificate)
            if found.is_known or shown.cookie is None:
                return found
        if shown.cookie is not None:
            return await run_in_threadpool(self._knows.of_session, shown.cookie)
        return NOBODY


def _shown(scope: Scope) -> _Shown:
    headers = Headers(scope=scope)
    given = headers.get("authorization")
    kind, _, token = (given or "").partition(" ")
    state = scope.get("state") or {}
    return _Shown(
        None if given is None else token.strip() * (kind.casefold() == "bearer"),
        state.get(CERTIFICATE),
        cookie_of(headers.get("cookie", "")),
    )


def cookie_of(header: str) -> str | None:
    """Return the session's secret in a cookie header, None if it has none."""
    if len(header) > 8192:
        return None
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value
