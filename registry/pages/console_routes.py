"""The addresses of the reviewers' side: log-in, tasks, records with what holds them back, signing.

Who may come here at all is decided by `registry.api.access`; what somebody sees of the
records by `registry.api.visibility`. A page of somebody who is not logged in leads to the
log-in. Every form carries the session's token.
"""

import hmac
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse

from federation.errors import PlatformError
from federation.errors.access import ForeignFormError, LogInNeededError, RoleChoiceError
from federation.errors.moves import MoveNotListedError
from federation.errors.registry import RequestInvalidError
from registry.accounts.ports import (
    COOKIE,
    CSRF_FIELD,
    ROLE_FIELD,
    LogIn,
    Session,
    address_of,
    carry,
    drop,
    read_form,
    session_of,
)
from registry.api.access import check_own_site
from registry.api.rules import readers
from registry.models.version_card import NAME as VERSION
from registry.pages.answering import LOG_IN, problems_of, status_of
from registry.pages.console_views import (
    TaskView,
    noun_name,
    revision_view,
    row_view,
    state_named,
    state_shown,
    states_with_tasks,
    task_moves,
    task_view,
    title_of,
)
from registry.pages.desk import Desk
from registry.pages.lineage_views import everything, lineage_tree
from registry.pages.rendering import Chrome, chrome_of, page
from registry.pages.report_reading import has_report
from registry.pages.search import cleaned
from registry.pages.standing import MoveStanding, people_of, signing, standings
from registry.pages.views import entry_view
from registry.pages.visibility import is_public
from registry.records import sign_offs
from registry.records.ports import Query as Wanted
from registry.records.ports import StoredRecord
from registry.records.service import Moved
from registry.records.shapes import Noun
from registry.roles import Role

TASKS_PER_STATE = 20
ROWS = 50
CONSOLE = "/console"
_RECORD = "/console/records/{noun}/{id}"
_MOVE = _RECORD + "/moves/{number}"
_DONE = frozenset({"moved", "signed"})
Name = Annotated[str, Path(max_length=40)]
Id = Annotated[str, Path(max_length=120)]

PUBLIC_PLACES = frozenset({("GET", LOG_IN), ("POST", LOG_IN)})
"""(method, path) of what people use to come in."""


def add_console(router: APIRouter, desk: Desk, log_ins: LogIn) -> None:
    """Add the reviewers' pages."""
    _add_log_in(router, log_ins)
    _add_lists(router, desk)
    _add_record(router, desk)
    _add_signing(router, desk)


def _add_log_in(router: APIRouter, log_ins: LogIn) -> None:
    @router.get(LOG_IN)
    def form(request: Request, next: Annotated[str, Query(max_length=300)] = "") -> Response:
        if session_of(request) is not None:
            return RedirectResponse(_inside(next), 303)
        return _log_in_page(request, next=next)

    @router.post(LOG_IN)
    async def log_in(request: Request) -> Response:
        check_own_site(request)
        fields = await read_form(request)
        asked = fields.get("next", "")
        try:
            opened = await run_in_threadpool(
                log_ins.log_in,
                fields.get("name", ""),
                fields.get("password", ""),
                fields.get("code", "").replace(" ", ""),
                address=address_of(request),
                earlier=request.cookies.get(COOKIE),
            )
        except PlatformError as error:
            return _log_in_page(request, next=asked, error=error)
        response = RedirectResponse(_inside(asked), 303)
        carry(response, opened)
        return response

    @router.post("/console/logout")
    async def log_out(request: Request) -> Response:
        session = _session(request)
        _check_token(await read_form(request), session)
        await run_in_threadpool(log_ins.log_out, request.cookies.get(COOKIE, ""))
        response = RedirectResponse(LOG_IN + "?next=out", 303)
        drop(response)
        return response


def _add_lists(router: APIRouter, desk: Desk) -> None:
    @router.get(CONSOLE)
    def tasks(request: Request) -> HTMLResponse:
        session = _session(request)
        waiting, more = tasks_of(desk, session)
        kinds = [
            (noun.name, noun_name(noun.name))
            for noun in desk.nouns
            if readers(noun) & session.roles
        ]
        chrome = _chrome(request)
        return page(request, "tasks.html", chrome, tasks=waiting, more=more, kinds=kinds)

    @router.get("/console/records/{noun}")
    def records(
        request: Request,
        noun: Name,
        state: Annotated[str, Query(max_length=40)] = "",
        q: Annotated[str, Query(max_length=200)] = "",
        before: Annotated[int | None, Query(ge=0, le=10**15)] = None,
    ) -> HTMLResponse:
        kind = desk.named(noun, _session(request).roles)
        wanted = Wanted(noun, state=state or None, text=cleaned(q), before=before, limit=ROWS)
        found = desk.records.find(wanted)
        states = [str(one.value) for one in kind.moves.states]
        return page(
            request,
            "records.html",
            _chrome(request),
            noun=noun,
            name=noun_name(noun),
            rows=[row_view(record) for record in found.items],
            states=[(one, state_named(noun, one), one == state) for one in states],
            q=cleaned(q),
            older=_older(found.next, state=state, q=cleaned(q)),
        )


def _add_record(router: APIRouter, desk: Desk) -> None:
    @router.get(_RECORD)
    def record(request: Request, noun: Name, id: Id, done: str = "") -> HTMLResponse:
        session = _session(request)
        kind, history = _history(desk, session, noun, id)
        return page(
            request,
            "record.html",
            _chrome(request),
            **_shown(history),
            moves=_standings(desk, kind, history, session),
            content=history[-1].body,
            is_version=noun == VERSION,
            has_report=has_report(history[-1]),
            is_public=is_public(history),
            done=done if done in _DONE else "",
        )

    @router.get(_RECORD + "/history")
    def history(request: Request, noun: Name, id: Id) -> HTMLResponse:
        _, revisions = _history(desk, _session(request), noun, id)
        rows = [revision_view(one) for one in reversed(revisions)]
        return page(request, "history.html", _chrome(request), **_shown(revisions), rows=rows)

    @router.get(_RECORD + "/preview")
    def preview(request: Request, noun: Name, id: Id) -> HTMLResponse:
        _history(desk, _session(request), noun, id)
        if noun != VERSION:
            raise RequestInvalidError(why="only a model version has a public page")
        view = entry_view(desk.reading.any(id))
        return page(request, "entry.html", _chrome(request), view=view)

    @router.get(_RECORD + "/lineage")
    def lineage(request: Request, noun: Name, id: Id) -> HTMLResponse:
        _history(desk, _session(request), noun, id)
        if noun != VERSION:
            raise RequestInvalidError(why="only a model version has a lineage")
        graph = desk.lineage.of_entry(id, told=desk.records.tells).graph
        return page(
            request,
            "lineage.html",
            _chrome(request),
            root=lineage_tree(graph, everything),
            entry=id,
            is_cut=graph.is_cut,
            versions_at=f"/console/records/{VERSION}/",
        )


def _add_signing(router: APIRouter, desk: Desk) -> None:
    @router.get(_MOVE)
    def form(request: Request, noun: Name, id: Id, number: Name) -> HTMLResponse:
        session = _session(request)
        kind, history = _history(desk, session, noun, id)
        return _sign_page(request, desk, kind, history, number)

    @router.post(_MOVE)
    async def sign(request: Request, noun: Name, id: Id, number: Name) -> Response:
        session = _session(request)
        fields = await read_form(request)
        _check_token(fields, session)
        return await run_in_threadpool(_sign, request, desk, (noun, id, number), fields)


def _sign(
    request: Request, desk: Desk, asked: tuple[str, str, str], fields: Mapping[str, str]
) -> Response:
    noun, id, number = asked
    session = _session(request)
    kind, history = _history(desk, session, noun, id)
    try:
        done = _signed(desk, kind, asked, fields, session)
    except PlatformError as error:
        return _sign_page(
            request, desk, kind, history, number, error=error, reason=fields.get("reason", "")
        )
    said = "moved" if done.is_done else "signed"
    return RedirectResponse(f"/console/records/{noun}/{quote(id)}?done={said}", 303)


def _signed(
    desk: Desk,
    kind: Noun[Any],
    asked: tuple[str, str, str],
    fields: Mapping[str, str],
    session: Session,
) -> Moved:
    _, id, number = asked
    return desk.records.move(
        kind,
        id,
        number,
        author=session.author(_role(fields, session)),
        revision=_revision(fields),
        reason=fields.get("reason", "").replace("\r\n", "\n"),
    )


def tasks_of(desk: Desk, session: Session) -> tuple[list[TaskView], bool]:
    """Return what waits for a visitor's signature, and whether there is more than shown."""
    found: list[TaskView] = []
    more = False
    for noun in desk.nouns:
        if not readers(noun) & session.roles:
            continue
        for state in states_with_tasks(noun, session.roles):
            listed = desk.records.find(Wanted(noun.name, state=state, limit=TASKS_PER_STATE))
            more = more or listed.next is not None
            found += _tasks(desk, noun, listed.items, session)
    return sorted(found, key=lambda task: task.at, reverse=True), more


def _tasks(
    desk: Desk, noun: Noun[Any], records: tuple[StoredRecord, ...], session: Session
) -> list[TaskView]:
    """Return the records of which the visitor's signature would count."""
    found = []
    now = desk.records.clock()
    with desk.records.store.reading() as transaction:
        for record in records:
            history = transaction.records.history(record.noun, record.id)
            people = people_of(transaction, history)
            moves = [
                move
                for move in task_moves(noun, record.state, session.roles)
                if signing(
                    move,
                    sign_offs.waiting(transaction.records, record, move, now),
                    people,
                    session,
                )[0]
            ]
            if moves:
                found.append(task_view(noun, record, moves))
    return found


def _history(
    desk: Desk, session: Session, noun: str, id: str
) -> tuple[Noun[Any], list[StoredRecord]]:
    """Return a record's revisions, each what the register signed, if the visitor may see it."""
    kind = desk.named(noun, session.roles)
    revisions = desk.records.history(noun, id)
    with desk.records.store.reading() as transaction:
        return kind, desk.reading.verified(transaction, revisions)


def _standings(
    desk: Desk, kind: Noun[Any], history: list[StoredRecord], session: Session
) -> list[MoveStanding]:
    with desk.records.store.reading() as transaction:
        return standings(transaction, kind, history, session, desk.records.clock())


def _sign_page(
    request: Request,
    desk: Desk,
    kind: Noun[Any],
    history: list[StoredRecord],
    number: str,
    *,
    error: PlatformError | None = None,
    reason: str = "",
) -> HTMLResponse:
    session, chrome = _session(request), _chrome(request)
    found = [one for one in _standings(desk, kind, history, session) if one.number == number]
    standing = next((one for one in found if one.mine), found[0] if found else None)
    if standing is None and error is not None:
        raise error
    if standing is None:
        roles = ", ".join(role.value for role in chrome.roles)
        raise MoveNotListedError(
            noun=kind.name, state=history[-1].state, move=repr(number[:20]), role=roles
        )
    mine = [role for seat in standing.seats for role in seat.roles if role in standing.mine]
    open_seats = [seat for seat in standing.seats if seat.signed is None]
    others = [role for seat in open_seats if not {*seat.roles} & {*mine} for role in seat.roles]
    return page(
        request,
        "sign.html",
        chrome,
        status_of(error) if error else 200,
        **_shown(history),
        move=standing,
        mine=mine,
        others=others,
        after=state_named(kind.name, standing.after),
        before=state_named(kind.name, history[-1].state),
        reason=reason[:2000],
        problems=problems_of(error, chrome) if error else [],
    )


def _shown(history: list[StoredRecord]) -> dict[str, object]:
    """Return what every page of a record shows of it."""
    head = history[-1]
    return {
        "record": head,
        "name": noun_name(head.noun),
        "title": title_of(head),
        "state": state_shown(head),
    }


def _log_in_page(
    request: Request, *, next: str, error: PlatformError | None = None
) -> HTMLResponse:
    chrome = chrome_of(request, here="console", is_private=True)
    return page(
        request,
        "login.html",
        chrome,
        status_of(error) if error else 200,
        next=next if next.startswith("/console") else "",
        is_out=next == "out",
        problems=problems_of(error, chrome) if error else [],
    )


def _chrome(request: Request) -> Chrome:
    return chrome_of(request, here="console", is_private=True)


def _session(request: Request) -> Session:
    session = session_of(request)
    if session is None:
        raise LogInNeededError()
    return session


def _check_token(fields: Mapping[str, str], session: Session) -> None:
    given = fields.get(CSRF_FIELD, "")
    if not session.csrf or not hmac.compare_digest(given.encode(), session.csrf.encode()):
        raise ForeignFormError()


def _role(fields: Mapping[str, str], session: Session) -> Role:
    found = {role.value: role for role in session.roles}.get(fields.get(ROLE_FIELD, ""))
    if found is None:
        raise RoleChoiceError(roles=", ".join(sorted(role.value for role in session.roles)))
    return found


def _revision(fields: Mapping[str, str]) -> int:
    given = fields.get("revision", "")
    if not (given.isascii() and given.isdigit() and len(given) <= 9):
        raise RequestInvalidError(why="the revision that was seen is missing")
    return int(given)


def _older(next: int | None, **asked: str) -> str | None:
    given = {name: value for name, value in asked.items() if value}
    return None if next is None else "?" + urlencode(given | {"before": str(next)})


def _inside(asked: str) -> str:
    """Return where to go after the log-in: an address of the console, never another site."""
    return asked if asked.startswith(CONSOLE + "/records/") else CONSOLE
