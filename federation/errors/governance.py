"""Errors of everyday governance (TF830-TF839): what a rule holds against a move of a record.

PlatformError
├── ApplicationIncompleteError   TF830
├── ApplicationRuleError         TF831
├── ApprovedContentError         TF832
├── ExportHeldBackError          TF833
├── ApprovalHeldBackError        TF834
├── OptOutHeldBackError          TF835
├── DeploymentHeldBackError      TF836
├── FeedbackHeldBackError        TF837
├── IncidentHeldBackError        TF838
└── ReviewHeldBackError          TF839

`why` and `missing` are texts of the platform, never words of a record.
"""

from federation.errors.base import PlatformError
from federation.wording import Text


class ApplicationIncompleteError(PlatformError):
    """A data application lacks a document that a rule asks for."""

    code = "TF830"
    what = Text(
        en="The data application lacks {missing} (rule {rule}).",
        zh="資料使用申請缺少{missing}(規則 {rule})。",
    )
    next_step = Text(
        en="Add it to the application and hand it in again.", zh="請補齊後重新送出申請。"
    )


class ApplicationRuleError(PlatformError):
    """A data application does not fit the rule pack that it names."""

    code = "TF831"
    what = Text(
        en="The data application does not fit rule {rule}: {why}.",
        zh="資料使用申請不符規則 {rule}:{why}。",
    )
    next_step = Text(
        en="Change the application so that it fits, or apply under the rules in force.",
        zh="請修改申請內容,或依現行規定重新申請。",
    )


class ApprovedContentError(PlatformError):
    """What was approved was changed afterwards."""

    code = "TF832"
    what = Text(
        en="These parts are not as they were approved: {fields}.",
        zh="下列內容與核可時不同:{fields}。",
    )
    next_step = Text(
        en="Restore them, or hand in a change as a new record that supersedes this one.",
        zh="請恢復原內容,或另提變更申請以取代此紀錄。",
    )


class ExportHeldBackError(PlatformError):
    """What is to be carried out may not be carried out."""

    code = "TF833"
    what = Text(en="The export is held back: {why}.", zh="攜出申請未能通過:{why}。")
    next_step = Text(
        en="Correct it and hand in a new request; nothing leaves until then.",
        zh="請改正後重新申請;在此之前不得攜出。",
    )


class ApprovalHeldBackError(PlatformError):
    """An approval may not be given by this person, or not for this."""

    code = "TF834"
    what = Text(en="The approval cannot be given: {why}.", zh="無法核可:{why}。")
    next_step = Text(
        en="Have somebody of the role asked for sign it, for the subject as it is now.",
        zh="請由指定角色且非作者之人,就標的目前的內容簽署。",
    )


class OptOutHeldBackError(PlatformError):
    """An opt-out list, or that it was applied, cannot be accepted."""

    code = "TF835"
    what = Text(en="The opt-out record is held back: {why}.", zh="選擇退出紀錄未能通過:{why}。")
    next_step = Text(
        en="Apply the list in force at the site and report again.",
        zh="請於院端套用現行名單後重新回報。",
    )


class DeploymentHeldBackError(PlatformError):
    """What a site must show before a model's use there may begin or go on is not there."""

    code = "TF836"
    what = Text(en="The deployment is held back: {why}.", zh="部署未能進行:{why}。")
    next_step = Text(
        en="Complete it at the hospital and write it into the deployment.",
        zh="請於院內完成並更新部署紀錄。",
    )


class FeedbackHeldBackError(PlatformError):
    """Aggregated feedback cannot be accepted."""

    code = "TF837"
    what = Text(en="The feedback is held back: {why}.", zh="回饋彙總未能通過:{why}。")
    next_step = Text(
        en="Aggregate again at the site, for a period that was not reported yet.",
        zh="請於院端就尚未回報的期間重新彙總。",
    )


class IncidentHeldBackError(PlatformError):
    """An incident cannot go on to its next step."""

    code = "TF838"
    what = Text(en="The incident is held back: {why}.", zh="事件未能進入下一步:{why}。")
    next_step = Text(en="Add it to the incident, then try again.", zh="請補入事件紀錄後再試。")


class ReviewHeldBackError(PlatformError):
    """A periodic review cannot be decided."""

    code = "TF839"
    what = Text(en="The review is held back: {why}.", zh="定期審查未能完成:{why}。")
    next_step = Text(
        en="Evaluate the version in use, add it to the review, then decide.",
        zh="請評估使用中的版本並補入審查紀錄後再決定。",
    )
