"""A hospital that belongs to a real centre, with a signed policy and what its staff do."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clients import approvals
from clients.approvals import Desk, Terms
from clients.approved_data import ApprovedData
from clients.decide import desk_of, proposer_of
from clients.endorsements import endorse, endorsement_of
from clients.home import NodeHome
from clients.persons import OFFICER, People
from clients.policy import TEMPLATE, policy_in_force, sign_policy
from clients.proposals import take_proposal
from clients.standing import Asked, Standing, standing_of
from federation.coordinator.home import CentreHome
from federation.domain.ids import RunId, Sha256
from federation.domain.study import Study, TrainingPlan
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.recipes import catalogue, flat, networks
from tests.builders import a_study
from tests.control.builders import a_centre, a_node, a_proposal

NOW = datetime.now(UTC).replace(microsecond=0)
RECIPE = catalogue.recipe("cxr-pneumonia-small")
MANIFEST = flat.manifest_of(networks.build(RECIPE, seed=7))


@dataclass(frozen=True)
class Picture:
    sha256: str


PICTURES = tuple(Picture(f"{number:064x}") for number in range(3))


@dataclass(frozen=True)
class Hospital:
    centre: CentreHome
    home: NodeHome

    @property
    def desk(self) -> Desk:
        return desk_of(self.home)

    def write_policy(self, **changes: object) -> None:
        """Write a policy with some keys changed; the officer does not sign it."""
        lines = TEMPLATE.splitlines()
        for key, value in changes.items():
            (place,) = [n for n, line in enumerate(lines) if line.split(" =")[0] == key]
            lines[place] = f"{key} = {value}"
        self.home.policy.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def sign_policy(self, *, now: datetime = NOW, **changes: object) -> None:
        self.write_policy(**changes)
        sign_policy(self.home, now=now)

    def propose(self, study: Study, *, by: str | None = None) -> Study:
        proposal = a_proposal(self.centre, study)
        take_proposal(self.home, proposal)
        if by is not None:
            statement = Statement(
                (Subject(f"study/{study.id}", study.digest),),
                PredicateType.PROPOSAL,
                {"study": str(study.id), "by": by},
            )
            signed = sign_dsse(statement, Signer.load(self.centre.evidence_key))
            (self.home.proposals / f"{study.id}.dsse").write_text(signed)
        return study

    def endorse(self, study: Study, name: str = "wang") -> None:
        people = People.of(self.home)
        if name not in people.names():
            people.add(name, now=NOW)
        endorse(
            self.desk.endorsement_file(study.id),
            study,
            site=self.desk.site,
            person=people.person(name),
            signer=people.signer(name),
            proposer=proposer_of(self.home, study),
            now=NOW,
        )

    def approve(
        self,
        study: Study,
        *,
        images: Iterable[Picture] = PICTURES,
        manifest_digest: Sha256 = MANIFEST.digest,
        now: datetime = NOW,
    ) -> None:
        """Sign as the desk does, over images that need no files."""
        data, people = ApprovedData.of(images), People.of(self.home)
        data.write(self.desk.instances_file(study.id))
        signed, endorsement = policy_in_force(self.home, now=now), None
        if signed.policy.two_person:
            endorsement = endorsement_of(
                self.desk.endorsement_file(study.id),
                study,
                site=self.desk.site,
                people=people.all(),
                officer=people.officer,
            )
        approvals.approve(
            self.desk,
            study,
            policy=signed.policy,
            recipe=RECIPE,
            manifest_digest=manifest_digest,
            dataset_digest=Sha256.of(b"data"),
            officer=people.signer(OFFICER),
            now=now,
            terms=Terms(
                proposer_of(self.home, study),
                signed.number,
                signed.digest,
                data.digest,
                endorsement,
            ),
        )

    def ask(self, study: Study, *, now: datetime = NOW, **changes: Any) -> Standing:
        """Ask what a message about this study stands on."""
        asked = Asked(study.id, study.digest, RunId.of(study.id, changes.pop("run", 1)),
                      changes.pop("round", 1))  # fmt: skip
        return standing_of(self.home, asked, now=now, **changes)


def a_hospital(folder: Path, **policy: Any) -> Hospital:
    centre = a_centre(folder / "centre")
    hospital = Hospital(centre, a_node(folder / "node", centre, now=NOW))
    hospital.sign_policy(**policy)
    return hospital


def our_study(**changes: Any) -> Study:
    training = TrainingPlan(
        rounds=2, local_epochs=1.0, learning_rate=0.1, batch_size=20, optimizer="sgd", momentum=0.0
    )
    return a_study(**{"recipe_digest": RECIPE.digest, "training": training, **changes})
