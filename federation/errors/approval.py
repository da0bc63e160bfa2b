"""TF32x-TF34x: proposals, policy and approvals."""

from federation.errors.base import PlatformError
from federation.wording import Text


class NotApprovedError(PlatformError):
    """A message asks for something that no approval of this hospital covers."""

    code = "TF320"
    what = Text(
        en="The study {study} has no valid approval at this hospital: {why}.",
        zh="研究 {study} 在本院沒有有效的核准:{why}。",
    )
    next_step = Text(
        en="Staff decide with `trifed node proposals` and `trifed node approve {study}`.",
        zh="請由院方人員以 `trifed node proposals` 與 `trifed node approve {study}` 決定。",
    )


class ProposalMissingError(PlatformError):
    """A study was named that nobody proposed to this hospital."""

    code = "TF321"
    what = Text(
        en="No study named {study} was proposed to this hospital.",
        zh="沒有名為 {study} 的研究向本院提案。",
    )
    next_step = Text(
        en="Proposed studies: {known}. Is the node connected (`trifed node doctor`)?",
        zh="已提案的研究:{known}。請確認節點已連線(`trifed node doctor`)。",
    )


class PolicyRefusedError(PlatformError):
    """The hospital's policy says no to a proposal."""

    code = "TF322"
    what = Text(
        en="The hospital's policy refuses the study {study}: {reasons}.",
        zh="本院政策拒絕研究 {study}:{reasons}。",
    )
    next_step = Text(
        en="Ask the centre for another plan, or let the data officer change policy.toml.",
        zh="請中心修改計畫,或由資料官修改 policy.toml。",
    )


class AlreadyDecidedError(PlatformError):
    """A proposal already has a decision."""

    code = "TF323"
    what = Text(
        en="The study {study} was already {decision} at this hospital.",
        zh="研究 {study} 在本院已經 {decision}。",
    )
    next_step = Text(
        en="A decision is not overwritten; to end an approval, withdraw it.",
        zh="決定不會被覆寫;若要結束核准,請撤回。",
    )


class PolicyUnreadableError(PlatformError):
    """policy.toml does not say what it must."""

    code = "TF324"
    what = Text(en="policy.toml cannot be used: {why}.", zh="policy.toml 無法使用:{why}。")
    next_step = Text(
        en="Correct the field it names; nothing is approved until then.",
        zh="請修正所列欄位;在此之前不會核准任何研究。",
    )


class StudyQuorumMissedError(PlatformError):
    """Too few hospitals said yes, or answered, in time."""

    code = "TF325"
    what = Text(
        en="The study {study} needs {needed} sites, but only {actual} approved it. Missing: "
        "{missing}.",
        zh="研究 {study} 需要 {needed} 個站點,但僅 {actual} 個核准。缺少:{missing}。",
    )
    next_step = Text(
        en="Ask those hospitals, or propose another plan under the same name.",
        zh="請洽詢這些醫院,或以相同名稱提出其他計畫。",
    )


class ProposalChangedError(PlatformError):
    """A proposal is not the one that staff read."""

    code = "TF330"
    what = Text(
        en="The proposal of {study} is not the one you read: its digest begins with {digest}.",
        zh="研究 {study} 的提案與您所讀的不同:其摘要開頭為 {digest}。",
    )
    next_step = Text(
        en="Read it again with `trifed node proposals`, then approve that digest.",
        zh="請以 `trifed node proposals` 重新閱讀,再核准該摘要。",
    )


class StudyCompletedError(PlatformError):
    """A study that has completed was launched again."""

    code = "TF329"
    what = Text(
        en="The study {study} has completed; its result is evidence and is not made again.",
        zh="研究 {study} 已完成;其結果為證據,不會重做。",
    )
    next_step = Text(
        en="Give a new study file another id; `trifed study show {study}` shows this one.",
        zh="請以新的 id 建立研究檔;以 `trifed study show {study}` 查看此研究。",
    )


class SignatureNotEnrolledError(PlatformError):
    """A decision or reply was signed by a key that is not enrolled for the site."""

    code = "TF326"
    what = Text(
        en="The {thing} of site {site} is not signed by the key enrolled for it.",
        zh="站點 {site} 的 {thing} 並非由其登錄的金鑰簽署。",
    )
    next_step = Text(
        en="Ask the site to check its home folder; enrol it again if its keys changed.",
        zh="請該站點檢查其工作目錄;若金鑰已更換,請重新登錄。",
    )


class StudyMissingError(PlatformError):
    """A study was named that the centre does not know."""

    code = "TF327"
    what = Text(en="The centre knows no study named {study}.", zh="中心沒有名為 {study} 的研究。")
    next_step = Text(en="Known studies: {known}.", zh="已知的研究:{known}。")


class PolicyPatientsError(PlatformError):
    """A site has fewer patients to train on than its policy demands."""

    code = "TF328"
    what = Text(
        en="Fewer patients than the {fewest} that the hospital's policy demands are left to "
        "train on.",
        zh="可用於訓練的病人少於本院政策要求的 {fewest} 位。",
    )
    next_step = Text(
        en="Ingest more studies, widen the cohort, or let the data officer change "
        "fewest_patients in policy.toml.",
        zh="請匯入更多檢查、放寬世代條件,或由資料官修改 policy.toml 的 fewest_patients。",
    )


class PolicyUnsignedError(PlatformError):
    """A policy that the data officer did not sign; it allows nothing."""

    code = "TF331"
    what = Text(
        en="policy.toml is not signed by the data officer, so it allows nothing.",
        zh="policy.toml 尚未由資料官簽署,因此不允許任何事項。",
    )
    next_step = Text(
        en="Read it, check it with `trifed node policy check`, then sign it with "
        "`trifed node policy sign`.",
        zh="請閱讀內容,以 `trifed node policy check` 檢查,再以 `trifed node policy sign` 簽署。",
    )


class PolicyChangedError(PlatformError):
    """A policy that was edited after it was signed."""

    code = "TF332"
    what = Text(
        en="policy.toml is not the text that the data officer signed as number {number}.",
        zh="policy.toml 與資料官簽署的第 {number} 號內容不同。",
    )
    next_step = Text(
        en="Put the signed text back, or let the data officer read the change and run "
        "`trifed node policy sign`.",
        zh="請還原已簽署的內容,或由資料官閱讀變更後執行 `trifed node policy sign`。",
    )


class PolicySignerError(PlatformError):
    """The signature of a policy is not one of this hospital's data officer."""

    code = "TF333"
    what = Text(
        en="The signature in policy.dsse.json does not count: {why}.",
        zh="policy.dsse.json 的簽章無效:{why}。",
    )
    next_step = Text(
        en="Find out who wrote it, then let the data officer run `trifed node policy sign`.",
        zh="請查明由誰寫入,再由資料官執行 `trifed node policy sign`。",
    )


class PolicyExpiredError(PlatformError):
    """A signed policy whose time is over."""

    code = "TF334"
    what = Text(
        en="The signature of policy.toml expired on {date}, so it allows nothing.",
        zh="policy.toml 的簽署已於 {date} 到期,因此不允許任何事項。",
    )
    next_step = Text(
        en="Let the data officer read it again and run `trifed node policy sign`.",
        zh="請資料官重新閱讀並執行 `trifed node policy sign`。",
    )


class PolicyRolledBackError(PlatformError):
    """An older signed policy was put back in place of a newer one."""

    code = "TF335"
    what = Text(
        en="policy.toml is number {number}, but number {seen} of this hospital was already in "
        "force, or another text of that number.",
        zh="policy.toml 為第 {number} 號,但本院已有第 {seen} 號生效,或該號另有不同內容。",
    )
    next_step = Text(
        en="Find out who put it back; to return to old rules, the data officer signs them anew "
        "with `trifed node policy sign`.",
        zh="請查明由誰放回;若要恢復舊規則,請資料官以 `trifed node policy sign` 重新簽署。",
    )


class OutsideHoursError(PlatformError):
    """A message came outside the hours of the policy."""

    code = "TF336"
    what = Text(
        en="The hospital's policy takes messages only at {hours} ({zone}).",
        zh="本院政策僅於 {hours}({zone})受理訊息。",
    )
    next_step = Text(
        en="Send it again from {opens} on, or let the data officer change hours in policy.toml.",
        zh="請於 {opens} 之後再送,或由資料官修改 policy.toml 的 hours。",
    )


class RunLimitError(PlatformError):
    """A study without differential privacy asks for more runs than the policy allows."""

    code = "TF337"
    what = Text(
        en="The run {run} is beyond the {limit} runs that the policy allows a study without "
        "differential privacy.",
        zh="執行 {run} 超過政策允許未使用差分隱私之研究的 {limit} 次上限。",
    )
    next_step = Text(
        en="Ask for a study with a privacy plan, or let the data officer change "
        "runs_without_privacy in policy.toml.",
        zh="請改提具隱私計畫的研究,或由資料官修改 policy.toml 的 runs_without_privacy。",
    )


class ApproverIsProposerError(PlatformError):
    """Somebody wants to approve what they proposed, or to be both of two persons."""

    code = "TF338"
    what = Text(
        en="{person} may not sign this decision on {study}: {why}.",
        zh="{person} 不得簽署研究 {study} 的此項決定:{why}。",
    )
    next_step = Text(
        en="Let another person of this hospital sign; `trifed node person list` shows them.",
        zh="請由本院其他人員簽署;以 `trifed node person list` 查看。",
    )


class ApprovalUnreadableError(NotApprovedError):
    """The file of a decision is not what was signed."""

    code = "TF339"
    what = Text(
        en="The decision on {study} was edited or damaged after it was signed.",
        zh="研究 {study} 的決定在簽署後遭修改或損毀。",
    )
    next_step = Text(
        en="Find out who touched decisions/{study}.dsse.json, delete it and decide again with "
        "`trifed node approve {study}`.",
        zh="請查明由誰更動 decisions/{study}.dsse.json,刪除後以 "
        "`trifed node approve {study}` 重新決定。",
    )


class ApprovalSignerError(NotApprovedError):
    """A decision that another key than the data officer's signed."""

    code = "TF340"
    what = Text(
        en="The decision on {study} does not verify: it is not signed by this hospital's data "
        "officer.",
        zh="研究 {study} 的決定無法驗證:並非由本院資料官簽署。",
    )
    next_step = Text(
        en="Find out who put it there, delete it and let the data officer run "
        "`trifed node approve {study}`.",
        zh="請查明由誰放入,刪除後由資料官執行 `trifed node approve {study}`。",
    )


class ApprovalReplayedError(NotApprovedError):
    """A genuine decision in the wrong place: of another study, version, site or centre."""

    code = "TF341"
    what = Text(
        en="The decision in the place of {study} is about another {thing}.",
        zh="研究 {study} 位置上的決定屬於另一個{thing}。",
    )
    next_step = Text(
        en="Read what is asked now with `trifed node proposals {study}` and decide on it.",
        zh="請以 `trifed node proposals {study}` 閱讀目前的請求後再決定。",
    )


class ApprovalExpiredError(NotApprovedError):
    """An approval whose time is over."""

    code = "TF342"
    what = Text(
        en="The approval of {study} expired on {date}.", zh="研究 {study} 的核准已於 {date} 過期。"
    )
    next_step = Text(
        en="Ask the centre to propose the study again with a later end, if it is still wanted.",
        zh="若仍需要,請中心以較晚的期限重新提案。",
    )


class ApprovalWithdrawnError(NotApprovedError):
    """An approval that this hospital took back."""

    code = "TF343"
    what = Text(
        en="The approval of {study} was withdrawn on {date}.",
        zh="研究 {study} 的核准已於 {date} 撤回。",
    )
    next_step = Text(
        en="Nothing more is done for it. To take part again, the centre proposes a new version.",
        zh="不再為其執行任何事項。若要再次參與,請中心提出新版本。",
    )


class ApprovedThingChangedError(NotApprovedError):
    """Software, recipe, or update shape is not the approved one any more."""

    code = "TF344"
    what = Text(
        en="The approval of {study} does not cover what is here now: the {thing} changed after the "
        "approval.",
        zh="研究 {study} 的核准未涵蓋目前狀態:{thing}在核准後已變更。",
    )
    next_step = Text(
        en="If the change is wanted, withdraw, let the centre propose it again, and approve what "
        "`trifed node proposals {study}` then shows.",
        zh="若變更為預期,請撤回並由中心重新提案,再核准 `trifed node proposals {study}` 所示內容。",
    )


class ApprovedDataMissingError(NotApprovedError):
    """The list of approved images is missing, or not the one that was signed."""

    code = "TF345"
    what = Text(
        en="The list of the images approved for {study} is {why}.",
        zh="研究 {study} 核准影像的清單{why}。",
    )
    next_step = Text(
        en="Put decisions/{study}.instances back from a backup, or withdraw and approve a new "
        "proposal.",
        zh="請由備份還原 decisions/{study}.instances,或撤回後核准新的提案。",
    )


class ClockSetBackError(PlatformError):
    """The clock is behind something that this node already signed or recorded."""

    code = "TF346"
    what = Text(
        en="The clock of this node is {minutes} minutes behind what it signed or did last, so no "
        "expiry can be trusted.",
        zh="本節點的時鐘比其最近簽署或執行的事項慢 {minutes} 分鐘,無法信任任何期限。",
    )
    next_step = Text(
        en="Set the clock by NTP. If it was ahead before, the data officer runs "
        "`trifed node policy sign --reset-clock`.",
        zh="請以 NTP 校時。若先前時鐘過快,請資料官執行 `trifed node policy sign --reset-clock`。",
    )


class EndorsementMissingError(NotApprovedError):
    """The two-person rule holds, and no second person signed."""

    code = "TF347"
    what = Text(
        en="The policy asks for two persons, and {study} has no valid endorsement of a second one: "
        "{why}.",
        zh="政策要求兩人簽署,而研究 {study} 沒有第二人的有效背書:{why}。",
    )
    next_step = Text(
        en="Let another person run `trifed node endorse {study} --by NAME`; then the data officer "
        "approves.",
        zh="請另一人執行 `trifed node endorse {study} --by NAME`,再由資料官核准。",
    )


class PersonRefusedError(PlatformError):
    """A person of the hospital is not known, or cannot be taken into the list."""

    code = "TF348"
    what = Text(
        en="{name} is not a person who can sign at this hospital: {why}.",
        zh="{name} 並非可於本院簽署的人員:{why}。",
    )
    next_step = Text(
        en="`trifed node person list` shows who can; the data officer adds one with "
        "`trifed node person add NAME`.",
        zh="以 `trifed node person list` 查看名單;由資料官以 `trifed node person add NAME` 新增。",
    )
