"""The noun ``opt-out-list``, its moves, and whom the clock reminds."""

from datetime import date, datetime
from enum import Enum

from federation.wording import Text
from registry.applications.working_days import ends
from registry.optout import guards
from registry.optout.gaps import silent_sites
from registry.optout.shape import LIST, PROPAGATION, OptOutList
from registry.records.moves import Move, Moves, Seat
from registry.records.shapes import Noun
from registry.roles import Role
from registry.timers.due import Rule, Standing


class ListState(Enum):
    """Where a list stands."""

    DRAFT = "draft"
    ISSUED = "issued"
    SUPERSEDED = "superseded"


_APPLY = Text(en="Each site named applies it and reports.", zh="各列名院所應套用名單並回報。")
_OVER = Text(en="The newer list counts.", zh="以新版名單為準。")
_LATE = Text(en="a site has not reported that it applied the list", zh="仍有院所未回報已套用名單")

MOVES: Moves[ListState] = Moves(
    start=ListState.DRAFT,
    moves=(
        Move(
            "issue",
            ListState.DRAFT,
            ListState.ISSUED,
            seats=(Seat(Role.NHI_C), Seat(Role.SEC)),
            guards=(guards.newest_version,),
            follows=_APPLY,
        ),
        Move(
            "supersede",
            {ListState.DRAFT, ListState.ISSUED},
            ListState.SUPERSEDED,
            seats=(Seat(Role.NHI_S, Role.NHI_C, approves=False),),
            follows=_OVER,
        ),
    ),
)

NOUN = Noun(
    LIST,
    OptOutList,
    MOVES,
    authors=frozenset({Role.NHI_S}),
    evidence=guards.collect_list,
)


def _overdue(standing: Standing) -> datetime | None:
    """Return when the last day to apply it is over, while a site has not reported."""
    silent = silent_sites(standing.record, standing.linking)
    return ends(date.fromisoformat(str(standing.record.body["apply_by"]))) if silent else None


RULES = (
    Rule(
        NOUN,
        frozenset({ListState.ISSUED.value}),
        None,
        _overdue,
        _LATE,
        linked_by=PROPAGATION,
    ),
)
