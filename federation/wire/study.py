"""A study as it travels from the centre to a hospital, and the digest both compute.

The digest covers every field but itself. A node recomputes it, so a proposal
whose text and digest disagree is never shown as that study. Texts are one
printable line, because staff read them in a terminal and decide by what they see.
"""

from datetime import datetime

from federation.domain.ids import Sha256, SiteId, StudyId
from federation.domain.outcome_plan import OutcomePlan
from federation.domain.study import (
    CentralPlan,
    CountsPlan,
    PrivacyPlan,
    Purpose,
    Study,
    TrainingPlan,
    no_training,
)
from federation.errors.core import InvalidValueError, UnreadableRecordError
from federation.evidence.canonical import digest_of
from federation.wire import evaluation_plan, outcome_plan
from federation.wire.evaluation_plan import FEWEST_PEERS

Json = dict[str, object]

MOST_TEXT = 200
CLIP_NORMS = (1e-6, 1e3)
"""Below, float32 rounds a cut gradient by more than the margin that its bound leaves."""

CENTRAL_NOISES = (0.1, 1e3)
COUNT_SIGMAS = (0.5, 1e3)


def study_as_json(study: Study) -> Json:
    """Return a study as plain JSON, its digest included."""
    return {**_body(study), "digest": str(study.digest)}


def digest_of_study(study: Study) -> Sha256:
    """Return the content id over every field but `digest`."""
    return digest_of(_body(study))


def protocol_of(study: Study) -> Sha256 | None:
    """Return the content id of the protocol of a study that trains nothing; None for training."""
    plan = study.protocol
    if plan is None:
        return None
    if isinstance(plan, OutcomePlan):
        return outcome_plan.protocol_digest(plan)
    return evaluation_plan.protocol_digest(plan)


def study_from_json(raw: object) -> Study:
    """Return the study in `raw`.

    Raises
    ------
    UnreadableRecordError
        If a field is missing, unknown or of the wrong kind, or if the digest is
        not the one of the fields.
    """
    if not isinstance(raw, dict):
        raise UnreadableRecordError(kind="study", why="not a JSON object")
    try:
        study = _study(dict(raw))
    except (KeyError, TypeError, ValueError, OverflowError, InvalidValueError) as error:
        raise UnreadableRecordError(kind="study", why=type(error).__name__) from error
    if digest_of_study(study) != study.digest or set(raw) != set(study_as_json(study)):
        raise UnreadableRecordError(kind="study", why="its digest is not that of its fields")
    return study


def _body(study: Study) -> Json:
    """Return every field but the digest; a study that trains has no key of a protocol."""
    training, privacy = study.training, study.privacy
    body: Json = {
        "id": str(study.id),
        "title": study.title,
        "purpose": study.purpose.value,
        "recipe": study.recipe,
        "recipe_digest": str(study.recipe_digest),
        "cohort": study.cohort,
        "sites": [str(site) for site in study.sites],
        "quorum": study.quorum,
        "training": {
            "rounds": training.rounds,
            "local_epochs": training.local_epochs,
            "learning_rate": training.learning_rate,
            "batch_size": training.batch_size,
            "optimizer": training.optimizer,
            "momentum": training.momentum,
        },
        "privacy": None if privacy is None else _privacy_body(privacy),
        "heldout_fraction": study.heldout_fraction,
        "seed": study.seed,
        "expires": study.expires,
    }
    if study.evaluation is not None:
        body["evaluation"] = evaluation_plan.plan_as_json(study.evaluation)
    if study.outcomes is not None:
        body["outcomes"] = outcome_plan.plan_as_json(study.outcomes)
    return body


def _privacy_body(privacy: PrivacyPlan) -> Json:
    """Return the plan; what is not asked for has no key: older studies keep their digest."""
    body: Json = {
        "epsilon": privacy.epsilon,
        "delta": privacy.delta,
        "clip_norm": privacy.clip_norm,
        "noise_multiplier": privacy.noise_multiplier,
    }
    if privacy.central is not None:
        body["central"] = {
            "clip_norm": privacy.central.clip_norm,
            "noise_multiplier": privacy.central.noise_multiplier,
        }
    if privacy.counts is not None:
        body["counts"] = {"sigma": privacy.counts.sigma}
    return body


def _study(raw: Json) -> Study:
    training, privacy, sites = raw["training"], raw["privacy"], raw["sites"]
    if not isinstance(training, dict) or not isinstance(sites, list):
        raise TypeError("training is an object and sites is a list")
    study = Study(
        id=StudyId(str(raw["id"])),
        title=_line(raw["title"]),
        purpose=Purpose(raw["purpose"]),
        recipe=_line(raw["recipe"]),
        recipe_digest=Sha256(str(raw["recipe_digest"])),
        cohort=_line(raw["cohort"]),
        sites=tuple(SiteId(str(site)) for site in sites),
        quorum=_int(raw["quorum"]),
        training=TrainingPlan(
            rounds=_int(training["rounds"]),
            local_epochs=_float(training["local_epochs"]),
            learning_rate=_float(training["learning_rate"]),
            batch_size=_int(training["batch_size"]),
            optimizer=_line(training["optimizer"]),
            momentum=_float(training["momentum"]),
        ),
        privacy=_privacy(privacy),
        heldout_fraction=_float(raw["heldout_fraction"]),
        seed=_int(raw["seed"]),
        expires=_instant(raw["expires"]),
        digest=Sha256(str(raw["digest"])),
        evaluation=(
            evaluation_plan.plan_from_json(raw["evaluation"]) if "evaluation" in raw else None
        ),
        outcomes=outcome_plan.plan_from_json(raw["outcomes"]) if "outcomes" in raw else None,
    )
    _check_protocol(study)
    return study


def _check_protocol(study: Study) -> None:
    """Refuse a study that trains and evaluates, or whose sum would have too few sites."""
    plan = study.protocol
    if plan is None:
        return
    if study.outcomes is not None and study.evaluation is not None:
        raise ValueError("a study evaluates, or looks at outcomes")
    if study.training != no_training(plan.rounds) or study.privacy is not None:
        raise ValueError("a study that evaluates trains nothing")
    if {one.site for one in plan.peers} != set(study.sites) or study.quorum < FEWEST_PEERS:
        raise ValueError("its sites are those of the sum, three or more")


def _privacy(raw: object) -> PrivacyPlan | None:
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise TypeError("privacy is an object or null")
    noise = raw["noise_multiplier"]
    return PrivacyPlan(
        epsilon=_float(raw["epsilon"]),
        delta=_float(raw["delta"]),
        clip_norm=_between(*CLIP_NORMS, _float(raw["clip_norm"])),
        noise_multiplier=None if noise is None else _float(noise),
        central=_central(raw["central"]) if "central" in raw else None,
        counts=_counts(raw["counts"]) if "counts" in raw else None,
    )


def _central(raw: object) -> CentralPlan:
    if not isinstance(raw, dict):
        raise TypeError("central is an object")
    return CentralPlan(
        clip_norm=_between(*CLIP_NORMS, _float(raw["clip_norm"])),
        noise_multiplier=_between(*CENTRAL_NOISES, _float(raw["noise_multiplier"])),
    )


def _counts(raw: object) -> CountsPlan:
    if not isinstance(raw, dict):
        raise TypeError("counts is an object")
    return CountsPlan(sigma=_between(*COUNT_SIGMAS, _float(raw["sigma"])))


def _line(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= MOST_TEXT:
        raise TypeError("one line of printable text was expected")
    return value


def _instant(value: object) -> str:
    text = _line(value)
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time with its offset was expected")
    return text


def _between(low: float, high: float, value: float) -> float:
    if not low <= value <= high:
        raise ValueError("a number in its range was expected")
    return value


def _int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("a whole number was expected")
    return value


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("a number was expected")
    return float(value)
