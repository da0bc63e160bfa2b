"""Which database and which artefact store a centre uses, as `centre.toml` says.

```
[database]
url = "postgresql://trifed@db.example/trifed"   # no password: PGPASSFILE or a service has it
url_file = "database.url"                       # or this: a file of mode 0600 with the whole URL
[artefacts]
url = "s3://bucket/prefix"                      # credentials come from the environment only
```
Without them everything lies in the centre's home: SQLite in `centre.db`, files in `artefacts/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, parse_qs, urlsplit

from federation.errors.enrolment import KeyFileUnsafeError
from federation.errors.storage import ArtefactSettingError, DatabaseSettingError
from federation.homes import read_private
from federation.wording import Text

DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
"""The databases we know, and the driver that each is opened with."""

_SECRETS = frozenset({"password", "sslpassword"})

_BOTH = Text(en="it has both url and url_file", zh="同時有 url 與 url_file")
_NOT_TEXT = Text(en="url and url_file are texts", zh="url 與 url_file 須為文字")
_UNKNOWN_KEY = Text(en="it holds more than url and url_file", zh="內含 url 與 url_file 以外的項目")
_PASSWORD = Text(en="the URL holds a password", zh="URL 內含密碼")
_NO_URL = Text(en="the URL is not understood", zh="無法理解 URL")
_UNKNOWN_STORE = Text(
    en="only s3, gs, az, file and memory are known", zh="僅支援 s3、gs、az、file 與 memory"
)
_CREDENTIALS = Text(en="the URL holds more than a place", zh="URL 內含位置以外的內容")
_NOT_URL = Text(en="it is not one text named url", zh="須為名為 url 的一段文字")
_UNKNOWN = Text(en="only sqlite and postgresql are known", zh="僅支援 sqlite 與 postgresql")


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """What `[database]` says: a URL without a password, a file that holds one, or nothing."""

    url: str | None = None
    url_file: str | None = None

    def __post_init__(self) -> None:
        if self.url is not None and self.url_file is not None:
            raise DatabaseSettingError(why=_BOTH)
        if self.url is not None:
            _refuse_password(_split(self.url))

    @classmethod
    def of(cls, tables: Mapping[str, Mapping[str, object]]) -> Self:
        """Return what the tables of `centre.toml` say.

        Raises
        ------
        DatabaseSettingError
            If the table holds anything else, or a URL with a password.
        """
        table = tables.get("database", {})
        if not table.keys() <= {"url", "url_file"}:
            raise DatabaseSettingError(why=_UNKNOWN_KEY)
        return cls(_text(table.get("url")), _text(table.get("url_file")))

    def as_table(self) -> dict[str, str]:
        """Return the table of `centre.toml`; empty when nothing was said."""
        said = {"url": self.url, "url_file": self.url_file}
        return {key: value for key, value in said.items() if value is not None}

    def resolve(self, home: Path, *, default: Path) -> str:
        """Return the URL to open, with its driver. It may hold a password: never show it.

        Parameters
        ----------
        home
            The folder that a relative `url_file` lies in.
        default
            The SQLite file of a centre that says nothing.

        Raises
        ------
        DatabaseSettingError
            If the file is missing or open to others, or the URL is of another database.
        """
        if self.url_file is not None:
            return _with_driver(_read_url(home / self.url_file))
        return f"sqlite:///{default}" if self.url is None else _with_driver(self.url)


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise DatabaseSettingError(why=_NOT_TEXT)
    return value


def _read_url(path: Path) -> str:
    try:
        return read_private(path).decode().strip()
    except KeyFileUnsafeError as error:
        raise DatabaseSettingError(why=f"{path.name}: {error.values['why']}") from error
    except UnicodeDecodeError as error:
        raise DatabaseSettingError(why=_NO_URL) from error


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise DatabaseSettingError(why=_NO_URL) from error


def _refuse_password(url: SplitResult) -> None:
    if url.password is not None or _SECRETS & parse_qs(url.query, keep_blank_values=True).keys():
        raise DatabaseSettingError(why=_PASSWORD)


def _with_driver(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator or "\n" in url:
        raise DatabaseSettingError(why=_NO_URL)
    if scheme not in DRIVERS:
        raise DatabaseSettingError(why=_UNKNOWN)
    return f"{DRIVERS[scheme]}://{rest}"


STORES = frozenset({"s3", "gs", "az", "file", "memory"})
"""What an artefact store's URL may begin with; `memory` is for tests."""


def artefact_url(tables: Mapping[str, Mapping[str, object]]) -> str | None:
    """Return the URL of the artefact store that `centre.toml` names; None means the home itself.

    Raises
    ------
    ArtefactSettingError
        If the table holds anything else, or the URL credentials.
    """
    table = tables.get("artefacts", {})
    if not table:
        return None
    url = table.get("url")
    if table.keys() != {"url"} or not isinstance(url, str):
        raise ArtefactSettingError(why=_NOT_URL)
    return checked_artefact_url(url)


def checked_artefact_url(url: str) -> str:
    """Return an artefact store's URL; raises as `artefact_url`."""
    try:
        found = urlsplit(url)
    except ValueError as error:
        raise ArtefactSettingError(why=_NO_URL) from error
    if found.scheme not in STORES:
        raise ArtefactSettingError(why=_UNKNOWN_STORE)
    if "@" in found.netloc or found.query or found.fragment:
        raise ArtefactSettingError(why=_CREDENTIALS)
    return url
