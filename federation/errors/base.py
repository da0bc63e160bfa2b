"""The one base of every error raised on purpose."""

from typing import ClassVar

from federation.wording import Language, Text, fields_of


class PlatformError(Exception):
    """Something a person can act on: a code, what happened, what to do next.

    A subclass declares `code` (stable for ever), `what` and `next_step` (both
    languages). Making one fills the fields by keyword; a field too many or too
    few is a `TypeError`, so a template can never fail while an error is shown.
    Fields never carry anything of a patient: no tag value, path or free text
    from a file.
    """

    code: ClassVar[str]
    what: ClassVar[Text]
    next_step: ClassVar[Text]

    def __init__(self, **values: object) -> None:
        wanted = fields_of(self.what.en) | fields_of(self.next_step.en)
        if wanted != values.keys():
            raise TypeError(f"{type(self).__name__} takes {sorted(wanted)}, got {sorted(values)}")
        self.values = values
        super().__init__(self.say())

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.values))

    def say(self, language: Language = Language.EN) -> str:
        """Return what happened and what to do next, as two sentences."""
        return f"{self.say_what(language)} {self.say_next_step(language)}"

    def say_what(self, language: Language = Language.EN) -> str:
        """Return what happened, to what."""
        return self.what.say(language, **self.values)

    def say_next_step(self, language: Language = Language.EN) -> str:
        """Return what the reader should do next."""
        return self.next_step.say(language, **self.values)

    @classmethod
    def in_general(cls, language: Language = Language.EN) -> str:
        """Return what the code says where no single case is meant: its fields left open."""
        return cls.what.in_general(language)

    @property
    def docs(self) -> str:
        """Return the path of this code's page in the repository."""
        return f"docs/errors/{self.code}.md"

    def as_json(self, language: Language = Language.EN) -> dict[str, str]:
        """Return the `error` object of the JSON contract."""
        return {
            "code": self.code,
            "what": self.say_what(language),
            "next_step": self.say_next_step(language),
            "docs": self.docs,
        }


def _rebuild(kind: type[PlatformError], values: dict[str, object]) -> PlatformError:
    return kind(**values)


class ProblemsFound(PlatformError):
    """Several errors at once, because the reader must fix several."""

    code = "TF100"
    what = Text(en="{count} problems were found: {listed}", zh="發現 {count} 個問題:{listed}")
    next_step = Text(en="Fix all of them and try again.", zh="請全部修正後再試一次。")

    def __init__(self, problems: "list[PlatformError]") -> None:
        self.problems = problems
        super().__init__(
            count=len(problems),
            listed="".join(f"\n  [{problem.code}] {problem.say()}" for problem in problems),
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (ProblemsFound, (self.problems,))

    def say_what(self, language: Language = Language.EN) -> str:
        """Return what happened, with every problem in the same language."""
        listed = "".join(
            f"\n  [{problem.code}] {problem.say(language)}" for problem in self.problems
        )
        return self.what.say(language, count=len(self.problems), listed=listed)

    def as_json(self, language: Language = Language.EN) -> dict[str, object]:  # type: ignore[override]
        """Return the JSON contract's object with every problem inside."""
        listed = [problem.as_json(language) for problem in self.problems]
        return {**super().as_json(language), "problems": listed}
