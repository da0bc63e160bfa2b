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
