"""After the freeze: no other plan, protocol or model, no table twice, no cut a few people apart."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from federation.commands.main import run
from federation.coordinator.home import CentreHome
from federation.errors.freezing import CutsTooCloseError, DataFrozenError, TableTwiceError
from federation.errors.signed import LogTamperedError
from federation.operations.embedded_registry import audit
from federation.operations.impact import analyse_study, freeze, log_plan, write_protocol
from tests.impact_cli.builders import (
    LEAD,
    SITES,
    STATISTICIAN,
    STUDY,
    economics,
    moved,
    table,
    tables,
    written,
)
from tests.impact_cli.test_dossiers import tampered
from tests.impact_cli.test_studies import Study, built_locked, built_running, locked, running

__all__ = ["built_locked", "built_running", "locked", "running"]  # fixtures


def frozen(study: Study) -> Study:
    freeze(study.home.desk, STUDY, study.plan, tables(), actor=LEAD)
    return study


def test_a_plan_is_not_changed_once_the_tables_were_seen(running: Study) -> None:
    desk = frozen(running).home.desk
    before = desk.get("impact-study", STUDY).revision
    edited = running.changed('analysis = "ratio"', 'analysis = "difference"')
    with pytest.raises(DataFrozenError, match="sap_hash"):
        log_plan(desk, STUDY, edited, actor=LEAD)
    with pytest.raises(DataFrozenError, match="economic"):
        log_plan(desk, STUDY, running.plan, actor=LEAD, model=economics(running.home), seed=8)
    protocol = written(running.folder, **{"as agreed": "as it turned out"})
    with pytest.raises(DataFrozenError, match="pico, estimand"):
        write_protocol(desk, STUDY, protocol, folder=running.folder, actor=LEAD)
    assert desk.get("impact-study", STUDY).revision == before, "the study is not spoilt"
    log_plan(desk, STUDY, running.plan, actor=LEAD, model=economics(running.home), seed=7)
    write_protocol(desk, STUDY, written(running.folder), folder=running.folder, actor=LEAD)
    moved(running.home, "I4", LEAD)
    assert analyse_study(desk, STUDY, running.plan, tables(), actor=STATISTICIAN).results


def test_one_table_for_two_hospitals_is_refused(running: Study) -> None:
    desk, own = running.home.desk, table(SITES[0])
    lines = own.decode().splitlines()
    shuffled = "\r\n".join([lines[0], *reversed(lines[1:])]).encode()
    for other in (own, shuffled):
        with pytest.raises(TableTwiceError, match=SITES[0]):
            freeze(desk, STUDY, running.plan, tables(**{SITES[1]: other}), actor=LEAD)
    assert not desk.get("impact-study", STUDY).body.get("data_cuts")


def test_a_hospital_named_twice_is_refused_not_overwritten(
    running: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for site, content in tables().items():
        (tmp_path / f"{site}.csv").write_bytes(content)
    given = [f"--table={site}={tmp_path / f'{site}.csv'}" for site in (*SITES, SITES[0])]
    who = ["--person", "lead-1", "--organisation", "Impact Centre"]
    plan = str(running.folder / "plan.toml")
    assert (
        run(["impact", "freeze", STUDY, plan, *given, *who, "--home", str(running.home.path)]) == 1
    )
    assert "[TF926]" in capsys.readouterr().err


def test_a_cut_a_few_people_later_is_refused(running: Study) -> None:
    desk = frozen(running).home.desk
    assert freeze(desk, STUDY, running.plan, tables(), actor=LEAD), "the same again tells nothing"
    one_more = table(SITES[0]).decode().replace(",40,", ",41,", 1)
    with pytest.raises(CutsTooCloseError):
        freeze(desk, STUDY, running.plan, tables(**{SITES[0]: one_more.encode()}), actor=LEAD)
    many = table(SITES[0]).decode().replace(",40,", ",55,", 1)
    assert freeze(desk, STUDY, running.plan, tables(**{SITES[0]: many.encode()}), actor=LEAD)


def test_results_changed_in_the_database_are_named_by_the_audit(locked: Study) -> None:
    desk = locked.home.desk
    found = analyse_study(desk, STUDY, locked.plan, tables(), actor=STATISTICIAN)
    home = CentreHome.open(locked.home.path)
    audit(home)
    estimate = repr(found.results[0].estimate)
    tampered(locked.home, "impact-study", STUDY, estimate, "-99.5")
    with pytest.raises(LogTamperedError, match=f"impact-study/{STUDY}"):
        audit(home)


def test_a_study_dropped_from_the_database_is_named_by_the_audit(locked: Study) -> None:
    with closing(sqlite3.connect(locked.home.path / "centre.db")) as database, database:
        names = "select name from sqlite_master where type = 'trigger'"
        for (name,) in database.execute(names).fetchall():
            database.execute(f'drop trigger "{name}"')
        newest = "select max(revision) from registry_records where noun = 'impact-study'"
        database.execute(
            f"delete from registry_records where noun = 'impact-study' and revision = ({newest})"
        )
    with pytest.raises(LogTamperedError):
        audit(CentreHome.open(locked.home.path))
