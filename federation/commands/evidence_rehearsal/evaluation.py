"""Evaluate the demo's version at its hospitals: plan logged, officers approve, people judge.

    planned = plan_evaluation(centre, entry, now=now)      # in the log before anybody is asked
    ...                                                    # launched and approved as any study
    found = judge(centre, desk, entry, result)

A threshold that was missed and may be accepted is accepted in writing by two people of two
centres, for this rehearsal; what fails by the policy stays open and counts for nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from federation.commands.evidence_rehearsal.people import APPROVER, OWNER, REVIEWER
from federation.coordinator.home import CentreHome
from federation.domain.evaluation_plan import Corruption, Explaining
from federation.domain.ids import Sha256, StudyId
from federation.domain.study import Study
from federation.errors.economics import AccuracyMissingError
from federation.errors.impact_commands import EvidenceNotInForceError
from federation.evaluation.policy import default_policy
from federation.evaluation.sliced import EVERYONE
from federation.operations.embedded_registry import RecordDesk, desk
from federation.operations.evaluations.planning import Wanted, plan_study
from federation.operations.evaluations.records import planned_bodies
from federation.operations.evaluations.running import document_of
from federation.operations.evaluations.submitting import People, submit_plan
from federation.operations.impact_economics import accuracy_of
from federation.wire.study import digest_of_study
from federation.wording import Text

EVALUATION = StudyId("pneumonia-evaluation")
NOUN = "evaluation"
CLAIM = 0.75
"""The AUROC that the demo's maker claims: what few rounds under privacy reach."""

OWN_LIMITS: Mapping[str, list[dict[str, object]]] = {
    "operating-point": [
        {"metric": name, "bound": "value", "at_least": 0.5}
        for name in ("sensitivity", "specificity")
    ],
    "robustness": [
        {
            "metric": "relative-degradation",
            "slice": Corruption.NOISE.value,
            "bound": "value",
            "at_most": 0.5,
        }
    ],
}
"""What the AI owner asks where the policy of thresholds says nothing, by dimension."""

VALID_DAYS = 30
JUDGE, ACCEPT = "E2", "E3"
REASON = "demo"
ACCEPTED = Text(
    en="Accepted for a rehearsal with generated images; never for use.",
    zh="僅供以合成影像進行之演練,不得用於臨床。",
)
ACCEPTABLE = frozenset({"alert", "accept"})
"""What the policy may say of a miss that people accept in writing; it never is a failure."""

_WRITTEN = frozenset({"judged", "accepted"})


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What came of it: figures that may be shown, and where each record stands.

    Parameters
    ----------
    log_index
        Of the protocol in the evidence log.
    document
        Everything that was found, as the register's report shows it.
    states
        By dimension.
    counts_in
        The record with sensitivity and specificity, if both may be shown and it counts.
    """

    id: str
    protocol: str
    log_index: int
    verdict: str
    document: Mapping[str, Any]
    states: Mapping[str, str]
    counts_in: str | None

    @property
    def overall(self) -> Mapping[str, Any] | None:
        """Return the figures of all patients; None where not even these may be shown."""
        found: Mapping[str, Any] | None = self.document["assessment"]["slices"].get(EVERYONE)
        return found

    @property
    def settled(self) -> list[str]:
        """Return the dimensions that people judged or accepted."""
        return [name for name, state in self.states.items() if state in _WRITTEN]

    @property
    def judged(self) -> dict[str, str]:
        """Return the records that people judged or accepted, by dimension."""
        return {name: f"{self.id}.1.{name}" for name in self.settled}

    @property
    def left_open(self) -> list[str]:
        """Return the dimensions that count for nothing yet."""
        return [name for name, state in self.states.items() if state not in _WRITTEN]

    def as_json(self) -> dict[str, object]:
        """Return the evaluation for machines."""
        overall = self.overall
        return {
            "id": self.id,
            "protocol": self.protocol,
            "log_index": self.log_index,
            "verdict": self.verdict,
            "records": dict(self.states),
            "auroc": overall and overall["auroc"],
            "cases": overall and overall["cases"],
        }


def plan_evaluation(
    home: Path, entry: str, *, cohort: str, threshold: float, now: datetime
) -> Study:
    """Plan the evaluation of a version at every enrolled hospital, log the plan, submit it.

    Of the corruptions of images one is kept and few cases are explained, so that a visitor
    waits less.

    Raises
    ------
    PlatformError
        If there are fewer than three hospitals, or the register refuses.
    """
    centre = CentreHome.open(home)
    wanted = Wanted(
        study=EVALUATION,
        entries=(entry,),
        cohort=cohort,
        expires=(now + timedelta(days=VALID_DAYS)).replace(microsecond=0),
        claims={entry: CLAIM},
        threshold=threshold,
    )
    study = _shorter(plan_study(centre, wanted))
    _set_limits(centre, study)
    submit_plan(centre, study, People(OWNER, APPROVER))
    return study


def _set_limits(centre: CentreHome, study: Study) -> None:
    """Plan the records to which the owner adds limits of their own; the rest follow the policy."""
    register = desk(centre)
    for id, body in planned_bodies(study, default_policy(), runner=OWNER.organisation):
        limits = OWN_LIMITS.get(str(body["dimension"]))
        if limits is not None:
            register.put(NOUN, id, {**body, "thresholds": limits}, OWNER, revision=0)


def _shorter(study: Study) -> Study:
    assert study.evaluation is not None  # it was planned as one
    explaining = Explaining(cases=16, steps=16)
    plan = replace(study.evaluation, corruptions=(Corruption.NOISE,), explainability=explaining)
    shorter = replace(study, evaluation=plan)
    return replace(shorter, digest=digest_of_study(shorter))


def judge(home: Path, register: RecordDesk, entry: str, result: Mapping[str, Any]) -> Evaluated:
    """Have every record of a finished evaluation judged, as far as the policy allows.

    Parameters
    ----------
    result
        Of the launched evaluation.

    Raises
    ------
    PlatformError
        What the register refused with.
    """
    found = result["evaluation"]
    document = document_of(CentreHome.open(home), Sha256(found["documents"][entry]))
    verdicts = _verdicts(document)
    records = list(found["records"])
    states = {}
    for record in records:
        dimension = str(register.get(NOUN, record).body["dimension"])
        states[dimension] = _judged(
            register, record, may_accept=verdicts.get(dimension) in ACCEPTABLE
        )
    return Evaluated(
        id=str(EVALUATION),
        protocol=found["protocol"],
        log_index=found["log_index"],
        verdict=found["verdicts"][entry],
        document=document,
        states=states,
        counts_in=next((one for one in records if _gives_counts(register, entry, one)), None),
    )


def _verdicts(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the worst that the policy says of each dimension."""
    order, worst = ("pass", "alert", "accept", "fail"), dict[str, str]()
    for one in document["decision"]["findings"]:
        known = worst.get(one["dimension"], order[0])
        worst[one["dimension"]] = max(known, one["verdict"], key=order.index)
    return worst


def _judged(register: RecordDesk, record: str, *, may_accept: bool) -> str:
    """Return where a record stands after people looked at it."""
    head = register.get(NOUN, record)
    seen = head.revision
    if JUDGE in _free(register, record):
        moved = register.move(NOUN, record, JUDGE, APPROVER, reason=REASON, revision=seen)
        return moved.record.state
    if head.body.get("passed") is not False or not may_accept:
        return head.state
    body = {**head.body, "acceptance": {"en": ACCEPTED.en, "zh-TW": ACCEPTED.zh}}
    seen = register.put(NOUN, record, body, OWNER, revision=seen, reason=REASON).revision
    for actor in (APPROVER, REVIEWER):
        register.move(NOUN, record, ACCEPT, actor, reason=REASON, revision=seen)
    return register.get(NOUN, record).state


def _free(register: RecordDesk, record: str) -> set[str]:
    """Return the moves that nothing holds back."""
    return {one.number for one in register.following(NOUN, record) if not one.held_back}


def _gives_counts(register: RecordDesk, entry: str, record: str) -> bool:
    """Say whether a cost model may take sensitivity and specificity from a record."""
    try:
        accuracy_of(register, entry, entry, record)
    except (AccuracyMissingError, EvidenceNotInForceError):
        return False
    return True
