"""What the register's clock does to evidence: ethics approvals, documents, provisional payment."""

from datetime import UTC, datetime, timedelta

from registry import datasets, reimbursement
from registry.certification import documents
from registry.nouns import noun_rules
from registry.roles import CLOCK, Role
from registry.timers.service import run
from tests.registry.nouns_b.bodies import dataset_card, document, move, payment, person, put
from tests.registry.nouns_b.test_guards import at_hta
from tests.registry.record_builders import NOW, Desk

NHI_S, NHI_C = person(Role.NHI_S), person(Role.NHI_C)


def tick(desk: Desk, at: datetime) -> tuple[list[str], list[str]]:
    """Turn the clock; return what was moved and what was reminded of."""
    desk.clock.now = at
    done = run(desk.records, noun_rules(), now=at).as_json()
    assert done["refused"] == []
    return [one["record"] for one in done["moved"]], [one["record"] for one in done["reminders"]]


def test_a_provisional_payment_is_reminded_of_and_then_ends(desk: Desk) -> None:
    at_hta(desk)
    move(desk, reimbursement.NOUN, "pay", "P2", NHI_S, NHI_C)
    end = NOW.replace(year=2028)
    assert tick(desk, end - timedelta(days=180, seconds=1)) == ([], [])
    assert tick(desk, end - timedelta(days=180)) == ([], ["reimbursement/pay"])
    assert tick(desk, end - timedelta(seconds=1))[0] == []
    assert tick(desk, end)[0] == ["reimbursement/pay"]
    record = desk.records.get("reimbursement", "pay")
    assert (record.state, record.author) == ("htr", CLOCK)
    assert tick(desk, end + timedelta(days=400)) == ([], []), "nothing is due twice"


def test_a_shorter_provisional_payment_ends_when_it_was_agreed(desk: Desk) -> None:
    at_hta(desk, end="2027-03-01T00:00:00Z")
    move(desk, reimbursement.NOUN, "pay", "P2", NHI_S, NHI_C)
    assert tick(desk, datetime(2027, 2, 28, 23, 59, 59, tzinfo=UTC))[0] == []
    assert tick(desk, datetime(2027, 3, 1, tzinfo=UTC))[0] == ["reimbursement/pay"]
    assert payment()["end"] == "2028-09-01T08:00:00Z"


def test_data_may_not_be_used_after_the_ethics_approval(desk: Desk) -> None:
    put(desk, datasets.NOUN, "card", dataset_card(), person(Role.DST))
    exempt = {
        "ethics": {"board": "IRB", "number": None, "exemption": "E-3"},
        "ethics_expires": None,
    }
    put(desk, datasets.NOUN, "exempt", dataset_card("taipei-2", **exempt), person(Role.DST))
    for name in ("card", "exempt"):
        move(desk, datasets.NOUN, name, "D1", person(Role.HAC))
    midnight = datetime(2027, 8, 31, 16, 0, tzinfo=UTC)  # in Taipei
    assert tick(desk, midnight - timedelta(seconds=2))[0] == []
    assert tick(desk, midnight)[0] == ["dataset-card/card"]
    assert desk.records.get("dataset-card", "card").state == "expired"


def test_a_document_expires_on_its_last_day(desk: Desk) -> None:
    put(desk, documents.NOUN, "doc", document(), person(Role.DEV))
    put(desk, documents.NOUN, "for-ever", document(valid_until=None), person(Role.DEV))
    for name in ("doc", "for-ever"):
        move(desk, documents.NOUN, name, "F1", person(Role.VAL_E))
    assert tick(desk, datetime(2029, 1, 1, 15, 59, 58, tzinfo=UTC))[0] == []
    assert tick(desk, datetime(2029, 1, 1, 16, 0, tzinfo=UTC))[0] == ["evidence-document/doc"]
