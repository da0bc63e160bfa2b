"""TF92x: why a study's data, or what they were collected under, are not frozen or changed."""

from federation.errors.base import PlatformError
from federation.wording import Text


class DataFrozenError(PlatformError):
    """Plan, protocol or economic model would change after somebody saw the tables."""

    code = "TF925"
    what = Text(
        en="The data of study {study} are frozen; {fields} cannot change any more.",
        zh="研究 {study} 的資料已凍結;{fields} 不得再變更。",
    )
    next_step = Text(
        en="Analyse as logged, and tell the deviation in the report; nothing was written.",
        zh="請依已登錄的內容分析,並於報告中說明差異;未寫入任何內容。",
    )


class TableTwiceError(PlatformError):
    """One table was given for two hospitals, or two for one."""

    code = "TF926"
    what = Text(
        en="The tables of {sites} are one and the same, or given twice.",
        zh="{sites} 的資料表相同或重複提供。",
    )
    next_step = Text(
        en="Give each hospital's own file once; ask the hospital if it sent another one's.",
        zh="請每院各提供一份自己的檔案;若內容有誤請向該院確認。",
    )


class CutsTooCloseError(PlatformError):
    """A data cut differs from an earlier one by a few people, whose values it would tell."""

    code = "TF927"
    what = Text(
        en="This data cut of study {study} differs from an earlier one by fewer than {least} "
        "people.",
        zh="研究 {study} 的此次資料切點與先前切點相差不到 {least} 人。",
    )
    next_step = Text(
        en="Wait until {least} more people are in the tables, or lock the earlier cut.",
        zh="請待資料表增加至少 {least} 人,或鎖定先前的切點。",
    )


class TableTooCloseError(PlatformError):
    """A hospital's new table and one that it sent differ by a few people."""

    code = "TF928"
    what = Text(
        en="The new table of {site} differs from one sent earlier by fewer than {least} people, "
        "in {places} places.",
        zh="{site} 的新資料表與先前送出者有 {places} 處相差不到 {least} 人。",
    )
    next_step = Text(
        en="Send none until each cell changes by {least} people or more, or by nobody; nothing "
        "was written.",
        zh="請待各格變動均達 {least} 人以上(或無變動)再送出;未寫入任何檔案。",
    )
