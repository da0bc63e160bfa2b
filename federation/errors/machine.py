"""TF8xx: ports, disk, clock and processes."""

from federation.errors.base import PlatformError
from federation.wording import Text


class PortTakenError(PlatformError):
    """A port that must be listened on is taken by another program."""

    code = "TF801"
    what = Text(
        en="Port {port} is already taken by another program.", zh="連接埠 {port} 已被其他程式使用。"
    )
    next_step = Text(
        en="Stop that program (`ss -ltnp 'sport = :{port}'` names it) or choose another port.",
        zh="請停止該程式(以 `ss -ltnp 'sport = :{port}'` 查詢),或改用其他連接埠。",
    )


class DiskFullError(PlatformError):
    """The disk has no room for what must be written."""

    code = "TF802"
    what = Text(
        en="The disk has no room: {needed} MB are needed, {free} MB are free.",
        zh="磁碟空間不足:需要 {needed} MB,剩餘 {free} MB。",
    )
    next_step = Text(
        en="Free some space and run the command again; nothing half-written was left.",
        zh="請釋出空間後再執行一次;沒有留下寫到一半的檔案。",
    )


class ArtefactMissingError(PlatformError):
    """The artefact store does not hold what was asked for."""

    code = "TF803"
    what = Text(en="The artefact {digest} is not in the store.", zh="成品庫中沒有 {digest}。")
    next_step = Text(
        en="Restore the centre's folder artefacts from a backup, or run the study again.",
        zh="請由備份還原中心的 artefacts 資料夾,或重新執行研究。",
    )


class ArtefactDamagedError(PlatformError):
    """A kept artefact no longer has the bytes its name stands for."""

    code = "TF804"
    what = Text(
        en="The artefact {digest} was changed or damaged after it was kept.",
        zh="成品 {digest} 在保存後遭更動或損壞。",
    )
    next_step = Text(
        en="Do not use it. Restore it from a backup and check the disk.",
        zh="請勿使用。請由備份還原並檢查磁碟。",
    )


class ImportNamesTakenError(PlatformError):
    """A package of another origin hides one of TriFed's four import names."""

    code = "TF805"
    what = Text(
        en="The import name {name} does not come from the installed TriFed.",
        zh="匯入名稱 {name} 並非來自已安裝的 TriFed。",
    )
    next_step = Text(
        en="Start from another folder, and remove what hides it from PYTHONPATH or the "
        "environment; a clean virtual environment is safest.",
        zh="請改在其他資料夾執行,並由 PYTHONPATH 或環境中移除同名套件;使用乾淨的虛擬環境最為安全。",
    )


class WrongVersionError(PlatformError):
    """An installed package is not a version this TriFed was made for."""

    code = "TF806"
    what = Text(
        en="{package} is {found}, but {wanted} is needed.",
        zh="{package} 的版本為 {found},但需要 {wanted}。",
    )
    next_step = Text(
        en="Install TriFed again with its constraints: `pip install -c constraints.txt trifed`.",
        zh="請以固定版本重新安裝 TriFed:`pip install -c constraints.txt trifed`。",
    )


class FolderOpenToOthersError(PlatformError):
    """A home can be entered by other users of the machine."""

    code = "TF807"
    what = Text(
        en="{file} has mode {mode}; other users of this machine can read it.",
        zh="{file} 的權限為 {mode};本機其他使用者可以讀取。",
    )
    next_step = Text(
        en="Run `chmod go-rwx` on it; if it is a key, replace the key.",
        zh="請對其執行 `chmod go-rwx`;若為金鑰,請更換金鑰。",
    )


class ProcessEndedError(PlatformError):
    """A process of the demo ended, or was not ready in time."""

    code = "TF820"
    what = Text(
        en="The process `{process}` stopped ({status}).", zh="程序 `{process}` 已停止({status})。"
    )
    next_step = Text(en="Read {log}; then run the command again.", zh="請查閱 {log},再重新執行。")


class StepFailedError(PlatformError):
    """A command that the demo ran for a hospital failed."""

    code = "TF821"
    what = Text(
        en="The step `{step}` failed: [{code}] {what}", zh="步驟 `{step}` 失敗:[{code}] {what}"
    )
    next_step = Text(en="{next}", zh="{next}")


class DemoFolderError(PlatformError):
    """The demo's folder holds something that no demo made."""

    code = "TF822"
    what = Text(
        en="The folder {folder} is not empty and was not made by a demo.",
        zh="資料夾 {folder} 不是空的,且不是由示範建立。",
    )
    next_step = Text(
        en="Give another folder with --workdir; nothing was touched.",
        zh="請以 --workdir 指定其他資料夾;未更動任何內容。",
    )


class DemoSitesError(PlatformError):
    """The user's folder does not hold two sites."""

    code = "TF823"
    what = Text(
        en="The folder holds {found} site folders; a federation needs two at least.",
        zh="資料夾內有 {found} 個站點資料夾;聯邦至少需要兩個。",
    )
    next_step = Text(
        en="Lay the files out as DIR/SITE/*.dcm with DIR/SITE/labels.csv.",
        zh="請以 DIR/SITE/*.dcm 與 DIR/SITE/labels.csv 的方式放置檔案。",
    )
