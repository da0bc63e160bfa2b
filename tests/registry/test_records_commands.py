"""`trifed registry card`: a file is made, checked, handed in, and an entry still exported."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from federation.commands.main import run
from federation.coordinator.home import CentreHome
from federation.domain.ids import Sha256
from federation.errors import PlatformError
from federation.evidence.canonical import canonical
from federation.evidence.model_version import Candidate
from federation.operations import embedded_registry
from federation.operations import registry as operations
from federation.operations.enrolment import init_centre
from registry.models.cards import version_noun
from registry.models.guards import mlbom_valid
from registry.models.version_card import NAME
from registry.records.moves import Case
from registry.roles import CLOCK
from tests.registry.builders import facts, make_centre, save_model


@pytest.fixture
def home(tmp_path: Path) -> Path:
    init_centre(tmp_path / "C", name="Centre", address="localhost:7443", now=datetime.now(UTC))
    return tmp_path / "C"


@pytest.fixture
def entry(home: Path, tmp_path: Path) -> str:
    content = facts(make_centre(tmp_path / "other")) | {
        "model": save_model(home / "artefacts"),
        "statements": [],
        "refused": [],
    }
    candidate = Candidate.from_json(canonical(content))
    return operations.register_candidate(home, candidate).entry


def mlbom_problems(home: Path, entry: str) -> list[PlatformError]:
    """What the guard of the register has against the kept card's bill of materials."""
    keeper = embedded_registry.registrar(CentreHome.open(home))
    noun = version_noun(artefacts=keeper.artefacts, key=keeper.signer.public_key)
    with keeper.store.reading() as transaction:
        head = transaction.records.head(NAME, entry)
        assert head is not None and noun.evidence is not None
        evidence = noun.evidence(transaction, head)
    return list(mlbom_valid(Case(head, evidence, datetime.now(UTC), CLOCK)))


def trifed(home: Path, *words: str | Path) -> int:
    return run(["registry", "card", *map(str, words), "--home", str(home), "--json"])


def test_a_card_goes_from_file_to_register(
    home: Path, entry: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "card.toml"
    assert trifed(home, "new", entry, "--out", file) == 0
    assert trifed(home, "new", entry, "--out", file) == 1, "a file that is there stays"
    assert trifed(home, "check", file) == 1
    told = capsys.readouterr().err
    assert '"TF743"' in told and '"TF744"' not in told
    who = ("--person", "lin", "--organisation", "Tainan Hospital")
    assert trifed(home, "submit", file, *who, "--role", "DEV") == 0
    kept = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert kept["entry"] == entry and kept["revision"] == 1
    (bom,) = (home / "artefacts").glob("*.mlbom.json")
    assert Sha256.of(bom.read_bytes()).hex == bom.name.partition(".")[0]
    assert mlbom_problems(home, entry) == []
    assert trifed(home, "submit", file, *who, "--role", "HAC") == 1
    assert trifed(home, "submit", file, *who, "--role", "CLOCK") == 1
    assert operations.audit_register(home)["records"] == 1


def test_a_file_that_is_not_there_is_a_coded_error(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trifed(home, "check", tmp_path / "none.toml") == 1
    assert '"TF106"' in capsys.readouterr().err


def test_an_entry_is_still_exported_by_its_name(home: Path, entry: str, tmp_path: Path) -> None:
    out = tmp_path / "card.json"
    assert trifed(home, entry, "--format", "json", "--out", out) == 0
    assert json.loads(out.read_text())
