"""The registry as a web application: embedded in a process, or served to people and programs.

    registry_app(registrar, service_token=...)       # embedded: versions and evidence, one token
    served_app(served_register(...))                 # everything, accounts and default-deny

Embedded, every route needs the service token unless it is in `PUBLIC`. Served, every
request passes, from the outside in: HEAD becomes GET, allowance of the address, security
headers, size of the body, who asks, allowance of the account, and `Access`, which refuses
what the one table of routes and roles (`registry.api.rules`) does not allow.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from federation.errors import PlatformError
from federation.errors.registry import EntryNotFoundError
from federation.evidence.keyring import KnownKey
from federation.evidence.model_version import Candidate
from federation.evidence.signing import Signer
from registry.accounts.routes import account_routes
from registry.accounts.service import Accounts
from registry.api.access import Access, author_of
from registry.api.callers import Callers, present_caller
from registry.api.head import HeadAsGet
from registry.api.headers import SecurityHeaders
from registry.api.limits import AddressLimit, BodyLimit, Buckets, CallerLimit, Limits
from registry.api.rules import VERSION_PATH, Place, all_rules, page_rules
from registry.api.visibility import SeenRecords
from registry.evidence.routes import evidence_routes
from registry.models.cards import version_noun
from registry.models.ports import StoredVersion
from registry.models.routes import model_routes
from registry.models.service import Registrar, find
from registry.models.trust import RetiredKey, no_retired_keys
from registry.problems import (
    Guard,
    RequestLimit,
    answer_http_error,
    answer_invalid_request,
    answer_platform_error,
    answer_unexpected,
)
from registry.records.routes import AuthorOf, record_routes
from registry.records.service import Records
from registry.records.shapes import Noun
from registry.records.statements import PersonKeys, no_keys
from registry.store import SqlStore

MAX_REQUEST_BYTES = 16 * 2**20
OPENAPI = "/v1/openapi.json"
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
    """Return the application that a centre's own processes use.

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
    app = _app(Depends(Guard(token=service_token, public=PUBLIC)))
    app.include_router(model_routes(registrar, actor=actor))
    app.include_router(evidence_routes(registrar.store))
    app.include_router(_health(registrar))
    app.add_middleware(RequestLimit, limit_bytes=MAX_REQUEST_BYTES)
    return app


NamedNoun = tuple[Noun[Any], str | None]
"""A noun, and its path where that is not its name and an s."""

NounRouters = Callable[[Records, AuthorOf], Iterable[APIRouter]]
Pages = Callable[[Records, Sequence[Noun[Any]]], APIRouter]


def no_nouns(_records: Records, _author_of: AuthorOf) -> tuple[APIRouter, ...]:
    """Return no routes: the register holds model versions only."""
    return ()


def no_pages(_records: Records, _nouns: Sequence[Noun[Any]]) -> APIRouter:
    """Return no routes: the register is served without pages."""
    return APIRouter()


@dataclass(frozen=True, slots=True)
class Served:
    """What a served register is made of.

    Parameters
    ----------
    registrar, accounts
        The register and who may come in.
    nouns
        Every noun but model versions, with its path where that is not its name and an s.
    noun_routers
        Makes the routes of all of them.
    pages
        Makes the pages' routes over what the caller sees; those not in `public_pages` are
        for people in a session.
    person_keys
        Every key a person ever had, for personal signatures.
    """

    registrar: Registrar
    accounts: Accounts
    nouns: tuple[NamedNoun, ...] = ()
    noun_routers: NounRouters = no_nouns
    pages: Pages = no_pages
    public_pages: frozenset[Place] = frozenset()
    person_keys: PersonKeys = no_keys
    limits: Limits = field(default_factory=Limits)

    def named(self) -> tuple[NamedNoun, ...]:
        """Return every noun with its path, model versions first."""
        key = self.registrar.signer.public_key
        versions = version_noun(artefacts=self.registrar.artefacts, key=key)
        return ((versions, VERSION_PATH), *self.nouns)

    def seen(self, named: Iterable[NamedNoun]) -> SeenRecords:
        """Return the records of these nouns as each caller sees them."""
        registrar = self.registrar
        given = (registrar.store, registrar.signer, registrar.clock, self.person_keys)
        return SeenRecords(*given, nouns=tuple(noun for noun, _ in named))


def served_app(served: Served) -> FastAPI:
    """Return the application that people and programs reach over the network.

    Its table of rules is in `app.state.rules`.
    """
    named = served.named()
    seen = served.seen(named)
    routers, pages = _routers(served, named, seen), served.pages(seen, seen.nouns)
    rules = all_rules(named, _places(routers)) | page_rules(_places([pages]), served.public_pages)
    guards = (Access(rules), _Entries(served.registrar, seen), _Summaries(seen, named))
    app = _app(*(Depends(guard) for guard in guards))
    app.state.rules = rules
    for router in (*routers, pages):
        app.include_router(router)
    app.add_exception_handler(Exception, answer_unexpected)
    app.add_middleware(CallerLimit, buckets=Buckets(served.limits.caller))
    app.add_middleware(Callers, knows=served.accounts)
    app.add_middleware(BodyLimit)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(AddressLimit, buckets=Buckets(served.limits.address))
    app.add_middleware(HeadAsGet)
    return app


def _routers(served: Served, named: Sequence[NamedNoun], seen: SeenRecords) -> list[APIRouter]:
    """Return the routes of the API; those of the pages come after them."""
    versions, path = named[0]
    return [
        model_routes(_ForCallers.of(served.registrar), actor="anonymous"),
        evidence_routes(served.registrar.store),
        _health(served.registrar),
        account_routes(served.accounts),
        record_routes(seen, versions, author_of=author_of, path=path),
        *served.noun_routers(seen, author_of),
    ]


def _places(routers: Iterable[APIRouter]) -> list[Place]:
    """Return method and path of every route that was declared."""
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return [(method, route.path) for route in routes for method in sorted(route.methods or ())]


class _ForCallers(Registrar):
    """The registrar that records the present caller as having registered."""

    __slots__ = ()

    @classmethod
    def of(cls, registrar: Registrar) -> "_ForCallers":
        """Return it over the same store, key and artefacts."""
        return cls(**{one.name: getattr(registrar, one.name) for one in fields(registrar)})

    def register(self, candidate: Candidate, *, actor: str) -> tuple[StoredVersion, bool]:
        """Return the version made from `candidate`, see `Registrar.register`."""
        return Registrar.register(self, candidate, actor=present_caller().account or actor)


class _Entries:
    """Let everybody see only the entries that they may know of."""

    def __init__(self, registrar: Registrar, seen: SeenRecords) -> None:
        self._registrar = registrar
        self._seen = seen

    async def __call__(self, request: Request) -> None:
        """Return if the entry asked for, if any, may be shown; other routes cost no thread.

        Raises
        ------
        EntryNotFoundError
            If it is hidden, or if there is none: the two are told alike.
        """
        route = getattr(request.scope.get("route"), "path", "")
        if route == "/v1/model-versions/{entry}":
            await run_in_threadpool(self._check, request.path_params["entry"])

    def _check(self, asked: str) -> None:
        with self._registrar.store.reading() as transaction:
            entry = find(transaction.models, asked).entry
        if not self._seen.sees_entry(entry):
            raise EntryNotFoundError(asked=asked)


class _Summaries:
    """Let a summary of a record be read only by those who see the record."""

    def __init__(self, seen: SeenRecords, named: Iterable[NamedNoun]) -> None:
        self._seen = seen
        self._prefixes = {
            f"/v1/{path or noun.name + 's'}/{{id}}/": noun.name for noun, path in named
        }
        self._prefixes["/v1/certification/dossiers/{id}/"] = "certification-dossier"

    async def __call__(self, request: Request) -> None:
        """Return if the record in the address is seen; other routes cost no thread.

        Raises
        ------
        RecordNotFoundError
            If it is not seen, or not there: the two are told alike.
        """
        path = getattr(request.scope.get("route"), "path", "")
        for prefix, noun in self._prefixes.items():
            if request.method == "GET" and path.startswith(prefix):
                await run_in_threadpool(self._seen.get, noun, request.path_params["id"])


def _app(*guards: Any) -> FastAPI:
    app = FastAPI(
        title="TriFed register",
        version="1",
        openapi_url=OPENAPI,
        docs_url=None,
        redoc_url=None,
        dependencies=list(guards),
    )
    app.add_exception_handler(PlatformError, answer_platform_error)
    app.add_exception_handler(RequestValidationError, answer_invalid_request)
    app.add_exception_handler(HTTPException, answer_http_error)
    return app


def _health(registrar: Registrar) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/health", tags=["service"], summary="Whether the register can be read")
    def health() -> dict[str, object]:
        with registrar.store.reading() as transaction:
            return {"status": "ok", "versions": transaction.models.count()}

    return router
