"""A study held against the checklists of its kind: what the record answers, what people write."""

from collections.abc import Iterator

from federation.figures.canvas import filled
from federation.wording import Text
from registry.reports.checklists import Checklist, Item, checklists
from registry.reports.checklists.answers import Answer, Study, answer_of, plain
from registry.reports.layout import Cell, Facts, Notice, Section, Table, Tone, Words, named

_ALWAYS = frozenset({"CONSORT-AI", "DECIDE-AI"})


def reporting(study: Study) -> Iterator[Section]:
    """Yield a section for each checklist that the study follows."""
    names = set(study.body.checklists) | _ALWAYS
    names |= {"CHEERS-AI"} if study.body.economic or study.economics else set()
    for one in checklists(names):
        yield _section(one, study)


def _section(one: Checklist, study: Study) -> Section:
    answers = [(item, answer_of(item.field, study)) for item in one.item]
    title = filled(Text(en="Checklist {name}", zh="檢核表 {name}"), name=one.id)
    blocks = (
        _counted(answers),
        Notice(plain(one.note), Tone.WAITING),
        _table(one, answers),
        _checked(one),
    )
    return Section(f"checklist-{one.id.lower()}", title, blocks)


def _counted(answers: list[tuple[Item, Answer]]) -> Text:
    known = [item for item, answer in answers if answer is not None]
    return filled(
        Text(
            en="{whole} of {all} items are answered from the record, {part} more in part; people "
            "write the others.",
            zh="{all} 項中有 {whole} 項由紀錄填入,{part} 項部分填入,其餘須由所列人員撰寫。",
        ),
        whole=sum(not item.part for item in known),
        part=sum(item.part for item in known),
        all=len(answers),
    )


def _table(one: Checklist, answers: list[tuple[Item, Answer]]) -> Table:
    columns: tuple[Words, ...] = (
        Text(en="item", zh="條目"),
        Text(en="what is asked", zh="要求內容"),
        Text(en="from the record", zh="紀錄所載"),
        Text(en="still to be written by", zh="尚待撰寫者"),
    )
    rows: list[tuple[Cell, ...]] = [
        (_numbered(item), plain(item.asks), _NOTHING if answer is None else answer,
         _writer(item, answer))
        for item, answer in answers
    ]  # fmt: skip
    return Table(plain(one.title), columns, rows)


_NOTHING = Text(en="nothing", zh="無")
_NOBODY = Text(en="–", zh="–")
_PART = Text(en="{who}, the rest", zh="{who}(其餘部分)")


def _numbered(item: Item) -> str:
    return f"{item.id} · AI" if item.ai and "AI" not in item.id else item.id


def _writer(item: Item, answer: Answer) -> Text:
    if answer is None:
        return item.who.title
    return filled(_PART, who=item.who.title) if item.part else _NOBODY


def _checked(one: Checklist) -> Facts:
    """Return what of the checklist was held against which source."""
    found = one.checked
    told = [plain(source) for source in found.against]
    against = Text(en="; ".join(s.en for s in told), zh=";".join(s.zh for s in told))
    return Facts(
        (
            (Text(en="After", zh="依據"), named(found.publication)),
            (Text(en="Checked on", zh="核對日期"), str(found.on)),
            (Text(en="Checked against", zh="核對來源"), against),
        )
    )
