"""What time asks for is decided purely, done by the clock, and audited."""

from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

import pytest

from federation.domain.ids import Sha256
from federation.evidence.model_version import ModelVersionState as State
from registry.auditing import audit_log
from registry.models.states import TABLE
from registry.models.version_card import Risk, RiskLevel, VersionCard
from registry.records import sign_offs
from registry.records.moves import Move, Moves, Seat
from registry.records.ports import Link
from registry.records.shapes import Body, Noun
from registry.roles import CLOCK, Author, Role
from registry.timers.clocks import add_months, payment_ends, review_due, suspension_due
from registry.timers.rules import REVIEWS, expiry, provisional_payment, rules
from registry.timers.service import find_due, run
from tests.registry.record_builders import (
    DEV,
    HAC,
    LAMP,
    NOW,
    RAI_A,
    Desk,
    Lamp,
    a_desk,
    sqlite_url,
)

ENTRY = "TWAI-2026-00001-4.v0.1.0"
DIGEST = Sha256.of(b"a file")


class PaidState(Enum):
    """A payment's states, as far as the clock cares."""

    PROVISIONAL = "provisional"
    HTR = "htr"


class Payment(Body):
    """A payment with its start, and an approval's expiry in one."""

    start: str
    expires: str = "2099-01-01"


PAYMENT = Noun(
    "payment",
    Payment,
    Moves(
        start=PaidState.PROVISIONAL,
        moves=(Move("end", PaidState.PROVISIONAL, PaidState.HTR, seats=(Seat(Role.CLOCK),)),),
    ),
    authors=frozenset({Role.NHI_S}),
)


class Review(Body):
    """One review of a version."""

    entry: str
    decision: str

    def links(self) -> list[Link]:
        return [Link("reviews", "model-version", self.entry)]


REVIEW = Noun(
    REVIEWS,
    Review,
    Moves(
        start=PaidState.HTR,
        moves=(Move("end", PaidState.HTR, PaidState.PROVISIONAL, seats=(Seat(Role.HAC),)),),
    ),
    authors=frozenset({Role.HAC}),
)
UNGUARDED = Moves(
    start=State.SILENT,
    moves=(
        Move("T7", State.SILENT, State.LIVE, seats=(Seat(Role.HAC),)),
        Move("T8", State.LIVE, State.RESTRICTED, seats=(Seat(Role.HAC),)),
        *(move for move in TABLE.moves if move.number == "T9"),
    ),
)
VERSIONS = Noun("model-version", VersionCard, UNGUARDED, authors=frozenset({Role.DEV}))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return a_desk(sqlite_url(tmp_path))


def go_live(desk: Desk, level: RiskLevel | None) -> None:
    risk = None if level is None else Risk(level=level, tfda_class="2", imdrf="III")
    card = VersionCard(entry=ENTRY, record=DIGEST, model=DIGEST, risk=risk)
    desk.records.put(VERSIONS, ENTRY, card, author=DEV)
    desk.records.move(VERSIONS, ENTRY, "T7", author=HAC, revision=1, reason="begin")


def tick(desk: Desk) -> dict[str, list[str]]:
    done = run(desk.records, rules(VERSIONS), now=desk.clock.now).as_json()
    return {name: [line["record"] for line in lines] for name, lines in done.items()}


@pytest.mark.parametrize(
    ("start", "months", "expected"),
    [
        ((2026, 1, 31), 1, (2026, 2, 28)),
        ((2024, 1, 31), 1, (2024, 2, 29)),
        ((2024, 2, 29), 24, (2026, 2, 28)),
        ((2026, 10, 15), 3, (2027, 1, 15)),
        ((2026, 12, 1), 12, (2027, 12, 1)),
    ],
)
def test_months_are_calendar_months(
    start: tuple[int, int, int], months: int, expected: tuple[int, int, int]
) -> None:
    assert add_months(datetime(*start, tzinfo=UTC), months) == datetime(*expected, tzinfo=UTC)


@pytest.mark.parametrize(
    ("level", "month"),
    [(RiskLevel.HIGH, 12), (RiskLevel.MEDIUM, 3), (RiskLevel.LOW, 9), (None, 12)],
)
def test_the_cycle_follows_the_risk(level: RiskLevel | None, month: int) -> None:
    due = review_due(level, NOW)
    assert (due.month, due.day) == (month, 1)
    assert suspension_due(level, NOW) - due == timedelta(days=30)


def test_a_provisional_payment_lasts_two_years() -> None:
    assert payment_ends(NOW) == NOW.replace(year=2028)


@pytest.mark.parametrize("level", [*RiskLevel, None])
def test_a_missed_review_reminds_first_and_suspends_after_thirty_days(
    desk: Desk, level: RiskLevel | None
) -> None:
    go_live(desk, level)
    desk.clock.now = review_due(level, NOW) - timedelta(seconds=1)
    assert tick(desk) == {"moved": [], "reminders": [], "refused": []}
    desk.clock.turn(seconds=1)
    name = f"model-version/{ENTRY}"
    assert tick(desk) == {"moved": [], "reminders": [name], "refused": []}
    desk.clock.now = suspension_due(level, NOW) - timedelta(seconds=1)
    assert tick(desk)["moved"] == []
    desk.clock.turn(seconds=1)
    assert tick(desk)["moved"] == [name]
    record = desk.records.get("model-version", ENTRY)
    assert (record.state, record.author, record.action) == ("suspended", CLOCK, "T9")
    assert tick(desk) == {"moved": [], "reminders": [], "refused": []}
    with desk.records.store.reading() as transaction:
        last = list(transaction.audit.events())[-1]
    assert '"actor":"clock"' in last.content and '"version-suspended"' in last.content
    audit_log(desk.records.store, key=desk.signer.public_key)


def test_a_review_in_time_starts_the_cycle_anew(desk: Desk) -> None:
    go_live(desk, RiskLevel.HIGH)
    desk.clock.turn(days=100)
    desk.records.put(REVIEW, "r-1", Review(entry=ENTRY, decision="keep"), author=HAC)
    desk.clock.turn(days=80)
    assert tick(desk) == {"moved": [], "reminders": [], "refused": []}
    desk.clock.turn(days=50)
    assert tick(desk)["moved"] == [f"model-version/{ENTRY}"]


def test_a_review_without_a_decision_or_of_another_version_does_not_count(desk: Desk) -> None:
    go_live(desk, RiskLevel.HIGH)
    desk.clock.turn(days=100)
    desk.records.put(REVIEW, "r-1", Review(entry=ENTRY, decision=""), author=HAC)
    other = ENTRY.replace("0.1.0", "0.2.0")
    desk.records.put(REVIEW, "r-2", Review(entry=other, decision="keep"), author=HAC)
    desk.clock.turn(days=30)
    assert tick(desk)["moved"] == [f"model-version/{ENTRY}"]


def test_restricting_a_version_does_not_stop_its_clock(desk: Desk) -> None:
    go_live(desk, RiskLevel.HIGH)
    desk.clock.turn(days=80)
    desk.records.move(VERSIONS, ENTRY, "T8", author=HAC, revision=2, reason="drift")
    desk.clock.now = suspension_due(RiskLevel.HIGH, NOW)
    assert tick(desk)["moved"] == [f"model-version/{ENTRY}"]


def test_a_sign_off_expires_by_the_clock(desk: Desk) -> None:
    desk.records.put(LAMP, "l-1", Lamp(colour="red"), author=DEV)
    desk.records.move(LAMP, "l-1", "light", author=RAI_A, revision=1, reason="ok")
    desk.clock.turn(days=30, seconds=-1)
    assert tick(desk)["moved"] == []
    desk.clock.turn(seconds=1)
    (moved,) = tick(desk)["moved"]
    (given,) = desk.records.page(sign_offs.NAME).items
    assert moved == f"sign-off/{given.id}" and given.state == "expired"


def test_payments_and_approvals_of_other_nouns_end_on_their_day(desk: Desk) -> None:
    staff = Author("nhi-1", Role.NHI_S, "NHIA")
    body = Payment(start="2026-09-01T08:00:00Z")
    desk.records.put(PAYMENT, "p-1", body, author=staff)
    desk.records.put(PAYMENT, "p-2", Payment(start="2026-09-02T08:00:00Z"), author=staff)
    rule = provisional_payment(PAYMENT, "provisional", "end")
    two_years = NOW.replace(year=2028)
    assert not find_due(desk.records, [rule], now=two_years - timedelta(seconds=1))
    assert [one.id for one in run(desk.records, [rule], now=two_years).moved] == ["p-1"]
    assert desk.records.get("payment", "p-1").state == "htr"

    dated = Payment(start="2026-09-01T08:00:00Z", expires="2026-12-31")
    desk.records.put(PAYMENT, "p-3", dated, author=staff)
    rule = expiry(PAYMENT, "provisional", "end")
    midnight = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)  # in Taipei
    assert not find_due(desk.records, [rule], now=midnight - timedelta(seconds=2))
    assert [one.id for one in find_due(desk.records, [rule], now=midnight)] == ["p-3"]


def test_a_refused_move_is_reported_and_stops_no_other(desk: Desk) -> None:
    staff = Author("nhi-1", Role.NHI_S, "NHIA")
    for name in ("p-1", "p-2"):
        desk.records.put(PAYMENT, name, Payment(start="2020-01-01T00:00:00Z"), author=staff)
    wrong = provisional_payment(PAYMENT, "provisional", "no-such-move")
    right = provisional_payment(PAYMENT, "provisional", "end")
    done = run(desk.records, [wrong, right], now=NOW)
    assert [code for _, code in done.refused] == ["TF737", "TF737"]
    assert len(done.moved) == 2


def test_more_records_than_a_page_are_all_seen(desk: Desk) -> None:
    staff = Author("nhi-1", Role.NHI_S, "NHIA")
    body = Payment(start="2020-01-01T00:00:00Z")

    def many(writing: object) -> None:
        for number in range(205):
            writing.put(PAYMENT, f"p-{number}", body, author=staff)  # type: ignore[attr-defined]

    desk.records.write(many)
    rule = provisional_payment(PAYMENT, "provisional", "end")
    assert len({one.id for one in find_due(desk.records, [rule], now=NOW)}) == 205


def test_nobody_else_moves_as_the_clock(desk: Desk) -> None:
    from federation.errors import PlatformError

    go_live(desk, RiskLevel.HIGH)
    for author in (DEV, Author("cli-1", Role.CLI, "Tainan Hospital")):
        with pytest.raises(PlatformError):
            desk.records.move(VERSIONS, ENTRY, "T9", author=author, revision=2, reason="stop")


def test_the_hourly_flow_turns_the_clock_of_a_real_home(tmp_path: Path) -> None:
    from federation.coordinator.home import CentreHome
    from federation.flows.registry_timers import EVERY, turn_clock
    from federation.operations.embedded_registry import registrar
    from federation.operations.enrolment import init_centre
    from registry.records.service import Records

    init_centre(tmp_path / "C", name="Centre", address="localhost:7443", now=datetime.now(UTC))
    keeper = registrar(CentreHome.open(tmp_path / "C"))
    desk = a_desk(sqlite_url(tmp_path))
    desk.records = Records(keeper.store, keeper.signer, desk.clock)
    go_live(desk, RiskLevel.HIGH)
    late = suspension_due(RiskLevel.HIGH, NOW)
    assert turn_clock(tmp_path / "C", late - EVERY)["moved"] == []
    (line,) = turn_clock(tmp_path / "C", late)["moved"]
    assert line["record"] == f"model-version/{ENTRY}" and line["move"] == "T9"
    assert turn_clock(tmp_path / "C", late)["moved"] == []
    assert keeper.store is not None
    assert desk.records.get("model-version", ENTRY).state == "suspended"


def test_the_schedule_is_hourly() -> None:
    from federation.flows.registry_timers import EVERY, hourly

    deployment = hourly()
    (schedule,) = deployment.schedules or ()
    assert schedule.schedule.interval == EVERY
    assert deployment.parameters == {}, "no path is shown on Prefect's pages"
