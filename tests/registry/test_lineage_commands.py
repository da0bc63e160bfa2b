"""`trifed registry lineage` and `dossier` in a centre's home."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from federation.commands.registry_lineage import add_to
from federation.coordinator.home import CentreHome
from federation.errors import PlatformError
from federation.operations.embedded_registry import registrar
from federation.operations.enrolment import init_centre
from registry import certification, datasets
from registry.records.service import Records
from registry.roles import Role
from tests.registry.nouns_b.bodies import data_digest, dataset_card, dossier, person, put
from tests.registry.record_builders import Desk, TurnableClock


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A centre's home with a data card and an empty dossier."""
    init_centre(tmp_path / "C", name="Centre", address="localhost:7443", now=datetime.now(UTC))
    keeper = registrar(CentreHome.open(tmp_path / "C"))
    clock = TurnableClock()
    desk = Desk(Records(keeper.store, keeper.signer, clock), clock, keeper.signer)
    put(desk, datasets.NOUN, "card-1", dataset_card(), person(Role.DST))
    put(desk, certification.NOUN, "dossier-1", dossier(), person(Role.DEV))
    return tmp_path / "C"


def said(home: Path, *arguments: str) -> str:
    app = typer.Typer()
    add_to(app)
    done = CliRunner().invoke(app, [*arguments, "--home", str(home)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_a_dataset_is_asked_for_by_card_or_digest(home: Path) -> None:
    card = json.loads(said(home, "lineage", "--dataset", "card-1", "--json"))
    digest = json.loads(said(home, "lineage", "--dataset", data_digest("tainan-1"), "--json"))
    assert card == digest and card["root"] == f"dataset:{data_digest('tainan-1')}"
    assert "card-1 [draft]" in said(home, "lineage", "--site", "tainan-1")


@pytest.mark.parametrize("arguments", [(), ("E", "--site", "x"), ("--site", "x", "--run", "y.1")])
def test_exactly_one_thing_is_asked_for(home: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(PlatformError) as refused:
        said(home, "lineage", *arguments)
    assert refused.value.code == "TF103"


def test_a_dossier_says_what_is_missing(home: Path) -> None:
    text = said(home, "dossier", "dossier-1")
    assert "0 of 28" in text or "0/28" in text
    assert text.count("TFDA-AI-") == 32
    found = json.loads(said(home, "dossier", "dossier-1", "--json"))
    assert found["complete"] is False and len(found["requirements"]) == 32
