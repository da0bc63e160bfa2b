"""Say where images come from: `sources.toml` in the node's home, read strictly.

`read_sources(home)` returns the checked file; `pacs_of`, `web_of`, `receiver_of`
and `stow_of` turn its parts into what the ways in need, opening the secret files
they name. Paths are relative to the home. Unknown keys are refused.
"""

import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from federation.domain.toml_text import parse_toml
from federation.errors.base import PlatformError, ProblemsFound
from federation.errors.sources import (
    NothingToReceiveError,
    SecretFileError,
    SourcesFileError,
    SourceUnknownError,
    TlsFilesError,
)
from federation.wording import Text

if TYPE_CHECKING:
    from clients.data.ways_in.dicomweb import Web
    from clients.data.ways_in.pacs import Pacs
    from clients.data.ways_in.receiver import ReceiverSettings
    from clients.data.ways_in.stow import StowSettings

FILE = "sources.toml"
LONGEST_TOKEN = 8192
SHORTEST_TOKEN = 16
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
TEMPLATE = """# Where this hospital's images come from. Paths are relative to this folder.
# 本院影像的來源。路徑以此資料夾為準。

# A PACS to fetch from / 由此 PACS 擷取
# [[pacs]]
# name = "main"                      # as in: trifed node fetch main
# host = "pacs.hospital.example"
# port = 11112
# ae_title = "MAINPACS"              # the PACS's own AE title / PACS 的 AE 名稱
# calling_ae_title = "TRIFED"        # ours, as the PACS knows it / 本院登錄於 PACS 的 AE 名稱
# tls_ca = "tls/pacs-ca.pem"         # leave out for a plain connection / 省略則不加密
# tls_certificate = "tls/us.pem"     # only if the PACS asks who we are / PACS 要求時才需
# tls_key = "tls/us.key"             # mode 0600 / 權限須為 0600

# A DICOMweb server to fetch from / 由此 DICOMweb 伺服器擷取
# [[dicomweb]]
# name = "web"
# url = "https://pacs.hospital.example/dicom-web"
# token_file = "keys/dicomweb.token" # mode 0600; leave out if none is asked for / 權限須為 0600
# tls_ca = "tls/pacs-ca.pem"         # leave out to trust the system's authorities

# Who may send images here by C-STORE / 可由 C-STORE 傳送影像至此者
# [receiver]
# ae_title = "TRIFED"
# port = 11112
# allowed_callers = ["CT1", "MAINPACS"]
# allowed_hosts = []                 # addresses; empty: any / 位址;空白表示不限
# max_associations = 8
# max_object_mb = 512
# tls_certificate = "tls/us.pem"
# tls_key = "tls/us.key"
# tls_client_ca = "tls/senders-ca.pem"   # senders must then show a certificate / 傳送端須出示憑證

# Who may send images here by STOW-RS / 可由 STOW-RS 傳送影像至此者
# [stow]
# port = 8443
# host = "127.0.0.1"                 # another address needs TLS / 其他位址必須使用 TLS
# token_file = "keys/stow.token"     # at least 16 characters, mode 0600 / 至少 16 字元
# tls_certificate = "tls/us.pem"
# tls_key = "tls/us.key"
# max_object_mb = 512
# max_request_mb = 4096

# A folder to watch / 監看的資料夾
# [watch]
# folder = "/mnt/export"
# settle_s = 5.0                     # how long a file must stand still / 檔案須靜止的秒數
# rescan_s = 300.0                   # how often all is looked through / 全面巡查的間隔秒數
"""

AeTitle = Annotated[str, Field(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$")]
"""1 to 16 printable characters without backslash (PS3.5 6.2, VR AE)."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9_:%-]([A-Za-z0-9._:%-]{0,251}[A-Za-z0-9_:%-])?$")]
"""A host name or an address; whether there is one of that name is seen when it is asked."""
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Megabytes = Annotated[int, Field(ge=1, le=65536)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PacsSource(_Part):
    """A `[[pacs]]` table."""

    name: Name
    host: Host
    port: Port
    ae_title: AeTitle
    calling_ae_title: AeTitle
    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    max_object_mb: Megabytes = 512
    answer_s: Seconds = 120.0

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        _check_pair(self.tls_certificate, self.tls_key)
        if self.tls_certificate and not self.tls_ca:
            raise ValueError("tls_certificate needs tls_ca")
        return self


class WebSource(_Part):
    """A `[[dicomweb]]` table."""

    name: Name
    url: str = Field(pattern=r"^https?://[^\s?#@]+$", max_length=2000)
    token_file: Path | None = None
    tls_ca: Path | None = None
    max_object_mb: Megabytes = 512
    silence_s: Seconds = 60.0

    @model_validator(mode="after")
    def _check_token(self) -> Self:
        try:
            found = urlsplit(self.url)
            host, _ = found.hostname or "", found.port
            host.encode("idna")
        except ValueError as error:
            raise ValueError("the url names no host that can be asked") from error
        if self.token_file and self.url.startswith("http:") and host not in LOOPBACK:
            raise ValueError("a token travels by https only")
        return self


class ReceiverSource(_Part):
    """The `[receiver]` table."""

    ae_title: AeTitle
    port: Port
    allowed_callers: list[AeTitle] = Field(min_length=1)
    allowed_hosts: list[str] = []
    host: Host = "0.0.0.0"  # noqa: S104  # modalities are other machines; callers are checked
    max_associations: int = Field(default=8, ge=1, le=256)
    max_object_mb: Megabytes = 512
    max_pdu_kb: int = Field(default=256, ge=16, le=16384)
    silence_s: Seconds = 60.0
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        _check_pair(self.tls_certificate, self.tls_key)
        if self.tls_client_ca and not self.tls_certificate:
            raise ValueError("tls_client_ca needs tls_certificate")
        return self

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, hosts: list[str]) -> list[str]:
        try:
            return [str(ip_address(host)) for host in hosts]
        except ValueError as error:
            raise ValueError("allowed_hosts takes addresses such as 10.1.2.3, no names") from error


class StowSource(_Part):
    """The `[stow]` table."""

    port: Port
    token_file: Path
    host: Host = "127.0.0.1"
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    max_object_mb: Megabytes = 512
    max_request_mb: Megabytes = 4096
    max_requests: int = Field(default=8, ge=1, le=256)

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        _check_pair(self.tls_certificate, self.tls_key)
        if not self.tls_certificate and self.host not in LOOPBACK:
            raise ValueError("without tls_certificate only host 127.0.0.1 is served")
        return self


class WatchSource(_Part):
    """The `[watch]` table."""

    folder: Path
    settle_s: Seconds = 5.0
    rescan_s: Seconds = 300.0


class Sources(_Part):
    """All of `sources.toml`."""

    pacs: list[PacsSource] = []
    dicomweb: list[WebSource] = []
    receiver: ReceiverSource | None = None
    stow: StowSource | None = None
    watch: WatchSource | None = None

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if len(set(self.names)) != len(self.names):
            raise ValueError("two sources have the same name")
        return self

    @property
    def fetchable(self) -> list[PacsSource | WebSource]:
        """Return everything that can be fetched from."""
        return [*self.pacs, *self.dicomweb]

    @property
    def names(self) -> list[str]:
        """Return the names that can be fetched from."""
        return [one.name for one in self.fetchable]

    def named(self, name: str) -> PacsSource | WebSource:
        """Return the source of that name.

        Raises
        ------
        SourceUnknownError
            If there is none.
        """
        for one in self.fetchable:
            if one.name == name:
                return one
        raise SourceUnknownError(name=name, known=", ".join(self.names) or "–")

    def receiving(self) -> ReceiverSource:
        """Return the receiver.

        Raises
        ------
        NothingToReceiveError
            If there is none.
        """
        if self.receiver is None:
            raise NothingToReceiveError()
        return self.receiver


def read_sources(home: Path) -> Sources:
    """Return what `sources.toml` in a home says; an absent file names no source.

    Raises
    ------
    SourcesFileError
        If it is no TOML or breaks one rule; `ProblemsFound` if it breaks several.
    """
    try:
        found = parse_toml((home / FILE).read_bytes())
        return Sources.model_validate(found)
    except FileNotFoundError:
        return Sources()
    except ValidationError as error:
        problems: list[PlatformError] = [
            SourcesFileError(
                why=f"{'.'.join(map(str, one['loc'])) or FILE}: {one['msg']}".rstrip(".")
            )
            for one in error.errors(include_input=False)
        ]
        raise problems[0] if len(problems) == 1 else ProblemsFound(problems) from error
    except OSError as error:
        raise SourcesFileError(why=error.strerror or type(error).__name__) from error
    except ValueError as error:
        raise SourcesFileError(why=str(error)) from error


def pacs_of(source: PacsSource, home: Path) -> "Pacs":
    """Return a PACS to ask, with its TLS context."""
    from clients.data.ways_in.dimse import Bounds
    from clients.data.ways_in.pacs import Pacs

    return Pacs(
        name=source.name,
        host=source.host,
        port=source.port,
        ae_title=source.ae_title,
        calling_ae_title=source.calling_ae_title,
        tls=None
        if source.tls_ca is None
        else client_tls(
            source.name,
            home / source.tls_ca,
            certificate=_below(home, source.tls_certificate),
            key=_below(home, source.tls_key),
        ),
        bounds=Bounds(object_bytes=source.max_object_mb << 20, answer_s=source.answer_s),
    )


def web_of(source: WebSource, home: Path) -> "Web":
    """Return a DICOMweb server to ask, with its token."""
    from clients.data.ways_in.dicomweb import Web
    from clients.data.ways_in.multipart import PartLimits

    token = source.token_file
    return Web(
        name=source.name,
        url=source.url,
        token=None if token is None else read_secret(home / token, setting="token_file"),
        ca=None if source.tls_ca is None else client_tls(source.name, home / source.tls_ca),
        silence_s=source.silence_s,
        limits=PartLimits(part_bytes=source.max_object_mb << 20, total_bytes=1 << 40),
    )


def receiver_of(source: ReceiverSource, home: Path, *, also: frozenset[str]) -> "ReceiverSettings":
    """Return the receiver's settings; `also` are AE titles that may call this time."""
    from clients.data.ways_in.dimse import Bounds
    from clients.data.ways_in.receiver import ReceiverSettings

    tls = None
    if source.tls_certificate is not None and source.tls_key is not None:
        tls = server_tls(
            home / source.tls_certificate,
            home / source.tls_key,
            client_ca=_below(home, source.tls_client_ca),
        )
    return ReceiverSettings(
        ae_title=source.ae_title,
        port=source.port,
        callers=frozenset(source.allowed_callers) | also,
        host=source.host,
        hosts=frozenset(source.allowed_hosts),
        associations=source.max_associations,
        tls=tls,
        bounds=Bounds(
            object_bytes=source.max_object_mb << 20,
            pdu_bytes=source.max_pdu_kb << 10,
            silence_s=source.silence_s,
        ),
    )


def stow_of(source: StowSource, home: Path) -> "StowSettings":
    """Return the web port's settings, with its token."""
    from clients.data.ways_in.multipart import PartLimits
    from clients.data.ways_in.stow import StowSettings

    token = read_secret(home / source.token_file, setting="stow.token_file")
    if len(token) < SHORTEST_TOKEN:
        why = f"a token needs {SHORTEST_TOKEN} characters at least"
        raise SecretFileError(setting="stow.token_file", why=why)
    if source.tls_certificate is not None and source.tls_key is not None:
        server_tls(home / source.tls_certificate, home / source.tls_key)  # say no before serving
    total = source.max_request_mb << 20
    return StowSettings(
        port=source.port,
        token=token,
        host=source.host,
        certificate=_text(home, source.tls_certificate),
        key=_text(home, source.tls_key),
        limits=PartLimits(part_bytes=total, total_bytes=total),
        requests=source.max_requests,
    )


def read_secret(path: Path, *, setting: str) -> str:
    """Return the one line of a secret file.

    Raises
    ------
    SecretFileError
        If it is missing, empty, too long, no plain text, or open to others.
    """
    _check_private(path, setting=setting)
    content = path.read_bytes()[: LONGEST_TOKEN + 1].strip()
    if not 0 < len(content) <= LONGEST_TOKEN or not all(32 < one < 127 for one in content):
        raise SecretFileError(
            setting=setting,
            why=Text(
                en="it does not hold one line of plain characters", zh="內容須為單獨一行的一般字元"
            ),
        )
    return content.decode("ascii")


def client_tls(
    where: str, ca: Path, *, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return a context that trusts only `ca`, checks the host name, and can say who we are.

    Raises
    ------
    TlsFilesError, SecretFileError
        If a file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate is not None and key is not None:
            _check_private(key, setting=f"{where}.tls_key")
            context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        raise TlsFilesError(where=where, why=_tls_problem(error)) from error
    return context


def server_tls(certificate: Path, key: Path, *, client_ca: Path | None = None) -> ssl.SSLContext:
    """Return a server's context; with `client_ca` senders must show a certificate (mutual).

    Raises
    ------
    TlsFilesError, SecretFileError
        If a file cannot be used.
    """
    _check_private(key, setting="tls_key")
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        if client_ca is not None:
            context.load_verify_locations(str(client_ca))
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        raise TlsFilesError(where="receiver", why=_tls_problem(error)) from error
    return context


def _tls_problem(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(reason or type(error).__name__)


def _check_private(path: Path, *, setting: str) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SecretFileError(setting=setting, why=error.strerror or "unreadable") from error
    if mode & 0o077:
        why = f"its mode is {mode & 0o777:o}, expected 600"
        raise SecretFileError(setting=setting, why=why)


def _check_pair(certificate: Path | None, key: Path | None) -> None:
    if (certificate is None) != (key is None):
        raise ValueError("tls_certificate and tls_key belong together")


def _below(home: Path, path: Path | None) -> Path | None:
    return None if path is None else home / path


def _text(home: Path, path: Path | None) -> str | None:
    return None if path is None else str(home / path)
