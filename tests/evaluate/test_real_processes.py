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
from tests.scenarios.homes import SITES, make_homes
from tests.scenarios.words import Kind

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

TRAINED, EVALUATION = "trained", "evaluation"


def launch(fed: Federation, entry: str) -> None:
    """Plan, hand in and launch an evaluation; every hospital approves it."""
    centre = CentreHome.open(fed.homes.centre)
    expires = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0)
    wanted = Wanted(StudyId(EVALUATION), [entry], "chest-x-ray", expires, claims={entry: 0.7})
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
        fed.queue(TRAINED, rounds=1, quorum=3, private=False)
        fed.approve(TRAINED)
        trained = fed.finish(study=TRAINED)
        record: dict[str, Any] = trained.record
        entry = record["registry"]["entry"]
        launch(fed, entry)
        fed.wait_until(lambda: len(rounds_of(fed)) > 0, "the first step")
        fed.strike(Kind.EXECUTOR, at=SITES[0])
        fed.wait_until(lambda: (1, "done") in rounds_of(fed), "the end of the first step")
        fed.strike(Kind.COORDINATOR, at=SITES[0])
        outcome = fed.finish(study=EVALUATION)
        shown = showing.show_evaluation(CentreHome.open(fed.homes.centre), entry)
        finished = rounds_of(fed)

    assert outcome.state is RunState.COMPLETED
    assert finished == [(1, "done"), (2, "done")]
    assert shown.documents[entry]["about"]["sites"] == sorted(SITES)
    assert shown.summary["records"][f"{EVALUATION}.1.discrimination"] == "logged"
