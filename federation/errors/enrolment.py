"""TF2xx: invitations, requests, certificates and the control channel.

Certificates of a node and of the centre have codes of their own, so that a
code alone says whose certificate is wrong and who has to act.
"""

from federation.errors.base import PlatformError
from federation.wording import Text


class HomeExistsError(PlatformError):
    """`init` was pointed at a folder that already holds a home or parts of one."""

    code = "TF201"
    what = Text(
        en="{folder} already holds {found}; nothing was changed.",
        zh="{folder} 已經有 {found};沒有更動任何內容。",
    )
    next_step = Text(
        en="Use the home that is there, or give an empty folder with --home.",
        zh="請使用現有的工作目錄,或以 --home 指定空的資料夾。",
    )


class DocumentUnreadableError(PlatformError):
    """An enrolment file is not what this version of TriFed writes."""

    code = "TF202"
    what = Text(en="This {document} cannot be read: {why}.", zh="無法讀取此 {document}:{why}。")
    next_step = Text(
        en="Ask the sender for the original file, unchanged, and try again.",
        zh="請向寄件者索取未經更動的原始檔案後再試一次。",
    )


class InvitationExpiredError(PlatformError):
    """An invitation was used after its last day."""

    code = "TF203"
    what = Text(
        en="The invitation of {site} expired on {expired}.", zh="{site} 的邀請已於 {expired} 到期。"
    )
    next_step = Text(
        en="The centre makes a new one with `trifed centre invite`; start again with it at the "
        "node.",
        zh="請中心以 `trifed centre invite` 重新發出邀請,節點再以新邀請開始。",
    )


class InvitationUsedError(PlatformError):
    """An invitation enrols one node, once."""

    code = "TF204"
    what = Text(
        en="The invitation of {site} was already used; it enrols one node, once.",
        zh="{site} 的邀請已使用過;一份邀請只能登錄一個節點一次。",
    )
    next_step = Text(
        en="If only the kit was lost, renew the site's kit. If somebody else used the invitation, "
        "revoke the site and invite the hospital under another name.",
        zh="若只是遺失節點套件,請為該據點換發。若邀請遭他人使用,請撤銷該據點並以其他名稱重新邀請。",
    )


class InvitationUnknownError(PlatformError):
    """A request was not made with the invitation the centre gave out last."""

    code = "TF205"
    what = Text(
        en="The request of {site} was not made with that site's current invitation.",
        zh="{site} 的登錄申請並非以該據點目前的邀請產生。",
    )
    next_step = Text(
        en="Make the request again with the newest invitation, in a new node home.",
        zh="請以最新的邀請,在新的節點工作目錄重新產生申請。",
    )


class RequestTamperedError(PlatformError):
    """A signature inside a request or kit does not hold."""

    code = "TF206"
    what = Text(
        en="The {document} of {site} was changed after it was made: {part} does not hold.",
        zh="{site} 的 {document} 在產生之後遭到更動:{part} 驗證不符。",
    )
    next_step = Text(
        en="Do not use it. Ask the sender for the original over another way and compare.",
        zh="請勿使用。請改以其他管道向寄件者索取原始檔案並比對。",
    )


class KeyRefusedError(PlatformError):
    """A key is of a kind this platform does not accept."""

    code = "TF207"
    what = Text(en="The {key} key is {actual}.", zh="{key} 金鑰為 {actual}。")
    next_step = Text(
        en="Only {allowed} is accepted here; let `trifed node init` make the keys.",
        zh="此處只接受 {allowed};請由 `trifed node init` 產生金鑰。",
    )


class WrongSiteError(PlatformError):
    """A document or certificate belongs to another site."""

    code = "TF208"
    what = Text(
        en="This {document} is for {actual}, not for {expected}.",
        zh="此 {document} 屬於 {actual},而非 {expected}。",
    )
    next_step = Text(
        en="Use the one that was made for {expected}.", zh="請使用為 {expected} 產生的檔案。"
    )


class ForeignKitError(PlatformError):
    """A kit or invitation does not come from the centre it claims."""

    code = "TF209"
    what = Text(
        en="This {document} comes from another centre: fingerprint {actual}, expected {expected}.",
        zh="此 {document} 來自其他中心:憑證指紋為 {actual},應為 {expected}。",
    )
    next_step = Text(
        en="Do not use it. Read the fingerprint with the centre over the telephone.",
        zh="請勿使用。請以電話與中心核對憑證指紋。",
    )


class KitKeyMismatchError(PlatformError):
    """A kit's certificate was made for another key than this node's."""

    code = "TF210"
    what = Text(
        en="The certificate in the kit of {site} was not made for this node's key.",
        zh="{site} 套件中的憑證不是為此節點的金鑰簽發。",
    )
    next_step = Text(
        en="Join in the home that made the request, or send this home's request.json to the "
        "centre.",
        zh="請在產生該申請的工作目錄執行 join,或將此目錄的 request.json 送交中心。",
    )


class NodeCertificateExpiredError(PlatformError):
    """A hospital's certificate is past its last day."""

    code = "TF211"
    what = Text(
        en="The certificate of node {node} has expired{when}.",
        zh="節點 {node} 的憑證已到期{when}。",
    )
    next_step = Text(
        en="The centre renews the site's kit; the hospital runs `trifed node join` with it. Check "
        "the clocks of both machines too.",
        zh="請中心換發該據點的套件,由醫院執行 `trifed node join`。並請檢查兩端時鐘。",
    )


class NodeCertificateNotYetValidError(PlatformError):
    """A hospital's certificate is not valid yet, by the clock of the machine that checked."""

    code = "TF212"
    what = Text(
        en="The certificate of node {node} is not valid yet{when}.",
        zh="節點 {node} 的憑證尚未生效{when}。",
    )
    next_step = Text(
        en="Set the clocks of the centre and the node right (NTP); wait if they are.",
        zh="請校正中心與節點的時鐘(NTP);若時鐘無誤,請等待生效。",
    )


class ForeignNodeCertificateError(PlatformError):
    """A hospital's certificate was issued by another authority than this centre's."""

    code = "TF213"
    what = Text(
        en="The certificate of node {node} was not issued by the centre {centre}.",
        zh="節點 {node} 的憑證不是由中心 {centre} 簽發。",
    )
    next_step = Text(
        en="The node needs a kit of this centre: `trifed node join` with the right one, or a new "
        "invitation.",
        zh="節點需要此中心的套件:請以正確的套件執行 `trifed node join`,或索取新的邀請。",
    )


class NodeCertificateRevokedError(PlatformError):
    """The centre has revoked a hospital's node."""

    code = "TF214"
    what = Text(
        en="The centre revoked the certificate of node {node}{when}.",
        zh="中心已撤銷節點 {node} 的憑證{when}。",
    )
    next_step = Text(
        en="Ask the centre why. A revoked name stays revoked: coming back takes a new invitation "
        "under another name.",
        zh="請向中心詢問原因。撤銷的名稱不再恢復;重新加入需以其他名稱取得新邀請。",
    )


class NodeCertificateUnknownError(PlatformError):
    """A certificate is signed by the centre, but the roster does not know it."""

    code = "TF215"
    what = Text(
        en="The certificate {serial} presented for node {node} is not in the centre's roster.",
        zh="為節點 {node} 出示的憑證 {serial} 不在中心的名冊中。",
    )
    next_step = Text(
        en="Renew the site's kit. If the roster was restored from a backup, enrol the site again.",
        zh="請換發該據點的套件。若名冊曾由備份還原,請重新登錄該據點。",
    )


class NodeCertificateMissingError(PlatformError):
    """A connection to the centre came without a certificate."""

    code = "TF216"
    what = Text(
        en="{node} showed no certificate to the centre {centre}.",
        zh="{node} 未向中心 {centre} 出示憑證。",
    )
    next_step = Text(
        en="Only enrolled nodes may connect: run `trifed node join` first, and connect with the "
        "node agent.",
        zh="僅已登錄的節點可連線:請先執行 `trifed node join`,並以節點代理程式連線。",
    )


class NodeCertificateUnfitError(PlatformError):
    """A hospital's certificate may not be used to connect to a centre."""

    code = "TF217"
    what = Text(
        en="The certificate of node {node} is not one for a node: {why}.",
        zh="節點 {node} 的憑證不是節點憑證:{why}。",
    )
    next_step = Text(
        en="Check the clocks, then join again with the kit the centre made for this node.",
        zh="請先檢查時鐘,再以中心為此節點製作的套件重新執行 join。",
    )


class CentreCertificateExpiredError(PlatformError):
    """The centre's own certificate is past its last day."""

    code = "TF218"
    what = Text(
        en="The certificate of the centre {centre} has expired{when}.",
        zh="中心 {centre} 的憑證已到期{when}。",
    )
    next_step = Text(
        en="The centre renews its server certificate and restarts. Check this machine's clock too.",
        zh="請中心換發伺服器憑證並重新啟動。並請檢查本機時鐘。",
    )


class CentreCertificateNotYetValidError(PlatformError):
    """The centre's own certificate is not valid yet, by this machine's clock."""

    code = "TF219"
    what = Text(
        en="The certificate of the centre {centre} is not valid yet{when}.",
        zh="中心 {centre} 的憑證尚未生效{when}。",
    )
    next_step = Text(
        en="Set this machine's clock right (NTP); if it is, the centre checks its own.",
        zh="請校正本機時鐘(NTP);若本機無誤,請中心檢查其時鐘。",
    )


class ForeignCentreCertificateError(PlatformError):
    """Whoever answers at the centre's address was not certified by the invited centre."""

    code = "TF220"
    what = Text(
        en="What answers at {centre} has no certificate of the centre that invited {node}.",
        zh="在 {centre} 回應者,並未持有邀請 {node} 之中心的憑證。",
    )
    next_step = Text(
        en="Check the address. If it is right, somebody may be in between (a proxy that opens TLS "
        "must be told to let this address pass); ask the centre before going on.",
        zh="請檢查位址。若位址正確,連線可能遭中間人攔截(會解開 TLS 的代理伺服器須放行此位址);"
        "請先向中心確認。",
    )


class CentreNameMismatchError(PlatformError):
    """The centre's certificate does not name the host that was dialled."""

    code = "TF221"
    what = Text(
        en="The certificate of the centre does not name the host of {centre}.",
        zh="中心的憑證不包含 {centre} 的主機名稱。",
    )
    next_step = Text(
        en="Use the address in the invitation, or let the centre renew its server certificate "
        "with this host name.",
        zh="請使用邀請中的位址,或請中心以此主機名稱換發伺服器憑證。",
    )


class CentreCertificateUnfitError(PlatformError):
    """The centre's certificate may not be used by a server."""

    code = "TF222"
    what = Text(
        en="The certificate shown at {centre} is not one for a centre: {why}.",
        zh="{centre} 出示的憑證不是中心憑證:{why}。",
    )
    next_step = Text(
        en="The centre renews its server certificate and restarts.",
        zh="請中心換發伺服器憑證並重新啟動。",
    )


class TlsVersionError(PlatformError):
    """The two sides do not speak the same TLS, or one does not speak TLS at all."""

    code = "TF223"
    what = Text(
        en="{node} and the centre {centre} share no TLS version or protocol ({why}).",
        zh="{node} 與中心 {centre} 沒有共同的 TLS 版本或協定({why})。",
    )
    next_step = Text(
        en="Check that the port is the centre's; both sides need TLS 1.2 or newer and the same "
        "release of TriFed, with no old proxy between.",
        zh="請確認連接埠屬於中心;兩端須使用 TLS 1.2 以上與相同版本的 TriFed,且"
        "中間沒有老舊的代理伺服器。",
    )


class HandshakeFailedError(PlatformError):
    """A secure connection could not be made, for a reason that names no certificate."""

    code = "TF224"
    what = Text(
        en="{node} and the centre {centre} could not make a secure connection: {why}.",
        zh="{node} 與中心 {centre} 無法建立安全連線:{why}。",
    )
    next_step = Text(
        en="Check network and firewall, then read the log of the other side for the same minute; "
        "`trifed doctor` checks certificates and clock.",
        zh="請檢查網路與防火牆,並查看對方同一分鐘的紀錄;`trifed doctor` 可檢查憑證與時鐘。",
    )


class SiteUnknownError(PlatformError):
    """The roster has no such site."""

    code = "TF225"
    what = Text(en="The roster has no site {site}.", zh="名冊中沒有據點 {site}。")
    next_step = Text(
        en="`trifed centre status` lists the sites; `trifed centre invite` adds one.",
        zh="`trifed centre status` 列出所有據點;`trifed centre invite` 可新增據點。",
    )


class SiteExistsError(PlatformError):
    """A name in the roster was to be given out again."""

    code = "TF226"
    what = Text(
        en="The site {site} is already {state}; it cannot be invited again.",
        zh="據點 {site} 的狀態已是 {state},不能再次邀請。",
    )
    next_step = Text(
        en="Renew its kit if the node lost its certificate, or invite under another name.",
        zh="若節點遺失憑證,請換發套件;否則請以其他名稱邀請。",
    )


class KeyFileUnsafeError(PlatformError):
    """A key file can be read by others, or is not a key."""

    code = "TF227"
    what = Text(en="The key file {file} cannot be used: {why}.", zh="無法使用金鑰檔 {file}:{why}。")
    next_step = Text(
        en="Keep it 0600 and owned by the account that runs TriFed; if others could read it, "
        "replace the key by a new enrolment.",
        zh="檔案權限須為 0600 且屬於執行 TriFed 的帳號;若他人曾可讀取,請重新登錄以更換金鑰。",
    )


class NotJoinedError(PlatformError):
    """A node has made its request, but no kit of the centre was taken in yet."""

    code = "TF228"
    what = Text(en="Node {site} has not joined the centre yet.", zh="節點 {site} 尚未加入中心。")
    next_step = Text(
        en="Send request.json to the centre, then run `trifed node join` with the kit it sends "
        "back.",
        zh="請將 request.json 送交中心,再以中心寄回的套件執行 `trifed node join`。",
    )


class KeyAlreadyEnrolledError(PlatformError):
    """A key that belongs to one site came again with another."""

    code = "TF229"
    what = Text(
        en="The {key} key in the request of {site} already belongs to another site.",
        zh="{site} 申請中的 {key} 金鑰已屬於其他據點。",
    )
    next_step = Text(
        en="Every node has keys of its own: run `trifed node init` in a new folder, never on a "
        "copy of another home.",
        zh="每個節點須有自己的金鑰:請在新資料夾執行 `trifed node init`,"
        "切勿使用其他工作目錄的副本。",
    )
