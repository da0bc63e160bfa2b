"""The version's card, filled in from `card.toml` as an owner would, and handed in.

    kept = hand_in_card(centre, entry, judged, folder=folder, actor=OWNER)

Quantitative attributes are links to evaluations that somebody judged, or ``none`` with the
reason. The card is also written for people: as the file that was handed in, and as the table
of attributes, which is filed as the version's public summary and confirmed by somebody else.
"""

import tomllib
from collections.abc import Mapping
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from federation.commands.evidence_rehearsal.people import EVALUATOR, OWNER
from federation.commands.registry_drafts import hand_in
from federation.coordinator.home import CentreHome
from federation.operations import dossier
from federation.operations.embedded_registry import RecordDesk, registrar
from federation.storage import write_atomic
from federation.wording import Language, Text

if TYPE_CHECKING:
    from registry.records.ports import StoredRecord

WORDS = "card.toml"
SUMMARY = "pneumonia-model-card-demo"
REASON = "demo"
CODES: tuple[tuple[str, str, str, str], ...] = (
    ("modality", "http://dicom.nema.org/resources/ontology/DCM", "CR", "Computed Radiography"),
    ("body-part", "http://snomed.info/sct", "51185008", "Thoracic structure"),
    ("condition", "http://hl7.org/fhir/sid/icd-10", "J18.9", "Pneumonia, unspecified"),
)
LINKED: Mapping[str, str] = {"7a": "discrimination", "7b": "fairness"}
"""Attributes that an evaluation on patients of the same hospitals answers, by dimension."""

NOT_JUDGED = Text(
    en="The evaluation of it shows too little, or missed its threshold and stays open.",
    zh="評估結果不足以顯示,或未達門檻而待處理。",
)
NO_EXTERNAL = Text(
    en="No evaluation at hospitals that did not train it stands by itself: there was one only.",
    zh="未參與訓練之醫院僅一家,無獨立之外部評估。",
)
NO_LOCAL = Text(en="It is deployed nowhere.", zh="未於任何醫院部署。")
TITLE = Text(en="Model card of the demo version", zh="示範版本之模型資訊卡")


def hand_in_card(
    centre: Path, entry: str, judged: Mapping[str, str], *, folder: Path
) -> "StoredRecord":
    """Write the card as a file, hand that file in, and return the kept record.

    Parameters
    ----------
    judged
        Evaluations that count, by dimension.

    Raises
    ------
    PlatformError
        What the register refuses.
    """
    from registry.models.cards import card_template, new_card, read_card
    from registry.models.version_card import VersionCard

    empty = new_card(registrar(CentreHome.open(centre)).store, entry)
    filled = VersionCard.model_validate_json(_json({**empty.as_json(), **_said(judged)}))
    path = folder / f"{entry}.card.toml"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(path, card_template(filled).encode(), mode=0o644)
    card = read_card(path.read_bytes(), name=path.name)
    return hand_in(centre, card, person=OWNER.person, house=OWNER.organisation, role=OWNER.role)


def file_summary(centre: Path, desk: RecordDesk, entry: str, *, folder: Path, today: date) -> Path:
    """Write the card as the public table of attributes, file it and have it confirmed.

    Raises
    ------
    PlatformError
        What the register refuses.
    """
    from federation.operations.registry import show_entry
    from registry.exchange.formats import write
    from registry.exchange.kinds import ENDINGS, Format, Table
    from registry.exchange.service import card_in

    found, keeper = show_entry(centre, entry), registrar(CentreHome.open(centre))
    assert found.record is not None  # a home has the key that checks its entries
    card = card_in(keeper.store, found.record, key=keeper.signer.public_key)
    content = write(card, Format.HTI1, language=Language.EN, site=None, table=Table.HTML)
    path = folder / f"{entry}{ENDINGS[Format.HTI1]}"
    write_atomic(path, content, mode=0o644)
    said = dossier.Document("model-card", TITLE.en, TITLE.zh, OWNER.organisation, today.isoformat())
    dossier.file_document(desk, SUMMARY, entry, content, said, actor=OWNER)
    dossier.confirm_document(desk, SUMMARY, actor=EVALUATOR, reason=REASON)
    return path


def _said(judged: Mapping[str, str]) -> dict[str, Any]:
    """Return what the file of words says, with the quantitative attributes filled in."""
    content = files("federation.commands.evidence_rehearsal").joinpath(WORDS).read_text("utf-8")
    words = tomllib.loads(content)
    answers = {name: {"text": both} for name, both in words.pop("attributes").items()}
    return {
        **words,
        "attributes": {**answers, **_quantitative(judged)},
        "codes": [
            dict(zip(("kind", "system", "code", "display"), one, strict=True)) for one in CODES
        ],
    }


def _quantitative(judged: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = {
        name: {"evaluations": [judged[dimension]]} if dimension in judged else _none(NOT_JUDGED)
        for name, dimension in LINKED.items()
    }
    found |= {name: _none(NO_EXTERNAL) for name in ("7c", "7d")}
    return found | {name: _none(NO_LOCAL) for name in ("8b", "8d")}


def _none(why: Text) -> dict[str, object]:
    return {"none": {"zh-TW": why.zh, "en": why.en}}


def _json(plain: Mapping[str, object]) -> bytes:
    from federation.evidence.canonical import canonical

    return canonical(dict(plain))
