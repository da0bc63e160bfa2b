"""The small tables that Prefect's pages show; no number finer than the registry shows."""

import math
from collections.abc import Mapping, Sequence

from federation.domain.cells import SMALL_CELL
from federation.operations.campaign import SiteResult

BAR = 24
"""Characters of the longest bar."""


def round_table(record: dict[str, object]) -> list[dict[str, object]]:
    """Return a round's rows: site, state, patients (in tens), seconds, loss, code."""
    reports, refused = record.get("reports"), record.get("refused")
    replied = (
        [_replied(site, one) for site, one in reports.items()] if isinstance(reports, dict) else []
    )
    left_out = [
        {"site": one["site"], "state": "refused", "patients": "", "seconds": "", "loss": "",
         "code": one["code"]}
        for one in refused
    ] if isinstance(refused, list) else []  # fmt: skip
    return sorted([*replied, *left_out], key=lambda row: str(row["site"]))


def metric_page(records: Sequence[dict[str, object]]) -> str:
    """Return the sites' mean training loss of each round as Markdown, with bars."""
    losses = {int(str(one.get("round", 0))): _mean_loss(one) for one in records}
    most = max((loss for loss in losses.values() if loss is not None), default=0.0)
    lines = ["| round | sites | mean loss | |", "|---|---|---|---|"]
    for one in records:
        number = int(str(one.get("round", 0)))
        loss = losses[number]
        said = "not shared" if loss is None else f"{loss:.4f}"
        lines.append(f"| {number} | {_count(one)} | {said} | {_bar(loss, most)} |")
    return "\n".join(lines)


def end_page(results: Sequence[SiteResult], entry: dict[str, str]) -> str:
    """Return the entry and each site's first metric, or why there is none, as Markdown."""
    lines = [f"Registered as **{entry['entry']}**", ""]
    lines += ["| site | rounds | metric | value | 95 % |", "|---|---|---|---|---|"]
    lines += [f"| {one.site} | {one.rounds} | {_evaluated(one)} |" for one in results]
    return "\n".join(lines)


def progress_words(done: int, rounds: int, percent: Mapping[str, int]) -> str:
    """Return how far the rounds are, and each site in the one in flight."""
    said = f"{done} of {rounds} rounds"
    if not percent:
        return said
    sites = ", ".join(f"{site} {part} %" for site, part in sorted(percent.items()))
    return f"{said}; round {done + 1}: {sites}"


def _evaluated(result: SiteResult) -> str:
    """Return the last three cells of a site's row."""
    evaluation = result.evaluation or {}
    found = evaluation.get("metrics")
    if isinstance(found, list) and found:
        metric = found[0]
        span = f"{metric['low']:.3f} to {metric['high']:.3f}"
        return f"{metric['name']} | {metric['value']:.3f} | {span}"
    return f"not shown | {evaluation.get('refused') or ''} |"


def _replied(site: str, one: dict[str, dict[str, object]]) -> dict[str, object]:
    report = one["report"]
    loss = report.get("loss")
    return {
        "site": site,
        "state": "replied",
        "patients": _coarse(report.get("patients")),
        "seconds": one.get("seconds", ""),
        "loss": loss if isinstance(loss, int | float) else "",
        "code": "",
    }


def _coarse(patients: object) -> str:
    if not isinstance(patients, int) or patients < SMALL_CELL:
        return f"fewer than {SMALL_CELL}"
    return f"{patients // SMALL_CELL * SMALL_CELL}+"


def _mean_loss(record: dict[str, object]) -> float | None:
    reports = record.get("reports")
    values = reports.values() if isinstance(reports, dict) else []
    losses = [loss for one in values if isinstance(loss := one["report"].get("loss"), float)]
    finite = [loss for loss in losses if math.isfinite(loss)]
    return sum(finite) / len(finite) if finite else None


def _count(record: dict[str, object]) -> int:
    reports = record.get("reports")
    return len(reports) if isinstance(reports, dict) else 0


def _bar(value: float | None, most: float) -> str:
    return "█" * round(BAR * value / most) if value and most > 0 else ""
