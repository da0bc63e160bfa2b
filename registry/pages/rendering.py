"""Fill templates: escaping always on, no script, every missing value an error.

    html = render("entry.html", chrome, view=view)

`Chrome` is what every page needs besides its view: language, address, session.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from starlette.requests import Request
from starlette.responses import HTMLResponse

from federation.wording import Language, Text
from registry.accounts.ports import Session, session_of
from registry.exchange.attributes import ATTRIBUTES
from registry.lineage.tree import kind_title, relation_title
from registry.pages import typesetting as types
from registry.pages.console_views import state_named
from registry.pages.console_wording import CONSOLE_WORDS, FIELDS
from registry.pages.language import PARAMETER, keep_choice, language_of
from registry.pages.typesetting import say
from registry.pages.wording import DIMENSIONS, METRICS, RISKS, Words
from registry.reports.rendering import STYLE as REPORT_STYLE
from registry.roles import Role

_HERE = Path(__file__).parent
STATIC = {
    "style": ("register.css", "text/css"),
    "report": (REPORT_STYLE.name, "text/css"),
    "mark": ("mark.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Cookie, Accept-Language",
}


@dataclass(frozen=True, slots=True)
class Chrome:
    """What surrounds a page: its language, the address in the other one, who is logged in.

    `here` is the entry of the main menu, `is_private` a page for those logged in only.
    """

    language: Language
    other_address: str
    here: str
    session: Session | None = None
    is_private: bool = False

    @property
    def other(self) -> Language:
        """Return the language that the switch leads to."""
        return Language.EN if self.language is Language.ZH_HANT_TW else Language.ZH_HANT_TW

    @property
    def roles(self) -> list[Role]:
        """Return the roles of whoever is logged in, in a fixed order."""
        return [role for role in Role if self.session and role in self.session.roles]


def chrome_of(request: Request, *, here: str, is_private: bool = False) -> Chrome:
    """Return what surrounds the page that a request asks for."""
    language = language_of(request)
    other = Language.EN if language is Language.ZH_HANT_TW else Language.ZH_HANT_TW
    address = request.url.include_query_params(**{PARAMETER: other.value})
    shown = f"{address.path}?{address.query}"
    return Chrome(language, shown, here, session_of(request), is_private)


def page(
    request: Request, template: str, chrome: Chrome, status: int = 200, /, **values: object
) -> HTMLResponse:
    """Return a page as a response with its headers; a private one is never kept."""
    kept = "no-store" if chrome.is_private or chrome.session else "private, no-cache"
    headers = HEADERS | {"Cache-Control": kept, "Content-Language": chrome.language.value}
    response = HTMLResponse(render(template, chrome, **values), status, headers=headers)
    keep_choice(request, response)
    return response


def render(template: str, chrome: Chrome, **values: object) -> str:
    """Return a template filled in."""
    return _template(template, chrome.language).render(chrome=chrome, **values)


def static(name: str) -> tuple[bytes, str]:
    """Return a file that pages refer to, and its media type; raises `KeyError` for others."""
    known = dict(STATIC.values())
    return _content(name), known[name]


@cache
def _assets() -> Mapping[str, str]:
    return {name: f"/assets/{file}?v={_digest(file)}" for name, (file, _) in STATIC.items()}


def _digest(file: str) -> str:
    return hashlib.sha256(_content(file)).hexdigest()[:12]


def _content(file: str) -> bytes:
    path = REPORT_STYLE if file == REPORT_STYLE.name else _HERE / "static" / file
    return path.read_bytes()


@cache
def _template(name: str, language: Language) -> Template:
    return _environment(language).get_template(name)


@cache
def _environment(language: Language) -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        w=Words(language), language=language, assets=_assets(), none_mark=types.NONE
    )
    made.filters.update(
        say=partial(say, language=language),
        people=partial(types.count, language=language),
        metric=partial(_named, METRICS, language),
        dimension=partial(_named, DIMENSIONS, language),
        risk=lambda level: say(RISKS[level], language),
        figure=types.figure,
        power=types.power,
        fact=partial(_fact, language),
        kind=lambda kind: types.set_in(language, kind_title(kind, language)),
        relation=lambda name, forward: types.set_in(
            language, relation_title(name, language, forward=forward)
        ),
        number=lambda value: f"{value:,}",
        day=types.day,
        minute=types.taipei,
        short=types.short,
        fieldname=partial(_field_named, language),
        statename=lambda state, noun: state_named(noun, state),
        rolenames=lambda roles: ", ".join(say(role.title, language) for role in roles),
        what=lambda error: types.set_in(language, error.say_what(language)),
        nextstep=lambda error: types.set_in(language, error.say_next_step(language)),
    )
    return made


def _field_named(language: Language, name: str) -> str:
    """Return what people call a field of a record; one of the 31 attributes with its question."""
    attribute = ATTRIBUTES.get(name)
    if attribute is not None:
        return f"{name} {say(attribute.asked, language)}"
    return say(FIELDS.get(name, name.replace("_", " ")), language)


def _fact(language: Language, value: object) -> str:
    match value:
        case bool():
            return say(CONSOLE_WORDS["true" if value else "false"], language)
        case float():
            return f"{value:.4g}"
    return types.short(str(value))


def _named(names: Mapping[str, Text], language: Language, name: str) -> str:
    return say(names.get(name, name), language)
