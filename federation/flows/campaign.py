"""One launched study as a process: `python -m federation.flows.campaign --home H --study S`.

The conductor starts it, and starts it again whenever it died: it goes on with the
study's open run. Exit status: 0 completed, 1 failed or stopped, 75 (EX_TEMPFAIL) try
again soon - Prefect, the database or the centre's socket did not answer, or the last
process has not ended yet. Ended by
SIGTERM it leaves the run open. Events and the result go to the study's `EventLog`.
"""

import argparse
import logging
import os
import signal
import sys
import time
from contextlib import closing
from pathlib import Path

from federation import settings
from federation.coordinator.home import CentreHome
from federation.domain.ids import StudyId
from federation.errors.base import PlatformError
from federation.errors.control import AlreadyRunningError
from federation.errors.durable import FlowLostError
from federation.errors.queue import PrefectAwayError
from federation.observability.tracing import trace_if_wanted
from federation.operations.events import EventLog
from federation.server_app.prefect_server import PrefectAddress
from federation.supervision.process import log_to_output

COMPLETED, ENDED, TRY_AGAIN = 0, 1, 75

LOOK_S = 0.1

log = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Conduct one study to its end, if nothing takes this process away; return the exit status."""
    given = _parser().parse_args(arguments)
    home, study = CentreHome.open(given.home), StudyId(given.study)
    log_to_output(home.folder)
    trace_if_wanted("trifed-campaign")
    signal.signal(signal.SIGTERM, _leave)
    for name, value in settings.prefect_environment(home.folder).items():
        os.environ.setdefault(name, value)
    events = EventLog(home, study)
    try:
        return _conduct(home, study, events, given)
    except PlatformError as error:
        log.error("[%s] %s", error.code, error.say())
        if _may_pass(error):
            return TRY_AGAIN
        events.end(refusal(error))
        return ENDED


def _conduct(home: CentreHome, study: StudyId, events: EventLog, given: argparse.Namespace) -> int:
    from federation.operations.launch import result_of_launch

    over = result_of_launch(home, study)  # another process brought this launch to its end
    if over is not None:
        events.end(over)
        return _status(str(over.get("status")))
    from federation.flows.meanwhile import play_until
    from federation.operations.turns import Turns, Wishes

    with (
        closing(Wishes(home, study)) as wishes,
        closing(Turns(home, study, emit=events.emit, wish=wishes)) as turns,
    ):
        result = play_until(
            prefect_answers, home, study, emit=events.emit, wish=wishes, turn=turns.hold
        )
        if result is None:
            from federation.flows import train_study

            await_prefect(given.await_prefect)
            result = train_study.run(
                home.folder,
                study,
                emit=events.emit,
                at_quorum=given.at_quorum,
                wish=wishes,
                turn=turns.hold,
            )
    events.end(result.as_json())
    return _status(result.status)


def prefect_answers() -> bool:
    """Say whether the Prefect server that the environment names answers; yes if none is named."""
    url = os.environ.get("PREFECT_API_URL")
    if url is None:
        return True
    return PrefectAddress(url, os.environ.get("PREFECT_API_AUTH_STRING")).is_healthy()


def await_prefect(patience_s: float) -> None:
    """Wait for the Prefect server that the environment names: it may be starting beside us."""
    end = time.monotonic() + patience_s
    while not prefect_answers():
        if time.monotonic() >= end:
            error = PrefectAwayError(url=os.environ["PREFECT_API_URL"])
            log.warning("[%s] %s", error.code, error.say())
            return
        time.sleep(LOOK_S)


def _status(status: str) -> int:
    return COMPLETED if status == "completed" else ENDED


def refusal(error: PlatformError) -> dict[str, object]:
    """Return the result of a study that could not even begin, in the contract's form."""
    from federation.operations.launch import Result, error_as_json

    result = Result(asked=0)
    result.errors.append(error_as_json(error))
    return result.as_json()


def _may_pass(error: PlatformError) -> bool:
    from federation.operations.campaign.recovery import PASSING

    # Another process of this study that is about to end, as its parent did, ends no study.
    return isinstance(error, (*PASSING, FlowLostError, AlreadyRunningError))


def _leave(number: int, _frame: object) -> None:
    """End without ending the run: another process goes on with it."""
    sys.exit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="federation.flows.campaign", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--study", required=True)
    parser.add_argument("--at-quorum", action="store_true")
    parser.add_argument("--await-prefect", type=float, default=0.0, help="so many seconds at most")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
