"""TF23x-TF25x: the control channel, the front door and the long-running processes."""

from federation.errors.base import PlatformError
from federation.wording import Text


class StrangerError(PlatformError):
    """A connection reached the inner gRPC port without passing the front door."""

    code = "TF230"
    what = Text(
        en="This connection did not come through the centre's front door.",
        zh="此連線並非經由中心的入口進入。",
    )
    next_step = Text(
        en="Connect to the centre's public address with the node's own certificate.",
        zh="請以節點自己的憑證連線到中心的公開位址。",
    )


class VersionMismatchError(PlatformError):
    """Node and centre speak different versions of the control channel."""

    code = "TF231"
    what = Text(
        en="The node speaks version {node} of the control channel, the centre version {centre} "
        "(software {node_software} and {centre_software}).",
        zh="節點使用控制通道第 {node} 版,中心使用第 {centre} 版"
        "(軟體版本分別為 {node_software} 與 {centre_software})。",
    )
    next_step = Text(
        en="Install the same release of TriFed on both sides; the older side updates.",
        zh="請在兩端安裝相同版本的 TriFed;由版本較舊的一方更新。",
    )


class SiteMismatchError(PlatformError):
    """A node says it is another site than its certificate says."""

    code = "TF232"
    what = Text(
        en="The node calls itself {said}, but its certificate was issued to {certified}.",
        zh="節點自稱 {said},但其憑證發給 {certified}。",
    )
    next_step = Text(
        en="Use the home folder that was made for this site, or enrol the site again.",
        zh="請使用為該站點建立的工作目錄,或重新登錄該站點。",
    )


class ClockSkewError(PlatformError):
    """The clocks of node and centre are too far apart."""

    code = "TF233"
    what = Text(
        en="The node's clock differs from the centre's by {seconds} seconds; {limit} are allowed.",
        zh="節點時鐘與中心相差 {seconds} 秒;容許值為 {limit} 秒。",
    )
    next_step = Text(
        en="Set both clocks by NTP (`timedatectl`); the node tries again by itself.",
        zh="請以 NTP 校正兩端時鐘(`timedatectl`);節點會自動重試。",
    )


class ProtocolBrokenError(PlatformError):
    """A peer sent what the control channel does not allow."""

    code = "TF234"
    what = Text(
        en="The control channel was used wrongly: {why}.", zh="控制通道使用方式錯誤:{why}。"
    )
    next_step = Text(
        en="Install the same release of TriFed on both sides; if it stays, report it with the log.",
        zh="請在兩端安裝相同版本的 TriFed;若仍發生,請附上紀錄回報。",
    )


class ConnectionReplacedError(PlatformError):
    """The same site connected a second time; the newer connection stays."""

    code = "TF235"
    what = Text(
        en="Another connection of site {site} took over the control channel.",
        zh="站點 {site} 的另一個連線接手了控制通道。",
    )
    next_step = Text(
        en="Run one node agent per site; if nobody started another, revoke the certificate.",
        zh="每個站點只執行一個節點程式;若無人另行啟動,請撤銷該憑證。",
    )


class RefusedByPeerError(PlatformError):
    """The other side said no with a code that this version does not know."""

    code = "TF236"
    what = Text(
        en="The other side refused with {peer_code}: {said}",
        zh="對方以 {peer_code} 拒絕:{said}",
    )
    next_step = Text(en="It advises: {advice}", zh="對方建議:{advice}")


class CentreUnreachableError(PlatformError):
    """Nothing answers at the centre's address."""

    code = "TF237"
    what = Text(
        en="The centre at {address} cannot be reached: {why}.",
        zh="無法連線到位於 {address} 的中心:{why}。",
    )
    next_step = Text(
        en="Check the address and that the firewall lets this port out; the node keeps trying.",
        zh="請檢查位址,並確認防火牆允許此連接埠對外連線;節點會持續重試。",
    )


class CentreNotRunningError(PlatformError):
    """A command needs the running centre and none answers."""

    code = "TF238"
    what = Text(
        en="No centre is running in this home: {folder}.",
        zh="此工作目錄沒有執行中的中心:{folder}。",
    )
    next_step = Text(
        en="Start it with `trifed centre serve --home {folder}`.",
        zh="請以 `trifed centre serve --home {folder}` 啟動。",
    )


class AlreadyRunningError(PlatformError):
    """A second long-running process was started on one home."""

    code = "TF239"
    what = Text(
        en="A {kind} is already running in this home (process {pid}).",
        zh="此工作目錄已有執行中的 {kind}(行程 {pid})。",
    )
    next_step = Text(
        en="Use the running one, or stop process {pid} first.",
        zh="請使用執行中的程式,或先停止行程 {pid}。",
    )


class UnaskedDecisionError(PlatformError):
    """A site decided on something the centre did not propose to it."""

    code = "TF240"
    what = Text(
        en="Site {site} decided on study {study}, which was not proposed to it in this form.",
        zh="站點 {site} 對研究 {study} 作出決定,但該形式的研究並未向其提案。",
    )
    next_step = Text(
        en="Propose the study again; the site then decides on the new digest.",
        zh="請重新提案;該站點再對新的摘要值作出決定。",
    )


class NoProtocolChosenError(PlatformError):
    """A client with a good certificate did not say what it wants to speak."""

    code = "TF241"
    what = Text(
        en="A connection from {peer} named no protocol the centre speaks (ALPN).",
        zh="來自 {peer} 的連線未指明中心支援的通訊協定(ALPN)。",
    )
    next_step = Text(
        en="Connect with `trifed node serve`; nothing else has business at this port.",
        zh="請以 `trifed node serve` 連線;此連接埠不提供其他用途。",
    )


class PeerSilentError(PlatformError):
    """A peer stopped answering on an open connection."""

    code = "TF243"
    what = Text(
        en="The {peer} has been silent for {seconds} seconds; the connection is given up.",
        zh="{peer} 已 {seconds} 秒沒有回應;此連線將放棄。",
    )
    next_step = Text(
        en="Nothing if it happens once; else check the network between the two sides.",
        zh="偶發一次可忽略;若持續發生,請檢查兩端之間的網路。",
    )


class ChildDiedError(PlatformError):
    """A supervised process ended by itself and is started again."""

    code = "TF244"
    what = Text(
        en="The process {name} ended with status {status} and is started again in {delay_s} s.",
        zh="行程 {name} 以狀態 {status} 結束,將於 {delay_s} 秒後重新啟動。",
    )
    next_step = Text(
        en="Nothing if it happens once; else read {log} in the home's logs folder.",
        zh="偶發一次可忽略;若持續發生,請查看工作目錄 logs 資料夾中的 {log}。",
    )


class ChildHangsError(PlatformError):
    """A supervised process ran and answered nobody; it was killed and is started again."""

    code = "TF260"
    what = Text(
        en="The process {name} did not answer for up to {seconds} s and is started again.",
        zh="行程 {name} 已有最多 {seconds} 秒沒有回應,將重新啟動。",
    )
    next_step = Text(
        en="Nothing if it happens once; else read {log} in the home's logs folder, and look at "
        "the load of the machine.",
        zh="偶發一次可忽略;若持續發生,請查看工作目錄 logs 資料夾中的 {log},並檢查主機負載。",
    )


class ChildNotReadyError(PlatformError):
    """A supervised process did not become ready in time."""

    code = "TF245"
    what = Text(
        en="The process {name} was not ready after {seconds} seconds.",
        zh="行程 {name} 在 {seconds} 秒後仍未就緒。",
    )
    next_step = Text(
        en="Read {log} in the home's logs folder, then start again.",
        zh="請查看工作目錄 logs 資料夾中的 {log},然後重新啟動。",
    )


class CentreBusyError(PlatformError):
    """The running centre did not answer a command in time."""

    code = "TF246"
    what = Text(
        en="The running centre did not answer within {seconds} seconds.",
        zh="執行中的中心未在 {seconds} 秒內回應。",
    )
    next_step = Text(
        en="Try again; if it stays, read centre.log in the home's logs folder.",
        zh="請再試一次;若持續發生,請查看工作目錄 logs 資料夾中的 centre.log。",
    )


class ProposalUnsignedError(PlatformError):
    """A proposal is not the study the centre signed."""

    code = "TF247"
    what = Text(
        en="The proposal {study} is not what the centre's signature covers.",
        zh="提案 {study} 與中心簽章所涵蓋的內容不符。",
    )
    next_step = Text(
        en="The centre proposes it again; if it stays, compare the study digest by telephone.",
        zh="請中心重新提案;若仍發生,請以電話核對研究的摘要值。",
    )
