"""Believe of a reply only what its site's key signed, about exactly what was asked."""

from dataclasses import dataclass

from federation.domain.ids import RunId, Sha256
from federation.domain.study import Study
from federation.errors.approval import SignatureNotEnrolledError
from federation.evidence.statements import PredicateType, Statement
from federation.evidence.verification import PublicKey, trusted_keys, verify_envelope
from federation.operations.release_book import check_bookable
from federation.operations.reports import check_report
from federation.server_app.rounds import SiteReply
from federation.wire.messages import TaskKind
from strategies.fedavg import FedAvgOptions, Weighting

_SIGNED_AS = {
    TaskKind.TRAIN: PredicateType.UPDATE,
    TaskKind.EVALUATE: PredicateType.EVALUATION,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a site was asked for: a round of a run, with a model of this content id."""

    kind: TaskKind
    study: Study
    run: RunId
    round: int
    model: Sha256


def check_reply(reply: SiteReply, asked: Asked, *, key: PublicKey) -> None:
    """Return if a reply counts.

    1. The site's key signed a statement of the kind that was asked for.
    2. It is about this study, run, round and model, and about what came with it.
    3. Its report has what the registry entry takes from it.
    4. It has the site's heads and, where it costs privacy, its events.

    Raises
    ------
    PlatformError
        By the first of these that does not hold.
    """
    said = verify_envelope(
        reply.signature, trusted=trusted_keys([key]), expected=_SIGNED_AS[asked.kind]
    )
    if not _is_about(said, reply, asked):
        raise SignatureNotEnrolledError(thing="reply", site=reply.site)
    is_private = asked.study.privacy is not None
    check_report(reply.report, kind=asked.kind, is_private=is_private)
    costs = is_private and asked.kind is TaskKind.TRAIN
    check_bookable(said.predicate, reply.report, costs=costs)


def weight_of(report: dict[str, object], options: FedAvgOptions) -> float:
    """Return how much a reply counts in the mean: one, or its images up to the most."""
    if options.weighting is Weighting.UNIFORM:
        return 1.0
    examples = report.get("examples")
    return float(min(examples if isinstance(examples, int) else 1, options.most_examples) or 1)


def _is_about(said: Statement, reply: SiteReply, asked: Asked) -> bool:
    digests = {subject.digest for subject in said.subjects}
    models = {one.digest for one in said.subjects if one.name.startswith("model/")}
    about = (said.predicate.get("run"), said.predicate.get("round"))
    return (
        (reply.update_digest is None or reply.update_digest in digests)
        and said.predicate.get("report") == reply.report
        and about == (str(asked.run), asked.round)
        and models == {asked.model}
        and asked.study.digest in digests
    )
