"""The one exit of a hospital: every reply passes these rules or stays inside.

Each rule is a small function that says yes or no to a `Departure`. `release` makes
counts and times coarse, walks the rules in order, rounds the update's low bits away,
signs with the node's key and returns a `Reply`; the first no keeps all of it inside,
with the rule's name. Nothing else in the package may build a `Reply` with an update, but for
the masked part of a sum, which has a gate of its own (`clients.evaluation_study.leaving`).

What leaves is what `release` returns: take digests of `reply.update`, and chain
`digest_of_reply` into the audit log.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeGuard

import numpy as np

from clients.disclosure import (
    COUNTS,
    DECIMALS,
    DIGITS_OF_VARIANCE,
    LARGEST_LOSS,
    shared_count,
    shared_report,
)
from clients.heads import Heads
from clients.low_bits import carries_payload, without_low_bits
from clients.norm_bound import MovingPlan, longest_update
from clients.randomness import SecureRandom
from federation.domain.cells import SMALL_CELL
from federation.domain.ids import RunId, Sha256, SiteId
from federation.domain.study import Study
from federation.domain.update import UpdateManifest
from federation.errors.base import PlatformError
from federation.errors.ledger import GateRefusedError
from federation.errors.rounds import UpdateNotFiniteError, UpdateShapeError
from federation.evidence.canonical import canonical
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.privacy.events import EVENT_KINDS, PoissonSampledGaussian, event_from_json
from federation.wire.messages import FlatModel, Reply, TaskKind

MOST_REPORT_BYTES = 16_384

SUM_KEY = "sum_key"
"""The one signed text of a report: this node's own key for a sum (`federation.secure_sum`)."""

DISJOINTNESS = "disjointness"
"""What this node found out about whom a version was trained on (`clients.evaluation_study`)."""

REPORT_KEYS: Mapping[TaskKind, frozenset[str]] = {
    TaskKind.TRAIN: frozenset(
        {"patients", "examples", "steps", "loss", "events", "epsilon", "delta", "epsilon_rdp",
         "epsilon_pld", "noise_multiplier", "sample_rate", "clip_norm", "dataset_digest",
         "code_digest", "seconds"}
    ),
    TaskKind.EVALUATE: frozenset(
        {"heldout_patients", "loss", "metrics", "refused", "dataset_digest", "code_digest",
         "seconds", SUM_KEY, DISJOINTNESS}
    ),
}  # fmt: skip
METRIC_KEYS = frozenset({"name", "value", "low", "high", "n", "method", "variance"})
WORDS = frozenset({"auroc", "dice"}) | frozenset(EVENT_KINDS)
METHOD = re.compile(r"(patient bootstrap|DeLong)(, B=[0-9]{1,6})?(, 95 %)?")
"""All that a report may hold as text besides content ids and error codes."""
METHOD_OF_CHECK = re.compile(r"lineage-book-[0-9]{1,3}")
MOST_RUNS = 50
"""How a report names a check of whom a version was trained on, and how many runs at most."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A reply that wants to leave, with what it takes to judge it.

    Parameters
    ----------
    is_reserved, is_approved
        Ask the ledger and the approvals again, at the moment of leaving.
    model
        The round's model, so that an update can be known as a difference to it.
    heads
        How far book and audit log are; signed with the reply.
    largest_update_bytes
        What the hospital's policy allows, besides what the recipe declares.
    sum_key
        The signed key for a sum that this node made for this very round; None for all
        that is no evaluation of its own.
    disjointness
        What this node itself found of whom it left out; None likewise.
    """

    kind: TaskKind
    study: Study
    run: RunId
    round: int
    site: SiteId
    model_digest: Sha256
    update: FlatModel | None
    report: Mapping[str, object]
    manifest: UpdateManifest
    is_reserved: Callable[[], bool]
    is_approved: Callable[[], bool]
    model: FlatModel | None = None
    heads: Heads | None = None
    largest_update_bytes: int | None = None
    sum_key: str | None = None
    disjointness: Mapping[str, object] | None = None


def has_declared_keys_only(departure: Departure) -> bool:
    """Say whether report, metrics and events hold only the fields their kinds declare."""
    report = departure.report
    metrics, events = report.get("metrics", []), report.get("events", [])
    return (
        set(report) <= REPORT_KEYS[departure.kind]
        and isinstance(metrics, list | tuple)
        and all(isinstance(one, Mapping) and set(one) == METRIC_KEYS for one in metrics)
        and isinstance(events, list | tuple)
        and all(_is_event(one) for one in events)
    )


def has_no_free_text(departure: Departure) -> bool:
    """Say whether every text of the report is a digest, a code or a known word."""
    own = (SUM_KEY, DISJOINTNESS)
    report = {key: value for key, value in departure.report.items() if key not in own}
    return all(_is_plain(value) for value in _leaves(report))


def offers_its_own_key_only(departure: Departure) -> bool:
    """Say whether the key for a sum is the one this node made, and only where a study sums."""
    said = departure.report.get(SUM_KEY)
    return said == departure.sum_key and (said is None or departure.study.protocol is not None)


def says_whom_it_left_out_as_found(departure: Departure) -> bool:
    """Say whether what is said of those left out is what this node found, and of one form."""
    said = departure.report.get(DISJOINTNESS)
    if said is None or departure.study.evaluation is None:
        return said is None and departure.disjointness is None
    return said == departure.disjointness and _says_disjointness(said)


def has_finite_numbers_only(departure: Departure) -> bool:
    """Say whether no number of the report is NaN or infinite."""
    leaves = _leaves(departure.report)
    return all(math.isfinite(value) for value in leaves if isinstance(value, float))


def has_no_small_counts(departure: Departure) -> bool:
    """Say whether no count is below 0, or between 1 and the small-cell threshold."""
    return all(count == 0 or count >= SMALL_CELL for count in _counts(departure.report))


def has_coarse_numbers_only(departure: Departure) -> bool:
    """Say whether counts are in their steps and results have the few digits they may have."""
    report = departure.report
    metrics = report.get("metrics", [])
    return (
        all(shared_count(count) == count for count in _counts(report))
        and _has_decimals(report.get("loss"), 2)
        and _is_within(report.get("loss"), LARGEST_LOSS)
        and isinstance(report.get("seconds", 0), int)
        and isinstance(metrics, list | tuple)
        and all(_is_coarse_metric(one) for one in metrics)
    )


def fits_the_declared_size(departure: Departure) -> bool:
    """Say whether update and report are no larger than the recipe and the policy declare."""
    update, policy = departure.update, departure.largest_update_bytes
    most = departure.manifest.size_bytes
    allowed = most if policy is None else min(most, policy)
    report_bytes = len(canonical(dict(departure.report)))
    return report_bytes <= MOST_REPORT_BYTES and (update is None or update.nbytes <= allowed)


def carries_an_update_exactly_when_it_trains(departure: Departure) -> bool:
    """Say whether only training sends an array."""
    return (departure.update is not None) == (departure.kind is TaskKind.TRAIN)


def names_its_privacy_events(departure: Departure) -> bool:
    """Say whether a private study's update comes with the one event that pays for it."""
    if departure.kind is not TaskKind.TRAIN or departure.study.privacy is None:
        return True
    return _mechanism(departure) is not None


def keeps_the_norm_of_its_mechanism(departure: Departure) -> bool:
    """Say whether a private update is no longer than its mechanism can make it."""
    privacy, update = departure.study.privacy, departure.update
    if privacy is None or update is None:
        return True
    event, patients = _mechanism(departure), departure.report.get("patients")
    if event is None or not isinstance(patients, int) or patients < 1:
        return False
    training = departure.study.training
    plan = MovingPlan(
        size=update.size,
        patients=patients,
        sample_rate=event.sample_rate,
        steps=event.steps,
        noise_multiplier=event.noise_multiplier,
        clip_norm=privacy.clip_norm,
        optimizer=training.optimizer,
        learning_rate=training.learning_rate,
        momentum=training.momentum,
    )
    return float(np.linalg.norm(update.astype(np.float64))) <= longest_update(plan)


def hides_nothing_in_low_bits(departure: Departure) -> bool:
    """Say whether the update's sampled low bits look like those of a trained model."""
    update, model = departure.update, departure.model
    if update is None:
        return True
    if model is not None and model.shape != update.shape:
        return False
    return not carries_payload(update, model=model, source=SecureRandom())


def is_reserved_in_the_ledger(departure: Departure) -> bool:
    """Say whether the book holds an open reservation for this round."""
    return departure.is_reserved()


def is_still_approved(departure: Departure) -> bool:
    """Say whether the approval stands at the moment of leaving."""
    return departure.is_approved()


RULES: tuple[Callable[[Departure], bool], ...] = (
    has_declared_keys_only,
    has_no_free_text,
    offers_its_own_key_only,
    says_whom_it_left_out_as_found,
    has_finite_numbers_only,
    has_no_small_counts,
    has_coarse_numbers_only,
    carries_an_update_exactly_when_it_trains,
    fits_the_declared_size,
    names_its_privacy_events,
    keeps_the_norm_of_its_mechanism,
    hides_nothing_in_low_bits,
    is_reserved_in_the_ledger,
    is_still_approved,
)


def release(departure: Departure, *, signer: Signer) -> Reply:
    """Return the signed reply that may leave.

    Raises
    ------
    UpdateShapeError, UpdateNotFiniteError
        If the array is not the one the recipe declares.
    GateRefusedError
        With the name of the first rule that does not hold.
    """
    _check_update(departure)
    coarse = replace(departure, report=shared_report(departure.report))
    for rule in RULES:
        if not rule(coarse):
            raise GateRefusedError(rule=rule.__name__)
    update = None if coarse.update is None else without_low_bits(coarse.update)
    statement = _statement(replace(coarse, update=update))
    return Reply(update, dict(coarse.report), sign_dsse(statement, signer))


def digest_of_reply(reply: Reply) -> Sha256:
    """Return the content id of what was signed: report, update and heads together."""
    return Sha256.of(reply.signature.encode())


def digest_of_array(array: FlatModel) -> Sha256:
    """Return the content id of an array's little-endian bytes."""
    return Sha256.of(np.ascontiguousarray(array, dtype="<f4").tobytes())


def _check_update(departure: Departure) -> None:
    update = departure.update
    if update is None:
        return
    if update.dtype != np.float32 or update.shape != (departure.manifest.size,):
        expected = departure.manifest.size
        raise UpdateShapeError(site=departure.site, actual=update.size, expected=expected)
    if not np.isfinite(update).all():
        raise UpdateNotFiniteError(site=departure.site)


def _statement(departure: Departure) -> Statement:
    about = f"{departure.run}/{departure.round}"
    subjects = [
        Subject(f"study/{departure.study.id}", departure.study.digest),
        Subject(f"model/{about}", departure.model_digest),
    ]
    if departure.update is not None:
        subjects.append(Subject(f"update/{about}", digest_of_array(departure.update)))
    kind = PredicateType.UPDATE if departure.update is not None else PredicateType.EVALUATION
    said: dict[str, object] = {
        "site": str(departure.site),
        "run": str(departure.run),
        "round": departure.round,
        "report": dict(departure.report),
    }
    if departure.heads is not None:
        said["heads"] = departure.heads.as_json()
    return Statement(tuple(subjects), kind, said)


def _is_event(raw: object) -> bool:
    try:
        event_from_json(raw)
    except PlatformError:
        return False
    return True


def _mechanism(departure: Departure) -> PoissonSampledGaussian | None:
    """Return the one event of a private round, None unless the report says the same of it."""
    report, events = departure.report, departure.report.get("events")
    if not isinstance(events, list | tuple) or len(events) != 1 or not _is_event(events[0]):
        return None
    event = event_from_json(events[0])
    if not isinstance(event, PoissonSampledGaussian):
        return None
    said = {key: report.get(key) for key in ("noise_multiplier", "sample_rate", "steps")}
    as_reported = all(event.as_json()[key] == value for key, value in said.items())
    privacy = departure.study.privacy
    same_clip = privacy is not None and report.get("clip_norm") == privacy.clip_norm
    return event if as_reported and same_clip else None


def _is_coarse_metric(metric: object) -> bool:
    if not isinstance(metric, Mapping):
        return False
    variance = metric.get("variance")
    digits = f".{DIGITS_OF_VARIANCE - 1}e"
    return all(_has_decimals(metric.get(key), DECIMALS) for key in ("value", "low", "high")) and (
        variance is None or (_is_number(variance) and float(f"{variance:{digits}}") == variance)
    )


def _has_decimals(value: object, decimals: int) -> bool:
    return value is None or (_is_number(value) and round(value, decimals) == value)


def _is_within(value: object, most: float) -> bool:
    return value is None or (_is_number(value) and abs(value) <= most)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _leaves(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


def _is_plain(value: object) -> bool:
    if not isinstance(value, str):
        return value is None or isinstance(value, (bool, int, float))
    is_code = value.startswith("TF") and value[2:].isdigit()
    is_digest = Sha256.pattern.fullmatch(value) is not None
    return is_code or is_digest or value in WORDS or METHOD.fullmatch(value) is not None


def _says_disjointness(said: object) -> bool:
    match said:
        case {"method": str(how), "runs": list(runs), "trained": str(trained),
              "counted": str(counted), "left_out": int() | None, **rest} if not rest:  # fmt: skip
            named = 0 < len(runs) <= MOST_RUNS and all(
                isinstance(run, str) and RunId.pattern.fullmatch(run) for run in runs
            )
            digests = all(Sha256.pattern.fullmatch(one) for one in (trained, counted))
            return named and digests and METHOD_OF_CHECK.fullmatch(how) is not None
    return False


def _counts(value: object) -> list[int]:
    if isinstance(value, (list, tuple)):
        return [count for item in value for count in _counts(item)]
    if not isinstance(value, Mapping):
        return []
    own = [item for key, item in value.items() if key in COUNTS and isinstance(item, int)]
    return own + [count for item in value.values() for count in _counts(item)]
