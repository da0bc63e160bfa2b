"""TF1xx: ids, states, values and settings."""

from collections.abc import Collection
from enum import Enum

from federation.errors.base import PlatformError
from federation.wording import Text


class TransitionRefusedError(PlatformError):
    """A thing was asked to enter a state that may not follow its own."""

    code = "TF101"
    what = Text(
        en="{kind} cannot go from {current} to {wanted}.",
        zh="{kind} 不能由 {current} 變為 {wanted}。",
    )
    next_step = Text(en="States that may follow: {choices}.", zh="可以接續的狀態:{choices}。")

    def __init__(self, current: Enum, wanted: Enum, allowed: Collection[Enum]) -> None:
        super().__init__(
            kind=type(current).__name__,
            current=current.name,
            wanted=wanted.name,
            choices=", ".join(sorted(state.name for state in allowed)) or "none, final",
        )
        self._arguments = (current, wanted, tuple(allowed))

    def __reduce__(self) -> tuple[object, ...]:
        return (TransitionRefusedError, self._arguments)


class InvalidIdError(PlatformError):
    """A name is not spelled the way its kind demands."""

    code = "TF102"
    what = Text(en="{text} is not a {kind}.", zh="{text} 不是有效的 {kind}。")
    next_step = Text(
        en="Write {rule}, for example {example}.", zh="請依規則書寫:{rule},例如 {example}。"
    )


class InvalidValueError(PlatformError):
    """A value is outside what its field allows."""

    code = "TF103"
    what = Text(
        en="{field} is {actual}, which is not allowed.", zh="{field} 的值 {actual} 不被允許。"
    )
    next_step = Text(en="Give {expected}.", zh="請填寫:{expected}。")


class HomeMissingError(PlatformError):
    """A command was pointed at a folder that is not a home of its kind."""

    code = "TF104"
    what = Text(
        en="This folder is not a {kind} home: {folder}.",
        zh="這個資料夾不是 {kind} 的工作目錄:{folder}。",
    )
    next_step = Text(
        en="Run `{command}` first, or give the right folder with --home.",
        zh="請先執行 `{command}`,或以 --home 指定正確的資料夾。",
    )


class UnreadableRecordError(PlatformError):
    """A stored record is not what this version writes."""

    code = "TF105"
    what = Text(
        en="The stored {kind} cannot be read: {why}.", zh="已儲存的 {kind} 無法讀取:{why}。"
    )
    next_step = Text(
        en="Restore it from a backup, or use the version of TriFed that wrote it.",
        zh="請由備份還原,或使用寫入它的 TriFed 版本。",
    )


class FileMissingError(PlatformError):
    """A file named on the command line cannot be read."""

    code = "TF106"
    what = Text(en="The file {file} cannot be read: {why}.", zh="無法讀取檔案 {file}:{why}。")
    next_step = Text(en="Check its name and that you may read it.", zh="請確認檔名與讀取權限。")
