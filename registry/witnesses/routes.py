"""Witnesses over HTTP: what to sign is public, as every proof is; a signature needs a role.

A witness fetches its request, signs it where its key is, and hands back the note with
its line. Nothing it sends is believed but what its key signed.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from federation.errors.witness import CosignatureRefusedError
from federation.evidence.witness import MAX_REQUEST_BYTES
from federation.wording import Text
from registry.records.service import Records
from registry.witnesses.service import Standing, Witnesses, witnessed_checkpoint

_NOT_TEXT = Text(en="the note is not text, or too long", zh="內容並非文字或過長")
_PLAIN = "text/plain; charset=utf-8"


def witness_routes(records: Records, *, actor_of: Callable[[Request], str]) -> APIRouter:
    """Return the routes; `actor_of` names who hands a signature in, for the audit trail."""
    router = APIRouter(prefix="/v1/cosignatures", tags=["evidence"])
    witnesses = Witnesses(records)

    @router.get("/witnesses", summary="Who co-signs the log")
    def list_witnesses() -> dict[str, object]:
        return {"items": [as_json(one) for one in witnesses.standing()]}

    @router.get("/witnesses/{name}/request", summary="What a witness is asked to sign (C2SP)")
    def request(name: Annotated[str, Path(max_length=100)]) -> Response:
        return Response(witnesses.request(name).as_text(), media_type=_PLAIN)

    @router.get("/checkpoint", summary="A signed state of the log with its witnesses' signatures")
    def cosigned(at_least: Annotated[int, Query(ge=1, le=10**15)] = 1) -> Response:
        with records.store.reading() as transaction:
            note = witnessed_checkpoint(transaction.log, at_least=at_least)
        return Response(note, media_type=_PLAIN)

    @router.post("/checkpoint", summary="Hand in a state that a witness signed")
    async def take(request: Request) -> dict[str, object]:
        note = _text(await request.body())
        actor = actor_of(request)
        return {"new": list(await run_in_threadpool(witnesses.take, note, actor=actor))}

    return router


def as_json(standing: Standing) -> dict[str, object]:
    """Return a witness as the API and the command line show it."""
    return {
        "name": standing.witness.name,
        "kind": standing.kind.value,
        "organisation": standing.organisation,
        "state": standing.state.value,
        "keyid": standing.witness.key.keyid,
        "key": standing.witness.key.raw.hex(),
        "size": standing.size,
    }


def _text(content: bytes) -> str:
    try:
        if len(content) > MAX_REQUEST_BYTES:
            raise ValueError("too long")
        return content.decode()
    except ValueError as error:
        raise CosignatureRefusedError(why=_NOT_TEXT) from error
