"""Say every failure over HTTP as problem+json (RFC 9457) with the platform's code.

The body carries the error's fields too, so that a client raises the same error
in its reader's language. Also the two guards in front of every route: the
size of a request and the right to make it.
"""

import hashlib
import hmac
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from federation.errors import PlatformError, ProblemsFound
from federation.errors.access import (
    AccountKeyError,
    AccountMissingError,
    AccountTakenError,
    AccountTamperedError,
    EnrolmentRefusedError,
    ForeignFormError,
    IdentityRefusedError,
    LogInNeededError,
    LogInRefusedError,
    LogInThrottledError,
    RoleMissingError,
    TokenScopeError,
    TooManyRequestsError,
)
from federation.errors.moves import (
    MoveNotListedError,
    RecordNotFoundError,
    SeparationError,
    SignatureRefusedError,
    StaleRecordError,
)
from federation.errors.registry import (
    BusyRegisterError,
    EntryNotFoundError,
    NotAllowedError,
    RegisterDatabaseError,
    RequestInvalidError,
    RequestTooLargeError,
    RunRegisteredError,
)
from federation.errors.reports import PdfMissingError, ReportMissingError
from federation.errors.signed import LogRangeError, LogTamperedError
from federation.wording import Language, Text

MEDIA_TYPE = "application/problem+json"
STATUS: dict[type[PlatformError], HTTPStatus] = {
    NotAllowedError: HTTPStatus.UNAUTHORIZED,
    EntryNotFoundError: HTTPStatus.NOT_FOUND,
    LogRangeError: HTTPStatus.NOT_FOUND,
    RunRegisteredError: HTTPStatus.CONFLICT,
    RequestTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    RequestInvalidError: HTTPStatus.BAD_REQUEST,
    BusyRegisterError: HTTPStatus.SERVICE_UNAVAILABLE,
    LogTamperedError: HTTPStatus.INTERNAL_SERVER_ERROR,
    RegisterDatabaseError: HTTPStatus.INTERNAL_SERVER_ERROR,
    RecordNotFoundError: HTTPStatus.NOT_FOUND,
    ReportMissingError: HTTPStatus.NOT_FOUND,
    PdfMissingError: HTTPStatus.SERVICE_UNAVAILABLE,
    StaleRecordError: HTTPStatus.CONFLICT,
    MoveNotListedError: HTTPStatus.FORBIDDEN,
    SeparationError: HTTPStatus.FORBIDDEN,
    SignatureRefusedError: HTTPStatus.CONFLICT,
    LogInRefusedError: HTTPStatus.UNAUTHORIZED,
    LogInNeededError: HTTPStatus.UNAUTHORIZED,
    EnrolmentRefusedError: HTTPStatus.UNAUTHORIZED,
    IdentityRefusedError: HTTPStatus.UNAUTHORIZED,
    LogInThrottledError: HTTPStatus.TOO_MANY_REQUESTS,
    TooManyRequestsError: HTTPStatus.TOO_MANY_REQUESTS,
    RoleMissingError: HTTPStatus.FORBIDDEN,
    TokenScopeError: HTTPStatus.FORBIDDEN,
    ForeignFormError: HTTPStatus.FORBIDDEN,
    AccountMissingError: HTTPStatus.NOT_FOUND,
    AccountTakenError: HTTPStatus.CONFLICT,
    AccountKeyError: HTTPStatus.INTERNAL_SERVER_ERROR,
    AccountTamperedError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_BY_BEARER = (NotAllowedError, LogInNeededError)
"""What an `Authorization` header would help against."""


def problem_of(error: PlatformError) -> dict[str, object]:
    """Return the error as a problem, without its status."""
    problem: dict[str, object] = {
        "type": f"urn:trifed:error:{error.code}",
        "title": type(error).__name__,
        "detail": error.say(),
        "detail_zh_tw": error.say(Language.ZH_HANT_TW),
        "code": error.code,
        "docs": error.docs,
    }
    if isinstance(error, ProblemsFound):
        return problem | {"problems": [problem_of(part) for part in error.problems]}
    return problem | {"values": {name: _plain(value) for name, value in error.values.items()}}


def _plain(value: object) -> str:
    return value.say() if isinstance(value, Text) else str(value)


def answer(error: PlatformError, status: HTTPStatus | None = None) -> JSONResponse:
    """Return the response for an error; what has no status of its own is the sender's fault."""
    status = status or STATUS.get(type(error), HTTPStatus.UNPROCESSABLE_ENTITY)
    return JSONResponse(
        problem_of(error) | {"status": status.value},
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=_headers(error),
    )


def _headers(error: PlatformError) -> dict[str, str]:
    if isinstance(error, _BY_BEARER):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, (TooManyRequestsError, LogInThrottledError)):
        return {"Retry-After": str(error.values["seconds"])}
    if isinstance(error, BusyRegisterError):
        return {"Retry-After": "1"}
    return {}


async def answer_platform_error(_request: Request, error: Exception) -> Response:
    """Answer an error raised on purpose."""
    assert isinstance(error, PlatformError)
    return answer(error)


async def answer_http_error(_request: Request, error: Exception) -> Response:
    """Answer what the web framework refuses: unknown route, wrong method."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    return answer(RequestInvalidError(why=status.phrase.lower()), status)


async def answer_unexpected(_request: Request, _error: Exception) -> Response:
    """Answer a fault that nobody named; what it was stays in the service's own log."""
    return answer(RequestInvalidError(why="a fault"), HTTPStatus.INTERNAL_SERVER_ERROR)


async def answer_invalid_request(_request: Request, _error: Exception) -> Response:
    """Answer parameters that do not fit; what they were is not repeated."""
    return answer(RequestInvalidError(why="a parameter is out of range"))


class RequestLimit:
    """Refuse a request whose body is over `limit_bytes`, before it is held in memory."""

    def __init__(self, app: ASGIApp, *, limit_bytes: int) -> None:
        self._app = app
        self._limit = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._declared(scope) > self._limit:
            await answer(RequestTooLargeError(limit=self._limit))(scope, receive, send)
            return
        if _has_two_lengths(scope):
            refusal = answer(RequestInvalidError(why="its length is said twice"))
            refusal.headers["Connection"] = "close"
            await refusal(scope, receive, send)
            return
        await self._app(scope, self._counted(receive), send)

    def _declared(self, scope: Scope) -> int:
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        return max((int(value) for value in lengths if value.isdigit()), default=0)

    def _counted(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise RequestTooLargeError(limit=self._limit)
            return message

        return counted


def _has_two_lengths(scope: Scope) -> bool:
    """Say whether a request could end at two places (RFC 9112, 6.1): a way to hide one in it."""
    names = [name for name, _ in scope["headers"]]
    return b"transfer-encoding" in names and b"content-length" in names


class Guard:
    """Default-deny: a route that is not in `public` needs the service token."""

    def __init__(self, *, token: str, public: frozenset[tuple[str, str]]) -> None:
        self._token = hashlib.sha256(token.encode()).digest()
        self._public = public

    def __call__(self, request: Request) -> None:
        """Return if the request may be made.

        Raises
        ------
        NotAllowedError
            If it may not.
        """
        route = getattr(request.scope.get("route"), "path", "")
        if (request.method, route) in self._public:
            return
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        given = hashlib.sha256(token.encode()).digest()
        if kind != "Bearer" or not hmac.compare_digest(given, self._token):
            raise NotAllowedError()
