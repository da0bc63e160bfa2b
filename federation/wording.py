"""Say everything a person sees in English and in Traditional Chinese.

A `Text` holds one sentence in both languages, with `{fields}` filled in later.
Declare it beside its only user; a test checks that both sides have the same
fields. The language is chosen once, in `settings.py`, and passed down.
"""

from dataclasses import dataclass
from enum import Enum
from string import Formatter


class Language(Enum):
    """A language the platform speaks."""

    EN = "en"
    ZH_HANT_TW = "zh-Hant-TW"


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence in both languages.

    Raises
    ------
    ValueError
        If a language is empty or the two do not use the same fields.
    """

    en: str
    zh: str

    def __post_init__(self) -> None:
        if not self.en or not self.zh:
            raise ValueError(f"a text needs both languages: {self.en or self.zh!r}")
        if fields_of(self.en) != fields_of(self.zh):
            raise ValueError(f"both languages need the same fields: {self.en!r}, {self.zh!r}")

    def say(self, language: Language = Language.EN, **values: object) -> str:
        """Return the sentence in `language` with its fields filled in.

        A value that is itself a `Text` without fields is said in the same language.
        """
        template = self._in(language)
        said = {
            name: value.say(language) if isinstance(value, Text) else value
            for name, value in values.items()
        }
        return template.format(**said)

    def in_general(self, language: Language = Language.EN) -> str:
        """Return the sentence with its fields left open, for where no single case is meant."""
        parts = Formatter().parse(self._in(language))
        return "".join(literal + ("…" if name else "") for literal, name, _, _ in parts)

    def _in(self, language: Language) -> str:
        return self.zh if language is Language.ZH_HANT_TW else self.en


def without_fields(said: str) -> str:
    """Return words from elsewhere in which no brace opens a field, fit for a `Text`."""
    return said.replace("{", "(").replace("}", ")")


def fields_of(template: str) -> frozenset[str]:
    """Return the names of the `{fields}` in a template."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)
