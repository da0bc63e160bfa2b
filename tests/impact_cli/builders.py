"""A centre's home with two versions, its people, a judged evaluation, and a study's files."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from federation.coordinator.home import CentreHome
from federation.domain.ids import Sha256
from federation.evaluation.proportions import Proportion
from federation.evidence.canonical import canonical
from federation.evidence.model_version import Candidate
from federation.evidence.signing import Signer
from federation.impact.site_table import COLUMNS
from federation.operations import impact as operations
from federation.operations.embedded_registry import Actor, RecordDesk
from federation.operations.enrolment import init_centre
from federation.operations.impact import move_study, open_desk
from registry.service_app import registrar_of
from tests.registry.builders import (
    Centre,
    approval,
    evaluation,
    facts,
    make_centre,
    save_model,
    update,
)
from tests.registry.proofs import Log

LEAD = Actor("lead-1", "Impact Centre", "IMP-P")
STATISTICIAN = Actor("stat-1", "Impact Centre", "IMP-S")
BOARD = Actor("board-1", "Joint Board", "IRB")
COMMITTEE = Actor("hac-1", "Tainan Hospital", "HAC")
MAKER = Actor("hao-1", "Tainan Hospital", "HAO")
EVALUATOR = Actor("eval-1", "Validation Centre", "VAL-E")
APPROVER = Actor("appr-1", "Validation Centre", "VAL-A")
REVIEWER = Actor("rev-1", "Responsible AI Centre", "RAI-A")
LIAISON = Actor("tfd-1", "TFDA", "TFD")
INSURER = Actor("nhi-1", "NHIA", "NHI-S")
COUNCIL = Actor("council-1", "NHI council", "NHI-C")

SITES = ("tainan-1", "taipei-2", "hualien-3", "yilan-4")
STUDY = "study-1"
DIGEST = str(Sha256.of(b"a file"))
DAY = "2030-12-31"


@dataclass(frozen=True)
class Home:
    """A centre's folder, and the two versions in its register."""

    path: Path
    entry: str
    other: str

    @property
    def desk(self) -> RecordDesk:
        return open_desk(self.path)


def make_home(folder: Path) -> Home:
    home = folder / "centre"
    init_centre(home, name="Centre", address="localhost:7443", now=datetime.now(UTC))
    centre = make_centre(folder / "facts")
    opened = CentreHome.open(home)
    registrar = registrar_of(
        database_url=opened.database_url,
        signer=Signer.load(opened.evidence_key),
        artefacts=opened.artefacts,
        keys=centre.keys,
    )
    signed = facts(centre, statements=statements(centre))
    signed |= {"model": save_model(opened.artefacts)}
    unsigned = signed | {
        "study": {"id": "hippocampus-2026", "title": "Hippocampus", "digest": DIGEST},
        "run": "hippocampus-2026.1",
        "statements": [],
    }
    first, second = (
        registrar.register(Candidate.from_json(canonical(content)), actor="centre")[0].entry
        for content in (signed, unsigned)
    )
    return Home(home, first, second)


def statements(centre: Centre) -> list[dict[str, str]]:
    """Return what every site signed: that it approved, sent an update, and evaluated."""
    said = []
    for site in centre.nodes:
        data = Sha256.of(f"data of {site}".encode())
        envelopes = {
            "approval": approval(centre, site),
            "update": update(centre, site, dataset_digest=data, epsilon=7.5),
            "evaluation": evaluation(centre, site, value=0.87),
        }
        said += [
            {"site": site, "kind": kind, "envelope": envelope}
            for kind, envelope in envelopes.items()
        ]
    return said


def copied(home: Home, folder: Path) -> Home:
    """A copy of a home for one test."""
    shutil.copytree(home.path, folder / "centre")
    return Home(folder / "centre", home.entry, home.other)


def proportion(name: str, right: int, of: int) -> dict[str, Any]:
    ends = Proportion(right, of).wilson()
    value, low, high = (round(one, 6) for one in (right / of, ends.low, ends.high))
    found = {"name": name, "value": value, "low": low, "high": high, "method": "Wilson"}
    return found | {"n": of, "slice": "all"}


def operating_point(home: Home, name: str, entry: str, *, judged: bool = True) -> None:
    """Write an evaluation at the operating point: 180 of 200 found, 850 of 900 spared."""
    plan: dict[str, Any] = {
        "entry": entry,
        "dimension": "operating-point",
        "protocol_id": "protocol-1",
        "protocol_hash": DIGEST,
        "plugin": {"id": "exact", "version": "1", "arguments": DIGEST},
        "dataset_cards": [],
        "sites": ["yilan-4"],
        "thresholds": [{"metric": "sensitivity", "bound": "low", "at_least": 0.8}],
        "runner": "validation centre",
    }
    desk = home.desk
    desk.put("evaluation", name, plan, EVALUATOR, revision=0)
    desk.move("evaluation", name, "E1", COMMITTEE, reason="agreed", revision=1)
    results = {
        "metrics": [proportion("sensitivity", 180, 200), proportion("specificity", 850, 900)],
        "statistics": {"yilan-4": DIGEST},
        "attestations": {"yilan-4": attestation(home)},
        "suppression": {"smallest_cell": 10, "slices_hidden": 0},
        "exactness": {"kind": "exact-on-grid"},
        "disjointness": DIGEST,
        "passed": True,
    }
    desk.put("evaluation", name, plan | results, EVALUATOR, revision=2)
    if judged:
        desk.move("evaluation", name, "E2", COMMITTEE, reason="agreed", revision=3)


def attestation(home: Home) -> str:
    """Return the digest of what a site signs of the evaluation, put into the log."""
    signer = Signer.load(CentreHome.open(home.path).evidence_key)
    log = Log(home.desk.records.store, signer, ("yilan-4",))
    return log.evaluated("yilan-4", study="protocol-1", part=DIGEST)


def economics(home: Home, evaluation: str = "ev-1") -> bytes:
    """The shipped example of an economic model, with an evaluation of this register."""
    import federation.economics

    example = Path(federation.economics.__file__).parent / "example.toml"
    return example.read_text("utf-8").replace("EVALUATION-ID", evaluation).encode()


def written(folder: Path, **changes: str) -> bytes:
    """Return a new study's protocol with words in it; `changes` replace text."""
    text = (folder / "protocol.toml").read_text("utf-8")
    text = text.replace("to be written", "as agreed").replace("待填", "如協議")
    text = text.replace(
        "\n[pico]",
        f'\nirb = {{ board = "C-IRB", number = "2026-C-1", expires = "{DAY}", central = true }}'
        '\nregistration = { registry = "ClinicalTrials.gov", number = "NCT00000001" }'
        f'\nrandomisation_hash = "{DIGEST}"\n\n[pico]',
        1,
    )
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def table(site: str, *, effect: float = -8.0, periods: int = 5) -> bytes:
    """The CSV of a hospital whose one ward changes over at its turn."""
    step = 1 + SITES.index(site)
    generator = np.random.default_rng([*site.encode()])
    lines = [",".join(COLUMNS)]
    for measure, base in (("turnaround", 60.0), ("cost", 900.0)):
        for period in range(periods):
            on = period >= step
            values = generator.normal(base + effect * on, 6, 40)
            arm = "ai" if on else "usual"
            sums = f"{len(values)},{values.sum()!r},{(values**2).sum()!r}".replace("np.float64", "")
            lines.append(f"{measure},ward,{period},{arm},{sums.replace('(', '').replace(')', '')}")
    return "\n".join(lines).encode()


def new_study(home: Home, folder: Path) -> None:
    """Write a stepped wedge at four sites as a draft, its files into the folder."""
    operations.new_study(
        home.desk,
        STUDY,
        home.entry,
        design="stepped-wedge",
        sites=SITES,
        folder=folder,
        actor=LEAD,
    )


def tables(**changes: bytes) -> dict[str, bytes]:
    return {site: table(site) for site in SITES} | changes


def moved(home: Home, number: str, *actors: Actor, study: str = STUDY) -> None:
    for actor in actors:
        move_study(home.desk, study, number, actor=actor, reason="agreed")
