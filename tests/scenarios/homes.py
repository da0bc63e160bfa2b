"""Make the homes of a small federation once; every test works on its own copy.

The copy has its own ports and, where a test wants it, its own PostgreSQL database, into
which the rows of the copied SQLite file are moved.
"""

import importlib
import pkgutil
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Table, create_engine, func, insert, inspect, select

from clients.enrolment import init_node, join_node
from clients.policy import TEMPLATE, sign_policy
from federation.coordinator.home import CentreHome
from federation.domain.ids import SiteId
from federation.operations import store
from federation.operations.enrolment import init_centre, invite_site, sign_request
from federation.operations.store.database import METADATA
from federation.pki.requests import EnrolmentRequest
from federation.storage import write_atomic

SITES = (SiteId("taipei"), SiteId("taichung"), SiteId("tainan"))
PAIR = SITES[:2]
OF_ONE_LIFE = ("*.sock", "*.lock", "prefect.json", "gates")
"""What belongs to the processes that ran there, and not to the home."""

PATIENTS = 40
STUDY = "scenario"


@dataclass(frozen=True)
class Homes:
    """The folder of a federation: `centre`, `hospitals/SITE`, `gates`."""

    folder: Path

    @property
    def centre(self) -> Path:
        """Return the centre's home."""
        return self.folder / "centre"

    def node(self, site: SiteId) -> Path:
        """Return a hospital's home."""
        return self.folder / "hospitals" / site

    def copied(self, folder: Path, *, port: int, node_ports: dict[SiteId, int]) -> "Homes":
        """Return a copy whose centre listens on `port` and whose nodes dial `node_ports`."""
        ignore = shutil.ignore_patterns(*OF_ONE_LIFE)
        shutil.copytree(self.folder, folder, symlinks=True, ignore=ignore, dirs_exist_ok=True)
        copy = Homes(folder)
        _set_port(copy.centre / "centre.toml", port)
        for site, node_port in node_ports.items():
            _set_port(copy.node(site) / "node.toml", node_port)
        return copy


def move_to_postgresql(homes: Homes, url: str) -> None:
    """Move a centre's rows from the SQLite file in its home to a PostgreSQL database."""
    centre = CentreHome.open(homes.centre)
    for module in pkgutil.iter_modules(store.__path__):
        importlib.import_module(f"{store.__name__}.{module.name}")
    here = create_engine(centre.database_url)
    settings = centre.settings_file.read_text(encoding="utf-8")
    text = f'{settings}\n[database]\nurl = "{url}"\n'
    write_atomic(centre.settings_file, text.encode(), mode=0o600)
    there = create_engine(centre.database_url)
    with here.connect() as source, there.begin() as target:
        METADATA.create_all(target)
        kept = set(inspect(source).get_table_names())  # other tests declare tables of their own
        for table in METADATA.sorted_tables:
            if table.name in kept:
                _move_rows(table, source, target)
    here.dispose()
    there.dispose()
    centre.database.unlink()


def _move_rows(table: Table, source: Connection, target: Connection) -> None:
    rows = [dict(row._mapping) for row in source.execute(select(table))]
    if not rows:
        return
    target.execute(insert(table), rows)
    counted = table.autoincrement_column
    if counted is not None and counted.autoincrement is True:
        newest = max(int(row[counted.name]) for row in rows)
        name = func.pg_get_serial_sequence(table.name, counted.name)
        target.execute(select(func.setval(name, newest)))


def make_homes(folder: Path, *, sites: Sequence[SiteId] = SITES) -> Homes:
    """Found a centre, enrol hospitals with images that were made up, sign their policies."""
    from clients.data.intake.ingest import ingest
    from clients.data.phantoms import generate

    homes, now = Homes(folder), datetime.now(UTC)
    centre = init_centre(homes.centre, name="Centre", address="localhost:1", now=now)
    for number, site in enumerate(sites):
        enrol(centre, homes.node(site), site, now=now)
        files = folder / "dicom"
        generate(files, sites=[site], patients=PATIENTS, seed=11, first_scanner=number)
        ingest(homes.node(site) / "data", files / site)
    shutil.rmtree(folder / "dicom")
    return homes


def study_text(
    *,
    rounds: int,
    sites: Sequence[SiteId],
    quorum: int,
    private: bool = True,
    study: str = STUDY,
) -> str:
    """Return the study file of a scenario."""
    expires = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0).isoformat()
    privacy = ["[privacy]", "epsilon = 8.0", "delta = 1e-3", "clip_norm = 1.0"]
    return "\n".join(
        [
            *([] if private else ['privacy = "none"']),
            "[study]",
            f'id = "{study}"',
            'title = "A study that is disturbed"',
            'purpose = "medical-care"',
            'recipe = "cxr-pneumonia-small"',
            'cohort = "chest-x-ray"',
            f"expires = {expires}",
            "seed = 5",
            "[sites]",
            f"names = [{', '.join(repr(str(site)) for site in sites)}]",
            f"quorum = {quorum}",
            "[training]",
            f"rounds = {rounds}",
            "batch_size = 16",
            *(
                privacy if private else ["learning_rate = 0.01"]
            ),  # the recipe's is for clipped steps
            "[evaluation]",
            "heldout_fraction = 0.3",
            "",
        ]
    )


def enrol(centre: CentreHome, folder: Path, site: SiteId, *, now: datetime) -> None:
    """Invite and enrol one hospital with a signed policy and no data."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    invitation = invite_site(centre, site=site, name=f"{site} hospital", now=now)
    node = init_node(folder, invitation=invitation, now=now)
    policy = TEMPLATE.replace("without_privacy = false", "without_privacy = true")
    policy = policy.replace("fewest_patients = 20", "fewest_patients = 10")
    write_atomic(node.policy, policy.encode(), mode=0o600)
    sign_policy(node, now=now)
    request = EnrolmentRequest.from_bytes(node.request_file.read_bytes())
    join_node(node, sign_request(centre, request, now=now), now=now)


def _set_port(file: Path, port: int) -> None:
    text = file.read_text(encoding="utf-8")
    replaced = re.sub(r'address = "localhost:\d+"', f'address = "localhost:{port}"', text)
    assert replaced != text or f"localhost:{port}" in text, f"no address in {file.name}"
    write_atomic(file, replaced.encode(), mode=file.stat().st_mode & 0o777)
