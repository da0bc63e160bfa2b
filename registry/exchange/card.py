"""What an entry says of a model, once and typed, for every format to be written from.

    card = card_of(record, said, state="live")      # service.card_in reads both from a store
    content = write(card, Format.MLBOM, language=Language.EN)       # formats.py

A field that the register does not have is None or empty here; no writer fills
it. All text is checked once: it must fit into XML as well as JSON. Counts of
patients below ten never come this far.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from types import MappingProxyType

from federation.domain.cells import SMALL_CELL
from federation.errors.exchange import CardRefusedError
from federation.evidence.model_version import (
    Bilingual,
    NoPrivacyStatement,
    PooledMetric,
    PrivacyStatement,
    Record,
    SiteMetric,
)
from federation.wording import Language, Text
from registry.exchange.attributes import ATTRIBUTES
from registry.models import version_card
from registry.models.version_card import VersionCard

Privacy = PrivacyStatement | NoPrivacyStatement
_EN, _ZH = Language.EN, Language.ZH_HANT_TW
_NONE = Text(en="None: {why}", zh="無:{why}")
_MOST = 4000  # characters of a `Bilingual`
_UNFIT = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold (section 2.2, Char)."""


class CodeKind(Enum):
    """What a code of a card says."""

    MODALITY = "modality"
    BODY_PART = "body-part"
    CONDITION = "condition"
    AI_KIND = "ai-kind"
    TASK = "task"


@dataclass(frozen=True, slots=True)
class Code:
    """One code of a published system; `system` is its URI, `display` its words, if known."""

    kind: CodeKind
    system: str
    code: str
    display: str | None = None


@dataclass(frozen=True, slots=True)
class Organisation:
    """Who answers for the model; `contact` is an address to write to, if known."""

    name: Bilingual
    contact: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to one source attribute: words, evaluations by id, or both.

    `none` is the reason where the answer is that there is nothing.
    """

    text: Bilingual | None = None
    evaluations: tuple[str, ...] = ()
    none: Bilingual | None = None

    @property
    def words(self) -> Bilingual | None:
        """Return what was answered in words."""
        if self.none is None:
            return self.text
        en, zh = (_NONE.say(one, why=said(self.none, one)) for one in (_EN, _ZH))
        return Bilingual(en=en[:_MOST], zh=zh[:_MOST])

    def said(self, language: Language) -> str:
        """Return the words in a language and the evaluations after them."""
        words = [] if self.words is None else [said(self.words, language)]
        return "\n".join([*words, *self.evaluations])


@dataclass(frozen=True, slots=True)
class Risk:
    """The classes the version was put in; `warning` is the text a high risk must carry."""

    level: str
    tfda_class: str
    imdrf: str
    eu: str | None = None
    warning: Bilingual | None = None


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file of the model; `sha256` is 64 hexadecimal digits, `parameters` a number."""

    path: str
    sha256: str
    size_bytes: int
    format: str
    parameters: int | None = None


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """How a version was trained. Digests are content ids, ``sha256:`` and 64 digits."""

    id: str
    study: str
    study_digest: str
    recipe: str
    recipe_version: str
    recipe_digest: str
    rounds_asked: int
    rounds_done: int
    code_version: str
    code_digest: str
    python: str
    packages_digest: str
    privacy: tuple[Privacy, ...]


@dataclass(frozen=True, slots=True)
class DatasetCard:
    """One site's data; `patients` is None where the count is suppressed.

    `facts` are further things the site said of it, by their name in the site's
    dataset card, as words; suppressed counts stay as they were said (``<10``).
    """

    site: str
    digest: str
    patients: int | None
    rounds: int
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An estimate with its interval on `n` patients; `site` is None for the pooled one.

    `level` is the interval's, for example 0.95, where the register knows it.
    """

    id: str
    name: str
    value: float
    low: float
    high: float
    n: int
    method: str
    site: str | None = None
    level: float | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One model version as the register knows it.

    Parameters
    ----------
    entry, model, version
        For example ``TWAI-2026-00001-4.v0.1.0``, ``TWAI-2026-00001-4``, ``0.1.0``.
    digest
        Content id of the signed record.
    title, state, created
        The study's title, the state in the register, UTC.
    intended_use, risk
        As people said on the version's card.
    attributes
        Answers by attribute, ``1a`` to ``9b``; those not answered are absent.
    licence
        An SPDX expression.

    Raises
    ------
    CardRefusedError
        If a text does not fit into XML, an attribute is unknown, a count is small,
        or two things have one name; all problems are listed.
    """

    entry: str
    model: str
    version: str
    digest: str
    title: str
    state: str
    created: str
    supersedes: str | None = None
    name: Bilingual | None = None
    organisation: Organisation | None = None
    intended_use: Bilingual | None = None
    risk: Risk | None = None
    attributes: Mapping[str, Answer] = field(default_factory=dict)
    codes: tuple[Code, ...] = ()
    artefacts: tuple[Artefact, ...] = ()
    runs: tuple[TrainingRun, ...] = ()
    datasets: tuple[DatasetCard, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    limitations: tuple[Bilingual, ...] = ()
    licence: str | None = None

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise CardRefusedError(entry=repr(self.entry[:60]), problems="; ".join(problems[:20]))
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))

    def called(self, language: Language) -> str:
        """Return the model's name, or the study's title where it has none."""
        return self.title if self.name is None else said(self.name, language)

    def answer(self, attribute: str, language: Language) -> str | None:
        """Return what was answered to an attribute; None where nothing was.

        The intended use of the card itself answers 2a where that has no answer.
        """
        found = self.attributes.get(attribute)
        if found is None and attribute == "2a" and self.intended_use is not None:
            return said(self.intended_use, language)
        return None if found is None else found.said(language) or None

    def coded(self, kind: CodeKind) -> tuple[Code, ...]:
        """Return the codes of one kind."""
        return tuple(code for code in self.codes if code.kind is kind)


def card_of(
    record: Record,
    card: VersionCard | None = None,
    *,
    state: str | None = None,
    facts: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Card:
    """Return the card of a signed record and of what people said of the version.

    Parameters
    ----------
    card
        None where nobody has said anything yet.
    state
        Where the version stands now; None for where it stood when it was registered.
    facts
        What each site's signed dataset card says, by site.

    Raises
    ------
    CardRefusedError
        If it could not be exported.
    """
    bare = Card(
        entry=record.entry,
        model=record.id,
        version=record.version,
        digest=record.digest,
        title=record.study.title,
        state=state or record.state,
        created=record.created,
        supersedes=record.supersedes,
        artefacts=(_artefact(record),),
        runs=(_run(record),),
        datasets=tuple(
            DatasetCard(
                part.site, part.dataset_digest, part.patients, part.rounds, facts.get(part.site, {})
            )
            for part in record.participants
        ),
        evaluations=tuple(_evaluations(record)),
    )
    return bare if card is None else _with(bare, card)


def said(text: Bilingual, language: Language) -> str:
    """Return a text in a language."""
    return text.zh if language is Language.ZH_HANT_TW else text.en


def _with(bare: Card, card: VersionCard) -> Card:
    maker = card.organisation
    return replace(
        bare,
        name=card.name,
        organisation=None if maker is None else Organisation(maker.name, maker.contact),
        intended_use=card.intended_use,
        risk=None if card.risk is None else _risk(card.risk),
        attributes={
            name: Answer(answer.text, answer.evaluations, answer.none)
            for name, answer in card.attributes.items()
        },
        codes=tuple(
            Code(CodeKind(code.kind), code.system, code.code, code.display) for code in card.codes
        ),
        limitations=card.limitations,
        licence=card.licence,
    )


def _risk(risk: version_card.Risk) -> Risk:
    return Risk(risk.level.value, risk.tfda_class, risk.imdrf, risk.eu, risk.warning)


def _artefact(record: Record) -> Artefact:
    model = record.model
    digits = model.sha256.removeprefix("sha256:")
    return Artefact(model.path, digits, model.size_bytes, model.format, model.parameters)


def _run(record: Record) -> TrainingRun:
    return TrainingRun(
        id=record.run,
        study=record.study.id,
        study_digest=record.study.digest,
        recipe=record.recipe.name,
        recipe_version=record.recipe.version,
        recipe_digest=record.recipe.digest,
        rounds_asked=record.rounds.asked,
        rounds_done=record.rounds.done,
        code_version=record.code.version,
        code_digest=record.code.wheel_digest,
        python=record.environment.python,
        packages_digest=record.environment.packages_digest,
        privacy=record.privacy,
    )


def _evaluations(record: Record) -> Iterator[Evaluation]:
    for place, pooled in enumerate(record.pooled):
        yield _evaluation(f"{record.run}/pooled/{place}", pooled, site=None)
    for place, metric in enumerate(record.evaluations):
        yield _evaluation(f"{record.run}/{metric.site}/{place}", metric, site=metric.site)


def _evaluation(name: str, metric: PooledMetric | SiteMetric, *, site: str | None) -> Evaluation:
    return Evaluation(
        name, metric.name, metric.value, metric.low, metric.high, metric.n, metric.method, site
    )


def _problems(card: Card) -> Iterator[str]:
    for where, text in _texts(card, "card"):
        if _UNFIT.search(text):
            yield f"{where}: a character that XML cannot hold"
    for attribute in card.attributes:
        if attribute not in ATTRIBUTES:
            yield f"attributes: {attribute[:20]!r} is not one of the {len(ATTRIBUTES)}"
    yield from _small(card)
    for kind, names in (
        ("datasets", [part.site for part in card.datasets]),
        ("evaluations", [found.id for found in card.evaluations]),
        ("artefacts", [file.path for file in card.artefacts]),
        ("runs", [run.id for run in card.runs]),
    ):
        if len(set(names)) < len(names):
            yield f"{kind}: two of one name"


def _small(card: Card) -> Iterator[str]:
    for part in card.datasets:
        if part.patients is not None and 0 < part.patients < SMALL_CELL:
            yield f"datasets.{part.site}: a count below {SMALL_CELL}"
    for found in card.evaluations:
        if 0 < found.n < SMALL_CELL:
            yield f"evaluations.{found.id}: a count below {SMALL_CELL}"


def _texts(value: object, where: str) -> Iterator[tuple[str, str]]:
    """Yield every text in a value with where it is; numbers and None hold none."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        yield from _texts_of(value.items(), where)
    elif isinstance(value, tuple):
        yield from _texts_of(enumerate(value), where)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _texts_of(
            ((part.name, getattr(value, part.name)) for part in fields(value)), where
        )
    elif isinstance(value, (Bilingual, PrivacyStatement, NoPrivacyStatement)):
        yield from _texts_of(value.model_dump(mode="json").items(), where)


def _texts_of(parts: Iterable[tuple[object, object]], where: str) -> Iterator[tuple[str, str]]:
    for name, part in parts:
        yield where, str(name)
        yield from _texts(part, f"{where}.{name}" if str(name).isprintable() else where)
