"""TF248-TF259: checkups from afar, logs, metrics and traces."""

from federation.errors.base import PlatformError
from federation.wording import Text


class SiteNotConnectedError(PlatformError):
    """A site was asked something over the control channel and is not there."""

    code = "TF248"
    what = Text(en="The node of {site} is not connected.", zh="{site} 的節點未連線。")
    next_step = Text(
        en="Ask the site's staff to run `trifed doctor --home NODE` there; "
        "`trifed centre status` shows when it is back.",
        zh="請該院人員在當地執行 `trifed doctor --home NODE`;"
        "`trifed centre status` 會顯示是否恢復。",
    )


class CheckupUnsupportedError(PlatformError):
    """A node is too old to look itself over for the centre."""

    code = "TF249"
    what = Text(
        en="The node of {site} runs version {version}, which knows no checkup.",
        zh="{site} 的節點版本為 {version},尚不支援遠端檢查。",
    )
    next_step = Text(
        en="Ask the site to update, or to run `trifed doctor --home NODE` there.",
        zh="請該院更新軟體,或在當地執行 `trifed doctor --home NODE`。",
    )


class CheckupUnansweredError(PlatformError):
    """A node took a checkup and did not report in time."""

    code = "TF250"
    what = Text(
        en="The node of {site} did not report within {seconds} s.",
        zh="{site} 的節點未在 {seconds} 秒內回報。",
    )
    next_step = Text(
        en="Try again in a minute; if it stays, ask the site to read logs/node.log.",
        zh="請於一分鐘後再試;若仍發生,請該院查看 logs/node.log。",
    )


class CheckupOffError(PlatformError):
    """The hospital does not let the centre look."""

    code = "TF251"
    what = Text(en="The hospital has switched checkups from afar off.", zh="該院已關閉遠端檢查。")
    next_step = Text(
        en="Ask its staff to run `trifed doctor --home NODE`, or to allow it in checkup.toml.",
        zh="請該院人員執行 `trifed doctor --home NODE`,或於 checkup.toml 中允許。",
    )


class CheckupTooOftenError(PlatformError):
    """A node was asked again before it may be."""

    code = "TF252"
    what = Text(
        en="The node was asked for checkups too often.", zh="節點被要求檢查的次數過於頻繁。"
    )
    next_step = Text(
        en="Wait a minute. A node answers three at once and then one a minute, one at a time.",
        zh="請等候一分鐘。節點可連續回答三次,其後每分鐘一次,且一次只處理一項。",
    )


class CheckupRefusedError(PlatformError):
    """A node said no to a checkup for another reason."""

    code = "TF253"
    what = Text(
        en="The node of {site} did not report: [{code}] {said}",
        zh="{site} 的節點未回報:[{code}] {said}",
    )
    next_step = Text(
        en="`trifed explain {code}` says what that means and what the site can do.",
        zh="請以 `trifed explain {code}` 查詢代碼意義與處理方式。",
    )


class CheckUnfinishedError(PlatformError):
    """A check itself failed, for a reason that has no code."""

    code = "TF254"
    what = Text(en="The check `{check}` could not be finished.", zh="檢查項目 `{check}` 無法完成。")
    next_step = Text(
        en="Run `trifed doctor` there, as the account that runs TriFed; see that the disk is "
        "healthy and its files can be read.",
        zh="請在當地以執行 TriFed 的帳號執行 `trifed doctor`;並確認磁碟正常、檔案可讀。",
    )


class CodeReplacedError(PlatformError):
    """The code on disk is no longer the code that runs."""

    code = "TF255"
    what = Text(
        en="The installed code was replaced while the node runs the former one.",
        zh="安裝的程式碼已更換,但節點仍執行先前的程式碼。",
    )
    next_step = Text(
        en="Start the node again; if nobody installed anything, find out who changed the files.",
        zh="請重新啟動節點;若無人安裝過,請查明何人更動檔案。",
    )


class ObservationSettingsError(PlatformError):
    """A table on logs, metrics or checkups does not say what it may."""

    code = "TF256"
    what = Text(
        en="The settings in {file} cannot be used: {why}.", zh="{file} 的設定無法使用:{why}。"
    )
    next_step = Text(
        en="Correct them as docs/observability.md says, then start again.",
        zh="請依 docs/observability.md 修正後重新啟動。",
    )


class TracingMissingError(PlatformError):
    """Traces are asked for and the software that sends them is not installed."""

    code = "TF257"
    what = Text(
        en="Traces are wanted, but the OpenTelemetry SDK is not installed.",
        zh="已要求追蹤,但未安裝 OpenTelemetry SDK。",
    )
    next_step = Text(
        en="Install `trifed[tracing]`, or unset TRIFED_OTEL_ENDPOINT; work goes on without traces.",
        zh="請安裝 `trifed[tracing]`,或取消 TRIFED_OTEL_ENDPOINT;其他工作不受影響。",
    )


class MetricsDoorError(PlatformError):
    """The address for metrics cannot be listened on."""

    code = "TF258"
    what = Text(
        en="Metrics cannot be served at {address}: {why}.",
        zh="無法於 {address} 提供指標:{why}。",
    )
    next_step = Text(
        en="Give another address in the table [metrics], or remove the table.",
        zh="請於 [metrics] 設定其他位址,或移除該設定。",
    )


class PartNotRunningError(PlatformError):
    """A process that the node keeps alive does not run just now."""

    code = "TF259"
    what = Text(
        en="The node's process {name} does not run just now.", zh="節點的程序 {name} 目前未執行。"
    )
    next_step = Text(
        en="If it stays, read its log in the logs folder of the node.",
        zh="若持續發生,請查看節點 logs 資料夾中的紀錄。",
    )
