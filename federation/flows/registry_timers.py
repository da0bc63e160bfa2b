"""The Prefect flow of the register's clock: have it do what is due.

    TRIFED_CENTRE_HOME=... python -m federation.flows.registry_timers    # now, as a flow run
    hourly().serve()                             # with Prefect's own schedule and runner

The centre's conductor runs it once an hour (`federation.conductor.clock`); where Prefect
has workers of its own, `hourly` is its schedule. The body is one call; what is due, and
how it is done, is `registry.timers`. Missed hours are made up for by the next run, and a
run that comes twice finds nothing left. The home is the environment's, so that no path is
on a page. Importing this module imports Prefect.
"""

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect import flow
from prefect.deployments.runner import RunnerDeployment

from federation import settings

NAME = "registry-timers"
EVERY = timedelta(hours=1)

log = logging.getLogger(__name__)

Lines = list[dict[str, str]]


@flow(name=NAME, persist_result=False)
def registry_timers(now: str | None = None) -> dict[str, Lines]:
    """Make the moves that are due in the register of the centre's home.

    Parameters
    ----------
    now
        The time to act at (RFC 3339), for rehearsals; the present without it.
    """
    at = datetime.fromisoformat(now) if now else datetime.now(UTC)
    done = turn_clock(settings.centre_home(), at)
    log.info("the register's clock made %d moves", len(done["moved"]))
    return done


def turn_clock(home: Path, now: datetime) -> dict[str, Lines]:
    """Do what is due at `now`, log the audit trail's head, and return what was done.

    That is: moved, reminders, refused.

    Raises
    ------
    PlatformError
        If the home or its register cannot be read.
    """
    from federation.coordinator.home import CentreHome
    from federation.operations.embedded_registry import registrar
    from registry.applications.working_days import calendar_in
    from registry.audit.heads import log_head
    from registry.models.cards import version_noun
    from registry.nouns import noun_rules
    from registry.records.service import Records
    from registry.timers.rules import rules
    from registry.timers.service import run

    keeper = registrar(CentreHome.open(home))
    noun = version_noun(artefacts=keeper.artefacts, key=keeper.signer.public_key)
    records = Records(keeper.store, keeper.signer, lambda: now)
    every = (*rules(noun), *noun_rules(calendar_in(home)))
    done = run(records, every, now=now).as_json()
    log_head(keeper.store, signer=keeper.signer, at=now)
    return done


def hourly() -> RunnerDeployment:
    """Return the flow with its schedule, for a Prefect that has workers."""
    return registry_timers.to_deployment(name=NAME, interval=EVERY)  # type: ignore[return-value]


def main() -> None:
    """Turn the clock once."""
    os.umask(0o077)
    registry_timers()


if __name__ == "__main__":
    main()
