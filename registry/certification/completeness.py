"""Say which requirements a dossier meets, and what to do about each that it does not.

    found = completeness(pack, dossier, facts, now=now)
    found.is_complete, [gap.next_step.en for gap in found.gaps]

Pure: what the register knows of each item (`ItemFacts`) was collected before. An item
counts when it is recorded exactly as the dossier says, belongs to this version, is in
force, has not expired, and is what the requirement needs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from federation.wording import Language, Text
from registry.certification.dossier import Dossier, Item
from registry.certification.rule_packs import Need, Requirement, RulePack
from registry.certification.titles import document_title
from registry.datasets.fields import end_of
from registry.evaluations.titles import DIMENSIONS


class Status(Enum):
    """How a requirement stands, worst reason first where there are several."""

    MET = "met"
    NOT_APPLICABLE = "not-applicable"
    NOT_AS_RECORDED = "not-as-recorded"
    OTHER_VERSION = "other-version"
    EXPIRED = "expired"
    NOT_IN_FORCE = "not-in-force"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What the register knows of one item.

    Parameters
    ----------
    as_recorded
        Revision, digest, signer, time and place in the log are those of the register,
        and it is the newest revision of its content.
    of_version
        It belongs to the dossier's version.
    valid_until
        The last day the record itself gives, if it gives one.
    """

    as_recorded: bool
    of_version: bool
    state: str = ""
    valid_until: str | None = None
    dimension: str | None = None
    sites: frozenset[str] = frozenset()
    disjoint: bool = False
    attributes: frozenset[str] = frozenset()
    mlbom: bool = False
    privacy: bool = False
    document: str | None = None


UNKNOWN_ITEM = ItemFacts(as_recorded=False, of_version=False)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record of the version, whether or not the dossier names it."""

    noun: str
    record: str
    facts: ItemFacts


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing for a requirement, and what to do next."""

    requirement: str
    status: Status
    why: Text
    next_step: Text


@dataclass(frozen=True, slots=True)
class Finding:
    """One requirement: how it stands, by which items, with its gaps."""

    requirement: Requirement
    status: Status
    evidence: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class Completeness:
    """How a dossier stands against an edition of a pack."""

    pack: RulePack
    findings: tuple[Finding, ...]

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Return every gap, in the pack's order."""
        return tuple(gap for one in self.findings for gap in one.gaps)

    @property
    def open_musts(self) -> tuple[Finding, ...]:
        """Return the requirements that must be met and are not."""
        return tuple(
            one for one in self.findings if one.gaps and one.requirement.severity == "must"
        )

    @property
    def is_complete(self) -> bool:
        """Say whether everything that must be met is."""
        return not self.open_musts

    def as_json(self) -> dict[str, object]:
        """Return the state of every requirement, words in both languages."""
        statuses = [one.status for one in self.findings]
        applicable = [one for one in statuses if one is not Status.NOT_APPLICABLE]
        return {
            "schema": "trifed.completeness/1",
            "pack": {
                "id": self.pack.id,
                "version": self.pack.version,
                "digest": self.pack.digest,
                "note": self.pack.note.model_dump(mode="json"),
            },
            "complete": self.is_complete,
            "met": statuses.count(Status.MET),
            "applicable": len(applicable),
            "requirements": [_finding_json(one) for one in self.findings],
        }


def completeness(
    pack: RulePack,
    dossier: Dossier,
    facts: Mapping[str, ItemFacts],
    *,
    trained_at: Iterable[str],
    now: datetime,
    recorded: Sequence[Recorded] = (),
) -> Completeness:
    """Return how a dossier stands.

    Parameters
    ----------
    facts
        By the id of each item.
    trained_at
        The sites that trained the version.
    recorded
        Records of the version: by themselves they meet nothing, but say what is near.
    """
    desk = _Desk(pack, dossier, facts, frozenset(trained_at), now, tuple(recorded))
    return Completeness(pack, tuple(desk.find(one) for one in pack.requirements))


@dataclass(frozen=True, slots=True)
class Judged:
    """How one item stands, in which state its record is, and which requirements it may answer."""

    status: Status
    state: str
    answers: tuple[str, ...]


def judged_items(
    pack: RulePack, dossier: Dossier, facts: Mapping[str, ItemFacts], *, now: datetime
) -> dict[str, Judged]:
    """Return every item of a dossier by its id, whether or not an answer names it."""
    desk = _Desk(pack, dossier, facts, frozenset(), now)
    return {item.id: desk.judge(item) for item in dossier.items}


@dataclass(frozen=True, slots=True)
class _Desk:
    pack: RulePack
    dossier: Dossier
    facts: Mapping[str, ItemFacts]
    trained_at: frozenset[str]
    now: datetime
    recorded: tuple[Recorded, ...] = ()

    def find(self, requirement: Requirement) -> Finding:
        if not requirement.applies(self.dossier.device.model_dump(mode="json")):
            return Finding(requirement, Status.NOT_APPLICABLE)
        items = self._items(requirement)
        gaps = tuple(gap for need in requirement.needs for gap in self._gap(requirement, need))
        status = gaps[0].status if gaps else Status.MET
        return Finding(requirement, status, tuple(item.id for item in items), gaps)

    def judge(self, item: Item) -> Judged:
        device = self.dossier.device.model_dump(mode="json")
        answers = tuple(
            one.id
            for one in self.pack.requirements
            if one.applies(device) and any(self._fits(item, need) for need in one.needs)
        )
        state = self.facts.get(item.id, UNKNOWN_ITEM).state
        return Judged(self._status(item), state, answers)

    def _items(self, requirement: Requirement) -> list[Item]:
        named = {
            item
            for answer in self.dossier.answers
            if answer.requirement == requirement.id
            for item in answer.evidence
        }
        return [item for item in self.dossier.items if item.id in named]

    def _gap(self, requirement: Requirement, need: Need) -> Iterator[Gap]:
        """Yield the one gap of a need: that of the item which is nearest to meeting it."""
        fitting = [item for item in self._items(requirement) if self._fits(item, need)]
        judged = {item.id: self._status(item) for item in fitting}
        good = [item for item in fitting if judged[item.id] is Status.MET]
        if good and self._suffices(good, need):
            return
        status = next((one for one in judged.values() if one is not Status.MET), Status.MISSING)
        what = _wanted(need)
        near = self._near(need) if status is Status.MISSING and not good else None
        if near is not None:
            yield self._gap_beside(requirement, near, what)
            return
        yield Gap(requirement.id, status, _filled(_WHY[status], what), _filled(_NEXT[status], what))

    def _near(self, need: Need) -> Recorded | None:
        """Return a record that would answer a need if it counted, or were named."""
        gone = self.pack.counts_never.states
        there = [one for one in self.recorded if one.facts.state not in gone]
        fitting = [one for one in there if self._is(one.noun, one.facts, need)]
        counting = [one for one in fitting if self.pack.counts(one.noun, one.facts.state)]
        return next(iter([*counting, *fitting]), None)

    def _gap_beside(self, requirement: Requirement, near: Recorded, what: Text) -> Gap:
        counts = self.pack.counts(near.noun, near.facts.state)
        status = Status.MISSING if counts else Status.NOT_IN_FORCE
        why, next_step = (_NOT_NAMED, _NAME_IT) if counts else (_UNSETTLED, _SETTLE_IT)
        return Gap(
            requirement.id,
            status,
            _filled(why, what, record=near.record, state=near.facts.state),
            _filled(next_step, what, record=near.record, state=near.facts.state),
        )

    def _status(self, item: Item) -> Status:
        facts = self.facts.get(item.id, UNKNOWN_ITEM)
        if not facts.as_recorded:
            return Status.NOT_AS_RECORDED
        if not facts.of_version:
            return Status.OTHER_VERSION
        until = [day for day in (item.valid_until, facts.valid_until) if day is not None]
        if until and end_of(min(until)) < self.now:
            return Status.EXPIRED
        return Status.MET if self.pack.counts(item.noun, facts.state) else Status.NOT_IN_FORCE

    def _fits(self, item: Item, need: Need) -> bool:
        """Say whether an item is of the kind that is needed, whatever else holds of it."""
        return self._is(item.noun, self.facts.get(item.id, UNKNOWN_ITEM), need)

    def _is(self, noun: str, facts: ItemFacts, need: Need) -> bool:
        if noun not in need.any_of:
            return False
        if not facts.as_recorded:
            return True  # what it is cannot be known: said as such, not as missing
        match noun:
            case "evaluation":
                wanted = {one.value for one in need.dimensions}
                return (not wanted or facts.dimension in wanted) and (
                    not need.disjoint or facts.disjoint
                )
            case "model-version":
                return set(need.attributes) <= facts.attributes and facts.mlbom >= need.mlbom
            case "evidence-document":
                return need.document is None or facts.document == need.document
            case "signed-version":
                return facts.privacy >= need.privacy
        return True

    def _suffices(self, items: Sequence[Item], need: Need) -> bool:
        sites = {site for item in items for site in self.facts[item.id].sites}
        if need.every_training_site and not self.trained_at <= sites:
            return False
        return len(sites - self.trained_at) >= need.external_sites


KINDS: dict[str, Text] = {
    "signed-version": Text(en="the version's signed record", zh="版本的已簽署紀錄"),
    "model-version": Text(en="the version's card", zh="版本登錄卡"),
    "training-run": Text(en="a verified training run", zh="經驗證的訓練執行紀錄"),
    "dataset-card": Text(en="a dataset card", zh="資料卡"),
    "evaluation": Text(en="an evaluation", zh="評估"),
    "impact-study": Text(en="a reported impact study", zh="已提出報告的影響性研究"),
    "deployment": Text(en="a deployment", zh="部署紀錄"),
    "review-cycle": Text(en="a review", zh="定期審查"),
    "incident": Text(en="an incident record", zh="事件紀錄"),
    "change-plan": Text(en="an approved change control plan", zh="經核可的變更控制計畫"),
    "data-application": Text(en="a data application", zh="資料申請案"),
    "evidence-document": Text(en="a confirmed document", zh="經確認的文件"),
}
"""What evidence is called, for people."""

_OF = Text(en="{kind} ({what})", zh="{kind}({what})")
_WHY: dict[Status, Text] = {
    Status.MISSING: Text(en="{what} is missing", zh="缺少{what}"),
    Status.EXPIRED: Text(en="{what} has expired", zh="{what}已逾有效期限"),
    Status.OTHER_VERSION: Text(en="{what} belongs to another version", zh="{what}屬於其他版本"),
    Status.NOT_IN_FORCE: Text(
        en="{what} is not in a state that counts", zh="{what}目前的狀態不予採計"
    ),
    Status.NOT_AS_RECORDED: Text(
        en="{what} is not as the register has it, or was changed since",
        zh="{what}與登錄系統的紀錄不符,或其後已變更",
    ),
}
_NEXT: dict[Status, Text] = {
    Status.MISSING: Text(
        en="Record {what} for this version, then name it as evidence.",
        zh="請為此版本登錄{what},再列為證據。",
    ),
    Status.EXPIRED: Text(
        en="Renew {what}, then name the new revision.", zh="請更新{what},再改列新版本。"
    ),
    Status.OTHER_VERSION: Text(
        en="Name {what} of this version; evidence of another one does not count.",
        zh="請改列屬於此版本的{what};其他版本的證據不予採計。",
    ),
    Status.NOT_IN_FORCE: Text(
        en="Have {what} checked and approved first.", zh="請先完成{what}的審查與核可。"
    ),
    Status.NOT_AS_RECORDED: Text(
        en="Take revision, digest, signer and log place of {what} from the register again.",
        zh="請重新由登錄系統取得{what}的版本、摘要、簽署者與紀錄位置。",
    ),
}
_UNSETTLED = Text(
    en="{what} is recorded as {record}, but its state ({state}) does not count",
    zh="{what}已登錄為 {record},但目前的狀態({state})不予採計",
)
_SETTLE_IT = Text(
    en="See what {record} shows and have it settled by the people who may, then name it; "
    "or record another one.",
    zh="請查看 {record} 的內容,由有權人員完成判定後再列為證據;或另行登錄一筆。",
)
_NOT_NAMED = Text(
    en="{what} is recorded as {record}, but the dossier does not name it for this",
    zh="{what}已登錄為 {record},但此項要求未列為證據",
)
_NAME_IT = Text(en="Name {record} as evidence for it.", zh="請將 {record} 列為此項的證據。")


def _wanted(need: Need) -> Text:
    """Return what a need is called: its kinds, and what must hold of them."""
    told = [_one(kind, need) for kind in need.any_of]
    en = " or ".join(one.en for one in told)
    return Text(en=en, zh="或".join(one.zh for one in told))


def _one(kind: str, need: Need) -> Text:
    name, what = KINDS[kind], _detail(kind, need)
    if what is None:
        return name
    return Text(
        en=_OF.say(Language.EN, kind=name, what=what),
        zh=_OF.say(Language.ZH_HANT_TW, kind=name, what=what),
    )


def _detail(kind: str, need: Need) -> Text | None:
    match kind:
        case "evaluation" if need.external_sites:
            sites, named = need.external_sites, _dimensions(need)
            return Text(
                en=f"{named.en}, at {sites} sites that did not train it",
                zh=f"{named.zh},{sites} 家以上未參與訓練的院所",
            )
        case "evaluation" if need.disjoint:
            return Text(en="with proof of disjoint patients", zh="附病人不重疊證明")
        case "evaluation" if need.dimensions:
            return _dimensions(need)
        case "model-version" if need.attributes:
            names = ", ".join(need.attributes)
            return Text(en=f"attributes {names}", zh=f"透明性指標 {names}")
        case "model-version" if need.mlbom:
            return Text(en="with its bill of materials", zh="附物料清單")
        case "signed-version" if need.privacy:
            return Text(en="a privacy statement for every site", zh="各院所的隱私聲明")
        case "dataset-card" if need.every_training_site:
            return Text(en="for every training site", zh="每家訓練院所")
        case "evidence-document" if need.document:
            return document_title(need.document)
    return None


def _dimensions(need: Need) -> Text:
    return Text(
        en=", ".join(one.value for one in need.dimensions),
        zh="、".join(DIMENSIONS[one.value].zh for one in need.dimensions),
    )


def _filled(sentence: Text, what: Text, **beside: str) -> Text:
    return Text(
        en=sentence.say(Language.EN, what=what, **beside),
        zh=sentence.say(Language.ZH_HANT_TW, what=what, **beside),
    )


def _finding_json(found: Finding) -> dict[str, object]:
    asked = found.requirement
    return {
        "id": asked.id,
        "text": asked.text.model_dump(mode="json"),
        "severity": asked.severity,
        "maps": asked.maps.model_dump(mode="json"),
        "status": found.status.value,
        "evidence": list(found.evidence),
        "gaps": [
            {
                "status": gap.status.value,
                "why": {"zh-TW": gap.why.zh, "en": gap.why.en},
                "next_step": {"zh-TW": gap.next_step.zh, "en": gap.next_step.en},
            }
            for gap in found.gaps
        ],
    }
