"""An outcome study's protocol as it travels inside a study, and the digest it is logged under.

Everything is checked on the way in, because it comes from elsewhere: names are short,
bounds finite, lists bounded, every variable that an analysis names is there and of the
kind that it needs.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping

from federation.domain.evaluation_plan import Peer
from federation.domain.ids import Sha256, SiteId
from federation.domain.outcome_plan import (
    EDITION,
    SQUARED,
    Analysis,
    Baseline,
    Binary,
    Category,
    Clock,
    Cox,
    Limits,
    Logistic,
    Numeric,
    OutcomePlan,
    Survival,
    TiesBy,
    Unit,
    Variable,
    Weighted,
    Weights,
    covariates_of,
    variables_of,
)
from federation.evidence.canonical import digest_of

Json = dict[str, object]

FEWEST_PEERS, MOST_PEERS = 3, 1000
MOST_VARIABLES, MOST_LEVELS, MOST_COVARIATES, MOST_ANALYSES = 60, 20, 40, 12
MOST_TIMES = 1_200
MOST_COLUMNS = 100
"""Of one fit, a level each: its square is what a hospital computes and holds for each time."""
MOST_PRODUCTS = 2_000_000
MOST_CELLS = 2_000_000
"""Whole numbers of one site in one sum; a reply carries sixteen bytes of each."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
LEVEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._+/-]{0,38}[A-Za-z0-9+])?")
RESERVED = frozenset({"patient", "patient_id", "time", "event"})
_HEX = re.compile(r"[0-9a-f]{64}")
_LIMITS: Mapping[str, tuple[float, float]] = {
    "newton_rounds": (2, 25),
    "tolerance": (1e-10, 1e-3),
    "largest_coefficient": (0.1, 20.0),
    "largest_weight": (1.0, 1e4),
    "most_patients": (10, 10**6),
    "smallest_cell": (3, 20),
}
_WHOLE = frozenset({"newton_rounds", "most_patients", "smallest_cell"})


def protocol_digest(plan: OutcomePlan) -> Sha256:
    """Return the content id of a protocol: what is logged before the run."""
    return digest_of(plan_as_json(plan))


def plan_as_json(plan: OutcomePlan) -> Json:
    """Return a protocol as plain JSON."""
    clock, limits = plan.clock, plan.limits
    return {
        "edition": EDITION,
        "variables": [variable_as_json(one) for one in plan.variables],
        "clock": None
        if clock is None
        else {"unit": clock.unit.value, "step": clock.step, "end": clock.end},
        "analyses": [_analysis_json(one) for one in plan.analyses],
        "limits": {name: getattr(limits, name) for name in _LIMITS},
        "impact_study": plan.impact_study,
        "peers": {str(one.site): one.node_key for one in plan.peers},
    }


def plan_from_json(raw: object) -> OutcomePlan:
    """Return the protocol in `raw`.

    Raises
    ------
    KeyError, TypeError, ValueError, InvalidValueError
        If a field is missing, of the wrong kind or out of range; `study_from_json` gives
        that its code.
    """
    said = _object(raw)
    if said["edition"] != EDITION:
        raise TypeError("a protocol of this edition was expected")
    analyses = _list(said["analyses"], MOST_ANALYSES)
    study = said["impact_study"]
    plan = OutcomePlan(
        variables=tuple(
            variable_from_json(one) for one in _list(said["variables"], MOST_VARIABLES, 0)
        ),
        clock=None if said["clock"] is None else _clock(_object(said["clock"])),
        analyses=tuple(_analysis(_object(one)) for one in analyses),
        limits=_limits(_object(said["limits"])),
        impact_study=None if study is None else _fits(study, NAME),
        peers=_peers(_object(said["peers"])),
    )
    _check(plan)
    return plan


def variable_as_json(one: Variable) -> Json:
    """Return a variable as plain JSON."""
    match one:
        case Numeric(name, low, high):
            return {"name": name, "kind": "numeric", "low": low, "high": high}
        case Category(name, levels):
            return {"name": name, "kind": "category", "levels": list(levels)}
        case Binary(name):
            return {"name": name, "kind": "binary"}


def variable_from_json(raw: object) -> Variable:
    """Return a variable; raises as `plan_from_json`."""
    said = _object(raw)
    name, kind = _fits(said["name"], NAME), said["kind"]
    if name.casefold() in RESERVED:
        raise ValueError("a name with a meaning of its own")
    if kind == "binary":
        return Binary(name)
    if kind == "category":
        levels = tuple(_fits(one, LEVEL) for one in _list(said["levels"], MOST_LEVELS, 2))
        _once(levels)
        return Category(name, levels)
    if kind == "numeric":
        low, high = _number(said["low"]), _number(said["high"])
        if not low < high:
            raise ValueError("bounds ascend")
        return Numeric(name, low, high)
    raise ValueError("not one of the known kinds")


def _analysis_json(one: Analysis) -> Json:
    body: Json = {"name": one.name}
    match one:
        case Survival():
            return body | {"kind": "survival", "group": one.group, "horizon": one.horizon}
        case Cox():
            kind: Json = {"kind": "cox", "ties": one.ties.value, "baseline": one.baseline.value}
        case Logistic():
            kind = {"kind": "logistic", "outcome": one.outcome}
        case Weighted():
            kind = {
                "kind": "weighted",
                "treatment": one.treatment,
                "outcome": one.outcome,
                "weights": one.weights.value,
            }
    return body | kind | {"covariates": list(one.covariates)}


def _analysis(raw: Json) -> Analysis:
    make = _MADE.get(str(raw["kind"]))
    if make is None:
        raise ValueError("not one of the known analyses")
    return make(raw, _fits(raw["name"], NAME))


def _survival(raw: Json, name: str) -> Survival:
    group = raw["group"]
    return Survival(
        name, None if group is None else _fits(group, NAME), _above_zero(raw["horizon"])
    )


def _cox(raw: Json, name: str) -> Cox:
    return Cox(name, _covariates(raw), TiesBy(raw["ties"]), Baseline(raw["baseline"]))


def _logistic(raw: Json, name: str) -> Logistic:
    return Logistic(name, _fits(raw["outcome"], NAME), _covariates(raw))


def _weighted(raw: Json, name: str) -> Weighted:
    arm, outcome = _fits(raw["treatment"], NAME), _fits(raw["outcome"], NAME)
    return Weighted(name, arm, outcome, _covariates(raw), Weights(raw["weights"]))


_MADE: Mapping[str, Callable[[Json, str], Analysis]] = {
    "survival": _survival,
    "cox": _cox,
    "logistic": _logistic,
    "weighted": _weighted,
}


def _covariates(raw: Json) -> tuple[str, ...]:
    found = tuple(str(one) for one in _list(raw["covariates"], MOST_COVARIATES))
    for one in found:
        _fits(one.removesuffix(SQUARED), NAME)
    _once(found)
    return found


def _clock(raw: Json) -> Clock:
    clock = Clock(Unit(raw["unit"]), _above_zero(raw["step"]), _above_zero(raw["end"]))
    steps = clock.end / clock.step
    if not 1 <= steps <= MOST_TIMES or abs(steps - round(steps)) > 1e-9:
        raise ValueError("the end is a whole number of steps, and not too many")
    return clock


def _limits(raw: Json) -> Limits:
    if set(raw) != set(_LIMITS):
        raise ValueError("a limit is missing or unknown")
    found = {name: _within(raw[name], *_LIMITS[name]) for name in _LIMITS}
    if any(found[name] != int(found[name]) for name in _WHOLE):
        raise ValueError("a whole number was expected")
    return Limits(**{name: int(one) if name in _WHOLE else one for name, one in found.items()})  # type: ignore[arg-type]


def _peers(raw: Json) -> tuple[Peer, ...]:
    if not FEWEST_PEERS <= len(raw) <= MOST_PEERS:
        raise ValueError("three peers or more were expected")
    peers = tuple(Peer(SiteId(site), _fits(raw[site], _HEX)) for site in sorted(raw))
    _once(one.node_key for one in peers)
    return peers


# -- what must fit together -----------------------------------------------------------------


def _check(plan: OutcomePlan) -> None:
    """Refuse a protocol that contradicts itself."""
    _once(one.name for one in plan.variables)
    _once(one.name for one in plan.analyses)
    used = {name for one in plan.analyses for name in variables_of(one)}
    if used != {one.name for one in plan.variables}:
        raise ValueError("a variable is missing, or none of the analyses uses it")
    is_timed = any(isinstance(one, Survival | Cox) for one in plan.analyses)
    if is_timed != (plan.clock is not None):
        raise ValueError("a clock belongs to analyses of times, and they to it")
    for one in plan.analyses:
        _check_analysis(plan, one)


def _check_analysis(plan: OutcomePlan, one: Analysis) -> None:
    match one:
        case Survival(group=group, horizon=horizon):
            assert plan.clock is not None
            _require(horizon <= plan.clock.end, "the horizon lies within the clock")
            if group is not None:
                _require(not isinstance(plan.variable(group), Numeric), "a group is no number")
        case Logistic(outcome=outcome):
            _require(isinstance(plan.variable(outcome), Binary), "the outcome is 0 or 1")
        case Weighted(treatment=treatment, outcome=outcome):
            _require(isinstance(plan.variable(treatment), Binary), "the treatment is 0 or 1")
            is_word = isinstance(plan.variable(outcome), Category)
            _require(not is_word and outcome != treatment, "the outcome is a number")
    own = covariates_of(one)
    columns = sum(_columns(plan, covariate) for covariate in own)
    times = len(plan.clock.times) if isinstance(one, Cox) and plan.clock else 1
    _require(columns <= MOST_COLUMNS, "a fit has too many columns")
    _require(times * columns**2 <= MOST_PRODUCTS, "a fit has too many columns for its times")
    for covariate in own:
        name = covariate.removesuffix(SQUARED)
        if covariate != name:
            _require(name in own, "a square comes with what it is the square of")
            _require(isinstance(plan.variable(name), Numeric), "only numbers are squared")
    explained = {getattr(one, "outcome", None), getattr(one, "treatment", None)}
    _require(not explained & set(own), "what is explained does not explain itself")


def _columns(plan: OutcomePlan, covariate: str) -> int:
    one = plan.variable(covariate.removesuffix(SQUARED))
    return len(one.levels) - 1 if isinstance(one, Category) else 1


def _require(holds: bool, why: str) -> None:
    if not holds:
        raise ValueError(why)


def _once(listed: Iterable[object]) -> None:
    names = list(listed)
    if len(set(names)) != len(names):
        raise ValueError("something is listed twice")


def _object(raw: object) -> Json:
    if not isinstance(raw, dict):
        raise TypeError("an object was expected")
    return raw


def _list(raw: object, most: int, fewest: int = 1) -> list[object]:
    if not isinstance(raw, list) or not fewest <= len(raw) <= most:
        raise TypeError("a list of the expected length was expected")
    return raw


def _fits(raw: object, pattern: re.Pattern[str]) -> str:
    if not isinstance(raw, str) or pattern.fullmatch(raw) is None:
        raise ValueError("a short name was expected")
    return raw


def _number(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise ValueError("a finite number was expected")
    return float(raw)


def _above_zero(raw: object) -> float:
    return _within(raw, 1e-9, 1e9)


def _within(raw: object, low: float, high: float) -> float:
    value = _number(raw)
    if not low <= value <= high:
        raise ValueError("a number in its range was expected")
    return value
