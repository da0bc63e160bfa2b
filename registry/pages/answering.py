"""Answer every refusal on a page's address with a page, not with problem+json."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from federation.errors import PlatformError, ProblemsFound
from federation.errors.access import LogInNeededError
from federation.errors.registry import RequestInvalidError
from federation.errors.signed import LogTamperedError
from federation.wording import Text
from registry.pages.rendering import Chrome, chrome_of, page
from registry.pages.typesetting import say, set_in
from registry.problems import STATUS

LOG_IN = "/console/login"
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_TITLES: dict[int, Text] = {
    400: Text(en="This address does not fit", zh="網址不正確"),
    403: Text(en="Not yours to do", zh="您沒有權限"),
    404: Text(en="Not found", zh="查無此項"),
    409: Text(en="Somebody was faster", zh="資料已有異動"),
    429: Text(en="Too many requests", zh="請求過於頻繁"),
    500: Text(en="This cannot be shown", zh="無法顯示"),
}
_OTHER = Text(en="That did not work", zh="無法完成")


class PageRoute(APIRoute):
    """A route whose refusals are pages in the visitor's language."""

    def get_route_handler(self) -> Handler:
        """Return the handler with its refusals turned into pages."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except LogInNeededError:
                return RedirectResponse(f"{LOG_IN}?next={quote(request.url.path)}", 303)
            except PlatformError as error:
                return refusal(request, error)
            except RequestValidationError:
                problem = RequestInvalidError(why="a parameter is out of range")
                return refusal(request, problem, HTTPStatus.BAD_REQUEST)
            except HTTPException as failure:
                status = HTTPStatus(failure.status_code)
                return refusal(request, RequestInvalidError(why=status.phrase.lower()), status)

        return answered


def refusal(request: Request, error: PlatformError, status: HTTPStatus | None = None) -> Response:
    """Return the page that says what was refused and what to do next."""
    status = status or status_of(error)
    private = request.url.path.startswith("/console")
    chrome = chrome_of(request, here="console" if private else "register", is_private=private)
    return page(
        request,
        "error.html",
        chrome,
        status,
        title=say(_TITLES.get(status, _OTHER), chrome.language),
        problems=problems_of(error, chrome),
        is_tampered=isinstance(error, LogTamperedError),
        back="/console" if private else "/register",
    )


def status_of(error: PlatformError) -> HTTPStatus:
    """Return the status an error is answered with."""
    return STATUS.get(type(error), HTTPStatus.UNPROCESSABLE_ENTITY)


def problems_of(error: PlatformError, chrome: Chrome) -> list[dict[str, str]]:
    """Return an error, or each of several, as what happened, what to do, and its code."""
    several = error.problems if isinstance(error, ProblemsFound) else [error]
    return [
        {
            "code": one.code,
            "what": set_in(chrome.language, one.say_what(chrome.language)),
            "next_step": set_in(chrome.language, one.say_next_step(chrome.language)),
        }
        for one in several
    ]
