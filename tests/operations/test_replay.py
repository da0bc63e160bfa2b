"""A replay gives the same digests from the kept records alone, or names what differs first."""

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from federation.domain.ids import RunId, Sha256, SiteId
from federation.domain.replay import Outcome, Replayed, Thing
from federation.domain.run import RoundKind
from federation.errors.ledger import KeptReplyDamagedError
from federation.errors.replay import ReplayDiffersError, ReplayIncompleteError
from federation.evidence.model_version import (
    LoggedStatement,
    NoPrivacyStatement,
    Participant,
    PooledMetric,
    Record,
    SiteMetric,
)
from federation.evidence.signing import new_key
from federation.operations.replaying.kept import KeptReply, KeptRound
from federation.recipes import model_files
from federation.wire.messages import FlatModel, TaskKind
from tests.operations.replayed_runs import (
    MANIFEST,
    PlayedRun,
    a_played_run,
    a_run,
    evaluation_of,
    wrong,
)

NORTH, CENTRE, SOUTH = SiteId("north"), SiteId("centre"), SiteId("south")


@pytest.fixture
def run(tmp_path: Path) -> PlayedRun:
    return a_played_run(tmp_path)


@pytest.mark.parametrize("private", [False, True])
def test_a_run_replays_from_what_was_kept(tmp_path: Path, private: bool) -> None:
    found = a_played_run(tmp_path, private=private).replayed()

    assert (found.status, found.rounds, found.changes) == ("same", 2, ())
    assert [one.thing for one in found.of_round(1)] == [
        Thing.ROUND_MODEL, Thing.SITES, Thing.SIGNATURE, Thing.UPDATE, Thing.WEIGHT, Thing.MODEL,
        Thing.STRATEGY,
    ]  # fmt: skip
    found.check()


def test_replies_are_summed_in_the_order_of_the_sites_names(run: PlayedRun) -> None:
    run.change(0, replies=tuple(reversed(run.played[0].replies)))

    assert run.replayed().status == "same"


def test_the_evaluation_is_replayed_after_the_last_round(run: PlayedRun) -> None:
    last = [one for one in run.replayed().findings if one.thing is Thing.EVALUATION]

    assert [(one.round, one.outcome, one.again) for one in last] == [(2, Outcome.SAME, "3")]


def _one_byte(run: PlayedRun, digest: Sha256 | None) -> None:
    assert digest is not None
    path = run.path_of(digest)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


SPOILERS: dict[str, tuple[Callable[[PlayedRun], object], int, Thing]] = {
    "seed of the first model": (
        lambda run: run.record.update(initial_model=str(Sha256.of(b"x"))), 0, Thing.INITIAL_MODEL),
    "model that was asked with": (
        lambda run: run.change(1, model=Sha256.of(b"x")), 2, Thing.ROUND_MODEL),
    "sites that were selected": (
        lambda run: run.change(0, selected=(NORTH, SOUTH)), 1, Thing.SITES),
    "sites there were to select from": (
        lambda run: run.change(0, available=(NORTH,)), 1, Thing.SITES),
    "a site that is not in the study": (
        lambda run: run.change(0, selected=(*run.study.sites, SiteId("east"))), 1, Thing.SITES),
    "a byte of an update": (
        lambda run: _one_byte(run, run.played[1].replies[0].update), 2, Thing.UPDATE),
    "one update for another": (
        lambda run: run.change_reply(0, 0, update=run.played[0].replies[1].update),
        1, Thing.SIGNATURE),
    "a number of a report": (
        lambda run: run.change_reply(
            0, 1, report={**run.played[0].replies[1].report, "loss": 0.4}), 1, Thing.SIGNATURE),
    "a signature of another round": (
        lambda run: run.change_reply(1, 0, signature=run.played[0].replies[0].signature),
        2, Thing.SIGNATURE),
    "one site's reply as another's": (
        lambda run: run.change_reply(0, 2, site=NORTH), 1, Thing.SIGNATURE),
    "a weight": (lambda run: run.change_reply(0, 0, weight=2.0), 1, Thing.WEIGHT),
    "a byte of a checkpoint": (
        lambda run: _one_byte(run, run.played[0].checkpoint), 1, Thing.MODEL),
    "one checkpoint for another": (
        lambda run: run.change(0, checkpoint=run.played[1].checkpoint), 1, Thing.MODEL),
    "the strategy's state": (
        lambda run: run.change(0, strategy=run.played[1].strategy), 1, Thing.STRATEGY),
    "an evaluation": (
        lambda run: run.change_reply(2, 0, report=evaluation_of(NORTH) | {"loss": 0.1}),
        2, Thing.EVALUATION),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILERS)
def test_a_changed_record_is_named_with_its_round(run: PlayedRun, name: str) -> None:
    spoil, number, thing = SPOILERS[name]
    spoil(run)

    found = run.replayed()

    assert found.first is not None
    assert (found.first.round, found.first.thing) == (number, thing)
    assert found.status == "different"
    with pytest.raises(ReplayDiffersError, match=f"round {number}"):
        found.check()


def test_only_the_round_that_differs_is_named(run: PlayedRun) -> None:
    other = run.models[1] + np.float32(1e-4)
    run.change(0, checkpoint=run.artefacts.put_model(other, MANIFEST))

    later = [one for one in wrong(run.replayed()) if one.round == 2]

    assert [one.thing for one in later] == [Thing.ROUND_MODEL, Thing.MODEL]  # went on from the kept


def test_a_deleted_update_is_named_and_the_replay_goes_on(run: PlayedRun) -> None:
    digest = run.played[0].replies[2].update
    assert digest is not None
    run.path_of(digest).unlink()

    found = run.replayed()

    assert found.status == "missing"
    assert [(one.round, one.thing, one.site) for one in wrong(found)] == [(1, Thing.UPDATE, SOUTH)]
    assert Outcome.SAME in [one.outcome for one in found.of_round(2) if one.thing is Thing.MODEL]
    with pytest.raises(ReplayIncompleteError, match=r"round 1, the bytes of an update \(south\)"):
        found.check()


def test_a_deleted_checkpoint_is_named_and_not_needed(run: PlayedRun) -> None:
    assert run.played[0].checkpoint is not None
    run.path_of(run.played[0].checkpoint).unlink()

    found = run.replayed()

    assert [(one.round, one.thing) for one in wrong(found)] == [(1, Thing.MODEL)]
    assert found.status == "missing"


def test_without_update_and_checkpoint_there_is_nothing_to_go_on_from(run: PlayedRun) -> None:
    for digest in (run.played[0].checkpoint, run.played[0].replies[0].update):
        assert digest is not None
        run.path_of(digest).unlink()

    found = run.replayed()

    assert {one.round for one in found.findings} == {0, 1}
    assert [one.thing for one in wrong(found)] == [Thing.UPDATE, Thing.MODEL]


def test_a_run_without_a_record_of_its_beginning_is_replayed_all_the_same(run: PlayedRun) -> None:
    run.record.clear()

    found = run.replayed()

    assert (found.status, found.findings[0].outcome) == ("same", Outcome.UNCHECKED)


def test_another_machine_is_named_as_the_likely_reason(run: PlayedRun) -> None:
    environment = dict(run.record["environment"])  # type: ignore[call-overload]
    run.record["environment"] = {**environment, "machine": "aarch64"}
    run.change(0, model=Sha256.of(b"x"))

    with pytest.raises(ReplayDiffersError, match="machine aarch64 -> "):
        run.replayed().check()


def test_a_replay_is_plain_json(run: PlayedRun) -> None:
    run.change_reply(0, 0, weight=2.0)

    told = json.loads(json.dumps(run.replayed().as_json()))

    assert told["status"] == "different"
    assert told["first"] == {
        "round": 1, "thing": "weight", "outcome": "different", "site": "north", "kept": "2.0",
        "again": "50.0", "code": None,
    }  # fmt: skip


# -- training again --------------------------------------------------------------


def test_training_again_at_the_sites_is_compared_bit_for_bit(run: PlayedRun) -> None:
    asked: list[tuple[int, SiteId]] = []

    def retrain(played: KeptRound, reply: KeptReply, model: FlatModel) -> Sha256 | None:
        asked.append((played.number, reply.site))
        assert np.array_equal(model, run.models[played.number - 1])
        if reply.site == SOUTH:
            return None  # that hospital is not at hand
        is_off = (played.number, reply.site) == (2, CENTRE)
        return Sha256.of(b"x") if is_off else reply.update

    found = run.replayed(retrain=retrain)

    assert len(asked) == 6
    assert [(one.round, one.thing, one.site) for one in wrong(found)] == [
        (2, Thing.TRAINING, CENTRE)
    ]


def test_training_that_cannot_be_done_again_is_said_with_its_code(run: PlayedRun) -> None:
    def refuse(*_: object) -> Sha256 | None:
        raise KeptReplyDamagedError(round=1, run=run.run)

    found = run.replayed(retrain=refuse)

    said = {one.code for one in found.findings if one.thing is Thing.TRAINING}
    assert (found.status, said) == ("same", {KeptReplyDamagedError.code})


def test_a_private_run_is_never_trained_again(tmp_path: Path) -> None:
    run = a_played_run(tmp_path, private=True)

    assert run.replayed(retrain=lambda *_: pytest.fail("trained")).status == "same"


# -- the registered model --------------------------------------------------------


def an_entry(run: PlayedRun, **changes: object) -> Record:
    """Return what the registry would say of the run, its numbers written by hand."""
    names = sorted(run.study.sites)
    values = {site: 0.7 + 0.05 * (len(site) - 4) for site in names}
    statements = [(played.kind, reply) for played in run.played for reply in played.replies]
    entry = {
        "schema": "trifed.model-version/1",
        "id": "TWAI-2026-00001-4",
        "version": "0.1.0",
        "state": "draft",
        "created": "2026-11-22T00:00:00Z",
        "study": {"id": run.study.id, "title": run.study.title, "digest": str(run.study.digest)},
        "run": str(run.run),
        "recipe": {"name": "r", "version": "1", "digest": str(run.study.recipe_digest)},
        "model": {"path": "m", "sha256": str(run.played[1].checkpoint), "size_bytes": 1,
                  "parameters": MANIFEST.size},
        "rounds": {"asked": 2, "done": 2},
        "participants": tuple(
            Participant(site=site, patients=40, rounds=2, dataset_digest=str(Sha256.of(b"data")))
            for site in names
        ),
        "evaluations": tuple(
            SiteMetric(site=site, name="auroc", value=value, low=value - 0.1, high=value + 0.1,
                       n=40, method="patient bootstrap, B=2000")
            for site, value in values.items()
        ),
        "pooled": (
            PooledMetric(name="auroc", value=0.7667, low=0.727, high=0.8064, n=120, method="mean"),
        ),
        "privacy": tuple(
            NoPrivacyStatement.model_validate(
                {"site": str(site), "statement": {"zh-TW": "無", "en": "none"}})
            for site in names
        ),
        "code": {"version": "1", "wheel_digest": str(Sha256.of(b"w"))},
        "environment": {"python": "3.11", "packages_digest": str(Sha256.of(b"p"))},
        "statements": tuple(
            LoggedStatement(
                site=str(reply.site),
                kind="update" if kind is RoundKind.TRAIN else "evaluation",
                envelope_digest=str(Sha256.of(reply.signature.encode())),
                keyid=str(run.key_of(reply.site).keyid), log_index=index)
            for index, (kind, reply) in enumerate(statements)
        ),
        **changes,
    }  # fmt: skip
    return Record.model_validate(entry)


def of_the_registry(found: Replayed) -> dict[Thing, Outcome]:
    return {one.thing: one.outcome for one in found.findings if "registry" in one.thing.value}


def test_the_registered_model_statements_and_numbers_are_computed_again(run: PlayedRun) -> None:
    run.entry = an_entry(run)

    assert of_the_registry(run.replayed()) == dict.fromkeys(
        (Thing.REGISTRY_MODEL, Thing.REGISTRY_STATEMENTS, Thing.REGISTRY_SUMMARY), Outcome.SAME
    )


def test_a_run_that_was_not_registered_is_no_fault(run: PlayedRun) -> None:
    assert of_the_registry(run.replayed()) == {Thing.REGISTRY_MODEL: Outcome.UNCHECKED}


@pytest.mark.parametrize(
    ("change", "thing"),
    [
        (lambda run, entry: {"model": entry.model.model_copy(
            update={"sha256": str(run.played[0].checkpoint)})}, Thing.REGISTRY_MODEL),
        (lambda run, entry: {"statements": entry.statements[1:]}, Thing.REGISTRY_STATEMENTS),
        (lambda run, entry: {"rounds": {"asked": 2, "done": 1}}, Thing.REGISTRY_SUMMARY),
        (lambda run, entry: {"pooled": ()}, Thing.REGISTRY_SUMMARY),
        (lambda run, entry: {"evaluations": entry.evaluations[1:]}, Thing.REGISTRY_SUMMARY),
        (lambda run, entry: {"participants": entry.participants[1:]}, Thing.REGISTRY_SUMMARY),
    ],
)  # fmt: skip
def test_an_entry_that_does_not_follow_from_the_replies_is_found(
    run: PlayedRun, change: Callable[[PlayedRun, Record], dict[str, object]], thing: Thing
) -> None:
    run.entry = an_entry(run, **change(run, an_entry(run)))

    first = run.replayed().first

    assert first is not None
    assert first.thing is thing


# -- memory ----------------------------------------------------------------------


def test_memory_is_one_model_and_one_aggregate_whatever_the_number_of_sites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = new_key(tmp_path / "node.key")
    signers = {SiteId(f"site-{number}"): signer for number in range(9)}
    monkeypatch.setattr("tests.operations.replayed_runs.EXAMPLES", dict.fromkeys(signers, 50))
    run = a_run(tmp_path, signers=signers, sites=tuple(signers), recipe="cxr-pneumonia")
    model = run.models[0]
    run.train(updates=dict.fromkeys(signers, model * np.float32(1e-3)))

    tracemalloc.start()
    try:
        assert run.replayed().status == "same"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 3.5 * model.nbytes


def test_a_model_file_is_read_back_as_it_was_written(run: PlayedRun) -> None:
    checkpoint = run.played[1].checkpoint
    assert checkpoint is not None
    path = run.path_of(checkpoint)

    assert np.array_equal(model_files.read_model_file(path, MANIFEST), run.models[2])
    assert model_files.digest_of_model_file(path, MANIFEST) == model_files.digest_of_flat(
        run.models[2]
    )


def test_the_same_site_cannot_reply_twice_to_a_round(run: PlayedRun) -> None:
    run.change(0, replies=(*run.played[0].replies, run.played[0].replies[0]))

    first = run.replayed().first

    assert first is not None
    assert (first.round, first.thing) == (1, Thing.MODEL)


def test_an_evaluation_of_another_run_is_found(run: PlayedRun) -> None:
    other = replace(run, run=RunId("cxr-2026.2"), played=[])
    stranger = other.reply(NORTH, 2, TaskKind.EVALUATE, None)
    run.change_reply(2, 0, signature=stranger.signature)

    assert [one.thing for one in wrong(run.replayed())] == [Thing.EVALUATION]
