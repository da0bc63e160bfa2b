"""Find the recipes that this wheel ships.

A recipe is a TOML file beside this module. It is data only: the network comes
from a named builder (`networks.py`), and the file it is in is part of the digest
(`SOURCES`), so a hospital that approved a digest knows exactly what will be trained.

Light to import: no torch.
"""

import tomllib
from functools import lru_cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from federation.domain.ids import Sha256
from federation.domain.recipe import LocalTraining, Recipe, Task
from federation.errors.base import PlatformError, ProblemsFound
from federation.errors.study import RecipeFaultError, UnknownRecipeError
from federation.evidence.canonical import canonical

_SUFFIX = ".toml"

SOURCES = {"oriented-bands-2d": "oriented.py"}
"""Files of this folder that build a network, where it is not `convolutional.py`."""


OUTCOME_TABLE = "outcome-table"
"""What a study names that fits tables of outcomes: no file, no network, nothing to train."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _TrainingFile(_Strict):
    optimizer: str = Field(pattern="^(sgd|adam|adamw)$")
    learning_rate: float = Field(gt=0)
    batch_size: int = Field(ge=1)
    local_epochs: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    schedule: str = Field(pattern="^(constant|cosine)$")
    augmentation: str = Field(pattern="^(none|chest)$")


class _RecipeFile(_Strict):
    name: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,38}[a-z0-9]$")
    version: str = Field(pattern=r"^[0-9]+(\.[0-9]+)*$")
    task: str = Field(pattern="^(classification|segmentation)$")
    network: str = Field(min_length=1)
    network_args: dict[str, int | float | str | list[int]]
    input_shape: list[int] = Field(min_length=3, max_length=4)
    classes: int = Field(ge=2)
    modalities: list[str] = Field(min_length=1)
    label: str = Field(min_length=1)
    training: _TrainingFile


def recipe_names() -> tuple[str, ...]:
    """Return the names of all recipes, sorted."""
    files = resources.files(__package__).iterdir()
    return tuple(sorted(f.name.removesuffix(_SUFFIX) for f in files if f.name.endswith(_SUFFIX)))


@lru_cache(maxsize=64)
def recipe(name: str) -> Recipe:
    """Return a recipe by its name.

    Raises
    ------
    UnknownRecipeError
        If this version ships no such recipe; the error lists those it does.
    ProblemsFound
        If the file breaks rules, all of them at once.
    """
    if name == OUTCOME_TABLE:
        return _outcome_table()
    known = recipe_names()
    if name not in known:
        raise UnknownRecipeError(name=repr(name[:60]), known=", ".join(known))
    return recipe_from_toml(_read(name + _SUFFIX), name=name)


def _outcome_table() -> Recipe:
    """Return what stands in the place of a recipe where no image is looked at."""
    return Recipe(
        name=OUTCOME_TABLE,
        version="1",
        task=Task.OUTCOMES,
        network="none",
        network_args=(),
        input_shape=(1, 1, 1),
        classes=2,
        modalities=(),
        label="outcome",
        training=LocalTraining("none", 0.0, 0, 0.0),
        digest=Sha256.of(canonical({"recipe": OUTCOME_TABLE, "version": "1"})),
    )


def recipe_from_toml(text: str, *, name: str) -> Recipe:
    """Return the recipe in `text`, which must call itself `name`.

    Raises
    ------
    ProblemsFound
        If the text breaks rules, all of them at once.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProblemsFound([_fault(name, "file", str(error))]) from error
    try:
        parsed = _RecipeFile.model_validate(raw)
    except ValidationError as error:
        raise ProblemsFound(_faults(name, error)) from error
    if parsed.name != name:
        raise ProblemsFound([_fault(name, "name", "it differs from the file's name")])
    return _recipe(parsed)


def _recipe(parsed: _RecipeFile) -> Recipe:
    data = parsed.model_dump()
    source = _read(SOURCES.get(parsed.network, "convolutional.py"))
    content = {"recipe": data, "networks": str(Sha256.of(source.encode()))}
    return Recipe(
        name=parsed.name,
        version=parsed.version,
        task=Task(parsed.task),
        network=parsed.network,
        network_args=tuple(sorted((key, _frozen(v)) for key, v in parsed.network_args.items())),
        input_shape=tuple(parsed.input_shape),
        classes=parsed.classes,
        modalities=tuple(parsed.modalities),
        label=parsed.label,
        training=LocalTraining(**data["training"]),
        digest=Sha256.of(canonical(content)),
    )


def _read(file: str) -> str:
    return (resources.files(__package__) / file).read_text(encoding="utf-8")


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _faults(name: str, error: ValidationError) -> list[PlatformError]:
    return [
        _fault(name, ".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors()
    ]


def _fault(name: str, field: str, why: str) -> PlatformError:
    return RecipeFaultError(recipe=name, field=field, why=why)
