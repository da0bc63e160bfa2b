"""Pauses follow from the kept rounds, on both databases; a person's readmission is a row."""

from datetime import UTC, datetime

import pytest

from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.domain.run import RoundKey, RoundKind, RoundState
from federation.operations.store.absences import Absences
from federation.operations.store.database import Database
from federation.operations.store.rounds import RoundStore, StoredReply
from federation.operations.store.studies import StudyStore

NOW = datetime(2026, 3, 1, tzinfo=UTC)
STUDY = StudyId("cxr-2026")
NORTH, SOUTH = SiteId("north"), SiteId("south")
AUDIT = AuditEvent(AuditKind.ROUND_FAILED, "centre", "cxr-2026.1", NOW)


class Run:
    """An open run whose rounds are ended one after the other."""

    def __init__(self, database: Database) -> None:
        studies = StudyStore(database)
        self.id: RunId = studies.start_run(STUDY, {}, audit=AUDIT)
        self.rounds = RoundStore(database, studies.claim(STUDY, {}, audit=AUDIT))
        self.absences = Absences(database)

    def ended(self, number: int, code: str | None, kind: RoundKind = RoundKind.TRAIN) -> None:
        """End a round in which SOUTH replied, and NORTH too unless it failed with a code."""
        key = RoundKey(self.id, kind, number)
        self.rounds.plan(key, {}, audit=AUDIT)
        self.rounds.move(key, RoundState.DISPATCHED, {}, audit=AUDIT)
        for site in (SOUTH,) if code else (NORTH, SOUTH):
            self.rounds.keep_reply(key, a_reply(site), audit=AUDIT)
        refused = [{"site": NORTH, "code": code, "what": "."}] if code else []
        self.rounds.move(key, RoundState.FAILED, {"refused": refused}, audit=AUDIT)


def a_reply(site: SiteId) -> StoredReply:
    return StoredReply(site, Sha256.of(site.encode()), 1.0, {}, "{}", 1.0, NOW)


@pytest.fixture
def run(a_database: Database) -> Run:
    return Run(a_database)


def test_a_site_that_failed_three_kept_rounds_is_paused_in_this_run_only(run: Run) -> None:
    for number in (1, 2, 3):
        run.ended(number, "TF461")

    assert run.absences.paused(run.id)[NORTH].rounds == (1, 2, 3)
    assert SOUTH not in run.absences.paused(run.id)
    assert run.absences.paused(RunId("cxr-2026.9")) == {}


def test_rounds_in_flight_and_evaluations_are_no_strikes(run: Run) -> None:
    run.ended(1, "TF461")
    run.ended(2, "TF461")
    run.ended(2, "TF461", RoundKind.EVALUATE)
    run.rounds.plan(RoundKey(run.id, RoundKind.TRAIN, 3), {}, audit=AUDIT)

    assert run.absences.paused(run.id) == {}


def test_a_readmitted_site_is_asked_again_until_it_fails_three_more_rounds(run: Run) -> None:
    for number in (1, 2, 3):
        run.ended(number, "TF461")
    run.ended(4, None)
    for number in (5, 6, 7):
        run.ended(number, "TF460")

    run.absences.readmit(run.id, NORTH, actor="wang", at=NOW)

    assert run.absences.readmitted(run.id) == {NORTH: 7}
    assert run.absences.paused(run.id) == {}
    for number in (8, 9, 10):
        run.ended(number, "TF460")
    assert run.absences.paused(run.id)[NORTH].rounds == (8, 9, 10)


def test_readmitting_twice_is_allowed_and_each_is_in_the_audit_trail(
    run: Run, a_database: Database
) -> None:
    run.absences.readmit(run.id, NORTH, actor="wang", at=NOW)
    run.ended(1, "TF461")
    run.absences.readmit(run.id, NORTH, actor="chen", at=NOW)

    found = [one for one in a_database.audit_events() if one["kind"] == "site-readmitted"]
    assert [one["actor"] for one in found] == ["wang", "chen"]
    assert [one["details"] for one in found] == [
        {"site": "north", "after": "0"},
        {"site": "north", "after": "1"},
    ]
    assert run.absences.readmitted(run.id) == {NORTH: 1}
