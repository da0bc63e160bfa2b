"""The plan as a file: TOML that people read, edit and review, valid as it is written.

`plan_text` writes every field with a comment; `read_plan` gives the study back or says
what is wrong. The protocol's digest covers every value, so a plan that was edited after
it was submitted is another one.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from federation.domain.ids import Sha256, SiteId, StudyId
from federation.domain.study import Purpose, Study, no_training
from federation.errors.base import PlatformError
from federation.errors.evaluating import EvaluationPlanError
from federation.operations import plan_files
from federation.operations.plan_files import toml_value
from federation.wire.evaluation_plan import plan_as_json, plan_from_json
from federation.wording import Text

_NOT_A_PLAN = Text(
    en="a field is missing, unknown or out of range", zh="有欄位缺漏、未知或超出範圍"
)


def write_plan(path: Path, study: Study) -> None:
    """Write a plan; raises `EvaluationPlanError` if there is a file, and as `write_file`."""
    plan_files.write_file(path, plan_text(study), _refuse)


def read_plan(path: Path, *, now: datetime) -> Study:
    """Return the study in a plan; raises `EvaluationPlanError` if it is not one."""
    return parse_plan(plan_files.read_file(path, _refuse), now=now)


def parse_plan(content: bytes, *, now: datetime) -> Study:
    """Return the study in the bytes of a plan; raises as `read_plan`."""
    raw = plan_files.tables_of(content, _refuse)
    try:
        study = _study(raw)
    except (KeyError, TypeError, ValueError, AttributeError, PlatformError) as error:
        raise EvaluationPlanError(why=_NOT_A_PLAN) from error
    plan_files.check_open(study, _refuse, now=now)
    return study


def plan_text(study: Study) -> str:
    """Return a study that evaluates as TOML."""
    assert study.evaluation is not None  # a study that evaluates
    plan = plan_as_json(study.evaluation)
    tables = {name: plan.pop(name) for name in ("versions", "slices", "peers")}
    head = _TEMPLATE.format(
        id=toml_value(study.id), title=toml_value(study.title),
        purpose=toml_value(study.purpose.value),
        recipe=toml_value(study.recipe), digest=toml_value(study.recipe_digest),
        cohort=toml_value(study.cohort), expires=study.expires, seed=study.seed,
        names=toml_value([str(site) for site in study.sites]), quorum=study.quorum,
    )  # fmt: skip
    lines = [head, "[evaluation]"]
    for name, value in plan.items():
        lines += [f"# {_WORDS[name]}" if name in _WORDS else "", f"{name} = {toml_value(value)}"]
    lines += _tables("versions", tables["versions"], _WORDS["versions"])
    lines += _tables("slices", tables["slices"], _WORDS["slices"])
    lines += ["", f"# {_WORDS['peers']}", "[evaluation.peers]"]
    peers: Any = tables["peers"]
    lines += [f"{site} = {toml_value(key)}" for site, key in peers.items()]
    return "\n".join(line for line in lines if line is not None).replace("\n\n\n", "\n\n") + "\n"


def _study(raw: Mapping[str, Any]) -> Study:
    if set(raw) != {"study", "sites", "evaluation"}:
        raise ValueError("other tables than study, sites and evaluation")
    said, sites, plan = raw["study"], raw["sites"], plan_from_json(dict(raw["evaluation"]))
    if set(said) != _FIELDS or set(sites) != {"names", "quorum"}:
        raise ValueError("other fields than those of a plan")
    if plan_as_json(plan).keys() != raw["evaluation"].keys():
        raise ValueError("other fields than those of a protocol")
    study = Study(
        id=StudyId(said["id"]),
        title=said["title"],
        purpose=Purpose(said["purpose"]),
        recipe=said["recipe"],
        recipe_digest=Sha256(said["recipe_digest"]),
        cohort=said["cohort"],
        sites=tuple(SiteId(site) for site in sites["names"]),
        quorum=sites["quorum"],
        training=no_training(plan.rounds),
        privacy=None,
        heldout_fraction=1.0,
        seed=said["seed"],
        expires=_expires(said["expires"]),
        digest=Sha256.of(b""),
        evaluation=plan,
    )
    return plan_files.checked(study)


def _refuse(why: Text) -> EvaluationPlanError:
    return EvaluationPlanError(why=why)


def _expires(value: object) -> str:
    """Return the last moment: a time with its offset, or the end of a day in UTC."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, date):
        return datetime.combine(value, time(23, 59, 59), UTC).isoformat()
    raise TypeError("a day or a time was expected")


def _tables(name: str, listed: object, words: str) -> list[str]:
    assert isinstance(listed, list)
    found = ["", f"# {words}"]
    for one in listed:
        found += [f"[[evaluation.{name}]]", *(f"{key} = {toml_value(one[key])}" for key in one), ""]
    return found[:-1] if listed else [f"# {words}", f"# [[evaluation.{name}]]"]


_FIELDS = {"id", "title", "purpose", "recipe", "recipe_digest", "cohort", "expires", "seed"}

_WORDS = {
    "families": "What is measured. Take out what is not wanted. 量測項目,不需要者可移除。",
    "threshold": "The operating point. 操作點門檻。",
    "decision_thresholds": "Range of threshold probabilities for net benefit. 淨效益的門檻機率。",
    "comparison": "confirmatory or screening. 組間比較:confirmatory(確認)或 screening(探索)。",
    "smallest_cell": "k: no count of fewer cases is shown, 10 to 20. 不顯示少於 k 位的次數。",
    "corruptions": "Images made worse, each in five severities. 影像劣化,各五級。",
    "risk": "high, medium or low. 風險等級:high、medium 或 low。",
    "policy": "SHA-256 of the thresholds that decide. 判定門檻檔的 SHA-256。",
    "paired": "Every later version against the first; steps: both scores on the grid 1/steps. "
    "各版本與第一版配對比較;steps 為共同分數網格。",
    "uncertainty": "alpha: cases that may lie outside their prediction set; calibration: share of "
    "patients that find the threshold. 保形預測:alpha 為容許未涵蓋比例,calibration 為校正比例。",
    "explainability": "Patients explained at each hospital, and points of the path (cost: about "
    "4 x steps passes each). 每院解釋的病人數與路徑點數。",
    "versions": "Registered versions as the register signed them; claim is the maker's AUROC. "
    "登錄系統簽署之版本;claim 為製造者宣稱的 AUROC。",
    "slices": "Slices: sex, age-band or scanner, with the reference group. 切片與參考組。",
    "peers": "Node keys of the hospitals of the sum; hospitals approve them. "
    "參與加總醫院的節點金鑰,由各院核准。",
}

_TEMPLATE = """\
# An evaluation of registered versions. Hospitals approve exactly this; its digest is logged
# before anybody is asked, and results are written under no other.
# 已登錄版本的評估。各院核准的就是這份內容;其摘要於執行前登錄,結果不得以其他計畫寫入。

[study]
id = {id}
title = {title}
# medical-care or public-health. 目的:醫療或公共衛生。
purpose = {purpose}
recipe = {recipe}
recipe_digest = {digest}
# Which data at each hospital. 各院使用的資料。
cohort = {cohort}
expires = {expires}
seed = {seed}

[sites]
names = {names}
# The fewest that must take part, three or more. 最少參與院所數(至少三家)。
quorum = {quorum}
"""
