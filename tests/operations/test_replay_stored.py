"""A run in a centre's database and artefact store is replayed by the command, with real keys."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from clients import replaying
from clients.home import NodeHome
from clients.standing import Asked
from federation.commands import replay as commands
from federation.coordinator.home import CentreHome
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import RunId, Sha256
from federation.domain.run import RoundKey, RoundState
from federation.errors import PlatformError
from federation.errors.machine import ArtefactDamagedError
from federation.errors.replay import (
    CheckpointNotKeptError,
    ReplayDiffersError,
    ReplayIncompleteError,
    RunMissingError,
    StudyReplacedError,
    UpdatesNotRecordedError,
)
from federation.evidence.signing import Signer
from federation.operations.artefacts import Artefacts, model_of_bytes
from federation.operations.campaign.checkpoints import Checkpoint
from federation.operations.campaign.records import planned_record
from federation.operations.launch import submit
from federation.operations.replaying.kept import KeptRound
from federation.operations.replaying.stored import StoredRun, key_in
from federation.operations.store.rounds import RoundStore, StoredReply
from federation.operations.store.studies import StudyStore
from federation.recipes.model_files import digest_of_flat
from tests.operations.replayed_runs import PlayedRun, a_run, a_run_study
from tests.pki.builders import a_centre, an_enrolled_node

NOW = datetime.now(UTC)
AUDIT = AuditEvent(AuditKind.ROUND_DONE, "centre", "cxr-2026.1", NOW)
NOTHING = Checkpoint(Sha256.of(b"none"), Sha256.of(b"none"))


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a centre and the hospitals that are enrolled at it; made once."""
    folder = tmp_path_factory.mktemp("homes")
    centre = a_centre(folder / "home")
    for site in a_run_study().sites:
        an_enrolled_node(folder / site, centre, site=site)
    return folder


@pytest.fixture
def centre(tmp_path: Path, homes: Path) -> CentreHome:
    shutil.copytree(homes, tmp_path, dirs_exist_ok=True)
    return CentreHome.open(tmp_path / "home")


@pytest.fixture
def run(tmp_path: Path, centre: CentreHome) -> PlayedRun:
    """Return a run of two rounds and an evaluation by enrolled hospitals, kept by the centre."""
    signers = {
        site: Signer.load(NodeHome.open(tmp_path / site).node_key) for site in a_run_study().sites
    }
    played = a_run(tmp_path, signers=signers, artefacts=Artefacts(centre.artefacts))
    played.train()
    played.train()
    played.evaluate()
    keep(centre, played)
    return played


def keep(centre: CentreHome, played: PlayedRun) -> None:
    """Write a run into the centre's database as a campaign does."""
    submit(centre, played.study)
    studies = StudyStore.of(centre)
    studies.start_run(played.study.id, played.record, audit=AUDIT)
    claim = studies.claim(played.study.id, {}, audit=AUDIT)
    rounds = RoundStore(studies.database, claim)
    for one in played.played:
        keep_round(rounds, RoundKey(played.run, one.kind, one.number), one)
    studies.close()


def planned(played: KeptRound) -> dict[str, object]:
    return planned_record(
        played.number,
        available=played.available or (),
        sites=played.selected,
        seed=7,
        start=NOTHING,
        asked=played.model,
        at=NOW.isoformat(),
    )


def keep_round(rounds: RoundStore, key: RoundKey, played: KeptRound) -> None:
    record = planned_record(
        key.number,
        available=played.available or (),
        sites=played.selected,
        seed=7,
        start=NOTHING,
        asked=played.model,
        at="",
    )
    rounds.plan(key, record, audit=AUDIT)
    rounds.move(key, RoundState.DISPATCHED, {}, audit=AUDIT)
    for reply in played.replies:
        rounds.keep_reply(
            key,
            StoredReply(reply.site, reply.update, reply.weight, dict(reply.report),
                        reply.signature, 0.1, NOW),
            audit=AUDIT,
        )  # fmt: skip
    made = {} if played.checkpoint is None or played.strategy is None else (
        Checkpoint(played.checkpoint, played.strategy).as_json()
    )  # fmt: skip
    rounds.move(key, RoundState.AGGREGATED, dict(made), audit=AUDIT)
    rounds.move(key, RoundState.EVIDENCED, {}, audit=AUDIT)
    rounds.move(key, RoundState.DONE, {}, audit=AUDIT)


@pytest.fixture
def kept(centre: CentreHome, run: PlayedRun) -> Iterator[StoredRun]:
    with StoredRun.open(centre, run.run) as stored:
        yield stored


def invoke(*arguments: object) -> str:
    """Run a command as the command line does; a coded error is raised."""
    app = typer.Typer()
    app.command("replay")(commands.replay_run)
    app.command("checkpoint")(commands.checkpoint)
    told = CliRunner().invoke(app, [str(one) for one in arguments])
    if isinstance(told.exception, PlatformError):
        raise told.exception
    assert told.exit_code == 0, told.output
    return told.output


def test_a_run_in_the_database_replays_with_the_enrolled_keys(
    centre: CentreHome, run: PlayedRun
) -> None:
    told = json.loads(invoke("replay", run.run, "--home", centre.folder, "--json"))

    assert (told["status"], told["rounds"], told["environment"]) == ("same", 2, [])
    assert {one["outcome"] for one in told["findings"]} == {"same", "unchecked"}


def test_people_are_told_round_by_round(centre: CentreHome, run: PlayedRun) -> None:
    told = invoke("replay", run.run, "--home", centre.folder).splitlines()

    assert told[0].startswith("Before the first round: same")
    assert told[1].startswith("Round 1: same (the model that the sites were asked with, ")
    assert told[-1].startswith("cxr-2026.1: 2 rounds computed once more")


def test_a_changed_update_makes_the_command_fail(centre: CentreHome, run: PlayedRun) -> None:
    digest = run.played[1].replies[0].update
    assert digest is not None
    path = run.path_of(digest)
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")

    with pytest.raises(ReplayDiffersError, match="round 2"):
        invoke("replay", run.run, "--home", centre.folder)


def test_a_deleted_update_makes_the_command_fail_and_names_it(
    centre: CentreHome, run: PlayedRun
) -> None:
    digest = run.played[0].replies[0].update
    assert digest is not None
    run.path_of(digest).unlink()

    with pytest.raises(ReplayIncompleteError, match=r"round 1.*\(north\)"):
        invoke("replay", run.run, "--home", centre.folder)


def test_a_key_that_was_enrolled_by_another_does_not_count(
    centre: CentreHome, run: PlayedRun, kept: StoredRun
) -> None:
    assert key_in(centre)(run.study.sites[0]).keyid == run.key_of(run.study.sites[0]).keyid


def test_rounds_that_are_not_done_are_left_out(
    centre: CentreHome, run: PlayedRun, kept: StoredRun
) -> None:
    studies = StudyStore.of(centre)
    rounds = RoundStore(studies.database, studies.claim(run.study.id, {}, audit=AUDIT))
    begun = RoundKey(run.run, run.played[0].kind, 3)
    rounds.plan(begun, planned(replace(run.played[0], number=3)), audit=AUDIT)
    studies.close()

    assert [one.number for one in kept.rounds()] == [1, 2, 2]


def test_a_run_that_is_not_there_is_named_with_those_that_are(
    centre: CentreHome, run: PlayedRun
) -> None:
    with (
        pytest.raises(RunMissingError, match=r"known: cxr-2026\.1"),
        StoredRun.open(centre, RunId("cxr-2026.9")),
    ):
        pass


def test_a_run_without_a_finished_round_has_nothing_to_replay(
    tmp_path: Path, centre: CentreHome
) -> None:
    keep(centre, a_run(tmp_path, artefacts=Artefacts(centre.artefacts)))

    with pytest.raises(UpdatesNotRecordedError):
        invoke("replay", "cxr-2026.1", "--home", centre.folder)


def test_a_run_of_a_version_that_was_replaced_is_refused(
    tmp_path: Path, centre: CentreHome
) -> None:
    played = a_run(tmp_path, artefacts=Artefacts(centre.artefacts))
    played.record["study_digest"] = str(Sha256.of(b"the version before"))
    keep(centre, played)

    with pytest.raises(StudyReplacedError):
        invoke("replay", "cxr-2026.1", "--home", centre.folder)


def test_the_models_of_all_rounds_can_be_handed_out(
    tmp_path: Path, centre: CentreHome, run: PlayedRun
) -> None:
    for number, model in enumerate(run.models):
        out = tmp_path / f"{number}.safetensors"

        told = json.loads(
            invoke("checkpoint", run.run, number, "--out", out, "--home", centre.folder, "--json")
        )

        assert told["sha256"] == Sha256.of(out.read_bytes())
        assert digest_of_flat(model_of_bytes(out.read_bytes())[0]) == digest_of_flat(model)


def test_a_model_of_a_round_that_was_not_done_is_refused(tmp_path: Path, kept: StoredRun) -> None:
    with pytest.raises(CheckpointNotKeptError, match="kept: 0, 1, 2"):
        kept.export_model(3, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_model_is_not_handed_out(tmp_path: Path, run: PlayedRun, kept: StoredRun) -> None:
    checkpoint = run.played[0].checkpoint
    assert checkpoint is not None
    run.path_of(checkpoint).write_bytes(b"other")

    with pytest.raises(ArtefactDamagedError):
        kept.export_model(1, tmp_path / "out")


def test_a_node_on_this_machine_is_trained_at_and_others_are_left(
    tmp_path: Path, centre: CentreHome, run: PlayedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, RunId, int]] = []

    def again(home: object, said: Asked, model: object) -> Sha256 | None:
        asked.append((said.study, said.run, said.round))
        kept: Sha256 | None = run.played[said.round - 1].replies[0].update
        return kept

    monkeypatch.setattr(replaying, "trained_again", again)
    node = tmp_path / run.study.sites[0]

    told = json.loads(
        invoke("replay", run.run, "--home", centre.folder, "--with-node", node, "--json")
    )

    assert asked == [("cxr-2026", run.run, 1), ("cxr-2026", run.run, 2)]
    found = [(one["round"], one["site"], one["outcome"]) for one in told["findings"]
             if one["thing"] == "training"]  # fmt: skip
    assert found == [(1, "north", "same"), (2, "north", "same")]
