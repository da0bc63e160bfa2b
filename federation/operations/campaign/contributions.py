"""What each site gave to a run, read from the kept replies: nothing of it lives in memory."""

from dataclasses import dataclass, field

from federation.domain.ids import RunId, SiteId
from federation.domain.run import Refusal, RoundKind, RoundState
from federation.operations.store.rounds import RoundStore, StoredReply, StoredRound

UPDATE, EVALUATION = "update", "evaluation"


@dataclass(frozen=True, slots=True)
class SiteResult:
    """What one site contributed, as it stands in the registry entry.

    `statements` are pairs of kind and DSSE envelope (JSON text).
    """

    site: SiteId
    patients: int
    rounds: int
    report: dict[str, object]
    evaluation: dict[str, object] | None
    statements: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Contribution:
    patients: int = 0
    rounds: int = 0
    report: dict[str, object] = field(default_factory=dict)
    evaluation: dict[str, object] | None = None
    statements: list[tuple[str, str]] = field(default_factory=list)

    def trained(self, reply: StoredReply) -> None:
        self.rounds += 1
        self.patients = _whole(reply.report.get("patients"))
        self.report = reply.report
        self.statements.append((UPDATE, reply.signature))

    def evaluated(self, reply: StoredReply) -> None:
        self.evaluation = reply.report
        self.statements.append((EVALUATION, reply.signature))


def results_of(store: RoundStore, run: RunId) -> list[SiteResult]:
    """Return what each site contributed in the finished rounds of a run, by name."""
    found: dict[SiteId, _Contribution] = {}
    for row in finished(store, run, RoundKind.TRAIN):
        for reply in store.replies(row.key):
            found.setdefault(reply.site, _Contribution()).trained(reply)
    for row in store.rounds(run, RoundKind.EVALUATE):
        for reply in store.replies(row.key):
            found.setdefault(reply.site, _Contribution()).evaluated(reply)
    return [
        SiteResult(
            site, one.patients, one.rounds, one.report, one.evaluation, tuple(one.statements)
        )
        for site, one in sorted(found.items())
        if one.rounds
    ]


def finished(store: RoundStore, run: RunId, kind: RoundKind) -> list[StoredRound]:
    """Return the rounds of a run that are DONE, in order."""
    return [row for row in store.rounds(run, kind) if row.state is RoundState.DONE]


def refusals_of(store: RoundStore, run: RunId) -> list[Refusal]:
    """Return every refusal of a run's rounds, each once, in the order of the rounds."""
    found: list[Refusal] = []
    for kind in RoundKind:
        for row in store.rounds(run, kind):
            for refusal in refusals_in(row):
                if refusal not in found:
                    found.append(refusal)
    return found


def refusals_in(row: StoredRound) -> list[Refusal]:
    """Return the refusals in a round's record."""
    listed = row.record.get("refused")
    if not isinstance(listed, list):
        return []
    return [Refusal(SiteId(one["site"]), str(one["code"]), str(one["what"])) for one in listed]


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
