"""Which answers of a card go into which field of a CHAI Applied Model Card, and back.

The assignment is TriFed's own reading of both lists. A field that takes several
answers holds each under a line ``**[4a]** ...`` (the fields are Markdown), so that
a card of ours comes back whole; of a stranger's card the whole field answers the
field's first attribute.
"""

import json
import re
from collections.abc import Iterator, Mapping

from federation.evidence.model_version import NoPrivacyStatement
from federation.wording import Language, Text
from registry.exchange.attributes import ATTRIBUTES
from registry.exchange.card import Card, DatasetCard, Evaluation, said
from registry.exchange.chai import NOT_RECORDED, ChaiCard, MetricResult
from registry.exchange.chai_schema import GROUPS

_USES, _FACTS = "UsesAndDirections", "TrustIngredients/AISystemFacts"
_TRUST, _USEFUL = "TrustIngredients/TransparencyInformation", f"KeyMetrics/{GROUPS[0]}"
_FAIR = f"KeyMetrics/{GROUPS[1]}"
FIELDS: Mapping[str, tuple[str, ...]] = {
    "BasicInfo/ModelDeveloper": ("1a",),
    f"{_USES}/IntendedUseAndWorkflow": ("2a",),
    f"{_USES}/PrimaryIntendedUsers": ("2c",),
    f"{_USES}/HowToUse": ("2d",),
    f"{_USES}/TargetedPatientPopulation": ("2b",),
    f"{_USES}/CautionedOutOfScopeSettings": ("3a",),
    "Warnings/KnownRisksAndLimitations": ("3b",),
    "Warnings/KnownBiasesOrEthicalConsiderations": ("5a",),
    f"{_FACTS}/OutcomesAndOutputs": ("1c",),
    f"{_FACTS}/InputDataSource": ("4b",),
    f"{_FACTS}/OutputAndInputDataTypes": ("1d",),
    f"{_FACTS}/DevelopmentDataCharacterization": ("4a", "4c", "4d"),
    f"{_FACTS}/BiasMitigationApproaches": ("5b",),
    f"{_FACTS}/OngoingMaintenance": ("8a", "8c", "9a", "9b"),
    f"{_TRUST}/FundingSource": ("1b",),
    f"{_TRUST}/ThirdPartyInformation": ("6b",),
    f"{_USEFUL}/Interpretation": ("7a", "7c", "8b"),
    f"{_USEFUL}/TestingDataDescription": ("6a", "6c"),
    f"{_USEFUL}/ValidationProcessAndJustification": ("6d",),
    f"{_FAIR}/Interpretation": ("7b", "7d", "8d"),
    "Resources/EvaluationReferences": ("7e",),
}
"""The attributes whose answers a field holds."""

_HEADING = re.compile(r"^\*\*\[([a-z0-9-]+)\]\*\* [^\n]*$", re.MULTILINE)
_LIKE_HEADING = re.compile(r"^(\\*\*\*\[)", re.MULTILINE)
_ESCAPED = re.compile(r"^\\(\\*\*\*\[)", re.MULTILINE)
_SUMMARY = Text(
    en="Version {version} of the model of study {study}, trained by recipe {recipe} in {done} of "
    "{asked} rounds at {sites} sites. Register entry {entry}, record {digest}.",
    zh="研究 {study} 之模型,版本 {version},以配方 {recipe} 於 {sites} 家院所完成 {done}/{asked} "
    "回合訓練。登錄編號 {entry},紀錄 {digest}。",
)
_MAKER = Text(
    en="Who answers for the model: {name}. Contact: {contact}",
    zh="模型負責機構:{name}。聯絡方式:{contact}",
)
_RISK = Text(
    en="{level} (TFDA class {tfda}, IMDRF category {imdrf})",
    zh="{level}(食藥署等級 {tfda},IMDRF 分類 {imdrf})",
)
_DATA = Text(en="Training data by site", zh="各院所訓練資料")
_LIMITS = Text(en="Further limitations", zh="其他限制")
_SITE = Text(en="{site}: {patients} patients", zh="{site}:{patients} 位病人")
_FEW = Text(en="fewer than 10", zh="少於 10")
_PRIVACY = Text(en="{site}: {statement}", zh="{site}:{statement}")
_POOLED = Text(en="pooled within sites", zh="院內合併")
_LABEL = Text(en="{name}, {where}, n={n}, {method}", zh="{name},{where},n={n},{method}")


def chai_of(card: Card, language: Language) -> ChaiCard:
    """Return the card's CHAI form in a language; what is not known is absent."""
    texts = {
        **_basics(card, language),
        **{path: text for path in FIELDS if (text := _field(card, path, language))},
    }
    results = tuple(_result(found, language) for found in card.evaluations)
    return ChaiCard(
        texts=texts,
        keywords=tuple(dict.fromkeys(code.display or code.code for code in card.codes)),
        results={GROUPS[0]: results} if results else {},
    )


def attributes_of(card: ChaiCard) -> dict[str, str]:
    """Return what a card answers, by attribute; fields of no attribute are not among them."""
    found: dict[str, str] = {}
    for path, attributes in FIELDS.items():
        if path in card.texts:
            found.update(_answers(card.texts[path], attributes))
    return dict(sorted(found.items()))


def _basics(card: Card, language: Language) -> dict[str, str]:
    known = {
        "BasicInfo/ModelName": card.called(language),
        "Warnings/ClinicalRiskLevel": _risk(card, language),
        "ReleaseInfo/ReleaseStage": card.state,
        "ReleaseInfo/ReleaseDate": card.created,
        "ReleaseInfo/ReleaseVersion": card.version,
        "ModelSummary/Summary": "\n".join(_summary(card, language)),
        f"{_FACTS}/Security": "\n".join(_privacy(card, language)),
    }
    return {path: text for path, text in known.items() if text}


def _risk(card: Card, language: Language) -> str:
    if card.risk is None:
        return ""
    classes = _RISK.say(
        language, level=card.risk.level, tfda=card.risk.tfda_class, imdrf=card.risk.imdrf
    )
    parts = [classes, card.risk.eu, card.risk.warning and said(card.risk.warning, language)]
    return "\n".join(part for part in parts if part)


def _summary(card: Card, language: Language) -> Iterator[str]:
    for run in card.runs:
        yield _SUMMARY.say(
            language,
            version=card.version,
            study=run.study,
            recipe=f"{run.recipe} {run.recipe_version}",
            done=run.rounds_done,
            asked=run.rounds_asked,
            sites=len(card.datasets),
            entry=card.entry,
            digest=card.digest,
        )
    if card.organisation is not None:
        yield _MAKER.say(
            language,
            name=said(card.organisation.name, language),
            contact=card.organisation.contact or NOT_RECORDED,
        )


def _privacy(card: Card, language: Language) -> Iterator[str]:
    for run in card.runs:
        for promise in run.privacy:
            words = said(promise.statement, language)
            if not isinstance(promise, NoPrivacyStatement):
                words += f" (epsilon={promise.epsilon!r}, delta={promise.delta!r})"
            yield _PRIVACY.say(language, site=promise.site, statement=words)


def _field(card: Card, path: str, language: Language) -> str:
    """Return the text of a field: the answers it holds, each under its own line if several."""
    sections = [
        (name, ATTRIBUTES[name].asked, answer)
        for name in FIELDS[path]
        if (answer := card.answer(name, language)) is not None
    ]
    sections += [part for part in _further(card, path, language) if part[2]]
    if len(FIELDS[path]) == 1 and [name for name, _, _ in sections] == [FIELDS[path][0]]:
        return _LIKE_HEADING.sub(r"\\\1", sections[0][2])
    return "\n\n".join(
        _section(name, heading.say(language), text) for name, heading, text in sections
    )


def _section(name: str, heading: str, text: str) -> str:
    return f"**[{name}]** {heading}\n" + _LIKE_HEADING.sub(r"\\\1", text)


def _further(card: Card, path: str, language: Language) -> Iterator[tuple[str, Text, str]]:
    if path.endswith("/DevelopmentDataCharacterization"):
        yield "data", _DATA, "\n".join(_site(part, language) for part in card.datasets)
    if path.endswith("/KnownRisksAndLimitations"):
        yield "limits", _LIMITS, "\n".join(said(text, language) for text in card.limitations)


def _site(part: DatasetCard, language: Language) -> str:
    patients: object = _FEW if part.patients is None else part.patients
    return _SITE.say(language, site=part.site, patients=patients)


def _result(found: Evaluation, language: Language) -> MetricResult:
    where: object = _POOLED if found.site is None else found.site
    label = _LABEL.say(language, name=found.name, where=where, n=found.n, method=found.method)
    value: dict[str, object] = {
        "kind": "estimate_ci",
        "estimate": found.value,
        "lower": found.low,
        "upper": found.high,
    }
    if found.level is not None:
        value["level"] = round(100 * found.level, 6)  # in per cent, as the published cards do
    return MetricResult(label, json.dumps(value, separators=(",", ":"), allow_nan=False))


def _answers(text: str, attributes: tuple[str, ...]) -> dict[str, str]:
    parts = _HEADING.split(text)
    if len(parts) == 1 or parts[0].strip():
        return {attributes[0]: _ESCAPED.sub(r"\1", text)}
    names, bodies = parts[1::2], [body.removeprefix("\n") for body in parts[2::2]]
    bodies[:-1] = [body.removesuffix("\n\n") for body in bodies[:-1]]
    pairs = zip(names, bodies, strict=True)
    return {name: _ESCAPED.sub(r"\1", body) for name, body in pairs if name in attributes}
