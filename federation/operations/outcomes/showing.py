"""Words of an outcome study's document, for people at a terminal."""

from collections.abc import Iterator
from typing import Any

from federation.wording import Language, Text

Json = dict[str, Any]


def words_of(said: Json, document: Json, language: Language) -> Iterator[str]:
    """Yield what an outcome study came to, line by line."""
    about = document["about"]
    yield _HEAD.say(
        language,
        study=about["study"],
        run=about["run"],
        protocol=about["protocol"][:19],
        place=about["log_index"],
        patients=document["patients"],
        sites=len(about["sites"]),
    )
    yield _DOCUMENT.say(language, digest=said["document"], place=said["result_index"])
    for one in document["analyses"]:
        yield from _analysis(one, language)


def _analysis(one: Json, language: Language) -> Iterator[str]:
    yield _NAME.say(language, name=one["name"], kind=_KINDS[one["kind"]].say(language))
    if one["refused"] is not None:
        refused = one["refused"]
        what, step = (refused[name][language.value] for name in ("what", "next"))
        yield _REFUSED.say(language, code=refused["code"], what=what, step=step)
        return
    match one["kind"]:
        case "survival":
            yield from _survival(one, language)
        case "weighted":
            yield _EFFECT.say(language, **one["effect"])
        case _:
            few = _FEW if one["events"] is None else one["events"]
            yield _FITTED.say(language, **{**{key: one[key] for key in _OF_FIT}, "events": few})
            for term in one["terms"]:
                yield _term(term, language)


def _survival(one: Json, language: Language) -> Iterator[str]:
    for curve in one["curves"]:
        yield _CURVE.say(
            language,
            group=curve["group"],
            patients=curve["patients"],
            survival=curve["survival"][-1],
            ends=curve["ends"],
            unit=_UNITS[one["unit"]],
        )
    for mean in one["means"]:
        yield _MEAN.say(language, unit=_UNITS[one["unit"]], **mean)
    for hidden in one["hidden"]:
        yield _HIDDEN.say(language, group=hidden["group"], reason=hidden["reason"][language.value])
    if one["log_rank"] is not None:
        yield _LOG_RANK.say(language, **one["log_rank"])


def _term(term: Json, language: Language) -> str:
    ratio = term["ratio"]
    shown = term if ratio is None else {**term, **ratio}
    values = {name: shown[name] for name in ("value", "low", "high")}
    return _TERM.say(language, term=term["term"], p=term["p"], **values)


_FEW = Text(en="not told", zh="不公布")
_OF_FIT = ("patients", "events", "rounds", "last_step")
_KINDS = {
    "survival": Text(en="survival", zh="存活分析"),
    "cox": Text(en="hazard ratios (Cox)", zh="風險比(Cox)"),
    "logistic": Text(en="odds ratios", zh="勝算比"),
    "weighted": Text(en="weighted effect", zh="加權效果"),
}
_UNITS = {
    "day": Text(en="days", zh="天"),
    "week": Text(en="weeks", zh="週"),
    "month": Text(en="months", zh="個月"),
    "year": Text(en="years", zh="年"),
}
_HEAD = Text(
    en="{study}, run {run}. Protocol {protocol}, entry {place} of the evidence log. {patients} "
    "patients of {sites} hospitals.",
    zh="{study},執行 {run}。方案 {protocol},證據紀錄第 {place} 筆。"
    "{sites} 家醫院 {patients} 位病人。",
)
_DOCUMENT = Text(
    en="Result {digest}, entry {place} of the evidence log.",
    zh="結果 {digest},證據紀錄第 {place} 筆。",
)
_NAME = Text(en="{name}: {kind}", zh="{name}:{kind}")
_REFUSED = Text(en="  not shown [{code}] {what} {step}", zh="  不顯示 [{code}] {what}{step}")
_FITTED = Text(
    en="  {patients} patients, {events} events; {rounds} rounds, last step {last_step:.1g}",
    zh="  {patients} 位病人、{events} 件事件;{rounds} 輪,最後一步 {last_step:.1g}",
)
_TERM = Text(
    en="  {term}: {value:.3f} ({low:.3f} to {high:.3f}), p = {p:.3g}",
    zh="  {term}:{value:.3f}({low:.3f} 至 {high:.3f}),p = {p:.3g}",
)
_CURVE = Text(
    en="  {group}: {patients} patients; {survival:.3f} without the event at {ends:g} {unit}",
    zh="  {group}:{patients} 位病人;至 {ends:g} {unit}未發生事件比例 {survival:.3f}",
)
_MEAN = Text(
    en="  {group}: mean {value:.2f} ({low:.2f} to {high:.2f}) of {horizon:g} {unit}, "
    "error {error:.2g}",
    zh="  {group}:{horizon:g} {unit}內平均 {value:.2f}({low:.2f} 至 {high:.2f}),標準誤 {error:.2g}",
)
_HIDDEN = Text(en="  {group} is not shown: {reason}", zh="  不顯示 {group}:{reason}")
_LOG_RANK = Text(
    en="  log-rank: {statistic:.3f} on {freedom}, p = {p:.3g}",
    zh="  對數等級檢定:{statistic:.3f}(自由度 {freedom}),p = {p:.3g}",
)
_EFFECT = Text(
    en="  difference {value:.4g} ({low:.4g} to {high:.4g}), error {error:.3g}, z {z:.2f}, "
    "p = {p:.3g}",
    zh="  差異 {value:.4g}({low:.4g} 至 {high:.4g}),標準誤 {error:.3g},z {z:.2f},p = {p:.3g}",
)
