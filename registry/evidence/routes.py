"""The log over HTTP: its signed state and proofs are public, its entries are not."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from federation.errors.signed import LogRangeError
from registry.evidence.service import prove_growth, prove_inclusion
from registry.ports import Store

_MAX = 10**15


def evidence_routes(store: Store) -> APIRouter:
    """Return the routes of this noun."""
    router = APIRouter(prefix="/v1/evidence", tags=["evidence"])
    size = Query(ge=1, le=_MAX)

    @router.get("/checkpoint", summary="The log's newest signed state")
    def checkpoint() -> dict[str, object]:
        with store.reading() as transaction:
            note = transaction.log.latest_checkpoint()
        if note is None:
            raise LogRangeError(size=0, asked=0)
        return {"checkpoint": note}

    @router.get("/growth", summary="Proof that the log only grew")
    def growth(old: Annotated[int, size], new: Annotated[int, size]) -> dict[str, object]:
        with store.reading() as transaction:
            path = prove_growth(transaction.log, old=old, new=new)
        return {"old": old, "new": new, "path": [step.hex() for step in path]}

    @router.get("/{index}/proof", summary="Proof that an entry is in the log")
    def proof(
        index: Annotated[int, Path(ge=0, le=_MAX)],
        size: Annotated[int | None, size] = None,
    ) -> dict[str, object]:
        with store.reading() as transaction:
            return prove_inclusion(transaction.log, index, size=size).as_json()

    @router.get("/{index}", summary="One signed statement")
    def entry(index: Annotated[int, Path(ge=0, le=_MAX)]) -> dict[str, object]:
        with store.reading() as transaction:
            found = transaction.log.entry(index)
        return {
            "index": found.index,
            "envelope_digest": found.envelope_digest,
            "envelope": found.envelope,
        }

    return router
