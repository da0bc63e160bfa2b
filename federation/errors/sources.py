"""TF54x, TF55x: the ways in: PACS, DICOMweb, watched folders, the receiving port.

TF546, TF549 to TF552 and TF557 are counted where objects arrive; the rest are raised.
"""

from federation.errors.base import PlatformError
from federation.wording import Text


class SourcesFileError(PlatformError):
    """The file `sources.toml` is missing, unreadable or breaks a rule."""

    code = "TF540"
    what = Text(
        en="sources.toml cannot be used: {why}.",
        zh="sources.toml 無法使用:{why}。",
    )
    next_step = Text(
        en="Correct the file; `trifed node sources template` prints one with comments.",
        zh="請修正該檔;`trifed node sources template` 會印出附註解的範本。",
    )


class SourceUnknownError(PlatformError):
    """No source of that name is configured."""

    code = "TF541"
    what = Text(
        en="No source is called {name}; known are: {known}.",
        zh="沒有名為 {name} 的來源;已知來源:{known}。",
    )
    next_step = Text(
        en="Use one of these names, or add the source to sources.toml.",
        zh="請使用上述名稱,或於 sources.toml 新增來源。",
    )


class SecretFileError(PlatformError):
    """A key or token file is missing, empty or open to others."""

    code = "TF542"
    what = Text(
        en="The file named by {setting} cannot be used: {why}.",
        zh="{setting} 所指的檔案無法使用:{why}。",
    )
    next_step = Text(
        en="Put the secret alone into that file and run `chmod 600` on it.",
        zh="請將機密內容單獨存入該檔,並執行 `chmod 600`。",
    )


class PacsUnreachableError(PlatformError):
    """A PACS did not open an association."""

    code = "TF543"
    what = Text(
        en="The PACS {source} did not open an association: {why}.",
        zh="PACS {source} 未建立連線:{why}。",
    )
    next_step = Text(
        en="Check host, port, TLS and both AE titles; the PACS must know the calling AE title.",
        zh="請檢查主機、連接埠、TLS 與雙方 AE 名稱;PACS 須登錄本院的呼叫端 AE 名稱。",
    )


class PacsRefusedError(PlatformError):
    """A PACS answered a request with a failure."""

    code = "TF544"
    what = Text(
        en="The PACS {source} ended {operation} with status {status}.",
        zh="PACS {source} 以狀態 {status} 結束 {operation}。",
    )
    next_step = Text(
        en="Look the status up in PS3.4 and ask the PACS administrator; then fetch again, "
        "it goes on where it stopped.",
        zh="請於 PS3.4 查詢狀態碼並洽 PACS 管理者;之後再次擷取,會由中斷處繼續。",
    )


class FetchIncompleteError(PlatformError):
    """A fetch ended before everything planned was here."""

    code = "TF545"
    what = Text(
        en="{failed} of {planned} planned series were not fetched whole ({codes}).",
        zh="預定的 {planned} 個序列中有 {failed} 個未完整取得({codes})。",
    )
    next_step = Text(
        en="Run the same command again; only what is missing is asked for.",
        zh="請再執行相同指令;只會索取缺少的部分。",
    )


class ObjectsNotSentError(PlatformError):
    """The archive did not send objects that it lists."""

    code = "TF546"
    what = Text(
        en="{count} objects that the archive lists were not sent.",
        zh="影像庫列出的物件中有 {count} 個未送出。",
    )
    next_step = Text(
        en="Fetch again; if it persists, ask whether the archive still holds them online.",
        zh="請再次擷取;若仍發生,請確認影像庫是否仍線上保存這些物件。",
    )


class DicomwebAnswerError(PlatformError):
    """A DICOMweb server did not answer, or not as PS3.18 demands."""

    code = "TF547"
    what = Text(
        en="The DICOMweb server {source} cannot be used: {why}.",
        zh="DICOMweb 伺服器 {source} 無法使用:{why}。",
    )
    next_step = Text(
        en="Check url, token_file and the server's certificate; then try again.",
        zh="請檢查 url、token_file 與伺服器憑證後再試。",
    )


class MultipartError(PlatformError):
    """A multipart body is malformed or passes a limit."""

    code = "TF548"
    what = Text(
        en="The multipart message is not acceptable: {why}.",
        zh="multipart 訊息無法接受:{why}。",
    )
    next_step = Text(
        en='Send multipart/related; type="application/dicom" in smaller requests.',
        zh='請以 multipart/related; type="application/dicom" 分批傳送。',
    )


class ObjectTooLargeError(PlatformError):
    """One incoming object is larger than allowed."""

    code = "TF549"
    what = Text(
        en="The object is larger than the {megabytes} MiB that may be received.",
        zh="物件超過可接收的 {megabytes} MiB。",
    )
    next_step = Text(
        en="Send it in smaller parts, or raise max_object_mb in sources.toml.",
        zh="請拆分後傳送,或提高 sources.toml 的 max_object_mb。",
    )


class PeerNotAllowedError(PlatformError):
    """A sender is not on the list of those who may send."""

    code = "TF550"
    what = Text(
        en="A sender that is not allowed tried to connect.",
        zh="未獲允許的傳送端嘗試連線。",
    )
    next_step = Text(
        en="If it should send, add its AE title to allowed_callers and its address to "
        "allowed_hosts.",
        zh="若應允許,請將其 AE 名稱加入 allowed_callers,並將位址加入 allowed_hosts。",
    )


class TooManyAssociationsError(PlatformError):
    """More senders at once than allowed."""

    code = "TF551"
    what = Text(
        en="More than {limit} senders connected at once.",
        zh="同時連線的傳送端超過 {limit} 個。",
    )
    next_step = Text(
        en="Let the sender try again, or raise max_associations in sources.toml.",
        zh="請傳送端重試,或提高 sources.toml 的 max_associations。",
    )


class TokenRefusedError(PlatformError):
    """A web request came without the right token."""

    code = "TF552"
    what = Text(
        en="The request did not carry the right bearer token.",
        zh="請求未附正確的 bearer token。",
    )
    next_step = Text(
        en="Give the sender the token of the file that stow.token_file names.",
        zh="請將 stow.token_file 所指檔案中的 token 設定於傳送端。",
    )


class WatchedFolderGoneError(PlatformError):
    """The watched folder is not there."""

    code = "TF553"
    what = Text(
        en="The watched folder is not there.",
        zh="監看的資料夾不存在。",
    )
    next_step = Text(
        en="Make it, or mount its share again; the watch waits and goes on by itself.",
        zh="請建立該資料夾或重新掛載;監看會等待並自動繼續。",
    )


class TlsFilesError(PlatformError):
    """A certificate or key of a TLS connection cannot be used."""

    code = "TF554"
    what = Text(
        en="The TLS files of {where} cannot be used: {why}.",
        zh="{where} 的 TLS 檔案無法使用:{why}。",
    )
    next_step = Text(
        en="Give PEM files that belong together; the key needs mode 0600.",
        zh="請提供相符的 PEM 檔;金鑰檔權限須為 0600。",
    )


class NothingToReceiveError(PlatformError):
    """Receiving is asked for, but no way to receive is configured."""

    code = "TF555"
    what = Text(
        en="sources.toml has no [receiver], so nothing can be received.",
        zh="sources.toml 沒有 [receiver],因此無法接收。",
    )
    next_step = Text(
        en="Add [receiver] (C-STORE) and, if wanted, [stow]; see `trifed node sources template`.",
        zh="請加入 [receiver](C-STORE)與視需要的 [stow];參見 `trifed node sources template`。",
    )


class ReceiverRunsError(PlatformError):
    """Another process already receives for this node."""

    code = "TF556"
    what = Text(
        en="Another process already receives for this data folder.",
        zh="另一個程序已為此資料夾接收影像。",
    )
    next_step = Text(
        en="Stop it first, or leave it running: what it receives is taken in.",
        zh="請先停止它,或讓它繼續執行:它收到的內容都會匯入。",
    )


class NotAnObjectError(PlatformError):
    """What was sent is no DICOM object that can be kept."""

    code = "TF557"
    what = Text(
        en="What was sent is not a DICOM object.",
        zh="傳來的內容不是 DICOM 物件。",
    )
    next_step = Text(
        en="Find out at the sender what it sent; it was refused and not kept.",
        zh="請於傳送端確認內容;該內容已被拒絕且未保存。",
    )


class FetchQueryError(PlatformError):
    """A fetch asks for something that cannot be asked."""

    code = "TF558"
    what = Text(
        en="The fetch cannot be asked like this: {why}.",
        zh="無法以此條件擷取:{why}。",
    )
    next_step = Text(
        en="Correct the options; `trifed node fetch --help` names them.",
        zh="請修正選項;參見 `trifed node fetch --help`。",
    )


class FolderNotWatchableError(PlatformError):
    """The system cannot report changes of a folder, so it is only looked through."""

    code = "TF559"
    what = Text(
        en="The system does not report changes of this folder; it is looked through every "
        "{seconds} s instead.",
        zh="系統無法回報此資料夾的變更;改為每 {seconds} 秒巡查一次。",
    )
    next_step = Text(
        en="Nothing needs to be done; raise fs.inotify.max_user_watches for faster pick-up.",
        zh="無須處理;若要更快,可提高 fs.inotify.max_user_watches。",
    )
