"""The catalogue of measures, as data: code, title, unit, direction, source (D.2).

catalogue()["turnaround"].unit                     # "min"
plan_block(known, role="primary", analysis=...)    # its part of plan.toml
protocol_block(known, role="primary")              # its part of protocol.toml
"""

import json
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from federation.errors.impact_designs import MeasureUnknownError
from federation.impact.plan import Analysis, Grid
from federation.impact.readers import Figure
from federation.wording import Text

MIDDLE_RATING = 3
"""The threshold that a template proposes, of five ratings."""


class Titles(BaseModel):
    """A title in both languages."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    en: str
    zh: Annotated[str, Field(alias="zh-TW")]


class Known(BaseModel):
    """A measure of the catalogue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str
    title: Titles
    unit: str
    better: Literal["higher", "lower"]
    analysis: Analysis
    source: str
    grid: Grid | None = None
    figure: Figure | None = None
    range: tuple[float, float] | None = None

    @property
    def name(self) -> Text:
        """Return its title."""
        return Text(en=self.title.en, zh=self.title.zh)


@cache
def catalogue() -> Mapping[str, Known]:
    """Return all measures by their codes, in the order of the file."""
    content = files("federation.impact").joinpath("measures.toml").read_text(encoding="utf-8")
    raw = tomllib.loads(content)
    return {
        code: Known.model_validate({"code": code, **said})
        for code, said in raw.items()
        if isinstance(said, dict)
    }


def known(code: str) -> Known:
    """Return a measure.

    Raises
    ------
    MeasureUnknownError
        If the catalogue does not have it.
    """
    if code not in catalogue():
        raise MeasureUnknownError(name=code[:60], known=", ".join(catalogue()))
    return catalogue()[code]


def plan_block(measure: Known, *, role: str, analysis: Analysis) -> str:
    """Return a measure as a table of plan.toml."""
    lines = [
        "[[measures]]",
        f"id = {json.dumps(measure.code)}",
        f"role = {json.dumps(role)}",
        f"analysis = {json.dumps(analysis.value)}",
        f"unit = {json.dumps(measure.unit)}",
        f"better = {json.dumps(measure.better)}",
    ]
    if measure.range is not None:
        lines.append(f"range = {json.dumps(list(measure.range))}")
    if analysis is Analysis.MEDIAN:
        grid = measure.grid or Grid(step=1, top=1000)
        lines.append(f"grid = {{ step = {grid.step:g}, top = {grid.top:g} }}")
    if analysis is Analysis.READERS:
        figure = measure.figure or Figure.AUROC
        lines.append(f"figure = {json.dumps(figure.value)}")
        lines += [] if figure is Figure.AUROC else [f"threshold = {MIDDLE_RATING}"]
    return "\n".join(lines) + "\n"


def protocol_block(measure: Known, *, role: str) -> str:
    """Return a measure as a table of protocol.toml."""
    titles = {"zh-TW": measure.title.zh, "en": measure.title.en}
    said = ", ".join(
        f"{json.dumps(key) if '-' in key else key} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in titles.items()
    )
    return (
        f"[[measures]]\nid = {json.dumps(measure.code)}\ntitle = {{ {said} }}\n"
        f"code = {json.dumps(measure.code)}\nunit = {json.dumps(measure.unit)}\n"
        f"better = {json.dumps(measure.better)}\nrole = {json.dumps(role)}\n"
    )
