"""What a launched outcome study does after its last sum: conclude, keep, log, name it.

The protocol was logged before the first hospital was asked (`evaluations.running.begin`).
`finish` may be called again after any crash: the document has the same digest, the log
takes a statement once, and the study's record names it once.
"""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

from federation.coordinator.home import CentreHome
from federation.domain.audit import AuditKind
from federation.domain.ids import RunId, Sha256, StudyId
from federation.domain.run import RoundKey, RoundKind, RunState
from federation.domain.study import Study
from federation.errors.core import InvalidIdError
from federation.errors.outcomes import OutcomesMissingError
from federation.evidence.canonical import canonical
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.operations.artefacts import Artefacts
from federation.operations.campaign import Campaign
from federation.operations.campaign.outcome_steps import sums_of_run
from federation.operations.campaign.summing import replies_of
from federation.operations.evaluations.records import place_of
from federation.operations.evaluations.running import PROTOCOL_LOG, REPORTS
from federation.operations.evidence_entries import log_statements
from federation.operations.launch import OUTCOMES
from federation.operations.outcomes.concluding import Json, Ran, conclude
from federation.operations.store.rounds import RoundStore
from federation.operations.store.studies import Stored, StudyStore
from federation.storage import write_atomic
from federation.wire.study import protocol_of


@dataclass(frozen=True, slots=True)
class Concluded:
    """An outcome study as it stands in its run's record.

    `log_index` is the protocol's place in the evidence log, `result_index` the result's.
    """

    protocol: str
    log_index: int
    document: Sha256
    result_index: int
    refused: Mapping[str, str]

    def as_json(self) -> dict[str, object]:
        """Return it as plain JSON."""
        return {
            "protocol": self.protocol,
            "log_index": self.log_index,
            "document": str(self.document),
            "result_index": self.result_index,
            "refused": dict(self.refused),
        }


def finish(campaign: Campaign) -> Concluded:
    """Return what an outcome study came to, its document kept and logged.

    Raises
    ------
    PlatformError
        If a total is not there as it was kept, or the log takes nothing.
    """
    campaign.stage("concluding")
    assert campaign.run is not None  # it was opened
    envelope = Sha256(str(campaign.noted()[PROTOCOL_LOG]))
    run, study = campaign.run, campaign.study
    found = campaign.patiently(
        lambda: concluded_of(campaign.home, study, run, campaign.kept, envelope)
    )
    campaign.note(AuditKind.OUTCOMES_CONCLUDED, {OUTCOMES: found.as_json()})
    return found


def concluded_of(
    home: CentreHome, study: Study, run: RunId, rounds: RoundStore, envelope: Sha256
) -> Concluded:
    """Return what a run came to; its document is kept by digest, and logged.

    Raises
    ------
    PlatformError
        As `finish`.
    """
    plan = study.outcomes
    assert plan is not None  # an outcome study
    sums = sums_of_run(rounds, Artefacts.of(home), plan, run, plan.sums)
    sites = [str(one) for one in sorted(replies_of(rounds, run, plan.rounds))]
    ran = Ran(study, str(run), str(protocol_of(study)), place_of(home, envelope), sites)
    document = conclude(ran, sums)
    digest = _keep(home, document)
    logged = _log(home, study, run, rounds, digest)
    refused = {
        one["name"]: one["refused"]["code"]
        for one in document["analyses"]
        if one["refused"] is not None
    }
    return Concluded(ran.protocol, ran.log_index, digest, place_of(home, logged), refused)


def finished_run(store: StudyStore, study: StudyId) -> Stored[RunState]:
    """Return the newest finished run of an outcome study.

    Raises
    ------
    OutcomesMissingError
        If there is none.
    """
    runs = [run for run in store.runs(study) if isinstance(run.record.get(OUTCOMES), dict)]
    if not runs:
        raise OutcomesMissingError(asked=study)
    return runs[-1]


def shown(home: CentreHome, asked: str) -> tuple[Json, Json]:
    """Return what a run's record says of an outcome study, and its document.

    Raises
    ------
    OutcomesMissingError
        If there is no such study or run, or it has not finished.
    ArtefactMissingError, ArtefactDamagedError
        If the document is not there as it was kept.
    """
    with closing(StudyStore.of(home)) as store:
        run = finished_run(store, _study_named(store, asked))
    said: Any = run.record[OUTCOMES]
    return dict(said), document_of(home, Sha256(said["document"]))


def document_of(home: CentreHome, digest: Sha256) -> Json:
    """Return a kept document; raises `ArtefactMissingError` or `ArtefactDamagedError`."""
    return cast(Json, json.loads(Artefacts.of(home).get(digest)))


def _study_named(store: StudyStore, asked: str) -> StudyId:
    names = {str(one.id) for one in store.studies() if OUTCOMES in one.record}
    try:
        of_run = str(RunId(asked)).rpartition(".")[0]
    except InvalidIdError:
        of_run = asked
    if of_run not in names:
        raise OutcomesMissingError(asked=asked[:60])
    return StudyId(of_run)


def _keep(home: CentreHome, document: Json) -> Sha256:
    """Keep a document among the artefacts, and where the register's pages look for it."""
    content = canonical(document)
    digest = Artefacts.of(home).put(content)
    folder = home.artefacts / REPORTS
    folder.mkdir(mode=0o700, exist_ok=True)
    write_atomic(folder / f"{digest.hex}.json", content)
    return digest


def _log(home: CentreHome, study: Study, run: RunId, rounds: RoundStore, digest: Sha256) -> Sha256:
    """Sign the result with what every site gave to every sum; enter it in the evidence log."""
    plan, protocol = study.outcomes, protocol_of(study)
    assert plan is not None and protocol is not None  # an outcome study
    parts = {
        f"part/{run}/{number}/{reply.site}": Sha256.of(reply.signature.encode())
        for number in range(2, plan.rounds + 1)
        for reply in rounds.replies(RoundKey(run, RoundKind.EVALUATE, number))
    }
    statement = Statement(
        (
            Subject(f"study/{study.id}", study.digest),
            Subject(f"protocol/{study.id}", protocol),
            Subject(f"outcomes/{run}", digest),
        ),
        PredicateType.OUTCOMES,
        {"run": str(run), "parts": {name: str(one) for name, one in sorted(parts.items())}},
    )
    envelope = sign_dsse(statement, Signer.load(home.evidence_key))
    log_statements(home, [envelope])
    return Sha256.of(envelope.encode())
