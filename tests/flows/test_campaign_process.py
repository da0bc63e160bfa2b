"""The campaign's process says by its exit status whether to start it again."""

import json
import os
import subprocess
import sys
from pathlib import Path

from federation import settings
from federation.coordinator.home import CentreHome
from federation.domain.ids import StudyId
from federation.errors.approval import StudyMissingError
from federation.flows.campaign import COMPLETED, ENDED, TRY_AGAIN
from federation.operations.events import EventLog
from federation.operations.launch import submit
from federation.operations.store.database import Database
from federation.operations.store.queue import Asked, QueueStore
from tests.builders import a_study
from tests.operations.fakes import a_federation, prepared
from tests.pki.builders import a_centre

STUDY = a_study().id


def a_process(
    home: CentreHome, study: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "federation.flows.campaign", "--home", str(home.folder)]
    return subprocess.run(
        [*command, "--study", study],
        env={**os.environ, **settings.prefect_environment(home.folder), **environment},
        capture_output=True,
        text=True,
        timeout=180,
    )


def test_a_study_that_nobody_knows_has_ended(tmp_path: Path) -> None:
    home = a_centre(tmp_path / "c")

    done = a_process(home, "no-such-study", PREFECT_API_URL="http://127.0.0.1:9/api")

    assert done.returncode == ENDED, done.stderr[-2000:]
    outcome = EventLog(home, StudyId("no-such-study")).outcome()
    assert outcome is not None and outcome.code == StudyMissingError.code


def test_without_prefect_it_asks_to_be_started_again(tmp_path: Path) -> None:
    home = a_centre(tmp_path / "c")
    submit(home, a_study())

    done = a_process(home, STUDY, PREFECT_API_URL="http://127.0.0.1:9/api")

    assert done.returncode == TRY_AGAIN, done.stderr[-2000:]
    assert "TF437" in done.stderr
    assert EventLog(home, STUDY).outcome() is None


def test_a_run_that_another_process_closed_is_told_and_not_begun_anew(tmp_path: Path) -> None:
    centre, nodes = prepared(tmp_path)
    queue = QueueStore(Database.of(centre))
    queue.put(STUDY, Asked(), actor="lin")
    queue.close()
    with a_federation(centre, nodes) as fed:
        result = fed.run()

    done = a_process(centre, STUDY, PREFECT_API_URL="http://127.0.0.1:9/api")

    outcome = EventLog(centre, STUDY).outcome()
    assert done.returncode == COMPLETED, done.stderr[-2000:]
    assert outcome is not None and outcome.result == json.loads(json.dumps(result.as_json()))
