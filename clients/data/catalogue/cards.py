"""Describe a hospital's data without showing anybody in it: counts and dataset cards.

`dataset_card` gives the fields of a DatasetCard that the node itself knows;
people add legal basis, approvals and the label process. Every count that fewer
than ten patients make up is suppressed, and so is what a total would give away.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clients.data.catalogue.store import Catalogue, Instance, cohort_digest
from clients.data.catalogue.suppression import (
    SMALL,
    in_tens,
    rounded,
    suppressed,
    table,
)
from clients.data.catalogue.tables import years_of
from clients.data.cohort.cache import PREPARATION
from clients.data.cohort.choice import choose
from clients.data.cohort.definition import query_of
from clients.data.cohort.query import CohortQuery
from clients.data.deidentification.profile import Profile
from clients.data.deidentification.statement import CLEAN_PIXELS
from clients.data.intake.rules import read_rules
from clients.data.people.optout import load_optouts
from clients.data.pixeltext.policy import PixelText
from federation.domain.cells import SMALL_CELL
from federation.domain.recipe import Recipe
from federation.domain.site import Site

__all__ = ["age_band", "catalogue_summary", "cohort_counts", "dataset_card", "table"]

Permitted = Callable[[Sequence[Instance]], Sequence[Instance]]
"""Keeps of a cohort's images those that an approval covers."""

AGE_BANDS = (18, 40, 60, 75)
OTHER = "other"
UNKNOWN = "unknown"
SEXES = ("F", "M", "O", UNKNOWN)
BANDS = ("under 18", "18-39", "40-59", "60-74", "75 and over", UNKNOWN)
COUNTED = frozenset(
    {"patients", "studies", "images", "label_prevalence", "sex", "age_band", "modality",
     "body_part", "scanner", "period", "missingness", "opt_out"}
)  # fmt: skip
"""The fields of a card that rest on counts."""
WHAT_MAY_LACK = ("sex", "age", "body_part", "view", "manufacturer", "study_year")


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


def dataset_card(
    data: Path,
    recipe: Recipe,
    *,
    site: Site,
    cohort: str | None = None,
    permitted: Permitted = tuple,
) -> dict[str, Any]:
    """Return what this node can say of the cohort a recipe would use.

    `permitted` leaves out images that an approval does not cover.

    Raises
    ------
    CohortEmptyError
        If there is no image for the recipe.
    OptOutListError
        If it is unknown who opted out.
    CohortFileError
        If the hospital's definition of the cohort is not understood.
    """
    choice = choose(data, recipe, cohort=cohort)
    chosen = list(permitted(choice.images))
    with Catalogue(data) as catalogue:
        described = catalogue.described([item.instance for item in chosen])
    patients = {row["patient"]: row for row in described}
    owners = [row["patient"] for row in described]
    few = len(patients) < SMALL_CELL
    rules = read_rules(data)
    profile, inspected = Profile(rules.options), rules.pixel_text is not PixelText.DECLARED
    return {
        "site": str(site.id),
        "recipe": recipe.name,
        "inclusion": {
            "cohort": cohort,
            "modalities": list(recipe.modalities),
            **query_of(data, cohort).as_json(),
        },
        "patients": suppressed(len(patients)),
        "studies": SMALL if few else suppressed(len({row["study"] for row in described})),
        "images": SMALL if few else suppressed(len(described)),
        "label": recipe.label,
        "label_prevalence": _prevalence(chosen),
        "sex": table(row["sex"] or "unknown" for row in patients.values()),
        "age_band": table(age_band(row["age"]) for row in patients.values()),
        "modality": table((row["modality"] for row in described), patients=owners),
        "body_part": table(
            (row["body_part"] or "unknown" for row in described), patients=owners, fold=OTHER
        ),
        "scanner": table(map(_scanner, described), patients=owners, fold=OTHER),
        "period": _period(described),
        "missingness": {name: _missing(described, name) for name in WHAT_MAY_LACK},
        "deidentification": {
            "profile": profile.method[0],
            "table_sha256": profile.table.sha256,
            "codes": [code for code, _ in (*profile.codes, *([CLEAN_PIXELS] if inspected else []))],
            "pixels_inspected": inspected,
        },
        "prepared_data_hash": str(cohort_digest(chosen)),
        "preparation": PREPARATION,
        "split_policy": "by patient, SHA-256 of study and pseudonym",
        "opt_out": {
            "list_version": choice.optout_version,
            "excluded": in_tens(choice.opted_out),
        },
    }


def cohort_counts(data: Path, query: CohortQuery) -> dict[str, Any]:
    """Return how many patients a question finds, by modality, body part, sex and age band.

    Each number is rounded by itself (`rounded`) and need not add up to another: who
    asks twice with one patient more or less sees mostly chance. For the hospital's
    own staff. Those who opted out are not counted.
    """
    optouts = load_optouts(data)
    with Catalogue(data) as catalogue:
        found, _ = catalogue.select(
            modalities=(), label="", opted_out=optouts.patients, query=query
        )
        described = catalogue.described([item.instance for item in found])
    parts: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "by_modality": lambda row: str(row["modality"]),
        "by_body_part": lambda row: str(row["body_part"] or "unknown"),
        "by_sex": lambda row: str(row["sex"] or "unknown"),
        "by_age_band": lambda row: age_band(row["age"]),
    }
    return {
        "patients": rounded({row["patient"] for row in described}),
        **{name: _rounded_by(described, part) for name, part in parts.items()},
    }


def patient_counts(data: Path, images: Sequence[Instance]) -> dict[str, int]:
    """Return exact numbers of patients: all, by sex, by age band; a patient is in three cells.

    The cells do not depend on who is there. For a mechanism that adds noise; nothing of
    this leaves as it is.
    """
    with Catalogue(data) as catalogue:
        described = catalogue.described([item.instance for item in images])
    patients = {row["patient"]: row for row in described}
    counts = {"patients": len(patients)}
    counts |= {f"sex {name}": 0 for name in SEXES}
    counts |= {f"age {name}": 0 for name in BANDS}
    for row in patients.values():
        counts[f"sex {row['sex'] if row['sex'] in SEXES else UNKNOWN}"] += 1
        counts[f"age {age_band(row['age'])}"] += 1
    return counts


def without_counts(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return a card without anything that was counted."""
    return {name: card[name] for name in card if name not in COUNTED}


def age_band(age: str) -> str:
    """Return the band of a DICOM age (``045Y``): under 18, 18-39, 40-59, 60-74, 75 and over."""
    years = years_of(age)
    if years is None:
        return UNKNOWN
    return BANDS[sum(years >= limit for limit in AGE_BANDS)]


def _rounded_by(
    described: Sequence[Mapping[str, Any]], part: Callable[[Mapping[str, Any]], str]
) -> dict[str, int | str]:
    of: dict[str, set[str]] = {}
    for row in described:
        of.setdefault(part(row), set()).add(row["patient"])
    return {name: rounded(patients) for name, patients in sorted(of.items())}


def _prevalence(chosen: list[Instance]) -> dict[str, int | str]:
    labelled = [(item.label, item.patient) for item in chosen if item.label is not None]
    return table((label for label, _ in labelled), patients=(patient for _, patient in labelled))


def _period(described: Sequence[Mapping[str, Any]]) -> dict[str, int] | None:
    """Return the first and the last calendar year that ten patients or more have studies in."""
    of: dict[int, set[str]] = {}
    for row in described:
        if row["study_year"] is not None:
            of.setdefault(row["study_year"], set()).add(row["patient"])
    years = [year for year, patients in of.items() if len(patients) >= SMALL_CELL]
    return {"from": min(years), "to": max(years)} if years else None


def _missing(described: Sequence[Mapping[str, Any]], name: str) -> float | str:
    """Return the share of images without a fact in two decimals; hidden where few lack it."""
    without = {row["patient"] for row in described if row[name] in ("", None)}
    having = {row["patient"] for row in described} - without
    if 0 < len(without) < SMALL_CELL or 0 < len(having) < SMALL_CELL:
        return "suppressed"
    return round(sum(row[name] in ("", None) for row in described) / len(described), 2)


def _scanner(row: Mapping[str, Any]) -> str:
    return f"{row['manufacturer'] or 'unknown'} {row['model']}".strip()
