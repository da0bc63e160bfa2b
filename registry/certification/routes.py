"""What the certification nouns offer beyond their records: gaps, packs, items, changes.

GET  /v1/certification/packs                          editions that are installed
GET  /v1/certification/packs/{id}/{version}           one of them, whole
GET  /v1/certification/dossiers/{id}/completeness     every requirement, gaps, what to do
GET  /v1/certification/items/{noun}/{id}              a record as an item of evidence
POST /v1/certification/changes                        what a change of a version needs
"""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from federation.errors.moves import RecordShapeError
from federation.evidence.canonical import parse
from registry.certification.rule_packs import pack_named, pack_names
from registry.certification.service import (
    ChangeAsked,
    classify_asked,
    completeness_of,
    item_for,
)
from registry.records.service import Records
from registry.records.shapes import listed

Id = Annotated[str, Path(max_length=120)]
Name = Annotated[str, Path(max_length=60)]


def certification_routes(records: Records) -> APIRouter:
    """Return the routes; who may call them is decided by the application."""
    router = APIRouter(prefix="/v1/certification", tags=["certification"])

    @router.get("/packs", summary="List the rule packs that are installed")
    def list_packs() -> dict[str, object]:
        packs = [pack_named(*name) for name in pack_names()]
        lines = [
            {
                "id": one.id,
                "version": one.version,
                "title": one.title.model_dump(mode="json"),
                "note": one.note.model_dump(mode="json"),
                "digest": one.digest,
                "requirements": len(one.requirements),
            }
            for one in packs
        ]
        return {"items": lines}

    @router.get("/packs/{id}/{version}", summary="Show one edition of a rule pack")
    def show_pack(id: Name, version: Name) -> dict[str, object]:
        return pack_named(id, version).as_json()

    @router.get("/dossiers/{id}/completeness", summary="Which requirements a dossier meets")
    def show_completeness(id: Id) -> dict[str, object]:
        return {"dossier": id, **completeness_of(records, id).as_json()}

    @router.get("/items/{noun}/{id}", summary="A record as an item of evidence of a dossier")
    def show_item(noun: Name, id: Id) -> dict[str, object]:
        return item_for(records.store, noun, id).as_json()

    schema = {"application/json": {"schema": ChangeAsked.model_json_schema()}}
    content = {"requestBody": {"required": True, "content": schema}}

    @router.post("/changes", summary="What a change of a version needs", openapi_extra=content)
    async def classify_change(request: Request) -> dict[str, object]:
        asked = _asked(await request.body())
        return (await run_in_threadpool(classify_asked, records, asked)).as_json()

    return router


def _asked(content: bytes) -> ChangeAsked:
    parse(content)
    try:
        return ChangeAsked.model_validate_json(content)
    except ValidationError as error:
        raise RecordShapeError(noun="change", problems=listed(error)) from error
