"""Describe a hospital's data without showing anybody in it: counts and dataset cards.

`dataset_card` gives the fields of a DatasetCard that the node itself knows;
people add legal basis, approvals and the label process. Every count that fewer
than ten patients make up is suppressed, and so is what a total would give away.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clients.data.catalogue.store import (
    SMALLEST_CELL,
    Catalogue,
    Instance,
    cohort_digest,
    suppressed,
)
from clients.data.cohort.load import PREPARATION, select
from clients.data.deidentification.profile import DEFAULT_OPTIONS, Profile
from clients.data.people.optout import load_optouts
from federation.domain.recipe import Recipe
from federation.domain.site import Site

AGE_BANDS = (18, 40, 60, 75)


def catalogue_summary(data: Path) -> dict[str, Any]:
    """Return counts by modality and body part, label names, and quarantine codes.

    Counts of patients and images are suppressed; quarantine counts are files
    that were not admitted, for the hospital's own eyes.
    """
    with Catalogue(data) as catalogue:
        return {
            **catalogue.counts(),
            "labels": catalogue.label_names(),
            "quarantined": catalogue.quarantined(),
            "digest": str(catalogue.content_digest()),
        }


def dataset_card(data: Path, recipe: Recipe, *, site: Site) -> dict[str, Any]:
    """Return what this node can say of the cohort a recipe would use.

    Raises
    ------
    CohortEmptyError
        If there is no image for the recipe.
    OptOutListError
        If it is unknown who opted out.
    """
    chosen, opted_out = select(data, recipe)
    with Catalogue(data) as catalogue:
        described = catalogue.described([item.instance for item in chosen])
    patients = {row["patient"]: row for row in described}
    profile = Profile(DEFAULT_OPTIONS)
    return {
        "site": str(site.id),
        "recipe": recipe.name,
        "patients": suppressed(len(patients)),
        "studies": suppressed(len({row["study"] for row in described})),
        "images": suppressed(len(described)),
        "label": recipe.label,
        "label_prevalence": _prevalence(chosen),
        "sex": table(row["sex"] or "unknown" for row in patients.values()),
        "age_band": table(age_band(row["age"]) for row in patients.values()),
        "scanner": table(map(_scanner, described), patients=(row["patient"] for row in described)),
        "period": None,
        "deidentification": {
            "profile": profile.method[0],
            "table_sha256": profile.table.sha256,
            "codes": [code for code, _ in profile.codes],
            "pixels_inspected": False,
        },
        "prepared_data_hash": str(cohort_digest(chosen)),
        "preparation": PREPARATION,
        "split_policy": "by patient, SHA-256 of study and pseudonym",
        "opt_out": {
            "list_version": str(load_optouts(data).version),
            "excluded": suppressed(opted_out),
        },
    }


def table(values: Iterable[str], *, patients: Iterable[str] | None = None) -> dict[str, int | str]:
    """Return counts by value; those of fewer than ten patients are suppressed.

    While all suppressed ones together are still of fewer than ten, so that a total
    would give them away, the next smallest is suppressed with them.

    Parameters
    ----------
    patients
        Whose each value is; every value is of another patient when left out.
    """
    listed = list(values)
    owners = [str(n) for n in range(len(listed))] if patients is None else list(patients)
    of: dict[str, set[str]] = {name: set() for name in listed}
    for name, owner in zip(listed, owners, strict=True):
        of[name].add(owner)
    hidden: set[str] = set()
    among: set[str] = set()
    for name in sorted(of, key=lambda n: (len(of[n]), n)):
        if len(of[name]) < SMALLEST_CELL or 0 < len(among) < SMALLEST_CELL:
            hidden.add(name)
            among |= of[name]
    counts = Counter(listed)
    return {n: "suppressed" if n in hidden else count for n, count in sorted(counts.items())}


def age_band(age: str) -> str:
    """Return the band of a DICOM age (``045Y``): under 18, 18-39, 40-59, 60-74, 75 and over."""
    if len(age) != 4 or not age[:3].isdecimal():
        return "unknown"
    years = int(age[:3]) if age[3] == "Y" else 0
    places = sum(years >= limit for limit in AGE_BANDS)
    return ("under 18", "18-39", "40-59", "60-74", "75 and over")[places]


def _prevalence(chosen: list[Instance]) -> dict[str, int | str]:
    labelled = [(item.label, item.patient) for item in chosen if item.label is not None]
    return table((label for label, _ in labelled), patients=(patient for _, patient in labelled))


def _scanner(row: dict[str, str]) -> str:
    return f"{row['manufacturer'] or 'unknown'} {row['model']}".strip()
