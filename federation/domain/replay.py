"""A replay: what was computed once more, and thing by thing whether it is the same.

The centre replays a run from its kept updates (`federation.operations.replaying`), a
hospital its own rounds from its own data (`clients.replaying`). Both say `Finding`s.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from federation.domain.ids import RunId, SiteId
from federation.errors.replay import ReplayDiffersError, ReplayIncompleteError
from federation.wording import Text


@dataclass(frozen=True, slots=True)
class Change:
    """One thing of the environment that is not as it was: torch was 2.13.0 and is 2.14.0."""

    name: str
    then: str
    now: str


class Thing(Enum):
    """What is compared."""

    INITIAL_MODEL = "initial-model"
    ROUND_MODEL = "round-model"
    SITES = "sites"
    SIGNATURE = "signature"
    UPDATE = "update"
    WEIGHT = "weight"
    GATE = "gate"
    LEDGER = "ledger"
    COHORT = "cohort"
    TRAINING = "training"
    MODEL = "model"
    STRATEGY = "strategy"
    EVALUATION = "evaluation"
    PROTOCOL = "protocol"
    KEYS = "keys"
    TOTAL = "total"
    DOCUMENT = "document"
    REGISTRY_MODEL = "registry-model"
    REGISTRY_STATEMENTS = "registry-statements"
    REGISTRY_SUMMARY = "registry-summary"

    @property
    def text(self) -> Text:
        """Return its name for people."""
        return _NAMES[self]


_NAMES = {
    Thing.INITIAL_MODEL: Text(en="the model before the first round", zh="第一輪之前的模型"),
    Thing.ROUND_MODEL: Text(en="the model that the sites were asked with", zh="發給各院的模型"),
    Thing.SITES: Text(en="the choice of sites", zh="站點的選取"),
    Thing.SIGNATURE: Text(en="a site's signature", zh="醫院的簽章"),
    Thing.UPDATE: Text(en="the bytes of an update", zh="更新的位元組"),
    Thing.WEIGHT: Text(en="the weight of an update", zh="更新的權重"),
    Thing.GATE: Text(en="the rules of the outbound gate", zh="出院閘門的規則"),
    Thing.LEDGER: Text(en="the entry in the privacy book", zh="隱私帳本的紀錄"),
    Thing.COHORT: Text(en="the patients and their images", zh="病人與影像"),
    Thing.TRAINING: Text(en="training again at a site", zh="在醫院重新訓練"),
    Thing.MODEL: Text(en="the model after the round", zh="該輪之後的模型"),
    Thing.STRATEGY: Text(en="the state of the strategy", zh="聚合策略的狀態"),
    Thing.EVALUATION: Text(en="a site's evaluation", zh="醫院的評估"),
    Thing.PROTOCOL: Text(en="the logged protocol", zh="已登錄的方案"),
    Thing.KEYS: Text(en="the keys of a sum", zh="加總所用的金鑰"),
    Thing.TOTAL: Text(en="the total of a sum", zh="加總的總和"),
    Thing.DOCUMENT: Text(en="the document of all figures", zh="結果文件"),
    Thing.REGISTRY_MODEL: Text(en="the registered model", zh="登錄的模型"),
    Thing.REGISTRY_STATEMENTS: Text(en="the registered statements", zh="登錄的聲明"),
    Thing.REGISTRY_SUMMARY: Text(en="the registered numbers", zh="登錄的數值"),
}


class Outcome(Enum):
    """What came of one comparison. UNCHECKED is no fault: there was nothing to compare."""

    SAME = "same"
    DIFFERENT = "different"
    MISSING = "missing"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison.

    Parameters
    ----------
    round
        From 1; 0 is before the first round.
    site
        Whose it is; None where it is the round's.
    kept, again
        Digests or short values; None where there is none.
    code
        The coded reason, where there is one.
    """

    round: int
    thing: Thing
    outcome: Outcome
    site: SiteId | None = None
    kept: str | None = None
    again: str | None = None
    code: str | None = None

    @property
    def holds(self) -> bool:
        """Return whether nothing speaks against the kept record."""
        return self.outcome in (Outcome.SAME, Outcome.UNCHECKED)

    def as_json(self) -> dict[str, object]:
        """Return the finding as plain JSON."""
        return {
            "round": self.round,
            "thing": self.thing.value,
            "outcome": self.outcome.value,
            "site": self.site,
            "kept": self.kept,
            "again": self.again,
            "code": self.code,
        }

    @property
    def said(self) -> Text:
        """Return the thing's name for people, with the site's where it is one site's."""
        name, site = self.thing.text, "" if self.site is None else f" ({self.site})"
        return Text(en=name.en + site, zh=name.zh + site)


def compared(
    number: int, thing: Thing, *, kept: object, again: object, site: SiteId | None = None
) -> Finding:
    """Return whether what was kept is what was computed again; None was not kept."""
    if kept is None:
        return Finding(number, thing, Outcome.UNCHECKED, site, again=str(again))
    outcome = Outcome.SAME if kept == again else Outcome.DIFFERENT
    return Finding(number, thing, outcome, site, str(kept), str(again))


@dataclass(frozen=True, slots=True)
class Replayed:
    """A whole replay.

    `changes` is how this machine and software differ from those of the run.
    """

    run: RunId
    rounds: int
    findings: tuple[Finding, ...]
    changes: tuple[Change, ...]

    @property
    def first(self) -> Finding | None:
        """Return the first finding that does not hold: different before missing."""
        wrong = [one for one in self.findings if not one.holds]
        different = [one for one in wrong if one.outcome is Outcome.DIFFERENT]
        return next(iter(different or wrong), None)

    @property
    def status(self) -> str:
        """Return `same`, `different` or `missing`."""
        return Outcome.SAME.value if self.first is None else self.first.outcome.value

    def of_round(self, number: int) -> list[Finding]:
        """Return the findings of one round."""
        return [one for one in self.findings if one.round == number]

    def check(self) -> None:
        """Return if all of it is the same.

        Raises
        ------
        ReplayDiffersError, ReplayIncompleteError
            Naming the first round and thing.
        """
        first = self.first
        if first is None:
            return
        if first.outcome is Outcome.MISSING:
            raise ReplayIncompleteError(run=self.run, round=first.round, thing=first.said)
        changes = NO_CHANGES if not self.changes else listed(self.changes)
        raise ReplayDiffersError(run=self.run, round=first.round, thing=first.said, changes=changes)

    def as_json(self) -> dict[str, object]:
        """Return the replay as plain JSON."""
        first = self.first
        return {
            "run": self.run,
            "status": self.status,
            "rounds": self.rounds,
            "first": None if first is None else first.as_json(),
            "findings": [one.as_json() for one in self.findings],
            "environment": [
                {"name": one.name, "then": one.then, "now": one.now} for one in self.changes
            ],
        }


NO_CHANGES = Text(en="they are the same", zh="兩者相同")


def listed(changes: Sequence[Change]) -> str:
    """Return what changed as one line; digests are only named."""
    return "; ".join(
        one.name if one.then.startswith("sha256:") else f"{one.name} {one.then} -> {one.now}"
        for one in changes
    )


def together(number: int, thing: Thing, findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding for all sites if every one is the same, else those that are not."""
    found = list(findings)
    wrong = [one for one in found if one.outcome is not Outcome.SAME]
    if wrong or not found:
        return wrong
    return [Finding(number, thing, Outcome.SAME, again=str(len(found)))]
