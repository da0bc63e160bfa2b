"""What hospitals and a centre sign of evaluations and runs, in the log of a test's register."""

from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.domain.ids import Sha256, SiteId
from federation.evidence.keyring import KeyRole, KnownKey
from federation.evidence.model_version import Record
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from registry import training
from registry.ledger.evidence import enter_statements
from registry.ports import Store
from registry.training.attestation import attested_digest
from tests.registry.builders import NOW

EVALUATED_IN = "protocol-7.1"


class Log:
    """A register's log with keys of sites that sign into it.

    Parameters
    ----------
    signer
        The register's own.
    """

    def __init__(self, store: Store, signer: Signer, sites: Sequence[str]) -> None:
        self.store, self.signer = store, signer
        self.nodes = {site: Signer(Ed25519PrivateKey.generate()) for site in sites}

    def enter(self, envelope: str) -> str:
        """Enter a statement; return its digest."""
        keys = [KnownKey(None, KeyRole.CENTRE, self.signer.public_key)]
        keys += [
            KnownKey(SiteId(site), KeyRole.NODE, node.public_key)
            for site, node in self.nodes.items()
        ]
        enter_statements(
            self.store, [envelope], keys=keys, signer=self.signer, actor="centre", at=NOW
        )
        return str(Sha256.of(envelope.encode()))

    def evaluated(
        self, site: str, *, by: str | None = None, run: str = EVALUATED_IN, round: int = 1,
        runs: Sequence[str] | None = None, study: str = "protocol-7", part: str | None = None,
    ) -> str:  # fmt: skip
        """Enter what a site signs of a step; return the statement's digest.

        Parameters
        ----------
        runs
            Those whose patients it left out.
        part
            The digest of what it gave to a sum.
        """
        report: dict[str, Any] = {"metrics": []}
        if runs is not None:
            report["disjointness"] = {"method": "lineage-book-1", "runs": list(runs)}
        said = {"site": site, "run": run, "round": round, "report": report}
        subjects = [Subject(f"study/{study}", Sha256.of(b"the evaluation"))]
        if part is not None:
            subjects.append(Subject(f"statistics/{run}/{round}", Sha256(part)))
        statement = Statement(tuple(subjects), PredicateType.EVALUATION, said)
        return self.enter(sign_dsse(statement, self.nodes[by or site]))

    def prove(
        self, signed: Record, body: Mapping[str, Any], statements: Mapping[str, str],
        **changes: str,
    ) -> str:  # fmt: skip
        """Enter the proof of an evaluation's record, `changes` to what it says."""
        said: dict[str, object] = {
            "entry": signed.entry,
            "trained_in": signed.run,
            "study": body["protocol_id"],
            "evaluated_in": EVALUATED_IN,
            "statements": dict(statements),
        }
        statement = Statement(
            (
                Subject(f"version/{signed.entry}", Sha256(signed.model.sha256)),
                Subject(f"protocol/{body['protocol_id']}", Sha256(body["protocol_hash"])),
            ),
            PredicateType.DISJOINTNESS,
            said | changes,
        )
        return self.enter(sign_dsse(statement, self.signer))

    def proven(self, signed: Record, body: Mapping[str, Any]) -> dict[str, Any]:
        """Enter all that makes an evaluation's proof; return what its record names."""
        sites = list(self.nodes)
        prepared = {site: self.evaluated(site, runs=(signed.run,)) for site in sites}
        sums = {site: self.evaluated(site, round=2) for site in sites}
        return {"disjointness": self.prove(signed, body, prepared), "attestations": sums}

    def attested(self, body: Mapping[str, Any], **changes: Any) -> str:
        """Enter every update of a run's record and the centre's word; return its digest.

        `changes` are to the record that is attested.
        """
        run = training.NOUN.read({**body, **changes})
        statements = {
            str(one.round): {
                site: self.updated(site, run.run, one.round, update)
                for site, update in one.updates.items()
            }
            for one in run.round_log
        }
        said = {
            "run": run.run,
            "record": str(attested_digest(run)),
            "statements": statements,
        }
        subject = Subject(f"study/{run.study}", Sha256(run.study_digest))
        statement = Statement((subject,), PredicateType.TRAINING_RUN, said)
        return self.enter(sign_dsse(statement, self.signer))

    def updated(self, site: str, run: str, round: int, update: str) -> str:
        """Enter a site's update of a round."""
        subject = Subject(f"update/{run}/{round}", Sha256(update))
        said = {"site": site, "run": run, "round": round, "report": {}}
        statement = Statement((subject,), PredicateType.UPDATE, said)
        return self.enter(sign_dsse(statement, self.nodes[site]))


def signed_record(store: Store, entry: str) -> Record:
    """Return the signed record of an entry."""
    with store.reading() as transaction:
        stored = transaction.models.get(entry)
    assert stored is not None
    return Record.from_json(stored.record.encode())
