"""Run the real flow over a fake federation in a process of its own: `python -m tests.flows.a_flow`.

    a_flow FOLDER complete          run to the end
    a_flow FOLDER die               kill -9 of itself in the second round
    a_flow FOLDER cancel|pause      click on Prefect's page in the second round

Prints the result as one line of JSON. Prefect's environment is the caller's.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from uuid import UUID

from federation.coordinator.home import CentreHome
from federation.domain.ids import SiteId
from tests.builders import a_study
from tests.operations.fakes import FakeFlower, Federation, a_federation, prepared


def main(folder: Path, deed: str) -> None:
    """Prepare the homes on the first call, then run the flow with what is to happen in it."""
    if (folder / "c").exists():
        from clients.home import NodeHome

        centre = CentreHome.open(folder / "c")
        nodes = {site: NodeHome.open(folder / site) for site in a_study().sites}
    else:
        centre, nodes = prepared(folder)
    with a_federation(centre, nodes, flower=FakeFlower(nodes, a_study())) as fed:
        fed.flower.late = lambda site: _do(fed, deed, site)
        _run(fed)


def _run(fed: Federation) -> None:
    from federation.flows import train_study

    result = train_study.run(fed.centre.folder, fed.study.id, emit=fed.told.append)
    asked = [f"{kind}-{number}" for kind, number, _ in fed.flower.asked]
    print(json.dumps({**result.as_json(), "asked": asked, "stages": fed.stages()}))


def _do(fed: Federation, deed: str, site: SiteId) -> None:
    if site != "south" or len(fed.flower.asked) != 2:
        return
    if deed == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed in ("cancel", "pause"):
        _click(deed)


def _click(deed: str) -> None:
    """Do what Prefect's page does when somebody clicks, and resume what was paused."""
    from prefect import State, runtime
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import StateType
    from prefect.states import Cancelling, Paused

    flow_run = runtime.flow_run.id
    with get_client(sync_client=True) as client:
        wanted: State = Cancelling() if deed == "cancel" else Paused(timeout_seconds=300)
        client.set_flow_run_state(flow_run, wanted)
        found = client.read_flow_run(flow_run).state
        assert found is not None and found.type in (StateType.CANCELLING, StateType.PAUSED)
    time.sleep(2.5)  # longer than a look lasts
    if deed == "pause":
        threading.Timer(4.0, _resume, (UUID(str(flow_run)),)).start()


def _resume(flow_run: UUID) -> None:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        client.resume_flow_run(flow_run)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
