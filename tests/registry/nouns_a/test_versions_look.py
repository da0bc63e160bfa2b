"""A version's own guards and clock find these records as they are written here."""

from dataclasses import replace
from pathlib import Path

import pytest

from federation.errors.guards import LocalUseError, SafetyGuardError
from federation.evidence.model_version import ModelVersionState as State
from registry.deployments import NOUN as DEPLOYMENT
from registry.evaluations import NOUN as EVALUATION
from registry.evaluations.noun import EvaluationState
from registry.incidents import NOUN as INCIDENT
from registry.models.cards import new_card, submit_card, version_noun
from registry.models.states import TABLE
from registry.models.version_card import VersionCard
from registry.records.moves import Moves
from registry.records.service import Records
from registry.records.shapes import Noun
from registry.reviews import NOUN as REVIEW
from registry.reviews.noun import ReviewState
from registry.roles import Role
from registry.timers.due import Standing
from registry.timers.rules import suspension_date
from tests.registry.builders import candidate, make_centre
from tests.registry.nouns_a.bodies import (
    ALERTED,
    CAUSE,
    WORKED,
    deployment,
    incident,
    move,
    person,
    put,
    review,
)
from tests.registry.nouns_b.bodies import evaluation, results
from tests.registry.record_builders import DEV, Desk, TurnableClock

HAO, HAC, RAI_A = person(Role.HAO), person(Role.HAC), person(Role.RAI_A)


class Register:
    """A real register with a trained version whose table starts where a test wants it."""

    def __init__(self, folder: Path) -> None:
        centre = make_centre(folder)
        self.registrar = centre.registrar
        clock = TurnableClock()
        records = Records(centre.registrar.store, centre.signer, clock)
        self.desk = Desk(records, clock, centre.signer)
        self.entry = centre.registrar.register(candidate(centre), actor="centre")[0].entry

    def version_in(self, state: State) -> Noun[VersionCard]:
        """Put the version's card, in a state, judged by the real collector."""
        key = self.desk.signer.public_key
        real = version_noun(artefacts=self.registrar.artefacts, key=key)
        there = replace(real, moves=Moves(start=state, moves=TABLE.moves))
        card = new_card(self.registrar.store, self.entry)
        submit_card(self.desk.records, there, card, author=DEV)
        return there

    def evaluated(self, id: str, dimension: str = "discrimination") -> None:
        """Put an evaluation on 120 patients that somebody judged."""
        moves = Moves(start=EvaluationState.JUDGED, moves=EVALUATION.moves.moves)
        there = replace(EVALUATION, moves=moves, editable=frozenset({"judged"}))
        put(self.desk, there, id, evaluation(dimension, entry=self.entry) | results(), HAO)


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return Register(tmp_path)


def test_a_version_runs_silently_when_a_hospital_planned_it(register: Register) -> None:
    desk, noun = register.desk, register.version_in(State.RAI_APPROVED)
    with pytest.raises(LocalUseError):
        move(desk, noun, register.entry, "T6", HAC)
    register.evaluated("ev-local")
    register.evaluated("ev-drift", "drift")
    put(desk, DEPLOYMENT, "dep-1", deployment(entry=register.entry), HAO)
    assert move(desk, noun, register.entry, "T6", HAC) == "silent"


def test_an_open_incident_keeps_a_version_suspended(register: Register) -> None:
    desk, noun = register.desk, register.version_in(State.LIVE)
    put(desk, DEPLOYMENT, "dep-1", deployment(entry=register.entry), HAO)
    body = incident(entry=register.entry, **ALERTED, **CAUSE | WORKED)
    put(desk, INCIDENT, "inc-1", body, HAO)
    assert move(desk, noun, register.entry, "T8", HAC) == "restricted", "an incident is a ground"
    move(desk, noun, register.entry, "T9", RAI_A)
    why = {one.code for one in desk.records.held_back(noun, register.entry, "T10", author=HAC)}
    assert SafetyGuardError.code in why
    for number, signers in (("alert", [HAC]), ("correct", [HAC]), ("close", [HAC, RAI_A])):
        move(desk, INCIDENT, "inc-1", number, *signers)
    problems = desk.records.held_back(noun, register.entry, "T10", author=HAC)
    said = [one.say() for one in problems]
    assert not any("incidents are still open" in one for one in said)
    assert not any("no corrective action" in one for one in said)


def test_a_decided_review_is_found_by_its_versions_clock(register: Register) -> None:
    desk, noun = register.desk, register.version_in(State.LIVE)
    before = desk.records.history(noun.name, register.entry)
    put(desk, DEPLOYMENT, "dep-1", deployment(entry=register.entry), HAO)
    desk.clock.turn(days=60)
    decided = replace(REVIEW, moves=Moves(start=ReviewState.DECIDED, moves=REVIEW.moves.moves))
    put(desk, decided, "rev-1", review(entry=register.entry), HAO)
    linking = desk.records.linking(noun.name, register.entry, by=REVIEW.name)
    plain = suspension_date(Standing(before))
    reviewed = suspension_date(Standing(before, linking))
    assert plain is not None and reviewed is not None and reviewed > plain
