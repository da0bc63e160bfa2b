"""TF910 to TF919: why a reader study, a median, a cohort or a sealed table is refused."""

from federation.errors.base import PlatformError
from federation.wording import Text


class NotCrossedError(PlatformError):
    """Not every reader rated every case with and without the intervention, once."""

    code = "TF910"
    what = Text(
        en="In the readings of {site}, {found} of {expected} ratings are there once; the study "
        "needs every case by every reader with and without the intervention.",
        zh="{site} 的判讀資料中,{expected} 筆評分僅有 {found} 筆恰出現一次;"
        "每位判讀者須於有、無介入下各評讀每一個案。",
    )
    next_step = Text(
        en="Let the missing readings be made, or leave out cases or readers for all in a new plan; "
        "a missing rating is never guessed.",
        zh="請補齊判讀,或於新計畫中一致排除該個案或判讀者;系統不會推測缺漏的評分。",
    )


class ImputationsDifferError(PlatformError):
    """A hospital's imputed tables are not of the same people."""

    code = "TF911"
    what = Text(
        en="The imputed tables of {site} are not of the same people: {cells} cells differ, or lack "
        "one of {wanted} imputations.",
        zh="{site} 的插補資料表人數不一致:{cells} 格不同,或缺少 {wanted} 次插補之一。",
    )
    next_step = Text(
        en="Impute values, not people: export every imputation of the same cases again.",
        zh="插補的是數值而非個案;請就相同個案重新匯出每次插補。",
    )


class CohortUnbalancedError(PlatformError):
    """The arms of a hospital's cohort still differ after matching or weighting."""

    code = "TF912"
    what = Text(
        en="At {site} the arms still differ in {covariate} by {gap:.2f} standard deviations; the "
        "plan allows {allowed}.",
        zh="{site} 兩組在 {covariate} 上仍相差 {gap:.2f} 個標準差;計畫容許 {allowed}。",
    )
    next_step = Text(
        en="Nothing leaves. Ask the study lead for a plan with a narrower caliper or other "
        "covariates, before anybody sees an outcome.",
        zh="未送出任何資料。請於任何人見到結果之前,由主持人以較窄卡尺或其他共變項另立計畫。",
    )


class CohortEmptyError(PlatformError):
    """A hospital has no comparable people."""

    code = "TF913"
    what = Text(
        en="{site} has no comparable cohort: {why}.", zh="{site} 無法建立可比較的世代:{why}。"
    )
    next_step = Text(
        en="Check the covariates' columns; if they are right, this hospital cannot take part in "
        "this comparison.",
        zh="請確認共變項欄位;若無誤,該院無法參與此比較。",
    )


class GridTooCoarseError(PlatformError):
    """The grid of a median is too coarse to say how certain the median is."""

    code = "TF914"
    what = Text(
        en="On the grid of {measure} the interval of a median has no width: its steps of {step} "
        "are too coarse.",
        zh="{measure} 的格距 {step} 過大,中位數的信賴區間寬度為零。",
    )
    next_step = Text(
        en="Report the medians without a test, as exploratory; choose a finer step in the next "
        "plan.",
        zh="請僅以探索性方式呈現中位數,不作檢定;下一份計畫請改用較細格距。",
    )


class BeyondGridError(PlatformError):
    """Values of a hospital lie beyond the plan's grid."""

    code = "TF915"
    what = Text(
        en="At {site} {count} values of {measure} lie below zero or beyond the grid's top of "
        "{top}.",
        zh="{site} 有 {count} 筆 {measure} 小於零或超出格網上限 {top}。",
    )
    next_step = Text(
        en="Correct them at the hospital, or raise the top in a new plan; values are not cut off.",
        zh="請於院內更正,或於新計畫提高上限;系統不會截斷數值。",
    )


class SealDisagreesError(PlatformError):
    """A table is sealed where the plan wants it open, or open where it wants it sealed."""

    code = "TF916"
    what = Text(
        en="The table of {site} is {found}; the plan wants it {wanted}.",
        zh="{site} 的資料表為{found};計畫要求{wanted}。",
    )
    next_step = Text(
        en="Let the hospital make it again with `trifed impact tabulate` and the logged plan.",
        zh="請該院以登錄的計畫重新執行 `trifed impact tabulate`。",
    )


class SealedFileError(PlatformError):
    """A file of a sealed table or key cannot be read."""

    code = "TF917"
    what = Text(en="The file of {site} cannot be used: {why}.", zh="無法使用 {site} 的檔案:{why}。")
    next_step = Text(
        en="Let the hospital make it again; nothing was kept of it.",
        zh="請該院重新產生;系統未保留任何內容。",
    )


class MeasureUnknownError(PlatformError):
    """A measure is not in the catalogue of measures."""

    code = "TF918"
    what = Text(
        en="There is no measure {name} in the catalogue; there are {known}.",
        zh="指標目錄中沒有 {name};現有 {known}。",
    )
    next_step = Text(
        en="Choose one of them, or write your own into protocol.toml and plan.toml.",
        zh="請由其中選擇,或自行寫入 protocol.toml 與 plan.toml。",
    )


class BeyondRangeError(PlatformError):
    """Values of a hospital lie beyond what the measure can be."""

    code = "TF919"
    what = Text(
        en="At {site} {count} values of {measure} lie beyond {low} to {high}.",
        zh="{site} 有 {count} 筆 {measure} 超出 {low} 至 {high}。",
    )
    next_step = Text(
        en="Correct them at the hospital. A utility is scored by the value set that the plan "
        "names: Taiwan's EQ-5D-5L goes from -1.0259 to 1.",
        zh="請於院內更正。效用值須依計畫所列之價值集計分:臺灣 EQ-5D-5L 為 -1.0259 至 1。",
    )
