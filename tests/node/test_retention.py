"""Kept replies outlive their run as long as the policy says, and are then deleted for good."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clients.client_app import HospitalHandler
from clients.home import NodeHome
from clients.policy import TEMPLATE, parse_policy
from clients.replies import KeptReplies
from clients.retention import sweep_replies
from federation.domain.audit import AuditKind
from federation.domain.ids import RunId
from federation.errors.ledger import KeptReplyDamagedError, RoundAnsweredError
from tests.node.handling import a_home, a_task, details, hold
from tests.training.arrays import a_cohort

POLICY = parse_policy(TEMPLATE.encode())
RUN = RunId("cxr-2026.1")
NOW = datetime(1990, 1, 1, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NodeHome:
    """Return a hospital that answered a round of a run which its centre vouches for."""
    hold(monkeypatch, a_cohort(patients=40, images_each=1, side=64))
    node = a_home(tmp_path)
    HospitalHandler(node)(a_task(run=RUN))
    notice(node).parent.mkdir()
    notice(node).write_text("{}")
    return node


def notice(home: NodeHome, run: RunId = RUN) -> Path:
    return home.run / "notices" / f"{run}.json"


def sweep(home: NodeHome, days: float) -> tuple[RunId, ...]:
    return sweep_replies(home, POLICY, now=NOW + timedelta(days=days))


def test_while_the_centre_can_ask_nothing_is_deleted(home: NodeHome) -> None:
    assert sweep(home, 0) == sweep(home, 10_000) == ()


def test_an_ended_run_is_forgotten_after_the_days_of_the_policy(home: NodeHome) -> None:
    notice(home).unlink()
    assert sweep(home, 0) == ()
    assert sweep(home, POLICY.reply_days - 0.01) == ()
    assert HospitalHandler(home)(a_task(run=RUN)).update is not None

    sweep(home, 0)
    assert sweep(home, POLICY.reply_days) == (RUN,)
    assert sweep(home, POLICY.reply_days) == ()
    assert KeptReplies(home.replies).runs() == ()
    assert details(home, AuditKind.RUN_ENDED) == [{"replies": "deleted"}]
    with pytest.raises(RoundAnsweredError):
        HospitalHandler(home)(a_task(run=RUN))


def test_a_run_that_goes_on_after_all_begins_its_time_anew(home: NodeHome) -> None:
    notice(home).unlink()
    sweep(home, 0)
    notice(home).write_text("{}")
    sweep(home, 20)
    notice(home).unlink()

    assert sweep(home, 35) == ()
    assert sweep(home, 35 + POLICY.reply_days) == (RUN,)


def test_a_run_that_asks_has_not_ended_whatever_the_notices_say(home: NodeHome) -> None:
    notice(home).unlink()
    sweep(home, 0)
    later = NOW + timedelta(days=365)

    assert sweep_replies(home, POLICY, asked=RUN, now=later) == ()


def test_a_time_that_cannot_be_read_deletes_nothing(home: NodeHome) -> None:
    notice(home).unlink()
    sweep(home, 0)
    for text in ("", "yesterday", "2026-11-21T00:00:00"):
        (home.replies / RUN / "ended").write_text(text)
        with pytest.raises(KeptReplyDamagedError):
            sweep(home, 10_000)
    assert KeptReplies(home.replies).has_trained(RUN)


def test_the_number_of_images_told_does_not_follow_the_cohort(
    home: NodeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = HospitalHandler(home)(a_task(run=RUN)).report
    hold(monkeypatch, a_cohort(patients=40, images_each=2, side=64))
    second = HospitalHandler(home)(a_task(run=RUN, round=2)).report

    assert first["examples"] == second["examples"] == 40
