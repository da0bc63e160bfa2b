"""A proof that an evaluation's patients were not trained on: each way to have none is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.errors.records import DisjointnessProofError, StatementNotLoggedError
from federation.evidence.model_version import Record
from registry import certification, evaluations
from registry.certification.evidence_found import collect
from registry.evaluations.noun import EvaluationState
from registry.models.disjointness import check_disjoint, is_disjoint
from registry.roles import Role
from tests.registry.nouns_b.bodies import (
    OTHER,
    dossier,
    evaluation,
    person,
    put,
    results,
    starting_in,
)
from tests.registry.nouns_b.conftest import desk_with_version
from tests.registry.proofs import Log, signed_record
from tests.registry.record_builders import Desk

SITES = ("yilan-4", "hualien-9")
VAL_E, DEV = person(Role.VAL_E), person(Role.DEV)


class Evaluated:
    """A version, its evaluation's plan, and what its two hospitals signed."""

    def __init__(self, desk: Desk, entry: str) -> None:
        self.desk = desk
        self.signed: Record = signed_record(desk.records.store, entry)
        self.plan = evaluation(entry=entry)
        self.log = Log(desk.records.store, desk.signer, SITES)
        self.prepared = {site: self.log.evaluated(site, runs=(self.signed.run,)) for site in SITES}
        self.sums = {site: self.log.evaluated(site, round=2) for site in SITES}

    def proof(self, **statements: str) -> str:
        """Enter a proof with some of its statements replaced."""
        named = {site: statements.get(site.replace("-", "_"), digest)
                 for site, digest in self.prepared.items()}  # fmt: skip
        return self.log.prove(self.signed, self.plan, named)

    def check(self, **body: Any) -> None:
        """Judge a record that names the honest proof, or what `body` says instead."""
        honest = {"disjointness": self.proof(), "attestations": self.sums}
        there = starting_in(evaluations.NOUN, EvaluationState.JUDGED)
        put(self.desk, there, "ev", self.plan | results() | honest | body, VAL_E)
        record = self.desk.records.get("evaluation", "ev")
        with self.desk.records.store.reading() as transaction:
            disjoint = is_disjoint(transaction, record, self.signed)
            assert disjoint is self._counts(record.id)
            check_disjoint(transaction, record, self.signed)

    def _counts(self, record: str) -> bool:
        """Say whether a dossier that names it has TFDA-AI-07."""
        from registry.certification.service import item_for

        item = item_for(self.desk.records.store, "evaluation", record).as_json()
        body = dossier(
            entry=self.signed.entry,
            items=[item],
            answers=[{"requirement": "TFDA-AI-07", "evidence": [item["id"]]}],
        )
        put(self.desk, certification.NOUN, "dossier", body, DEV)
        held = self.desk.records.get("certification-dossier", "dossier")
        with self.desk.records.store.reading() as transaction:
            found = collect(transaction, held).at(self.desk.clock())
        return next(one for one in found.findings if one.requirement.id == "TFDA-AI-07").gaps == ()


@pytest.fixture
def evaluated(tmp_path: Any) -> Evaluated:
    return Evaluated(*desk_with_version(tmp_path / "centre"))


def test_what_every_hospital_signed_proves_it(evaluated: Evaluated) -> None:
    evaluated.check()


WRONG: dict[str, tuple[Callable[[Evaluated], dict[str, Any]], type[PlatformError]]] = {
    "no proof": (lambda one: {"disjointness": None}, DisjointnessProofError),
    "a digest of nothing": (lambda one: {"disjointness": OTHER}, StatementNotLoggedError),
    "a statement of another kind": (
        lambda one: {"disjointness": one.prepared["yilan-4"]},
        StatementNotLoggedError,
    ),
    "another run was left out": (
        lambda one: {
            "disjointness": one.proof(yilan_4=one.log.evaluated("yilan-4", runs=("other.1",)))
        },
        DisjointnessProofError,
    ),
    "nothing is said of runs": (
        lambda one: {"disjointness": one.proof(yilan_4=one.log.evaluated("yilan-4"))},
        DisjointnessProofError,
    ),
    "another site's statement": (
        lambda one: {"disjointness": one.proof(yilan_4=one.prepared["hualien-9"])},
        StatementNotLoggedError,
    ),
    "in a site's name by another's key": (
        lambda one: {
            "disjointness": one.proof(
                yilan_4=one.log.evaluated("yilan-4", by="hualien-9", runs=(one.signed.run,))
            )
        },
        StatementNotLoggedError,
    ),
    "from another evaluation": (
        lambda one: {
            "disjointness": one.proof(
                yilan_4=one.log.evaluated("yilan-4", run="earlier.1", runs=(one.signed.run,))
            )
        },
        DisjointnessProofError,
    ),
    "a sum of another evaluation": (
        lambda one: {
            "attestations": one.sums | {"yilan-4": one.log.evaluated("yilan-4", run="earlier.1")}
        },
        DisjointnessProofError,
    ),
    "a site that attested nothing": (
        lambda one: {"attestations": {"hualien-9": one.sums["hualien-9"]}},
        DisjointnessProofError,
    ),
    "a proof that names one site": (
        lambda one: {
            "disjointness": one.log.prove(
                one.signed, one.plan, {"yilan-4": one.prepared["yilan-4"]}
            )
        },
        DisjointnessProofError,
    ),
    "of another version": (
        lambda one: {
            "disjointness": one.log.prove(
                one.signed, one.plan, one.prepared, entry="TWAI-2026-00002-8.v0.1.0"
            )
        },
        DisjointnessProofError,
    ),
    "of another training run": (
        lambda one: {
            "disjointness": one.log.prove(one.signed, one.plan, one.prepared, trained_in="other.1")
        },
        DisjointnessProofError,
    ),
    "of another study": (
        lambda one: {
            "disjointness": one.log.prove(one.signed, one.plan, one.prepared, study="protocol-8")
        },
        DisjointnessProofError,
    ),
    "of another protocol": (
        lambda one: {
            "disjointness": one.log.prove(
                one.signed, one.plan | {"protocol_hash": str(Sha256.of(b"edited"))}, one.prepared
            )
        },
        DisjointnessProofError,
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_record_without_a_proof_of_its_own_counts_as_not_disjoint(
    evaluated: Evaluated, wrong: str
) -> None:
    make, kind = WRONG[wrong]
    with pytest.raises(kind):
        evaluated.check(**make(evaluated))


def test_a_later_runs_name_is_enough_where_earlier_ones_are_named_too(evaluated: Evaluated) -> None:
    both = evaluated.log.evaluated("yilan-4", runs=("cxr-2025.1", evaluated.signed.run))
    evaluated.check(disjointness=evaluated.proof(yilan_4=both))
