"""TF3xx: study files, recipes, proposals, approvals and policy."""

from federation.errors.base import PlatformError
from federation.wording import Text


class StudySyntaxError(PlatformError):
    """A study file is not TOML."""

    code = "TF300"
    what = Text(
        en="Line {line}, column {column} of the study file is not TOML: {detail}.",
        zh="研究檔第 {line} 行第 {column} 欄不是有效的 TOML:{detail}。",
    )
    next_step = Text(
        en="Correct that line; `trifed study new` writes a file that is valid as it stands.",
        zh="請修正該行;`trifed study new` 可產生格式正確的範本。",
    )


class StudyFieldMissingError(PlatformError):
    """A study file lacks a field that has no default."""

    code = "TF301"
    what = Text(en="Line {line}: {field} is missing.", zh="第 {line} 行:缺少 {field}。")
    next_step = Text(en="Give {expected}.", zh="請填寫:{expected}。")


class StudyFieldUnknownError(PlatformError):
    """A study file has a field that no study has."""

    code = "TF302"
    what = Text(
        en="Line {line}: {field} is not a field of a study.",
        zh="第 {line} 行:{field} 不是研究的欄位。",
    )
    next_step = Text(
        en="Nearest: {nearest}. Fields allowed here: {known}.",
        zh="最接近的欄位:{nearest}。此處可用的欄位:{known}。",
    )


class StudyValueError(PlatformError):
    """A value of a study file is not allowed."""

    code = "TF303"
    what = Text(
        en="Line {line}: {field} is {actual}, which is not allowed.",
        zh="第 {line} 行:{field} 的值 {actual} 不被允許。",
    )
    next_step = Text(en="Give {expected}.", zh="請填寫:{expected}。")


class StudyFileUnreadableError(PlatformError):
    """A study file cannot be read as text at all."""

    code = "TF304"
    what = Text(
        en="The study file {file} cannot be read: {why}.", zh="研究檔 {file} 無法讀取:{why}。"
    )
    next_step = Text(
        en="Give a UTF-8 text file of at most {limit_kb} KB; `trifed study new` writes one.",
        zh="請提供 {limit_kb} KB 以內的 UTF-8 文字檔;`trifed study new` 可產生範本。",
    )


class StudyFileExistsError(PlatformError):
    """A new study file would cover one that is there."""

    code = "TF305"
    what = Text(en="{file} exists already and was left as it is.", zh="{file} 已存在,未予變更。")
    next_step = Text(
        en="Choose another name, or move the old file away.", zh="請改用其他檔名,或先移走舊檔。"
    )


class UnknownRecipeError(PlatformError):
    """A study names a recipe that this version does not ship."""

    code = "TF310"
    what = Text(en="There is no recipe {name}.", zh="沒有名為 {name} 的配方。")
    next_step = Text(en="Choose one of: {known}.", zh="請擇一使用:{known}。")


class RecipeFaultError(PlatformError):
    """A recipe file breaks a rule; every fault is one of these."""

    code = "TF311"
    what = Text(
        en="The recipe {recipe} has a fault at {field}: {why}.",
        zh="配方 {recipe} 的 {field} 有誤:{why}。",
    )
    next_step = Text(
        en="Correct that field of the recipe file and try again.",
        zh="請修正配方檔中的該欄位後再試一次。",
    )


class UnknownNetworkError(PlatformError):
    """A recipe names a network builder that this version does not have."""

    code = "TF312"
    what = Text(en="There is no network builder {name}.", zh="沒有名為 {name} 的網路建構器。")
    next_step = Text(en="Choose one of: {known}.", zh="請擇一使用:{known}。")


class NetworkNotBuiltError(PlatformError):
    """A builder refused the arguments of a recipe."""

    code = "TF313"
    what = Text(
        en="The network {network} of recipe {recipe} could not be built: {why}.",
        zh="配方 {recipe} 的網路 {network} 無法建立:{why}。",
    )
    next_step = Text(
        en="Compare [network_args] of the recipe with the builder in "
        "federation/recipes/networks.py.",
        zh="請對照 federation/recipes/networks.py 的建構器檢查配方的 [network_args]。",
    )


class NetworkHasBuffersError(PlatformError):
    """A network keeps data beside its parameters."""

    code = "TF314"
    what = Text(
        en="The network keeps {count} buffers beside its parameters, first {first}.",
        zh="此網路在參數之外還保存 {count} 個緩衝區,第一個是 {first}。",
    )
    next_step = Text(
        en="Use GroupNorm or InstanceNorm without running statistics; buffers carry patients' data "
        "past the noise.",
        zh="請改用 GroupNorm 或不含移動統計量的 InstanceNorm;緩衝區會使病人資料繞過雜訊外流。",
    )


class ModelDoesNotFitError(PlatformError):
    """A flat model is not one of this network."""

    code = "TF315"
    what = Text(
        en="The model is {actual}, but the network takes {expected}.",
        zh="模型為 {actual},但網路需要 {expected}。",
    )
    next_step = Text(
        en="Check that centre and site run the same TriFed version and the same recipe digest.",
        zh="請確認中心與院所使用相同的 TriFed 版本與相同的配方摘要。",
    )
