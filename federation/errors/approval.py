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
