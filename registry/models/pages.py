"""The list and one entry as a person reads them in a terminal, in both languages.

Functions return rich renderables; the entry page is what a regulator sees:
half a screen, in words, with what was verified and what was not.
"""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text as Styled

from federation.errors.registry import RecordInvalidError
from federation.evidence.canonical import canonical
from federation.evidence.inclusion import CheckedEntry, Inclusion
from federation.evidence.model_version import (
    NoPrivacyStatement,
    PooledMetric,
    PrivacyStatement,
    Record,
)
from federation.wording import Language, Text
from registry.pages.states import Status

_EMPTY = Text(en="Nothing is registered yet.", zh="目前沒有任何登錄。")
_ENTRY = Text(en="Entry", zh="登錄編號")
_TITLE = Text(en="What it is", zh="名稱")
_STATE = Text(en="State", zh="狀態")
_SITES = Text(en="Sites", zh="院所數")
_POOLED = Text(en="Pooled result", zh="合併結果")
_CREATED = Text(en="Registered (UTC)", zh="登錄時間(UTC)")
_SITE = Text(en="Site", zh="院所")
_PATIENTS = Text(en="Patients", zh="病人數")
_ROUNDS = Text(en="Rounds", zh="回合")
_RESULT = Text(en="On patients not trained on", zh="未參與訓練之病人的表現")
_TESTED = Text(en="Tested on", zh="測試人數")
_ALL = Text(en="all, within site", zh="全部(院內合併)")
_FEW = Text(en="under 10", zh="少於 10")
_HEAD = Text(
    en="Signed as a {state}. What follows is evidence, no release for use on patients.",
    zh="簽署時的狀態:{state}。以下為證據,並非核准用於病人。",
)
_NOW = Text(en="In the register now: {name}. {meaning}", zh="登錄系統目前的狀態:{name}。{meaning}")
_MADE = Text(
    en="Study {study}, recipe {recipe} {version}; {done} of {asked} rounds at {sites} sites.",
    zh="研究 {study},配方 {recipe} {version};{sites} 家院所完成 {done}/{asked} 回合。",
)
_PRIVACY = Text(en="Privacy ({site}): {words}", zh="隱私({site}):{words}")
_REFUSED = Text(en="Refused: {site} [{code}] {what}", zh="拒絕:{site} [{code}] {what}")
_MODEL = Text(en="Model   {digest}", zh="模型   {digest}")
_STUDY = Text(en="Study   {digest}", zh="研究   {digest}")
_CODE = Text(en="Code    {digest}", zh="程式碼 {digest}")
_SIGNED = Text(en="✓ Signed by the centre's key {keyid}", zh="✓ 已由中心金鑰 {keyid} 簽署")
_LOGGED = Text(
    en="✓ Entry {place} of {size} in the log; {count} signed statements behind it",
    zh="✓ 紀錄中的第 {place} 筆(共 {size} 筆);其後有 {count} 份簽署聲明",
)
_BROKEN = Text(
    en="✗ DO NOT RELY ON THIS ENTRY. [{code}] {what}", zh="✗ 請勿採信此筆登錄。[{code}] {what}"
)
_UNCHECKED = Text(
    en="? Not verified: give the centre's public key to check this entry.",
    zh="? 尚未驗證:請提供中心的公開金鑰以檢查此筆登錄。",
)
_SUPERSEDED = Text(en="Superseded by {entry}.", zh="已由 {entry} 取代。")
_CORRECTS = Text(en="Corrects {entry}.", zh="更正 {entry}。")
_STATES = {"draft": Text(en="draft", zh="草案")}


def list_page(items: Sequence[Mapping[str, object]], language: Language) -> RenderableType:
    """Return the list of registered versions as a table."""
    if not items:
        return _EMPTY.say(language)
    table = Table(box=None, pad_edge=False)
    for heading in (_ENTRY, _TITLE, _STATE, _SITES, _POOLED, _CREATED):
        table.add_column(heading.say(language), overflow="fold")
    for item in items:
        table.add_row(
            str(item["entry"]),
            escape(str(item["title"])),
            _state(str(item["state"]), language),
            str(item["sites"]),
            _pooled_of(item["pooled"]),
            str(item["created"]),
        )
    return table


def show_page(
    entry: CheckedEntry, language: Language, *, now: Status | None = None
) -> RenderableType:
    """Return one entry: what it is, who took part, how good, how private, how certain.

    `now` is how the version stands in the register, where that is known.
    """
    if entry.failure is not None:
        failure = entry.failure
        return Styled(
            _BROKEN.say(language, code=failure.code, what=failure.say(language)), "bold red"
        )
    try:
        record = entry.record or Record.from_json(canonical(entry.shown.record))
    except RecordInvalidError as error:
        return Styled(_BROKEN.say(language, code=error.code, what=error.say(language)), "bold red")
    return Group(
        *_heading(record, entry, now, language),
        _sites_table(record, language),
        *_privacy_lines(record, language),
        *_refusals(record, language),
        *_digests(record, language),
        *_evidence_lines(record, entry, language),
    )


def _heading(
    record: Record, entry: CheckedEntry, now: Status | None, language: Language
) -> list[Styled]:
    lines = [
        Styled(f"{record.study.title}  {record.entry}", "bold"),
        Styled(_HEAD.say(language, state=_state(record.state, language))),
        Styled(
            _MADE.say(
                language,
                study=record.study.id,
                recipe=record.recipe.name,
                version=record.recipe.version,
                done=record.rounds.done,
                asked=record.rounds.asked,
                sites=len(record.participants),
            )
        ),
    ]
    if now is not None:
        said = _NOW.say(language, name=now.name, meaning=now.meaning)
        lines.insert(1, Styled(said))
    if record.supersedes:
        lines.append(Styled(_CORRECTS.say(language, entry=record.supersedes)))
    if entry.shown.superseded_by:
        newer = entry.shown.superseded_by
        lines.append(Styled(_SUPERSEDED.say(language, entry=newer), "bold yellow"))
    return lines


def _sites_table(record: Record, language: Language) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for heading in (_SITE, _PATIENTS, _ROUNDS, _RESULT, _TESTED):
        table.add_column(heading.say(language))
    table.add_column("ε, δ")
    for part in record.participants:
        results = [metric for metric in record.evaluations if metric.site == part.site]
        table.add_row(
            part.site,
            _FEW.say(language) if part.patients is None else str(part.patients),
            str(part.rounds),
            "\n".join(_metric(metric) for metric in results) or "–",
            "\n".join(str(metric.n) for metric in results) or "–",
            _epsilon(record, part.site),
        )
    for metric in record.pooled:
        table.add_row(_ALL.say(language), "", "", _metric(metric), str(metric.n), "")
    return table


def _privacy_lines(record: Record, language: Language) -> list[Styled]:
    """Return the weakest promise in words, and every one that is worded otherwise."""
    ordered = sorted(record.privacy, key=_weakness, reverse=True)
    shown = [ordered[0]] if all(isinstance(one, PrivacyStatement) for one in ordered) else ordered
    return [
        Styled(_PRIVACY.say(language, site=one.site, words=_words(one, language)))
        for one in shown[:3]
    ]


def _weakness(one: PrivacyStatement | NoPrivacyStatement) -> float:
    return one.epsilon if isinstance(one, PrivacyStatement) else float("inf")


def _words(one: PrivacyStatement | NoPrivacyStatement, language: Language) -> str:
    return one.statement.zh if language is Language.ZH_HANT_TW else one.statement.en


def _refusals(record: Record, language: Language) -> list[Styled]:
    return [
        Styled(_REFUSED.say(language, site=part.site, code=part.code, what=part.what), "yellow")
        for part in record.refused
    ]


def _digests(record: Record, language: Language) -> list[Styled]:
    return [
        Styled(_MODEL.say(language, digest=record.model.sha256), "dim"),
        Styled(_STUDY.say(language, digest=record.study.digest), "dim"),
        Styled(_CODE.say(language, digest=record.code.wheel_digest), "dim"),
    ]


def _evidence_lines(record: Record, entry: CheckedEntry, language: Language) -> list[Styled]:
    if entry.record is None:
        return [Styled(_UNCHECKED.say(language), "bold yellow")]
    proof = Inclusion.from_json(entry.shown.inclusion)
    logged = _LOGGED.say(
        language, place=proof.index + 1, size=proof.size, count=len(record.statements)
    )
    return [
        Styled(_SIGNED.say(language, keyid=entry.keyid), "green"),
        Styled(logged, "green"),
    ]


def _state(state: str, language: Language) -> str:
    known = _STATES.get(state)
    return known.say(language) if known else escape(state)


def _epsilon(record: Record, site: str) -> str:
    found = next((one for one in record.privacy if one.site == site), None)
    if not isinstance(found, PrivacyStatement):
        return "–"
    return f"{found.epsilon:.2f}, {found.delta:.0e}"


def _metric(metric: PooledMetric) -> str:
    return f"{metric.name} {metric.value:.3f} ({metric.low:.3f}–{metric.high:.3f})"


def _pooled_of(raw: object) -> str:
    items = raw if isinstance(raw, list) else []
    return "\n".join(_metric(PooledMetric.model_validate(item)) for item in items) or "–"
