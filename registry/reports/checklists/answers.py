"""What a study's record answers of a checklist, and what is left to its authors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from federation.evidence.model_version import Bilingual
from federation.figures.canvas import filled
from federation.figures.numerals import decimals_for, estimate
from federation.wording import Text
from registry.impact.study import ImpactStudy
from registry.reports.documents import EconomicDocument, OutcomeDocument
from registry.reports.wording import DESIGNS, PERSPECTIVES, correction


@dataclass(frozen=True, slots=True)
class Study:
    """A study's record with the economic results and outcome studies it names, if any."""

    id: str
    body: ImpactStudy
    economics: EconomicDocument | None = None
    outcomes: tuple[OutcomeDocument, ...] = ()


Answer = Text | str | None
_MODEL = Text(
    en="decision tree of the test, then a cohort Markov model",
    zh="檢測決策樹,接續世代馬可夫模型",
)
_ON_MODEL = Text(en="see the economic part of this report", zh="見本報告之經濟評估部分")


def answer_of(field: str, study: Study) -> Answer:
    """Return what the record says of a field, None where it says nothing."""
    return _FIELDS[field](study) if field else None


def plain(said: Bilingual) -> Text:
    """Return what people wrote, as a text without fields."""
    en, zh = (one.replace("{", "(").replace("}", ")") for one in (said.en, said.zh))
    return Text(en=en, zh=zh)


def _question(study: Study) -> Answer:
    return plain(study.body.pico.population)


def _measures(study: Study) -> Answer:
    told = [
        (f"{plain(one.title).en} ({one.role})", f"{plain(one.title).zh}({_ROLES[one.role]})")
        for one in study.body.measures
    ]
    return Text(en="; ".join(one for one, _ in told), zh=";".join(one for _, one in told))


_ROLES = {"primary": "主要", "secondary": "次要"}


def _sample(study: Study) -> Answer:
    size = study.body.sample_size
    said = Text(
        en="{needed} needed, power {power}, level {alpha}: {why}",
        zh="須 {needed} 人,檢定力 {power},顯著水準 {alpha}:{why}",
    )
    return filled(
        said, needed=f"{size.needed:,}", power=size.power, alpha=size.alpha,
        why=plain(size.assumptions),
    )  # fmt: skip


def _randomisation(study: Study) -> Answer:
    return study.body.randomisation_hash and filled(
        Text(en="list fixed by {digest}", zh="分派表已以 {digest} 固定"),
        digest=study.body.randomisation_hash,
    )


def _plan(study: Study) -> Answer:
    return study.body.sap_hash and filled(
        Text(
            en="analysis plan in the evidence log: {digest}", zh="分析計畫已登錄於證據紀錄:{digest}"
        ),
        digest=study.body.sap_hash,
    )


def _patients(study: Study) -> Answer:
    cuts = [one.patients for one in study.body.data_cuts if one.patients is not None]
    return f"{cuts[-1]:,}" if cuts else None


def _results(study: Study) -> Answer:
    told = [
        f"{one.measure}: "
        f"{estimate(one.estimate, one.low, one.high, decimals_for(one.low, one.high))}"
        for one in study.body.results
    ]
    return "; ".join(told) or None


def _harms(study: Study) -> Answer:
    kinds = ", ".join(one.kind for one in study.body.harms)
    return kinds or None


def _registration(study: Study) -> Answer:
    found = study.body.registration
    return f"{found.registry} {found.number}" if found else None


def _ethics(study: Study) -> Answer:
    board = study.body.irb
    return f"{board.board} {board.number}" if board else None


def _governance(study: Study) -> Answer:
    """Return plan, registration and ethics approval, as far as the record has them."""
    known = (study.body.sap_hash, _registration(study), _ethics(study))
    return "; ".join(str(one) for one in known if one) or None


def _accuracy(study: Study) -> Answer:
    money = study.body.economic
    return ", ".join(money.evaluations) or None if money else None


def _of_model(say: Callable[[EconomicDocument], Answer]) -> Callable[[Study], Answer]:
    def answer(study: Study) -> Answer:
        return None if study.economics is None else say(study.economics)

    return answer


def _draws(document: EconomicDocument) -> Answer:
    said = Text(en="{draws} draws, seed {seed}", zh="抽樣 {draws} 次,種子 {seed}")
    return filled(said, draws=f"{document.draws:,}", seed=document.seed)


def _parameters(document: EconomicDocument) -> Answer:
    said = Text(en="{count} numbers, each with its source", zh="{count} 項數值,逐項載明來源")
    return filled(said, count=len(document.sources))


_FIELDS: Mapping[str, Callable[[Study], Answer]] = {
    "title": lambda study: plain(study.body.title),
    "design": lambda study: DESIGNS[study.body.design],
    "version": lambda study: study.body.entry,
    "population": _question,
    "intervention": lambda study: plain(study.body.pico.intervention),
    "comparator": lambda study: plain(study.body.pico.comparator),
    "estimand": lambda study: plain(study.body.estimand),
    "sites": lambda study: ", ".join(study.body.sites),
    "measures": _measures,
    "sample": _sample,
    "randomisation": _randomisation,
    "plan": _plan,
    "patients": _patients,
    "results": _results,
    "harms": _harms,
    "registration": _registration,
    "governance": _governance,
    "accuracy": _accuracy,
    "strategies": _of_model(lambda found: ", ".join(found.strategies)),
    "perspective": _of_model(lambda found: PERSPECTIVES[found.perspective]),
    "horizon": _of_model(
        lambda found: filled(
            Text(en="{years} years", zh="{years} 年"), years=f"{found.horizon.years:g}"
        )
    ),
    "discount": _of_model(
        lambda found: f"{100 * found.horizon.cost_rate:g} % · {100 * found.horizon.effect_rate:g} %"
    ),
    "effects": _of_model(lambda _: "QALY"),
    "utilities": _of_model(lambda _: _ON_MODEL),
    "parameters": _of_model(_parameters),
    "prices": _of_model(lambda found: found.price_base),
    "model": _of_model(lambda _: _MODEL),
    "analysis": _of_model(lambda found: correction(found.horizon.correction)),
    "uncertainty": _of_model(_draws),
    "frontier": _of_model(lambda _: _ON_MODEL),
    "sensitivity": _of_model(lambda _: _ON_MODEL),
    "budget": _of_model(lambda found: _ON_MODEL if found.budget else None),
}
"""What answers an item, by the name of the field in the checklist."""
