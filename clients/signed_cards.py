"""Make and sign the dataset card of a study: what the node knows, and what a person typed.

Counts, period, scanners, de-identification and opt-outs come from the node's own catalogue,
suppressed as everywhere; the cohort and the split from the study; the digest of the data is
that which the study's last round used, so that a registered version finds the card. Legal
basis, ethics approval, how labels were made, and the rest that no machine knows are read
from a file of words (`CARD_WORDS`). The node's key signs all of it together with who typed
it; the agent brings it to the centre with the card that the approval wrote.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clients import audit_log
from clients.approvals import approval_of
from clients.approved_data import ApprovedData
from clients.card_words import Words
from clients.data.catalogue.cards import dataset_card
from clients.data.cohort.arrays import split_patients
from clients.data.cohort.choice import choose
from clients.data.layout import KEY_FILE
from clients.data.people.keys import FileKeys
from clients.data.people.lineage import Lineage
from clients.data.people.optout import load_optouts, optout_report
from clients.decide import desk_of
from clients.evaluation_study.disjointness import METHOD, digest_of_people
from clients.home import NodeHome
from clients.seals import read_limited
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.cells import SMALL_CELL
from federation.domain.ids import Sha256, StudyId
from federation.domain.site import Site, SiteState
from federation.domain.study import Study
from federation.errors.records import CardDataError
from federation.evidence.canonical import canonical, digest_of
from federation.evidence.signing import Signer, sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from federation.evidence.verification import PublicKey
from federation.recipes import catalogue
from federation.storage import write_atomic
from federation.wording import Text

SIGNED = "signed_card"
"""Under which name the agent brings the signed card, beside what the approval offered."""
WHAT = "dataset-card"

_NOT_APPROVED = Text(en="this hospital did not approve it", zh="本院未核准此研究")
_OTHER_DATA = Text(
    en="the data of its last round are no longer here as they were", zh="最後一輪所用資料已有變動"
)
_NOT_APART = Text(
    en="patients who were to be kept apart were trained on", zh="應保留的病人曾用於訓練"
)
_NO_PERIOD = Text(
    en="too few patients in every year to tell the period; type it (`period`)",
    zh="各年度病人過少,無法得知資料期間;請自行填寫(`period`)",
)

Facts = Mapping[str, Any]


def sign_card(home: NodeHome, study: StudyId, words: Words, *, now: datetime) -> Path:
    """Sign the card of an approved study and offer it to the centre; return the offered file.

    Raises
    ------
    ProposalMissingError, CardDataError
        If the study is not known or approved here, or its data are not what they were.
    PlatformError
        If data, opt-outs or keys cannot be read.
    """
    found = desk_of(home).proposal(study)
    offered = home.cards / f"{study}.json"
    facts = _facts(home, found, offered, now=now)
    split = _split(home, found)
    quality = canonical(_quality(facts))
    card = {
        **_known(home, found.id, facts, words, now=now),
        **words.fields,
        "split": {"policy": facts["split_policy"], "disjointness": str(digest_of(split))},
        "quality_report": str(Sha256.of(quality)),
    }
    envelope = _signed(home, found, card, split, words, now=now)
    write_atomic(home.decisions / f"{study}.quality", quality)
    kept = _read(offered)
    write_atomic(offered, json.dumps({**kept, SIGNED: envelope}, ensure_ascii=False).encode())
    details = {"card": str(Sha256.of(envelope.encode()))}
    event = AuditEvent(AuditKind.CARD_SIGNED, words.person, study, now, details)
    audit_log.append(home.audit_log, event)
    return offered


def _facts(home: NodeHome, study: Study, offered: Path, *, now: datetime) -> Facts:
    """Return what the node knows of the data that the study's last round used.

    The card that the approval wrote, while that is of these data; else what is there now
    of the approved images, if that is.
    """
    used, kept = Lineage(home.data).dataset_of(study.id), _read(offered)
    if not kept:
        raise CardDataError(study=study.id, why=_NOT_APPROVED)
    if used is None or kept["prepared_data_hash"] == used:
        return kept
    fresh = _fresh(home, study, now=now)
    if fresh["prepared_data_hash"] != used:
        raise CardDataError(study=study.id, why=_OTHER_DATA)
    return {**fresh, **{name: kept[name] for name in ("noisy_counts",) if name in kept}}


def _fresh(home: NodeHome, study: Study, *, now: datetime) -> Facts:
    approval = approval_of(
        desk_of(home),
        study=study.id,
        study_digest=study.digest,
        recipe_digest_of=lambda name: catalogue.recipe(name).digest,
        officer=PublicKey.load(home.officer_public_key),
        now=now,
    )
    path = desk_of(home).instances_file(study.id)
    approved = ApprovedData.read(path, study=study.id, expected=approval.instances_digest)
    settings, recipe = home.settings(), catalogue.recipe(study.recipe)
    site = Site(settings.site, settings.name, SiteState.ENROLLED)
    card = dataset_card(home.data, recipe, site=site, cohort=study.cohort, permitted=approved.only)
    return {**card, "made": now.isoformat(timespec="seconds")}


def _split(home: NodeHome, study: Study) -> dict[str, object]:
    """Return how training and kept patients were parted, by digests over pseudonyms."""
    lineage = Lineage(home.data)
    trained = frozenset[str]().union(*(lineage.members(run) for run in lineage.runs_of(study.id)))
    images = choose(home.data, catalogue.recipe(study.recipe), cohort=study.cohort).images
    people = sorted({image.patient for image in images})
    _, held = split_patients(people, heldout_fraction=study.heldout_fraction, study=study.id)
    apart = {people[place] for place in held}
    if study.evaluation is None and apart & trained:
        raise CardDataError(study=study.id, why=_NOT_APART)
    return {
        "method": METHOD,
        "study": str(study.digest),
        "trained": str(digest_of_people(trained, study=study.digest)),
        "kept_apart": str(digest_of_people(apart, study=study.digest)),
    }


def _known(
    home: NodeHome, study: StudyId, facts: Facts, words: Words, *, now: datetime
) -> dict[str, object]:
    """Return the card's fields that the node knows."""
    counted = _noisy(facts) if "noisy_counts" in facts else _counted(facts)
    return {
        "schema": "trifed.dataset-card/1",
        "site": str(home.settings().site),
        **counted,
        "period": words.period or _period(study, facts, now),
        "inclusion": _inclusion(facts),
        "deidentification": _deidentification(home, facts),
        "prepared_data_hash": facts["prepared_data_hash"],
        "opt_out": _opt_out(home, facts, words, now=now),
        "modalities": list(facts["inclusion"]["modalities"]),
    }


def _counted(facts: Facts) -> dict[str, object]:
    patients = _number(facts["patients"])
    return {
        "patients": patients,
        "studies": _number(facts["studies"]),
        "images": _number(facts["images"]),
        "label_prevalence": None if patients is None else _prevalence(facts["label_prevalence"]),
        "sex": _table(facts["sex"], patients),
        "age_band": _table(facts["age_band"], patients),
        "region": _table({}, None),
        "scanner": _table(facts["scanner"], None),
        "missingness": {
            name: share for name, share in facts["missingness"].items() if share != "suppressed"
        },
    }


def _noisy(facts: Facts) -> dict[str, object]:
    """Return the one count that may be shown where the study asked for noise; no table adds up."""
    said = int(facts["noisy_counts"]["counts"]["patients"])
    empty = _table({}, None)
    return {
        "patients": said if said >= SMALL_CELL else None,
        **dict.fromkeys(("studies", "images", "label_prevalence")),
        **dict.fromkeys(("sex", "age_band", "region", "scanner"), empty),
        "missingness": {},
    }


def _number(said: object) -> int | None:
    return said if isinstance(said, int) else None


def _table(cells: Mapping[str, object], total: int | None) -> dict[str, object]:
    shown = [{"name": name, "n": _number(said)} for name, said in cells.items()]
    return {"total": total if shown else None, "cells": shown}


def _prevalence(labels: Mapping[str, object]) -> float | None:
    """Return the share of images with the finding, in two decimals; None where hidden."""
    without, having = (_number(labels.get(name, 0)) for name in ("0", "1"))
    if set(labels) - {"0", "1"} or without is None or having is None or not without + having:
        return None
    return round(having / (without + having), 2)


def _period(study: StudyId, facts: Facts, now: datetime) -> dict[str, str]:
    years = facts.get("period")
    if years is None:
        raise CardDataError(study=study, why=_NO_PERIOD)
    end = min(f"{years['to']}-12-31", now.date().isoformat())
    return {"begin": f"{years['from']}-01-01", "end": end}


def _inclusion(facts: Facts) -> dict[str, str]:
    asked = facts["inclusion"]
    modalities = ", ".join(asked["modalities"])
    rest = {name: asked[name] for name in asked if name not in ("cohort", "modalities")}
    query = json.dumps(rest, ensure_ascii=False, sort_keys=True) if rest else ""
    return {
        "en": f"Cohort {asked['cohort']}: labelled images of modality {modalities} {query}".strip(),
        "zh-TW": f"世代 {asked['cohort']}:具標註之影像,儀器別 {modalities} {query}".strip(),
    }


def _deidentification(home: NodeHome, facts: Facts) -> dict[str, str]:
    said = facts["deidentification"]
    inspected = "pixels inspected" if said["pixels_inspected"] else "pixels as declared"
    return {
        "method": f"DICOM PS3.15 Annex E, table {said['table_sha256'][:12]}, {inspected}",
        "profile": f"{said['profile']}: {', '.join(said['codes'])}"[:200],
        "project_key": f"key-{FileKeys(home.data / KEY_FILE).current().id}",
    }


def _opt_out(home: NodeHome, facts: Facts, words: Words, *, now: datetime) -> dict[str, object]:
    """Return which list was applied when, and what that changed, where ten or more left."""
    said = facts.get("opt_out") or {"list_version": str(load_optouts(home.data).version)}
    excluded = _number(said.get("excluded"))
    applied = datetime.fromisoformat(facts["made"]).astimezone(UTC)
    return {
        "list_version": said["list_version"],
        "applied_at": applied.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "excluded": excluded,
        "representativeness": _representativeness(home, now=now) if excluded else None,
        "accepted": words.accepted,
    }


def _representativeness(home: NodeHome, *, now: datetime) -> dict[str, object] | None:
    """Return how those who remain in the catalogue differ from all; None where it is hidden."""
    variables = optout_report(home.data, now=now)["representativeness"]["variables"]
    shifts = {name: shift for name, shift in (variables or {}).items() if shift is not None}
    if not shifts:
        return None
    smd = {
        f"{name} {category}": abs(value)
        for name, shift in shifts.items()
        for category, value in shift["smd"].items()
    }
    return {"smd": smd, "psi": max(shift["psi"] for shift in shifts.values())}


def _quality(facts: Facts) -> dict[str, object]:
    """Return the report of data quality that the card names by digest; it stays here."""
    parts = ("missingness", "deidentification", "preparation", "prepared_data_hash")
    return {"schema": "trifed.data-quality/1", **{name: facts.get(name) for name in parts}}


def _signed(
    home: NodeHome,
    study: Study,
    card: Mapping[str, object],
    split: Mapping[str, object],
    words: Words,
    *,
    now: datetime,
) -> str:
    site = home.settings().site
    statement = Statement(
        (
            Subject(f"study/{study.id}", study.digest),
            Subject(f"data/{site}", Sha256(str(card["prepared_data_hash"]))),
        ),
        PredicateType.DATASET_CARD,
        {
            "what": WHAT,
            "site": str(site),
            "study": str(study.id),
            "at": now.isoformat(timespec="seconds"),
            "by": {"person": words.person, "organisation": words.organisation},
            "card": dict(card),
            "split": dict(split),
        },
    )
    return sign_dsse(statement, Signer.load(home.node_key))


def _read(offered: Path) -> dict[str, Any]:
    """Return the card that the approval offered, empty where there is none."""
    try:
        found = json.loads(read_limited(offered))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and "prepared_data_hash" in found else {}
