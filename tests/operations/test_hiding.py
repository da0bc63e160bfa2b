"""A study that asks for privacy of whole hospitals gets noise, and its cost is in the book."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federation.domain.ids import RunId, Sha256
from federation.domain.replay import Outcome, Thing
from federation.domain.study import CentralPlan, PrivacyPlan
from federation.operations.artefacts import Artefacts
from federation.operations.campaign import hiding
from federation.operations.embedded_registry import release_books
from federation.operations.launch import study_as_stored
from federation.operations.replaying.centre import Replay
from federation.operations.replaying.stored import StoredRun, key_in
from federation.privacy.events import Gaussian, event_from_json
from tests.builders import a_study
from tests.operations.fakes import Federation, a_federation, decide, prepared
from tests.operations.replayed_runs import wrong

NOISE = 2.0
PLAN = CentralPlan(clip_norm=1.0, noise_multiplier=NOISE)
STUDY = a_study(quorum=3, privacy=PrivacyPlan(epsilon=8.0, delta=1e-3, clip_norm=1.0, central=PLAN))


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[Federation]:
    centre, nodes = prepared(tmp_path)
    said = {site: decide(node, STUDY) for site, node in nodes.items()}
    with a_federation(centre, nodes, said=said, study=STUDY) as made:
        yield made


def rounds_of(fed: Federation) -> list[dict[str, Any]]:
    stored: Any = study_as_stored(fed.centre.folder, fed.study.id)
    return [one for one in stored["runs"][-1]["played"] if one.get(hiding.EVENTS)]


def test_every_round_has_noise_of_its_own_and_its_cost_in_the_book(fed: Federation) -> None:
    assert fed.run().status == "completed"

    played = rounds_of(fed)
    events = [event_from_json(one) for row in played for one in row[hiding.EVENTS]]
    book = release_books(fed.centre).library().book(f"hospitals:{STUDY.id}")

    assert events == [Gaussian(NOISE, 1)] * STUDY.training.rounds
    assert list(book.events(study=STUDY.id)) == events


def test_the_model_is_not_the_plain_mean(fed: Federation, monkeypatch: Any) -> None:
    drawn: list[int] = []

    class Counting:
        def gaussian(self, size: int) -> Any:
            drawn.append(size)
            return np.full(size, 3.0)

    monkeypatch.setattr(hiding, "SecureRandom", Counting)
    fed.run()

    artefacts = Artefacts.of(fed.centre)
    first = rounds_of(fed)[0]
    before, _ = artefacts.get_model(Sha256(first["start"]["model"]))
    after, _ = artefacts.get_model(Sha256(first["model"]))
    spread = NOISE * PLAN.clip_norm / len(STUDY.sites)
    assert drawn == [before.size] * STUDY.training.rounds
    assert np.all(np.abs(after - before - 3.0 * spread) <= PLAN.clip_norm + 1e-5)


def test_a_replay_says_that_noise_was_never_kept(fed: Federation) -> None:
    fed.run()

    with StoredRun.open(fed.centre, RunId.of(STUDY.id, 1)) as kept:
        found = Replay(kept, key_of=key_in(fed.centre)).run()

    models = [one.outcome for one in found.findings if one.thing is Thing.MODEL]
    assert models == [Outcome.UNCHECKED] * STUDY.training.rounds
    assert wrong(found) == []
