"""What Prometheus is told of a centre: `python -m federation.operations.metrics --home H`.

Read from the database and the running centre when asked; a process of its own, so
that nobody who collects can hold up the centre. Nothing of a hospital is told but
what its site's name, connection, bytes, replies and codes say already; what a site
has spent of its patients' privacy is told at the site alone.
"""

import argparse
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, select

from federation.coordinator.admin import AdminClient, LiveCentre
from federation.coordinator.home import CentreHome
from federation.domain.run import ROUND, RoundState
from federation.errors import all_errors
from federation.errors.control import CentreBusyError, CentreNotRunningError
from federation.observability.metrics import OTHER, Kind, Metric, counter, gauge, one, serve_metrics
from federation.observability.settings import metrics_address
from federation.operations.store import queue, rounds  # noqa: F401 - they declare the tables
from federation.operations.store.database import METADATA, Database

PATIENCE_S = 2.0

Key = tuple[str, str, int]
"""Run, kind and number of a round."""

_OVER = {state.value for state in RoundState if not ROUND.table[state]}


@dataclass(slots=True)
class _Totals:
    """What only grows: counted once for each round that is over."""

    seen: set[Key] = field(default_factory=set)
    ended: Counter[tuple[str, ...]] = field(default_factory=Counter)
    seconds: defaultdict[tuple[str, ...], float] = field(default_factory=lambda: defaultdict(float))
    refused: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def add(self, key: Key, state: str, record: Mapping[str, Any]) -> None:
        self.seen.add(key)
        kind = key[1]
        self.ended[kind, state] += 1
        self.seconds[(kind,)] += float(record.get("seconds") or 0.0)
        for code in _codes_in(record):
            self.refused[(code,)] += 1


class CentreFigures:
    """Everything that is told of one centre."""

    def __init__(self, home: CentreHome) -> None:
        self._home = home
        self._database = Database.of(home)
        self._database.make_tables()
        self._totals = _Totals()

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def read(self) -> list[Metric]:
        """Return the metrics of now."""
        with self._database.read() as connection:
            kept = [*self._rounds(connection), *_replies(connection), *_queue(connection)]
        return [*kept, *_live_metrics(_live(self._home))]

    def _rounds(self, connection: Connection) -> Iterator[Metric]:
        table = _table("run_rounds")
        columns = (table.c.run, table.c.kind, table.c.number, table.c.state)
        found = connection.execute(select(*columns)).all()
        self._count_over(connection, table, found)
        standing = Counter((row.kind, row.state) for row in found)
        totals, labels = self._totals, ("kind", "state")
        yield gauge("trifed_rounds", "Rounds by where they stand", labels, standing)
        yield counter("trifed_rounds_ended", "Rounds that are over", labels, totals.ended)
        yield counter(
            "trifed_round_seconds", "Seconds of all rounds over", ("kind",), totals.seconds
        )
        yield counter(
            "trifed_refusals", "Replies that did not count, by code", ("code",), totals.refused
        )

    def _count_over(self, connection: Connection, table: Table, found: Iterable[Any]) -> None:
        for row in found:
            key = (row.run, row.kind, row.number)
            if row.state in _OVER and key not in self._totals.seen:
                at = (
                    table.c.run == row.run,
                    table.c.kind == row.kind,
                    table.c.number == row.number,
                )
                record = connection.execute(select(table.c.record).where(*at)).scalar_one()
                self._totals.add(key, row.state, record)


def _codes_in(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the codes of a round's refusals; what is none of ours as `other`."""
    known = all_errors()
    listed = record.get("refused")
    for refusal in listed if isinstance(listed, list) else []:
        code = refusal.get("code") if isinstance(refusal, dict) else None
        yield code if code in known else OTHER


def _replies(connection: Connection) -> Iterator[Metric]:
    table = _table("replies")
    asked = select(table.c.site, func.count(), func.sum(table.c.seconds)).group_by(table.c.site)
    found = connection.execute(asked).all()
    yield counter(
        "trifed_site_replies", "Accepted replies", ("site",), {(row[0],): row[1] for row in found}
    )
    yield counter(
        "trifed_site_reply_seconds",
        "Seconds from asking to the accepted reply",
        ("site",),
        {(row[0],): row[2] for row in found},
    )


def _queue(connection: Connection) -> Iterator[Metric]:
    table, turns = _table("queue"), _table("turns")
    states = connection.execute(select(table.c.state, func.count()).group_by(table.c.state))
    yield gauge(
        "trifed_queue_studies",
        "Launched studies by state",
        ("state",),
        {(row[0],): row[1] for row in states},
    )
    held = connection.execute(select(func.count(turns.c.since), func.count())).one()
    values = {("held",): held[0], ("waiting",): held[1] - held[0]}
    yield gauge("trifed_turns", "Turns at sites, held or waited for", ("state",), values)


def _live(home: CentreHome) -> LiveCentre | None:
    try:
        with AdminClient(home.folder, timeout_s=PATIENCE_S) as centre:
            return centre.status()
    except (CentreNotRunningError, CentreBusyError):
        return None


def _live_metrics(live: LiveCentre | None) -> Iterator[Metric]:
    yield one("trifed_centre_up", "The centre's process answers", float(live is not None))
    if live is None:
        return
    sites, label = live.sites, ("site",)
    yield one("trifed_superlink_up", "Flower's SuperLink runs", float(live.superlink_alive))
    yield one(
        "trifed_superlink_restarts",
        "Times the SuperLink was started again",
        live.superlink_restarts,
        Kind.COUNTER,
    )
    connected = {(view.site,): float(view.connected) for view in sites}
    yield gauge("trifed_site_connected", "The site's control channel is open", label, connected)
    busy = {(view.site,): float(view.progress.busy) for view in sites}
    yield gauge("trifed_site_busy", "The site works on a task", label, busy)
    skew = {(view.site,): view.clock_skew_ms / 1000 for view in sites}
    yield gauge("trifed_site_clock_skew_seconds", "The site's clock minus ours", label, skew)
    both = {(view.site, "in"): view.bytes_in for view in sites}
    both |= {(view.site, "out"): view.bytes_out for view in sites}
    text = "Bytes of Flower's traffic since the centre started"
    yield counter("trifed_site_bytes", text, ("site", "direction"), both)


def _table(name: str) -> Table:
    return METADATA.tables[name]


def metrics_command(home: Path) -> list[str]:
    """Return the command that serves the metrics of a centre's home."""
    return [sys.executable, "-m", "federation.operations.metrics", "--home", str(home)]


def main() -> None:
    """Serve the metrics of a centre's home until stopped."""
    parser = argparse.ArgumentParser(prog="trifed-metrics")
    parser.add_argument("--home", type=Path, required=True)
    home = CentreHome.open(parser.parse_args().home)
    from federation.supervision.process import log_to_output, serve_until_stopped

    os.umask(0o077)
    log_to_output(home.folder)
    address = metrics_address(home.folder)
    if address is not None:
        figures = CentreFigures(home)
        serve_until_stopped(serve_metrics(figures.read, address))


if __name__ == "__main__":
    main()
