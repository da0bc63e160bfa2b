"""Read a study from a file that a person wrote, and say everything that is wrong at once.

A study file is TOML. `read_study_file` returns a whole, checked `Study` or
raises with every fault: its line, what stands there and what may stand there. A
field nobody knows is a fault too, because a misspelled `epsilonn` must never
mean "no limit". `new_study_file` writes one to start from. The fields
themselves are in `study_fields.py`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar, overload

from federation.domain.ids import Sha256, SiteId, StudyId
from federation.domain.recipe import LocalTraining, Recipe
from federation.domain.study import (
    CentralPlan,
    CountsPlan,
    PrivacyLevel,
    PrivacyPlan,
    Purpose,
    Study,
    TrainingPlan,
)
from federation.domain.toml_text import TooDeepError, parse_toml
from federation.errors.base import PlatformError, ProblemsFound
from federation.errors.study import (
    StudyFieldMissingError,
    StudyFieldUnknownError,
    StudyFileExistsError,
    StudyFileUnreadableError,
    StudySyntaxError,
    StudyValueError,
    UnknownRecipeError,
)
from federation.operations import study_fields as fields
from federation.operations.study_fields import NotAllowedError, Rule
from federation.operations.study_template import study_template
from federation.operations.toml_lines import KeyPath, lines_of_keys
from federation.storage import write_new
from federation.wire.study import digest_of_study
from federation.wording import Text

LIMIT_KB = 32
LIMIT_LINES = 1000
LIMIT_DEPTH = 10
DEFAULT_HELDOUT_FRACTION = 0.25
DEFAULT_MOMENTUM = 0.0
DEFAULT_SEED = 0

_EACH_ONCE = Text(en="every site once", zh="每個院所僅列一次")
_ONLY_SGD = Text(en="0, for only sgd has momentum", zh="0,因為僅 sgd 具有動量")
_ONLY_HOSPITAL = Text(
    en='nothing, for it belongs to level = "hospital"', zh='不填,僅適用於 level = "hospital"'
)
_TWO_SITES = Text(
    en="patient, for one hospital cannot be hidden among fewer than two",
    zh="patient,少於兩家醫院時無法隱藏其中一家",
)
_ONLY_PRIVATE = Text(
    en="nothing, for what noisy counts cost is part of the epsilon of [privacy]",
    zh="不填,加噪計數的代價屬於 [privacy] 的 epsilon",
)
_UNKNOWN = LocalTraining(optimizer="sgd", learning_rate=0.1, batch_size=1, local_epochs=1.0)
"""Stands in while faults are collected for a file whose recipe is unknown."""

_HOSPITAL_CLIP, _HOSPITAL_NOISE = "hospital_clip_norm", "hospital_noise_multiplier"

T = TypeVar("T")
RecipeOf = Callable[[str], Recipe]
_READABLE = 0o644
_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


def read_study_file(path: Path, *, now: datetime, recipe_of: RecipeOf | None = None) -> Study:
    """Return the study in a file.

    Parameters
    ----------
    now
        With time zone; the study must end after it.
    recipe_of
        Finds a recipe by name or raises `UnknownRecipeError`; by default those
        of this wheel.

    Raises
    ------
    StudyFileUnreadableError
        If it is missing, too large or not text.
    StudySyntaxError, StudyFieldMissingError, StudyFieldUnknownError, StudyValueError
        If exactly one thing is wrong.
    ProblemsFound
        If several are; in the order of their lines.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(LIMIT_KB * 1024 + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path.name, getattr(error, "strerror", None) or "no such file") from error
    return parse_study(content, now=now, recipe_of=recipe_of, file=path.name)


def parse_study(
    content: bytes, *, now: datetime, recipe_of: RecipeOf | None = None, file: str = "study.toml"
) -> Study:
    """Return the study in the bytes of a file; raises as `read_study_file`."""
    text = _text(content, file)
    tables = _toml(text)
    reading = _Reading(tables, lines_of_keys(text))
    study = _study(reading, now=now, recipe_of=recipe_of or _shipped_recipe)
    reading.check_names()
    problems = reading.problems()
    if study is None or problems:
        raise problems[0] if len(problems) == 1 else ProblemsFound(problems)
    return replace(study, digest=digest_of_study(study))


def new_study_file(
    path: Path,
    *,
    study: StudyId,
    recipe: str,
    sites: Sequence[SiteId],
    now: datetime,
    recipe_of: RecipeOf | None = None,
) -> Study:
    """Write a commented study file to start from, valid as it stands; return its study.

    Raises
    ------
    StudyFileExistsError
        If there is a file already; it is left as it is.
    UnknownRecipeError, StudyValueError
        If the recipe or the sites cannot be used.
    DiskFullError, OSError
        If it cannot be written; nothing is left.
    """
    text = study_template(
        study=study,
        recipe=(recipe_of or _shipped_recipe)(recipe),
        sites=sites,
        heldout=DEFAULT_HELDOUT_FRACTION,
        now=now,
    )
    written = parse_study(text.encode(), now=now, recipe_of=recipe_of, file=path.name)
    try:
        write_new(path, text.encode(), mode=_READABLE)
    except FileExistsError as error:
        raise StudyFileExistsError(file=path.name) from error
    return written


def _shipped_recipe(name: str) -> Recipe:
    from federation.recipes.catalogue import recipe  # brings pydantic; only when a file is read

    return recipe(name)


# 1. bytes -> tables


def _text(content: bytes, file: str) -> str:
    if len(content) > LIMIT_KB * 1024:
        raise _unreadable(file, Text(en="it is too large", zh="檔案過大"))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(file, Text(en="it is not UTF-8 text", zh="不是 UTF-8 文字")) from error
    text = text.replace("\r\n", "\n")
    if text.count("\n") > LIMIT_LINES:
        raise _unreadable(file, Text(en="it has too many lines", zh="行數過多"))
    return text


def _unreadable(file: str, why: object) -> PlatformError:
    return StudyFileUnreadableError(file=file, why=why, limit_kb=LIMIT_KB)


def _toml(text: str) -> dict[str, object]:
    try:
        tables = parse_toml(text.encode())
    except TooDeepError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise _syntax_error(str(error), text) from error
    if _is_deeper(tables, LIMIT_DEPTH):
        raise _too_deep()
    return tables


def _too_deep() -> StudySyntaxError:
    return StudySyntaxError(line=1, column=1, detail="nested too deeply")


def _is_deeper(value: object, limit: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return limit == 0 or any(_is_deeper(item, limit - 1) for item in inner)


def _syntax_error(message: str, text: str) -> StudySyntaxError:
    place = _PLACE.fullmatch(message)
    detail, line, column = place.groups() if place else (message, "1", "1")
    if line is None:
        lines = text.split("\n")
        line, column = str(len(lines)), str(len(lines[-1]) + 1)
    return StudySyntaxError(line=int(line), column=int(column), detail=_short(detail))


# 2. tables -> values, keeping every fault


@dataclass
class _Reading:
    """One pass over a parsed file: hands out checked values and keeps the faults."""

    tables: Mapping[str, object]
    lines: Mapping[KeyPath, int]
    _found: list[PlatformError] = field(default_factory=list)

    def problems(self) -> list[PlatformError]:
        """Return the faults in the order of their lines."""
        return sorted(self._found, key=lambda fault: int(str(fault.values["line"])))

    def table(self, name: str) -> Mapping[str, object]:
        """Return a table; empty when it is missing or is no table."""
        found = self.tables.get(name)
        return found if isinstance(found, dict) else {}

    @overload
    def value(self, table: str, key: str, rule: Rule[T]) -> T | None: ...
    @overload
    def value(self, table: str, key: str, rule: Rule[T], default: T) -> T: ...
    def value(self, table: str, key: str, rule: Rule[T], default: T | None = None) -> T | None:
        """Return a checked value; `default` when it is absent or was refused."""
        if key not in self.table(table):
            if default is None:
                self._note(StudyFieldMissingError, (table, key), expected=rule.expected)
            return default
        value = self.table(table)[key]
        try:
            return rule.read(value)
        except NotAllowedError:
            self.refuse((table, key), value, rule.expected)
            return default

    def refuse(self, path: KeyPath, actual: object, expected: Text) -> None:
        """Keep the fault that `actual` is not what is expected."""
        self._note(StudyValueError, path, actual=_shown(actual), expected=expected)

    def miss(self, path: KeyPath, expected: Text) -> None:
        """Keep the fault that something is not there."""
        self._note(StudyFieldMissingError, path, expected=expected)

    def check_names(self) -> None:
        """Keep a fault for every table and key that no study has."""
        self._check_known((), self.tables, fields.FIELDS)
        for name in fields.FIELDS:
            self._check_known((name,), self.table(name), fields.FIELDS[name])
            said = self.tables.get(name, {})
            if name != "privacy" and not isinstance(said, dict):
                self.refuse((name,), said, fields.A_TABLE)

    def _check_known(self, path: KeyPath, found: Iterable[str], known: Iterable[str]) -> None:
        names = list(known)
        for key in found:
            if key not in names:
                near = get_close_matches(key[:80], names, n=1, cutoff=0.5)
                self._note(
                    StudyFieldUnknownError,
                    (*path, key),
                    nearest=near[0] if near else "-",
                    known=", ".join(names),
                )

    def _note(self, kind: type[PlatformError], path: KeyPath, **values: object) -> None:
        known = (self.lines.get(path[:end]) for end in range(len(path), 0, -1))
        line = next((line for line in known if line), 1)
        self._found.append(kind(line=line, field=_short(".".join(path)), **values))


def _shown(value: object) -> str:
    try:
        return _short(repr(value) if isinstance(value, (str, list)) else str(value))
    except ValueError:  # an integer beyond Python's limit of digits
        return "…"


def _short(text: str, most: int = 80) -> str:
    printable = "".join(letter if letter.isprintable() else "�" for letter in text[: most + 1])
    return printable if len(printable) <= most else printable[: most - 1] + "…"


# 3. values -> study


def _study(reading: _Reading, *, now: datetime, recipe_of: RecipeOf) -> Study | None:
    """Return the study, its digest still empty; None when something was refused."""
    study_id = reading.value("study", "id", fields.ID)
    title = reading.value("study", "title", fields.TITLE)
    purpose = reading.value("study", "purpose", fields.PURPOSE)
    recipe = _recipe(reading, recipe_of)
    cohort = reading.value("study", "cohort", fields.COHORT)
    expires = _expires(reading, now)
    seed = reading.value("study", "seed", fields.SEED, DEFAULT_SEED)
    sites, quorum = _sites(reading)
    training = _training(reading, recipe)
    privacy, privacy_said = _privacy(reading)
    heldout = reading.value(
        "evaluation", "heldout_fraction", fields.HELDOUT_FRACTION, DEFAULT_HELDOUT_FRACTION
    )
    if (
        study_id is None
        or title is None
        or purpose is None
        or recipe is None
        or cohort is None
        or expires is None
        or sites is None
        or quorum is None
        or training is None
        or not privacy_said
    ):
        return None
    return Study(
        id=study_id,
        title=title,
        purpose=Purpose(purpose),
        recipe=recipe.name,
        recipe_digest=recipe.digest,
        cohort=cohort,
        sites=sites,
        quorum=quorum,
        training=training,
        privacy=privacy,
        heldout_fraction=heldout,
        seed=seed,
        expires=expires.isoformat(),
        digest=Sha256.of(b""),
    )


def _recipe(reading: _Reading, recipe_of: RecipeOf) -> Recipe | None:
    name = reading.value("study", "recipe", fields.RECIPE)
    if name is None:
        return None
    try:
        return recipe_of(name)
    except UnknownRecipeError as error:
        known = str(error.values["known"])
        expected = Text(en=f"one of: {known}", zh=f"其中之一:{known}")
        reading.refuse(("study", "recipe"), name, expected)
        return None


def _expires(reading: _Reading, now: datetime) -> datetime | None:
    expires = reading.value("study", "expires", fields.EXPIRES)
    if expires is not None and expires <= now:
        reading.refuse(("study", "expires"), expires.isoformat(), fields.EXPIRES.expected)
        return None
    return expires


def _sites(reading: _Reading) -> tuple[tuple[SiteId, ...] | None, int | None]:
    names = reading.value("sites", "names", fields.SITES)
    quorum = reading.value("sites", "quorum", fields.QUORUM)
    if names is None:
        return None, quorum
    most = len(set(names))
    if most < len(names):
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        reading.refuse(("sites", "names"), twice, _EACH_ONCE)
    if quorum is not None and quorum > most:
        expected = Text(
            en=f"a whole number from 1 to {most}, the number of sites",
            zh=f"1 至 {most}(院所數)的整數",
        )
        reading.refuse(("sites", "quorum"), quorum, expected)
    return names, quorum


def _training(reading: _Reading, recipe: Recipe | None) -> TrainingPlan | None:
    usual = recipe.training if recipe else _UNKNOWN
    rounds = reading.value("training", "rounds", fields.ROUNDS)
    optimizer = reading.value("training", "optimizer", fields.OPTIMIZER, usual.optimizer)
    momentum = reading.value("training", "momentum", fields.MOMENTUM, DEFAULT_MOMENTUM)
    if momentum > 0 and optimizer != "sgd":
        reading.refuse(("training", "momentum"), momentum, _ONLY_SGD)
    local_epochs = reading.value(
        "training", "local_epochs", fields.LOCAL_EPOCHS, usual.local_epochs
    )
    rate = reading.value("training", "learning_rate", fields.LEARNING_RATE, usual.learning_rate)
    batch_size = reading.value("training", "batch_size", fields.BATCH_SIZE, usual.batch_size)
    if rounds is None:
        return None
    return TrainingPlan(
        rounds=rounds,
        local_epochs=local_epochs,
        learning_rate=rate,
        batch_size=batch_size,
        optimizer=optimizer,
        momentum=momentum,
    )


def _privacy(reading: _Reading) -> tuple[PrivacyPlan | None, bool]:
    """Return the plan, and whether the file says clearly what it is."""
    said = reading.tables.get("privacy")
    if said == fields.NO_PRIVACY:
        if "counts" in reading.tables:
            reading.refuse(("counts",), "[counts]", _ONLY_PRIVATE)
        return None, True
    if said is None:
        reading.miss(("privacy",), fields.PRIVACY)
        return None, False
    if not isinstance(said, dict):
        reading.refuse(("privacy",), said, fields.PRIVACY)
        return None, False
    epsilon = reading.value("privacy", "epsilon", fields.EPSILON)
    delta = reading.value("privacy", "delta", fields.DELTA)
    clip_norm = reading.value("privacy", "clip_norm", fields.CLIP_NORM)
    noise = None
    if "noise_multiplier" in said:
        noise = reading.value("privacy", "noise_multiplier", fields.NOISE_MULTIPLIER)
    central, counts = _central(reading), _counts(reading)
    if epsilon is None or delta is None or clip_norm is None:
        return None, False
    return PrivacyPlan(epsilon, delta, clip_norm, noise, central, counts), True


def _central(reading: _Reading) -> CentralPlan | None:
    """Return the centre's noise where the file asks to hide hospitals too."""
    said = reading.table("privacy")
    level = reading.value("privacy", "level", fields.LEVEL, PrivacyLevel.PATIENT.value)
    if level != PrivacyLevel.HOSPITAL.value:
        for key in (_HOSPITAL_CLIP, _HOSPITAL_NOISE):
            if key in said:
                reading.refuse(("privacy", key), said[key], _ONLY_HOSPITAL)
        return None
    names = reading.table("sites").get("names")
    if isinstance(names, list) and len(names) < 2:
        reading.refuse(("privacy", "level"), level, _TWO_SITES)
    clip_norm = reading.value("privacy", _HOSPITAL_CLIP, fields.HOSPITAL_CLIP_NORM)
    noise = reading.value("privacy", _HOSPITAL_NOISE, fields.HOSPITAL_NOISE)
    if clip_norm is None or noise is None:
        return None
    return CentralPlan(clip_norm, noise)


def _counts(reading: _Reading) -> CountsPlan | None:
    if "counts" not in reading.tables:
        return None
    sigma = reading.value("counts", "sigma", fields.COUNT_SIGMA)
    return None if sigma is None else CountsPlan(sigma)
