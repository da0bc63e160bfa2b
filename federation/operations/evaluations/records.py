"""The protocol and the results of an evaluation in the register and its evidence log.

One record for each version and dimension. It is written as a plan before the run, with the
protocol's digest and the thresholds; a person of the validation centre logs it (E1); its
results are written after the run, under that very protocol, and judged by people (E2, E3).
A run whose plans nobody logged keeps its documents; its results are entered later.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from federation.coordinator.home import CentreHome
from federation.domain.evaluation_plan import EvaluatedVersion, EvaluationPlan, Family
from federation.domain.ids import Sha256, SiteId
from federation.domain.study import Study
from federation.errors.evaluating import ProtocolChangedError
from federation.errors.moves import RecordNotFoundError
from federation.errors.records import NotItsPlannerError
from federation.evaluation.assessment import Assessment
from federation.evaluation.fairness import Figure
from federation.evaluation.limits import ATTACK, GAP, NO_BENEFIT, limits_of
from federation.evaluation.policy import Policy, RiskClass
from federation.evaluation.proportions import Proportion
from federation.evaluation.sliced import EVERYONE
from federation.evidence.canonical import digest_of
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.operations.embedded_registry import Actor, RecordDesk, desk, registrar
from federation.operations.evaluations.concluding import DIMENSIONS, Found
from federation.operations.evidence_entries import log_statements
from federation.wire.evaluation_plan import plan_as_json, protocol_digest
from federation.wire.study import protocol_of, study_as_json

if TYPE_CHECKING:
    from registry.roles import Author

NOUN = "evaluation"
PLUGIN = "federated-evaluation"
EDITION = "1"
LOG_PLAN = "E1"
METHOD = "sum of histograms over sites"
CHECKS = {
    "completeness": "completeness-gap",
    "randomisation": "randomisation-similarity",
    "structure": "structural-similarity",
    "deletion": "deletion-area",
    "deletion-gain": "deletion-gain",
}
"""The register's metric of each check of explanations."""
LOGGED = "logged"
_REASON = "planned as the protocol says"

Body = dict[str, object]


@dataclass(frozen=True, slots=True)
class Part:
    """What a site gave to the sum: the digest of its part, and of what it signed (in the log)."""

    statistics: Sha256
    attestation: Sha256


@dataclass(frozen=True, slots=True)
class Results:
    """What records name besides figures, by entry.

    Parameters
    ----------
    parts
        What each site gave to the sum.
    documents
        The document of all figures.
    proofs
        The logged proof that nobody of the sum was trained on; None without one.
    """

    parts: Mapping[str, Mapping[SiteId, Part]]
    documents: Mapping[str, Sha256]
    proofs: Mapping[str, Sha256 | None]


def log_protocol(home: CentreHome, study: Study, *, at: datetime) -> Sha256:
    """Sign the protocol with the study, enter it in the evidence log, return the envelope's digest.

    Raises
    ------
    BusyRegisterError
        If other writers were always faster.
    """
    protocol = protocol_of(study)
    assert protocol is not None  # a study that trains nothing
    statement = Statement(
        (
            Subject(f"study/{study.id}", study.digest),
            Subject(f"protocol/{study.id}", protocol),
        ),
        PredicateType.PROPOSAL,
        {"study": study_as_json(study), "at": at.isoformat()},
    )
    envelope = sign_dsse(statement, Signer.load(home.evidence_key))
    log_statements(home, [envelope])
    return Sha256.of(envelope.encode())


def place_of(home: CentreHome, envelope: Sha256) -> int:
    """Return where a logged statement lies in the evidence log.

    Raises
    ------
    ProtocolChangedError
        If it is not there: the log is not the one it was.
    """
    with registrar(home).store.reading() as transaction:
        found = transaction.log.index_of(envelope)
    if found is None:
        raise ProtocolChangedError(study=str(envelope)[:19], found="absent", logged=str(envelope))
    return found


def plan_records(
    home: CentreHome, study: Study, policy: Policy, *, writer: Actor, approver: Actor | None
) -> list[str]:
    """Write the planned record of every version and dimension; return their ids.

    Those that are there under the same protocol stay as they are. `approver` logs the plan
    (E1), where somebody is named.

    Raises
    ------
    ProtocolChangedError
        If a record of that name is of another protocol.
    PlatformError
        What the register refuses.
    """
    register, ids = desk(home), []
    for id, body in planned_bodies(study, policy, runner=writer.organisation):
        _put_plan(register, study, id, body, writer)
        head = register.get(NOUN, id)
        if approver is not None and head.state == "planned":
            register.move(NOUN, id, LOG_PLAN, approver, reason=_REASON, revision=head.revision)
        ids.append(id)
    return ids


def planned_bodies(study: Study, policy: Policy, *, runner: str) -> Iterator[tuple[str, Body]]:
    """Yield id and content of every record of a protocol, without results."""
    plan = study.evaluation
    assert plan is not None  # a study that evaluates
    for place, version in enumerate(plan.versions, start=1):
        for family in recorded(plan):
            yield (
                f"{study.id}.{place}.{DIMENSIONS[family]}",
                {
                    "schema": "trifed.evaluation/1",
                    "entry": version.entry,
                    "dimension": DIMENSIONS[family],
                    "protocol_id": str(study.id),
                    "protocol_hash": str(protocol_digest(plan)),
                    "plugin": {
                        "id": PLUGIN,
                        "version": EDITION,
                        "arguments": str(digest_of(plan_as_json(plan))),
                    },
                    "dataset_cards": [],
                    "sites": [str(site) for site in study.sites],
                    "thresholds": list(_limits(plan, version, family, policy)),
                    "runner": runner,
                },
            )


def recorded(plan: EvaluationPlan) -> list[Family]:
    """Return the families with a record of their own; pairs stand with the discrimination."""
    return [one for one in plan.families if one is not Family.PAIRED]


def enter_results(
    home: CentreHome,
    study: Study,
    found: Sequence[Found],
    results: Results,
    by: Actor | None = None,
) -> dict[str, str]:
    """Write the results into every record whose plan was logged; return id and state of all.

    Parameters
    ----------
    by
        Whoever enters them, in the records that this person planned; None: the run itself, in
        the name of whoever planned each.

    Raises
    ------
    NotItsPlannerError
        If all records were planned by others.
    ProtocolChangedError
        If a record is of another protocol.
    PlatformError
        What the register refuses.
    """
    register, states = desk(home), {}
    plan = study.evaluation
    assert plan is not None  # a study that evaluates
    by_entry = {one.entry: one for one in found}
    records = {
        f"{study.id}.{place}.{DIMENSIONS[family]}": (by_entry[version.entry], family)
        for place, version in enumerate(plan.versions, start=1)
        for family in recorded(plan)
    }
    planners = _planners(register, study, list(records), by)
    for id, (one, family) in records.items():
        states[id] = _enter(register, study, id, one, family, results, planners.get(id))
    return states


def _planners(
    register: RecordDesk, study: Study, ids: Sequence[str], by: Actor | None
) -> dict[str, Actor]:
    """Return who planned each record that is there; those of `by` alone, if somebody is named."""
    found = {}
    for id in ids:
        with suppress(RecordNotFoundError):
            found[id] = _actor(register.history(NOUN, id)[0].author)
    own = {
        id: one for id, one in found.items() if by is None or replace(by, centre=one.centre) == one
    }
    if found and not own:
        names = sorted({f"{one.person} ({one.organisation}, {one.role})" for one in found.values()})
        raise NotItsPlannerError(study=study.id, planners=", ".join(names))
    return own


def _actor(author: "Author") -> Actor:
    centre = None if author.centre is None else author.centre.value
    return Actor(author.person, author.organisation, author.role.value, centre)


def _enter(
    register: RecordDesk, study: Study, id: str, found: Found, family: Family, results: Results,
    writer: Actor | None,
) -> str:  # fmt: skip
    """Write one record's results; return its state, or ``missing`` where nobody planned it.

    It stays as it is without a writer, that is where somebody else planned it.
    """
    try:
        head = register.get(NOUN, id)
    except RecordNotFoundError:
        return "missing"
    body = _checked(study, head.body)
    metrics = list(metrics_of(found, family))
    if writer is None or head.state != LOGGED or body.get("metrics") or not metrics:
        return head.state
    parts, proof = results.parts[found.entry], results.proofs[found.entry]
    said = {
        **body,
        "sites": [str(site) for site in study.sites],
        "metrics": metrics,
        "statistics": {str(site): str(one.statistics) for site, one in parts.items()},
        "attestations": {str(site): str(one.attestation) for site, one in parts.items()},
        "suppression": _suppression(study, found.assessment),
        "exactness": {"kind": "exact-on-grid"},
        "report": str(results.documents[found.entry]),
    }
    absent = [str(site) for site in study.sites if site not in parts]
    if absent:
        said["absent"] = absent
    if proof is not None and family is not Family.PRIVACY:  # that one is about the trained
        said["disjointness"] = str(proof)
    said["passed"] = _outcome(said)
    register.put(NOUN, id, said, writer, revision=head.revision, reason=_RESULTS)
    return register.get(NOUN, id).state


_RESULTS = "results of the run"


def metrics_of(found: Found, family: Family) -> Iterator[Body]:
    """Yield the metrics of one dimension: estimate, interval, method, cases."""
    overall = found.assessment.slices.get(EVERYONE)
    if overall is None:
        return
    cases = overall.cases
    match family:
        case Family.DISCRIMINATION:
            for name, one in found.assessment.slices.items():
                ends = one.auroc_interval
                yield _metric("auroc", one.auroc.value, ends.low, ends.high, one.cases,
                              "DeLong on the grid", name)  # fmt: skip
            yield from _pair(found)
        case Family.CALIBRATION:
            if overall.slope is not None:
                ends = overall.slope.interval()
                yield _metric("slope", overall.slope.value, ends.low, ends.high, cases, METHOD)
            yield _point("ece", overall.ece, cases)
            if overall.brier is not None:
                yield _point("brier", overall.brier, cases)
        case Family.OPERATING_POINT:
            for name, rate in overall.rates.items():
                if isinstance(rate, Proportion) and rate.of:
                    ends = rate.wilson()
                    yield _metric(name.replace("_", "-"), rate.rate, ends.low, ends.high,
                                  rate.of, "Wilson")  # fmt: skip
        case Family.FAIRNESS:
            yield from _fairness(found, cases)
        case Family.NET_BENEFIT:
            curve = found.facts.decision_curve
            if curve:
                yield _point(NO_BENEFIT, float(sum(not one.is_best for one in curve)), cases)
        case Family.ROBUSTNESS:
            for lost in found.beside.robustness:
                yield _point("relative-degradation", lost.mean, cases, lost.corruption)
        case Family.DRIFT:
            for moved in found.beside.drift:
                yield _point("psi", moved.distances.psi, cases, moved.variable)
        case Family.PRIVACY:
            point = found.facts.attack
            if point is not None:
                ends = point.interval
                yield _metric(ATTACK, point.true_positives.rate, ends.low, ends.high, cases,
                              "Clopper-Pearson")  # fmt: skip
        case Family.UNCERTAINTY:
            yield from _uncertainty(found)
        case Family.EXPLAINABILITY:
            for check, shown in found.further.explained.items():
                ends = shown.mean.interval()
                yield _metric(CHECKS[check], shown.mean.value, ends.low, ends.high, shown.cases,
                              "mean over explained cases")  # fmt: skip


def _pair(found: Found) -> Iterator[Body]:
    """Yield the difference from the plan's first version, on the same patients."""
    pair = found.further.paired
    if pair is not None:
        ends = pair.found.interval
        yield _metric("auroc-difference", pair.found.difference.value, ends.low, ends.high,
                      pair.cases, f"DeLong, paired, on the grid 1/{pair.steps}",
                      f"against {pair.against}")  # fmt: skip


def _uncertainty(found: Found) -> Iterator[Body]:
    """Yield the coverage of conformal prediction sets, and how many have one answer."""
    uncertainty = found.further.uncertainty
    if uncertainty is None:
        return
    rates = [("coverage", name, one) for name, one in uncertainty.coverage.items()]
    for metric, name, rate in (*rates, ("certain", EVERYONE, uncertainty.certain)):
        if isinstance(rate, Proportion) and rate.of:
            ends = rate.wilson()
            yield _metric(metric, rate.rate, ends.low, ends.high, rate.of, "Wilson", name)


def _fairness(found: Found, cases: int) -> Iterator[Body]:
    fairness = found.assessment.fairness
    gaps = [] if fairness is None else [one for one in fairness.gaps if one.figure is Figure.TPR]
    if not gaps:
        return
    confirmed = [abs(one.gap) for one in gaps if one.excludes_zero]
    yield _point(GAP, max(confirmed, default=0.0), cases)
    for one in gaps:
        if math.isfinite(one.interval.low) and math.isfinite(one.interval.high):
            yield _metric("tpr-gap", one.gap, one.interval.low, one.interval.high, cases,
                          "Newcombe, corrected for all comparisons", one.group)  # fmt: skip


def _metric(
    name: str, value: float, low: float, high: float, n: int, method: str, slice: str = EVERYONE
) -> Body:
    """Return a metric to six decimals; the interval holds the value also after rounding."""
    rounded = [round(one, 6) for one in (low, value, high)]
    return {
        "name": name,
        "value": rounded[1],
        "low": min(rounded),
        "high": max(rounded),
        "method": method,
        "n": n,
        "slice": slice,
    }


def _point(name: str, value: float, n: int, slice: str = EVERYONE) -> Body:
    return _metric(name, value, value, value, n, METHOD, slice)


def _limits(
    plan: EvaluationPlan, version: EvaluatedVersion, family: Family, policy: Policy
) -> Iterator[Body]:
    """Yield the policy's thresholds of a dimension as the register keeps them."""
    for one in policy.thresholds[RiskClass(plan.risk)]:
        if one.dimension == DIMENSIONS[family]:
            yield from (limit.as_json() for limit in limits_of(one, claim=version.claim))


def _put_plan(register: RecordDesk, study: Study, id: str, body: Body, writer: Actor) -> None:
    try:
        head = register.get(NOUN, id)
    except RecordNotFoundError:
        register.put(NOUN, id, body, writer, revision=0)
    else:
        _checked(study, head.body)


def _checked(study: Study, body: Mapping[str, object]) -> Body:
    """Return a record's content if it is of this protocol.

    Raises
    ------
    ProtocolChangedError
        If it is of another.
    """
    assert study.evaluation is not None  # a study that evaluates
    ours, logged = str(protocol_digest(study.evaluation)), body.get("protocol_hash")
    if logged != ours:
        raise ProtocolChangedError(study=study.id, found=ours, logged=logged)
    plain: Body = json.loads(json.dumps(dict(body)))
    return plain


def _suppression(study: Study, found: Assessment) -> Body:
    assert study.evaluation is not None  # a study that evaluates
    return {
        "smallest_cell": study.evaluation.smallest_cell,
        "slices_hidden": len(found.refusals),
    }


def _outcome(body: Mapping[str, object]) -> bool | None:
    """Return whether every threshold is met, as the register computes it again."""
    limits, metrics = body["thresholds"], body["metrics"]
    assert isinstance(limits, list) and isinstance(metrics, list)  # as written above
    if not limits or not metrics:
        return None
    known = {(one["name"], one["slice"]): one for one in metrics}
    asked = [(one, known.get((one["metric"], one.get("slice", EVERYONE)))) for one in limits]
    return all(metric is not None and _is_met(limit, metric) for limit, metric in asked)


def _is_met(limit: Mapping[str, float], metric: Mapping[str, float]) -> bool:
    found = metric[str(limit["bound"])]
    least, most = limit.get("at_least"), limit.get("at_most")
    return (least is None or found >= least) and (most is None or found <= most)
