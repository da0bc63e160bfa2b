"""The addresses of reports: a page, its PDF and data, and each figure as SVG, CSV and JSON.

Public: evaluations that were judged and studies that were reported, of entries that are on
the register. For people in a session: those and dossiers, as far as they see the record.
Drawing takes seconds, so what was drawn is kept, and one thing is drawn at a time.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from threading import Lock
from typing import Annotated, Generic, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Path, Request, Response
from markupsafe import Markup

from federation.errors.access import LogInNeededError
from federation.errors.reports import ReportMissingError
from federation.wording import Language
from registry.accounts.ports import session_of
from registry.certification.dossier import NAME as DOSSIER
from registry.certification.service import completeness_of
from registry.evaluations.evaluation import NAME as EVALUATION
from registry.impact.study import NAME as STUDY
from registry.models.version_card import NAME as VERSION
from registry.pages.desk import Desk
from registry.pages.language import language_of
from registry.pages.rendering import HEADERS, Chrome, chrome_of, page
from registry.pages.report_reading import SHOWN, Made, of_dossier
from registry.reports.layout import Report
from registry.reports.pdf import as_pdf
from registry.reports.rendering import drawn, render, render_body

T = TypeVar("T")
Id = Annotated[str, Path(max_length=120)]
Name = Annotated[str, Path(max_length=40)]
File = Annotated[str, Path(max_length=80)]
Make = Callable[[str], Made]
_PUBLIC = {"/evaluations": EVALUATION, "/studies": STUDY}
_PRIVATE = "/console/reports/{noun}/{id}"
_PARTS = ("", "/report.pdf", "/report.json", "/figures/{file}")
PLACES = frozenset(("GET", f"{base}/{{id}}{part}") for base in _PUBLIC for part in _PARTS)
"""(method, path) of every report that anybody may ask for."""

_FILE = re.compile(r"([a-z0-9-]{1,60})\.(svg|csv|json)")
_KINDS = {"svg": "image/svg+xml", "csv": "text/csv; charset=utf-8", "json": "application/json"}
_OF_A_FILE = HEADERS | {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'",
    "Cache-Control": "private, no-cache",
}
"""A drawing styles itself; nothing in it can run or load."""

_MOST_KEPT = 24


@dataclass(slots=True)
class _Kept(Generic[T]):
    """Keeps what was last made, by what it depends on."""

    make: Callable[[Report, Language], T]
    found: OrderedDict[tuple[str, ...], T] = field(default_factory=OrderedDict)
    lock: Lock = field(default_factory=Lock)

    def of(self, made: Made, language: Language) -> T:
        """Return what was made of a report, now or before."""
        key = (*made.key, language.value)
        with self.lock:
            if key not in self.found:
                self.found[key] = self.make(made.layout, language)
                while len(self.found) > _MOST_KEPT:
                    self.found.popitem(last=False)
            self.found.move_to_end(key)
            return self.found[key]


class _Press:
    """Draws figures and prints reports."""

    def __init__(self) -> None:
        self.figures: _Kept[dict[str, bytes]] = _Kept(drawn)
        self.pdf: _Kept[bytes] = _Kept(lambda report, language: as_pdf(render(report, language)))


def add_reports(router: APIRouter, desk: Desk) -> None:
    """Add the pages of reports, the public ones and those of people in a session."""
    press = _Press()
    for base, noun in _PUBLIC.items():
        _add_public(router, base, press, _public(desk, noun))
    _add_private(router, desk, press)


def _public(desk: Desk, noun: str) -> Make:
    return lambda id: desk.reports.public(noun, id)


def _add_public(router: APIRouter, base: str, press: _Press, make: Make) -> None:
    path = base + "/{id}"

    @router.get(path)
    def report(request: Request, id: Id) -> Response:
        chrome = chrome_of(request, here="register")
        return _page(request, chrome, press, make(id), f"{base}/{quote(id)}")

    @router.get(path + "/report.pdf")
    def pdf(request: Request, id: Id) -> Response:
        return _pdf(press, make(id), language_of(request), id)

    @router.get(path + "/report.json")
    def data(id: Id) -> Response:
        return _data(make(id), id)

    @router.get(path + "/figures/{file}")
    def figure(request: Request, id: Id, file: File) -> Response:
        return _figure(press, make(id), language_of(request), file)


def _add_private(router: APIRouter, desk: Desk, press: _Press) -> None:
    @router.get(_PRIVATE)
    def report(request: Request, noun: Name, id: Id) -> Response:
        made = _seen(desk, request, noun, id)
        chrome = chrome_of(request, here="console", is_private=True)
        return _page(request, chrome, press, made, f"/console/reports/{noun}/{quote(id)}")

    @router.get(_PRIVATE + "/report.pdf")
    def pdf(request: Request, noun: Name, id: Id) -> Response:
        return _pdf(press, _seen(desk, request, noun, id), language_of(request), id)

    @router.get(_PRIVATE + "/report.json")
    def data(request: Request, noun: Name, id: Id) -> Response:
        return _data(_seen(desk, request, noun, id), id)

    @router.get(_PRIVATE + "/figures/{file}")
    def figure(request: Request, noun: Name, id: Id, file: File) -> Response:
        return _figure(press, _seen(desk, request, noun, id), language_of(request), file)


def _seen(desk: Desk, request: Request, noun: str, id: str) -> Made:
    """Return the report of a record that somebody in a session sees."""
    session = session_of(request)
    if session is None:
        raise LogInNeededError()
    if noun not in SHOWN:
        raise ReportMissingError(id=repr(id[:60]))
    desk.named(noun, session.roles)
    seen = desk.records.get(noun, id)
    with desk.records.store.reading() as transaction:
        (record,) = desk.reading.verified(transaction, [seen])
    if noun == DOSSIER:
        return of_dossier(record, completeness_of(desk.records, id))
    return desk.reports.of(record, hides=lambda entries: _untold(desk, entries))


def _untold(desk: Desk, entries: Collection[str]) -> frozenset[str]:
    """Return those of some versions that whoever asks may not know of."""
    return frozenset(entry for entry in entries if not desk.records.tells(VERSION, entry))


def _page(request: Request, chrome: Chrome, press: _Press, made: Made, base: str) -> Response:
    language, figures = chrome.language, press.figures.of(made, chrome.language)
    body = render_body(
        made.layout,
        language,
        figures,
        lambda name, ending: f"{base}/figures/{name}.{ending}?lang={language.value}",
    )
    return page(
        request,
        "report.html",
        chrome,
        report=made.layout,
        body=Markup(body),  # noqa: S704  # from our own template, which escapes
        base=base,
        has_data=made.is_whole,
    )


def _data(made: Made, id: str) -> Response:
    """Return what a report was made from, unless it tells what the reader may not know of."""
    if not made.is_whole:
        raise ReportMissingError(id=repr(id[:60]))
    return _file(made.content, "json")


def _pdf(press: _Press, made: Made, language: Language, id: str) -> Response:
    named = re.sub(r"[^A-Za-z0-9._-]", "-", id)
    said = {"Content-Disposition": f'inline; filename="{named}-{language.value}.pdf"'}
    content = press.pdf.of(made, language)
    return Response(content, media_type="application/pdf", headers=_OF_A_FILE | said)


def _figure(press: _Press, made: Made, language: Language, file: str) -> Response:
    found = _FILE.fullmatch(file)
    figure = made.layout.figures().get(found[1]) if found else None
    if found is None or figure is None:
        raise ReportMissingError(id=repr(file[:60]))
    match found[2]:
        case "svg":
            return _file(press.figures.of(made, language)[found[1]], "svg")
        case "csv":
            return _file(figure.as_csv(), "csv")
    return _file(figure.as_json(), "json")


def _file(content: bytes, ending: str) -> Response:
    return Response(content, media_type=_KINDS[ending], headers=_OF_A_FILE)
