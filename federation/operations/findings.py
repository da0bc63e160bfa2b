"""What a check found: fine, worth a look, or a problem with a code and a next step."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from federation.errors.base import PlatformError
from federation.wording import Language, Text


class Level(Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of one check.

    `check` is a stable name for machines; `code` is that of the error a command
    would raise, where there is one.
    """

    check: str
    level: Level
    what: Text
    next_step: Text | None = None
    code: str | None = None

    def as_json(self, language: Language = Language.EN) -> dict[str, str | None]:
        """Return the finding as plain JSON."""
        return {
            "check": self.check,
            "level": self.level.value,
            "what": self.what.say(language),
            "next_step": self.next_step.say(language) if self.next_step else None,
            "code": self.code,
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


def _filled(text: Text, values: dict[str, object]) -> Text:
    return _literal(text.say(Language.EN, **values), text.say(Language.ZH_HANT_TW, **values))


def _literal(en: str, zh: str) -> Text:
    """Return words as they are, braces included."""
    return Text(en=_escaped(en), zh=_escaped(zh))


def _escaped(words: str) -> str:
    return words.replace("{", "{{").replace("}", "}}")
