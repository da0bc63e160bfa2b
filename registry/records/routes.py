"""Records of one noun over HTTP: list, read, write, move, with the revision as ETag.

    router = record_routes(records, INCIDENT, author_of=author_of)     # /v1/incidents

Reading answers `ETag: "3"` and honours `If-None-Match`; a write names the revision it saw
in `If-Match`, so a stale one is refused (TF735) and one without it too. Who writes is what
`author_of` makes of the request: log-in and rights are not decided here.
"""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from federation.errors.registry import RequestInvalidError
from federation.evidence.canonical import parse
from registry.records.ports import Query as Wanted
from registry.records.ports import StoredRecord
from registry.records.service import MAX_PAGE, MAX_REASON, Records
from registry.records.shapes import Noun
from registry.roles import Author

AuthorOf = Callable[[Request], Author]
Id = Annotated[str, Path(max_length=120)]
MAX_FACETS = 5


class MoveAsked(BaseModel):
    """The body of a move: its number, the reason, and the person's own signature if any."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    move: Annotated[str, Field(min_length=1, max_length=40)]
    reason: Annotated[str, Field(max_length=MAX_REASON)]
    signature: Annotated[str, Field(max_length=2**20)] | None = None


def record_routes(
    records: Records, noun: Noun[Any], *, author_of: AuthorOf, path: str | None = None
) -> APIRouter:
    """Return the routes of a noun under `/v1/PATH`, by default the noun's name and an s."""
    router = APIRouter(prefix=f"/v1/{path or noun.name + 's'}", tags=[noun.name])
    _add_reading(router, records, noun)
    _add_writing(router, records, noun, author_of)
    return router


def _add_reading(router: APIRouter, records: Records, noun: Noun[Any]) -> None:
    @router.get("", summary=f"List records of {noun.name}, last changed first")
    def list_records(
        request: Request,
        q: Annotated[str, Query(max_length=200)] = "",
        state: Annotated[str | None, Query(max_length=40)] = None,
        before: Annotated[int | None, Query(ge=0, le=10**15)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    ) -> dict[str, object]:
        facets = _facets(request)
        page = records.find(Wanted(noun.name, state, q, facets, before, limit))
        return {"items": [as_json(item) for item in page.items], "next": page.next}

    @router.get("/{id}", summary=f"Show one record of {noun.name}")
    def show_record(request: Request, response: Response, id: Id) -> Any:
        record = records.get(noun.name, id)
        if request.headers.get("if-none-match") == etag(record):
            return Response(status_code=304, headers={"ETag": etag(record)})
        response.headers["ETag"] = etag(record)
        return as_json(record)

    @router.get("/{id}/history", summary="Show all its revisions, oldest first")
    def show_history(id: Id) -> dict[str, object]:
        return {"items": [as_json(record) for record in records.history(noun.name, id)]}


def _add_writing(router: APIRouter, records: Records, noun: Noun[Any], author_of: AuthorOf) -> None:
    schema = {"application/json": {"schema": noun.shape.model_json_schema()}}
    content = {"requestBody": {"required": True, "content": schema}}

    @router.put("/{id}", summary=f"Write a record of {noun.name}", openapi_extra=content)
    async def put_record(request: Request, response: Response, id: Id) -> dict[str, object]:
        body, author, seen = noun.read(await request.body()), author_of(request), _seen(request)
        record = await run_in_threadpool(records.put, noun, id, body, author=author, revision=seen)
        response.status_code = 201 if record.revision == 1 else 200
        response.headers["ETag"] = etag(record)
        return as_json(record)

    schema = {"application/json": {"schema": MoveAsked.model_json_schema()}}
    content = {"requestBody": {"required": True, "content": schema}}

    @router.post("/{id}/moves", summary="Make a move, or sign for it", openapi_extra=content)
    async def move_record(request: Request, response: Response, id: Id) -> dict[str, object]:
        asked, author, seen = _asked(await request.body()), author_of(request), _seen(request)
        done = await run_in_threadpool(
            records.move,
            noun,
            id,
            asked.move,
            author=author,
            revision=seen,
            reason=asked.reason,
            signature=asked.signature,
        )
        response.headers["ETag"] = etag(done.record)
        missing = [sorted(role.value for role in seat) for seat in done.missing]
        return {"record": as_json(done.record), "missing": missing}


def as_json(record: StoredRecord) -> dict[str, object]:
    """Return a revision as the API shows it: what is signed, and its place in the log."""
    places = {"log_index": record.log_index, "log_size": record.log_size}
    return record.as_json() | places


def etag(record: StoredRecord) -> str:
    """Return the entity tag of a record: its revision."""
    return f'"{record.revision}"'


def _seen(request: Request) -> int:
    """Return the revision in `If-Match`; `If-None-Match: *` says there is none yet."""
    if request.headers.get("if-none-match") == "*":
        return 0
    tag = request.headers.get("if-match", "").strip('"')
    if not tag.isascii() or not tag.isdigit() or len(tag) > 9:
        raise RequestInvalidError(why="If-Match with the revision that was seen is missing")
    return int(tag)


def _facets(request: Request) -> dict[str, str]:
    named = [
        (name.removeprefix("facet."), value)
        for name, value in request.query_params.multi_items()
        if name.startswith("facet.")
    ]
    if len(named) > MAX_FACETS or any(len(name) + len(value) > 240 for name, value in named):
        raise RequestInvalidError(why="too many or too long facets")
    return dict(named)


def _asked(content: bytes) -> MoveAsked:
    parse(content)
    try:
        return MoveAsked.model_validate_json(content)
    except ValidationError as error:
        raise RequestInvalidError(why="not a move with its reason") from error
