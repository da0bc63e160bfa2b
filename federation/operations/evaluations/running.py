"""What a launched evaluation does, besides what every study does: log, sum up, keep, enter.

`begin` comes before the first hospital is asked and logs the protocol; `finish` comes after
the last sum. Each may be called again after any crash: what was done is found in the run's
record, the artefact store and the register, and done no second time.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import cast

from federation.coordinator.home import CentreHome
from federation.domain.audit import AuditKind
from federation.domain.evaluation_plan import EvaluationPlan
from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.domain.run import RoundKey, RoundKind, RunState
from federation.domain.study import Study
from federation.errors.evaluating import EvaluationMissingError, ProtocolChangedError
from federation.evaluation.policy import Policy, default_policy
from federation.evidence.canonical import canonical
from federation.operations.artefacts import Artefacts
from federation.operations.campaign import Campaign
from federation.operations.campaign.summing import SumFound, replies_of, sum_found
from federation.operations.embedded_registry import Actor
from federation.operations.evaluations.concluding import Found, Ran, SiteFigure, conclude, figure_of
from federation.operations.evaluations.disjointness import prove_disjoint
from federation.operations.evaluations.records import (
    Part,
    Results,
    enter_results,
    log_protocol,
    place_of,
)
from federation.operations.launch import EVALUATION
from federation.operations.store.rounds import RoundStore
from federation.operations.store.studies import Stored, StudyStore
from federation.storage import write_atomic
from federation.wire.evaluation_plan import protocol_digest
from federation.wire.study import protocol_of, study_from_json

PROTOCOL_LOG = "protocol_log"
REPORTS = "reports"

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Concluded:
    """An evaluation as it stands in its run's record.

    `documents` are content ids by entry, `verdicts` what the policy says, `records` the
    states of the register's records by id.
    """

    protocol: Sha256
    log_index: int
    documents: Mapping[str, Sha256]
    verdicts: Mapping[str, str]
    records: Mapping[str, str]
    figures: Mapping[str, Sequence[Mapping[str, object]]]

    def as_json(self) -> Json:
        """Return it as plain JSON."""
        return {
            "protocol": str(self.protocol),
            "log_index": self.log_index,
            "documents": {entry: str(one) for entry, one in self.documents.items()},
            "verdicts": dict(self.verdicts),
            "records": dict(self.records),
            "figures": {entry: [dict(one) for one in said] for entry, said in self.figures.items()},
        }


def begin(campaign: Campaign) -> None:
    """Log the protocol before anybody is asked; a continued run finds it logged.

    Raises
    ------
    ProtocolChangedError
        If the run was begun under another protocol.
    """
    noted = campaign.noted()
    ours, logged = str(protocol_of(campaign.study)), noted.get("protocol_digest")
    if ours != logged:
        raise ProtocolChangedError(study=campaign.study.id, found=ours, logged=logged)
    if PROTOCOL_LOG not in noted:
        envelope = campaign.patiently(
            lambda: log_protocol(campaign.home, campaign.study, at=campaign.now())
        )
        campaign.note(AuditKind.PROTOCOL_LOGGED, {PROTOCOL_LOG: str(envelope)})


def finish(campaign: Campaign, *, policy: Callable[[], Policy] = default_policy) -> Concluded:
    """Return what the evaluation came to, its documents kept and its results entered.

    Raises
    ------
    PlatformError
        If parts do not add up, the statistics refuse the sum, or the register a record.
    """
    campaign.stage("concluding")
    assert campaign.run is not None  # it was opened
    envelope = Sha256(str(campaign.noted()[PROTOCOL_LOG]))
    run = KeptRun(campaign.home, campaign.study, campaign.run, campaign.kept, envelope)
    found = campaign.patiently(lambda: concluded_of(run, policy()))
    campaign.note(AuditKind.EVALUATION_KEPT, {EVALUATION: found.concluded.as_json()})
    entered = campaign.patiently(lambda: found.enter(run))
    campaign.note(AuditKind.EVALUATION_KEPT, {EVALUATION: entered.as_json()})
    return entered


def enter_later(home: CentreHome, study: StudyId, *, by: Actor) -> Concluded:
    """Enter the results of a finished evaluation in the records that were logged since.

    Everything is computed anew from the kept parts of the sum, to the same digits.

    Raises
    ------
    EvaluationMissingError
        If no run of it has finished.
    NotItsPlannerError
        If all of its records were planned by others than `by`.
    PlatformError
        As `finish`.
    """
    with closing(StudyStore.of(home)) as store:
        run = finished_run(store, study)
        found = study_from_json(store.study(study).record)
        envelope = Sha256(str(run.record[PROTOCOL_LOG]))
        rounds = RoundStore(store.database)
        kept = KeptRun(home, found, RunId(run.id), rounds, envelope)
        return concluded_of(kept, default_policy()).enter(kept, by=by)


def document_of(home: CentreHome, digest: Sha256) -> Json:
    """Return a kept document; raises `ArtefactMissingError` or `ArtefactDamagedError`."""
    return cast(Json, json.loads(Artefacts.of(home).get(digest)))


def finished_run(store: StudyStore, study: StudyId) -> Stored[RunState]:
    """Return the newest finished run of an evaluation.

    Raises
    ------
    EvaluationMissingError
        If there is none.
    """
    runs = [run for run in store.runs(study) if isinstance(run.record.get(EVALUATION), dict)]
    if not runs:
        raise EvaluationMissingError(asked=study)
    return runs[-1]


@dataclass(frozen=True, slots=True)
class KeptRun:
    """The run of an evaluation as kept: its rounds, and the logged protocol's envelope."""

    home: CentreHome
    study: Study
    run: RunId
    rounds: RoundStore
    envelope: Sha256

    @property
    def plan(self) -> EvaluationPlan:
        """Return the protocol."""
        assert self.study.evaluation is not None  # a study that evaluates
        return self.study.evaluation

    def sums(self) -> list[SumFound]:
        """Return the sum of every version; raises as `sum_found`."""
        artefacts = Artefacts.of(self.home)
        steps = range(len(self.plan.versions) + 1, self.plan.rounds + 1)
        keys = [RoundKey(self.run, RoundKind.EVALUATE, number) for number in steps]
        return [sum_found(self.rounds, artefacts, self.plan, key) for key in keys]

    def figures(self, found: SumFound) -> list[SiteFigure]:
        """Return what the sites showed of themselves when they prepared a version."""
        replies = replies_of(self.rounds, self.run, self._place(found))
        return [figure_of(site, reply.report) for site, reply in sorted(replies.items())]

    def parts(self, found: SumFound) -> dict[SiteId, Part]:
        """Return what each site gave to a sum, by digest."""
        number = self._place(found) + len(self.plan.versions)
        replies = replies_of(self.rounds, self.run, number)
        return {
            site: Part(digest, Sha256.of(replies[site].signature.encode()))
            for site, digest in found.parts.items()
        }

    def proof(self, found: SumFound) -> Sha256 | None:
        """Return the proof that a sum's patients were not trained on; None without one."""
        replies = replies_of(self.rounds, self.run, self._place(found))
        prepared = {site: replies[site] for site in found.parts}
        return prove_disjoint(self.home, self.study, found.version, self.run, prepared)

    def _place(self, found: SumFound) -> int:
        return self.plan.versions.index(found.version) + 1


@dataclass(frozen=True, slots=True)
class Findings:
    """What a run came to, and what its records are to say."""

    concluded: Concluded
    found: Sequence[Found]
    parts: Mapping[str, Mapping[SiteId, Part]]
    proofs: Mapping[str, Sha256 | None]

    def enter(self, run: KeptRun, *, by: Actor | None = None) -> Concluded:
        """Enter the results where the plan was logged; return the same with the records' states.

        `by` is whoever enters them, None the run itself.

        Raises
        ------
        PlatformError
            What the register refuses; the documents are kept all the same.
        """
        documents = self.concluded.documents
        results = Results(self.parts, documents, self.proofs)
        states = enter_results(run.home, run.study, self.found, results, by)
        return replace(self.concluded, records=states)


def concluded_of(run: KeptRun, policy: Policy) -> Findings:
    """Return what a run came to, its documents kept; raises as `finish`."""
    sums, protocol = run.sums(), protocol_digest(run.plan)
    log_index = place_of(run.home, run.envelope)
    figures = {one.version.entry: run.figures(one) for one in sums}
    found = _found(run, sums, figures, policy)
    documents = {one.entry: _keep(run.home, one) for one in found}
    parts = {one.version.entry: run.parts(one) for one in sums}
    proofs = {one.version.entry: run.proof(one) for one in sums}
    concluded = Concluded(
        protocol=protocol,
        log_index=log_index,
        documents=documents,
        verdicts={one.entry: one.decision.verdict.value for one in found},
        records={},
        figures={entry: [_figure_json(one) for one in listed] for entry, listed in figures.items()},
    )
    return Findings(concluded, found, parts, proofs)


def documents_again(run: KeptRun, policy: Policy) -> dict[str, Sha256]:
    """Return the content id of every document by entry, computed anew; nothing is kept.

    Raises as `finish`.
    """
    sums = run.sums()
    figures = {one.version.entry: run.figures(one) for one in sums}
    found = _found(run, sums, figures, policy)
    return {one.entry: Sha256.of(canonical(one.document)) for one in found}


def _found(
    run: KeptRun,
    sums: Sequence[SumFound],
    figures: Mapping[str, Sequence[SiteFigure]],
    policy: Policy,
) -> list[Found]:
    """Return what was found of every version; raises as `finish`."""
    log_index = place_of(run.home, run.envelope)
    ran = Ran(run.study, str(run.run), str(protocol_digest(run.plan)), log_index)
    return conclude(ran, sums, figures, policy)


def _keep(home: CentreHome, found: Found) -> Sha256:
    """Keep a document among the artefacts, and where the register's pages look for it."""
    content = canonical(found.document)
    digest = Artefacts.of(home).put(content)
    folder = home.artefacts / REPORTS
    folder.mkdir(mode=0o700, exist_ok=True)
    write_atomic(folder / f"{digest.hex}.json", content)
    return digest


def _figure_json(one: SiteFigure) -> Json:
    """Return what a site showed of itself."""
    return {
        "site": str(one.site),
        "auroc": one.value,
        "low": one.low,
        "high": one.high,
        "refused": one.refused,
    }
