"""Replay an evaluation: signatures, sums by digest, and every document computed once more.

    replayed = replay_evaluation(home, RunId("eval-1.1"), tell=...)     # None: the run trained

1. The protocol is the one that was logged, at the place in the log where it was.
2. Every round asked with the weights of its version; every reply is signed by the key that
   is enrolled, about this study, run, round and version, and about what it brought.
3. All parts of a sum were made over the same keys, by exactly the sites that were asked.
   Their bytes are deleted once the total is kept; what the sites signed of them is compared.
4. The totals are there, byte for byte, and give every document once more.

Only reads; a centre that is running is not disturbed.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from federation.coordinator.home import CentreHome
from federation.domain.evaluation_plan import Step
from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.domain.replay import Finding, Outcome, Replayed, Thing, compared, together
from federation.domain.run import RoundKind, RoundState
from federation.errors.base import PlatformError
from federation.errors.machine import ArtefactMissingError
from federation.evaluation.policy import default_policy
from federation.evidence.verification import PublicKey
from federation.operations.artefacts import Artefacts
from federation.operations.campaign.records import asked_model, sites_of
from federation.operations.campaign.summing import SUM_OF, TOTAL, TRANSCRIPT, parts_of
from federation.operations.environment import changes_since
from federation.operations.evaluations.records import place_of
from federation.operations.evaluations.running import PROTOCOL_LOG, KeptRun, documents_again
from federation.operations.judging import Asked, check_reply
from federation.operations.launch import EVALUATION
from federation.operations.replaying.stored import key_in
from federation.operations.store.rounds import RoundStore, StoredReply, StoredRound
from federation.operations.store.studies import StudyStore
from federation.server_app.rounds import SiteReply
from federation.wire.evaluation_plan import protocol_digest
from federation.wire.messages import TaskKind
from federation.wire.study import study_from_json

Tell = Callable[[Finding], None]


def replay_evaluation(home: CentreHome, run: RunId, *, tell: Tell) -> Replayed | None:
    """Return the replay of an evaluation; None if the run is none, or nobody knows it."""
    with closing(StudyStore.of(home)) as studies:
        name = StudyId(run.rpartition(".")[0])
        records = {one.id: one.record for one in studies.runs(name)}
        if run not in records or PROTOCOL_LOG not in records[run]:
            return None
        record: dict[str, Any] = dict(records[run])
        study = study_from_json(studies.study(name).record)
        envelope = Sha256(str(record[PROTOCOL_LOG]))
        kept = KeptRun(home, study, run, RoundStore(studies.database), envelope)
        replay = EvaluationReplay(kept, record, Artefacts.of(home), key_in(home))
        findings = []
        for finding in replay.findings():
            tell(finding)
            findings.append(finding)
        return Replayed(run, len(replay.done()), tuple(findings), changes_since(record))


@dataclass(frozen=True, slots=True)
class EvaluationReplay:
    """One replay of one run of an evaluation.

    Parameters
    ----------
    record
        The run's record, as JSON.
    key_of
        The enrolled key that a site signs its replies with.
    """

    kept: KeptRun
    record: dict[str, Any]
    artefacts: Artefacts
    key_of: Callable[[SiteId], PublicKey]

    def findings(self) -> Iterator[Finding]:
        """Compare everything, in order."""
        yield from self._protocol()
        for row in self.done():
            step = self.kept.plan.step(row.key.number)
            yield compared(
                step.number, Thing.ROUND_MODEL, kept=asked_model(row), again=step.version.array
            )
            replies = self.kept.rounds.replies(row.key)
            signed = (self._signed(row, one) for one in replies)
            yield from together(step.number, Thing.EVALUATION, signed)
            if step.is_sum:
                yield from self._summed(row, step)
        yield from self._documents()

    def done(self) -> list[StoredRound]:
        """Return the finished rounds, in order."""
        rows = self.kept.rounds.rounds(self.kept.run, RoundKind.EVALUATE)
        return [row for row in rows if row.state is RoundState.DONE]

    def _protocol(self) -> Iterator[Finding]:
        again = str(protocol_digest(self.kept.plan))
        yield compared(0, Thing.PROTOCOL, kept=self.record.get("protocol_digest"), again=again)
        said = self.record.get(EVALUATION, {}).get("log_index")
        try:
            place = place_of(self.kept.home, self.kept.envelope)
        except PlatformError as error:
            yield Finding(0, Thing.PROTOCOL, Outcome.DIFFERENT, kept=str(said), code=error.code)
        else:
            yield compared(0, Thing.PROTOCOL, kept=said, again=place)

    def _signed(self, row: StoredRound, reply: StoredReply) -> Finding:
        """Verify what a site signed, and of a part that it is of this very sum."""
        number = row.key.number
        model = asked_model(row)
        asked = Asked(TaskKind.EVALUATE, self.kept.study, self.kept.run, number, model)
        said = SiteReply(reply.site, dict(reply.report), reply.signature, reply.update, None, 0.0)
        try:
            check_reply(said, asked, key=self.key_of(reply.site))
        except PlatformError as error:
            return _wrong(number, Thing.EVALUATION, error, reply.site)
        return Finding(number, Thing.EVALUATION, Outcome.SAME, reply.site)

    def _summed(self, row: StoredRound, step: Step) -> Iterator[Finding]:
        """Compare who is in a sum, over which keys, and the bytes of its total."""
        parts = parts_of(self.kept.rounds, row.key)
        kept, again = ",".join(sites_of(row)), ",".join(sorted(parts))
        yield compared(step.number, Thing.SITES, kept=kept, again=again)
        transcript = row.record.get(TRANSCRIPT)
        yield from together(
            step.number,
            Thing.KEYS,
            (
                compared(step.number, Thing.KEYS, kept=transcript, again=part.report.get(SUM_OF),
                         site=site)
                for site, part in parts.items()
            ),
        )  # fmt: skip
        total = Sha256(str(row.record[TOTAL]))
        try:
            self.artefacts.get(total)
        except PlatformError as error:
            yield _wrong(step.number, Thing.TOTAL, error)
        else:
            yield Finding(step.number, Thing.TOTAL, Outcome.SAME, kept=total)

    def _documents(self) -> Iterator[Finding]:
        """Compute every document anew from the totals, if the thresholds are still installed."""
        said: dict[str, str] = self.record.get(EVALUATION, {}).get("documents", {})
        last, policy = self.kept.plan.rounds, default_policy()
        if not said or policy.sha256 != self.kept.plan.policy:
            yield Finding(last, Thing.DOCUMENT, Outcome.UNCHECKED)
            return
        try:
            again = documents_again(self.kept, policy)
        except PlatformError as error:
            yield _wrong(last, Thing.DOCUMENT, error)
            return
        for entry, digest in said.items():
            yield compared(last, Thing.DOCUMENT, kept=digest, again=str(again.get(entry)))


def _wrong(number: int, thing: Thing, error: PlatformError, site: SiteId | None = None) -> Finding:
    """Return the finding that an error stands for: something is gone, or it does not hold."""
    gone = isinstance(error, ArtefactMissingError)
    outcome = Outcome.MISSING if gone else Outcome.DIFFERENT
    return Finding(number, thing, outcome, site, code=error.code)
