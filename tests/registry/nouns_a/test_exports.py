"""Nothing leaves the data area that was not scanned, by this very digest, and decided."""

import pytest

from federation.errors import PlatformError
from federation.errors.governance import ExportHeldBackError
from registry.applications import NOUN as APPLICATION
from registry.exports import NOUN, SCAN
from registry.exports.guards import COUNCIL_KINDS, NEEDED
from registry.exports.scans import Check
from registry.exports.shape import Kind
from registry.roles import Role
from tests.registry.nouns_a.bodies import (
    OTHER,
    SETTLED,
    application,
    export,
    move,
    person,
    put,
    scan,
)
from tests.registry.record_builders import Desk

HAO, STAFF, COUNCIL = person(Role.HAO), person(Role.NHI_S), person(Role.NHI_C)
SCANNER = person(Role.SEC)


@pytest.fixture
def area(desk: Desk) -> Desk:
    """A register with an application in use."""
    put(desk, APPLICATION, "app-1", application(), HAO)
    for number, author in (
        ("submit", HAO),
        ("accept", STAFF),
        ("approve", COUNCIL),
        ("notify-fee", STAFF),
    ):
        move(desk, APPLICATION, "app-1", number, author)
    put(desk, APPLICATION, "app-1", application(**SETTLED), HAO)
    move(desk, APPLICATION, "app-1", "contract", STAFF)
    move(desk, APPLICATION, "app-1", "activate", STAFF)
    return desk


def reviewed(desk: Desk, kind: str, when: str = "in-period") -> None:
    put(desk, NOUN, "ex-1", export(kind=kind, when=when), HAO)
    put(desk, SCAN, "scan-1", scan(), SCANNER)
    move(desk, NOUN, "ex-1", "scan", SCANNER)
    move(desk, NOUN, "ex-1", "review", STAFF)


@pytest.mark.parametrize("kind", Kind)
def test_models_and_results_pass_the_council_all_else_staff(area: Desk, kind: Kind) -> None:
    reviewed(area, kind.value)
    if kind in COUNCIL_KINDS:
        with pytest.raises(ExportHeldBackError):
            move(area, NOUN, "ex-1", "release", STAFF)
        move(area, NOUN, "ex-1", "refer", STAFF)
        assert move(area, NOUN, "ex-1", "release", COUNCIL) == "released"
    else:
        assert move(area, NOUN, "ex-1", "release", STAFF) == "released"


def test_what_leaves_at_the_end_passes_the_council_after_the_end(area: Desk) -> None:
    reviewed(area, "statistics", when="at-expiry")
    with pytest.raises(ExportHeldBackError):
        move(area, NOUN, "ex-1", "release", STAFF)
    move(area, NOUN, "ex-1", "refer", STAFF)
    with pytest.raises(ExportHeldBackError):
        move(area, NOUN, "ex-1", "release", COUNCIL)
    move(area, APPLICATION, "app-1", "expire", STAFF)
    assert move(area, NOUN, "ex-1", "release", COUNCIL) == "released"


@pytest.mark.parametrize("kind", Kind)
def test_every_check_that_a_kind_needs_is_needed(area: Desk, kind: Kind) -> None:
    put(area, NOUN, "ex-1", export(kind=kind.value), HAO)
    with pytest.raises(ExportHeldBackError):
        move(area, NOUN, "ex-1", "scan", SCANNER)
    for missing in NEEDED[kind]:
        others = [one.value for one in Check if one is not missing]
        put(area, SCAN, f"scan-{missing.value}", scan(*others), SCANNER)
        with pytest.raises(ExportHeldBackError):
            move(area, NOUN, "ex-1", "scan", SCANNER)
        move(area, SCAN, f"scan-{missing.value}", "withdraw", STAFF)
    put(area, SCAN, "scan-all", scan(*[one.value for one in NEEDED[kind]]), SCANNER)
    assert move(area, NOUN, "ex-1", "scan", SCANNER) == "scanned"


def test_a_scan_of_another_file_counts_for_nothing(area: Desk) -> None:
    put(area, NOUN, "ex-1", export(), HAO)
    put(area, SCAN, "scan-1", scan(sha256=OTHER), SCANNER)
    with pytest.raises(ExportHeldBackError):
        move(area, NOUN, "ex-1", "scan", SCANNER)


def test_one_finding_is_enough_also_where_another_scan_was_clean(area: Desk) -> None:
    reviewed(area, "statistics")
    found = scan()
    found["results"][0]["outcome"] = "found"
    put(area, SCAN, "scan-2", found, SCANNER)
    with pytest.raises(ExportHeldBackError):
        move(area, NOUN, "ex-1", "release", STAFF)
    assert move(area, NOUN, "ex-1", "refuse", STAFF) == "refused"


def test_the_applicant_writes_no_scan(area: Desk) -> None:
    with pytest.raises(PlatformError):
        put(area, SCAN, "scan-1", scan(), HAO)


def test_another_houses_application_carries_nothing_out(area: Desk) -> None:
    stranger = person(Role.HAO, "Another House", "other")
    put(area, NOUN, "ex-1", export(), stranger)
    put(area, SCAN, "scan-1", scan(), SCANNER)
    with pytest.raises(ExportHeldBackError):
        move(area, NOUN, "ex-1", "scan", SCANNER)


def test_nothing_leaves_from_a_sanctioned_application(area: Desk) -> None:
    reviewed(area, "statistics")
    move(area, APPLICATION, "app-1", "sanction", COUNCIL)
    with pytest.raises(ExportHeldBackError):
        move(area, NOUN, "ex-1", "release", STAFF)


def test_the_file_cannot_be_swapped_once_it_was_scanned(area: Desk) -> None:
    reviewed(area, "statistics")
    with pytest.raises(PlatformError):
        put(area, NOUN, "ex-1", export(sha256=OTHER), HAO)
