"""Choose the images of a study's cohort: who may be used, asked anew every time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clients.data.catalogue.store import Catalogue, Instance
from clients.data.cohort.definition import query_of
from clients.data.labels.table import MASK
from clients.data.people.optout import load_optouts
from federation.domain.recipe import Recipe, Task
from federation.errors.data import CohortEmptyError


@dataclass(frozen=True, slots=True)
class Choice:
    """The images a recipe may use, in a fixed order.

    `opted_out` counts the patients who would be among them; `optout_version` is the
    content id of the list that was asked.
    """

    images: tuple[Instance, ...]
    opted_out: int
    optout_version: str


def choose(data: Path, recipe: Recipe, *, cohort: str | None = None) -> Choice:
    """Return the labelled images a recipe may use of a cohort the hospital may have defined.

    Raises
    ------
    OptOutListError
        If it is unknown who opted out.
    CohortFileError
        If the hospital's definition of the cohort is not understood.
    CohortEmptyError
        If there is no image.
    """
    query = query_of(data, cohort)
    optouts = load_optouts(data)
    with Catalogue(data) as catalogue:
        label = _label_name(recipe, catalogue.label_names())
        found, opted_out = catalogue.select(
            modalities=recipe.modalities, label=label, opted_out=optouts.patients, query=query
        )
    if recipe.task is Task.SEGMENTATION:
        masked = {item.series for item in found if item.label is not None}
        chosen = [item for item in found if item.series in masked]
    else:
        chosen = [item for item in found if item.label is not None]
    if not chosen:
        modalities = ", ".join(recipe.modalities)
        raise CohortEmptyError(
            recipe=recipe.name, label=recipe.label, modalities=modalities, wanted=label
        )
    return Choice(tuple(chosen), opted_out, str(optouts.version))


def select(data: Path, recipe: Recipe, *, cohort: str | None = None) -> tuple[list[Instance], int]:
    """Return the images of `choose`, and how many patients opted out of it."""
    chosen = choose(data, recipe, cohort=cohort)
    return list(chosen.images), chosen.opted_out


def _label_name(recipe: Recipe, there: Sequence[str]) -> str:
    """Return the catalogue's name of the recipe's label: itself, or a column named ``label``."""
    if recipe.task is Task.SEGMENTATION:
        return MASK
    same = [name for name in there if name.casefold() == recipe.label.casefold()]
    plain = [name for name in there if name.casefold() == "label"]
    return next(iter(same + plain), recipe.label)
