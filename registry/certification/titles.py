"""What the documents that rule packs ask for are called in Chinese, beside their short names.

The short name is what `trifed dossier file --kind` takes, so both are told.
"""

from federation.wording import Text

DOCUMENTS: dict[str, str] = {
    "adverse-event-process": "不良事件通報程序",
    "change-assessment": "變更評估",
    "declaration-of-conformity": "符合性聲明",
    "human-oversight": "人為監督說明",
    "instructions-for-use": "中文說明書",
    "manufacturing-licence": "製造許可",
    "model-card": "模型資訊卡",
    "monitoring-plan": "監測計畫",
    "penetration-test": "滲透測試報告",
    "qms-certificate": "品質管理系統證書",
    "reader-study": "判讀試驗報告",
    "real-world-data-statement": "真實世界數據聲明",
    "risk-management": "風險管理檔案",
    "software-life-cycle": "軟體生命週期文件",
    "usability": "可用性文件",
    "valid-clinical-association": "臨床關聯性文件",
}


def document_title(document: str) -> Text:
    """Return what a document is called: its short name, in Chinese with its title before it."""
    known = DOCUMENTS.get(document)
    return Text(en=document, zh=document if known is None else f"{known} {document}")
