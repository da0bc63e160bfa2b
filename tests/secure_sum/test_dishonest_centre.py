"""A centre that cheats meets hospitals that run the real client code, keys and approvals.

After one honest evaluation, the centre sends tasks of its own making: a second run that
it plays out, and a third in which it tries everything else and gets no answer. (A policy
allows three runs of a study without privacy.)
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from scipy import stats

from clients.client_app import HospitalHandler
from clients.evaluation_study.predictions import KeptPredictions
from clients.home import NodeHome
from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.domain.study import Study
from federation.errors.base import PlatformError
from federation.errors.ledger import GateRefusedError
from federation.errors.secure_sum import (
    SumKeyRefusedError,
    SumPeersRefusedError,
    TooFewInSumError,
)
from federation.evidence.signing import Signer
from federation.operations.evaluations.planning import Wanted, plan_study
from federation.secure_sum import Masked, PairwiseMasks, Session
from federation.wire.messages import Reply, Task
from federation.wire.statistics import from_floats, layout_of
from tests.evaluate.in_process import in_a_month, in_process, trained_homes
from tests.scenarios.homes import SITES

pytestmark = pytest.mark.slow
A, B, C = SITES
PREPARE, SUM = 1, 2


@dataclass
class Centre:
    """What a centre has after an honest evaluation: the study, its tasks, a way to each node."""

    study: Study
    nodes: dict[SiteId, NodeHome]
    sent: dict[int, Task]

    def ask(self, site: SiteId, number: int, **changes: object) -> Reply:
        task = replace(self.sent[number], **changes)  # type: ignore[arg-type]
        return HospitalHandler(self.nodes[site])(task)

    def run(self, number: int) -> RunId:
        return RunId.of(self.study.id, number)

    def prepare(self, run: RunId) -> tuple[str, ...]:
        """Return the keys that the hospitals give for a run of the centre's making."""
        return tuple(str(self.ask(site, PREPARE, run=run).report["sum_key"]) for site in SITES)

    def row(self, site: SiteId) -> np.ndarray:
        """Return what a hospital counted, from its own disk."""
        row = KeptPredictions.of(self.nodes[site], self.study).row(PREPARE)
        assert row is not None
        return row

    def forged(self, run: RunId, site: SiteId) -> str:
        """Return a key for a site whose secret the centre knows."""
        session = Session(self.study.id, self.study.digest, run, PREPARE)
        own = Signer(Ed25519PrivateKey.generate())
        return PairwiseMasks().offer(session, site=site, signer=own).envelope


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    homes, entry = trained_homes(tmp_path_factory.mktemp("dishonest"))
    with in_process(homes) as honest:
        wanted = Wanted(
            StudyId("eval-1"), [entry], "chest-x-ray", in_a_month(), claims={entry: 0.6}
        )
        study = plan_study(honest.centre, wanted)
        sent: dict[int, Task] = {}
        honest.hospitals.altered = lambda task: sent.setdefault(task.round, task)
        result = honest.evaluate(study)
        assert result.evaluation is not None, result.errors
        yield Centre(study, honest.nodes, sent)


def of_reply(reply: Reply) -> Masked:
    assert reply.update is not None
    return Masked(from_floats(reply.update), Sha256(str(reply.report["sum_of"])))


def test_what_the_centre_holds_of_each_hospital_is_noise_and_together_the_sum(
    centre: Centre,
) -> None:
    assert centre.study.evaluation is not None
    cells = layout_of(centre.study.evaluation, 1).cells
    held = {site: of_reply(centre.ask(site, SUM)) for site in SITES}  # the kept replies

    total = PairwiseMasks().unmask(held, sites=SITES, cells=cells)

    assert (total == sum(centre.row(site) for site in SITES)).all()
    for site in SITES:
        octets = np.bincount(held[site].numbers.view(np.uint8), minlength=256)
        assert (held[site].numbers[:-1] != centre.row(site).astype(np.uint64)).mean() > 0.999
        assert stats.chisquare(octets).pvalue > 1e-6  # fresh keys: once in 300,000 runs


def test_a_second_run_gives_the_same_sum_and_other_noise_whatever_was_refused_before(
    centre: Centre,
) -> None:
    assert centre.study.evaluation is not None
    run = centre.run(2)
    keys = centre.prepare(run)
    with pytest.raises(SumKeyRefusedError):
        centre.ask(A, SUM, run=run, keys=(keys[0], keys[1], centre.forged(run, C)))
    held = {site: of_reply(centre.ask(site, SUM, run=run, keys=keys)) for site in SITES}

    total = PairwiseMasks().unmask(
        held, sites=SITES, cells=layout_of(centre.study.evaluation, 1).cells
    )

    assert (total == sum(centre.row(site) for site in SITES)).all()
    assert (held[A].numbers != of_reply(centre.ask(A, SUM)).numbers).mean() > 0.999


def test_a_key_of_the_centre_in_place_of_a_hospitals_is_refused_by_the_others(
    centre: Centre,
) -> None:
    run = centre.run(3)
    keys = centre.prepare(run)
    for site, other in ((A, 1), (B, 2), (C, 0)):
        swapped = list(keys)
        swapped[other] = centre.forged(run, SITES[other])
        with pytest.raises(SumKeyRefusedError, match="none of the node keys"):
            centre.ask(site, SUM, run=run, keys=tuple(swapped))


def test_a_hospital_that_the_centre_invents_is_refused(centre: Centre) -> None:
    run = centre.run(3)
    ghost = centre.forged(run, SiteId("ghost"))
    with pytest.raises(SumKeyRefusedError, match="none of the node keys"):
        centre.ask(A, SUM, run=run, keys=(*centre.prepare(run), ghost))


def test_keys_of_an_earlier_run_are_refused(centre: Centre) -> None:
    earlier, run = centre.sent[SUM].keys, centre.run(3)
    keys = centre.prepare(run)
    for mixed in (earlier, (*keys[:2], earlier[2])):
        with pytest.raises(SumKeyRefusedError, match="another study, run or round"):
            centre.ask(A, SUM, run=run, keys=mixed)


def test_a_sum_of_two_hospitals_or_of_one_three_times_is_refused(centre: Centre) -> None:
    run = centre.run(3)
    keys = centre.prepare(run)
    with pytest.raises((TooFewInSumError, GateRefusedError)):
        centre.ask(A, SUM, run=run, keys=keys[:2])
    for repeated in ((keys[0],) * 3, (keys[0], keys[1], keys[1])):
        with pytest.raises(SumPeersRefusedError, match="twice"):
            centre.ask(A, SUM, run=run, keys=repeated)


def test_no_key_at_all_is_refused(centre: Centre) -> None:
    run = centre.run(3)
    centre.prepare(run)
    for keys in ((), ("", "", ""), ("{}", "{}", "{}")):
        with pytest.raises(PlatformError):
            centre.ask(A, SUM, run=run, keys=keys)
