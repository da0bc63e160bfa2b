"""TF4xx: SuperLink, nodes, rounds, updates and strategies.

TF400-TF449 belong to the Flower edge: what carries tasks and replies. Errors
that a node sends to the centre travel as their code alone.
"""

from federation.errors.base import PlatformError
from federation.wording import Text


class SuperLinkUnreachableError(PlatformError):
    """Nothing answers where the SuperLink should be."""

    code = "TF400"
    what = Text(
        en="The SuperLink does not answer at {address}.", zh="SuperLink 在 {address} 沒有回應。"
    )
    next_step = Text(
        en="Start the centre with `trifed centre serve`; if it runs, read logs/superlink.log.",
        zh="請以 `trifed centre serve` 啟動中心;若已在執行,請查看 logs/superlink.log。",
    )


class FlowerMovedError(PlatformError):
    """The installed Flower is not the one this version was written for."""

    code = "TF401"
    what = Text(
        en="The installed Flower does not fit: {found}; expected {expected}.",
        zh="安裝的 Flower 不相容:{found};需要 {expected}。",
    )
    next_step = Text(
        en="Install TriFed with its constraints file, which pins Flower.",
        zh="請以 constraints 檔案重新安裝 TriFed,其中已固定 Flower 的版本。",
    )


class SuperLinkStartError(PlatformError):
    """The SuperLink was started and did not become healthy."""

    code = "TF402"
    what = Text(
        en="The SuperLink was not ready after {seconds} s.",
        zh="SuperLink 於 {seconds} 秒後仍未就緒。",
    )
    next_step = Text(
        en="Read logs/superlink.log in the centre's home.",
        zh="請查看中心工作目錄中的 logs/superlink.log。",
    )


class FlowerRefusedError(PlatformError):
    """The SuperLink answered a request of the centre with an error."""

    code = "TF403"
    what = Text(
        en="The SuperLink refused {request} (HTTP {status}).",
        zh="SuperLink 拒絕 {request}(HTTP {status})。",
    )
    next_step = Text(
        en="Read logs/superlink.log; restart the centre if its state was lost.",
        zh="請查看 logs/superlink.log;若狀態遺失,請重新啟動中心。",
    )


class SiteNotRegisteredError(PlatformError):
    """A round names a site whose node key the SuperLink does not know."""

    code = "TF404"
    what = Text(
        en="{site} has no node registered at the SuperLink.",
        zh="{site} 尚未在 SuperLink 登錄節點。",
    )
    next_step = Text(
        en="Enrol the site, or restart the centre so that it registers the roster again.",
        zh="請先登錄該院,或重新啟動中心以重新登錄名冊。",
    )


class TaskMalformedError(PlatformError):
    """A task from the centre is not spelled as the protocol says."""

    code = "TF410"
    what = Text(
        en="A task from the centre was refused: {field} is {problem}.",
        zh="已拒絕中心傳來的任務:{field} {problem}。",
    )
    next_step = Text(
        en="Compare the versions of TriFed at the centre and at the node.",
        zh="請比對中心與節點的 TriFed 版本。",
    )


class ReplyMalformedError(PlatformError):
    """A reply of a site is not spelled as the protocol says."""

    code = "TF411"
    what = Text(
        en="A reply was refused: {field} is {problem}.", zh="已拒絕一份回覆:{field} {problem}。"
    )
    next_step = Text(
        en="Compare the versions of TriFed at the centre and at the node.",
        zh="請比對中心與節點的 TriFed 版本。",
    )


class ModelTooLargeError(PlatformError):
    """A model or update is larger than its receiver accepts."""

    code = "TF412"
    what = Text(
        en="An array of {size_bytes} bytes was refused; at most {limit_bytes} are accepted.",
        zh="已拒絕 {size_bytes} 位元組的陣列;上限為 {limit_bytes}。",
    )
    next_step = Text(
        en="Check the study's recipe; the model must be the one the study names.",
        zh="請檢查研究的配方;模型必須與研究所述相同。",
    )


class UpdateShapeError(PlatformError):
    """An update does not have one number per parameter of the model."""

    code = "TF413"
    what = Text(
        en="The update of {site} has {actual} numbers; the model has {expected}.",
        zh="{site} 的更新有 {actual} 個數值;模型有 {expected} 個。",
    )
    next_step = Text(
        en="Check that the site runs the study's recipe in the same version.",
        zh="請確認該院使用研究指定的配方與版本。",
    )


class UpdateNotFiniteError(PlatformError):
    """An update holds NaN or infinity."""

    code = "TF414"
    what = Text(
        en="The update of {site} holds NaN or infinity.", zh="{site} 的更新含有 NaN 或無限大。"
    )
    next_step = Text(
        en="Lower the learning rate, or look at the site's training log.",
        zh="請降低學習率,或查看該院的訓練紀錄。",
    )


class SiteFailedError(PlatformError):
    """A site's task ended without a reply and without a code."""

    code = "TF415"
    what = Text(
        en="The task at {site} ended without a reply ({reason}).",
        zh="{site} 的任務結束但沒有回覆({reason})。",
    )
    next_step = Text(
        en="Ask the site's staff to read logs/executor.log on the node.",
        zh="請該院人員查看節點上的 logs/executor.log。",
    )


class BundleRefusedError(PlatformError):
    """A task came with a Flower bundle that the centre had not announced."""

    code = "TF416"
    what = Text(
        en="A task with the unannounced bundle {digest} was refused.",
        zh="已拒絕附帶未公告套件 {digest} 的任務。",
    )
    next_step = Text(
        en="Nothing ran. Ask the centre whether it started this run; if not, report it.",
        zh="沒有執行任何內容。請向中心確認是否啟動此執行;若否,請通報。",
    )


class ExecutorFailedError(PlatformError):
    """Something unforeseen happened while a task was handled."""

    code = "TF417"
    what = Text(
        en="The task failed at the node for an unforeseen reason ({kind}).",
        zh="節點處理任務時發生未預期的狀況({kind})。",
    )
    next_step = Text(
        en="Read logs/executor.log on the node; nothing of it was sent to the centre.",
        zh="請查看節點上的 logs/executor.log;其內容未傳給中心。",
    )


class RoundDriverDiedError(PlatformError):
    """The process that drives the rounds ended or stopped answering."""

    code = "TF420"
    what = Text(
        en="The round driver ended unexpectedly ({status}).",
        zh="回合驅動程序非預期結束({status})。",
    )
    next_step = Text(
        en="Read {log}, then launch the run again; it goes on from the last finished round.",
        zh="請查看 {log},再重新啟動執行;會由最後完成的回合繼續。",
    )


class QuorumNotReachedError(PlatformError):
    """Too few sites answered with a usable update."""

    code = "TF421"
    what = Text(
        en="Round {round} had {accepted} usable replies; {quorum} are needed.",
        zh="第 {round} 回合有 {accepted} 份可用回覆;至少需要 {quorum} 份。",
    )
    next_step = Text(
        en="Look at the sites' codes, bring the missing nodes back, and launch again.",
        zh="請查看各院代碼,恢復缺少的節點後再次啟動。",
    )


class SiteUnavailableError(PlatformError):
    """A site's node was not connected when it was asked."""

    code = "TF422"
    what = Text(en="The node of {site} is not reachable.", zh="無法連上 {site} 的節點。")
    next_step = Text(
        en="Start `trifed node serve` at the site; it takes part again from the next round.",
        zh="請在該院執行 `trifed node serve`;下一回合起即可參與。",
    )


class DeadlinePassedError(PlatformError):
    """A site had not answered when the round's time was over."""

    code = "TF423"
    what = Text(
        en="{site} did not answer within {seconds} s.", zh="{site} 未在 {seconds} 秒內回覆。"
    )
    next_step = Text(
        en="Give the study a longer round deadline, or look at the site's load.",
        zh="請延長研究的回合時限,或檢查該院的負載。",
    )


class PathRefusedError(PlatformError):
    """A node asked the fleet gate for something that is not the Fleet API."""

    code = "TF430"
    what = Text(
        en="The fleet gate refused a request for {path}.", zh="fleet 閘道拒絕對 {path} 的要求。"
    )
    next_step = Text(
        en="Nodes may only use the Fleet API. If a node's software asked this, check the node.",
        zh="節點只能使用 Fleet API。若為節點軟體所送出,請檢查該節點。",
    )


class FlowerKeyRefusedError(PlatformError):
    """A request carries a node key that is not the one enrolled for its certificate."""

    code = "TF431"
    what = Text(
        en="{site} presented a Flower node key that is not the one it enrolled.",
        zh="{site} 出示的 Flower 節點金鑰與登錄者不同。",
    )
    next_step = Text(
        en="Put back the enrolled keys/flower.key, or enrol the site again.",
        zh="請還原登錄時的 keys/flower.key,或重新登錄該院。",
    )


class FleetRequestMalformedError(PlatformError):
    """A request at the fleet gate is not one that Flower would send."""

    code = "TF432"
    what = Text(
        en="The fleet gate refused a request: {problem}.", zh="fleet 閘道拒絕一項要求:{problem}。"
    )
    next_step = Text(
        en="Check that nothing but the node's own software uses its connection.",
        zh="請確認只有節點軟體使用其連線。",
    )


class UpdateFormError(PlatformError):
    """An update is not a flat array of float32 numbers."""

    code = "TF450"
    what = Text(
        en="The update of {site} is {actual}, not a flat float32 array.",
        zh="{site} 的更新是 {actual},而不是一維 float32 陣列。",
    )
    next_step = Text(
        en="Check that the site runs the same version of TriFed as the centre.",
        zh="請確認該院與中心使用相同版本的 TriFed。",
    )


class UpdateTooLargeError(PlatformError):
    """Numbers are finite, but so large that their sum would not be."""

    code = "TF451"
    what = Text(
        en="The update of {site} would take the weighted sum beyond {limit}.",
        zh="{site} 的更新會使加權總和超過 {limit}。",
    )
    next_step = Text(
        en="The sum is unchanged. Lower the learning rate; training at the site has diverged.",
        zh="總和未受影響。請降低學習率;該院的訓練已發散。",
    )


class WeightInvalidError(PlatformError):
    """A weight is not a positive number of sensible size."""

    code = "TF452"
    what = Text(
        en="The weight {weight} is not allowed in a mean.", zh="平均的權重不可為 {weight}。"
    )
    next_step = Text(en="Give a weight from {low} to {high}.", zh="請給予 {low} 至 {high} 的權重。")


class NothingToAggregateError(PlatformError):
    """A mean or median was asked of no update at all."""

    code = "TF453"
    what = Text(en="There is no update to aggregate.", zh="沒有任何更新可供彙整。")
    next_step = Text(
        en="Look at the codes of the round's sites; none of them sent a usable update.",
        zh="請查看本回合各院的代碼;沒有任何一院送出可用的更新。",
    )


class TooFewUpdatesError(PlatformError):
    """A robust rule needs more updates than came, to keep its promise."""

    code = "TF454"
    what = Text(
        en="{method} needs {needed} updates; {count} came.",
        zh="{method} 需要 {needed} 份更新;實際收到 {count} 份。",
    )
    next_step = Text(
        en="Tolerate fewer hostile sites, invite more sites, or use the plain mean.",
        zh="請降低可容忍的惡意節點數、邀請更多院所,或改用一般平均。",
    )


class TooFewSitesError(PlatformError):
    """A round cannot start because too few of its sites are connected."""

    code = "TF455"
    what = Text(
        en="{available} of the study's sites are available; the quorum is {quorum}.",
        zh="研究中有 {available} 個院所可用;最低需要 {quorum} 個。",
    )
    next_step = Text(
        en="Start the missing nodes with `trifed node serve`, or propose the study with a "
        "lower quorum.",
        zh="請以 `trifed node serve` 啟動缺少的節點,或以較低的最低院所數重新提案。",
    )


class DuplicateReplyError(PlatformError):
    """A site's update came a second time in one round."""

    code = "TF456"
    what = Text(en="{site} was already counted in this round.", zh="{site} 在本回合已經計入。")
    next_step = Text(
        en="Nothing was added twice; check that no two nodes use the name of this site.",
        zh="沒有重複計入;請確認沒有兩個節點使用同一院所名稱。",
    )
