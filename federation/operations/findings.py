"""What a check found, in words: fine, worth a look, or a problem with a code and a next step.

A `Found` of this machine is told with its error's own sentence; a `Travelled` from
another house has only a name, a code and numbers, and its words are made here.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from federation.checkup.found import Check, Found, Level, Number, Travelled
from federation.errors import error_of_code
from federation.errors.base import PlatformError
from federation.wording import Language, Text

__all__ = [
    "Finding",
    "Level",
    "fine",
    "gathered",
    "problem",
    "told",
    "told_from_afar",
    "worth_a_look",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of one check.

    `check` is a stable name for machines; `code` is that of the error a command
    would raise, where there is one; `numbers` are those that may leave a house.
    """

    check: str
    level: Level
    what: Text
    next_step: Text | None = None
    code: str | None = None
    numbers: Mapping[Number, int] = field(default_factory=dict)

    def as_json(self, language: Language = Language.EN) -> dict[str, object]:
        """Return the finding as plain JSON."""
        return {
            "check": self.check,
            "level": self.level.value,
            "what": self.what.say(language),
            "next_step": self.next_step.say(language) if self.next_step else None,
            "code": self.code,
            "numbers": {name.value: value for name, value in self.numbers.items()},
        }


def fine(check: str, what: Text, **values: object) -> Finding:
    """Return the finding that all is well."""
    return Finding(check, Level.OK, _filled(what, values))


def worth_a_look(check: str, what: Text, next_step: Text, **values: object) -> Finding:
    """Return a finding that need not stop anybody."""
    return Finding(check, Level.WARNING, _filled(what, values), _filled(next_step, values))


def problem(check: str, error: PlatformError, *, level: Level = Level.PROBLEM) -> Finding:
    """Return the finding that a command would fail with `error`."""
    return Finding(
        check,
        level,
        _literal(error.say_what(Language.EN), error.say_what(Language.ZH_HANT_TW)),
        _literal(error.say_next_step(Language.EN), error.say_next_step(Language.ZH_HANT_TW)),
        error.code,
    )


def told(found: Found) -> Finding:
    """Return a result of this house in words, its error's own if it has one."""
    if found.error is None:
        return told_from_afar(found.travels())
    said = problem(found.check.value, found.error, level=found.level)
    return Finding(said.check, said.level, said.what, said.next_step, said.code, found.numbers)


def told_from_afar(found: Travelled) -> Finding:
    """Return a result of another house in words; what the code leaves open stays open."""
    what, next_step = _coded(found.code) if found.code else _uncoded(found)
    return Finding(found.check, found.level, what, next_step, found.code, found.numbers)


def gathered(check: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Return what `look` finds; a coded error or a file that cannot be read is a finding too."""
    found: list[Finding] = []
    try:
        found.extend(look())
    except PlatformError as error:
        found.append(problem(check, error))
    except OSError as error:
        why = error.strerror or type(error).__name__
        found.append(Finding(check, Level.PROBLEM, _filled(_UNREADABLE, {"why": why}), _ASK))
    return found


_UNREADABLE = Text(en="It could not be checked: {why}.", zh="無法檢查:{why}。")
_ASK = Text(
    en="Run this as the account that runs TriFed, and check that the disk is healthy.",
    zh="請以執行 TriFed 的帳號執行,並檢查磁碟是否正常。",
)
_SET_CLOCK = Text(
    en="Set the clock by NTP (`timedatectl` shows it).",
    zh="請以 NTP 校時(以 `timedatectl` 查看)。",
)
_RENEW = Text(en="Renew it now, before rounds stop.", zh="請在回合中斷前換發。")
_FREE_DISK = Text(
    en="Free some space: a run keeps a model per round, a node its images.",
    zh="請釋出空間:每回合會保存一個模型,節點另存影像。",
)
_SIGN = Text(
    en="The data officer looks at it and signs it again: `trifed node policy sign`.",
    zh="請資料官檢視後重新簽署:`trifed node policy sign`。",
)
_READ_CHILD_LOG = Text(
    en="Read the log of that process in the node's logs folder.",
    zh="請查看節點 logs 資料夾中該程序的紀錄。",
)
_ASK_VERSION = Text(
    en="Update TriFed here, or ask the other side what it means.",
    zh="請更新本端 TriFed,或向對方詢問其意義。",
)
_UNKNOWN_CODE = Text(
    en="The other side found {code}, which this version does not know.",
    zh="對方回報 {code},本版本不認得此代碼。",
)
_UNKNOWN = Text(
    en="The other side checked `{check}`, which this version does not know.",
    zh="對方檢查了 `{check}`,本版本不認得此項目。",
)

_FINE: dict[Check, Text] = {
    Check.SETTINGS: Text(en="The settings are readable.", zh="設定可讀取。"),
    Check.PERMISSIONS: Text(
        en="Keys and folders are closed to others.", zh="金鑰與資料夾未對他人開放。"
    ),
    Check.CLOCK: Text(en="The clock is plausible.", zh="時鐘正常。"),
    Check.DISK: Text(en="{free_gb} GB of disk or more are free.", zh="磁碟剩餘至少 {free_gb} GB。"),
    Check.CERTIFICATES: Text(
        en="The node's certificate is valid for {days} days.", zh="節點憑證尚有 {days} 天有效。"
    ),
    Check.AUTHORITY: Text(
        en="The centre's root certificate is valid for {days} days.",
        zh="中心根憑證尚有 {days} 天有效。",
    ),
    Check.SUPERNODE: Text(
        en="Flower's SuperNode runs (started again {restarts} times).",
        zh="Flower SuperNode 執行中(已重新啟動 {restarts} 次)。",
    ),
    Check.EXECUTOR: Text(
        en="The executor runs (started again {restarts} times).",
        zh="執行器執行中(已重新啟動 {restarts} 次)。",
    ),
    Check.CATALOGUE: Text(en="The catalogue can be opened.", zh="目錄資料庫可開啟。"),
    Check.LEDGER: Text(en="The privacy book holds.", zh="隱私帳本成立。"),
    Check.AUDIT: Text(en="The audit log is an unbroken chain.", zh="稽核紀錄的鏈完整。"),
    Check.HEADS: Text(
        en="Book and log continue what the centre keeps of them.",
        zh="帳本與稽核紀錄和中心保存者相符。",
    ),
    Check.POLICY: Text(
        en="The policy is signed and holds for {days} days.", zh="政策已簽署,尚有 {days} 天有效。"
    ),
    Check.CODE: Text(
        en="The code that runs is the code installed.", zh="執行中的程式碼與安裝者相同。"
    ),
    Check.REPLIES: Text(
        en="{kept} answers are kept for repeated requests.", zh="保存 {kept} 份回覆以供重複要求。"
    ),
}
_LOOK: dict[Check, tuple[Text, Text]] = {
    Check.CLOCK: (
        Text(en="The clock is {seconds} s off.", zh="時鐘相差 {seconds} 秒。"),
        _SET_CLOCK,
    ),
    Check.DISK: (
        Text(en="Only about {free_gb} GB of disk are free.", zh="磁碟僅剩約 {free_gb} GB。"),
        _FREE_DISK,
    ),
    Check.CERTIFICATES: (
        Text(en="The node's certificate ends in {days} days.", zh="節點憑證將於 {days} 天後到期。"),
        _RENEW,
    ),
    Check.AUTHORITY: (
        Text(
            en="The centre's root certificate ends in {days} days.",
            zh="中心根憑證將於 {days} 天後到期。",
        ),
        _RENEW,
    ),
    Check.SUPERNODE: (
        Text(
            en="Flower's SuperNode was started again {restarts} times.",
            zh="Flower SuperNode 已重新啟動 {restarts} 次。",
        ),
        _READ_CHILD_LOG,
    ),
    Check.EXECUTOR: (
        Text(
            en="The executor was started again {restarts} times.",
            zh="執行器已重新啟動 {restarts} 次。",
        ),
        _READ_CHILD_LOG,
    ),
    Check.POLICY: (
        Text(en="The policy's signature ends in {days} days.", zh="政策簽署將於 {days} 天後到期。"),
        _SIGN,
    ),
}


def _coded(code: str) -> tuple[Text, Text | None]:
    kind = error_of_code(code)
    if kind is None:
        return _filled(_UNKNOWN_CODE, {"code": code}), _ASK_VERSION
    return _in_general(kind.what), _in_general(kind.next_step)


def _uncoded(found: Travelled) -> tuple[Text, Text | None]:
    """Return the words for a result without a code; those of an unknown one where none fit."""
    values: dict[str, object] = {name.value: value for name, value in found.numbers.items()}
    try:
        check = Check(found.check)
        if found.level is Level.OK:
            return _filled(_FINE[check], values), None
        what, next_step = _LOOK[check]
        return _filled(what, values), next_step
    except (ValueError, KeyError):
        return _filled(_UNKNOWN, {"check": found.check}), _ASK_VERSION


def _in_general(text: Text) -> Text:
    return _literal(text.in_general(Language.EN), text.in_general(Language.ZH_HANT_TW))


def _filled(text: Text, values: Mapping[str, object]) -> Text:
    return _literal(text.say(Language.EN, **values), text.say(Language.ZH_HANT_TW, **values))


def _literal(en: str, zh: str) -> Text:
    """Return words as they are, braces included."""
    return Text(en=_escaped(en), zh=_escaped(zh))


def _escaped(words: str) -> str:
    return words.replace("{", "{{").replace("}", "}}")
