"""What each state of a version means for a reader, in a word and in a sentence."""

from dataclasses import dataclass
from enum import Enum

from federation.evidence.model_version import ModelVersionState as State
from federation.wording import Text


class Tone(Enum):
    """How a status is coloured; the word beside it says the same."""

    WAITING = "waiting"
    GOOD = "good"
    CARE = "care"
    STOP = "stop"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Status:
    """A state as shown: a word, what it means for a reader, its tone."""

    name: Text
    meaning: Text
    tone: Tone


STATES: dict[str, Status] = {
    State.DRAFT.value: Status(
        Text(en="Draft", zh="草案"),
        Text(
            en="A candidate. It is not on the register and must not be used on patients.",
            zh="候選模型,尚未登錄,不得用於病人。",
        ),
        Tone.WAITING,
    ),
    State.REGISTERED.value: Status(
        Text(en="Registered", zh="已登錄"),
        Text(
            en="Its description is complete. It was not evaluated yet: not for use on patients.",
            zh="登錄資料已齊備,尚未評估,不得用於病人。",
        ),
        Tone.WAITING,
    ),
    State.INTERNAL_EVAL.value: Status(
        Text(en="Internal evaluation", zh="內部評估中"),
        Text(
            en="It is being evaluated by a planned protocol: not for use on patients.",
            zh="正依事先登錄的方案評估,不得用於病人。",
        ),
        Tone.WAITING,
    ),
    State.EXTERNAL_EVAL.value: Status(
        Text(en="External evaluation", zh="外部評估完成"),
        Text(
            en="It was evaluated at hospitals that did not train it; approval is being decided.",
            zh="已在未參與訓練的醫院完成評估,審查中。",
        ),
        Tone.WAITING,
    ),
    State.RAI_APPROVED.value: Status(
        Text(en="Approved", zh="已核可"),
        Text(
            en="Reviewer and hospital committee approved it. No hospital runs it yet.",
            zh="審查人員與醫院 AI 委員會已核可,尚無醫院執行。",
        ),
        Tone.GOOD,
    ),
    State.SILENT.value: Status(
        Text(en="Silent run", zh="靜默執行"),
        Text(
            en="It runs at a hospital unseen: its output does not reach those who treat.",
            zh="已在醫院背景執行,結果不提供給診療人員。",
        ),
        Tone.GOOD,
    ),
    State.PILOT.value: Status(
        Text(en="Pilot", zh="試行"),
        Text(en="It is used on patients within limits.", zh="於限定範圍內用於病人。"),
        Tone.GOOD,
    ),
    State.LIVE.value: Status(
        Text(en="In use", zh="正式使用"),
        Text(en="It is in routine use and reviewed periodically.", zh="已例行使用,並定期審查。"),
        Tone.GOOD,
    ),
    State.RESTRICTED.value: Status(
        Text(en="Restricted", zh="限制使用"),
        Text(
            en="A problem was found: it is used within limits until that is corrected.",
            zh="發現問題,矯正前僅能限制使用。",
        ),
        Tone.CARE,
    ),
    State.SUSPENDED.value: Status(
        Text(en="Suspended", zh="暫停使用"),
        Text(en="It must not be used until further notice.", zh="在另行通知前不得使用。"),
        Tone.STOP,
    ),
    State.RETIRED.value: Status(
        Text(en="Retired", zh="已退場"),
        Text(en="It is no longer used; its record is kept.", zh="不再使用,紀錄永久保留。"),
        Tone.ENDED,
    ),
    State.REJECTED.value: Status(
        Text(en="Rejected", zh="不予核可"),
        Text(
            en="It was not approved and must not be used on patients.",
            zh="未獲核可,不得用於病人。",
        ),
        Tone.STOP,
    ),
}


_WITHDRAWN = Status(
    Text(en="Withdrawn", zh="已撤除"),
    Text(en="This hospital no longer uses it.", zh="此醫院已不再使用。"),
    Tone.ENDED,
)


OTHER_STATES: dict[str, Text] = {
    "accepted": Text(en="accepted", zh="已接受"),
    "active": Text(en="active", zh="執行中"),
    "alerted": Text(en="alerted", zh="已通報"),
    "analysed": Text(en="analysed", zh="已分析"),
    "approved": Text(en="approved", zh="已核准"),
    "announced": Text(en="announced", zh="已預告"),
    "asked": Text(en="asked", zh="待決定"),
    "cancelled": Text(en="cancelled", zh="已取消"),
    "closed": Text(en="closed", zh="已結案"),
    "complete": Text(en="complete", zh="已齊備"),
    "confirmed": Text(en="confirmed", zh="已確認"),
    "contracted": Text(en="contracted", zh="已簽約"),
    "correcting": Text(en="being corrected", zh="矯正中"),
    "council-review": Text(en="council review", zh="審議會審查"),
    "decided": Text(en="decided", zh="已決定"),
    "deficiency": Text(en="deficiency", zh="補件中"),
    "deficient": Text(en="deficient", zh="待補件"),
    "deposited": Text(en="deposited", zh="已存放"),
    "destroyed": Text(en="destroyed", zh="已銷毀"),
    "disputed": Text(en="disputed", zh="有爭議"),
    "draft": Text(en="draft", zh="草案"),
    "exited": Text(en="exited", zh="退出給付"),
    "expired": Text(en="expired", zh="已到期"),
    "fee-due": Text(en="fee due", zh="待繳費"),
    "filed": Text(en="filed", zh="已歸檔"),
    "given": Text(en="given", zh="已核給"),
    "hta": Text(en="technology assessment", zh="科技評估中"),
    "htr": Text(en="reassessment", zh="科技再評估中"),
    "in-use": Text(en="in use", zh="使用中"),
    "irb": Text(en="ethics review", zh="倫理審查"),
    "issued": Text(en="issued", zh="已發布"),
    "judged": Text(en="judged", zh="已判定"),
    "licensed": Text(en="licensed", zh="已取證"),
    "listed": Text(en="listed", zh="已收載"),
    "live": Text(en="in use", zh="正式使用"),
    "locked": Text(en="locked", zh="資料鎖定"),
    "logged": Text(en="logged", zh="方案已登錄"),
    "nhia-review": Text(en="NHIA review", zh="健保署審查"),
    "none": Text(en="none", zh="無"),
    "open": Text(en="open", zh="處理中"),
    "pilot": Text(en="pilot", zh="試行"),
    "planned": Text(en="planned", zh="規劃中"),
    "protocol": Text(en="protocol", zh="計畫書"),
    "provisional": Text(en="provisional payment", zh="暫時支付"),
    "recorded": Text(en="recorded", zh="已記錄"),
    "refused": Text(en="refused", zh="已拒絕"),
    "registered": Text(en="registered", zh="已登錄"),
    "released": Text(en="released", zh="已放行"),
    "reported": Text(en="reported", zh="已回報"),
    "restricted": Text(en="restricted", zh="限制"),
    "returned": Text(en="returned", zh="已退件"),
    "running": Text(en="running", zh="進行中"),
    "sanctioned": Text(en="sanctioned", zh="已處分"),
    "scanned": Text(en="scanned", zh="已掃描"),
    "signed": Text(en="signed", zh="已簽署"),
    "silent": Text(en="silent run", zh="靜默執行"),
    "stopped": Text(en="stopped", zh="已停止"),
    "submitted": Text(en="submitted", zh="已送件"),
    "superseded": Text(en="superseded", zh="已被取代"),
    "suspended": Text(en="suspended", zh="暫停使用"),
    "verified": Text(en="verified", zh="已驗證"),
    "withdrawn": Text(en="withdrawn", zh="已撤回"),
}
"""The states of the other nouns, by name; one without words is shown by its name."""


def mode_of(state: str) -> Status:
    """Return how a state of a deployment is shown."""
    return _WITHDRAWN if state == "withdrawn" else STATES[state]


def status_of(state: str) -> Status:
    """Return how a state of a version is shown; raises `KeyError` for none."""
    return STATES[state]
