"""The noun ``publication``: what was published from the data, cited and deposited (R29, R30).

A copy is handed in within one month of publication, a calendar month. Past it the clock
reminds; the directions leave it to the NHIA whether the next application is refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import Enum

from federation.errors import PlatformError
from federation.errors.governance import ApplicationIncompleteError, ApplicationRuleError
from federation.evidence.canonical import canonical
from federation.evidence.model_version import Bilingual, Digest, Line
from federation.wording import Text
from registry.applications.shape import NAME as APPLICATION
from registry.applications.states import APPLICANTS
from registry.applications.working_days import TAIPEI, ends
from registry.codes import RecordName
from registry.disclosure import OpenBody
from registry.ports import Transaction
from registry.records.moves import Case, Move, Moves, Seat
from registry.records.ports import Link, StoredRecord
from registry.records.shapes import Noun
from registry.roles import Role
from registry.timers.clocks import add_months
from registry.timers.due import Rule, Standing

NAME = "publication"
CITATION = "全民健康保險資料人工智慧應用服務中心"
"""What every paper, thesis and book must name (R29)."""


class Publication(OpenBody):
    """One publication; `deposited` is the digest of the copy handed in, once it is."""

    application: RecordName
    title: Bilingual
    identifier: Line
    published_on: date
    acknowledgement: Line
    deposited: Digest | None = None

    def facets(self) -> Mapping[str, Sequence[str]]:
        """Return the identifier, for example a DOI."""
        return {"identifier": [self.identifier]}

    def links(self) -> Sequence[Link]:
        """Return the application whose data it rests on."""
        return (Link("publishes-from", APPLICATION, self.application),)

    def words(self) -> str:
        """Return title and identifier."""
        return f"{self.title.zh} {self.title.en} {self.identifier}"


class PublicationState(Enum):
    """Whether a copy was handed in."""

    ANNOUNCED = "announced"
    DEPOSITED = "deposited"


_COPY = Text(en="the copy handed in", zh="繳交的一份著作")
_CITATION = Text(
    en="it does not name the centre as the rule has it", zh="未依規定註明應用服務中心名稱"
)
_NO_APPLICATION = Text(
    en="its application was never in use, or is another house's",
    zh="所屬申請案從未使用,或屬於其他機構",
)
_END = Text(en="Nothing; its record stays.", zh="無後續;紀錄永久保留。")
_LATE = Text(en="no copy was handed in within a month", zh="未於一個月內繳交著作")


@dataclass(frozen=True, slots=True)
class PublicationEvidence:
    """What guards judge: the publication, and whether its house used the data."""

    body: Publication
    used: bool


def collect(transaction: Transaction, record: StoredRecord) -> PublicationEvidence:
    """Return the evidence of a publication, read inside the move's transaction."""
    body = Publication.model_validate_json(canonical(dict(record.body)))
    asked = transaction.records.history(APPLICATION, body.application)
    mine = transaction.records.history(NAME, record.id)
    active = any(one.state == "active" for one in asked)
    same = bool(asked) and asked[0].author.organisation == mine[0].author.organisation
    return PublicationEvidence(body, active and same)


def _of(case: Case) -> PublicationEvidence:
    assert isinstance(case.evidence, PublicationEvidence)  # the noun's collector made it
    return case.evidence


def from_used_data(case: Case) -> Iterator[PlatformError]:
    """R15: it rests on an application of the same house that was in use."""
    if not _of(case).used:
        yield ApplicationRuleError(rule="R15", why=_NO_APPLICATION)


def cites_the_centre(case: Case) -> Iterator[PlatformError]:
    """R29: the acknowledgement has the fixed words."""
    if CITATION not in _of(case).body.acknowledgement:
        yield ApplicationRuleError(rule="R29", why=_CITATION)


def copy_in_hand(case: Case) -> Iterator[PlatformError]:
    """R30: the copy is there."""
    if _of(case).body.deposited is None:
        yield ApplicationIncompleteError(missing=_COPY, rule="R30")


MOVES: Moves[PublicationState] = Moves(
    start=PublicationState.ANNOUNCED,
    moves=(
        Move(
            "deposit",
            PublicationState.ANNOUNCED,
            PublicationState.DEPOSITED,
            seats=(Seat(Role.NHI_S),),
            guards=(from_used_data, cites_the_centre, copy_in_hand),
            follows=_END,
        ),
    ),
)

PUBLICATION = Noun(
    NAME,
    Publication,
    MOVES,
    authors=frozenset(APPLICANTS),
    evidence=collect,
)


def deposit_due(published: date) -> date:
    """Return the last day to hand a copy in: the same day a calendar month later (R30)."""
    return add_months(datetime.combine(published, time(), TAIPEI), 1).date()


def _due(standing: Standing) -> datetime | None:
    return ends(deposit_due(PUBLICATION.of(standing.record).published_on))


RULES = (Rule(PUBLICATION, frozenset({PublicationState.ANNOUNCED.value}), None, _due, _LATE),)
