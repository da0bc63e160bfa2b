"""Add up the confirmed feedback of a deployment, hidden cells staying hidden."""

from registry.feedback.noun import NOUN, FeedbackState
from registry.feedback.shape import NAME, Feedback, Opinion, total
from registry.records.service import Records


def pooled(records: Records, deployment: str) -> dict[str, object]:
    """Return how users of each role answered over all confirmed periods.

    A cell that is hidden in one period is hidden in the sum.
    """
    linking = records.linking("deployment", deployment, by=NAME)
    counted = [NOUN.of(one) for one in linking if one.state == FeedbackState.CONFIRMED.value]
    roles = sorted({part.role.value for one in counted for part in one.by_role})
    return {
        "deployment": deployment,
        "periods": [
            {"begins": one.begins.isoformat(), "ends": one.ends.isoformat()} for one in counted
        ],
        "by_role": {role: _of_role(counted, role) for role in roles},
    }


def _of_role(counted: list[Feedback], role: str) -> dict[str, int | None]:
    tables = [
        part.counts.as_mapping()
        for one in counted
        for part in one.by_role
        if part.role.value == role
    ]
    return {opinion.value: total(one[opinion.value] for one in tables) for opinion in Opinion}
