"""The paper that figures are drawn on: size, type, colours, and the SVG bytes."""

import html
import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from federation.wording import Language, Text, without_fields

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito 2008; told apart with any common colour vision."""

LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)), (0, (8, 3)))
MARKS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")
GREY = "#767676"
CASES = Text(en="{name} (n = {cases})", zh="{name}\uff08n = {cases}\uff09")
"""A name with how many it is of."""

WIDTH_IN = 5.4
"""Small, so that words can still be read where a figure is scaled to a telephone."""

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "trifed",
    "font.family": ["sans-serif"],
    "font.sans-serif": [
        "Noto Sans CJK TC",
        "Noto Sans TC",
        "Microsoft JhengHei",
        "PingFang TC",
        "Noto Sans",
        "DejaVu Sans",
        "sans-serif",
    ],
    "font.size": 9.5,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.dpi": 100,
    "axes.unicode_minus": True,
}


_UNSAID = ("Date", "Creator", "Format", "Type")
"""What matplotlib would tell of itself and the day."""

_CJK = re.compile("[\u3400-\u9fff]")
_FULL = str.maketrans("(),:;", "\uff08\uff09\uff0c\uff1a\uff1b")
_MARK = re.compile(r"[();] ?|(?<=[\u3400-\u9fff])[,:] ?|[,:](?=[\u3400-\u9fff])")


@dataclass
class Paper:
    """One figure while it is drawn: axes to draw on, and `svg` when the block has ended.

    `below` is room for words under the axes, with the same x, where it was asked for.
    """

    axes: "Axes"
    figure: "Figure"
    below: "Axes | None" = None
    svg: bytes = b""


@contextmanager
def paper(
    title: Text,
    description: Text,
    language: Language,
    *,
    height_in: float = 4.2,
    square: bool = False,
    cases: int | None = None,
    more: Text | None = None,
    below_in: float = 0.0,
) -> Iterator[Paper]:
    """Give axes to draw on; afterwards `svg` holds the figure.

    Parameters
    ----------
    title, description
        What it shows, in words: the description is the caption and what a screen reader says.
    height_in
        Inches; the width is always the same.
    square
        Both axes alike, as a ROC curve needs.
    cases
        Of how many it is; stands beside the title.
    more
        What a screen reader says after the description, for example every number.
    below_in
        Inches of room for words under the axes.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    if cases is not None:
        title = filled(CASES, name=title, cases=f"{cases:,}")
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with mpl.rc_context(cast(Any, _STYLE)):
        figure = Figure(figsize=(WIDTH_IN, height_in + below_in), layout="constrained")
        FigureCanvasSVG(figure)
        axes, below = _axes(figure, height_in, below_in)
        if square:
            axes.set_box_aspect(1)
        axes.set_title(said(title, language))
        drawn = Paper(axes, figure, below)
        yield drawn
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(_UNSAID))
        told = [said(one, language) for one in (description, more) if one is not None]
        drawn.svg = _readable(file.getvalue(), said(title, language), "\n".join(told))


def _axes(figure: "Figure", height_in: float, below_in: float) -> tuple["Axes", "Axes | None"]:
    if not below_in:
        return figure.add_subplot(), None
    grid = figure.add_gridspec(2, 1, height_ratios=(height_in, below_in))
    axes = figure.add_subplot(grid[0])
    below = figure.add_subplot(grid[1], sharex=axes)
    below.set_axis_off()
    return axes, below


def filled(text: Text, **values: object) -> Text:
    """Return a sentence filled in, in both languages; no value opens a field."""
    both = (text.say(one, **values) for one in (Language.EN, Language.ZH_HANT_TW))
    en, zh = (without_fields(one) for one in both)
    return Text(en=en, zh=zh)


def short(name: str, most: int = 34) -> str:
    """Return a name that leaves room for the drawing; the data beside it have the whole."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def verbatim(name: str, most: int = 34) -> str:
    """Return a name as given, shortened, in which nothing is matplotlib's markup."""
    return _inert(short(name, most))


def label(axes: "Axes", x: Text, y: Text, language: Language) -> None:
    """Name both axes."""
    axes.set_xlabel(said(x, language))
    axes.set_ylabel(said(y, language))


def said(text: Text, language: Language, **values: object) -> str:
    """Return a text with the punctuation of its language; matplotlib's markup is only text."""
    told = _inert(text.say(language, **values))
    if language is Language.ZH_HANT_TW and _CJK.search(told):
        return _MARK.sub(lambda found: found[0].strip().translate(_FULL), told)
    return told


def _inert(words: str) -> str:
    """Return words without mathematics, and none that a legend would leave out."""
    told = words.replace("$", r"\$")
    return f" {told}" if told.startswith("_") else told


def description_of(svg: bytes) -> str:
    """Return what a screen reader says of a figure."""
    found = re.search(rb"<desc>(.*?)</desc>", svg, re.S)
    return html.unescape(found[1].decode()).replace("\n", " ") if found else ""


def caption_of(svg: bytes) -> str:
    """Return what stands under a figure: the beginning of what a screen reader says."""
    found = re.search(rb"<desc>([^\n]*?)(?:\n.*?)?</desc>", svg, re.S)
    return html.unescape(found[1].decode()) if found else ""


def _readable(svg: bytes, title: str, description: str) -> bytes:
    """Give the SVG what a screen reader says: role, title and description."""
    from xml.sax.saxutils import escape

    head, found, rest = svg.partition(b"<svg ")
    opening, _, body = rest.partition(b">")
    words = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    named = b'role="img" ' + opening
    return head + found + named + b">" + words.encode() + body
