"""An outcome study among real processes: centre, nodes, Flower, Prefect; some are killed."""

from contextlib import closing
from pathlib import Path

import pytest

from clients.home import NodeHome
from federation.coordinator.home import CentreHome
from federation.domain.ids import RunId, StudyId
from federation.domain.run import RoundKind, RunState
from federation.operations.outcomes.plan_file import write_plan
from federation.operations.outcomes.planning import Wanted, plan_study
from federation.operations.outcomes.running import shown
from federation.operations.store.rounds import RoundStore
from federation.operations.store.studies import StudyStore
from tests.evaluate.in_process import in_a_month
from tests.outcome_study.hospitals import bare_homes
from tests.outcome_study.published import Data, leukaemia
from tests.scenarios.federation import Federation, a_federation
from tests.scenarios.homes import SITES
from tests.scenarios.words import Kind

pytestmark = [pytest.mark.timeout(1500), pytest.mark.slow]

STUDY = "leukaemia-fit"
WAIT_S = 600
"""On a busy machine a lost reply is asked for again after minutes."""


def launch(fed: Federation, data: Data, folder: Path) -> None:
    """Plan and launch by command; every hospital adds its table, then approves."""
    centre = CentreHome.open(fed.homes.centre)
    wanted = Wanted(
        StudyId(STUDY),
        data.name,
        in_a_month(),
        variables=data.variables,
        analyses=data.analyses,
        clock=data.clock,
        limits=data.limits,
    )
    plan = folder / "fit.toml"
    write_plan(plan, plan_study(centre, wanted))
    fed.trifed("impact", "fit", "run", str(plan), "--home", str(centre.folder), "--detach")
    for at, site in enumerate(SITES):
        home = fed.homes.node(site)
        file = folder / f"{site}.csv"
        file.write_bytes(data.csv_of(at))
        proposal = NodeHome.open(home).proposal(StudyId(STUDY))
        fed.wait_until(proposal.exists, f"the proposal at {site}")
        added = fed.trifed(
            "node", "outcomes", "add", str(file), "--study", STUDY, "--home", str(home)
        )
        assert added["patients"] == 14
    fed.approve(STUDY)


def rounds_of(fed: Federation) -> list[tuple[int, str]]:
    with closing(StudyStore.of(CentreHome.open(fed.homes.centre))) as store:
        found = RoundStore(store.database).rounds(RunId(f"{STUDY}.1"), RoundKind.EVALUATE)
    return [(one.key.number, one.state.value) for one in found]


def test_an_outcome_study_survives_the_death_of_node_driver_and_centre(tmp_path: Path) -> None:
    data = leukaemia()
    homes = bare_homes(tmp_path / "homes")
    with a_federation(homes, tmp_path / "fed", sites=SITES) as fed:
        fed.start()
        launch(fed, data, tmp_path)
        fed.wait_until(lambda: len(rounds_of(fed)) > 0, "the first step")
        fed.strike(Kind.EXECUTOR, at=SITES[0])
        fed.wait_until(lambda: (2, "done") in rounds_of(fed), "the end of the first sum", WAIT_S)
        fed.strike(Kind.DRIVER, at=SITES[0])
        fed.wait_until(lambda: (4, "done") in rounds_of(fed), "the end of the third sum", WAIT_S)
        fed.strike(Kind.COORDINATOR, at=SITES[0])
        outcome = fed.finish(study=STUDY)
        said, document = shown(CentreHome.open(fed.homes.centre), STUDY)
        finished = rounds_of(fed)

    assert outcome.state is RunState.COMPLETED
    assert finished == [(number, "done") for number in range(1, 8)]
    assert said["refused"] == {}
    efron = next(one for one in document["analyses"] if one["name"] == "rx-efron")
    assert round(efron["terms"][0]["value"], 6) == 1.572125
    assert document["about"]["sites"] == sorted(map(str, SITES))
