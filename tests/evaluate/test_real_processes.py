"""An evaluation among real processes: a centre, three nodes, Flower, Prefect; one is killed."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from federation.coordinator.home import CentreHome
from federation.domain.ids import RunId, StudyId
from federation.domain.run import RoundKind, RunState
from federation.operations.embedded_registry import Actor
from federation.operations.evaluations import showing
from federation.operations.evaluations.planning import Wanted, plan_study
from federation.operations.evaluations.submitting import People, submit_plan
from federation.operations.store.rounds import RoundStore
from federation.operations.store.studies import StudyStore
from tests.scenarios.federation import Federation, a_federation
from tests.scenarios.homes import SITES, make_homes, study_text
from tests.scenarios.words import Kind

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

TRAINED, EVALUATION = ("trained", "trained-again"), "evaluation"


def train(fed: Federation, study: str) -> str:
    """Train a version on half of the patients and return its entry in the register."""
    file = fed.homes.folder / f"{study}.toml"
    text = study_text(study=study, rounds=1, sites=SITES, quorum=3, private=False)
    file.write_text(text.replace("heldout_fraction = 0.3", "heldout_fraction = 0.5"), "utf-8")
    home = ("--home", str(fed.homes.centre))
    fed.trifed("study", "submit", str(file), *home)
    fed.trifed("study", "launch", study, *home, "--detach")
    fed.approve(study)
    record: dict[str, Any] = fed.finish(study=study).record
    return str(record["registry"]["entry"])


def launch(fed: Federation, entries: list[str]) -> None:
    """Plan, hand in and launch an evaluation; every hospital approves it."""
    centre = CentreHome.open(fed.homes.centre)
    expires = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0)
    claims = dict.fromkeys(entries, 0.7)
    wanted = Wanted(StudyId(EVALUATION), entries, "chest-x-ray", expires, claims=claims)
    people = People(
        Actor("wu", "validation-centre", "VAL-E"), Actor("lin", "validation-board", "VAL-A")
    )
    submit_plan(centre, plan_study(centre, wanted), people)
    fed.trifed("study", "launch", EVALUATION, "--home", str(centre.folder), "--detach")
    fed.approve(EVALUATION)


def rounds_of(fed: Federation) -> list[tuple[int, str]]:
    with closing(StudyStore.of(CentreHome.open(fed.homes.centre))) as store:
        run = RunId(f"{EVALUATION}.1")
        found = RoundStore(store.database).rounds(run, RoundKind.EVALUATE)
    return [(one.key.number, one.state.value) for one in found]


def test_an_evaluation_survives_the_death_of_a_hospital_and_of_the_centre(tmp_path: Path) -> None:
    homes = make_homes(tmp_path / "homes", sites=SITES)
    with a_federation(homes, tmp_path / "fed", sites=SITES) as fed:
        fed.start()
        entries = [train(fed, study) for study in TRAINED]
        launch(fed, entries)
        fed.wait_until(lambda: len(rounds_of(fed)) > 0, "the first step")
        fed.strike(Kind.EXECUTOR, at=SITES[0])
        fed.wait_until(lambda: (1, "done") in rounds_of(fed), "the end of the first step")
        fed.strike(Kind.COORDINATOR, at=SITES[0])
        fed.wait_until(lambda: (3, "done") in rounds_of(fed), "the end of the first sum")
        fed.strike(Kind.EXECUTOR, at=SITES[1])
        outcome = fed.finish(study=EVALUATION)
        shown = showing.show_evaluation(CentreHome.open(fed.homes.centre), EVALUATION)
        finished = rounds_of(fed)

    assert outcome.state is RunState.COMPLETED
    assert finished == [(number, "done") for number in (1, 2, 3, 4)]
    for entry in entries:
        document = shown.documents[entry]
        assert document["about"]["sites"] == sorted(SITES)
        assert document["explainability"]["statistics"]["deletion-gain"]["cases"] >= 10
    assert "paired" in shown.documents[entries[1]]
    assert shown.summary["records"][f"{EVALUATION}.1.discrimination"] == "logged"
