"""The fields of a study file as data: what each must be, in words and as a check.

Used by `study_file.py` alone. A rule returns the value it was given in the form
the domain wants, or raises `NotAllowedError`; NaN fails every range.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Generic, TypeVar

from federation.domain.ids import Id, SiteId, StudyId
from federation.domain.study import PrivacyLevel, Purpose
from federation.errors.core import InvalidIdError
from federation.wording import Text

T = TypeVar("T", covariant=True)
KindOfId = TypeVar("KindOfId", bound=Id)

OPTIMIZERS = ("adam", "adamw", "sgd")
MOST_SITES = 1000
MOST_SEED = 2**32 - 1
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


class NotAllowedError(Exception):
    """A rule's no; the reader turns it into a coded error, for it knows the line."""


@dataclass(frozen=True, slots=True)
class Rule(Generic[T]):
    """What a value must be: words for people, and the check."""

    expected: Text
    read: Callable[[object], T]


def one_of(names: tuple[str, ...]) -> Rule[str]:
    """Return the rule of a closed choice."""
    listed = ", ".join(names)

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            raise NotAllowedError
        return value

    return Rule(Text(en=f"one of: {listed}", zh=f"其中之一:{listed}"), read)


def _words(*, most: int) -> Rule[str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or not 1 <= len(value.strip()) <= most:
            raise NotAllowedError
        if not value.isprintable():
            raise NotAllowedError
        return value.strip()

    return Rule(
        Text(en=f"a line of 1 to {most} printable characters", zh=f"1 至 {most} 個可顯示字元"), read
    )


def _slug() -> Rule[str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or not _SLUG.fullmatch(value):
            raise NotAllowedError
        return value

    return Rule(
        Text(
            en="1 to 40 lower-case letters, digits and inner hyphens",
            zh="1 至 40 個小寫英數字,中間可用連字號",
        ),
        read,
    )


def _id(kind: type[KindOfId]) -> Rule[KindOfId]:
    def read(value: object) -> KindOfId:
        if not isinstance(value, str):
            raise NotAllowedError
        try:
            return kind(value)
        except InvalidIdError as error:
            raise NotAllowedError from error

    return Rule(
        Text(
            en=f"{kind.rule}, for example {kind.example}",
            zh=f"1 至 40 個小寫英數字,中間可用連字號,例如 {kind.example}",
        ),
        read,
    )


def _whole(low: int, high: int) -> Rule[int]:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise NotAllowedError
        return value

    return Rule(Text(en=f"a whole number from {low} to {high}", zh=f"{low} 至 {high} 的整數"), read)


def _number(low: float, high: float, *, with_low: bool = False) -> Rule[float]:
    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value <= high:
            raise NotAllowedError
        if not (value >= low if with_low else value > low):
            raise NotAllowedError
        return float(value)

    bound = Text(en=f"from {low:g}", zh=f"{low:g} 以上")
    above = Text(en=f"above {low:g}", zh=f"大於 {low:g}")
    lower = bound if with_low else above
    return Rule(
        Text(en=f"a number {lower.en}, at most {high:g}", zh=f"{lower.zh}、不超過 {high:g} 的數值"),
        read,
    )


def _site_names() -> Rule[tuple[SiteId, ...]]:
    one = _id(SiteId)

    def read(value: object) -> tuple[SiteId, ...]:
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_SITES:
            raise NotAllowedError
        return tuple(one.read(item) for item in value)

    return Rule(
        Text(
            en=f'a list of site names, each {SiteId.rule}: names = ["north", "south"]',
            zh='院所名稱的清單,每個為 1 至 40 個小寫英數字:names = ["north", "south"]',
        ),
        read,
    )


def _instant() -> Rule[datetime]:
    def read(value: object) -> datetime:
        if isinstance(value, str):
            value = _parsed(value)
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise NotAllowedError
            return _in_utc(value)
        if isinstance(value, date):
            return datetime.combine(value, time(23, 59, 59), UTC)
        raise NotAllowedError

    return Rule(
        Text(
            en="a day in the future such as 2027-06-30 (until its end, UTC), or a time with its "
            "offset",
            zh="未來的日期,例如 2027-06-30(至該日結束,UTC),或附時區的時間",
        ),
        read,
    )


def _parsed(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise NotAllowedError from error


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise NotAllowedError from error


ID = _id(StudyId)
TITLE = _words(most=200)
PURPOSE = one_of(tuple(purpose.value for purpose in Purpose))
RECIPE = _words(most=60)
COHORT = _slug()
EXPIRES = _instant()
SEED = _whole(0, MOST_SEED)
SITES = _site_names()
QUORUM = _whole(1, MOST_SITES)
ROUNDS = _whole(1, 1000)
LOCAL_EPOCHS = _number(0, 100)
LEARNING_RATE = _number(0, 10)
BATCH_SIZE = _whole(1, 4096)
OPTIMIZER = one_of(OPTIMIZERS)
MOMENTUM = _number(0, 0.999, with_low=True)
EPSILON = _number(0, 100)
DELTA = _number(0, 1e-2)
CLIP_NORM = _number(1e-6, 1000, with_low=True)
NOISE_MULTIPLIER = _number(0, 1000)
HELDOUT_FRACTION = _number(0, 0.5)
LEVEL = one_of(tuple(level.value for level in PrivacyLevel))
HOSPITAL_CLIP_NORM = _number(1e-6, 1000, with_low=True)
HOSPITAL_NOISE = _number(0.1, 1000, with_low=True)
COUNT_SIGMA = _number(0.5, 1000, with_low=True)

A_TABLE = Text(en="a table", zh="一個表格")
NO_PRIVACY = "none"
PRIVACY = Text(
    en='a table [privacy] with epsilon, delta and clip_norm, or the line privacy = "none" above '
    "all tables",
    zh='含 epsilon、delta、clip_norm 的 [privacy] 表格,或在所有表格之前寫 privacy = "none"',
)

FIELDS: Mapping[str, Mapping[str, Rule[object]]] = {
    "study": {
        "id": ID,
        "title": TITLE,
        "purpose": PURPOSE,
        "recipe": RECIPE,
        "cohort": COHORT,
        "expires": EXPIRES,
        "seed": SEED,
    },
    "sites": {"names": SITES, "quorum": QUORUM},
    "training": {
        "rounds": ROUNDS,
        "local_epochs": LOCAL_EPOCHS,
        "learning_rate": LEARNING_RATE,
        "batch_size": BATCH_SIZE,
        "optimizer": OPTIMIZER,
        "momentum": MOMENTUM,
    },
    "privacy": {
        "epsilon": EPSILON,
        "delta": DELTA,
        "clip_norm": CLIP_NORM,
        "noise_multiplier": NOISE_MULTIPLIER,
        "level": LEVEL,
        "hospital_clip_norm": HOSPITAL_CLIP_NORM,
        "hospital_noise_multiplier": HOSPITAL_NOISE,
    },
    "counts": {"sigma": COUNT_SIGMA},
    "evaluation": {"heldout_fraction": HELDOUT_FRACTION},
}
"""Every table and key of a study file; anything else is refused."""
