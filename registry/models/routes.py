"""Model versions over HTTP. Reading is public; registering needs the service token."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from federation.errors.registry import LogTamperedError, NotCanonicalError, RecordInvalidError
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
    """Return an entry's line in the list; `state` is where it stands, if it was ever moved."""
    record = _record_of(stored.entry, stored.record)
    return {
        "entry": stored.entry,
        "state": state or stored.state,
        "title": record.study.title,
        "study": stored.study,
        "recipe": record.recipe.name,
        "created": record.created,
        "sites": len(record.participants),
        "pooled": [metric.model_dump(mode="json") for metric in record.pooled],
        "model": record.model.sha256,
        "supersedes": stored.supersedes,
    }


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
