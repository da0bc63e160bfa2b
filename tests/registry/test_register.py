"""Registering: what is refused, what is recorded, and that nothing is ever changed."""

import math
from datetime import timedelta
from pathlib import Path

import pytest

from federation.domain.ids import Sha256
from federation.errors import PlatformError, ProblemsFound
from federation.errors.registry import (
    ArtefactError,
    EntryNotFoundError,
    RecordInconsistentError,
    RecordInvalidError,
    RunRegisteredError,
    SmallCountError,
    StatementOfAnotherError,
)
from federation.errors.signed import (
    BadSignatureError,
    MalformedEnvelopeError,
    NotCanonicalError,
    UnknownSignerError,
    WrongPredicateError,
)
from federation.evidence.canonical import canonical, parse
from federation.evidence.inclusion import ShownEntry, check_entry
from federation.evidence.model_version import Record
from federation.evidence.privacy_words import no_privacy_words, privacy_words
from federation.evidence.signing import new_key
from registry.models.service import show
from tests.registry.builders import (
    NOW,
    SITES,
    Centre,
    approval,
    candidate,
    candidate_of_study,
    evaluation,
    facts,
    metric,
    save_model,
    update,
    with_clock,
)


def register(centre: Centre, **changes: object) -> str:
    stored, _ = centre.registrar.register(candidate(centre, **changes), actor="centre")
    return stored.entry


def record_of(centre: Centre, entry: str) -> Record:
    return Record.from_json(show(centre.registrar.store, entry).record.encode())


def shown(centre: Centre, entry: str) -> ShownEntry:
    found = show(centre.registrar.store, entry)
    record = parse(found.record)
    assert isinstance(record, dict)
    return ShownEntry(
        found.entry,
        record,
        found.superseded_by,
        found.envelope,
        found.inclusion.as_json(),
        found.checkpoint,
    )


def count(centre: Centre) -> tuple[int, int, int]:
    with centre.registrar.store.reading() as transaction:
        events = len(list(transaction.audit.events()))
        return transaction.models.count(), transaction.log.size(), events


def problems(caught: pytest.ExceptionInfo[ProblemsFound]) -> list[type[PlatformError]]:
    return [type(problem) for problem in caught.value.problems]


def test_the_first_model_of_the_year_gets_number_one_and_version_0_1_0(centre: Centre) -> None:
    assert register(centre) == "TWAI-2026-00001-4.v0.1.0"


def test_the_record_is_signed_logged_and_audited_at_once(centre: Centre) -> None:
    entry = register(centre)
    checked = check_entry(shown(centre, entry), key=centre.signer.public_key)
    assert checked.failure is None and checked.record == record_of(centre, entry)
    assert count(centre) == (1, 7, 1)  # six statements and the record


def test_the_record_holds_every_fact_of_the_candidate(centre: Centre) -> None:
    given = candidate(centre).as_json()
    kept = record_of(centre, register(centre)).as_json()
    for field in given.keys() - {"statements"}:
        assert kept[field] == given[field]
    assert kept["state"] == "draft" and kept["created"] == "2026-09-01T08:00:00Z"


def test_handing_in_the_same_candidate_twice_registers_it_once(centre: Centre) -> None:
    first, is_new = centre.registrar.register(candidate(centre), actor="centre")
    again, is_new_again = centre.registrar.register(candidate(centre), actor="centre")
    assert (first, is_new, is_new_again) == (again, True, False)
    assert count(centre) == (1, 7, 1)


def test_the_next_run_of_a_study_is_the_next_version_of_its_model(centre: Centre) -> None:
    register(centre)
    second = register(centre, run="cxr-2026.2", statements=[])
    assert second == "TWAI-2026-00001-4.v0.2.0"


def test_another_study_is_another_model(centre: Centre) -> None:
    register(centre)
    stored, _ = centre.registrar.register(candidate_of_study(centre, "ct-2026"), actor="centre")
    assert stored.entry == "TWAI-2026-00002-3.v0.1.0"


def test_numbers_start_again_each_year_and_never_repeat(centre: Centre) -> None:
    register(centre)
    later = with_clock(centre.registrar, NOW + timedelta(days=200))
    stored, _ = later.register(candidate_of_study(centre, "ct-2027"), actor="centre")
    assert stored.entry.startswith("TWAI-2027-00001-")


def test_a_run_is_not_registered_twice_with_other_content(centre: Centre) -> None:
    register(centre)
    with pytest.raises(RunRegisteredError):
        register(centre, rounds={"asked": 4, "done": 3})
    assert count(centre) == (1, 7, 1)


def test_a_correction_is_a_new_record_and_leaves_the_old_one_as_it_was(centre: Centre) -> None:
    first = register(centre)
    before = show(centre.registrar.store, first)
    second = register(centre, rounds={"asked": 4, "done": 3}, supersedes=first)
    after = show(centre.registrar.store, first)
    assert second == "TWAI-2026-00001-4.v0.1.1"
    assert (before.record, before.envelope) == (after.record, after.envelope)
    assert (before.superseded_by, after.superseded_by) == (None, second)


def test_a_record_is_corrected_once_only(centre: Centre) -> None:
    first = register(centre)
    register(centre, rounds={"asked": 4, "done": 3}, supersedes=first)
    with pytest.raises(RunRegisteredError):
        register(centre, rounds={"asked": 5, "done": 3}, supersedes=first)


def test_a_correction_of_nothing_or_of_another_study_is_refused(centre: Centre) -> None:
    with pytest.raises(EntryNotFoundError):
        register(centre, supersedes="TWAI-2026-00001-4.v0.1.0")
    other, _ = centre.registrar.register(candidate_of_study(centre, "ct-2026"), actor="centre")
    with pytest.raises(EntryNotFoundError):
        register(centre, supersedes=other.entry)


@pytest.mark.parametrize("patients", [1, 9])
def test_a_small_count_of_patients_is_refused(centre: Centre, patients: int) -> None:
    parts = facts(centre)["participants"]
    assert isinstance(parts, list)
    parts[1] = {**parts[1], "patients": patients}
    with pytest.raises(ProblemsFound) as caught:
        register(centre, participants=parts)
    assert problems(caught) == [SmallCountError]
    assert caught.value.problems[0].values == {"field": "participants.1.patients", "highest": 9}
    assert count(centre) == (0, 0, 0)


def test_a_suppressed_count_is_accepted(centre: Centre) -> None:
    parts = facts(centre)["participants"]
    assert isinstance(parts, list)
    parts[1] = {**parts[1], "patients": None}
    assert record_of(centre, register(centre, participants=parts)).participants[1].patients is None


def test_an_estimate_on_fewer_than_ten_patients_is_refused(centre: Centre) -> None:
    with pytest.raises(ProblemsFound) as caught:
        register(centre, evaluations=[{"site": SITES[0], **metric(9)}], pooled=[])
    assert problems(caught) == [SmallCountError]


def test_a_pooled_count_that_would_give_a_hidden_site_away_is_refused(centre: Centre) -> None:
    shown_sites = [{"site": site, **metric(30)} for site in SITES[:2]]
    with pytest.raises(ProblemsFound) as caught:
        register(centre, evaluations=shown_sites, pooled=[metric(67)])
    assert problems(caught) == [RecordInconsistentError]


def test_a_small_count_inside_a_signed_statement_is_refused(centre: Centre) -> None:
    envelope = update(centre, SITES[0], patients=3)
    with pytest.raises(SmallCountError):
        register(centre, statements=[{"site": SITES[0], "kind": "update", "envelope": envelope}])


def test_all_contradictions_are_listed_at_once(centre: Centre) -> None:
    parts = facts(centre)["participants"]
    assert isinstance(parts, list)
    with pytest.raises(ProblemsFound) as caught:
        register(
            centre,
            rounds={"asked": 2, "done": 3},
            participants=[*parts, parts[0]],
            privacy=[],
            evaluations=[{"site": SITES[0], **metric(30), "low": 0.9}] * 2,
            pooled=[],
        )
    assert len(caught.value.problems) == 6


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_is_not_finite_cannot_even_be_written(centre: Centre, number: float) -> None:
    with pytest.raises(NotCanonicalError):
        candidate(centre, pooled=[{**metric(90), "value": number}])


@pytest.mark.parametrize(
    "changes",
    [
        {"study": {"id": "Not a slug", "title": "x", "digest": Sha256.of(b"")}},
        {"run": "cxr-2026"},
        {"rounds": {"asked": 3, "done": "3"}},
        {"rounds": {"asked": 3, "done": 3, "more": 1}},
        {"rounds": {"asked": 0, "done": 0}},
        {"unknown": 1},
        {"participants": []},
        {"privacy": [{"site": "tainan-1", "mechanism": "dp-sgd-gaussian"}]},
        {"code": {"version": "0.1.0\n", "wheel_digest": Sha256.of(b"")}},
        {"supersedes": "TWAI-1"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_field_that_is_missing_unknown_or_out_of_range_is_named(
    centre: Centre, changes: dict[str, object]
) -> None:
    with pytest.raises(RecordInvalidError) as caught:
        candidate(centre, **changes)
    assert next(iter(changes)) in caught.value.say_what()


def test_a_site_without_a_privacy_guarantee_must_say_so(centre: Centre) -> None:
    words = no_privacy_words().model_dump(mode="json")
    plain = [{"site": site, "mechanism": "none", "statement": words} for site in SITES]
    assert record_of(centre, register(centre, privacy=plain)).privacy[0].mechanism == "none"


def test_a_privacy_statement_names_what_it_does_not_cover() -> None:
    words = privacy_words(epsilon=7.5, delta=1e-5, accountant="PLD")
    for part in ("7.5", "1e-05", "PLD", "does not cover"):
        assert part in words.en
    for part in ("7.5", "1e-05", "PLD", "不涵蓋"):
        assert part in words.zh


def statement(site: str | None, kind: str, envelope: str) -> list[dict[str, object]]:
    return [{"site": site, "kind": kind, "envelope": envelope}]


def test_a_statement_of_an_unknown_key_is_refused(centre: Centre, tmp_path: Path) -> None:
    stranger = new_key(tmp_path / "stranger.key")
    given = statement(SITES[0], "approval", approval(centre, SITES[0], signer=stranger))
    with pytest.raises(UnknownSignerError):
        register(centre, statements=given)
    assert count(centre) == (0, 0, 0)


def test_an_approval_signed_by_the_node_instead_of_its_officer_is_refused(centre: Centre) -> None:
    envelope = approval(centre, SITES[0], signer=centre.nodes[SITES[0]])
    with pytest.raises(UnknownSignerError):
        register(centre, statements=statement(SITES[0], "approval", envelope))


def test_an_approval_signed_by_another_hospital_is_refused(centre: Centre) -> None:
    envelope = approval(centre, SITES[0], signer=centre.officers[SITES[1]])
    with pytest.raises(UnknownSignerError):
        register(centre, statements=statement(SITES[0], "approval", envelope))


def test_one_hospitals_approval_does_not_pass_for_anothers(centre: Centre) -> None:
    with pytest.raises(UnknownSignerError):
        register(centre, statements=statement(SITES[1], "approval", approval(centre, SITES[0])))


def test_a_statement_signed_in_the_name_of_another_site_is_refused(centre: Centre) -> None:
    envelope = approval(centre, SITES[1], signer=centre.officers[SITES[0]])
    with pytest.raises(StatementOfAnotherError):
        register(centre, statements=statement(SITES[0], "approval", envelope))


@pytest.mark.parametrize(
    ("kind", "signed", "field"),
    [
        ("update", {"patients": 121}, r"participants\..*\.patients"),
        ("update", {"epsilon": 7.4}, r"privacy\..*\.epsilon"),
        ("evaluation", {"value": 0.86}, r"evaluations\."),
    ],
)
def test_a_figure_other_than_the_signed_one_is_refused(
    centre: Centre, kind: str, signed: dict[str, object], field: str
) -> None:
    make = update if kind == "update" else evaluation
    envelope = make(centre, SITES[0], **signed)  # type: ignore[arg-type]
    with pytest.raises(ProblemsFound, match=field):
        register(centre, statements=statement(SITES[0], kind, envelope))


def test_the_figures_that_were_signed_are_registered(centre: Centre) -> None:
    envelope = evaluation(centre, SITES[0], value=0.87)
    register(centre, statements=statement(SITES[0], "evaluation", envelope))


def test_a_signed_refusal_does_not_pass_for_an_approval(centre: Centre) -> None:
    envelope = approval(centre, SITES[0], decision="refused")
    with pytest.raises(StatementOfAnotherError):
        register(centre, statements=statement(SITES[0], "approval", envelope))


def test_an_update_of_another_run_is_refused(centre: Centre) -> None:
    envelope = update(centre, SITES[0], run="cxr-2026.9")
    with pytest.raises(StatementOfAnotherError):
        register(centre, statements=statement(SITES[0], "update", envelope))


def test_an_approval_of_another_version_of_the_study_is_refused(centre: Centre) -> None:
    study = {"id": "cxr-2026", "title": "x", "digest": Sha256.of(b"changed afterwards")}
    given = statement(SITES[0], "approval", approval(centre, SITES[0]))
    with pytest.raises(StatementOfAnotherError):
        register(centre, study=study, statements=given)


def test_a_statement_handed_in_as_another_kind_is_refused(centre: Centre) -> None:
    given = statement(SITES[0], "evaluation", update(centre, SITES[0]))
    with pytest.raises(WrongPredicateError):
        register(centre, statements=given)
    with pytest.raises(MalformedEnvelopeError):
        register(centre, statements=statement(SITES[0], "rumour", update(centre, SITES[0])))


def test_a_statement_with_one_changed_byte_is_refused(centre: Centre) -> None:
    envelope = parse(update(centre, SITES[0]))
    assert isinstance(envelope, dict)
    content = envelope["payload"]
    envelope["payload"] = content[:40] + ("A" if content[40] != "A" else "B") + content[41:]
    given = statement(SITES[0], "update", canonical(envelope).decode())
    with pytest.raises(BadSignatureError):
        register(centre, statements=given)


def test_a_missing_model_is_refused(centre: Centre) -> None:
    given = candidate(centre)
    (centre.registrar.artefacts / given.model.path).unlink()
    with pytest.raises(ArtefactError):
        centre.registrar.register(given, actor="centre")


@pytest.mark.parametrize(
    "wrong",
    [
        {"sha256": Sha256.of(b"other")},
        {"size_bytes": 1},
        {"parameters": 24},
        {"path": "../evidence.key"},
        {"path": "a/../../evidence.key"},
    ],
    ids=str,
)
def test_a_model_that_is_not_the_one_named_is_refused(
    centre: Centre, wrong: dict[str, object]
) -> None:
    model = save_model(centre.registrar.artefacts) | wrong
    with pytest.raises((ArtefactError, RecordInvalidError)):
        register(centre, model=model)


def test_a_model_linked_from_outside_the_store_is_refused(centre: Centre, tmp_path: Path) -> None:
    given = candidate(centre)
    inside = centre.registrar.artefacts / given.model.path
    inside.symlink_to(inside.rename(tmp_path / "outside.safetensors"))
    with pytest.raises(ArtefactError):
        centre.registrar.register(given, actor="centre")


@pytest.mark.parametrize(
    "content",
    [b"\x80\x04pickle", b"\xff" * 40, (8).to_bytes(8, "little") + b"not json", b"PK\x03\x04"],
    ids=["pickle", "huge header", "no json", "zip"],
)
def test_a_model_that_is_not_safetensors_is_refused(centre: Centre, content: bytes) -> None:
    (centre.registrar.artefacts / "model.bin").write_bytes(content)
    model = save_model(centre.registrar.artefacts) | {
        "path": "model.bin",
        "sha256": Sha256.of(content),
        "size_bytes": len(content),
    }
    with pytest.raises(ArtefactError):
        register(centre, model=model)


def test_a_models_id_alone_shows_its_newest_version(centre: Centre) -> None:
    register(centre)
    second = register(centre, run="cxr-2026.2", statements=[])
    assert show(centre.registrar.store, "TWAI-2026-00001-4").entry == second


@pytest.mark.parametrize(
    "asked", ["TWAI-2026-00001-5", "TWAI-2026-00010-4", "TWAI-2026-00001-4.v9.0.0", "", "' OR 1"]
)
def test_what_is_not_there_is_not_found(centre: Centre, asked: str) -> None:
    register(centre)
    with pytest.raises(EntryNotFoundError):
        show(centre.registrar.store, asked)


def test_a_changed_record_does_not_pass_as_the_signed_one(centre: Centre) -> None:
    entry = shown(centre, register(centre))
    entry.record["rounds"] = {"asked": 3, "done": 2}
    assert check_entry(entry, key=centre.signer.public_key).failure is not None


def test_an_entry_does_not_verify_under_another_key(centre: Centre, tmp_path: Path) -> None:
    other = new_key(tmp_path / "other.key").public_key
    entry = shown(centre, register(centre))
    assert isinstance(check_entry(entry, key=other).failure, UnknownSignerError)
    assert check_entry(entry, key=None).record is None
