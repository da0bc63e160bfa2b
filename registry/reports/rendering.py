"""Turn a layout into HTML: whole with everything inside, or the body for a served page.

Escaping is always on, there is no script, a missing value is an error, and nothing depends
on the day or the machine: the same layout gives the same bytes.
"""

import base64
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from federation.figures.canvas import caption_of, description_of, said
from federation.wording import Language, Text
from registry.reports.layout import Chip, Facts, Figure, Notice, Report, Table

_HERE = Path(__file__).parent
STYLE = _HERE / "static" / "report.css"
_DRAWING = Lock()
"""Held while something is drawn: matplotlib's settings are those of the whole process."""

Address = Callable[[str, str], str]
"""Returns where a figure's file is served: takes its name and ending."""

_WORDS = {
    "contents": Text(en="Contents", zh="目錄"),
    "data": Text(en="Data of this figure:", zh="本圖資料:"),
    "made_from": Text(en="Made from", zh="來源文件"),
}


def render(report: Report, language: Language) -> str:
    """Return a report as one HTML page: style and figures are inside."""
    return _template("report.html", language).render(
        report=report,
        drawn=drawn(report, language),
        address=None,
        style=STYLE.read_text(encoding="utf-8"),
    )


def render_body(
    report: Report, language: Language, figures: Mapping[str, bytes], address: Address
) -> str:
    """Return what stands in a served page; the figures, already drawn, are files at `address`."""
    return _template("body.html", language).render(report=report, drawn=figures, address=address)


def drawn(report: Report, language: Language) -> dict[str, bytes]:
    """Return every figure's SVG by its name."""
    with _DRAWING:
        return {name: figure.draw(language) for name, figure in report.figures().items()}


@cache
def _template(name: str, language: Language) -> Template:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        language=language,
        w={name: _say(text, language) for name, text in _WORDS.items()},
        kind_of=_kind_of,
    )
    made.filters.update(
        say=lambda words: _say(words, language),
        described=description_of,
        captioned=caption_of,
        embedded=lambda svg: "data:image/svg+xml;base64," + base64.b64encode(svg).decode(),
    )
    return made.get_template(name)


def _say(words: Text | str, language: Language) -> str:
    return said(words, language) if isinstance(words, Text) else words


def _kind_of(block: Any) -> str:
    """Return what sort of block or cell something is, for the templates."""
    kinds = {Notice: "notice", Facts: "facts", Table: "table", Figure: "figure", Chip: "chip"}
    return kinds.get(type(block), "words")
