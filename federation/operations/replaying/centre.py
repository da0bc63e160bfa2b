"""Replay a run at the centre from what it kept: the same digests, or the first that differs.

    for finding in Replay(kept, key_of=roster_key).findings():
        ...

1. The initial model is built again from recipe and seed.
2. In every round the sites are selected again from the seed; each reply's signature
   is verified, its update's digest taken from the bytes, its weight from its report.
3. The mean is taken over the sites in the order of their names, the strategy moves
   the model, and the checkpoint must hold exactly that model.
4. The evaluations' signatures are verified; the registered model, statements and
   numbers are compared with what the replies give.

Noise was never kept, so private updates are taken as they were signed. Where a
`retrain` is given, updates without noise are computed again too. After a round that
differs the replay goes on from the kept checkpoint. Memory: one model, one aggregate.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from federation.domain.ids import Sha256, SiteId
from federation.domain.replay import (
    Finding,
    Outcome,
    Replayed,
    Thing,
    compared,
    together,
)
from federation.domain.run import RoundKind
from federation.errors.base import PlatformError
from federation.errors.machine import ArtefactDamagedError, ArtefactMissingError
from federation.errors.rounds import TooFewSitesError
from federation.evidence.verification import PublicKey
from federation.operations.environment import changes_since
from federation.operations.judging import Asked, check_reply, weight_of
from federation.operations.replaying.kept import KeptReply, KeptRound, KeptRun
from federation.operations.replaying.summary import (
    Tally,
    numbers_of,
    statements_of,
)
from federation.privacy.central import central_mechanism_of
from federation.recipes.model_files import (
    digest_of_file,
    digest_of_flat,
    digest_of_model_file,
    initial_model,
    read_model_file,
    read_update,
)
from federation.server_app.rounds import SiteReply
from federation.wire.messages import FlatModel, TaskKind
from strategies.aggregation import CheckedUpdate, StreamingMean
from strategies.fedavg import FedAvg

Retrain = Callable[[KeptRound, KeptReply, FlatModel], Sha256 | None]
"""Train again where the data is, from a round's model; None where that hospital is not at hand."""

Tell = Callable[[Finding], None]

_TASKS = {RoundKind.TRAIN: TaskKind.TRAIN, RoundKind.EVALUATE: TaskKind.EVALUATE}


class Replay:
    """One replay of one run.

    Parameters
    ----------
    key_of
        The enrolled key that a site signs its replies with.
    """

    def __init__(
        self,
        kept: KeptRun,
        *,
        key_of: Callable[[SiteId], PublicKey],
        retrain: Retrain | None = None,
    ) -> None:
        self._kept, self._key_of, self._retrain = kept, key_of, retrain
        self._tally = Tally()
        self._checkpoint: Sha256 | None = None
        self._model: FlatModel | None
        self._model, self._manifest = initial_model(kept.study)
        self._strategy = FedAvg.for_study(kept.study, self._manifest.size)

    def run(self, *, tell: Tell = lambda _: None) -> Replayed:
        """Return the whole replay; `tell` hears of every finding as it is made."""
        findings = []
        for finding in self.findings():
            tell(finding)
            findings.append(finding)
        changes = changes_since(self._kept.record)
        return Replayed(self._kept.run, self._tally.rounds, tuple(findings), changes)

    def findings(self) -> Iterator[Finding]:
        """Compare everything, in order; stops where no model is left to go on from."""
        again = self._current()
        kept = self._kept.record.get("initial_model")
        yield compared(0, Thing.INITIAL_MODEL, kept=kept, again=again)
        for played in self._kept.rounds():
            if self._model is None:
                return
            yield compared(
                played.number, Thing.ROUND_MODEL, kept=played.model, again=self._current()
            )
            yield from self._replies(played)
            if played.kind is RoundKind.TRAIN:
                yield from self._trained(played)
            self._tally.add(played)
        yield from self._registered()

    # -- one round ---------------------------------------------------------------

    def _replies(self, played: KeptRound) -> Iterator[Finding]:
        """Compare who was asked, and what each site signed."""
        number, evaluates = played.number, played.kind is RoundKind.EVALUATE
        if not evaluates:
            yield self._sites(played)
        thing = Thing.EVALUATION if evaluates else Thing.SIGNATURE
        yield from together(number, thing, (self._signed(played, one) for one in played.replies))

    def _sites(self, played: KeptRound) -> Finding:
        available = played.selected if played.available is None else played.available
        try:
            again = self._strategy.select(
                available, quorum=self._kept.study.quorum, round_number=played.number
            )
        except TooFewSitesError as error:
            return _wrong(played, Thing.SITES, error)
        replied = {one.site for one in played.replies}
        if not replied <= set(played.selected) <= set(self._kept.study.sites):
            return Finding(played.number, Thing.SITES, Outcome.DIFFERENT)
        return compared(
            played.number,
            Thing.SITES,
            kept=",".join(sorted(played.selected)),
            again=",".join(again),
        )

    def _signed(self, played: KeptRound, reply: KeptReply) -> Finding:
        asked = Asked(
            _TASKS[played.kind], self._kept.study, self._kept.run, played.number, played.model
        )
        said = SiteReply(
            site=reply.site,
            report=dict(reply.report),
            signature=reply.signature,
            update_digest=reply.update,
            update_norm=None,
            seconds=0.0,
        )
        thing = Thing.SIGNATURE if played.kind is RoundKind.TRAIN else Thing.EVALUATION
        try:
            check_reply(said, asked, key=self._key_of(reply.site))
        except PlatformError as error:
            return _wrong(played, thing, error, site=reply.site)
        return Finding(played.number, thing, Outcome.SAME, reply.site)

    def _trained(self, played: KeptRound) -> Iterator[Finding]:
        """Compare updates, their weights and the model that they make."""
        number = played.number
        updates = [self._bytes(played, one) for one in played.replies]
        yield from together(number, Thing.UPDATE, updates)
        yield from together(number, Thing.WEIGHT, (self._weight(played, x) for x in played.replies))
        yield from self._retrained(played)
        if central_mechanism_of(self._kept.study) is not None:
            yield self._hidden(played)
        elif all(one.outcome is Outcome.SAME for one in updates):
            yield self._advanced(played)
            yield from self._state(played)
        elif not self._take_up(played):
            yield self._gone(played)

    def _bytes(self, played: KeptRound, reply: KeptReply) -> Finding:
        """Compare the digest of a kept update with its bytes."""
        if reply.update is None:
            return Finding(played.number, Thing.UPDATE, Outcome.MISSING, reply.site)
        try:
            again = digest_of_file(self._kept.path_of(reply.update))
        except ArtefactMissingError as error:
            return _wrong(played, Thing.UPDATE, error, site=reply.site, kept=reply.update)
        return compared(
            played.number, Thing.UPDATE, kept=reply.update, again=again, site=reply.site
        )

    def _weight(self, played: KeptRound, reply: KeptReply) -> Finding:
        again = weight_of(dict(reply.report), self._strategy.options)
        return compared(
            played.number, Thing.WEIGHT, kept=reply.weight, again=again, site=reply.site
        )

    def _retrained(self, played: KeptRound) -> Iterator[Finding]:
        """Compare with training again, where nothing random was added and the site is at hand."""
        if self._retrain is None or self._model is None or self._kept.study.privacy is not None:
            return
        for reply in played.replies:
            try:
                again = self._retrain(played, reply, self._model)
            except PlatformError as error:
                yield Finding(
                    played.number, Thing.TRAINING, Outcome.UNCHECKED, reply.site, code=error.code
                )
                continue
            if again is not None:
                yield compared(
                    played.number, Thing.TRAINING, kept=reply.update, again=again, site=reply.site
                )

    def _advanced(self, played: KeptRound) -> Finding:
        """Take mean and next model, and compare it with the kept checkpoint."""
        assert self._model is not None
        try:
            self._model = self._strategy.advance(self._mean(played), self._model)
        except PlatformError as error:
            self._take_up(played)
            return _wrong(played, Thing.MODEL, error)
        return self._compare_checkpoint(played)

    def _hidden(self, played: KeptRound) -> Finding:
        """Go on from the kept model: the noise that hid the hospitals was never kept."""
        if not self._take_up(played):
            return self._gone(played)
        return Finding(played.number, Thing.MODEL, Outcome.UNCHECKED, kept=played.checkpoint)

    def _mean(self, played: KeptRound) -> FlatModel:
        mean = StreamingMean(self._manifest.size)
        for reply in sorted(played.replies, key=lambda one: one.site):
            assert reply.update is not None
            update = read_update(self._kept.path_of(reply.update))
            mean.add(CheckedUpdate(update, site=reply.site), reply.weight)
        return mean.result()

    def _compare_checkpoint(self, played: KeptRound) -> Finding:
        """Compare the model computed again with the one in the kept file, and that with its name.

        Where they differ, the replay goes on from the kept one.
        """
        again, named = self._current(), played.checkpoint
        self._checkpoint = named
        if named is None:
            return Finding(played.number, Thing.MODEL, Outcome.MISSING, again=again)
        try:
            path = self._kept.path_of(named)
            if digest_of_file(path) != named:
                raise ArtefactDamagedError(digest=named)
            kept = digest_of_model_file(path, self._manifest)
        except PlatformError as error:
            return _wrong(played, Thing.MODEL, error, kept=named)
        if kept != again:
            self._take_up(played)
        return compared(played.number, Thing.MODEL, kept=kept, again=again)

    def _state(self, played: KeptRound) -> Iterator[Finding]:
        """Compare what the strategy would find again after a restart."""
        if played.strategy is None:
            return
        try:
            kept = read_state(self._kept.path_of(played.strategy), played.strategy)
        except PlatformError as error:
            yield _wrong(played, Thing.STRATEGY, error, kept=played.strategy)
            return
        outcome = Outcome.SAME if kept == state_of(self._strategy) else Outcome.DIFFERENT
        yield Finding(played.number, Thing.STRATEGY, outcome, kept=played.strategy)

    def _take_up(self, played: KeptRound) -> bool:
        """Go on from the kept checkpoint; without one there is nothing to go on from."""
        self._model = None
        if played.checkpoint is None:
            return False
        try:
            self._model = read_model_file(self._kept.path_of(played.checkpoint), self._manifest)
        except PlatformError:
            return False
        self._checkpoint = played.checkpoint
        self._strategy.rounds = played.number
        return True

    def _gone(self, played: KeptRound) -> Finding:
        code = ArtefactMissingError.code
        return Finding(
            played.number, Thing.MODEL, Outcome.MISSING, kept=played.checkpoint, code=code
        )

    # -- after the last round ----------------------------------------------------

    def _registered(self) -> Iterator[Finding]:
        record, number = self._kept.registered(), self._tally.rounds
        if record is None:
            yield Finding(number, Thing.REGISTRY_MODEL, Outcome.UNCHECKED)
            return
        yield compared(
            number, Thing.REGISTRY_MODEL, kept=Sha256(record.model.sha256), again=self._checkpoint
        )
        same = statements_of(record) == self._tally.statements()
        outcome = Outcome.SAME if same else Outcome.DIFFERENT
        yield Finding(number, Thing.REGISTRY_STATEMENTS, outcome)
        said, again = numbers_of(record), self._tally.numbers()
        for name in sorted(said):
            if said[name] != again[name]:
                yield Finding(number, Thing.REGISTRY_SUMMARY, Outcome.DIFFERENT, kept=name)
        if said == again:
            yield Finding(number, Thing.REGISTRY_SUMMARY, Outcome.SAME)

    def _current(self) -> Sha256:
        assert self._model is not None
        return digest_of_flat(self._model)


def _wrong(
    played: KeptRound,
    thing: Thing,
    error: PlatformError,
    *,
    site: SiteId | None = None,
    kept: str | None = None,
) -> Finding:
    """Return the finding that an error stands for: something is gone, or it does not hold."""
    gone = isinstance(error, ArtefactMissingError)
    outcome = Outcome.MISSING if gone else Outcome.DIFFERENT
    return Finding(played.number, thing, outcome, site, kept=kept, code=error.code)


def state_of(strategy: FedAvg) -> dict[str, object]:
    """Return a strategy's state as it is kept: plain values, arrays by their digests."""
    state = strategy.state()
    arrays = {name: str(digest_of_flat(array)) for name, array in state.arrays.items()}
    return {"values": state.values, "arrays": arrays}


def read_state(path: Path, digest: Sha256) -> object:
    """Return a kept state of a strategy.

    Raises
    ------
    ArtefactDamagedError
        If the file is not the one of that content id, or no JSON.
    """
    content = path.read_bytes()
    try:
        if Sha256.of(content) != digest:
            raise ArtefactDamagedError(digest=digest)
        return json.loads(content)
    except ValueError as error:
        raise ArtefactDamagedError(digest=digest) from error
