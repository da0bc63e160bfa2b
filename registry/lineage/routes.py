"""Lineage over HTTP, as graphs; `as=text` in the query gives the tree instead.

    GET /v1/lineage/versions/{entry}
    GET /v1/lineage/datasets/{dataset}?offset=&limit=      by digest, its beginning, or card
    GET /v1/lineage/sites/{site}?offset=&limit=
    GET /v1/lineage/runs/{run}?offset=&limit=

A lineage names what is not public, so none of these routes is; it names to a caller only
what that caller may know of.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import PlainTextResponse

from federation.wording import Language
from registry.lineage.graph import Told
from registry.lineage.service import DEFAULT_PAGE, MAX_PAGE, Answer, Lineage, everything
from registry.lineage.tree import tree

Id = Annotated[str, Path(max_length=120)]
Offset = Annotated[int, Query(ge=0, le=10**9)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Form = Annotated[str, Query(alias="as", pattern="^(json|text)$")]
Lang = Annotated[Language, Query()]


def lineage_routes(lineage: Lineage, *, told: Told = everything) -> APIRouter:
    """Return the routes; who may call them is decided by the application.

    `told` says of a kind and an id whether the present caller may know of it.
    """
    router = APIRouter(prefix="/v1/lineage", tags=["lineage"])
    forms: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {}}}}

    @router.get(
        "/versions/{entry}",
        summary="Where a version came from",
        response_model=None,
        responses=forms,
    )
    def of_version(entry: Id, form: Form = "json", lang: Lang = Language.EN) -> Any:
        return _answered(lineage.of_entry(entry, told=told), form, lang)

    asked: dict[str, Callable[..., Answer]] = {
        "datasets": lineage.of_dataset,
        "sites": lineage.of_site,
        "runs": lineage.of_run,
    }
    for name, of in asked.items():
        _add_paged(router, name, partial(of, told=told), forms)
    return router


def _add_paged(
    router: APIRouter, name: str, of: Callable[..., Answer], forms: dict[int | str, dict[str, Any]]
) -> None:
    @router.get(
        f"/{name}/{{id}}",
        name=f"lineage_of_{name}",
        summary=f"What one of the {name} touched",
        response_model=None,
        responses=forms,
    )
    def of_one(
        id: Id,
        offset: Offset = 0,
        limit: Limit = DEFAULT_PAGE,
        form: Form = "json",
        lang: Lang = Language.EN,
    ) -> Any:
        return _answered(of(id, offset=offset, limit=limit), form, lang)


def _answered(answer: Answer, form: str, language: Language) -> Any:
    if form == "json":
        return answer.as_json()
    return PlainTextResponse("\n".join(tree(answer, language)) + "\n")
