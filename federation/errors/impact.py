"""TF88x: why an impact study is not planned or not analysed."""

from federation.errors.base import PlatformError
from federation.wording import Text


class DesignValueError(PlatformError):
    """A number of a design cannot be used."""

    code = "TF880"
    what = Text(
        en="{name} is {actual}; {expected} is needed.", zh="{name} 為 {actual};應為 {expected}。"
    )
    next_step = Text(
        en="Correct it in the protocol; nothing was computed.",
        zh="請於計畫書中更正;尚未進行任何計算。",
    )


class TooFewClustersError(PlatformError):
    """An analysis needs more clusters, periods or months than there are."""

    code = "TF881"
    what = Text(
        en="There are {found} {units}; this analysis needs {needed} or more.",
        zh="{units} 僅有 {found} 個;此分析至少需要 {needed} 個。",
    )
    next_step = Text(
        en="Wait for the missing hospitals or months, or choose another design before unblinding.",
        zh="請等待尚缺的醫院或月份,或於解盲前改採其他設計。",
    )


class NotEstimableError(PlatformError):
    """The tables do not tell the effect apart from something else."""

    code = "TF882"
    what = Text(
        en="The effect cannot be told apart from {confounder} in these tables.",
        zh="此資料表無法將效果與{confounder}區分。",
    )
    next_step = Text(
        en="Check which hospitals had the intervention in which months; a design needs both.",
        zh="請確認各院各月份是否介入;設計須同時包含介入與未介入。",
    )


class TableInvalidError(PlatformError):
    """A hospital's table is not what the protocol asks for."""

    code = "TF883"
    what = Text(
        en="The table of {site} cannot be used: {where} {why}.",
        zh="{site} 的資料表無法使用:{where} {why}。",
    )
    next_step = Text(
        en="Let the hospital export it again by the protocol's template; nothing was kept of it.",
        zh="請該院依計畫書範本重新匯出;系統未保留任何內容。",
    )


class TableTooSmallError(PlatformError):
    """A hospital's table has cells that tell of too few people."""

    code = "TF884"
    what = Text(
        en="The table of {site} has {cells} cells below {least} people.",
        zh="{site} 的資料表有 {cells} 個儲存格人數低於 {least}。",
    )
    next_step = Text(
        en="Join periods or wards at the hospital until every cell reaches it.",
        zh="請院方合併期別或病房,直到每格皆達門檻。",
    )


class ProtocolFileError(PlatformError):
    """A protocol file cannot be read."""

    code = "TF885"
    what = Text(en="The protocol cannot be used: {why}.", zh="無法使用計畫書:{why}。")
    next_step = Text(
        en="Compare it with the one that `trifed impact new` writes.",
        zh="請與 `trifed impact new` 產生的範例比對。",
    )


class PlanChangedError(PlatformError):
    """The analysis plan is not the one that was logged before unblinding."""

    code = "TF886"
    what = Text(
        en="The analysis plan has digest {found}; {logged} was logged before unblinding.",
        zh="分析計畫的摘要為 {found};解盲前登錄者為 {logged}。",
    )
    next_step = Text(
        en="Analyse with the logged plan; report any other analysis as exploratory, under its own "
        "plan.",
        zh="請以登錄的計畫分析;其他分析須另立計畫並以探索性分析呈現。",
    )


class PlanNotLoggedError(PlatformError):
    """No analysis plan was logged, so nothing may be unblinded."""

    code = "TF887"
    what = Text(
        en="No analysis plan of study {study} is in the evidence log.",
        zh="研究 {study} 尚無分析計畫登錄於證據紀錄。",
    )
    next_step = Text(
        en="Log the plan's digest first; the statistician stays blinded until then.",
        zh="請先登錄計畫摘要;在此之前統計人員須維持盲性。",
    )
