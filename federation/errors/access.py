"""TF76x and TF77x: who comes into the register, by what means, and how often."""

from federation.errors.base import PlatformError
from federation.wording import Text


class LogInRefusedError(PlatformError):
    """A log-in did not succeed; which part was wrong is never said."""

    code = "TF760"
    what = Text(en="The log-in was refused.", zh="登入遭拒。")
    next_step = Text(
        en="Check name, password and code; a used code does not count again. Ask the "
        "registrar for a new enrolment if you lost them.",
        zh="請核對帳號、密碼與驗證碼;已使用過的驗證碼不再有效。若已遺失,請向登錄人員申請重新啟用。",
    )


class LogInThrottledError(PlatformError):
    """Too many log-ins failed of late for an account or an address."""

    code = "TF761"
    what = Text(
        en="Too many log-ins failed; the next is possible in {seconds} s.",
        zh="登入失敗次數過多;{seconds} 秒後才能再試。",
    )
    next_step = Text(
        en="Wait that long. If it was not you, tell the registrar.",
        zh="請稍候再試;若非您本人操作,請通知登錄人員。",
    )


class RoleMissingError(PlatformError):
    """A request needs a role that the caller does not hold."""

    code = "TF762"
    what = Text(
        en="None of your roles may do this; it takes {roles}.",
        zh="您的角色不得執行此操作;需要 {roles}。",
    )
    next_step = Text(
        en="Ask somebody with that role, or the registrar for the role if it is yours by office.",
        zh="請洽具備該角色的人員;若屬您的職務,請向登錄人員申請。",
    )


class RoleChoiceError(PlatformError):
    """Several roles of the caller fit, or the one named does not."""

    code = "TF763"
    what = Text(en="Say in which role you act: {roles}.", zh="請說明您以何種角色操作:{roles}。")
    next_step = Text(
        en="Send the header `X-Role` (or the form field `role`) with one of them.",
        zh="請在標頭 `X-Role`(或表單欄位 `role`)填入其中之一。",
    )


class ForeignFormError(PlatformError):
    """A request by cookie came without the token of its session's forms."""

    code = "TF764"
    what = Text(
        en="This form was not sent by a page of the register that you opened.",
        zh="此表單並非由您開啟的登錄系統頁面送出。",
    )
    next_step = Text(
        en="Open the page again and repeat it there. If you did not send it, log out everywhere.",
        zh="請重新開啟頁面後再操作一次;若非您送出,請登出所有裝置。",
    )


class TooManyRequestsError(PlatformError):
    """A caller or an address sent more requests than are answered."""

    code = "TF765"
    what = Text(
        en="Too many requests; the next is possible in {seconds} s.",
        zh="請求過於頻繁;{seconds} 秒後才能再送出。",
    )
    next_step = Text(
        en="Wait that long (header `Retry-After`), and ask for larger pages less often.",
        zh="請依標頭 `Retry-After` 等候,並以較大的分頁減少請求次數。",
    )


class TokenScopeError(PlatformError):
    """An API token or certificate is used for more than it was made for."""

    code = "TF766"
    what = Text(
        en="This needs {scope}, which is not among what was given to this token or certificate.",
        zh="此操作需要 {scope},不在此權杖或憑證的授權範圍內。",
    )
    next_step = Text(
        en="Use a token with that scope, or log in as a person.",
        zh="請改用具備該範圍的權杖,或以個人身分登入。",
    )


class AccountTakenError(PlatformError):
    """There is an account of that name, or it was changed meanwhile."""

    code = "TF767"
    what = Text(
        en="The account {name} exists already or was changed meanwhile.",
        zh="帳號 {name} 已存在,或已於其間變更。",
    )
    next_step = Text(
        en="Choose another name, or read the account again.", zh="請改用其他名稱,或重新讀取該帳號。"
    )


class AccountMissingError(PlatformError):
    """There is no account of that name in the state needed."""

    code = "TF768"
    what = Text(
        en="There is no account {name} for which this can be done.",
        zh="沒有可進行此操作的帳號 {name}。",
    )
    next_step = Text(
        en="List the accounts with `trifed registry account list`.",
        zh="請以 `trifed registry account list` 列出帳號。",
    )


class PasswordRefusedError(PlatformError):
    """A new password would not protect the account."""

    code = "TF769"
    what = Text(en="The password is refused: {why}.", zh="密碼不被接受:{why}。")
    next_step = Text(
        en="Choose a sentence of 12 characters or more that you use nowhere else.",
        zh="請選用 12 字元以上、未在他處使用的句子。",
    )


class EnrolmentRefusedError(PlatformError):
    """An enrolment secret is unknown, used, or out of date."""

    code = "TF770"
    what = Text(en="This enrolment is not valid, or not any more.", zh="此啟用連結無效或已失效。")
    next_step = Text(en="Ask the registrar for a new one.", zh="請向登錄人員索取新的啟用連結。")


class RolesRefusedError(PlatformError):
    """An account cannot hold these roles."""

    code = "TF771"
    what = Text(en="These roles cannot be given: {why}.", zh="無法授予這些角色:{why}。")
    next_step = Text(
        en="Give the roles of one side only, with the centre they belong to.",
        zh="請僅授予同一方的角色,並填寫所屬中心。",
    )


class IdentityRefusedError(PlatformError):
    """The identity provider's answer does not open a session."""

    code = "TF772"
    what = Text(
        en="Logging in at the identity provider did not succeed: {why}.",
        zh="透過身分提供者登入失敗:{why}。",
    )
    next_step = Text(
        en="Start again from the log-in page; else ask the registrar to link your identity.",
        zh="請由登入頁重新開始;若仍失敗,請洽登錄人員綁定您的身分。",
    )


class IdentitySettingError(PlatformError):
    """The file that names an identity provider cannot be used."""

    code = "TF773"
    what = Text(en="{file} cannot be used: {why}.", zh="{file} 無法使用:{why}。")
    next_step = Text(
        en="Correct it as docs/registry-api.md shows, or remove it.",
        zh="請依 docs/registry-api.md 修正,或移除該檔案。",
    )


class PasskeyRefusedError(PlatformError):
    """A passkey cannot be added as it was sent."""

    code = "TF774"
    what = Text(en="The passkey cannot be added.", zh="無法新增此通行金鑰。")
    next_step = Text(
        en="Start again from the account's page, on this register's own address.",
        zh="請在本登錄系統的網址,由帳號頁面重新開始。",
    )


class RegisterServeError(PlatformError):
    """The register's service cannot start."""

    code = "TF775"
    what = Text(
        en="The register cannot be served at {address}: {why}.",
        zh="無法於 {address} 提供登錄服務:{why}。",
    )
    next_step = Text(
        en="Choose a free address with --listen; renew the certificate with `trifed centre "
        "renew-server`.",
        zh="請以 --listen 指定可用位址;憑證請以 `trifed centre renew-server` 更新。",
    )


class LogInNeededError(PlatformError):
    """A request needs somebody who is logged in."""

    code = "TF776"
    what = Text(
        en="This needs a log-in, an API token or a service certificate.",
        zh="此操作需要登入、API 權杖或服務憑證。",
    )
    next_step = Text(
        en="Log in, or send `Authorization: Bearer …` with a token of your account.",
        zh="請登入,或於標頭 `Authorization: Bearer …` 附上您的權杖。",
    )


class AccountKeyError(PlatformError):
    """The key that seals accounts is missing, unsafe or another one."""

    code = "TF777"
    what = Text(en="The accounts' key cannot be used: {why}.", zh="帳號金鑰無法使用:{why}。")
    next_step = Text(
        en="Restore keys/accounts.key (0600) from the backup of the centre's home.",
        zh="請由中心工作目錄的備份還原 keys/accounts.key(0600)。",
    )


class TokenAskedError(PlatformError):
    """An API token cannot be made as asked."""

    code = "TF778"
    what = Text(en="The token cannot be made: {why}.", zh="無法建立權杖:{why}。")
    next_step = Text(
        en="Name at least one scope and 1 to 366 days.",
        zh="請至少指定一個範圍,期限為 1 至 366 天。",
    )


class AccountTamperedError(PlatformError):
    """An account's row is not what the service wrote."""

    code = "TF779"
    what = Text(
        en="The account {name} was changed outside the register.",
        zh="帳號 {name} 曾於登錄系統之外遭變更。",
    )
    next_step = Text(
        en="Treat it as an attack: shut the service, compare with a backup, invite the "
        "person anew.",
        zh="請視為攻擊事件:停止服務,與備份比對,並重新邀請該人員。",
    )
