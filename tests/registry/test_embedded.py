"""The register inside a real centre's home, as the command line and the flow use it."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from federation.coordinator.home import CentreHome
from federation.domain.ids import Sha256
from federation.errors.core import HomeMissingError
from federation.errors.evidence import ExportUnsoundError
from federation.errors.registry import EntryNotFoundError
from federation.errors.signed import LogTamperedError
from federation.evidence.canonical import canonical
from federation.evidence.model_version import Candidate
from federation.operations import embedded_registry
from federation.operations import registry as operations
from federation.operations.enrolment import init_centre
from tests.registry.builders import candidate, facts, make_centre, save_model
from tests.registry.bundles import statements


@pytest.fixture
def home(tmp_path: Path) -> Path:
    init_centre(tmp_path / "C", name="Centre", address="localhost:7443", now=datetime.now(UTC))
    return tmp_path / "C"


@pytest.fixture
def given(home: Path, tmp_path: Path) -> Candidate:
    content = facts(make_centre(tmp_path / "other")) | {
        "model": save_model(home / "artefacts"),
        "statements": [],
        "refused": [],
    }
    return Candidate.from_json(canonical(content))


def test_a_model_is_registered_once_shown_and_audited(home: Path, given: Candidate) -> None:
    made = operations.register_candidate(home, given)
    assert operations.register_candidate(home, given) == made
    assert operations.list_entries(home).total == 1
    shown = operations.show_entry(home, made.entry)
    assert shown.record is not None and shown.record.model.sha256 == given.model.sha256
    assert operations.audit_register(home)["versions"] == 1


def test_what_its_hospitals_signed_leaves_the_register_as_a_bundle_that_verifies(
    home: Path, tmp_path: Path
) -> None:
    sites = make_centre(tmp_path / "other")
    given = candidate(sites, model=save_model(home / "artefacts"), statements=statements(sites))
    registrar = replace(embedded_registry.registrar(CentreHome.open(home)), keys=sites.keys)
    made, _ = registrar.register(given, actor="centre")
    path = operations.export_bundle(home, made.entry, tmp_path / "b.zip", with_model=True)
    report = operations.verify_bundle(path, centre_key=home / "keys" / "evidence.pub")
    assert report.verified and report.as_json()["key_known"] is True


def test_what_no_hospital_signed_never_leaves_the_register(
    home: Path, given: Candidate, tmp_path: Path
) -> None:
    made = operations.register_candidate(home, given)
    with pytest.raises(ExportUnsoundError, match="signed"):
        operations.export_bundle(home, made.entry, tmp_path / "b.zip")


def test_a_kept_checkpoint_is_compared(home: Path, given: Candidate, tmp_path: Path) -> None:
    operations.register_candidate(home, given)
    kept = tmp_path / "kept"
    kept.write_text("trifed/x\n1\nAAAA\n\n")
    with pytest.raises(LogTamperedError):
        operations.audit_register(home, seen=[kept])


def test_the_register_shares_the_centres_database(home: Path, given: Candidate) -> None:
    from federation.operations.store.studies import StudyStore

    store = StudyStore.at(CentreHome.open(home).database)
    operations.register_candidate(home, given)
    assert operations.list_entries(home).items[0]["model"] == given.model.sha256
    store.close()


def test_an_entry_that_is_not_there_is_a_coded_error(home: Path) -> None:
    with pytest.raises(EntryNotFoundError):
        operations.show_entry(home, "TWAI-2026-00001-4")


def test_a_folder_that_is_no_home_is_a_coded_error(tmp_path: Path) -> None:
    with pytest.raises(HomeMissingError):
        operations.list_entries(tmp_path)


def test_a_candidate_is_built_from_python_values_too(given: Candidate) -> None:
    again = Candidate(**{name: getattr(given, name) for name in Candidate.model_fields})
    assert again.digest == given.digest
    digest = Sha256.of(b"x")
    assert again.code.model_copy(update={"wheel_digest": digest}).wheel_digest == digest


def test_importing_the_operations_loads_neither_web_framework_nor_database() -> None:
    code = (
        "import sys, federation.operations.registry;"
        "print([name for name in ('fastapi', 'sqlalchemy', 'registry', 'torch')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
