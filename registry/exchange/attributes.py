"""The 31 source attributes in nine groups, in the words of those who ask for them.

English: 45 CFR 170.315(b)(11)(iv)(B)(1)-(9), shortened. Chinese: the headings of
the 九大透明性指標 as Taiwan's hospitals publish them. The rows of the HTI-1 table.
"""

from dataclasses import dataclass
from types import MappingProxyType

from federation.wording import Text


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row: its name (``1a``), its group and what is asked."""

    id: str
    group: Text
    asked: Text
    by_evaluation: bool = False
    """Whether it must be answered by evaluations, never by typed numbers."""


_DETAILS = Text(en="Details and output of the intervention", zh="介入詳情及輸出")
_PURPOSE = Text(en="Purpose of the intervention", zh="介入目的")
_CAUTIONED = Text(en="Cautioned out-of-scope use of the intervention", zh="介入的警告範圍外使用")
_DEVELOPMENT = Text(
    en="Intervention development details and input features", zh="介入開發詳情及輸入特徵"
)
_FAIRNESS = Text(
    en="Process used to ensure fairness in development of the intervention",
    zh="確保介入開發公平性的過程",
)
_EXTERNAL = Text(en="External validation process", zh="外部驗證過程")
_QUANTITATIVE = Text(en="Quantitative measures of performance", zh="模型表現的量化指標")
_MAINTENANCE = Text(
    en="Ongoing maintenance of intervention implementation and use", zh="介入實施和使用的持續維護"
)
_UPDATE = Text(
    en="Update and continued validation or fairness assessment schedule",
    zh="更新和持續驗證或公平性評估計畫",
)

_ROWS = (
    ("1a", _DETAILS, "Developer's name and contact", "開發者名稱及聯絡方式"),
    ("1b", _DETAILS, "Funding source of the technical implementation", "技術實施資金來源"),
    ("1c", _DETAILS, "Description of the value that is the output", "介入輸出值的描述"),
    (
        "1d",
        _DETAILS,
        "Type of output: prediction, classification, recommendation, evaluation, analysis or other",
        "介入輸出類型:預測、分類、建議、評估、分析或其他",
    ),
    ("2a", _PURPOSE, "Intended use", "預期用途"),
    ("2b", _PURPOSE, "Intended patient populations", "預期使用之病人族群"),
    ("2c", _PURPOSE, "Intended users", "預期使用者"),
    (
        "2d",
        _PURPOSE,
        "Intended decision-making role: informs, augments or replaces clinical management",
        "預期決策角色:輔助、增強或取代臨床處置",
    ),
    (
        "3a",
        _CAUTIONED,
        "Tasks, situations or populations where use is cautioned against",
        "不建議使用的任務、情境或族群",
    ),
    (
        "3b",
        _CAUTIONED,
        "Known risks, inappropriate settings or uses, known limitations",
        "已知風險、不適用的場域或用途,以及已知限制",
    ),
    (
        "4a",
        _DEVELOPMENT,
        "Inclusion and exclusion criteria of the training data",
        "訓練資料集的納入與排除條件",
    ),
    (
        "4b",
        _DEVELOPMENT,
        "Use of demographic and social-determinant variables as input",
        "以人口學及健康社會決定因素變項作為輸入之情形",
    ),
    (
        "4c",
        _DEVELOPMENT,
        "Demographic representativeness of the training data",
        "訓練資料的人口學代表性",
    ),
    (
        "4d",
        _DEVELOPMENT,
        "Relevance of the training data to the intended setting",
        "訓練資料與預期部署場域的相關性",
    ),
    ("5a", _FAIRNESS, "Approach to ensure that the output is fair", "確保輸出公平性的方法"),
    (
        "5b",
        _FAIRNESS,
        "Approaches to manage, reduce or eliminate bias",
        "管理、減少或消除偏見的方法",
    ),
    (
        "6a",
        _EXTERNAL,
        "Source and setting of the external data",
        "外部驗證之資料來源、臨床場域或環境",
    ),
    ("6b", _EXTERNAL, "Party that conducted the external testing", "執行外部測試之單位"),
    ("6c", _EXTERNAL, "Demographic representativeness of the external data", "外部資料的代表性"),
    ("6d", _EXTERNAL, "Description of the external validation", "外部驗證過程的描述"),
    (
        "7a",
        _QUANTITATIVE,
        "Validity in test data of the same source",
        "與訓練資料同來源之測試資料的效度",
    ),
    (
        "7b",
        _QUANTITATIVE,
        "Fairness in test data of the same source",
        "與訓練資料同來源之測試資料的公平性",
    ),
    ("7c", _QUANTITATIVE, "Validity in external data", "外部資料的效度"),
    ("7d", _QUANTITATIVE, "Fairness in external data", "外部資料的公平性"),
    (
        "7e",
        _QUANTITATIVE,
        "References to evaluation of outcomes (morbidity, mortality, length of stay and others)",
        "介入對成效(罹病率、死亡率、住院天數等)之評估引用",
    ),
    (
        "8a",
        _MAINTENANCE,
        "Process and frequency of monitoring validity over time",
        "效度監測之過程與頻率",
    ),
    ("8b", _MAINTENANCE, "Validity in local data", "於本地資料中的效度"),
    (
        "8c",
        _MAINTENANCE,
        "Process and frequency of monitoring fairness over time",
        "公平性監測之過程與頻率",
    ),
    ("8d", _MAINTENANCE, "Fairness in local data", "於本地資料中的公平性"),
    ("9a", _UPDATE, "Process and frequency of updates", "更新之過程與頻率"),
    (
        "9b",
        _UPDATE,
        "Frequency of correction when risks to validity or fairness are found",
        "發現效度與公平性風險時之修正頻率",
    ),
)
_BY_EVALUATION = frozenset({"7a", "7b", "7c", "7d", "8b", "8d"})

ATTRIBUTES = MappingProxyType(
    {
        name: Attribute(name, group, Text(en=en, zh=zh), name in _BY_EVALUATION)
        for name, group, en, zh in _ROWS
    }
)
"""All 31 by name, in the order of the rule."""
