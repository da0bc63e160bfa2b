"""Classify a change of a licensed version (TFDA's guide to change control plans, 2024).

- only fixes of bugs, of the user interface or the operating system: recorded only;
- parts that a plan may cover, all listed in the approved plan: T12, under the plan;
- anything else, and whatever touches what a plan may never cover (performance claim,
  intended use, setting, population, body site): a change of registration or a new licence.

Pure; the sources are secondary (design, REGISTRY.md E.3).
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from federation.wording import Text
from registry.models.version_card import MAY_BE_PLANNED, ChangePart


class Route(Enum):
    """What a change needs."""

    RECORD = "record-only"
    PLAN = "under-plan"
    AMENDMENT = "amendment"

    @property
    def title(self) -> Text:
        """Return what is to be done."""
        return _TITLES[self]


_TITLES: dict[Route, Text] = {
    Route.RECORD: Text(en="Record the change; nothing else is needed.", zh="留存變更紀錄即可。"),
    Route.PLAN: Text(
        en="Make the change under the approved plan (T12).", zh="依核准之變更控制計畫辦理(T12)。"
    ),
    Route.AMENDMENT: Text(
        en="Apply for a change of registration or a new licence.", zh="須申請變更登記或新許可證。"
    ),
}


@dataclass(frozen=True, slots=True)
class Classified:
    """What a change needs, and the parts that decided it."""

    route: Route
    never_planned: frozenset[ChangePart] = frozenset()
    not_in_plan: frozenset[ChangePart] = frozenset()

    def as_json(self) -> dict[str, object]:
        """Return the classification as JSON."""
        return {
            "route": self.route.value,
            "title": {"zh-TW": self.route.title.zh, "en": self.route.title.en},
            "never_planned": sorted(part.value for part in self.never_planned),
            "not_in_plan": sorted(part.value for part in self.not_in_plan),
        }


def classify(
    parts: Collection[ChangePart], *, planned: Collection[ChangePart] | None
) -> Classified:
    """Return what a change needs.

    Parameters
    ----------
    parts
        What it touches; none for a fix of a bug, the user interface or the system below.
    planned
        What the approved plan covers, None without one.
    """
    touched = frozenset(parts)
    if not touched:
        return Classified(Route.RECORD)
    never = touched - MAY_BE_PLANNED
    outside = (touched - never) - frozenset(planned or ())
    route = Route.AMENDMENT if never or outside else Route.PLAN
    return Classified(route, never, outside)
