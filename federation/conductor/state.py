"""What the conductor says of itself in `run/conductor.json`, for `trifed centre status`."""

import json
from pathlib import Path

STATE_FILE = "conductor.json"


def campaigns_of(run: Path) -> dict[str, object]:
    """Return the campaigns that run, by study: process id and how often it was started.

    Empty when no conductor runs.
    """
    try:
        state = json.loads((run / STATE_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    campaigns = state.get("campaigns") if isinstance(state, dict) else None
    return campaigns if isinstance(campaigns, dict) else {}
