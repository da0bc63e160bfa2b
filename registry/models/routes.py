"""Model versions over HTTP. Reading is public; registering needs the service token."""

import contextlib
import json
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from federation.errors.registry import RecordInvalidError
from federation.errors.signed import LogTamperedError, NotCanonicalError
from federation.evidence.model_version import Candidate, Record
from registry.models.cards import states_of
from registry.models.ports import StoredVersion
from registry.models.service import Registrar, Shown, show

MAX_PAGE = 200


def model_routes(registrar: Registrar, *, actor: str) -> APIRouter:
    """Return the routes of this noun; what comes with the token is recorded as `actor`."""
    router = APIRouter(prefix="/v1/model-versions", tags=["model versions"])

    schema = {"application/json": {"schema": Candidate.model_json_schema()}}

    @router.post(
        "",
        status_code=201,
        summary="Register a trained model",
        openapi_extra={"requestBody": {"required": True, "content": schema}},
    )
    async def register(request: Request, response: Response) -> dict[str, object]:
        candidate = Candidate.from_json(await request.body())
        # in a thread: it hashes files and waits for the database
        stored, is_new = await run_in_threadpool(registrar.register, candidate, actor=actor)
        response.status_code = 201 if is_new else 200
        response.headers["Location"] = f"/v1/model-versions/{stored.entry}"
        return {"entry": stored.entry, "id": stored.model, "version": stored.version}

    @router.get("", summary="List the registered versions, newest first")
    def list_versions(
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    ) -> dict[str, object]:
        with registrar.store.reading() as transaction:
            page = transaction.models.page(offset=offset, limit=limit)
            total = transaction.models.count()
            states = states_of(transaction, [item.entry for item in page])
        items = [line_of(item, states.get(item.entry)) for item in page]
        return {"total": total, "offset": offset, "items": items}

    @router.get("/{entry}", summary="Show one version with its proof")
    def show_version(entry: str) -> dict[str, object]:
        return shown_as_json(show(registrar.store, entry))

    return router


def line_of(stored: StoredVersion, state: str | None = None) -> dict[str, object]:
    """Return an entry's line in the list; `state` is where it stands, if it was ever moved.

    The record is not validated again for a line: it was when it was registered, and with
    all its statements it is long.
    """
    line = {"entry": stored.entry, "state": state or stored.state, "study": stored.study}
    return line | _facts_of(stored) | {"supersedes": stored.supersedes}


def _facts_of(stored: StoredVersion) -> dict[str, object]:
    with contextlib.suppress(ValueError):
        match json.loads(stored.record):
            case {
                "study": {"title": str(title)},
                "recipe": {"name": str(recipe)},
                "created": str(created),
                "participants": list(participants),
                "pooled": list(pooled),
                "model": {"sha256": str(model)},
            }:
                return {
                    "title": title,
                    "recipe": recipe,
                    "created": created,
                    "sites": len(participants),
                    "pooled": pooled,
                    "model": model,
                }
    raise LogTamperedError(item=f"entry {stored.entry}", why="it cannot be read")


def shown_as_json(shown: Shown) -> dict[str, object]:
    """Return an entry with its proof as JSON."""
    return {
        "entry": shown.entry,
        "record": _record_of(shown.entry, shown.record).as_json(),
        "superseded_by": shown.superseded_by,
        "evidence": {
            "envelope": shown.envelope,
            "inclusion": shown.inclusion.as_json(),
            "checkpoint": shown.checkpoint,
        },
    }


def _record_of(entry: str, content: str) -> Record:
    try:
        return Record.from_json(content.encode())
    except (NotCanonicalError, RecordInvalidError) as error:
        raise LogTamperedError(item=f"entry {entry}", why="it cannot be read") from error
