"""A version moves only as the table says, by whom it says, when its guards find nothing."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import Field

from federation.domain.ids import Sha256
from federation.errors import PlatformError, ProblemsFound
from federation.errors.guards import (
    ArtefactGuardError,
    AttributeMissingError,
    AttributeNotLinkedError,
)
from federation.errors.moves import (
    MoveNotListedError,
    RecordNotFoundError,
    RecordShapeError,
    SeparationError,
)
from federation.errors.registry import CardFileError
from federation.evidence.model_version import Bilingual
from federation.evidence.model_version import ModelVersionState as State
from registry.evaluations.noun import EvaluationState
from registry.evidence.weights import sign_model
from registry.exchange.attributes import ATTRIBUTES
from registry.models import guards
from registry.models.attributes import Answer, missing
from registry.models.cards import (
    card_template,
    check_card,
    new_card,
    read_card,
    state_of,
    submit_card,
    version_noun,
)
from registry.models.evidence_found import DeploymentFacts, EvaluationFacts, VersionEvidence
from registry.models.states import TABLE, VersionDeed
from registry.models.version_card import (
    Change,
    ChangePart,
    Code,
    FileRef,
    Organisation,
    Risk,
    RiskLevel,
    VersionCard,
)
from registry.records.moves import Case, Move, Moves, Seat
from registry.records.ports import Link, StoredRecord
from registry.records.service import Records
from registry.records.shapes import Body, Noun
from registry.roles import CENTRE_OF, Author, Centre, Role
from tests.registry.builders import Centre as AiCentre
from tests.registry.builders import candidate
from tests.registry.bundles import statements
from tests.registry.proofs import Log, signed_record
from tests.registry.record_builders import (
    CLI,
    DEV,
    HAC,
    HAO,
    NOW,
    RAI_A,
    RAI_R,
    VAL_A,
    VAL_E,
    TurnableClock,
    a_desk,
    sqlite_url,
)

ENTRY = "TWAI-2026-00001-4.v0.1.0"
DIGEST = Sha256.of(b"a file")
BOTH = Bilingual.model_validate({"zh-TW": "中文", "en": "English"})
Registered = tuple[AiCentre, Records, Noun[VersionCard], str]
QUANTITATIVE = ("7a", "7b", "7c", "7d", "8b", "8d")


def person(role: Role) -> Author:
    return Author(f"one-of-{role.value}", role, f"house of {role.value}", CENTRE_OF.get(role))


def bare_card(**changes: object) -> VersionCard:
    fields: dict[str, object] = {"entry": ENTRY, "record": DIGEST, "model": DIGEST}
    return VersionCard(**(fields | changes))  # type: ignore[arg-type]


def test_every_role_state_and_action_that_is_not_listed_is_refused() -> None:
    listed = {
        (role, state, move.number)
        for move in TABLE.moves
        for state in move.before
        for role in move.roles
    }
    refused = 0
    for role, state, number in itertools.product(Role, State, (*TABLE.numbers, "T1", "T99", "")):
        if (role, state, number) in listed:
            assert role in TABLE.find("model-version", state.value, number, role).roles
            continue
        with pytest.raises(MoveNotListedError):
            TABLE.find("model-version", state.value, number, role)
        refused += 1
    assert refused == len(Role) * len(State) * (len(TABLE.numbers) + 3) - len(listed)


@pytest.mark.parametrize("state", State)
def test_the_register_itself_refuses_every_action_that_is_not_listed(
    tmp_path: Path, state: State
) -> None:
    desk = a_desk(sqlite_url(tmp_path))
    there = Noun(
        "model-version",
        VersionCard,
        Moves(start=state, moves=TABLE.moves),
        authors=frozenset({Role.DEV}),
    )
    desk.records.put(there, ENTRY, bare_card(), author=DEV)

    def every_role(writing: object) -> None:
        for role, number in itertools.product(Role, TABLE.numbers):
            if any(move.number == number and role in move.roles for move in TABLE.of(state)):
                continue
            with pytest.raises(MoveNotListedError):
                writing.move(  # type: ignore[attr-defined]
                    there, ENTRY, number, author=person(role), revision=1, reason="try"
                )

    desk.records.write(every_role)
    assert desk.records.get("model-version", ENTRY).revision == 1


def test_a_developer_approves_nowhere_and_a_seat_cannot_be_made_for_it() -> None:
    seats = [seat for move in TABLE.moves for seat in move.seats if Role.DEV in seat.roles]
    assert seats and not any(seat.approves for seat in seats)
    with pytest.raises(ValueError, match="never approves"):
        Seat(Role.DEV, Role.HAO)


def test_moves_that_only_a_developer_could_make_alone_approve_nothing() -> None:
    alone = {move.after for move in TABLE.moves if move.signatures == 1 and Role.DEV in move.roles}
    assert alone == {State.RETIRED}


def test_every_move_has_its_own_deed_and_says_what_follows() -> None:
    for move in TABLE.moves:
        assert isinstance(move.kind, VersionDeed) and move.follows is not None
    assert {move.kind for move in TABLE.moves} == set(VersionDeed)


def test_the_clock_only_suspends_what_is_in_use() -> None:
    moves = [move for move in TABLE.moves if Role.CLOCK in move.roles]
    assert [(move.number, move.after) for move in moves] == [("T9", State.SUSPENDED)]
    assert moves[0].before == {State.PILOT, State.LIVE, State.RESTRICTED}


def test_suspension_has_no_guard_and_one_signature() -> None:
    for move in TABLE.moves:
        if move.number == "T9":
            assert not move.guards and move.signatures == 1
            assert not any(seat.approves for seat in move.seats)


def test_a_reviewer_may_suspend_at_once_what_the_own_house_wrote(registered: Registered) -> None:
    centre, records, noun, entry = registered
    submit_card(records, noun, complete_card(centre, entry), author=HAO)
    insider = Author("rai-7", Role.RAI_A, HAO.organisation, Centre.RESPONSIBLE_AI)
    done = records.move(noun, entry, "T9", author=insider, revision=1, reason="harm")
    assert done.is_done and done.record.state == "suspended"


# attributes


def all_answers() -> dict[str, Answer]:
    return {
        name: Answer(evaluations=("ev-1",)) if name in QUANTITATIVE else Answer(text=BOTH)
        for name in ATTRIBUTES
    }


def test_thirty_one_attributes_in_nine_groups() -> None:
    assert len(ATTRIBUTES) == 31
    assert [sum(name[0] == str(group) for name in ATTRIBUTES) for group in range(1, 10)] == [
        4,
        4,
        2,
        4,
        2,
        4,
        5,
        4,
        2,
    ]
    assert not list(missing(all_answers(), evaluations=["ev-1"]))


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_each_attribute_that_is_empty_is_named(name: str) -> None:
    blank = Bilingual.model_validate({"zh-TW": " ", "en": " "})
    for without in (None, Answer(), Answer(text=blank), Answer(none=blank)):
        answers = {one: answer for one, answer in all_answers().items() if one != name}
        if without is not None:
            answers[name] = without
        (problem,) = missing(answers, evaluations=["ev-1"])
        assert isinstance(problem, AttributeMissingError)
        assert problem.values["attribute"] == name
    none = all_answers() | {name: Answer(none=BOTH)}
    assert not list(missing(none, evaluations=["ev-1"]))


@pytest.mark.parametrize("name", QUANTITATIVE)
def test_a_quantitative_attribute_is_a_link_and_never_a_typed_number(name: str) -> None:
    typed = all_answers() | {name: Answer(text=BOTH)}
    (problem,) = missing(typed, evaluations=["ev-1"])
    assert isinstance(problem, AttributeNotLinkedError)
    unknown = all_answers() | {name: Answer(evaluations=("ev-1", "ev-2"))}
    (problem,) = missing(unknown, evaluations=["ev-1"])
    assert isinstance(problem, AttributeNotLinkedError)


def test_none_and_an_answer_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exclude"):
        Answer(text=BOTH, none=BOTH)


# guards: from evidence that suffices, take one thing away

BOM = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {
        "component": {
            "type": "machine-learning-model",
            "name": "model",
            "hashes": [{"alg": "SHA-256", "content": DIGEST.hex}],
        }
    },
}


def an_evaluation(dimension: str, **changes: object) -> EvaluationFacts:
    fields: dict[str, object] = {
        "id": f"ev-{dimension}",
        "dimension": dimension,
        "sites": frozenset({"site-a", "site-b"}),
        "passed": True,
        "accepted": False,
        "disjoint": True,
        "planned_first": True,
        "has_results": True,
        "is_private": False,
        "patients": 150,
        "log_index": 50,
    }
    return EvaluationFacts(**(fields | changes))  # type: ignore[arg-type]


EVALUATIONS = tuple(an_evaluation(one) for one in guards.NEEDED_DIMENSIONS)
DEPLOYMENT = DeploymentFacts(
    id="dep-1",
    mode="silent",
    acceptance="ev-discrimination",
    drift="ev-calibration",
    override_route=True,
    licence=True,
    cases=0,
    alerts=1,
)
GOOD_CARD = bare_card(
    name=BOTH,
    intended_use=BOTH,
    organisation=Organisation(name=BOTH),
    attributes={
        name: Answer(evaluations=("ev-fairness",)) if name in QUANTITATIVE else Answer(text=BOTH)
        for name in ATTRIBUTES
    },
    risk=Risk(level=RiskLevel.HIGH, tfda_class="2", imdrf="III", warning=BOTH),
    change=Change(parent="TWAI-2026-00001-4.v0.0.9", parts=(ChangePart.DESIGN,), plan="plan-1"),
)
GOOD = VersionEvidence(
    card=GOOD_CARD,
    trained_at=frozenset({"tainan-1"}),
    private_at=frozenset({"tainan-1"}),
    format="safetensors",
    mlbom=json.dumps(BOM).encode(),
    evaluations=EVALUATIONS,
    deployments=(DEPLOYMENT,),
    incidents=1,
    entered={
        "silent": (NOW - timedelta(days=30), 10),
        "live": (NOW, 20),
        "suspended": (NOW, 40),
    },
    planned_parts=frozenset(ChangePart),
    parent_state="live",
)


def one_changed(place: int = 0, **changes: object) -> dict[str, object]:
    listed = list(EVALUATIONS)
    listed[place] = replace(listed[place], **changes)  # type: ignore[arg-type]
    return {"evaluations": tuple(listed)}


def card_with(**changes: object) -> dict[str, object]:
    return {"card": GOOD_CARD.model_copy(update=changes)}


def bom_with(**changes: object) -> dict[str, object]:
    return {"mlbom": json.dumps(BOM | changes).encode()}


def deployed(**changes: object) -> dict[str, object]:
    return {"deployments": (replace(DEPLOYMENT, **changes),)}  # type: ignore[arg-type]


LATE = {"entered": {"silent": (NOW - timedelta(days=29, hours=23), 10)}}
FILE = ArtefactGuardError(why="its digest differs")
BROKEN: list[tuple[Callable[[Case], object], dict[str, object]]] = [
    (guards.attributes_complete, card_with(attributes={})),
    (guards.attributes_complete, card_with(name=None)),
    (guards.attributes_complete, one_changed(2, has_results=False)),
    (guards.artefacts_verify, {"file_problems": (FILE,)}),
    (guards.only_safetensors, {"format": "pickle"}),
    (guards.only_safetensors, {"format": ""}),
    (guards.mlbom_valid, {"mlbom": None}),
    (guards.mlbom_valid, {"mlbom": b"not json"}),
    (guards.mlbom_valid, {"mlbom": b"[]"}),
    (guards.mlbom_valid, bom_with(bomFormat="SPDX")),
    (guards.mlbom_valid, bom_with(specVersion="1.5")),
    (guards.mlbom_valid, bom_with(specVersion="new")),
    (guards.mlbom_valid, bom_with(metadata={"component": {"type": "library"}})),
    (guards.mlbom_valid, bom_with(specVersion="1.99")),
    (guards.mlbom_valid, bom_with(components=[{"type": "library"}])),
    (
        guards.mlbom_valid,
        bom_with(metadata={"component": {"type": "machine-learning-model", "hashes": [7]}}),
    ),
    (guards.protocol_logged_first, {"evaluations": ()}),
    (
        guards.protocol_logged_first,
        {"evaluations": (an_evaluation("calibration", planned_first=False),)},
    ),
    (guards.two_external_sites, {"trained_at": frozenset({"site-a"})}),
    (guards.two_external_sites, {"evaluations": ()}),
    (guards.patients_disjoint, one_changed(disjoint=False)),
    *((guards.dimensions_done, one_changed(place, has_results=False)) for place in range(4)),
    *((guards.dimensions_done, one_changed(place, planned_first=False)) for place in range(4)),
    (guards.thresholds_met, one_changed(passed=False)),
    (guards.thresholds_met, one_changed(passed=None)),
    (guards.privacy_stated, {"private_at": frozenset()}),
    (guards.privacy_stated, {"trained_at": frozenset()}),
    (guards.risk_classified, card_with(risk=None)),
    (
        guards.risk_classified,
        card_with(risk=Risk(level=RiskLevel.HIGH, tfda_class="2", imdrf="III")),
    ),
    (guards.accepted_locally, {"deployments": ()}),
    (guards.accepted_locally, deployed(acceptance=None)),
    (guards.accepted_locally, deployed(drift="ev-unknown")),
    (guards.accepted_locally, one_changed(patients=99)),
    (guards.silent_long_enough, LATE),
    (guards.silent_long_enough, {"entered": {}}),
    (guards.override_route, deployed(override_route=False)),
    (guards.override_route, {"deployments": ()}),
    (guards.lawful_use, deployed(licence=False)),
    (guards.alert_recorded, deployed(alerts=0) | {"incidents": 0}),
    (guards.was_in_use, {"entered": {"suspended": (NOW, 40)}}),
    (guards.incidents_closed, {"open_incidents": 1}),
    (guards.incidents_closed, {"incidents": 0}),
    (guards.evaluated_again, {"entered": {"suspended": (NOW, 60)}}),
    (guards.change_within_plan, {"planned_parts": None}),
    (guards.change_within_plan, {"planned_parts": frozenset({ChangePart.ARCHITECTURE})}),
    (guards.change_within_plan, {"parent_state": "suspended"}),
    (guards.change_within_plan, {"parent_state": None}),
    (guards.change_within_plan, card_with(change=None)),
    *(
        (
            guards.change_within_plan,
            card_with(change=Change(parent="TWAI-2026-00001-4.v0.0.9", parts=(part,), plan="p")),
        )
        for part in ChangePart
        if part not in guards.MAY_BE_PLANNED
    ),
]


def a_case(**changes: object) -> Case:
    record = StoredRecord(
        noun="model-version",
        id=ENTRY,
        revision=1,
        state="draft",
        action="put",
        body={},
        digest=DIGEST,
        author=DEV,
        at="2026-09-01T08:00:00Z",
        log_index=3,
    )
    return Case(record, replace(GOOD, **changes), NOW, RAI_R)  # type: ignore[arg-type]


def test_sufficient_evidence_holds_no_move_back() -> None:
    for move in TABLE.moves:
        assert move.held_back(a_case()) == []


@pytest.mark.parametrize(("guard", "changes"), BROKEN, ids=lambda one: getattr(one, "__name__", ""))
def test_each_guard_holds_back_what_lacks_its_evidence(
    guard: Callable[[Case], list[PlatformError]], changes: dict[str, object]
) -> None:
    assert list(guard(a_case(**changes)))


def test_every_guard_of_the_table_has_a_case_that_breaks_it() -> None:
    used = {guard for move in TABLE.moves for guard in move.guards}
    assert used == {guard for guard, _ in BROKEN}


def test_a_written_acceptance_lets_a_missed_threshold_pass() -> None:
    assert not list(guards.thresholds_met(a_case(**one_changed(passed=False, accepted=True))))


def test_five_hundred_cases_stand_for_thirty_days() -> None:
    assert not list(guards.silent_long_enough(a_case(**LATE, **deployed(cases=500))))


# a real entry, from its card to an approval


class Measured(Body):
    """An evaluation with what the guards read of one."""

    entry: str
    dimension: str
    protocol_id: str
    protocol_hash: str
    sites: tuple[str, ...] = ()
    attestations: dict[str, str] = Field(default_factory=dict)
    disjointness: str | None = None
    passed: bool | None = None
    metrics: tuple[dict[str, int], ...] = ()

    def links(self) -> list[Link]:
        return [Link("evaluates", "model-version", self.entry)]


MEASURED = Noun(
    "evaluation",
    Measured,
    Moves(
        start=EvaluationState.LOGGED,
        moves=(
            Move(
                "judge",
                EvaluationState.LOGGED,
                EvaluationState.JUDGED,
                seats=(Seat(Role.RAI_A),),
            ),
        ),
    ),
    authors=frozenset({Role.VAL_E}),
)


@pytest.fixture
def registered(centre: AiCentre) -> tuple[AiCentre, Records, Noun[VersionCard], str]:
    given = candidate(centre, statements=statements(centre))
    stored, _ = centre.registrar.register(given, actor="centre")
    key = centre.folder / "weights.key"
    sign_model(centre.registrar.artefacts, given.model, key=key, signer=centre.signer)
    records = Records(centre.registrar.store, centre.signer, TurnableClock())
    noun = version_noun(artefacts=centre.registrar.artefacts, key=centre.signer.public_key)
    return centre, records, noun, stored.entry


def plan(records: Records, entry: str, dimension: str) -> Measured:
    body = Measured(
        entry=entry, dimension=dimension, protocol_id="protocol-7", protocol_hash=DIGEST
    )
    records.put(MEASURED, f"ev-{dimension}", body, author=VAL_E)
    return body


def measure(records: Records, planned: Measured, **changes: object) -> None:
    sites = ("yilan-4", "hualien-9")
    signed = signed_record(records.store, planned.entry)
    proof = Log(records.store, records.signer, sites).proven(signed, planned.as_json())
    done = planned.model_copy(
        update={
            "sites": sites,
            **proof,
            "passed": True,
            "metrics": ({"n": 120},),
        }
        | changes
    )
    name = f"ev-{planned.dimension}"
    records.put(MEASURED, name, done, author=VAL_E, revision=1)
    records.move(MEASURED, name, "judge", author=RAI_A, revision=2, reason="as planned")


def complete_card(centre: AiCentre, entry: str) -> VersionCard:
    card = new_card(centre.registrar.store, entry)
    bom = json.dumps(
        BOM
        | {
            "metadata": {
                "component": {
                    "type": "machine-learning-model",
                    "name": "model",
                    "hashes": [{"alg": "SHA-256", "content": card.model.removeprefix("sha256:")}],
                }
            }
        }
    ).encode()
    (centre.registrar.artefacts / "mlbom.json").write_bytes(bom)
    return card.model_copy(
        update={
            "name": BOTH,
            "intended_use": BOTH,
            "organisation": Organisation(name=BOTH),
            "attributes": {
                name: Answer(evaluations=("ev-fairness",))
                if name in QUANTITATIVE
                else Answer(text=BOTH)
                for name in ATTRIBUTES
            },
            "risk": Risk(level=RiskLevel.HIGH, tfda_class="2", imdrf="III", warning=BOTH),
            "codes": (Code(kind="modality", system="DICOM", code="CR"),),
            "mlbom": FileRef(path="mlbom.json", sha256=Sha256.of(bom)),
        }
    )


def test_a_trained_version_goes_from_draft_to_approval(registered: Registered) -> None:
    centre, records, noun, entry = registered
    card = complete_card(centre, entry)
    assert submit_card(records, noun, card, author=DEV).state == "draft"
    with pytest.raises(ProblemsFound) as refused:
        records.move(noun, entry, "T2", author=RAI_R, revision=1, reason="complete")
    assert {type(one) for one in refused.value.problems} == {AttributeNotLinkedError}

    planned = [plan(records, entry, dimension) for dimension in guards.NEEDED_DIMENSIONS]
    measure(records, planned[2])
    assert check_card(centre.registrar.store, card) == []
    records.move(noun, entry, "T2", author=RAI_R, revision=1, reason="complete")
    records.move(noun, entry, "T3", author=VAL_E, revision=2, reason="protocols are logged")
    for one in (planned[0], planned[1], planned[3]):
        measure(records, one)
    records.move(noun, entry, "T4", author=VAL_A, revision=3, reason="two hospitals agree")
    records.move(noun, entry, "T5", author=RAI_A, revision=4, reason="approved")
    done = records.move(noun, entry, "T5", author=HAC, revision=4, reason="approved")
    assert done.record.state == "rai-approved"
    with centre.registrar.store.reading() as transaction:
        assert state_of(transaction, entry) == "rai-approved"
    from registry.auditing import audit_log

    audit_log(centre.registrar.store, key=centre.signer.public_key)


def test_a_model_file_changed_after_training_holds_registration_back(
    registered: Registered,
) -> None:
    centre, records, noun, entry = registered
    submit_card(records, noun, complete_card(centre, entry), author=DEV)
    for dimension in guards.NEEDED_DIMENSIONS:
        measure(records, plan(records, entry, dimension))
    (path,) = centre.registrar.artefacts.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(PlatformError) as refused:
        records.move(noun, entry, "T2", author=RAI_R, revision=1, reason="complete")
    assert refused.value.code == "TF723"


def test_weights_without_a_signature_hold_registration_back(registered: Registered) -> None:
    centre, records, noun, entry = registered
    submit_card(records, noun, complete_card(centre, entry), author=DEV)
    for dimension in guards.NEEDED_DIMENSIONS:
        measure(records, plan(records, entry, dimension))
    (signature,) = centre.registrar.artefacts.glob("*.sig")
    signature.unlink()
    with pytest.raises(PlatformError) as refused:
        records.move(noun, entry, "T2", author=RAI_R, revision=1, reason="complete")
    assert refused.value.code == "TF799"


def test_a_card_of_another_version_or_entry_is_refused(registered: Registered) -> None:
    centre, records, noun, entry = registered
    card = complete_card(centre, entry)
    other = card.model_copy(update={"record": DIGEST})
    with pytest.raises(CardFileError):
        submit_card(records, noun, other, author=DEV)
    with pytest.raises(RecordNotFoundError):
        records.get("model-version", entry)


def test_the_card_is_closed_once_the_version_is_registered(registered: Registered) -> None:
    centre, records, noun, entry = registered
    card = complete_card(centre, entry)
    submit_card(records, noun, card, author=DEV)
    submit_card(records, noun, card, author=DEV)
    records.move(noun, entry, "T11", author=HAO, revision=2, reason="not needed")
    with pytest.raises(MoveNotListedError):
        submit_card(records, noun, card, author=DEV)


def test_no_house_decides_on_its_own_work(registered: Registered) -> None:
    centre, records, noun, entry = registered
    submit_card(records, noun, complete_card(centre, entry), author=HAO)
    insider = Author("rai-7", Role.RAI_R, HAO.organisation, Centre.RESPONSIBLE_AI)
    with pytest.raises(SeparationError):
        records.move(noun, entry, "T2", author=insider, revision=1, reason="ours")
    author = Author(HAO.person, Role.RAI_R, "Centre One", Centre.RESPONSIBLE_AI)
    with pytest.raises(SeparationError):
        records.move(noun, entry, "T2", author=author, revision=1, reason="mine")
    assert CLI.organisation == HAO.organisation


def test_a_card_file_is_filled_in_and_read_again(registered: Registered) -> None:
    centre, _, _, entry = registered
    empty = new_card(centre.registrar.store, entry)
    again = read_card(card_template(empty).encode(), name="card.toml")
    assert again == empty
    assert len(check_card(centre.registrar.store, again)) == 31
    full = complete_card(centre, entry)
    assert read_card(card_template(full).encode(), name="card.toml") == full
    assert read_card(full.model_dump_json().encode(), name="card.json") == full


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"= 1", b"{", b"x" * 600_000, b"a = 2026-01-01", b"a = nan"],
    ids=["not-utf8", "not-toml", "not-json", "large", "a-date", "nan"],
)
def test_a_file_that_is_no_card_is_a_coded_error(content: bytes) -> None:
    with pytest.raises(CardFileError):
        read_card(content, name="card.toml")


def test_a_card_with_unknown_fields_lists_them() -> None:
    with pytest.raises(RecordShapeError, match=r"colour.*entry|entry.*colour"):
        read_card(b'colour = "red"', name="card.toml")
