"""The registry as a web application: one factory, embedded in a process or served.

Every route needs the service token unless it is in `PUBLIC`; what is public
shows records, which hold no patient data and no small count, and proofs; the
OpenAPI document is public as well.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from federation.errors import PlatformError
from federation.evidence.keyring import KnownKey
from federation.evidence.signing import Signer
from registry.evidence.routes import evidence_routes
from registry.models.routes import model_routes
from registry.models.service import Registrar
from registry.models.trust import RetiredKey, no_retired_keys
from registry.problems import (
    Guard,
    RequestLimit,
    answer_http_error,
    answer_invalid_request,
    answer_platform_error,
)
from registry.store import SqlStore

MAX_REQUEST_BYTES = 16 * 2**20
PUBLIC = frozenset(
    {
        ("GET", "/v1/health"),
        ("GET", "/v1/model-versions"),
        ("GET", "/v1/model-versions/{entry}"),
        ("GET", "/v1/evidence/checkpoint"),
        ("GET", "/v1/evidence/growth"),
        ("GET", "/v1/evidence/{index}/proof"),
    }
)


def _now() -> datetime:
    return datetime.now(UTC)


def registrar_of(
    *,
    database_url: str,
    signer: Signer,
    artefacts: Path,
    keys: Callable[[], Iterable[KnownKey]],
    clock: Callable[[], datetime] = _now,
    retired: Callable[[], Iterable[RetiredKey]] = no_retired_keys,
) -> Registrar:
    """Return the registrar over a SQL store, its tables brought up to date if need be."""
    return Registrar(SqlStore(database_url), signer, artefacts, keys, clock, retired)


def registry_app(registrar: Registrar, *, service_token: str, actor: str = "centre") -> FastAPI:
    """Return the application.

    Parameters
    ----------
    registrar
        Who writes, with store, key and artefact folder.
    service_token
        What a caller must send to do more than read the public face.
    actor
        Who is recorded as having done what came with the token.

    Raises
    ------
    ValueError
        If the token is shorter than 32 characters.
    """
    if len(service_token) < 32:
        raise ValueError("the service token needs 32 characters or more")
    app = FastAPI(
        title="TriFed register",
        version="1",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(Guard(token=service_token, public=PUBLIC))],
    )
    app.include_router(model_routes(registrar, actor=actor))
    app.include_router(evidence_routes(registrar.store))
    app.add_middleware(RequestLimit, limit_bytes=MAX_REQUEST_BYTES)
    app.add_exception_handler(PlatformError, answer_platform_error)
    app.add_exception_handler(RequestValidationError, answer_invalid_request)
    app.add_exception_handler(HTTPException, answer_http_error)

    @app.get("/v1/health", tags=["service"], summary="Whether the register can be read")
    def health() -> dict[str, object]:
        with registrar.store.reading() as transaction:
            return {"status": "ok", "versions": transaction.models.count()}

    return app
