"""What a version answers to the 31 source attributes, and what is still missing.

An answer is words in both languages, ``none`` with a reason, or evaluation records
by id. The wording of the attributes is `registry.exchange.attributes`. Quantitative
ones (7a-7d, 8b, 8d) are links to evaluations, never typed numbers; where such an
evaluation does not exist, ``none`` says why.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from federation.errors import PlatformError
from federation.errors.guards import AttributeMissingError, AttributeNotLinkedError
from federation.evidence.model_version import Bilingual
from federation.wording import Text
from registry.exchange.attributes import ATTRIBUTES
from registry.records.shapes import Body

MAX_EVALUATIONS = 50

_TYPED = Text(en="it holds words instead", zh="目前填寫的是文字")
_UNKNOWN = Text(en="one of those named is not there", zh="所列紀錄之一不存在")

_RecordName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+-]{0,119}$")]


class Answer(Body):
    """The answer to one attribute: `text`, or `none` with its reason, or `evaluations`."""

    text: Bilingual | None = None
    none: Bilingual | None = None
    evaluations: Annotated[tuple[_RecordName, ...], Field(max_length=MAX_EVALUATIONS)] = ()

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.none is not None and (self.text is not None or self.evaluations):
            raise ValueError("none and an answer exclude each other")
        return self

    @property
    def is_empty(self) -> bool:
        """Say whether nothing was answered; blanks are nothing."""
        given = [both for both in (self.text, self.none) if both is not None]
        return not self.evaluations and not any(
            both.zh.strip() and both.en.strip() for both in given
        )


def missing(
    answers: Mapping[str, Answer], *, evaluations: Collection[str]
) -> Iterator[PlatformError]:
    """Yield what keeps the attributes from being complete, in the order of the rule.

    Parameters
    ----------
    evaluations
        The ids of the evaluation records of this version that are there.
    """
    for name, attribute in ATTRIBUTES.items():
        answer = answers.get(name)
        if answer is None or answer.is_empty:
            yield AttributeMissingError(attribute=name, title=attribute.asked)
        elif attribute.by_evaluation and answer.none is None and not answer.evaluations:
            yield AttributeNotLinkedError(attribute=name, title=attribute.asked, why=_TYPED)
        elif not set(answer.evaluations) <= set(evaluations):
            yield AttributeNotLinkedError(attribute=name, title=attribute.asked, why=_UNKNOWN)
