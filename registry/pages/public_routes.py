"""The addresses that need no log-in: search, entries, proofs, the log."""

import tempfile
from pathlib import Path as File
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse

from federation.errors.signed import LogRangeError
from registry.evidence.service import prove_growth
from registry.pages.desk import Desk
from registry.pages.lineage_views import lineage_tree, only_public
from registry.pages.log_views import log_view, signatures_of
from registry.pages.rendering import HEADERS, STATIC, chrome_of, page, static
from registry.pages.search import search_view, wanted_of
from registry.pages.views import entry_view

STATES_PER_PAGE = 25
_MAX = 10**15
_YEAR = "public, max-age=31536000, immutable"
Entry = Annotated[str, Path(max_length=80)]
Size = Annotated[int, Query(ge=1, le=_MAX)]
PLACES = frozenset(
    ("GET", path)
    for path in (
        "/",
        "/assets/{name}",
        "/register",
        "/register/{entry}",
        "/register/{entry}/proof",
        "/register/{entry}/lineage",
        "/register/{entry}/bundle.zip",
        "/log",
        "/log/growth",
        "/log/{size}",
    )
)
"""(method, path) of every page that anybody may see."""


def add_public(router: APIRouter, desk: Desk) -> None:
    """Add the public pages."""
    _add_register(router, desk)
    _add_evidence(router, desk)
    _add_log(router, desk)

    @router.get("/assets/{name}")
    def asset(name: Annotated[str, Path(max_length=40)]) -> Response:
        if name not in {file for file, _ in STATIC.values()}:
            raise HTTPException(404)
        content, kind = static(name)
        return Response(content, media_type=kind, headers=HEADERS | {"Cache-Control": _YEAR})


def _add_register(router: APIRouter, desk: Desk) -> None:
    @router.get("/")
    def front() -> Response:
        return RedirectResponse("/register", 307)

    @router.get("/register")
    def search(request: Request) -> HTMLResponse:
        wanted, number = wanted_of(request.query_params)
        view = search_view(wanted, desk.index.search(wanted), desk.index.choices(), page=number)
        return page(request, "search.html", chrome_of(request, here="register"), view=view)

    @router.get("/register/{entry}")
    def entry(request: Request, entry: Entry) -> Response:
        facts = desk.reading.public(entry)
        if facts.record.entry != entry:
            return RedirectResponse(f"/register/{facts.record.entry}", 307)
        chrome = chrome_of(request, here="register")
        return page(request, "entry.html", chrome, view=entry_view(facts))


def _add_evidence(router: APIRouter, desk: Desk) -> None:
    @router.get("/register/{entry}/proof")
    def proof(request: Request, entry: Entry) -> HTMLResponse:
        facts = desk.reading.public(entry)
        chrome = chrome_of(request, here="register")
        return page(request, "proof.html", chrome, view=facts)

    @router.get("/register/{entry}/lineage")
    def lineage(request: Request, entry: Entry) -> HTMLResponse:
        name = desk.reading.public(entry).record.entry
        graph = desk.lineage.of_entry(name).graph
        chrome = chrome_of(request, here="register")
        return page(
            request,
            "lineage.html",
            chrome,
            root=lineage_tree(graph, only_public(desk.reading.is_public)),
            entry=name,
            is_cut=graph.is_cut,
            versions_at="/register/",
        )

    @router.get("/register/{entry}/bundle.zip")
    def bundle(entry: Entry) -> Response:
        name = desk.reading.public(entry).record.entry
        folder = tempfile.TemporaryDirectory(prefix="trifed-bundle-")
        try:
            path = desk.bundle(name, File(folder.name) / f"{name}.zip")
        except BaseException:
            folder.cleanup()
            raise
        return FileResponse(
            path,
            media_type="application/zip",
            filename=path.name,
            headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"},
            background=BackgroundTask(folder.cleanup),
        )


def _add_log(router: APIRouter, desk: Desk) -> None:
    store, keyid = desk.records.store, desk.records.signer.keyid

    @router.get("/log")
    def log(
        request: Request, below: Annotated[int | None, Query(ge=1, le=_MAX)] = None
    ) -> HTMLResponse:
        notes = desk.index.notes(below=below, limit=STATES_PER_PAGE + 1)
        with store.reading() as transaction:
            newest = transaction.log.size()
        view = log_view(notes, newest=newest, keyid=keyid, per_page=STATES_PER_PAGE)
        return page(request, "log.html", chrome_of(request, here="log"), view=view)

    @router.get("/log/growth")
    def growth(request: Request, old: Size, new: Size) -> HTMLResponse:
        with store.reading() as transaction:
            path = prove_growth(transaction.log, old=old, new=new)
            kept = [size for size in (old, new) if transaction.log.checkpoint(size)]
        chrome = chrome_of(request, here="log")
        return page(request, "growth.html", chrome, old=old, new=new, path=path, kept=kept)

    @router.get("/log/{size}")
    def state(request: Request, size: Annotated[int, Path(ge=1, le=_MAX)]) -> HTMLResponse:
        with store.reading() as transaction:
            note, newest = transaction.log.checkpoint(size), transaction.log.size()
        if note is None:
            raise LogRangeError(size=newest, asked=size)
        chrome = chrome_of(request, here="log")
        count = signatures_of(note)
        return page(request, "note.html", chrome, note=note, size=size, signatures=count)
