"""The confirmed feedback of a deployment added up, over HTTP."""

from fastapi import APIRouter

from registry.feedback.pooled import pooled
from registry.records.routes import Id
from registry.records.service import Records


def pooled_routes(records: Records) -> APIRouter:
    """Return the route `/v1/deployments/{id}/feedback`."""
    router = APIRouter(prefix="/v1/deployments", tags=["feedback"])

    @router.get("/{id}/feedback", summary="Show what users said of a deployment, in counts")
    def show_feedback(id: Id) -> dict[str, object]:
        records.get("deployment", id)
        return pooled(records, id)

    return router
