"""Ways in which a durable run was lost, doubled or wedged once; each is shut, and stays so."""

import errno
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from federation.domain.ids import RunId, SiteId
from federation.domain.queue import Wish
from federation.domain.run import RunState
from federation.domain.study import StudyState
from federation.errors.durable import FilesRefusedError, RunNotContinuableError, StudyStoppedError
from federation.errors.enrolment import NodeCertificateRevokedError
from federation.errors.leases import SiteGoneError
from federation.errors.ledger import LedgerClockError
from federation.errors.machine import DiskFullError
from federation.errors.rounds import QuorumNotReachedError, ReplyMalformedError
from federation.errors.storage import StoreUnavailableError
from federation.errors.transport import RoundStoppedError
from federation.operations.artefacts import Artefacts
from federation.operations.campaign import campaign, crew, playing, recovery, wishes
from federation.operations.campaign.asking import numbers_in
from federation.operations.launch import study_as_stored
from federation.operations.queueing import Queueing
from federation.operations.release_book import ReleaseBook
from federation.operations.reports import check_report
from federation.operations.revocation import retire_site
from federation.operations.store.studies import StudyStore
from federation.operations.watch import WatchedRound
from federation.wire.messages import TaskKind
from tests.operations.fakes import EVALUATED, REPORT, Federation, a_federation, prepared

NORTH, SOUTH, CENTRE = SiteId("north"), SiteId("south"), SiteId("centre")


@pytest.fixture
def fed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Federation]:
    monkeypatch.setattr(recovery, "PAUSES_S", (0.01,))
    monkeypatch.setattr(recovery, "ROOM_S", 0.02)
    for module in (crew, wishes):
        monkeypatch.setattr(module, "LOOK_S", 0.02)
    monkeypatch.setattr(playing, "PAUSE_S", 0.01)
    monkeypatch.setattr(playing, "LONGEST_PAUSE_S", 0.02)
    with a_federation(*prepared(tmp_path)) as made:
        yield made


def stored(fed: Federation) -> Any:
    return study_as_stored(fed.centre.folder, fed.study.id)


def revoke(fed: Federation, site: SiteId) -> None:
    retire_site(
        fed.centre, site=site, reason="its machine was stolen", clock=lambda: datetime.now(UTC)
    )


# -- stop, taken back --------------------------------------------------------------------


@pytest.mark.parametrize("after", ["centre", "north"], ids=["quorum-replied", "too-few-replied"])
def test_a_stop_that_is_taken_back_makes_no_round_without_a_model(
    fed: Federation, after: str
) -> None:
    at = CENTRE if after == "centre" else NORTH

    def stop(site: SiteId) -> None:  # the watch heard STOP_NOW; a second later somebody resumed
        fed.flower.stopped = site == at and len(fed.flower.asked) == 1

    fed.flower.late = stop
    result = fed.run()

    assert result.status == "completed", result.errors
    assert [one["state"] for one in stored(fed)["runs"][-1]["played"]] == ["done"] * 3
    assert set(fed.flower.paid.values()) == {1}


def test_a_node_that_says_the_round_was_stopped_is_not_asked_for_ever(fed: Federation) -> None:
    fed.flower.refuses = {site: RoundStoppedError(site=site) for site in (NORTH, SOUTH)}

    result = fed.run()

    assert [error["code"] for error in result.errors] == [QuorumNotReachedError.code]
    assert len(fed.flower.asked) == playing.ATTEMPTS


def test_sites_that_say_they_are_away_are_asked_less_and_less_often(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(playing, "LONGEST_PAUSE_S", 5.0)
    monkeypatch.setattr(playing, "time", SimpleNamespace(sleep=slept.append))
    fed.flower.refuses = {site: SiteGoneError(site=site, seconds=31) for site in (NORTH, SOUTH)}

    fed.run(wish=lambda: Wish.STOP if len(fed.flower.asked) > 12 else Wish.GO_ON)

    assert slept[:3] == [0.01, 0.02, 0.04]
    assert slept[-1] == 5.0


# -- a site that is revoked ----------------------------------------------------------------


def test_a_study_goes_on_without_a_site_that_is_revoked_and_keeps_what_it_gave(
    fed: Federation,
) -> None:
    def late(site: SiteId) -> None:  # its reply to round 1 is kept, and not yet in evidence
        if site == CENTRE and len(fed.flower.asked) == 1:
            revoke(fed, SOUTH)

    fed.flower.late = late
    result = fed.run()

    assert result.status == "completed", result.errors
    played = stored(fed)["runs"][-1]["played"]
    assert [one["sites"] for one in played] == [
        ["centre", "north", "south"], ["centre", "north"], ["centre", "north"],
    ]  # fmt: skip
    assert [(one.site, one.rounds) for one in result.sites] == [
        (CENTRE, 3), (NORTH, 3), (SOUTH, 1),
    ]  # fmt: skip


def test_a_reply_that_comes_after_its_site_was_revoked_does_not_count(fed: Federation) -> None:
    fed.flower.late = lambda site: (
        revoke(fed, SOUTH) if site == SOUTH and len(fed.flower.asked) == 1 else None
    )
    result = fed.run()

    assert result.status == "completed", result.errors
    assert [(one["site"], one["code"]) for one in result.refused] == [
        (SOUTH, NodeCertificateRevokedError.code)
    ]
    assert SOUTH not in [one.site for one in result.sites]


# -- the machine in trouble -----------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE])
def test_a_folder_that_cannot_be_written_pauses_the_run_until_it_can(
    fed: Federation, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refusals = [OSError(number, "no") for _ in range(3)]

    def put(self: Artefacts, content: bytes, *, _put: Any = Artefacts.put) -> Any:
        if refusals and fed.flower.asked:
            raise refusals.pop()
        return _put(self, content)

    monkeypatch.setattr(Artefacts, "put", put)
    result = fed.run()

    assert result.status == "completed", result.errors
    (told,) = [one for one in fed.told if one.values.get("stage") == "paused"]
    assert told.values["code"] == FilesRefusedError.code
    assert set(fed.flower.paid.values()) == {1}


def test_a_clock_behind_the_book_pauses_the_run_until_it_is_right(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = [LedgerClockError(now="2026-01-01", newest="2026-01-02") for _ in range(4)]

    def enter(self: ReleaseBook, *given: Any, _enter: Any = ReleaseBook.enter, **more: Any) -> None:
        if behind:
            raise behind.pop()
        _enter(self, *given, **more)

    monkeypatch.setattr(ReleaseBook, "enter", enter)
    result = fed.run()

    assert result.status == "completed", result.errors
    (told,) = [one for one in fed.told if one.values.get("stage") == "paused"]
    assert told.values["code"] == LedgerClockError.code
    assert set(fed.flower.paid.values()) == {1}


def test_a_study_whose_clock_stays_wrong_can_be_stopped(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enter(*_: Any, **__: Any) -> None:
        raise LedgerClockError(now="2026-01-01", newest="2027-01-01")

    monkeypatch.setattr(ReleaseBook, "enter", enter)
    result = fed.run(wish=lambda: Wish.STOP if "paused" in fed.stages() else Wish.GO_ON)

    assert [error["code"] for error in result.errors] == [StudyStoppedError.code]
    assert stored(fed)["runs"][-1]["state"] == "stopped"


def test_a_pause_whose_end_could_not_be_written_is_no_obstacle_to_completing(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, lost = [DiskFullError(needed="1", free="0")], [1]

    def put(self: Artefacts, content: bytes, *, _put: Any = Artefacts.put) -> Any:
        if full and fed.flower.asked and fed.flower.asked[-1][:2] == ("train", 3):
            raise full.pop()
        return _put(self, content)

    def resume(self: campaign.Campaign, *, _resume: Any = campaign.Campaign._resume) -> None:
        if not full and lost:
            lost.pop()
            raise StoreUnavailableError(condition="connection lost")
        _resume(self)

    monkeypatch.setattr(Artefacts, "put", put)
    monkeypatch.setattr(campaign.Campaign, "_resume", resume)
    result = fed.run()

    assert result.status == "completed", result.errors
    assert stored(fed)["state"] == StudyState.COMPLETED.value


# -- a run that cannot go on -----------------------------------------------------------------


def test_a_run_that_cannot_go_on_ends_with_its_study_and_the_next_launch_begins_anew(
    fed: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: SiteId) -> None:
        raise SystemExit(143)

    fed.flower.late = die
    with pytest.raises(SystemExit):
        fed.run()
    fed.flower.late = lambda _: None
    with monkeypatch.context() as patched:
        error = RunNotContinuableError(run=RunId("cxr-2026.1"), thing="study")
        patched.setattr(campaign.Campaign, "_open", _raising(error))
        assert [one["code"] for one in fed.run().errors] == [error.code]
    store = StudyStore.of(fed.centre)
    assert store.open_run(fed.study.id) is None
    assert [one.state for one in store.runs(fed.study.id)] == [RunState.FAILED]
    store.close()

    assert fed.run().status == "completed"


def _raising(error: Exception) -> Any:
    def fail(*_: Any) -> None:
        raise error

    return fail


# -- what a node says of itself ----------------------------------------------------------------


def test_a_node_that_claims_more_batches_than_there_are_shows_as_done() -> None:
    from federation.domain.leases import Leases
    from federation.domain.pace import RoundPlan, Sight

    told: list[Any] = []
    plan = RoundPlan(RunId("one.1"), "train", 1, quorum=1, model_bytes=4, reply_bytes=4)
    watch: Any = SimpleNamespace(now=lambda: 0.0, tell=told.append)
    watched = WatchedRound(watch, watch, plan, Leases(plan, {}, {}, now=0.0))

    for done in (10, 2**40, 2**63):
        sight = Sight(True, run="one.1", round=1, batches_done=done, batches_total=10)
        watched._show(NORTH, sight)

    assert [one.values for one in told] == [{"percent": 100}]


# -- what a second launch costs ------------------------------------------------------------------


def test_what_a_new_run_costs_again_is_known_before_it_is_launched(fed: Federation) -> None:
    with Queueing(fed.centre, actor="lin") as queue:
        assert queue.rounds_spent(fed.study.id) == 0
        fed.run(wish=lambda: Wish.STOP if len(fed.flower.asked) > 1 else Wish.GO_ON)

        assert queue.rounds_spent(fed.study.id) == 2


def test_a_run_that_is_continued_costs_nothing_again(fed: Federation) -> None:
    def die(_: SiteId) -> None:
        if len(fed.flower.asked) > 1:
            raise SystemExit(143)

    fed.flower.late = die
    with pytest.raises(SystemExit):
        fed.run()

    with Queueing(fed.centre, actor="lin") as queue:
        assert queue.rounds_spent(fed.study.id) == 0


# -- words of a site ------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["loss", "refused"])
def test_a_report_with_words_where_a_number_or_code_belongs_does_not_count(field: str) -> None:
    report = {**REPORT, field: "the patient of 3 March"}

    with pytest.raises(ReplyMalformedError) as error:
        check_report(report, kind=TaskKind.TRAIN, is_private=True)

    assert "patient of" not in error.value.say()


@pytest.mark.parametrize(
    "said",
    [
        {"value": 5.0, "high": 6.0},
        {"value": 0.7},
        {"low": -0.1},
        {"variance": -0.01},
        {"variance": float("inf")},
    ],
    ids=["beyond 1", "outside its interval", "below 0", "no variance", "a boundless variance"],
)
def test_a_metric_that_can_be_none_does_not_count(said: dict[str, float]) -> None:
    """A site's nonsense costs that site its round, and not all of them the conclusion."""
    metrics = EVALUATED["metrics"]
    assert isinstance(metrics, list)
    check_report(EVALUATED, kind=TaskKind.EVALUATE, is_private=False)
    with pytest.raises(ReplyMalformedError):
        check_report(
            {**EVALUATED, "metrics": [{**metrics[0], **said}]},
            kind=TaskKind.EVALUATE,
            is_private=False,
        )


def test_only_numbers_of_a_report_are_told_to_whoever_watches() -> None:
    told = numbers_in({"loss": "the patient of 3 March", "patients": 40}, "loss", "patients")

    assert told == {"loss": None, "patients": 40}
