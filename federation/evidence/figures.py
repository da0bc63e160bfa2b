"""Hold the figures of a record against what its sites signed of them.

The registry does so before it signs a record (`registry.models.checks`); a reader of a
bundle does it again, without trust in the registry. Said of each site: that it approved
the study and sent updates, and evaluated where metrics of it are shown: a figure of a
site that signed nothing is no evidence; rounds, patients and data of its newest update;
the privacy it computed, and that its approval allowed it; its metrics; that its privacy
book and audit log only grew. Said of each round: that every site had the same model
before it. Of the mechanism, what a report leaves out is not compared.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.domain.ids import Sha256
from federation.evidence.model_version import PrivacyStatement, Record
from federation.evidence.statements import PredicateType

OF_A_RUN = frozenset(
    {
        PredicateType.UPDATE,
        PredicateType.EVALUATION,
        PredicateType.LEDGER,
        PredicateType.TRAINING_RUN,
    }
)
OF_A_STUDY = OF_A_RUN - {PredicateType.LEDGER} | {PredicateType.APPROVAL, PredicateType.PROPOSAL}
COMPARED = ("epsilon", "delta", "noise_multiplier", "clip_norm", "sample_rate")
_KEPT = (("ledger", "entries"), ("audit", "lines"))

Figure = tuple[str, bool]
"""A place in the record, and whether it is what was signed."""


@dataclass(frozen=True, slots=True)
class Said:
    """One statement whose signature holds: by whom, what, of which subjects."""

    site: str | None
    kind: PredicateType
    predicate: Mapping[str, Any]
    subjects: Mapping[str, Sha256]

    @property
    def order(self) -> tuple[int, bool]:
        """Return what it is sorted by: a round's evaluation follows its training."""
        return (int(self.predicate.get("round") or 0), self.kind is PredicateType.EVALUATION)


def figures(record: Record, said: Sequence[Said]) -> Iterator[Figure]:
    """Return each figure's place in the record, and whether it is what its site signed.

    Raises
    ------
    ValueError, KeyError, TypeError, AttributeError
        If a report does not have the form that a figure can be compared with.
    """
    sites = sorted(part.site for part in record.participants)
    yield "participants", len(set(sites)) == len(sites)
    yield "privacy", sorted(one.site for one in record.privacy) == sites
    for site in sites:
        mine = _by(site, said)
        yield from _training(record, site, _of(mine, PredicateType.UPDATE))
        yield from _approval(record, site, _of(mine, PredicateType.APPROVAL))
        yield f"books.{site}", _is_one_book(one.predicate.get("heads") for one in mine)
    for site in sorted({*sites, *(metric.site for metric in record.evaluations)}):
        yield from _metrics(record, site, _of(_by(site, said), PredicateType.EVALUATION))
    yield from _models(record, said)
    for pooled in record.pooled:
        counts = [metric.n for metric in record.evaluations if metric.name == pooled.name]
        yield f"pooled.{pooled.name}", pooled.n == sum(counts)


def judged(record: Record, said: Iterable[Said]) -> set[Sha256]:
    """Return the models that sites evaluated after the last round: one, where all is well."""
    name = f"model/{record.run}/{record.rounds.done}"
    return {
        one.subjects[name]
        for one in said
        if one.kind is PredicateType.EVALUATION and name in one.subjects
    }


def _by(site: str, said: Iterable[Said]) -> list[Said]:
    return sorted((one for one in said if one.site == site), key=lambda one: one.order)


def _of(mine: Iterable[Said], kind: PredicateType) -> list[Mapping[str, Any]]:
    return [one.predicate for one in mine if one.kind is kind]


def _training(record: Record, site: str, trained: list[Mapping[str, Any]]) -> Iterator[Figure]:
    part = next(part for part in record.participants if part.site == site)
    done = {one.get("round") for one in trained}
    yield f"participants.{site}.signed", bool(trained)
    yield f"participants.{site}.rounds", len(done) <= part.rounds <= record.rounds.done
    for report in [one["report"] for one in trained[-1:]]:
        yield f"participants.{site}.patients", part.patients in (report.get("patients"), None)
        same = report.get("dataset_digest") == part.dataset_digest
        yield f"participants.{site}.dataset_digest", same
        stated = _privacy(record, site)
        yield f"privacy.{site}.signed", stated is None or "epsilon" in report
        for name in COMPARED:
            value = getattr(stated, name, None)
            yield f"privacy.{site}.{name}", report.get(name, value) == value


def _metrics(record: Record, site: str, judged: list[Mapping[str, Any]]) -> Iterator[Figure]:
    listed = [metric for metric in record.evaluations if metric.site == site]
    shown = {metric.name: (metric.value, metric.low, metric.high, metric.n) for metric in listed}
    yield f"evaluations.{site}.signed", len(shown) == len(listed) and bool(judged or not listed)
    for report in [one["report"] for one in judged[-1:]]:
        signed = {
            one["name"]: tuple(one.get(key) for key in ("value", "low", "high", "n"))
            for one in report.get("metrics") or []
        }
        yield f"evaluations.{site}", shown == signed


def _approval(record: Record, site: str, approved: list[Mapping[str, Any]]) -> Iterator[Figure]:
    stated = _privacy(record, site)
    spent = stated.epsilon if stated else 0
    yield f"approvals.{site}", bool(approved)
    for one in approved:
        allowed = one.get("epsilon")
        yield f"privacy.{site}.approved", allowed is None or spent <= allowed
        same = one.get("recipe_digest", record.recipe.digest) == record.recipe.digest
        yield f"recipe.{site}", same


def _privacy(record: Record, site: str) -> PrivacyStatement | None:
    stated = [one for one in record.privacy if one.site == site]
    return stated[-1] if stated and isinstance(stated[-1], PrivacyStatement) else None


def _is_one_book(heads: Iterable[Mapping[str, Any] | None]) -> bool:
    """Say whether privacy book and audit log only grew from statement to statement."""
    before: dict[tuple[object, str], tuple[int, str]] = {}
    for head in filter(None, heads):
        for part, count in _KEPT:
            era, now = (head.get("era", 0), part), (head[part][count], head[part]["head"])
            earlier = before.get(era, now)
            if now[0] < earlier[0] or (now[0] == earlier[0] and now[1] != earlier[1]):
                return False
            before[era] = now
    return True


def _models(record: Record, said: Sequence[Said]) -> Iterator[Figure]:
    seen: dict[tuple[str, object], Sha256] = {}
    for one in said:
        number = one.predicate.get("round")
        digest = one.subjects.get(f"model/{record.run}/{number}")
        if digest is not None:
            place = (one.kind.short, number)
            yield f"models.{one.kind.short}.{number}", seen.setdefault(place, digest) == digest
