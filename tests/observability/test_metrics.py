"""What Prometheus is told: off by default, on loopback only, bounded, from what is kept."""

import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from clients.metrics import NodeFigures
from clients.metrics import metrics_command as node_command
from federation.coordinator.home import CentreHome
from federation.errors.observation import (
    CheckupOffError,
    MetricsDoorError,
    ObservationSettingsError,
)
from federation.observability.metrics import (
    FRESH_S,
    MOST_SERIES,
    Collector,
    Metric,
    bounded,
    gauge,
    one,
    serve_metrics,
)
from federation.observability.settings import MetricsAddress, metrics_address
from federation.operations.metrics import CentreFigures, metrics_command
from federation.operations.store.database import METADATA
from tests.control.builders import (
    NORTH,
    a_centre,
    a_free_port,
    a_node,
    connected,
    connecting,
    serving,
    until,
)
from tests.control.builders import run as run_loop

PATIENT = "CHEN^MEI-LING"


def values(metrics: list[Metric]) -> dict[str, Mapping[tuple[str, ...], float]]:
    return {metric.name: metric.values for metric in metrics}


def page(port: int, *, within_s: float = 10.0) -> str:
    end = time.monotonic() + within_s
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.URLError:
            assert time.monotonic() < end, "no metrics are served"
            time.sleep(0.05)


# -- the door --------------------------------------------------------------------------


def test_without_a_table_nothing_is_served(tmp_path: Path) -> None:
    (tmp_path / "centre.toml").write_text('[centre]\nname = "C"\n')

    assert metrics_address(tmp_path) is None
    assert metrics_address(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("listen", "found"),
    [
        ("127.0.0.1:9464", MetricsAddress("127.0.0.1", 9464)),
        ("[::1]:9464", MetricsAddress("::1", 9464)),
    ],
)
def test_loopback_addresses_are_taken(tmp_path: Path, listen: str, found: MetricsAddress) -> None:
    (tmp_path / "node.toml").write_text(f'[metrics]\nlisten = "{listen}"\n')

    assert metrics_address(tmp_path) == found
    assert str(found) == listen


@pytest.mark.parametrize(
    "table",
    [
        'listen = "0.0.0.0:9464"',
        'listen = "192.168.1.4:9464"',
        'listen = "localhost:9464"',
        'listen = "127.0.0.1"',
        "listen = 9464",
        'address = "127.0.0.1:9464"',
        'listen = "127.0.0.1:1"\nmore = 1',
    ],
)
def test_other_addresses_and_words_are_refused(tmp_path: Path, table: str) -> None:
    (tmp_path / "node.toml").write_text(f"[metrics]\n{table}\n")

    with pytest.raises(ObservationSettingsError):
        metrics_address(tmp_path)


def test_a_taken_port_is_a_coded_error() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = MetricsAddress("127.0.0.1", other.getsockname()[1])

        with pytest.raises(MetricsDoorError):
            serve_metrics(list, address)


def test_metrics_are_served_in_prometheus_text() -> None:
    address = MetricsAddress("127.0.0.1", a_free_port())
    end = serve_metrics(lambda: [one("trifed_x", "An x", 3)], address)
    try:
        text = page(address.port)
    finally:
        end()
    assert "# TYPE trifed_x gauge" in text and "trifed_x 3.0" in text
    assert "python_" not in text and "process_" not in text


# -- bounds ----------------------------------------------------------------------------


def test_the_number_of_series_is_bounded_and_nothing_is_lost_from_the_sum() -> None:
    many = gauge("x", "X", ("site",), {(f"s{number:05}",): 1 for number in range(10_000)})
    found = bounded(many).values

    assert len(found) == MOST_SERIES + 1
    assert sum(found.values()) == 10_000


def test_label_values_are_short_and_printable() -> None:
    found = bounded(gauge("x", "X", ("site",), {("a" * 10**5,): 1, ("b\n",): 1})).values

    assert found.keys() == {("a" * 64,), ("?",)}


def test_however_often_it_is_asked_it_is_read_once_in_a_while() -> None:
    reads, now = [0], [100.0]

    def measure() -> list[Metric]:
        reads[0] += 1
        return []

    collector = Collector(measure, passing=lambda: now[0])
    for _ in range(50):
        collector.metrics()
    assert reads == [1]
    now[0] += FRESH_S
    collector.metrics()
    assert reads == [2]


@pytest.mark.parametrize(
    ("error", "code"), [(CheckupOffError(), "TF251"), (RuntimeError(PATIENT), "TF254")]
)
def test_a_reading_that_fails_is_its_code_and_not_its_words(error: Exception, code: str) -> None:
    def fails() -> list[Metric]:
        raise error

    address = MetricsAddress("127.0.0.1", a_free_port())
    end = serve_metrics(fails, address)
    try:
        text = page(address.port)
    finally:
        end()
    assert f'trifed_metrics_failed{{code="{code}"}} 1.0' in text
    assert "CHEN" not in text


# -- a centre --------------------------------------------------------------------------


@pytest.fixture
def centre(tmp_path: Path) -> CentreHome:
    return a_centre(tmp_path / "c")


@pytest.fixture
def figures(centre: CentreHome) -> Iterator[CentreFigures]:
    figures = CentreFigures(centre)
    yield figures
    figures.close()


def put(figures: CentreFigures, table: str, *rows: dict[str, object]) -> None:
    with figures._database._engine.begin() as connection:
        for row in rows:
            connection.execute(insert(METADATA.tables[table]).values(**row))


def a_round(number: int, state: str, **record: object) -> dict[str, object]:
    return {
        "run": "cxr.1",
        "kind": "train",
        "number": number,
        "state": state,
        "record": record,
    }


def a_reply(site: str, number: int, seconds: float) -> dict[str, object]:
    return {
        "run": "cxr.1",
        "kind": "train",
        "number": number,
        "site": site,
        "update_digest": None,
        "weight": 1.0,
        "report": {"patients": 1234},
        "signature": "s",
        "seconds": seconds,
        "at": "2026-10-01T00:00:00+00:00",
    }


def test_rounds_are_counted_by_state_seconds_and_refusals(figures: CentreFigures) -> None:
    refused = [{"site": "north", "code": "TF344"}, {"site": "south", "code": PATIENT}, "odd"]
    put(
        figures,
        "run_rounds",
        a_round(1, "done", seconds=2.5, refused=[]),
        a_round(2, "failed", seconds=1.5, refused=refused),
        a_round(3, "collecting", seconds=0.0),
    )
    put(figures, "replies", a_reply("north", 1, 2.0), a_reply("south", 1, 0.5))
    put(figures, "replies", a_reply("north", 2, 1.0))
    found = values(figures.read())

    assert found["trifed_rounds"] == {
        ("train", "done"): 1,
        ("train", "failed"): 1,
        ("train", "collecting"): 1,
    }
    assert found["trifed_rounds_ended"] == {("train", "done"): 1, ("train", "failed"): 1}
    assert found["trifed_round_seconds"] == {("train",): 4.0}
    assert found["trifed_refusals"] == {("TF344",): 1, ("other",): 2}
    assert found["trifed_site_replies"] == {("north",): 2, ("south",): 1}
    assert found["trifed_site_reply_seconds"] == {("north",): 3.0, ("south",): 0.5}


def test_a_round_is_counted_once_when_it_is_over(figures: CentreFigures) -> None:
    put(figures, "run_rounds", a_round(1, "collecting", seconds=0.0))
    assert values(figures.read())["trifed_rounds_ended"] == {}
    rounds = METADATA.tables["run_rounds"]
    with figures._database._engine.begin() as connection:
        connection.execute(update(rounds).values(state="done", record={"seconds": 4.0}))
    for _ in range(3):
        found = values(figures.read())
    assert found["trifed_rounds_ended"] == {("train", "done"): 1}
    assert found["trifed_round_seconds"] == {("train",): 4.0}


def test_no_patient_count_of_a_report_is_told(figures: CentreFigures) -> None:
    put(figures, "replies", a_reply("north", 1, 2.0))

    told = json.dumps([(m.name, sorted(m.values.values())) for m in figures.read()])
    assert "1234" not in told and "patient" not in told


def test_a_centre_that_does_not_run_is_down_and_its_database_is_told_all_the_same(
    figures: CentreFigures,
) -> None:
    found = values(figures.read())

    assert found["trifed_centre_up"] == {(): 0.0}
    assert "trifed_queue_studies" in found and "trifed_site_connected" not in found


def test_a_running_centre_tells_of_its_sites(tmp_path: Path, centre: CentreHome) -> None:
    node = a_node(tmp_path / "n", centre)
    figures = CentreFigures(centre)
    told: list[Metric] = []

    async def work() -> None:
        import asyncio

        async with serving(centre) as served, connecting(node) as client:
            await connected(client)
            await until(lambda: served.sites.view(NORTH).connected)
            told.extend(await asyncio.to_thread(figures.read))

    run_loop(work())
    figures.close()
    found = values(told)
    assert found["trifed_centre_up"] == {(): 1.0}
    assert found["trifed_site_connected"] == {("north",): 1.0}
    assert found["trifed_site_bytes"].keys() == {("north", "in"), ("north", "out")}


# -- a node ----------------------------------------------------------------------------


def test_a_node_tells_of_its_processes_and_its_book(tmp_path: Path, centre: CentreHome) -> None:
    node = a_node(tmp_path / "n", centre)
    state = {
        "state": "connected",
        "children": {"supernode": 4, "executor": None},
        "starts": {"supernode": 1, "executor": 3},
    }
    (node.run / "node.json").write_text(json.dumps(state))
    found = values(NodeFigures(node).read())

    assert found["trifed_node_up"] == {(): 1.0}
    assert found["trifed_connected"] == {(): 1.0}
    assert found["trifed_child_restarts"] == {("supernode",): 0, ("executor",): 2}
    assert found["trifed_child_up"] == {("supernode",): 1, ("executor",): 0}
    assert found["trifed_kept_replies"] == {(): 0}


def test_what_a_dataset_has_spent_is_told_at_the_node(tmp_path: Path, centre: CentreHome) -> None:
    from datetime import UTC, datetime

    from clients.ledger_store import LedgerStore
    from clients.policy import TEMPLATE, sign_policy
    from federation.domain.ids import StudyId
    from federation.privacy.accountants import epsilon_of
    from federation.privacy.events import PoissonSampledGaussian
    from federation.privacy.ledger import Budget, EntryKind

    node, at = a_node(tmp_path / "n", centre), datetime.now(UTC)
    node.policy.write_text(TEMPLATE, encoding="utf-8")
    sign_policy(node, now=at)
    figures = NodeFigures(node)
    assert "trifed_ledger_epsilon" not in values(figures.read())
    event = PoissonSampledGaussian(sample_rate=0.1, noise_multiplier=2.0, steps=10)
    books, study = LedgerStore(node.ledger), StudyId("cxr")
    books.reserve(
        "chest",
        study=study,
        key="cxr.1/1",
        events=[event],
        budget=Budget(8.0, 1e-3),
        plan=Budget(8.0, 1e-3),
        accountant=epsilon_of,
        at=at.isoformat(),
    )
    books.settle("chest", study=study, key="cxr.1/1", kind=EntryKind.COMMITTED, at=at.isoformat())

    found = values(figures.read())
    assert found["trifed_ledger_epsilon"] == {("chest",): epsilon_of([event], 1e-3)}


def test_a_book_that_was_changed_is_told_by_its_code_alone(
    tmp_path: Path, centre: CentreHome
) -> None:
    node = a_node(tmp_path / "n", centre)
    node.ledger.write_text(PATIENT * 1000)
    found = values(Collector(NodeFigures(node).read).metrics())

    assert list(found) == ["trifed_metrics_failed"]
    assert all(re.fullmatch("TF6[0-9]{2}", code) for (code,) in found["trifed_metrics_failed"])


@pytest.mark.parametrize("side", ["centre", "node"])
def test_the_process_serves_and_ends_with_a_signal(
    side: str, tmp_path: Path, centre: CentreHome
) -> None:
    port = a_free_port()
    home = centre.folder if side == "centre" else a_node(tmp_path / "n", centre).folder
    with (home / f"{side}.toml").open("a") as settings:
        settings.write(f'\n[metrics]\nlisten = "127.0.0.1:{port}"\n')
    command = metrics_command(home) if side == "centre" else node_command(home)
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        text = page(port, within_s=30)
        process.terminate()
        _, said = process.communicate(timeout=10)
    finally:
        process.kill()
    assert f"trifed_{side}_up 0.0" in text
    assert (process.returncode, said) == (0, b"")


def test_a_process_that_may_not_listen_ends_with_its_code(centre: CentreHome) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with (centre.folder / "centre.toml").open("a") as settings:
            settings.write(f'\n[metrics]\nlisten = "127.0.0.1:{other.getsockname()[1]}"\n')
        command = metrics_command(centre.folder)
        done = subprocess.run(command, capture_output=True, check=False, text=True)

    assert done.returncode == 1
    assert "[TF258]" in done.stderr and "Traceback" not in done.stderr


def test_the_process_ends_at_once_where_no_address_is_named(centre: CentreHome) -> None:
    done = subprocess.run([*metrics_command(centre.folder)], capture_output=True, check=False)

    assert (done.returncode, done.stdout) == (0, b"")
