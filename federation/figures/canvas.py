"""The paper that figures are drawn on: size, type, colours, and the SVG bytes."""

import html
import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from federation.wording import Language, Text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito 2008; told apart with any common colour vision."""

LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)), (0, (8, 3)))
MARKS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")
GREY = "#767676"
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
    """One figure while it is drawn: axes to draw on, and `svg` when the block has ended."""

    axes: "Axes"
    figure: "Figure"
    svg: bytes = b""


@contextmanager
def paper(
    title: Text,
    description: Text,
    language: Language,
    *,
    height_in: float = 4.2,
    square: bool = False,
) -> Iterator[Paper]:
    """Give axes to draw on; afterwards `svg` holds the figure.

    Parameters
    ----------
    title, description
        What it shows, in words: the description is what a screen reader says.
    height_in
        Inches; the width is always the same.
    square
        Both axes alike, as a ROC curve needs.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with mpl.rc_context(cast(Any, _STYLE)):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        if square:
            axes.set_box_aspect(1)
        axes.set_title(said(title, language))
        drawn = Paper(axes, figure)
        yield drawn
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(_UNSAID))
        drawn.svg = _readable(file.getvalue(), said(title, language), said(description, language))


def label(axes: "Axes", x: Text, y: Text, language: Language) -> None:
    """Name both axes."""
    axes.set_xlabel(said(x, language))
    axes.set_ylabel(said(y, language))


def said(text: Text, language: Language, **values: object) -> str:
    """Return a text with the punctuation of its language; matplotlib's markup is only text."""
    filled = text.say(language, **values).replace("$", r"\$")
    if language is Language.ZH_HANT_TW and _CJK.search(filled):
        return _MARK.sub(lambda found: found[0].strip().translate(_FULL), filled)
    return filled


def description_of(svg: bytes) -> str:
    """Return what a screen reader says of a figure."""
    found = re.search(rb"<desc>(.*?)</desc>", svg, re.S)
    return html.unescape(found[1].decode()) if found else ""


def _readable(svg: bytes, title: str, description: str) -> bytes:
    """Give the SVG what a screen reader says: role, title and description."""
    from xml.sax.saxutils import escape

    head, found, rest = svg.partition(b"<svg ")
    opening, _, body = rest.partition(b">")
    words = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    named = b'role="img" ' + opening
    return head + found + named + b">" + words.encode() + body
