"""Where an opt-out list was applied, over HTTP (R39)."""

from fastapi import APIRouter

from registry.optout.gaps import applied
from registry.optout.shape import LIST
from registry.records.routes import Id
from registry.records.service import Records


def applied_routes(records: Records) -> APIRouter:
    """Return the route `/v1/opt-out-lists/{id}/applied`."""
    router = APIRouter(prefix=f"/v1/{LIST}s", tags=[LIST])

    @router.get("/{id}/applied", summary="Show which sites applied a list, and which did not")
    def show_applied(id: Id) -> dict[str, object]:
        return applied(records, id)

    return router
