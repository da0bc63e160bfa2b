"""Two versions at three hospitals through the real code: what pairs come to, and what stays."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients.evaluation_study.counting import statistics_of
from clients.evaluation_study.kept import SUMS
from clients.evaluation_study.predictions import KeptPredictions, Predictions
from federation.domain.evaluation_plan import Family
from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.domain.replay import Thing
from federation.domain.run import RoundKey, RoundKind, RoundState
from federation.domain.study import Study
from federation.evaluation.explained import SPANS
from federation.operations.artefacts import Artefacts
from federation.operations.campaign import playing
from federation.operations.embedded_registry import desk
from federation.operations.evaluations import showing
from federation.operations.evaluations.planning import Wanted, plan_study
from federation.operations.evaluations.running import enter_later
from federation.operations.evaluations.submitting import People, submit_plan
from federation.operations.replaying.evaluation import replay_evaluation
from federation.operations.store.database import Database
from federation.operations.store.rounds import RoundStore
from federation.wire.statistics import layout_of
from federation.wording import Language
from tests.evaluate.in_process import Federation, in_a_month, lighter
from tests.evaluate.test_federated import APPROVER, WRITER, fed_digest

RUN = RunId("eval-2.1")


def planned(fed: Federation, entries: list[str]) -> Study:
    wanted = Wanted(
        StudyId("eval-2"), entries, "chest-x-ray", in_a_month(),
        claims=dict.fromkeys(entries, 0.7), seed=11,
    )  # fmt: skip
    return lighter(plan_study(fed.centre, wanted))


def kept(fed: Federation, study: Study, place: int) -> list[Predictions]:
    found = [KeptPredictions.of(node, study).read(place) for node in fed.nodes.values()]
    assert all(one is not None for one in found)
    return found  # type: ignore[return-value]


@pytest.fixture
def second(fed: Federation) -> str:
    """Return another version, trained by the same hospitals from another seed."""
    return fed.train("trained-again", seed=9)


def test_two_versions_come_to_what_all_patients_in_one_place_would_give(
    fed: Federation, entry: str, second: str
) -> None:
    study = planned(fed, [entry, second])
    plan = study.evaluation
    assert plan is not None and plan.asks(Family.PAIRED)
    ids = submit_plan(fed.centre, study, People(WRITER, APPROVER))

    result = fed.evaluate(study)

    assert (result.status, result.errors, result.refused) == ("completed", [], [])
    documents = showing.show_evaluation(fed.centre, second).documents
    assert "paired" not in documents[entry] and "paired" in documents[second]
    for document in documents.values():
        assert set(document["explainability"]["statistics"]) <= set(SPANS)
        said = document["explainability"]["statistics"]["completeness"]
        assert said["mean"]["value"] < 0.05 and said["cases"] <= 3 * 12
    assert not any(one.endswith(".paired") for one in ids)
    _check_total(fed, study, place=2)
    _check_rows_are_gone(fed, study)
    register = desk(fed.centre)
    metrics: Any = register.get("evaluation", "eval-2.2.explainability").body["metrics"]
    assert {one["name"] for one in metrics} >= {"completeness-gap", "deletion-gain"}
    shown = showing.show_evaluation(fed.centre, second)
    for language, word in ((Language.EN, "Explanations"), (Language.ZH_HANT_TW, "解釋檢查")):
        lines = [line for line in showing.words_of(shown, language) if word in line]
        assert len(lines) == sum(
            len(one["explainability"]["statistics"]) for one in documents.values()
        )
    assert enter_later(fed.centre, study.id, by=WRITER).documents[second] == fed_digest(fed, second)
    _check_replay(fed)


def _check_replay(fed: Federation) -> None:
    """The replay finds everything as it was, then each thing that is changed."""
    assert _replayed(fed) == ("same", None)
    total = _record(fed, 4)["total"]
    path = fed.centre.artefacts / total.hex[:2] / total.hex
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert _replayed(fed) == ("different", Thing.TOTAL)
    path.unlink()
    assert _replayed(fed) == ("missing", Thing.TOTAL)
    path.write_bytes(content)
    _forge(
        fed, "update replies set report = replace(report, '\"metrics\": []', '\"metrics\": [1]')"
    )
    assert _replayed(fed) == ("different", Thing.EVALUATION)


def _forge(fed: Federation, statement: str) -> None:
    """Change the centre's records past its own code."""
    with closing(sqlite3.connect(fed.centre.folder / "centre.db")) as database, database:
        database.execute(statement)


def _replayed(fed: Federation) -> tuple[str, Thing | None]:
    found = replay_evaluation(fed.centre, RUN, tell=lambda _: None)
    assert found is not None and found.rounds == 4
    return found.status, None if found.first is None else found.first.thing


def _check_total(fed: Federation, study: Study, *, place: int) -> None:
    """Compare the kept total with the sum of what the hospitals' predictions give."""
    assert study.evaluation is not None
    layout = layout_of(study.evaluation, place)
    rows = [
        layout.row(statistics_of(found, study.evaluation, seed=study.seed, first=first))
        for found, first in zip(kept(fed, study, place), kept(fed, study, 1), strict=True)
    ]
    total = np.frombuffer(Artefacts.of(fed.centre).get(_record(fed, 4)["total"]), "<i8")
    assert np.array_equal(total, np.sum(rows, axis=0))
    statistics = layout.statistics(total.astype(np.int64))
    assert statistics.joint is not None and int(statistics.joint.positives.sum()) > 0


def _record(fed: Federation, number: int) -> dict[str, Any]:
    row = RoundStore(Database.of(fed.centre)).round(RoundKey(RUN, RoundKind.EVALUATE, number))
    assert row is not None and row.state is RoundState.DONE
    return {**row.record, "total": Sha256(str(row.record["total"]))}


def _check_rows_are_gone(fed: Federation, study: Study) -> None:
    """No masked row lies at the centre any more, no secret of the sum at a hospital."""
    for number in (3, 4):
        for report in _record(fed, number)["reports"].values():
            digest = Sha256(report["update"])
            assert not (fed.centre.artefacts / digest.hex[:2] / digest.hex).exists()
    for node in fed.nodes.values():
        assert not list((node.folder / SUMS).glob(f"{RUN}.*.key"))
        assert len(list((node.folder / SUMS).glob(f"{study.digest.hex}.*.numbers"))) == 2


def test_rows_are_deleted_and_the_total_kept_when_the_centre_dies_between_the_two(
    fed: Federation, entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = planned(fed, [entry])
    real = playing.drop_parts

    def dies(*given: Any) -> None:
        real(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(playing, "drop_parts", dies)
    with pytest.raises(KeyboardInterrupt):
        fed.evaluate(study)
    monkeypatch.setattr(playing, "drop_parts", real)

    result = fed.again(study)

    assert (result.status, result.errors, result.refused) == ("completed", [], [])
    assert Artefacts.of(fed.centre).get(_record(fed, 2)["total"])
    assert showing.show_evaluation(fed.centre, entry).documents[entry]["assessment"]["slices"]


def test_a_sum_that_was_refused_binds_no_counts(fed: Federation, entry: str) -> None:
    """Who opts out after a refused sum is in none; after one that left, the counts stay."""
    study, node = planned(fed, [entry]), fed.nodes[SiteId("tainan")]
    fed.hospitals.altered = lambda task: (
        replace(task, keys=(task.keys[0], task.keys[1], task.keys[1])) if task.keys else task
    )
    assert fed.evaluate(study).status == "failed"
    row = KeptPredictions.of(node, study).row(1)
    assert row is not None and not list((node.folder / SUMS).glob("*.numbers"))
    fed.hospitals.altered = lambda task: task

    result = fed.again(study)

    assert (result.status, result.errors, result.refused) == ("completed", [], [])
    assert _claims(node.folder) == 1


def _claims(folder: Path) -> int:
    return len(list((folder / SUMS).glob("*.numbers")))
