"""What a version costs and is worth: the economic model of a study, from its evaluations.

    found = cost_effectiveness(desk, "study-1", model, actor=statistician)
    write_out(found, folder)                     # JSON, and figures in both languages

Sensitivity and specificity are not typed: the model names evaluations in the register.
An evaluation counts when it is of this version, judged, and as the register signed it; its
metrics ``sensitivity`` and ``specificity`` of everyone give the counts at the operating
point: `n` is the number of cases with (without) the finding, the value times `n` whole, and
an interval by Wilson that of these counts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from federation.domain.ids import Sha256
from federation.economics.analysis import Analysis, analyse, budget_of
from federation.economics.budget import YearImpact
from federation.economics.model_file import Model, read_model
from federation.economics.money import PriceBase
from federation.economics.parameters import Accuracy
from federation.errors.economics import AccuracyMissingError, ModelValueError, PriceBaseError
from federation.errors.impact_commands import (
    EvidenceNotAsSignedError,
    EvidenceNotInForceError,
    OtherVersionEvidenceError,
    PlanDisagreesError,
    StudyStageError,
)
from federation.evaluation.proportions import Proportion
from federation.evidence.canonical import canonical
from federation.operations.embedded_registry import Actor, RecordDesk
from federation.operations.impact import NOUN, locked_revision
from federation.operations.new_files import write_new
from federation.wording import Language

if TYPE_CHECKING:
    from registry.records.ports import StoredRecord

EVALUATION = "evaluation"
COUNTS_IN = ("judged", "accepted")
EVERYONE = "all"
ROUNDING = 1e-6
"""So far may a recorded figure be from that of its counts."""

WILSON = "wilson"

_WRITABLE = ("locked", "analysed")


@dataclass(frozen=True, slots=True)
class CostEffectiveness:
    """A computed model, its JSON, and the record that now has it (None: not written)."""

    study: str
    analysis: Analysis
    document: bytes
    record: "StoredRecord | None"

    @property
    def digest(self) -> Sha256:
        """Return the content id of the JSON."""
        return Sha256.of(self.document)


@dataclass(frozen=True, slots=True)
class BudgetImpact:
    """Five years of introducing a version, by sector."""

    study: str
    model: Model
    years: tuple[YearImpact, ...]

    def as_json(self) -> dict[str, object]:
        """Return the years as JSON."""
        return {
            "study": self.study,
            "price_base": str(self.model.base),
            "discounted": False,
            "years": [
                {
                    "year": one.year,
                    "people": one.people,
                    "by_sector": {sector.value: paid for sector, paid in one.by_sector.items()},
                    "total": one.total,
                    "insurance": one.insurance,
                }
                for one in self.years
            ],
        }


def cost_effectiveness(
    desk: RecordDesk,
    study: str,
    content: bytes,
    *,
    actor: Actor | None = None,
    draws: int = 10_000,
    seed: int | None = None,
) -> CostEffectiveness:
    """Compute a study's economic model; write it into the record where somebody acts.

    Parameters
    ----------
    actor
        Who writes it; None computes and writes nothing, in any state of the study.
    seed
        By default the one that was logged with the model, else 1.

    Raises
    ------
    ModelFileError, PriceBaseError, UtilityRangeError, TransitionRowError, ModelValueError
        If the model cannot be used; costs in the record are in TWD.
    AccuracyMissingError, OtherVersionEvidenceError, EvidenceNotInForceError,
    EvidenceNotAsSignedError, RecordNotFoundError
        If an evaluation does not give what the model needs.
    StudyStageError
        If it is to be written and the data are not locked.
    PlanDisagreesError
        If another model or seed was logged before the lock.
    """
    record = desk.get(NOUN, study)
    model = model_of(desk, record, content)
    logged = _logged(desk, record)
    seed = seed if seed is not None else _seed(record)
    if actor is not None:
        _check_writable(record, model, seed, logged)
    analysis = analyse(model, draws=draws, seed=seed)
    document = canonical({"study": study, "model": model.digest, **analysis.as_json()})
    if actor is None:
        return CostEffectiveness(study, analysis, document, None)
    kept_as = desk.keep_document(document)
    body = {**record.body, "economic": _economic(model, analysis, kept_as)}
    kept = desk.put(
        NOUN, study, body, actor, revision=record.revision, reason="economic evaluation"
    )
    return CostEffectiveness(study, analysis, document, kept)


def budget_impact(desk: RecordDesk, study: str, content: bytes) -> BudgetImpact:
    """Return what introducing the version costs in five years, by sector, undiscounted.

    Raises
    ------
    ModelValueError
        If the model says nothing of eligible people.
    PlatformError
        As `cost_effectiveness`.
    """
    model = model_of(desk, desk.get(NOUN, study), content)
    if model.uptake is None:
        raise ModelValueError(name="budget", actual="missing", expected="[budget] in the model")
    return BudgetImpact(study, model, budget_of(model))


def model_of(desk: RecordDesk, study: "StoredRecord", content: bytes) -> Model:
    """Return a model with the accuracy of a study's version, taken from its evaluations."""
    entry = str(study.body.get("entry"))
    return read_model(content, lambda name, id: accuracy_of(desk, entry, name, id))


def accuracy_of(desk: RecordDesk, entry: str, strategy: str, evaluation: str) -> Accuracy:
    """Return the counts of an evaluation at the operating point of one version.

    Raises
    ------
    RecordNotFoundError, OtherVersionEvidenceError, EvidenceNotInForceError,
    EvidenceNotAsSignedError, AccuracyMissingError
        If there is none, or it does not count, or does not tell the counts.
    """
    record = desk.get(EVALUATION, evaluation)
    name = f"{EVALUATION}/{evaluation}"
    if record.body.get("entry") != entry:
        raise OtherVersionEvidenceError(evidence=name, wanted=entry)
    if record.state not in COUNTS_IN:
        raise EvidenceNotInForceError(evidence=name, state=record.state)
    if not desk.is_signed(record):
        raise EvidenceNotAsSignedError(evidence=name)
    found, missed = _counts(record, strategy, "sensitivity")
    spared, called = _counts(record, strategy, "specificity")
    return Accuracy(evaluation, found, missed, spared, called)


def write_out(found: CostEffectiveness, folder: Path) -> tuple[Path, ...]:
    """Write the document and every figure in both languages; only new files.

    Raises
    ------
    FileNotWrittenError
        If a file is there already or cannot be written.
    """
    return write_new(folder, {"economics.json": found.document, **figures(found.analysis)})


def figures(analysis: Analysis) -> dict[str, bytes]:
    """Return every figure of an analysis as SVG, by file name, in both languages."""
    drawn = {language: _drawn(analysis, language) for language in Language}
    return {
        f"{name}.{language.value}.svg": svg
        for language, named in drawn.items()
        for name, svg in named.items()
    }


def _drawn(found: Analysis, language: Language) -> dict[str, bytes]:
    import numpy as np

    from federation.figures import studies

    model, base = found.model, str(found.model.base)
    points = np.array(found.as_json()["plane"])
    best = [model.strategies.index(name) for name in found.best]
    drawn = {
        "plane": studies.plane(points, model.thresholds[0], base, language),
        "acceptability": studies.acceptability(
            np.array(model.thresholds), model.strategies, found.acceptability, best, base, language
        ),
        "tornado": studies.tornado(found.outcome, found.tornado, base, language),
    }
    if found.budget:
        drawn["budget"] = studies.budget(found.budget, base, language)
    return drawn


def _counts(record: "StoredRecord", strategy: str, name: str) -> tuple[int, int]:
    """Return how many cases were called right and wrong, by the metric of that name."""
    metrics = record.body.get("metrics")
    for one in metrics if isinstance(metrics, list | tuple) else []:
        if one["name"] == name and one["slice"] == EVERYONE:
            found = Proportion(round(one["value"] * one["n"]), one["n"])
            if _is_of(one, found):
                return found.hits, found.of - found.hits
    raise AccuracyMissingError(name=strategy, evaluation=record.id, counts=name)


def _is_of(metric: Mapping[str, Any], found: Proportion) -> bool:
    """Say whether a metric is this proportion: its value, and Wilson's interval where it has one.

    An interval of another width gives a wrong `n` away, for example that of all cases.
    """
    ends, said = found.wilson(), (metric["value"], metric["low"], metric["high"])
    if WILSON not in metric["method"].casefold():
        return math.isclose(said[0], found.rate, abs_tol=ROUNDING)
    pairs = zip(said, (found.rate, ends.low, ends.high), strict=True)
    return all(math.isclose(one, other, abs_tol=ROUNDING) for one, other in pairs)


def _logged(desk: RecordDesk, record: "StoredRecord") -> Mapping[str, object] | None:
    """Return the economic part at the lock, None without a lock or without one then."""
    try:
        locked = locked_revision(desk, record.id)
    except StudyStageError:
        return None
    part = locked.body.get("economic")
    return part if isinstance(part, Mapping) else None


def _seed(record: "StoredRecord") -> int:
    part = record.body.get("economic")
    return int(str(part["psa_seed"])) if isinstance(part, Mapping) else 1


def _check_writable(
    record: "StoredRecord", model: Model, seed: int, logged: Mapping[str, object] | None
) -> None:
    if record.state not in _WRITABLE:
        wanted = " / ".join(_WRITABLE)
        raise StudyStageError(study=record.id, state=record.state, wanted=wanted)
    if model.base.currency != "TWD":
        wanted_base = PriceBase("TWD", model.base.year)
        raise PriceBaseError(name=f"study {record.id}", given=model.base, wanted=wanted_base)
    if logged is not None and (logged["model"], logged["psa_seed"]) != (model.digest, seed):
        raise PlanDisagreesError(study=record.id, fields="economic.model, economic.psa_seed")


def _economic(model: Model, found: Analysis, document: Sha256) -> dict[str, object]:
    """Return the economic part of the record: expected values over the draws."""
    return {
        "perspective": model.perspective,
        "horizon_years": model.horizon.cycles * model.horizon.cycle_years,
        "discount": model.horizon.cost_rate,
        "threshold_twd": model.thresholds[0],
        "model": model.digest,
        "psa_seed": found.seed,
        "evaluations": list(model.evaluations.values()),
        "results": [
            {
                "strategy": one.strategy.name,
                "cost_twd": one.strategy.cost,
                "effect": one.strategy.effect,
                "icer_twd": one.icer,
            }
            for one in found.mean_case
        ],
        "budget": [
            {
                "year": one.year,
                "people": one.people,
                "total_twd": one.total,
                "insurance_twd": one.insurance,
            }
            for one in found.budget
        ],
        "document": document,
    }
