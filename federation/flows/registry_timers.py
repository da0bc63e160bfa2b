"""The Prefect flow of the register's clock: once an hour, have it do what is due.

    registry_timers(home="/path/of/the/centre")          # now
    hourly(home).serve(...)                              # as the centre's Prefect runs it

The body is one call; what is due, and how it is done, is `registry.timers`. Missed
hours are made up for by the next run, and a run that comes twice finds nothing left.
Importing this module imports Prefect.
"""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect import flow
from prefect.deployments.runner import RunnerDeployment

NAME = "registry-timers"
EVERY = timedelta(hours=1)

log = logging.getLogger(__name__)

Lines = list[dict[str, str]]


@flow(name=NAME, persist_result=False)
def registry_timers(home: str, now: str | None = None) -> dict[str, Lines]:
    """Make the moves that are due in the register of a centre's home.

    Parameters
    ----------
    home
        The centre's working folder.
    now
        The time to act at (RFC 3339), for rehearsals; the present without it.
    """
    done = turn_clock(Path(home), datetime.fromisoformat(now) if now else datetime.now(UTC))
    log.info("the register's clock made %d moves", len(done["moved"]))
    return done


def turn_clock(home: Path, now: datetime) -> dict[str, Lines]:
    """Do what is due at `now` and return it: moved, reminders, refused.

    Raises
    ------
    PlatformError
        If the home or its register cannot be read.
    """
    from federation.coordinator.home import CentreHome
    from federation.operations.embedded_registry import registrar
    from registry.models.cards import version_noun
    from registry.records.service import Records
    from registry.timers.rules import rules
    from registry.timers.service import run

    keeper = registrar(CentreHome.open(home))
    noun = version_noun(artefacts=keeper.artefacts, key=keeper.signer.public_key)
    records = Records(keeper.store, keeper.signer, lambda: now)
    return run(records, rules(noun), now=now).as_json()


def hourly(home: Path) -> RunnerDeployment:
    """Return the flow with its schedule, for the centre's Prefect to run."""
    return registry_timers.to_deployment(  # type: ignore[return-value]
        name=NAME, interval=EVERY, parameters={"home": str(home)}
    )
