"""How grave an incident is, and until when the authority must know of it.

The classes are those of Article 2 of the regulation on reporting serious adverse events
of medical devices (醫療器材嚴重不良事件通報辦法). The days are those of Article 49 of the
Medical Devices Act and Article 25 of its enforcement rules: within 7 days from the day
after a hazard was found. The regulation may allow more time for some classes; as its text
was not at hand, every class has the 7 days, which is never late.
"""

from datetime import date, timedelta
from enum import Enum


class Severity(Enum):
    """The six classes."""

    DEATH = "death"
    LIFE_THREATENING = "life-threatening"
    PERMANENT_DISABILITY = "permanent-disability"
    CONGENITAL_ANOMALY = "congenital-anomaly"
    HOSPITALISATION = "hospitalisation"
    OTHER_PERMANENT_INJURY = "other-permanent-injury"


ALERT_DAYS: dict[Severity, int] = dict.fromkeys(Severity, 7)
"""Days from the day after discovery until the alert, by class."""

GRAVEST = frozenset({Severity.DEATH, Severity.LIFE_THREATENING})
"""Classes that are always told, whatever is thought of the hazard."""


def alert_due(severity: Severity, detected: date) -> date:
    """Return the last day to tell the authority; the day of discovery is not counted."""
    return detected + timedelta(days=ALERT_DAYS[severity])
