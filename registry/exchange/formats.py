"""Every format an entry can leave the register in, each checked before it is given out.

content = write(card, Format.MLBOM, language=Language.EN)
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

from pydantic import BaseModel

from federation.wording import Language
from registry.exchange import chai, croissant, fhir, hti1, mlbom
from registry.exchange.card import Card
from registry.exchange.chai_mapping import chai_of
from registry.exchange.kinds import Format, Table
from registry.exchange.rendering import json_bytes

SCHEMA = "trifed.card/1"


def write(
    card: Card,
    format_: Format,
    *,
    language: Language,
    site: str | None = None,
    table: Table = Table.HTML,
) -> bytes:
    """Return the card in a format. Same card, same bytes.

    Parameters
    ----------
    language
        Of a CHAI card, which has one; every other format has both.
    site
        Whose data a Croissant file describes.
    table
        How the HTI-1 table is written.

    Raises
    ------
    ExportInvalidError
        If what was written does not satisfy its format.
    SiteUnclearError
        If it is not clear whose data are meant.
    ExchangeUnequippedError
        If a package that checks the format is not installed.
    """
    match format_:
        case Format.MLBOM:
            content = mlbom.write_mlbom(card)
            mlbom.check_mlbom(content)
        case Format.CHAI:
            content = chai.write_chai(chai_of(card, language), chai.NOT_RECORDED.say(language))
            chai.check_chai(content)
        case Format.FHIR:
            content = fhir.write_fhir(card)
            fhir.check_fhir(content)
        case Format.CROISSANT:
            content = croissant.write_croissant(card, site)
            croissant.check_croissant(content)
        case Format.HTI1:
            content = _table(card, table)
        case Format.JSON:
            content = write_card(card)
    return content


def write_card(card: Card) -> bytes:
    """Return the card itself as JSON; what is not known, or suppressed, is null or empty."""
    plain = {part.name: _plain(getattr(card, part.name)) for part in fields(card)}
    return json_bytes({"schema": SCHEMA, **plain})


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
    return value


def _table(card: Card, table: Table) -> bytes:
    if table is Table.HTML:
        return hti1.write_html(card)
    if table is Table.JSON:
        return hti1.write_json(card)
    content = hti1.write_csv(card)
    hti1.check_rows(content)
    return content
