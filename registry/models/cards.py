"""Cards as files: make one for an entry, say what it lacks, hand it in.

    card = new_card(store, entry)
    path.write_text(card_template(card))                 # TOML, a person fills it in
    card = read_card(path.read_bytes(), name=path.name)
    problems = check_card(store, card)                   # everything that is missing
    submit_card(records, noun, card, author=author)      # while the version is a draft

`version_noun` is the noun ``model-version`` with everything its moves need.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from federation.domain.toml_text import parse_toml
from federation.errors import PlatformError
from federation.errors.moves import RecordShapeError
from federation.errors.registry import CardFileError
from federation.errors.signed import NotCanonicalError
from federation.evidence.canonical import canonical, digest_of, parse
from federation.evidence.verification import PublicKey
from federation.wording import Text
from registry.exchange.attributes import ATTRIBUTES
from registry.models.attributes import missing
from registry.models.evidence_found import Collector
from registry.models.service import find
from registry.models.states import TABLE
from registry.models.version_card import NAME, VersionCard
from registry.ports import Store, Transaction
from registry.records.ports import StoredRecord
from registry.records.service import Records
from registry.records.shapes import Noun
from registry.roles import Author, Role

MAX_CARD_BYTES = 512 * 1024

_TOO_LARGE = Text(en="it is larger than 512 KiB", zh="檔案大於 512 KiB")
_UNREADABLE = Text(en="it is neither TOML nor JSON", zh="不是 TOML 或 JSON")
_OTHER = Text(
    en="its digests are not those of the entry in the register", zh="摘要與登錄系統中的紀錄不符"
)

_HEAD = """\
# The card of {entry}. Fill in every field in both languages, then:
#   trifed registry card check FILE ; trifed registry card submit FILE
# An attribute is text, or none with the reason, or evaluations by id, for example
#   none = {{ "zh-TW" = "理由", en = "the reason" }}      evaluations = ["ev-2026-001"]
# 請以中英文填寫每個欄位;若無,請改填 none 並說明理由;量化指標請填評估紀錄編號。
entry = "{entry}"
record = "{record}"
model = "{model}"

# name = {{ "zh-TW" = "", en = "" }}
# intended_use = {{ "zh-TW" = "", en = "" }}
# organisation = {{ name = {{ "zh-TW" = "", en = "" }}, contact = "" }}
# [risk]  (before the attributes)
# level = "high"
# tfda_class = "2"
# imdrf = "III"
# warning = {{ "zh-TW" = "", en = "" }}
# mlbom = {{ path = "mlbom.json", sha256 = "sha256:..." }}
# [[codes]]
# kind = "modality"
# system = "http://dicom.nema.org/resources/ontology/DCM"
# code = "CR"
"""


def version_noun(*, artefacts: Path, key: PublicKey) -> Noun[VersionCard]:
    """Return the noun of model versions; `key` is the register's, `artefacts` its file store."""
    return Noun(
        NAME,
        VersionCard,
        TABLE,
        authors=frozenset({Role.DEV, Role.HAO}),
        evidence=Collector(artefacts, key, state_of),
    )


def state_of(transaction: Transaction, entry: str) -> str | None:
    """Return where an entry stands: as moved, or as registered; None if there is none."""
    head = transaction.records.head(NAME, entry)
    if head is not None:
        return head.state
    stored = transaction.models.get(entry)
    return None if stored is None else stored.state


def states_of(transaction: Transaction, entries: list[str]) -> dict[str, str]:
    """Return where entries stand that were moved or have a card, for a page of the list."""
    heads = transaction.records.heads(NAME, entries)
    return {entry: head.state for entry, head in heads.items()}


def new_card(store: Store, asked: str) -> VersionCard:
    """Return an entry's card as it stands, or an empty one that names the entry.

    Raises
    ------
    EntryNotFoundError
        If there is no such entry.
    """
    with store.reading() as transaction:
        found = find(transaction.models, asked)
        head = transaction.records.head(NAME, found.entry)
    if head is not None:
        return VersionCard.model_validate_json(canonical(dict(head.body)))
    record = parse(found.record)
    return VersionCard(entry=found.entry, record=digest_of(record), model=_model(record))


def card_template(card: VersionCard) -> str:
    """Return the card as a TOML file to fill in; attributes already answered are kept."""
    plain = card.as_json()
    head = _HEAD.format(entry=card.entry, record=card.record, model=card.model)
    fixed = {"entry", "record", "model", "attributes", "codes", "limitations"}
    kept = [f"{name} = {_inline(value)}" for name, value in plain.items() if name not in fixed]
    lists = [f"{name} = {_inline(plain[name])}" for name in ("codes", "limitations")]
    answered = plain["attributes"]
    assert isinstance(answered, dict)
    rows = [_row(name, answered.get(name)) for name in ATTRIBUTES]
    stated = [line for line in [*kept, *lists] if not line.endswith(("= null", "= []"))]
    return "\n".join([head, *stated, *rows])


def read_card(content: bytes, *, name: str) -> VersionCard:
    """Return the card in a TOML or JSON file; answers left blank are left out.

    Raises
    ------
    CardFileError
        If it is too large or neither.
    RecordShapeError
        If fields are missing, unknown or out of range; all are listed.
    """
    if len(content) > MAX_CARD_BYTES:
        raise CardFileError(name=name, why=_TOO_LARGE)
    raw = _parsed(content, name)
    try:
        return VersionCard.model_validate_json(canonical(_without_blanks(raw)))
    except NotCanonicalError as error:
        raise CardFileError(name=name, why=_UNREADABLE) from error
    except ValueError as error:
        raise _shape_error(error) from error


def check_card(store: Store, card: VersionCard) -> list[PlatformError]:
    """Return everything that keeps the card from being registered, in order."""
    with store.reading() as transaction:
        problems = [*_belongs(transaction, card)]
        linked = transaction.records.linking(NAME, card.entry, by="evaluation")
    there = {record.id for record in linked if record.body.get("metrics")}
    return [*problems, *missing(card.attributes, evaluations=there)]


def submit_card(
    records: Records, noun: Noun[VersionCard], card: VersionCard, *, author: Author
) -> StoredRecord:
    """Keep the card as the newest revision of its version's record, while that is a draft.

    Raises
    ------
    CardFileError
        If it belongs to another record than the register holds.
    PlatformError
        What `Records.put` raises.
    """
    with records.store.reading() as transaction:
        problems = _belongs(transaction, card)
        head = transaction.records.head(NAME, card.entry)
    if problems:
        raise problems[0]
    seen = 0 if head is None else head.revision
    return records.put(noun, card.entry, card, author=author, revision=seen)


def _belongs(transaction: Transaction, card: VersionCard) -> list[PlatformError]:
    stored = find(transaction.models, card.entry)
    record = parse(stored.record)
    if (card.record, card.model) == (digest_of(record), _model(record)):
        return []
    return [CardFileError(name=card.entry, why=_OTHER)]


def _model(record: object) -> str:
    match record:
        case {"model": {"sha256": str(digest)}}:
            return digest
    raise NotCanonicalError(why="a record without a model")


def _parsed(content: bytes, name: str) -> dict[str, object]:
    try:
        text = content.decode("utf-8")
        if text.lstrip().startswith("{"):
            value = parse(text)
            return value if isinstance(value, dict) else {}
        return parse_toml(content)
    except (ValueError, RecursionError, NotCanonicalError) as error:
        raise CardFileError(name=name, why=_UNREADABLE) from error


def _without_blanks(raw: Mapping[str, object]) -> dict[str, object]:
    answers = raw.get("attributes")
    if not isinstance(answers, Mapping):
        return dict(raw)
    kept = {name: answer for name, answer in answers.items() if not _is_blank(answer)}
    return {**raw, "attributes": kept}


def _is_blank(answer: object) -> bool:
    match answer:
        case {"text": {"zh-TW": str(zh), "en": str(en)}, **rest} if not rest:
            return not zh.strip() and not en.strip()
        case {"evaluations": [], **rest} if not rest:
            return True
        case {**rest}:
            return not rest
    return False


def _shape_error(error: ValueError) -> PlatformError:
    from pydantic import ValidationError

    from registry.records.shapes import listed

    problems = listed(error) if isinstance(error, ValidationError) else "not a card"
    return RecordShapeError(noun=NAME, problems=problems)


def _row(name: str, answer: object) -> str:
    attribute = ATTRIBUTES[name]
    blank = "evaluations = []" if attribute.by_evaluation else 'text = { "zh-TW" = "", en = "" }'
    given = answer if isinstance(answer, dict) else {}
    lines = [f"{key} = {_inline(value)}" for key, value in given.items() if value]
    title = f"# {attribute.asked.en} / {attribute.asked.zh}"
    return "\n".join(["", title, f"[attributes.{name}]", *(lines or [blank])])


def _inline(value: object) -> str:
    """Return a JSON value as an inline TOML value; None as ``null``, which is left out."""
    match value:
        case dict():
            parts = [f"{json.dumps(key)} = {_inline(part)}" for key, part in value.items() if part]
            return "{ " + ", ".join(parts) + " }"
        case list():
            return "[" + ", ".join(_inline(part) for part in value) + "]"
    return json.dumps(value, ensure_ascii=False)
