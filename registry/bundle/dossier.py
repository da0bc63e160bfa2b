"""Say what a bundle claims, and which file in it proves each claim."""

from collections.abc import Iterable

from federation.evidence.canonical import canonical
from federation.evidence.members import item_name, signed_name, statement_stem
from federation.evidence.model_version import LoggedStatement
from federation.evidence.verification import PublicKey
from federation.wording import Language, Text
from registry.bundle.gathering import Gathered

SCHEMA = "trifed.dossier/1"
_ENTRY = Text(
    en="The register entered this version of this model.", zh="登錄系統登錄了此模型的此一版本。"
)
_SAID = {
    "approval": Text(
        en="The data officer of {site} approved the study and its privacy budget.",
        zh="{site} 的資料長核准了此研究及其隱私預算。",
    ),
    "update": Text(
        en="The node of {site} signed a training update: patients, privacy spent, data used.",
        zh="{site} 的節點簽署了訓練更新:病人數、隱私支出與所用資料。",
    ),
    "evaluation": Text(
        en="The node of {site} signed its evaluation on patients not trained on.",
        zh="{site} 的節點簽署了以未參與訓練病人所作的評估。",
    ),
}
_OTHER = Text(en="{site} signed a statement ({kind}).", zh="{site} 簽署了聲明({kind})。")
_RECORDED = Text(
    en="The register recorded {noun} {id}, revision {revision}: {state}.",
    zh="登錄系統記錄了 {noun} {id} 第 {revision} 版:{state}。",
)
_OWN = Text(
    en="A person signed a move with a key of their own.", zh="當事人以自己的金鑰簽署了移轉。"
)
_EARLIER = Text(en="An earlier version that this one corrects.", zh="本版本所更正的先前版本。")


def dossier_of(found: Gathered, root: PublicKey) -> bytes:
    """Return the dossier of an entry, as canonical JSON."""
    record = found.record
    return canonical(
        {
            "schema": SCHEMA,
            "entry": record.entry,
            "model": record.model.sha256,
            "study": {"id": record.study.id, "title": record.study.title},
            "run": record.run,
            "root": root.keyid,
            "log": {"size": found.evidence[0].proof.size, "checkpoint": "log/checkpoint"},
            "claims": [*_claims(found)],
            "evidence": _evidence(found),
        }
    )


def _claims(found: Gathered) -> Iterable[dict[str, object]]:
    record = found.record
    said = {"record": _ENTRY}
    for number, logged in enumerate(record.statements, start=1):
        said[statement_stem(number, logged)] = _of_statement(logged)
    revisions = iter(found.revisions)
    for one in found.evidence:
        if one.stem.startswith("register-"):
            revision = next(revisions)
            said[one.stem] = _filled(
                _RECORDED,
                noun=revision.noun,
                id=revision.id,
                revision=revision.revision,
                state=revision.state,
            )
    for one in found.evidence:
        kind = _OWN if one.stem.startswith("person-") else _EARLIER
        yield {
            "claim": _both(said.get(one.stem, kind)),
            "item": item_name(one.stem),
            "proof": signed_name(one.stem),
        }


def _of_statement(logged: LoggedStatement) -> Text:
    text = _SAID.get(logged.kind)
    site = logged.site or "centre"
    return _filled(text, site=site) if text else _filled(_OTHER, site=site, kind=logged.kind)


def _evidence(found: Gathered) -> list[dict[str, object]]:
    return [
        {
            "file": signed_name(one.stem),
            "sha256": one.digest,
            "signed_by": one.signed_by,
            "log_index": one.proof.index,
        }
        for one in sorted(found.evidence, key=lambda one: one.stem)
    ]


def _filled(text: Text, **values: object) -> Text:
    said = {language: text.say(language, **values) for language in Language}
    return Text(en=said[Language.EN], zh=said[Language.ZH_HANT_TW])


def _both(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh-TW": text.zh}
