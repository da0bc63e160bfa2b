"""The plan as a file: TOML that people read, edit and review, valid as it is written.

`plan_text` writes every field with a comment; `read_plan` gives the study back or says
what is wrong. The protocol's digest covers every value, so a plan that was edited after
it was submitted is another one.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from federation.domain.ids import Sha256, SiteId, StudyId
from federation.domain.study import Purpose, Study, no_training
from federation.errors.base import PlatformError
from federation.errors.outcomes import OutcomePlanError
from federation.operations import plan_files
from federation.operations.plan_files import toml_value
from federation.recipes.catalogue import OUTCOME_TABLE, recipe
from federation.wire.outcome_plan import plan_as_json, plan_from_json
from federation.wording import Text

_FIELDS = {"id", "title", "purpose", "table", "expires"}
_TABLES = {"study", "sites", "limits", "clock", "variables", "analyses", "peers"}

_WRONG = Text(en="{problem}", zh="{problem}")
_NOT_A_PLAN = Text(
    en="a field is missing, unknown or out of range ({problem})",
    zh="有欄位缺漏、未知或超出範圍({problem})",
)


def write_plan(path: Path, study: Study) -> None:
    """Write a plan; raises `OutcomePlanError` if there is a file, and as `write_file`."""
    plan_files.write_file(path, plan_text(study), _refuse)


def read_plan(path: Path, *, now: datetime) -> Study:
    """Return the study in a plan; raises `OutcomePlanError` if it is not one."""
    study = parse_plan(plan_files.read_file(path, _refuse))
    plan_files.check_open(study, _refuse, now=now)
    return study


def parse_plan(content: bytes) -> Study:
    """Return the study in the bytes of a plan; raises as `read_plan`."""
    raw = plan_files.tables_of(content, _refuse)
    try:
        return _study(raw)
    except PlatformError as error:
        raise OutcomePlanError(why=_said(error.code)) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise OutcomePlanError(why=_said(str(error))) from error


def plan_text(study: Study) -> str:
    """Return an outcome study as TOML."""
    assert study.outcomes is not None  # an outcome study
    plan: dict[str, Any] = plan_as_json(study.outcomes)
    clock, impact = plan["clock"], plan["impact_study"]
    head = _HEAD.format(
        id=toml_value(study.id),
        title=toml_value(study.title),
        purpose=toml_value(study.purpose.value),
        table=toml_value(study.cohort),
        expires=study.expires,
        quorum=study.quorum,
        impact=f"impact_study = {toml_value(impact)}" if impact else '# impact_study = "ID"',
    )
    parts = [
        head,
        _section("limits", plan["limits"], _LIMITS),
        "" if clock is None else _section("clock", clock, _CLOCK),
        _listed("variables", plan["variables"], _VARIABLES),
        _listed("analyses", plan["analyses"], _ANALYSES),
        _section("peers", plan["peers"], _PEERS),
    ]
    return "\n".join(part for part in parts if part)


def _study(raw: Mapping[str, Any]) -> Study:
    if not set(raw) <= _TABLES or not _TABLES - {"clock"} <= set(raw):
        raise ValueError("tables: " + ", ".join(sorted(_TABLES)))
    said, sites = dict(raw["study"]), dict(raw["sites"])
    impact = said.pop("impact_study", None)
    if set(said) != _FIELDS or set(sites) != {"quorum"}:
        raise ValueError("[study] " + ", ".join(sorted(_FIELDS)) + "; [sites] quorum")
    protocol = {
        "edition": 1,
        "impact_study": impact,
        "clock": raw.get("clock"),
        "analyses": [_analysis(one) for one in raw["analyses"]],
        **{name: raw[name] for name in ("limits", "variables", "peers")},
    }
    plan = plan_from_json(protocol)
    study = Study(
        id=StudyId(said["id"]),
        title=said["title"],
        purpose=Purpose(said["purpose"]),
        recipe=OUTCOME_TABLE,
        recipe_digest=recipe(OUTCOME_TABLE).digest,
        cohort=said["table"],
        sites=tuple(SiteId(peer.site) for peer in plan.peers),
        quorum=sites["quorum"],
        training=no_training(plan.rounds),
        privacy=None,
        heldout_fraction=1.0,
        seed=0,
        expires=_expires(said["expires"]),
        digest=Sha256.of(b""),
        outcomes=plan,
    )
    return plan_files.checked(study)


def _refuse(why: Text) -> OutcomePlanError:
    return OutcomePlanError(why=why)


def _analysis(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return an analysis as JSON has it: TOML cannot say that there is no group."""
    is_survival = raw.get("kind") == "survival"
    return {**({"group": None} if is_survival else {}), **raw}


def _expires(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError("expires is a time with its offset")
    return value.isoformat()


def _said(problem: str) -> Text:
    words = problem.replace("{", "(").replace("}", ")")[:200]
    return Text(en=_NOT_A_PLAN.en.format(problem=words), zh=_NOT_A_PLAN.zh.format(problem=words))


def _section(name: str, values: Mapping[str, Any], words: str) -> str:
    lines = [f"{key} = {toml_value(one)}" for key, one in values.items()]
    return "\n".join([f"# {words}", f"[{name}]", *lines, ""])


def _listed(name: str, values: Sequence[Mapping[str, Any]], words: str) -> str:
    lines = [f"# {words}"]
    for one in values:
        said = (f"{key} = {toml_value(value)}" for key, value in one.items() if value is not None)
        lines += [f"[[{name}]]", *said, ""]
    return "\n".join(lines)


_LIMITS = (
    "newton_rounds: steps of each fit (each is one question to the hospitals); tolerance: of the\n"
    "# last one; largest_coefficient: of covariates scaled to -1..1 by their bounds;\n"
    "# smallest_cell: no group of fewer patients is shown, 3 to 20.\n"
    "# 配適步數、容許值、係數上限、權重上限、單院病人數上限、最小格數。"
)
_CLOCK = (
    "Times are rounded up to this grid; who is followed beyond the end is lost there.\n"
    "# unit: day, week, month or year. 時間網格;超過終點者視為於終點失去追蹤。"
)
_VARIABLES = (
    "Columns of the hospitals' tables, besides patient_id, time and event. kind: numeric (with\n"
    "# bounds that hold every value), binary (0 or 1), category (its first level: reference).\n"
    "# 各院資料表欄位:numeric(須填上下限)、binary、category(第一類為參考組)。"
)
_ANALYSES = (
    "kind: survival (group, horizon), cox (covariates, ties, baseline), logistic (outcome,\n"
    "# covariates), weighted (treatment, outcome, covariates, weights). age^2 is a square.\n"
    "# baseline = by-hospital lets no sum at a single time leave; shared does, where the\n"
    "# hospital's policy allows it. weights: inverse, stabilised or overlap.\n"
    "# 分析:存活曲線、Cox、邏輯斯、加權效果;baseline 建議採 by-hospital(各院自有基準)。"
)
_PEERS = (
    "Node keys of the hospitals of the sums; hospitals approve them.\n"
    "# 參與加總醫院的節點金鑰,由各院核准。"
)
_HEAD = """\
# An outcome study: tables of outcomes at hospitals, fitted by masked sums. Hospitals approve
# exactly this; its digest is logged before anybody is asked.
# 結果研究:以遮罩加總配適各院結果資料表。各院核准的就是這份內容;摘要於執行前登錄。

[study]
id = {id}
title = {title}
# medical-care or public-health. 目的:醫療或公共衛生。
purpose = {purpose}
# Under which name hospitals add their table. 各院加入資料表時所用的名稱。
table = {table}
expires = {expires}
# The impact study whose record names the result. 結果所屬的影響性研究。
{impact}

[sites]
quorum = {quorum}
"""
