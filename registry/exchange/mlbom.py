"""A card as a CycloneDX 1.6 ML-BOM (ECMA-424, first edition; specVersion 1.6).

The model is a `machine-learning-model` component with its model card, each file
a `file` with its hash, each site's data a `data` component without any data.
`cyclonedx-python-lib` has no model card, so the JSON is written here and held
against the standard's own schema, which that package carries.
"""

from collections.abc import Iterator

from federation.errors.exchange import ExportInvalidError
from federation.errors.signed import NotCanonicalError
from federation.evidence.canonical import parse
from federation.evidence.model_version import Bilingual, NoPrivacyStatement
from federation.wording import Language
from registry.exchange.card import Artefact, Card, CodeKind, DatasetCard, Evaluation, Privacy
from registry.exchange.rendering import json_bytes, needed, number, present, uuid_of

NAME = "CycloneDX 1.6 ML-BOM"
_PACKAGE = "cyclonedx-python-lib[json-validation]"


def write_mlbom(card: Card) -> bytes:
    """Return the card as a CycloneDX 1.6 JSON document."""
    return json_bytes(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid_of(card, 'mlbom')}",
            "version": 1,
            "metadata": _metadata(card),
            "components": [
                _model(card),
                *(_file(file) for file in card.artefacts),
                *(_dataset(card, part) for part in card.datasets),
                *_code(card),
            ],
            "dependencies": _dependencies(card),
        }
    )


def check_mlbom(content: bytes, *, version: str = "1.6") -> None:
    """Hold a document against the schema of a version of CycloneDX, strictly.

    Raises
    ------
    ExportInvalidError
        Naming the first place that the schema refuses, or that there is no such version.
    ExchangeUnequippedError
        If `cyclonedx-python-lib` is not installed.
    """
    validation = needed("cyclonedx.validation.json", package=_PACKAGE, format_=NAME)
    schema = needed("cyclonedx.schema", package=_PACKAGE, format_=NAME)
    try:
        parse(content)
    except NotCanonicalError as error:
        raise ExportInvalidError(format=NAME, where="the document", why="not JSON") from error
    try:
        known = schema.SchemaVersion.from_version(version)
    except ValueError as error:
        raise ExportInvalidError(format=NAME, where="specVersion", why="unknown") from error
    validator = validation.JsonStrictValidator(known)
    found = validator.validate_str(content.decode("utf-8"))
    if found is not None:
        raise ExportInvalidError(
            format=NAME,
            where="/".join(map(str, getattr(found.data, "absolute_path", ()))) or "the document",
            why=str(getattr(found.data, "validator", "not as the schema says")),
        )


def _licence(licence: str) -> dict[str, object]:
    """Return an SPDX expression as one, anything else as a licence's name."""
    spdx = needed("cyclonedx.spdx", package=_PACKAGE, format_=NAME)
    return (
        {"expression": licence} if spdx.is_expression(licence) else {"license": {"name": licence}}
    )


def _metadata(card: Card) -> dict[str, object]:
    maker = card.organisation and {"name": card.organisation.name.en}
    return present(
        {
            "timestamp": card.created,
            "manufacturer": maker,
            "properties": [_property("entry", card.entry), _property("record", card.digest)],
        }
    )


def _model(card: Card) -> dict[str, object]:
    return present(
        {
            "type": "machine-learning-model",
            "bom-ref": card.entry,
            "name": card.title if card.name is None else card.name.en,
            "version": card.version,
            "hashes": [_hash(file.sha256) for file in card.artefacts if len(card.artefacts) == 1],
            "licenses": card.licence and [_licence(card.licence)],
            "modelCard": {
                "bom-ref": f"{card.entry}/model-card",
                "modelParameters": present(
                    {
                        "datasets": [{"ref": _data_ref(card, part)} for part in card.datasets],
                        "inputs": [
                            {"format": f"DICOM {code.code}"}
                            for code in card.coded(CodeKind.MODALITY)
                        ],
                    }
                ),
                "quantitativeAnalysis": present(
                    {"performanceMetrics": [_metric(found) for found in card.evaluations]}
                ),
                "considerations": _considerations(card),
                "properties": [
                    *_attributes(card),
                    *_metric_facts(card),
                    *_codes(card),
                    *_risk(card),
                ],
            },
            "properties": [*_runs(card), *_supersedes(card), _property("state", card.state)],
        }
    )


def _considerations(card: Card) -> dict[str, object]:
    limits = [*_words(card, "3a"), *_words(card, "3b")]
    limits += [words for text in card.limitations for words in (text.en, text.zh)]
    fairness = [
        {"mitigationStrategy": words} for name in ("5a", "5b") for words in _words(card, name)
    ]
    return present(
        {
            "users": _words(card, "2c"),
            "useCases": [*_words(card, "2a"), *_words(card, "2b")],
            "technicalLimitations": limits,
            "fairnessAssessments": fairness,
        }
    )


def _words(card: Card, attribute: str) -> list[str]:
    """Return an answer in English and in Chinese; nothing where there is none."""
    both = [card.answer(attribute, language) for language in Language]
    return [said for said in both if said is not None]


def _metric(found: Evaluation) -> dict[str, object]:
    return {
        "type": found.name,
        "value": number(found.value),
        "slice": "pooled within sites" if found.site is None else f"site {found.site}",
        "confidenceInterval": {
            "lowerBound": number(found.low),
            "upperBound": number(found.high),
        },
    }


def _metric_facts(card: Card) -> Iterator[dict[str, str]]:
    for found in card.evaluations:
        yield _property(f"evaluation:{found.id}:n", str(found.n))
        yield _property(f"evaluation:{found.id}:interval", found.method)
        if found.level is not None:
            yield _property(f"evaluation:{found.id}:level", number(found.level))


def _attributes(card: Card) -> Iterator[dict[str, str]]:
    for name, answer in sorted(card.attributes.items()):
        if answer.words is not None:
            yield from _both(f"source-attribute:{name}", answer.words)
        for evaluation in answer.evaluations:
            yield _property(f"source-attribute:{name}:evaluation", evaluation)


def _both(name: str, text: Bilingual) -> Iterator[dict[str, str]]:
    yield _property(f"{name}:en", text.en)
    yield _property(f"{name}:zh-TW", text.zh)


def _codes(card: Card) -> Iterator[dict[str, str]]:
    for code in card.codes:
        yield _property(f"code:{code.kind.value}", f"{code.system}|{code.code}")


def _risk(card: Card) -> Iterator[dict[str, str]]:
    if card.risk is None:
        return
    yield _property("risk:level", card.risk.level)
    yield _property("risk:tfda-class", card.risk.tfda_class)
    yield _property("risk:imdrf", card.risk.imdrf)
    if card.risk.eu is not None:
        yield _property("risk:eu", card.risk.eu)
    if card.risk.warning is not None:
        yield from _both("risk:warning", card.risk.warning)


def _runs(card: Card) -> Iterator[dict[str, str]]:
    for run in card.runs:
        at = f"run:{run.id}"
        yield _property(f"{at}:study", f"{run.study} {run.study_digest}")
        yield _property(f"{at}:recipe", f"{run.recipe} {run.recipe_version} {run.recipe_digest}")
        yield _property(f"{at}:rounds", f"{run.rounds_done} of {run.rounds_asked}")
        yield _property(f"{at}:environment", f"Python {run.python} {run.packages_digest}")
        for promise in run.privacy:
            yield from _privacy(f"{at}:privacy:{promise.site}", promise)


def _privacy(at: str, promise: Privacy) -> Iterator[dict[str, str]]:
    yield _property(f"{at}:mechanism", promise.mechanism)
    if not isinstance(promise, NoPrivacyStatement):
        yield _property(f"{at}:epsilon", number(promise.epsilon))
        yield _property(f"{at}:delta", number(promise.delta))
        yield _property(f"{at}:unit", promise.unit)
        yield _property(f"{at}:neighbouring", promise.neighbouring)
        yield _property(f"{at}:accountant", promise.accountant)
    yield from _both(f"{at}:statement", promise.statement)


def _supersedes(card: Card) -> Iterator[dict[str, str]]:
    if card.supersedes is not None:
        yield _property("supersedes", card.supersedes)


def _file(file: Artefact) -> dict[str, object]:
    facts = [_property("size-bytes", str(file.size_bytes)), _property("format", file.format)]
    if file.parameters is not None:
        facts.append(_property("parameters", str(file.parameters)))
    return {
        "type": "file",
        "bom-ref": f"file/{file.path}",
        "name": file.path,
        "hashes": [_hash(file.sha256)],
        "properties": facts,
    }


def _dataset(card: Card, part: DatasetCard) -> dict[str, object]:
    patients = "suppressed, fewer than 10" if part.patients is None else str(part.patients)
    facts = [
        _property("content-id", part.digest),
        _property("patients", patients),
        _property("rounds", str(part.rounds)),
        *(_property(f"dataset-card:{name}", said) for name, said in sorted(part.facts.items())),
    ]
    return {
        "type": "data",
        "bom-ref": _data_ref(card, part),
        "name": f"training data of site {part.site}",
        "data": [
            {
                "type": "dataset",
                "name": f"training data of site {part.site}",
                "governance": {"custodians": [{"organization": {"name": part.site}}]},
            }
        ],
        "properties": facts,
    }


def _code(card: Card) -> Iterator[dict[str, object]]:
    for digest, version in dict.fromkeys((run.code_digest, run.code_version) for run in card.runs):
        yield {
            "type": "application",
            "bom-ref": f"code/{digest}",
            "name": "trifed",
            "version": version,
            "properties": [_property("content-id", digest)],
        }


def _dependencies(card: Card) -> list[dict[str, object]]:
    used = [f"file/{file.path}" for file in card.artefacts]
    used += [_data_ref(card, part) for part in card.datasets]
    used += [f"code/{digest}" for digest in dict.fromkeys(run.code_digest for run in card.runs)]
    leaves: list[dict[str, object]] = [{"ref": name} for name in used]
    return [{"ref": card.entry, "dependsOn": used}, *leaves]


def _data_ref(card: Card, part: DatasetCard) -> str:
    return f"{card.entry}/data/{part.site}"


def _hash(digits: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digits}


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"trifed:{name}", "value": value}
