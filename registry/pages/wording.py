"""Every word of the public pages, in both languages; `console_wording` has the reviewers'.

A template says `{{ w.search_title }}`, or `{{ w('page_of', page=2, pages=7) }}` where a
text has fields. A test proves that templates and this list name the same words.
"""

from federation.wording import Language, Text
from registry.evaluations.titles import DIMENSIONS as DIMENSIONS
from registry.models.version_card import RiskLevel
from registry.pages.console_wording import CONSOLE_WORDS
from registry.pages.typesetting import say, set_in

PUBLIC_WORDS: dict[str, Text] = {
    "register_name": Text(en="Register of clinical AI", zh="臨床人工智慧登錄系統"),
    "skip": Text(en="Skip to the content", zh="跳至主要內容"),
    "nav_main": Text(en="Main menu", zh="主選單"),
    "nav_register": Text(en="Register", zh="公開登錄"),
    "nav_log": Text(en="Evidence log", zh="證據紀錄"),
    "nav_console": Text(en="For reviewers", zh="審查作業"),
    "other_language": Text(en="中文", zh="English"),
    "footer_promise": Text(
        en="Every entry is signed and logged. Nothing here asks for your trust: check it yourself.",
        zh="每筆登錄皆經簽署並寫入紀錄。您不必相信本網站,可自行驗證。",
    ),
    "footer_log": Text(en="The log's signed states", zh="紀錄的簽署狀態"),
    "report_pdf": Text(en="Report as PDF (A4)", zh="下載 PDF 報告(A4)"),
    "report_data": Text(en="Data as JSON", zh="資料(JSON)"),
    "report_link": Text(en="Whole report with figures", zh="完整報告與圖表"),
    "studies": Text(en="Impact studies", zh="影響性研究"),
    "crumbs": Text(en="Where you are", zh="目前位置"),
    "go_back": Text(en="Go back", zh="返回"),
    "any": Text(en="any", zh="不限"),
    "entry": Text(en="Entry", zh="登錄項目"),
    "status": Text(en="Status", zh="狀態"),
    "modality": Text(en="Modality", zh="檢查儀器別"),
    "body_part": Text(en="Body part", zh="檢查部位"),
    "condition": Text(en="Condition", zh="疾病"),
    "hospital": Text(en="Hospital", zh="醫院"),
    "hospitals": Text(en="Hospitals", zh="使用醫院"),
    "changed": Text(en="Changed", zh="異動日期"),
    "search_title": Text(en="Search the register", zh="查詢登錄項目"),
    "search_lead": Text(
        en="AI models registered for use in hospitals, with what they are for, how good they are, "
        "and the evidence behind it.",
        zh="查詢已登錄供醫院使用的人工智慧模型:用途、表現,以及背後的證據。",
    ),
    "search_name": Text(en="Name, organisation or number", zh="名稱、機構或登錄編號"),
    "search_name_hint": Text(
        en="for example pneumonia, TWAI-2026-00001-4", zh="例如:肺炎、TWAI-2026-00001-4"
    ),
    "search_condition": Text(en="Condition", zh="疾病"),
    "search_condition_hint": Text(
        en="a word or a code: pneumonia, J18.9", zh="名稱或代碼,例如:肺炎、J18.9"
    ),
    "search_hospital": Text(en="Hospital", zh="醫院"),
    "search_hospital_hint": Text(
        en="where it is used or trained, or who answers for it", zh="使用、參與訓練或負責的醫院"
    ),
    "search_button": Text(en="Search", zh="查詢"),
    "search_clear": Text(en="Clear the search", zh="清除條件"),
    "found": Text(
        en="Entries {first} to {last} of {total}", zh="第 {first} 至 {last} 筆,共 {total} 筆"
    ),
    "found_none_here": Text(
        en="No entries on this page; {total} in all", zh="本頁沒有資料,共 {total} 筆"
    ),
    "found_none": Text(en="No entries found", zh="查無資料"),
    "and_more": Text(en="and {count} more", zh="等,另有 {count} 家"),
    "empty_search": Text(
        en="No registered model fits. Ask for less, or try another spelling.",
        zh="沒有符合條件的模型。請減少條件,或改用其他寫法。",
    ),
    "empty_register": Text(
        en="Nothing is registered yet. Candidates appear here once a registrar accepted them.",
        zh="目前沒有任何登錄。候選模型經登錄人員受理後,才會在此公開。",
    ),
    "first_page": Text(en="To the first page", zh="回到第一頁"),
    "pages": Text(en="Pages", zh="分頁"),
    "page_of": Text(en="Page {page} of {pages}", zh="第 {page} 頁,共 {pages} 頁"),
    "page_before": Text(en="← Previous", zh="← 上一頁"),
    "page_after": Text(en="Next →", zh="下一頁 →"),
    "preview": Text(
        en="You see this page because you are logged in. The public may not see this entry.",
        zh="您因已登入而能看到本頁;此項目未必對外公開。",
    ),
    "superseded": Text(en="This version was corrected. See", zh="本版本已更正,請見"),
    "since": Text(en="Since", zh="起始日"),
    "high_risk": Text(
        en="High-risk product: read the warning before use.", zh="高風險產品,使用前請詳閱警語。"
    ),
    "contents": Text(en="On this page", zh="本頁內容"),
    "about": Text(en="What it is for", zh="用途與基本資料"),
    "intended_use": Text(en="Intended use", zh="預期用途"),
    "risk": Text(en="Risk class", zh="風險分級"),
    "risk_classes": Text(
        en="{level}; TFDA class {tfda}; IMDRF category {imdrf}",
        zh="{level};食藥署第 {tfda} 等級;IMDRF 第 {imdrf} 類",
    ),
    "contact": Text(en="Contact", zh="聯絡方式"),
    "licence": Text(en="Licence", zh="許可證字號"),
    "model_file": Text(en="Model file (SHA-256)", zh="模型檔(SHA-256)"),
    "other_versions": Text(en="Other versions", zh="其他版本"),
    "limitations": Text(en="Known limitations", zh="已知限制"),
    "no_card": Text(
        en="No description was handed in for this version.", zh="本版本尚未提交登錄資料。"
    ),
    "performance": Text(en="How good it is", zh="評估結果"),
    "figures_caption": Text(
        en="In training, on patients the model was not trained on",
        zh="訓練期間,於未參與訓練之病人的表現",
    ),
    "figure_measure": Text(en="Measure", zh="指標"),
    "figure_patients": Text(en="Patients", zh="病人數"),
    "figure_value": Text(en="Estimate (95 % interval)", zh="估計值(95 % 信賴區間)"),
    "figure_interval_drawn": Text(en="interval", zh="區間"),
    "figure_method": Text(en="Method", zh="方法"),
    "figure_all": Text(en="all together", zh="合併"),
    "figures_note": Text(
        en="The bracketed numbers are the interval in which the true value lies with 95 % "
        "confidence. Few patients make it wide.",
        zh="括號內為 95 % 信賴區間;病人數越少,區間越寬。",
    ),
    "no_figures": Text(en="No result is recorded.", zh="沒有評估結果的紀錄。"),
    "evaluation_caption": Text(en="Results of {id}", zh="{id} 的結果"),
    "slice": Text(en="Group", zh="族群"),
    "threshold_met": Text(en="Threshold met", zh="達到門檻"),
    "threshold_missed": Text(en="Threshold missed", zh="未達門檻"),
    "threshold_none": Text(en="No threshold was set", zh="未設門檻"),
    "planned": Text(en="Planned, no results yet", zh="已登錄方案,尚無結果"),
    "evaluated_at": Text(en="At: {sites}", zh="評估院所:{sites}"),
    "privacy": Text(en="What patients were promised", zh="對病人的隱私承諾"),
    "promised_by": Text(en="Hospitals: {sites}.", zh="適用院所:{sites}。"),
    "epsilon": Text(
        en="ε ≤ {epsilon}, δ ≤ {delta} for one patient over the whole training",
        zh="整個訓練期間,每位病人 ε ≤ {epsilon}、δ ≤ {delta}",
    ),
    "no_mechanism": Text(en="Trained without differential privacy.", zh="訓練時未使用差分隱私。"),
    "no_promise": Text(en="No privacy statement is recorded.", zh="沒有隱私聲明的紀錄。"),
    "places": Text(en="Where it is used", zh="使用地點"),
    "ward": Text(en="Ward", zh="單位"),
    "mode": Text(en="Mode", zh="使用方式"),
    "no_places": Text(en="No hospital has recorded using it.", zh="尚無醫院登錄使用。"),
    "timeline": Text(en="What happened so far", zh="歷程"),
    "transparency": Text(en="The nine groups of transparency", zh="九大透明性指標"),
    "transparency_lead": Text(
        en="{answered} of 31 attributes are answered.", zh="31 項中已填 {answered} 項。"
    ),
    "not_answered": Text(en="not answered", zh="未填"),
    "answered_none": Text(en="None.", zh="無。"),
    "see_evaluation": Text(en="See evaluation", zh="參見評估"),
    "training": Text(en="How it was trained", zh="訓練方式"),
    "training_lead": Text(
        en="Study {study}, recipe {recipe} {version}: {done} of {asked} rounds at {sites} "
        "hospitals. No image or record left a hospital.",
        zh="研究 {study},配方 {recipe} {version},{sites} 家院所完成 {done}/{asked} 回合。"
        "影像與病歷均未離開醫院。",
    ),
    "rounds": Text(en="Rounds", zh="回合"),
    "refused": Text(en="Who refused", zh="拒絕參與"),
    "lineage_link": Text(
        en="Lineage: data, approvals, code and what came of it", zh="譜系:資料、核准、程式與後續"
    ),
    "lineage_title": Text(en="Lineage", zh="譜系"),
    "lineage_lead": Text(
        en="Where this version came from and what came of it, read from signed records.",
        zh="本版本的來源與後續發展,取自已簽署的紀錄。",
    ),
    "lineage_cut": Text(en="There is more than is shown.", zh="內容過多,未全部顯示。"),
    "verify": Text(en="Check it yourself", zh="自行驗證"),
    "verify_lead": Text(
        en="Before this page was made, its signature, its place in the log and every record shown "
        "were checked. Do not take our word for it: download the evidence and check it offline.",
        zh="產生本頁前,系統已檢查簽章、紀錄位置及所示的每一筆紀錄。"
        "您不必相信本網站,可下載證據並離線驗證。",
    ),
    "proof_link": Text(en="Proof and steps", zh="證明與驗證步驟"),
    "bundle_link": Text(en="Download the evidence (ZIP)", zh="下載證據檔(ZIP)"),
    "proof_title": Text(en="Proof", zh="證明"),
    "proof_lead": Text(
        en="That this entry was signed by the register and cannot be changed or taken back unseen.",
        zh="證明此項目由登錄系統簽署,且無法在不被發現的情況下更改或撤除。",
    ),
    "verify_yourself": Text(en="Four steps, without a network", zh="離線驗證四步驟"),
    "step_bundle": Text(
        en="Download the evidence. It holds the entry, every signature and every proof.",
        zh="下載證據檔,內含登錄內容、所有簽章與證明。",
    ),
    "step_key": Text(
        en="Get the register's public key by another way than this site, and compare its "
        "fingerprint with this one:",
        zh="請以本網站以外的管道取得登錄系統的公開金鑰,並核對下列指紋:",
    ),
    "step_run": Text(
        en="Check. The first thing that does not hold is named.",
        zh="執行驗證;若有不符,會指出第一個不符之處。",
    ),
    "step_witness": Text(
        en="Compare the log's signed state below with what a hospital or another centre holds.",
        zh="將下方的紀錄簽署狀態與任一醫院或其他中心所持有者相互核對。",
    ),
    "place_in_log": Text(en="Its place in the log", zh="在紀錄中的位置"),
    "leaf_place": Text(en="Place", zh="位置"),
    "leaf_of": Text(en="{place} of {size}", zh="第 {place} 筆,共 {size} 筆"),
    "leaf_hash": Text(en="Leaf hash", zh="葉節點雜湊值"),
    "statements_behind": Text(en="Signed statements behind it", zh="所依據的簽署聲明"),
    "path_hashes": Text(en="Inclusion proof", zh="收錄證明"),
    "path_note": Text(
        en="Hash the leaf with these, in order, and the root in the signed state must come out "
        "(RFC 6962, 2.1.1).",
        zh="自葉節點起依序與下列雜湊值計算,應得到簽署狀態中的根雜湊值(RFC 6962,2.1.1)。",
    ),
    "path_empty": Text(en="The log had one entry: none needed.", zh="當時僅有一筆,無須路徑。"),
    "checkpoint": Text(en="Signed state of the log", zh="紀錄的簽署狀態"),
    "checkpoint_note": Text(
        en="The log's name, its number of entries and its root, signed by the register and, where "
        "there are more lines, by witnesses (C2SP checkpoint).",
        zh="紀錄名稱、筆數與根雜湊值,由登錄系統簽署;其餘各行為見證者的簽章(C2SP checkpoint)。",
    ),
    "checkpoint_link": Text(en="This state in the log", zh="查看此筆簽署狀態"),
    "log_title": Text(en="Evidence log", zh="證據紀錄"),
    "log_lead": Text(
        en="All signed statements are leaves of one Merkle tree that only grows. Keep a state from "
        "this page: if it is ever missing from a later one, the log was changed.",
        zh="所有簽署聲明都是同一棵只增不減的雜湊樹的葉節點。請保存本頁任一狀態;"
        "若日後與之不符,即表示紀錄遭到更動。",
    ),
    "log_size": Text(en="Entries", zh="筆數"),
    "log_name": Text(en="Name of the log", zh="紀錄名稱"),
    "log_key": Text(en="Fingerprint of its key", zh="金鑰指紋"),
    "log_caption": Text(en="Signed states, newest first", zh="簽署狀態,由新到舊"),
    "log_added": Text(en="Added", zh="新增"),
    "log_root": Text(en="Root (base64)", zh="根雜湊值(base64)"),
    "log_signatures": Text(en="Signatures", zh="簽章數"),
    "log_growth": Text(en="Proof of growth", zh="成長證明"),
    "log_empty": Text(en="The log is still empty.", zh="紀錄目前是空的。"),
    "growth_from": Text(en="from {old}", zh="自 {old} 筆"),
    "older": Text(en="Older states →", zh="較舊的狀態 →"),
    "growth_title": Text(en="Proof of growth", zh="成長證明"),
    "growth_lead": Text(
        en="You kept a state? Ask for the proof that the log still begins with those entries.",
        zh="您保存過某一狀態嗎?可在此取得證明,確認現在的紀錄以當時的內容為開頭。",
    ),
    "growth_old": Text(en="Entries then", zh="當時筆數"),
    "growth_new": Text(en="Entries now", zh="目前筆數"),
    "growth_button": Text(en="Show the proof", zh="取得證明"),
    "growth_heading": Text(en="From {old} to {new} entries", zh="自 {old} 筆至 {new} 筆"),
    "growth_note": Text(
        en="The hashes of the consistency proof, in order (RFC 6962, 2.1.2).",
        zh="一致性證明的雜湊值,依序排列(RFC 6962,2.1.2)。",
    ),
    "growth_same": Text(
        en="No hash is needed: one of the two is the other.", zh="兩者相同,無須雜湊值。"
    ),
    "note_title": Text(en="Signed state at {size} entries", zh="{size} 筆時的簽署狀態"),
    "note_signatures": Text(en="Signature lines: {count}.", zh="簽章行數:{count}。"),
    "do_not_rely": Text(en="Do not rely on this entry.", zh="請勿採信此項目。"),
}
WORDS = PUBLIC_WORDS | CONSOLE_WORDS

METRICS: dict[str, Text] = {
    "auroc": Text(en="AUROC", zh="AUROC(鑑別力)"),
    "sensitivity": Text(en="Sensitivity", zh="敏感度"),
    "specificity": Text(en="Specificity", zh="特異度"),
    "ppv": Text(en="Positive predictive value", zh="陽性預測值"),
    "npv": Text(en="Negative predictive value", zh="陰性預測值"),
    "brier": Text(en="Brier score", zh="Brier 分數"),
    "ece": Text(en="Expected calibration error", zh="期望校準誤差"),
    "accuracy": Text(en="Accuracy", zh="準確率"),
    "calibration-slope": Text(en="Calibration slope", zh="校準斜率"),
    "calibration-intercept": Text(en="Calibration intercept", zh="校準截距"),
}
RISKS: dict[RiskLevel, Text] = {
    RiskLevel.HIGH: Text(en="high risk", zh="高風險"),
    RiskLevel.MEDIUM: Text(en="medium risk", zh="中風險"),
    RiskLevel.LOW: Text(en="low risk", zh="低風險"),
}


class Words:
    """The words in one language: `w.name`, or `w(name, field=...)`."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def __getattr__(self, name: str) -> str:
        """Return a text without fields; an unknown name is an error of the template."""
        if name not in WORDS:
            raise AttributeError(name)
        return say(WORDS[name], self._language)

    def __call__(self, name: str, **values: object) -> str:
        """Return a text with its fields filled in."""
        return set_in(self._language, WORDS[name].say(self._language, **values))
