"""The doctor names what would go wrong, and never falls ill himself."""

import json
import os
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clients.enrolment import init_node
from federation.coordinator.home import CentreHome
from federation.domain.ids import SiteId
from federation.errors.machine import ImportNamesTakenError
from federation.homes import parse_address
from federation.operations import doctor as module
from federation.operations import installed
from federation.operations.doctor import doctor, is_healthy
from federation.operations.enrolment import init_centre, invite_site
from federation.operations.findings import Finding, Level
from federation.operations.installed import check_import_names, is_met, wrong_versions
from federation.wording import Language

NOW = datetime.now(UTC)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def centre(tmp_path: Path) -> Path:
    home = tmp_path / "centre"
    init_centre(home, name="AI centre", address=f"localhost:{free_port()}", now=NOW)
    return home


def examined(home: Path | None, *, now: datetime = NOW) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in doctor(home, clock=lambda: now):
        found.setdefault(finding.check, []).append(finding)
    return found


def codes(home: Path, **options: datetime) -> set[str]:
    groups = examined(home, **options).values()
    return {f.code for group in groups for f in group if f.level is Level.PROBLEM and f.code}


def test_a_fresh_centre_is_healthy(centre: Path) -> None:
    found = examined(centre)

    assert found.keys() >= {
        "names",
        "versions",
        "disk",
        "memory",
        "threads",
        "settings",
        "permissions",
        "clock",
        "certificates",
        "port",
    }
    assert codes(centre) == set()
    assert is_healthy(doctor(centre))


def test_findings_are_plain_json_in_both_languages(centre: Path) -> None:
    for language in Language:
        for finding in doctor(centre):
            assert json.dumps(finding.as_json(language))


def test_a_taken_port_is_a_problem(centre: Path) -> None:
    port = parse_address(CentreHome.open(centre).settings().address)[1]
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()

        assert codes(centre) == {"TF801"}


def test_a_key_that_others_can_read_is_a_problem(centre: Path) -> None:
    (centre / "keys" / "evidence.key").chmod(0o644)

    assert codes(centre) == {"TF807"}


def test_a_home_that_others_can_enter_is_a_problem(centre: Path) -> None:
    centre.chmod(0o755)

    assert codes(centre) == {"TF807"}


def test_an_ended_certificate_is_a_problem_and_a_near_end_a_warning(centre: Path) -> None:
    assert "TF218" in codes(centre, now=NOW + timedelta(days=400))
    soon = examined(centre, now=NOW + timedelta(days=385))["certificates"]
    assert Level.WARNING in {finding.level for finding in soon}
    assert "TF219" in codes(centre, now=NOW - timedelta(days=3))


def test_a_server_certificate_of_another_centre_is_a_problem(centre: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    init_centre(other, name="Other", address="localhost:1", now=NOW)
    (centre / "pki" / "server.crt").write_bytes((other / "pki" / "server.crt").read_bytes())

    assert codes(centre) == {"TF220"}


def test_a_clock_behind_the_homes_own_files_is_a_warning(centre: Path) -> None:
    later = time.time() + 3600
    os.utime(centre / "centre.toml", (later, later))

    (finding,) = examined(centre)["clock"]
    assert finding.level is Level.WARNING


def test_a_folder_that_is_no_home_is_a_problem(tmp_path: Path) -> None:
    assert codes(tmp_path / "nowhere") == {"TF104"}


@pytest.mark.parametrize(
    "damage",
    [
        "centre.toml",
        "pki/ca.crt",
        "pki/ca.key",
        "pki/server.crt",
    ],
)
@pytest.mark.parametrize("content", [b"", b"\xff\x00garbage", b"[centre]\nname = 3\n"])
def test_a_broken_home_is_reported_not_raised(centre: Path, damage: str, content: bytes) -> None:
    (centre / damage).write_bytes(content)

    assert codes(centre)


@pytest.mark.parametrize("missing", ["pki/ca.crt", "pki/ca.key", "pki/server.crt", "keys"])
def test_missing_parts_of_a_home_do_not_stop_the_doctor(centre: Path, missing: str) -> None:
    (centre / missing).rename(centre / "elsewhere")

    assert doctor(centre)


def test_a_node_that_has_not_joined_is_told_what_to_do(tmp_path: Path, centre: Path) -> None:
    home = CentreHome.open(centre)
    invitation = invite_site(home, site=SiteId("north"), name="North", now=NOW)
    node = init_node(tmp_path / "north", invitation=invitation, now=NOW).folder
    found = examined(node)

    assert found["certificates"][0].code == "TF228"
    assert found["centre"][0].code == "TF237"
    assert is_healthy(doctor(node))


def test_without_a_home_the_machine_alone_is_looked_at() -> None:
    assert examined(None).keys() == {"names", "disk", "memory", "threads", "versions"}


def test_a_nearly_full_disk_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DISK_PROBLEM_BYTES", 10**18)

    assert [finding.code for finding in examined(None)["disk"]] == ["TF802"]


def test_a_folder_that_hides_an_import_name_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_import_names()
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "registry", raising=False)

    with pytest.raises(ImportNamesTakenError, match="registry"):
        check_import_names()


def test_wrong_and_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["numpy>=99", "no-such-package==1; extra == 'node'", "numpy>=1", "other; extra == 'x'"]
    monkeypatch.setattr(installed.metadata, "requires", lambda _: lines)

    found = [error.values["package"] for error in wrong_versions(["node"])]
    assert found == ["numpy", "no-such-package"]


@pytest.mark.parametrize(
    ("found", "bound", "met"),
    [
        ("2.4.6", ">=2.2", True),
        ("2.4.6", "<3", True),
        ("3.0", "<3", False),
        ("1.41.0", "==1.41.0", True),
        ("1.41", "==1.41.0", True),
        ("1.42.0", "==1.41.0", False),
        ("2.13.0+cpu", ">=2.8", True),
        ("2.10", ">2.9", True),
        ("1.5.1", "==1.5.*", True),
        ("1.6", "==1.5.*", False),
        ("1.0", "~=1.0", False),
    ],
)
def test_versions_are_compared_number_by_number(found: str, bound: str, met: bool) -> None:
    assert is_met(found, bound) is met
