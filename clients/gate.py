"""The one exit of a hospital: every reply passes these rules or stays inside.

Each rule is a small function that says yes or no to a `Departure`. `release`
walks them in order; the first no keeps the reply inside with the rule's name, the
rest is signed with the node's key and becomes a `Reply`. Nothing else in the
package may build a `Reply` with an update in it.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from federation.domain.ids import RunId, Sha256, SiteId
from federation.domain.study import Study
from federation.domain.update import UpdateManifest
from federation.errors.ledger import GateRefusedError
from federation.errors.rounds import UpdateNotFiniteError, UpdateShapeError
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.wire.messages import FlatModel, Reply, TaskKind

SMALL_CELL = 10
"""No count of patients between 1 and this number, exclusive, leaves a hospital."""

COUNTS = frozenset({"patients", "n", "heldout_patients"})
REPORT_KEYS: Mapping[TaskKind, frozenset[str]] = {
    TaskKind.TRAIN: frozenset(
        {"patients", "examples", "steps", "loss", "events", "epsilon", "delta", "epsilon_rdp",
         "epsilon_pld", "noise_multiplier", "sample_rate", "clip_norm", "dataset_digest",
         "code_digest", "seconds"}
    ),
    TaskKind.EVALUATE: frozenset(
        {"heldout_patients", "loss", "metrics", "refused", "dataset_digest", "code_digest",
         "seconds"}
    ),
}  # fmt: skip
WORDS = frozenset({"auroc", "dice", "poisson-sampled-gaussian", "gaussian"})
METHOD = re.compile(r"(patient bootstrap|DeLong)(, B=[0-9]{1,6})?(, 95 %)?")
"""All that a report may hold as text besides content ids and error codes."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A reply that wants to leave, with what it takes to judge it.

    `is_reserved` and `is_approved` ask the ledger and the approvals again, at the
    moment of leaving.
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


def has_declared_keys_only(departure: Departure) -> bool:
    """Say whether the report holds only the fields its kind declares."""
    return set(departure.report) <= REPORT_KEYS[departure.kind]


def has_no_free_text(departure: Departure) -> bool:
    """Say whether every text of the report is a digest, a code or a known word."""
    return all(_is_plain(value) for value in _leaves(departure.report))


def has_finite_numbers_only(departure: Departure) -> bool:
    """Say whether no number of the report is NaN or infinite."""
    leaves = _leaves(departure.report)
    return all(math.isfinite(value) for value in leaves if isinstance(value, float))


def has_no_small_counts(departure: Departure) -> bool:
    """Say whether no count of patients lies between 1 and the small-cell threshold."""
    return all(not 0 < count < SMALL_CELL for count in _counts(departure.report))


def carries_an_update_exactly_when_it_trains(departure: Departure) -> bool:
    """Say whether only training sends an array."""
    return (departure.update is not None) == (departure.kind is TaskKind.TRAIN)


def names_its_privacy_events(departure: Departure) -> bool:
    """Say whether a private study's update comes with the events that pay for it."""
    if departure.kind is not TaskKind.TRAIN or departure.study.privacy is None:
        return True
    return bool(departure.report.get("events"))


def is_reserved_in_the_ledger(departure: Departure) -> bool:
    """Say whether the book holds an open reservation for this round."""
    return departure.is_reserved()


def is_still_approved(departure: Departure) -> bool:
    """Say whether the approval stands at the moment of leaving."""
    return departure.is_approved()


RULES: tuple[Callable[[Departure], bool], ...] = (
    has_declared_keys_only,
    has_no_free_text,
    has_finite_numbers_only,
    has_no_small_counts,
    carries_an_update_exactly_when_it_trains,
    names_its_privacy_events,
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
    for rule in RULES:
        if not rule(departure):
            raise GateRefusedError(rule=rule.__name__)
    statement = _statement(departure)
    return Reply(departure.update, dict(departure.report), sign_dsse(statement, signer))


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
    said = {"site": str(departure.site), "run": str(departure.run), "round": departure.round}
    return Statement(tuple(subjects), kind, {**said, "report": dict(departure.report)})


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


def _counts(value: object) -> list[int]:
    if isinstance(value, (list, tuple)):
        return [count for item in value for count in _counts(item)]
    if not isinstance(value, Mapping):
        return []
    own = [item for key, item in value.items() if key in COUNTS and isinstance(item, int)]
    return own + [count for item in value.values() for count in _counts(item)]
