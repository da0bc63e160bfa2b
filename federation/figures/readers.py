"""Figures of a reader study: what each reader reaches without and with the AI."""

from collections.abc import Sequence
from dataclasses import dataclass

from federation.figures.canvas import COLOURS, GREY, filled, paper, said, verbatim
from federation.figures.numerals import number
from federation.wording import Language, Text

_TITLE = Text(en="Readers without and with the AI", zh="各判讀者:未使用與使用 AI")
_SAID = Text(
    en="Each reader's {figure} in both arms; {better} of {readers} are higher with {second}.",
    zh="各判讀者於兩組之 {figure};{readers} 位中有 {better} 位於 {second} 組較高。",
)
_ROW = Text(en="{name}: {first} to {second}", zh="{name}:{first} 至 {second}")


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader's figure in each arm, and their mean's where `is_mean`."""

    name: Text
    first: float
    second: float
    is_mean: bool = False


def readers(
    rows: Sequence[Reader],
    arms: tuple[str, str],
    figure: Text,
    language: Language,
    *,
    cases: int | None = None,
) -> bytes:
    """Draw every reader as a line from an open mark (first arm) to a filled one (second)."""
    each = [one for one in rows if not one.is_mean]
    better = sum(one.second > one.first for one in each)
    second = Text(en=arms[1], zh=arms[1])
    words = filled(_SAID, figure=figure, better=better, readers=len(each), second=second)
    height = 1.5 + 0.34 * len(rows)
    with paper(_TITLE, words, language, height_in=height, cases=cases, more=_told(rows)) as drawn:
        axes = drawn.axes
        for place, one in enumerate(rows):
            colour = COLOURS[1] if one.is_mean else COLOURS[0]
            mark = "D" if one.is_mean else "o"
            axes.plot([one.first, one.second], [place, place], color=GREY, linewidth=1.2)
            axes.plot(
                [one.first], [place], marker=mark, markersize=6.5, color=colour,
                markerfacecolor="white", linestyle="", label=_once(arms[0], place),
            )  # fmt: skip
            axes.plot(
                [one.second], [place], marker=mark, markersize=6.5, color=colour, linestyle="",
                label=_once(arms[1], place),
            )  # fmt: skip
            told = number(one.second - one.first)
            axes.text(
                1.02, place, told if told.startswith("\u2212") else f"+{told}", va="center",
                fontsize=8, transform=axes.get_yaxis_transform(),
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), [said(one.name, language) for one in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(said(figure, language))
        axes.grid(visible=False, axis="y")
        axes.locator_params(axis="x", nbins=5)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.35 / height * 1.9), ncols=2)
    return drawn.svg


def _once(arm: str, place: int) -> str:
    """Return a label for the legend, for the first row only."""
    return verbatim(arm) if place == 0 else "_"


def _told(rows: Sequence[Reader]) -> Text:
    told = [
        filled(_ROW, name=one.name, first=number(one.first), second=number(one.second))
        for one in rows
    ]
    return Text(en="; ".join(one.en for one in told), zh=";".join(one.zh for one in told))
