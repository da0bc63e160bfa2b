"""The protocol of the demo's impact study: the templates, filled in as its lead would.

    protocol_of(template, sites=3, now=now)    # the template is what `impact new` wrote
    economics_of(template, "pneumonia-evaluation.1.operating-point")

Ethics approval and registration are said to be invented wherever they stand.
"""

import json
from datetime import UTC, datetime, timedelta

from federation.commands.evidence_rehearsal.invented import WARDS
from federation.domain.ids import Sha256
from federation.impact.protocol import UNWRITTEN
from federation.wording import Text

NOT_REAL = Text(en="invented for a rehearsal", zh="示範用虛構資料")
UNNAMED_EVALUATION = "EVALUATION-ID"

WORDS = {
    "title": Text(
        en="AI-assisted reading of chest films: rehearsal with invented numbers",
        zh="胸部 X 光 AI 輔助判讀:以虛構數據進行之演練",
    ),
    "estimand": Text(
        en="Mean difference in minutes from order to report, with against without the model, in "
        "all wards of the hospitals, whoever followed its advice",
        zh="各院所有病房中,使用與未使用模型時,醫囑至報告分鐘數之平均差,不論是否採納建議",
    ),
    "population": Text(
        en="patients with a chest film (invented)", zh="接受胸部 X 光檢查之病人(虛構)"
    ),
    "intervention": Text(en="reading with the registered version", zh="以已登錄之模型版本輔助判讀"),
    "comparator": Text(en="usual reading", zh="一般判讀"),
    "outcome": Text(en="order-to-report time, cost of care", zh="醫囑至報告時間、醫療費用"),
    "assumptions": Text(
        en="6 min less, SD 14 min, two wards a hospital, correlation 0.02; invented",
        zh="縮短 6 分鐘、標準差 14 分鐘、每院兩病房、相關係數 0.02;均為虛構",
    ),
}


def protocol_of(template: bytes, *, sites: int, now: datetime) -> bytes:
    """Return the protocol with every field written, and with what ethics and register say."""
    lines = template.decode().splitlines()
    filled = [_line(line, sites=sites) for line in lines]
    place = filled.index("[pico]")
    return "\n".join([*filled[:place], *_permissions(now), *filled[place:], ""]).encode()


def economics_of(template: bytes, evaluation: str) -> bytes:
    """Return the economic model with the evaluation that its accuracy comes from."""
    return template.replace(UNNAMED_EVALUATION.encode(), evaluation.encode())


def _line(line: str, *, sites: int) -> str:
    name = line.partition(" = ")[0]
    if name in WORDS and UNWRITTEN.en in line:
        said = WORDS[name]
        return f'{name} = {{ "zh-TW" = {_quoted(said.zh)}, en = {_quoted(said.en)} }}'
    return f"clusters = {WARDS * sites}" if name == "clusters" else line


def _permissions(now: datetime) -> list[str]:
    ends = (now.astimezone(UTC) + timedelta(days=365)).date().isoformat()
    said = _quoted(f"{NOT_REAL.en} {NOT_REAL.zh}")
    return [
        f'irb = {{ board = {said}, number = "DEMO-0", expires = "{ends}", central = true }}',
        f'registration = {{ registry = {said}, number = "DEMO-0" }}',
        f'randomisation_hash = "{Sha256.of(b"one hospital after the other, by name")}"',
        "",
    ]


def _quoted(said: str) -> str:
    return json.dumps(said, ensure_ascii=False)
