"""Read what a visitor searches for, and show what was found: pure functions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from urllib.parse import urlencode

from federation.evidence.model_version import Bilingual
from federation.wording import Text
from registry.models.version_card import VersionCard
from registry.pages.ports import Choice, Found, Wanted
from registry.pages.states import STATES, Status, status_of
from registry.pages.visibility import ENTERED, LEFT
from registry.records.ports import StoredRecord

PER_PAGE = 20
MAX_PAGE = 5_000
MAX_TEXT = 100
FIELDS = ("q", "modality", "body_part", "condition", "status", "hospital")
PUBLIC_STATES = tuple(state for state in STATES if state in ENTERED | LEFT)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a list: the value sent, the words shown, whether it is chosen."""

    value: str
    shown: Text | str
    chosen: bool


@dataclass(frozen=True, slots=True)
class LineView:
    """One entry in the list of what was found."""

    entry: str
    name: Bilingual | str
    organisation: Bilingual | str
    status: Status
    modality: str
    body_part: str
    conditions: str
    hospitals: Sequence[str]
    changed: str


@dataclass(frozen=True, slots=True)
class SearchView:
    """The search page: what was asked, what is offered, what was found."""

    asked: Mapping[str, str]
    modalities: Sequence[Option]
    body_parts: Sequence[Option]
    statuses: Sequence[Option]
    lines: Sequence[LineView]
    total: int
    page: int
    pages: int
    before: str | None
    after: str | None

    @property
    def is_narrowed(self) -> bool:
        """Say whether anything was asked for."""
        return any(self.asked.values())

    @property
    def first(self) -> int:
        """Return the number of the first line shown."""
        return (self.page - 1) * PER_PAGE + 1 if self.lines else 0

    @property
    def last(self) -> int:
        """Return the number of the last line shown."""
        return self.first + len(self.lines) - 1 if self.lines else 0


def wanted_of(query: Mapping[str, str]) -> tuple[Wanted, int]:
    """Return what an address asks for and its page; what does not fit asks for nothing."""
    given = {name: cleaned(query.get(name, "")) for name in FIELDS}
    status = given["status"] if given["status"] in PUBLIC_STATES else ""
    page = _page_of(query.get("page", ""))
    wanted = Wanted(
        text=given["q"],
        modality=given["modality"].upper(),
        body_part=given["body_part"].upper(),
        condition=given["condition"],
        status=status,
        hospital=given["hospital"],
        skip=(page - 1) * PER_PAGE,
        limit=PER_PAGE,
    )
    return wanted, page


def turned_to(wanted: Wanted, page: int) -> Wanted:
    """Return the same question for another page."""
    return replace(wanted, skip=(page - 1) * PER_PAGE)


def pages_of(total: int) -> int:
    """Return how many pages that many entries take."""
    return min(max(1, ceil(total / PER_PAGE)), MAX_PAGE)


def search_view(
    wanted: Wanted, found: Found, choices: Sequence[Choice], *, page: int
) -> SearchView:
    """Return the page for what was found."""
    asked = {
        "q": wanted.text,
        "modality": wanted.modality,
        "body_part": wanted.body_part,
        "condition": wanted.condition,
        "status": wanted.status,
        "hospital": wanted.hospital,
    }
    pages = pages_of(found.total)
    return SearchView(
        asked=asked,
        modalities=_options(choices, "modality", wanted.modality),
        body_parts=_options(choices, "body-part", wanted.body_part),
        statuses=[
            Option(state, STATES[state].name, state == wanted.status) for state in PUBLIC_STATES
        ],
        lines=[_line(record, found.hospitals) for record in found.items],
        total=found.total,
        page=page,
        pages=pages,
        before=_address(asked, page - 1) if page > 1 else None,
        after=_address(asked, page + 1) if page < pages else None,
    )


def cleaned(text: str) -> str:
    """Return a search text without control characters, at most 100 characters."""
    return _CONTROL.sub(" ", text)[:MAX_TEXT].strip()


def _page_of(text: str) -> int:
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,3}", text) else 1


def _options(choices: Sequence[Choice], facet: str, chosen: str) -> list[Option]:
    """Return the offered codes, and the one asked for even where none has it."""
    offered = {one.value for one in choices if one.facet == facet} | ({chosen} - {""})
    return [Option(value, value, value == chosen) for value in sorted(offered)]


def _line(record: StoredRecord, hospitals: Mapping[str, Sequence[str]]) -> LineView:
    card = VersionCard.model_validate_json(_json(record))
    return LineView(
        entry=card.entry,
        name=card.name or card.entry,
        organisation=card.organisation.name if card.organisation else "",
        status=status_of(record.state),
        modality=codes_of(card, "modality"),
        body_part=codes_of(card, "body-part"),
        conditions=codes_of(card, "condition"),
        hospitals=hospitals.get(record.id, ()),
        changed=record.at,
    )


def codes_of(card: VersionCard, kind: str) -> str:
    """Return a card's codes of one kind with their names, in one line."""
    found = [code for code in card.codes if code.kind == kind]
    return ", ".join(f"{one.code} {one.display or ''}".strip() for one in found)


def _json(record: StoredRecord) -> bytes:
    from federation.evidence.canonical import canonical

    return canonical(dict(record.body))


def _address(asked: Mapping[str, str], page: int) -> str:
    given = {name: value for name, value in asked.items() if value}
    return "?" + urlencode(given | {"page": str(page)})
