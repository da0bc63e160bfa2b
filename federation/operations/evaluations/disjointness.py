"""Prove that an evaluation's patients were not trained on: an index of what hospitals signed.

Each hospital signs, when it prepares a version, which runs' patients it left out (TF890 if
it cannot). The proof names those statements by digest and is entered in the log beside
them; a record of the evaluation names the proof. The register takes no word of it on
trust: it looks at every statement again (`registry.models.disjointness`).
"""

from collections.abc import Mapping
from typing import Any

from federation.coordinator.home import CentreHome
from federation.domain.evaluation_plan import EvaluatedVersion
from federation.domain.ids import RunId, Sha256, SiteId
from federation.domain.study import Study
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.operations.evidence_entries import log_statements
from federation.operations.store.rounds import StoredReply
from federation.wire.evaluation_plan import protocol_digest

REPORTED = "disjointness"
"""Under which name a hospital's report says what it checked."""


def prove_disjoint(
    home: CentreHome,
    study: Study,
    version: EvaluatedVersion,
    run: RunId,
    prepared: Mapping[SiteId, StoredReply],
) -> Sha256 | None:
    """Enter the proof for one version in the log; return its envelope's digest.

    Doing it again gives the same. None if a hospital did not say that it left out the run
    that trained the version.

    Parameters
    ----------
    run, prepared
        The run of the evaluation, and the reply of every site of the sum in which it
        prepared the version.

    Raises
    ------
    BusyRegisterError
        If other writers were always faster.
    """
    said = {site: runs_left_out(reply.report) for site, reply in prepared.items()}
    if not said or any(str(version.run) not in runs for runs in said.values()):
        return None
    assert study.evaluation is not None  # a study that evaluates
    protocol = protocol_digest(study.evaluation)
    statement = Statement(
        (
            Subject(f"version/{version.entry}", version.weights),
            Subject(f"protocol/{study.id}", protocol),
        ),
        PredicateType.DISJOINTNESS,
        {
            "entry": version.entry,
            "trained_in": str(version.run),
            "study": str(study.id),
            "evaluated_in": str(run),
            "statements": {
                str(site): str(Sha256.of(reply.signature.encode()))
                for site, reply in sorted(prepared.items())
            },
        },
    )
    envelope = sign_dsse(statement, Signer.load(home.evidence_key))
    log_statements(home, [envelope])
    return Sha256.of(envelope.encode())


def runs_left_out(report: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the runs whose patients a hospital's report says were left out."""
    match report.get(REPORTED):
        case {"runs": list(runs)}:
            return tuple(str(run) for run in runs)
    return ()
