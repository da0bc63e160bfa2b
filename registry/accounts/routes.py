"""Log-in, sessions, enrolment, passkeys, tokens and accounts over HTTP.

Who may use which route is in `registry.api.rules`; here is only what they do. Slow work
(argon2id, the database, the identity provider) runs in threads.
"""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse

from federation.errors.registry import RequestInvalidError
from federation.wording import Text
from registry.accounts.bodies import (
    AccountAsked,
    EnrolmentAsked,
    EnrolmentStarted,
    LogInAsked,
    PasskeyAnswer,
    SignatureKeyAsked,
    TokenAsked,
    documented,
    read,
)
from registry.accounts.identity import ANSWER_PATH, Identity
from registry.accounts.people import Invitation
from registry.accounts.ports import COOKIE, Opened, address_of, caller_of, carry, drop
from registry.accounts.service import Accounts
from registry.api.access import author_of

MAX_PAGE = 200
STATE_COOKIE = "__Host-trifed-identity"
_STATE_LASTS_S = 600
_NO_PROVIDER = "no identity provider is set up here"
_WELCOME = Text(en="You are logged in. Go on", zh="您已登入,請繼續")

Name = Annotated[str, Path(max_length=120)]


def account_routes(accounts: Accounts) -> APIRouter:
    """Return all routes of this noun."""
    router = APIRouter(prefix="/v1")
    _add_sessions(router, accounts)
    _add_passkeys(router, accounts)
    _add_identity(router, accounts.identity)
    _add_enrolment(router, accounts)
    _add_tokens(router, accounts)
    _add_signature_keys(router, accounts)
    _add_accounts(router, accounts)
    return router


def _add_sessions(router: APIRouter, accounts: Accounts) -> None:
    @router.post(
        "/session",
        tags=["session"],
        summary="Log in with password and code",
        openapi_extra=documented(LogInAsked),
    )
    async def log_in(request: Request, response: Response) -> dict[str, object]:
        asked = await read(request, LogInAsked)
        opened = await run_in_threadpool(
            accounts.log_ins.log_in,
            asked.name,
            asked.password,
            asked.code,
            address=address_of(request),
            earlier=request.cookies.get(COOKIE),
        )
        return _carried(response, opened)

    @router.get("/session", tags=["session"], summary="Who is asking, and in which roles")
    def show_session(request: Request) -> dict[str, object]:
        caller = caller_of(request)
        return {
            "account": caller.account,
            "means": caller.means.value,
            "roles": sorted(role.value for role in caller.roles),
            "organisation": caller.organisation,
            "centre": caller.centre.value if caller.centre else None,
            "scopes": sorted(scope.value for scope in caller.scopes),
            "csrf": caller.csrf,
        }

    @router.delete("/session", tags=["session"], status_code=204, summary="Log out")
    async def log_out(request: Request) -> Response:
        await run_in_threadpool(accounts.log_ins.log_out, caller_of(request).secret)
        return _ended()

    @router.delete("/sessions", tags=["session"], status_code=204, summary="Log out everywhere")
    async def log_out_everywhere(request: Request) -> Response:
        await run_in_threadpool(accounts.log_ins.log_out_everywhere, _name(request))
        return _ended()


def _add_passkeys(router: APIRouter, accounts: Accounts) -> None:
    @router.post("/session/passkey-question", tags=["session"], summary="Begin a log-in by passkey")
    async def ask_to_log_in() -> Any:
        return json.loads(await run_in_threadpool(accounts.passkeys.question_to_log_in))

    @router.post(
        "/session/passkey",
        tags=["session"],
        summary="Log in by passkey",
        openapi_extra=documented(PasskeyAnswer),
    )
    async def log_in_by_passkey(request: Request, response: Response) -> dict[str, object]:
        asked = await read(request, PasskeyAnswer)
        opened = await run_in_threadpool(
            accounts.passkeys.log_in,
            asked.credential,
            address=address_of(request),
            earlier=request.cookies.get(COOKIE),
        )
        return _carried(response, opened)

    @router.post("/passkeys/question", tags=["account"], summary="Begin to add a passkey")
    async def ask_to_add(request: Request) -> Any:
        return json.loads(
            await run_in_threadpool(accounts.passkeys.question_to_add, _name(request))
        )

    @router.post(
        "/passkeys",
        tags=["account"],
        status_code=204,
        summary="Add a passkey",
        openapi_extra=documented(PasskeyAnswer),
    )
    async def add_passkey(request: Request) -> Response:
        asked = await read(request, PasskeyAnswer)
        await run_in_threadpool(
            accounts.passkeys.add, _name(request), asked.credential, label=asked.label
        )
        return Response(status_code=204)


def _add_identity(router: APIRouter, identity: Identity | None) -> None:
    @router.get("/session/identity", tags=["session"], summary="Log in at the identity provider")
    async def begin() -> Response:
        asked = await run_in_threadpool(_there(identity).ask)
        response = RedirectResponse(asked.address, 303)
        response.set_cookie(
            STATE_COOKIE,
            asked.state,
            max_age=_STATE_LASTS_S,
            path="/",
            secure=True,
            httponly=True,
            samesite="lax",  # it must come with the provider's redirect
        )
        return response

    @router.get(ANSWER_PATH.removeprefix("/v1"), tags=["session"], summary="The provider's answer")
    async def finish(
        request: Request,
        code: Annotated[str, Query(max_length=4096)] = "",
        state: Annotated[str, Query(max_length=4096)] = "",
    ) -> Response:
        opened = await run_in_threadpool(
            _there(identity).answer,
            code=code,
            state=state,
            kept=request.cookies.get(STATE_COOKIE),
            address=address_of(request),
            earlier=request.cookies.get(COOKIE),
        )
        response = HTMLResponse(_ONWARDS)
        carry(response, opened)
        response.delete_cookie(STATE_COOKIE, path="/", secure=True, httponly=True)
        return response


_ONWARDS = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">'
    f'<title>TriFed</title><p><a href="/">{_WELCOME.en} / {_WELCOME.zh}</a></p>'
)
"""A page of our own, so that the browser's next request is ours and carries the strict cookie."""


def _add_enrolment(router: APIRouter, accounts: Accounts) -> None:
    @router.post(
        "/enrolment/start",
        tags=["account"],
        summary="Show the seed of one-time codes for an invitation",
        openapi_extra=documented(EnrolmentStarted),
    )
    async def start(request: Request) -> dict[str, object]:
        asked = await read(request, EnrolmentStarted)
        found = await run_in_threadpool(accounts.people.start_enrolment, asked.secret)
        return {"name": found.name, "seed": found.seed, "address": found.address}

    @router.post(
        "/enrolment",
        tags=["account"],
        summary="Set password and codes for an invitation",
        openapi_extra=documented(EnrolmentAsked),
    )
    async def enrol(request: Request) -> dict[str, object]:
        asked = await read(request, EnrolmentAsked)
        codes = await run_in_threadpool(
            accounts.people.enrol, asked.secret, password=asked.password, code=asked.code
        )
        return {"recovery_codes": codes}


def _add_tokens(router: APIRouter, accounts: Accounts) -> None:
    @router.get("/tokens", tags=["account"], summary="List one's own API tokens")
    def list_tokens(request: Request) -> dict[str, object]:
        return {"items": [one.as_json() for one in accounts.tokens.of(_name(request))]}

    @router.post(
        "/tokens",
        tags=["account"],
        status_code=201,
        summary="Make an API token; its secret is shown this once",
        openapi_extra=documented(TokenAsked),
    )
    async def make_token(request: Request) -> dict[str, object]:
        asked, name = await read(request, TokenAsked), _name(request)
        made = await run_in_threadpool(
            accounts.tokens.make,
            name,
            label=asked.label,
            scopes=asked.scopes,
            days=asked.days,
            by=name,
        )
        return made.token.as_json() | {"secret": made.secret}

    @router.delete(
        "/tokens/{id}", tags=["account"], status_code=204, summary="Revoke one of one's tokens"
    )
    def revoke_token(request: Request, id: Name) -> Response:
        accounts.tokens.revoke(_name(request), id, by=_name(request))
        return Response(status_code=204)


def _add_signature_keys(router: APIRouter, accounts: Accounts) -> None:
    keys = accounts.signature_keys

    @router.get("/signature-keys", tags=["account"], summary="List one's own keys for signatures")
    def list_keys(request: Request) -> dict[str, object]:
        found = [one.as_json() for one in keys.of(_name(request))]
        return {"register": keys.register, "items": found}

    @router.post(
        "/signature-keys",
        tags=["account"],
        status_code=201,
        summary="Add a key that signs on one's own machine",
        openapi_extra=documented(SignatureKeyAsked),
    )
    async def add_key(request: Request) -> dict[str, object]:
        asked, name = await read(request, SignatureKeyAsked), _name(request)
        made = await run_in_threadpool(keys.add, name, asked.claim, days=asked.days)
        return made.as_json()

    @router.delete(
        "/signature-keys/{id}",
        tags=["account"],
        status_code=204,
        summary="Revoke one of one's keys; what it signed before stays good",
    )
    def revoke_key(request: Request, id: Name) -> Response:
        keys.revoke(_name(request), id, by=_name(request))
        return Response(status_code=204)


def _add_accounts(router: APIRouter, accounts: Accounts) -> None:
    people = accounts.people

    @router.get("/accounts", tags=["accounts"], summary="List accounts by name")
    def list_accounts(
        after: Annotated[str, Query(max_length=120)] = "",
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    ) -> dict[str, object]:
        found = people.page(after=after, limit=limit + 1)
        more = found[limit - 1].name if len(found) > limit else None
        return {"items": [one.as_json() for one in found[:limit]], "next": more}

    @router.get("/accounts/{name}", tags=["accounts"], summary="Show one account")
    def show_account(name: Name) -> dict[str, object]:
        return people.get(name).as_json()

    @router.post(
        "/accounts",
        tags=["accounts"],
        status_code=201,
        summary="Propose an account; another person confirms it",
        openapi_extra=documented(AccountAsked),
    )
    async def propose(request: Request) -> dict[str, object]:
        asked, author = await read(request, AccountAsked), author_of(request)
        made: Invitation = await run_in_threadpool(people.propose, asked.wanted(), by=author)
        return made.account.as_json() | {"enrolment": made.secret}

    @router.post(
        "/accounts/{name}/confirmation", tags=["accounts"], summary="Confirm a proposed account"
    )
    async def confirm(request: Request, name: Name) -> dict[str, object]:
        found = await run_in_threadpool(people.confirm, name, by=author_of(request))
        return found.as_json()

    @router.delete("/accounts/{name}", tags=["accounts"], summary="Shut an account for ever")
    async def shut(request: Request, name: Name) -> dict[str, object]:
        author = author_of(request)
        return (await run_in_threadpool(people.shut, name, by=author.person)).as_json()


def _carried(response: Response, opened: Opened) -> dict[str, object]:
    carry(response, opened)
    session = opened.session
    roles = sorted(role.value for role in session.roles)
    return {"account": session.account, "roles": roles, "csrf": session.csrf}


def _ended() -> Response:
    response = Response(status_code=204)
    drop(response)
    return response


def _name(request: Request) -> str:
    """Return the caller's account; `Access` lets only known callers come here."""
    name = caller_of(request).account
    assert name is not None
    return name


def _there(identity: Identity | None) -> Identity:
    if identity is None:
        raise RequestInvalidError(why=_NO_PROVIDER)
    return identity
