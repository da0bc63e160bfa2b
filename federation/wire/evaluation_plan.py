"""An evaluation's protocol as it travels inside a study, and the digest under which it is logged.

Everything is checked on the way in, because it comes from elsewhere: names are short,
thresholds inside (0, 1), lists bounded, each version and slice there once.
"""

import re
from dataclasses import asdict
from itertools import pairwise

from federation.domain.evaluation_plan import (
    EDITION,
    Comparison,
    Conformal,
    Corruption,
    EvaluatedVersion,
    EvaluationPlan,
    Explaining,
    Family,
    Pairing,
    Peer,
    Slices,
)
from federation.domain.ids import RunId, Sha256, SiteId
from federation.evidence.canonical import digest_of

Json = dict[str, object]

FEWEST_PEERS = 3
"""A sum of two tells each of them the other's part."""
MOST_PEERS = 1000
MOST_VERSIONS = 50
MOST_VALUES = 40
MOST_FAMILIES = 10
MOST_THRESHOLDS = 99
SMALLEST_CELLS = (10, 20)
"""k of the cell rule; the register takes no record that shows fewer than ten cases."""
RISKS = ("high", "medium", "low")
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._+/-]{0,58}[A-Za-z0-9+])?")
SLICED_BY = ("sex", "age-band", "scanner")
"""What a hospital's catalogue knows of its patients."""
FINEST = 1000
"""Scores are rounded to 1/1000; a coarser grid is a whole part of it."""
PAIRED_STEPS = (10, FINEST)
ALPHAS = (0.01, 0.5)
CALIBRATION = (0.1, 0.9)
EXPLAINED_CASES = (10, 500)
PATH_STEPS = (8, 256)
_HEX = re.compile(r"[0-9a-f]{64}")


def protocol_digest(plan: EvaluationPlan) -> Sha256:
    """Return the content id of a protocol: what is logged before the run."""
    return digest_of(plan_as_json(plan))


def plan_as_json(plan: EvaluationPlan) -> Json:
    """Return a protocol as plain JSON; what is not asked for has no key."""
    return {
        "edition": EDITION,
        "versions": [_version_json(one) for one in plan.versions],
        "families": [one.value for one in plan.families],
        "threshold": plan.threshold,
        "decision_thresholds": list(plan.decision_thresholds),
        "slices": [
            {"family": one.family, "values": list(one.values), "reference": one.reference}
            for one in plan.slices
        ],
        "comparison": plan.comparison.value,
        "smallest_cell": plan.smallest_cell,
        "corruptions": [one.value for one in plan.corruptions],
        "risk": plan.risk,
        "policy": plan.policy,
        "peers": {str(one.site): one.node_key for one in plan.peers},
        **_settings_json(plan),
    }


def plan_from_json(raw: object) -> EvaluationPlan:
    """Return the protocol in `raw`.

    Raises
    ------
    KeyError, TypeError, ValueError, InvalidValueError
        If a field is missing, of the wrong kind or out of range; `study_from_json` gives
        that its code.
    """
    if not isinstance(raw, dict) or raw["edition"] != EDITION:
        raise TypeError("a protocol of this edition was expected")
    plan = EvaluationPlan(
        versions=tuple(_version(one) for one in _list(raw["versions"], MOST_VERSIONS)),
        families=tuple(Family(one) for one in _list(raw["families"], len(Family))),
        threshold=_probability(raw["threshold"]),
        decision_thresholds=tuple(
            _probability(one) for one in _list(raw["decision_thresholds"], MOST_THRESHOLDS, 0)
        ),
        slices=tuple(_slices(one) for one in _list(raw["slices"], MOST_FAMILIES, 0)),
        comparison=Comparison(raw["comparison"]),
        smallest_cell=_between(raw["smallest_cell"], *SMALLEST_CELLS),
        corruptions=tuple(Corruption(one) for one in _list(raw["corruptions"], 6, 0)),
        risk=_one_of(raw["risk"], RISKS),
        policy=_fits(raw["policy"], _HEX),
        peers=_peers(raw["peers"]),
        paired=_pairing(raw.get(Family.PAIRED.value)),
        uncertainty=_conformal(raw.get(Family.UNCERTAINTY.value)),
        explainability=_explaining(raw.get(Family.EXPLAINABILITY.value)),
    )
    _check(plan)
    return plan


def _check(plan: EvaluationPlan) -> None:
    """Refuse a protocol that contradicts itself."""
    entries = [one.entry for one in plan.versions]
    families = [one.family for one in plan.slices]
    for listed in (entries, families, plan.families, plan.corruptions):
        if len(set(listed)) != len(listed):
            raise ValueError("something is listed twice")
    if any(low >= high for low, high in pairwise(plan.decision_thresholds)):
        raise ValueError("decision thresholds ascend")
    if plan.asks(Family.ROBUSTNESS) != bool(plan.corruptions):
        raise ValueError("robustness and corruptions belong together")
    if plan.asks(Family.FAIRNESS) and not plan.slices:
        raise ValueError("fairness needs slices")
    if plan.asks(Family.NET_BENEFIT) and not plan.decision_thresholds:
        raise ValueError("net benefit needs decision thresholds")
    for family, settings in _settings(plan).items():
        if plan.asks(family) != (settings is not None):
            raise ValueError("a family and its settings belong together")
    if plan.asks(Family.PAIRED) and (len(entries) < 2 or not plan.asks(Family.DISCRIMINATION)):
        raise ValueError("a paired comparison needs two versions, and their discrimination")


def _settings(plan: EvaluationPlan) -> dict[Family, Pairing | Conformal | Explaining | None]:
    """Return the settings of the families that have any."""
    return {
        Family.PAIRED: plan.paired,
        Family.UNCERTAINTY: plan.uncertainty,
        Family.EXPLAINABILITY: plan.explainability,
    }


def _settings_json(plan: EvaluationPlan) -> Json:
    said = _settings(plan).items()
    return {family.value: asdict(one) for family, one in said if one is not None}


def _pairing(raw: object) -> Pairing | None:
    if raw is None:
        return None
    steps = _between(_only(raw, "steps")["steps"], *PAIRED_STEPS)
    if FINEST % steps:
        raise ValueError("a whole part of the grid was expected")
    return Pairing(steps)


def _conformal(raw: object) -> Conformal | None:
    if raw is None:
        return None
    said = _only(raw, "alpha", "calibration")
    alpha, calibration = _probability(said["alpha"]), _probability(said["calibration"])
    for value, (low, high) in ((alpha, ALPHAS), (calibration, CALIBRATION)):
        if not low <= value <= high:
            raise ValueError("a number in its range was expected")
    return Conformal(alpha, calibration)


def _explaining(raw: object) -> Explaining | None:
    if raw is None:
        return None
    said = _only(raw, "cases", "steps")
    return Explaining(
        _between(said["cases"], *EXPLAINED_CASES), _between(said["steps"], *PATH_STEPS)
    )


def _only(raw: object, *names: str) -> Json:
    """Return an object that has these fields and no other."""
    if not isinstance(raw, dict) or set(raw) != set(names):
        raise TypeError("an object of the known fields was expected")
    return raw


def _version_json(one: EvaluatedVersion) -> Json:
    return {
        "entry": one.entry,
        "weights": str(one.weights),
        "array": str(one.array),
        "run": str(one.run),
        "trained_at": [str(site) for site in one.trained_at],
        "claim": one.claim,
    }


def _version(raw: object) -> EvaluatedVersion:
    if not isinstance(raw, dict):
        raise TypeError("a version is an object")
    return EvaluatedVersion(
        entry=_fits(raw["entry"], NAME),
        weights=Sha256(str(raw["weights"])),
        array=Sha256(str(raw["array"])),
        run=RunId(str(raw["run"])),
        trained_at=tuple(SiteId(str(one)) for one in _list(raw["trained_at"], MOST_PEERS)),
        claim=_probability(raw["claim"]),
    )


def _slices(raw: object) -> Slices:
    if not isinstance(raw, dict):
        raise TypeError("slices are an object")
    values = tuple(_fits(one, NAME) for one in _list(raw["values"], MOST_VALUES, 2))
    reference = _fits(raw["reference"], NAME)
    if reference not in values or len(set(values)) != len(values):
        raise ValueError("the reference is one of the values, each of which is there once")
    return Slices(_one_of(raw["family"], SLICED_BY), values, reference)


def _peers(raw: object) -> tuple[Peer, ...]:
    if not isinstance(raw, dict) or not FEWEST_PEERS <= len(raw) <= MOST_PEERS:
        raise ValueError("three peers or more were expected")
    peers = tuple(Peer(SiteId(str(site)), _fits(raw[site], _HEX)) for site in sorted(raw))
    if len({one.node_key for one in peers}) != len(peers):
        raise ValueError("two sites with one key")
    return peers


def _list(raw: object, most: int, fewest: int = 1) -> list[object]:
    if not isinstance(raw, list) or not fewest <= len(raw) <= most:
        raise TypeError("a list of the expected length was expected")
    return raw


def _probability(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 < raw < 1:
        raise ValueError("a number between 0 and 1 was expected")
    return float(raw)


def _between(raw: object, low: int, high: int) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or not low <= raw <= high:
        raise ValueError("a whole number in its range was expected")
    return raw


def _one_of(raw: object, known: tuple[str, ...]) -> str:
    if raw not in known:
        raise ValueError("not one of the known words")
    return str(raw)


def _fits(raw: object, pattern: re.Pattern[str]) -> str:
    if not isinstance(raw, str) or pattern.fullmatch(raw) is None:
        raise ValueError("a short name was expected")
    return raw
