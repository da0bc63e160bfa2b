"""TF107-TF119: the centre's database and its artefact store.

StoreUnavailableError is passing: nothing was committed, the same may be tried
again. Its subclasses say why; what is not passing stands beside it.
"""

from federation.errors.base import PlatformError
from federation.errors.machine import DiskFullError
from federation.wording import Text


class StoreUnavailableError(PlatformError):
    """The database does not answer now; nothing was committed, trying again may help."""

    code = "TF107"
    what = Text(
        en="The centre's database does not answer ({condition}).",
        zh="中心的資料庫沒有回應({condition})。",
    )
    next_step = Text(
        en="Nothing was written. Start the database again; the centre goes on by itself.",
        zh="沒有寫入任何資料。請重新啟動資料庫;中心會自行繼續。",
    )


class StoreBusyError(StoreUnavailableError):
    """Another writer held the database for longer than we wait."""

    code = "TF108"
    what = Text(
        en="Another writer keeps the centre's database busy ({condition}).",
        zh="中心的資料庫正被其他程序寫入({condition})。",
    )
    next_step = Text(
        en="Nothing was written. Try again; if it stays, find the program that keeps it open.",
        zh="沒有寫入任何資料。請再試一次;若持續發生,請找出占用資料庫的程式。",
    )


class CommitUnknownError(StoreUnavailableError):
    """The connection was lost at the commit, and the database could not be asked again."""

    code = "TF109"
    what = Text(
        en="The connection to the centre's database was lost while committing ({condition}).",
        zh="提交時與中心資料庫的連線中斷({condition})。",
    )
    next_step = Text(
        en="The step is there whole or not at all. Start the database again and repeat the "
        "step: a step that was written is not written twice.",
        zh="該步驟若非完整寫入,即完全沒有寫入。請重新啟動資料庫並重複該步驟;已寫入者不會重複寫入。",
    )


class StoreDamagedError(PlatformError):
    """The database's file is not a database any more, or the disk fails below it."""

    code = "TF110"
    what = Text(
        en="The centre's database is damaged or its disk fails ({condition}).",
        zh="中心的資料庫已損毀或磁碟故障({condition})。",
    )
    next_step = Text(
        en="Stop the centre, check the disk and restore the database from a backup.",
        zh="請停止中心、檢查磁碟,並由備份還原資料庫。",
    )


class StoreRefusedError(PlatformError):
    """The database answers and says no: wrong user, no rights, a table of another version."""

    code = "TF111"
    what = Text(
        en="The centre's database refused the request ({condition}).",
        zh="中心的資料庫拒絕此要求({condition})。",
    )
    next_step = Text(
        en="Check the database's name, the user's password and rights, and that this version of "
        "TriFed made its tables.",
        zh="請確認資料庫名稱、使用者密碼與權限,並確認資料表由此版本的 TriFed 建立。",
    )


class StoreConflictError(PlatformError):
    """Something with this name is kept already; a second one was refused."""

    code = "TF112"
    what = Text(
        en="The centre's database already holds this step ({condition}).",
        zh="中心的資料庫已有此步驟({condition})。",
    )
    next_step = Text(
        en="Nothing was written. Another process did the same first; look at the study's state.",
        zh="沒有寫入任何資料。已有其他程序先完成相同步驟;請查看研究狀態。",
    )


class StoreDiskFullError(DiskFullError):
    """The disk of the database is full."""

    code = "TF113"
    what = Text(en="The disk of the centre's database is full.", zh="中心資料庫所在的磁碟已滿。")
    next_step = Text(
        en="Free some space; nothing was written, and the centre goes on by itself.",
        zh="請釋出空間;沒有寫入任何資料,中心會自行繼續。",
    )


class DatabaseSettingError(PlatformError):
    """`[database]` in `centre.toml` cannot be used."""

    code = "TF114"
    what = Text(
        en="The database setting in centre.toml cannot be used: {why}.",
        zh="centre.toml 中的資料庫設定無法使用:{why}。",
    )
    next_step = Text(
        en='Write url = "postgresql://user@host/name" with the password in PGPASSFILE, or '
        'url_file = "database.url", a file of mode 0600 that holds the whole URL.',
        zh='請填寫 url = "postgresql://user@host/name" 並將密碼放在 PGPASSFILE,'
        '或填寫 url_file = "database.url",該檔案權限為 0600,內含完整 URL。',
    )


class ArtefactStoreUnavailableError(StoreUnavailableError):
    """The artefact store's server does not answer now; trying again may help."""

    code = "TF115"
    what = Text(
        en="The artefact store does not answer ({condition}).",
        zh="成品庫沒有回應({condition})。",
    )
    next_step = Text(
        en="What was made is kept in the centre's home until the store takes it; the centre goes "
        "on by itself. Check the store's server and the network.",
        zh="已產生的內容會保存在中心的工作目錄,直到成品庫收下;中心會自行繼續。"
        "請檢查成品庫的伺服器與網路。",
    )


class ArtefactStoreRefusedError(PlatformError):
    """The artefact store's server says no: no credentials, no rights, no such bucket."""

    code = "TF116"
    what = Text(
        en="The artefact store refused the request ({condition}).",
        zh="成品庫拒絕此要求({condition})。",
    )
    next_step = Text(
        en="Check that the bucket exists and that the credentials in the environment of "
        "`trifed centre serve` may read and write it.",
        zh="請確認儲存桶存在,且 `trifed centre serve` 環境中的憑證具有讀寫權限。",
    )


class ArtefactSettingError(PlatformError):
    """`[artefacts]` in `centre.toml` cannot be used."""

    code = "TF117"
    what = Text(
        en="The artefact store setting in centre.toml cannot be used: {why}.",
        zh="centre.toml 中的成品庫設定無法使用:{why}。",
    )
    next_step = Text(
        en='Write url = "s3://bucket/prefix" without credentials; they come from the '
        "environment or the profile of the account that runs the centre.",
        zh='請填寫 url = "s3://bucket/prefix",不含憑證;憑證來自執行中心之帳號的環境變數或設定檔。',
    )
